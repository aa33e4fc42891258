"""Heads that a connection has read before: recognised by their bytes, not read again.

A client on a kept connection sends the same head with every request, but for the number of its content-length; a
provider answers with the same head. What stands around the number is compared byte for byte with a head that the strict
reader has taken, so that nothing is judged here. None is known beyond its connection: a head holds its client's key.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TypeAlias

from .events import Headers, RequestHead, ResponseHead

MOST_BYTES = 4096
"""A longer head is not kept: agents send about 1 KiB, and a connection that is idle keeps it."""
MOST_TRIES = 4
"""Heads in a row that did not come again; then the connection is not one where they do. Ids of requests and traces
differ in every head of those who send them."""
MOST_DIGITS = 9
"""Of a length that may stand in another one's place: the reader takes twice as many."""

# In a head that the reader has taken, what looks like this is the one content-length: lines are cut at CR LF alone.
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]{1,9})(?=\r\n)", re.IGNORECASE)

Make: TypeAlias = "partial[RequestHead] | partial[ResponseHead]"


class Shape:
    """What heads of a connection have in common that differ in their content-length alone."""

    __slots__ = ("facts",)

    def __init__(self) -> None:
        self.facts: object | None = None
        """For whoever serves the requests: what was found out from such a head and need not be found again. Whoever
        puts something here looks whether it still holds."""


class Repeat:
    """A head that was read, as the bytes around the number of its content-length."""

    __slots__ = ("before", "behind", "headers", "length", "make", "method", "place", "rest", "shape", "size")

    def __init__(
        self, before: bytes, behind: bytes, head: RequestHead | ResponseHead, length: int, method: str
    ) -> None:
        self.before = before
        """All of it where there is no number."""
        self.size = len(before)
        self.behind = behind
        self.rest = len(behind)
        self.method = method
        """Of the request: whether an answer has a body depends on it."""
        self.length = length
        """Of the body, where the number does not say it."""
        self.headers: Headers = head.headers.copy()
        self.place = -1
        """Of content-length among the fields; -1 where there is none."""
        if behind:
            self.place = [name for name, _ in head.headers].index("content-length")
        self.make: Make
        if type(head) is RequestHead:
            self.make = partial(RequestHead, head.method, head.target)
        else:
            assert type(head) is ResponseHead
            self.make = partial(ResponseHead, head.status)
        self.shape = Shape()

    def again(self, data: bytes, start: int) -> tuple[RequestHead | ResponseHead, int] | None:
        """The head that ends at ``start`` of ``data`` and the length of its body; None for another one than this."""
        if not data.startswith(self.before):
            return None
        stop = start - self.rest
        if self.place < 0:
            return (self.make(self.headers.copy()), self.length) if stop == self.size else None
        if not 0 < stop - self.size <= MOST_DIGITS or not data.startswith(self.behind, stop):
            return None
        digits = data[self.size : stop]
        return (self.head(digits), int(digits)) if digits.isdigit() else None

    def head(self, digits: bytes) -> RequestHead | ResponseHead:
        """This head with another number."""
        headers = self.headers.copy()
        headers[self.place] = ("content-length", digits.decode("ascii"))
        return self.make(headers)


def repeat_of(
    data: bytes, head: RequestHead | ResponseHead, length: int, method: str, *, whole: bool, most: int
) -> Repeat | None:
    """How to know ``head`` again, whose bytes are ``data`` with the empty line; None where that is not worth it.

    ``length`` is what the reader found: that of the body, or how else it ends. ``whole``: also a head without a plain
    content-length, which comes again as it is or not at all. No head that is known may be longer than ``most``.
    """
    if len(data) + MOST_DIGITS > min(most, MOST_BYTES):
        return None
    number = _LENGTH.search(data)
    if number is None:
        return Repeat(data, b"", head, length, method) if whole else None
    if int(number[1]) != length:
        return None
    return Repeat(data[: number.start(1)], data[number.end(1) :], head, length, method)
