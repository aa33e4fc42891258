"""Heads that a connection has read before: recognised by their bytes, not read again.

A client on a kept connection sends the same head with every request, but for the number of its content-length; a
provider answers with the same head. What stands around the number is compared byte for byte with a head that the strict
reader has taken, so that nothing is judged here. None is known beyond its connection: a head holds its client's key.
"""

from __future__ import annotations

import re

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


class Shape:
    """What heads of a connection have in common that differ in their content-length alone."""

    __slots__ = ("coded", "facts")

    def __init__(self, headers: Headers) -> None:
        self.coded = any(name == "content-encoding" for name, _ in headers)
        """Their bodies have a coding."""
        self.facts: object | None = None
        """For whoever serves the requests: what was found out from such a head and need not be found again. Whoever
        puts something here looks whether it still holds."""


class Repeat:
    """A head that was read, as the bytes around the number of its content-length, and as it came last: most come again
    with the same number too."""

    __slots__ = (
        "_limit",
        "_place",
        "_rest",
        "before",
        "end",
        "head",
        "length",
        "method",
        "size",
        "tail",
        "whole",
    )

    def __init__(
        self, before: bytes, behind: bytes, digits: bytes, head: RequestHead | ResponseHead, length: int, method: str
    ) -> None:
        self.before = before
        """All of it where there is no number."""
        self.size = len(before)
        self._rest = len(behind)
        self.method = method
        """Of the request: whether an answer has a body depends on it."""
        self.head = head
        """As it came last; for whoever does not change it."""
        self.length = length
        """Of its body, or how else that ends."""
        self.tail = digits + behind
        """What stood behind `before`: the number, and the rest of the head."""
        self.end = self.size + len(self.tail)
        self.whole = self.end + length if behind else -1
        """Bytes of the whole message; -1 where no number says how long its body is."""
        self._place = -1
        """Of content-length among the fields; -1 where there is none."""
        self._limit = 0
        """Where the line of the number has ended at the latest; 0 where there is no number."""
        if behind:
            self._limit = self.size + MOST_DIGITS + 1
            self._place = [name for name, _ in head.headers].index("content-length")

    def again(self, data: bytes) -> bool:
        """Whether ``data`` begins with this head: `head`, `length` and `end` are of the one that came then."""
        if not data.startswith(self.before):
            return False
        return data.startswith(self.tail, self.size) or self.renumber(data)

    def renumber(self, data: bytes) -> bool:
        """`again` where what stands before the number has been seen, and the number is another one."""
        if not self._limit:
            return False
        stop = data.find(b"\r", self.size, self._limit)
        digits, behind = data[self.size : stop], self.tail[-self._rest :]
        # Where no line ends (-1) there is no room for what stands behind a number.
        if not (digits.isdigit() and data.startswith(behind, stop)):
            return False
        head = self.head
        headers = head.headers.copy()
        headers[self._place] = ("content-length", digits.decode("ascii"))
        if type(head) is RequestHead:
            self.head = RequestHead(head.method, head.target, headers)
        else:
            assert type(head) is ResponseHead
            self.head = ResponseHead(head.status, headers)
        self.length = int(digits)
        self.tail = digits + behind
        self.end = stop + self._rest
        self.whole = self.end + self.length
        return True


def copied(head: RequestHead | ResponseHead) -> RequestHead | ResponseHead:
    """``head`` with a list of fields of its own."""
    if type(head) is RequestHead:
        return RequestHead(head.method, head.target, head.headers.copy())
    assert type(head) is ResponseHead
    return ResponseHead(head.status, head.headers.copy())


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
        return Repeat(data, b"", b"", head, length, method) if whole else None
    if int(number[1]) != length:
        return None
    return Repeat(data[: number.start(1)], data[number.end(1) :], number[1], head, length, method)
