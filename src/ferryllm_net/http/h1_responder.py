"""The answer to one request of HTTP/1.1: the common whole one takes a shorter way.

Apart from `request`, whose responder is the same for every connection and knows each step by itself.
"""

from __future__ import annotations

from typing import Protocol

from .engine import Headers
from .request import Channel, Line, Responder, Stage

_ODD_NAMES = frozenset((len("content-length"), len("transfer-encoding")))
"""Lengths of names that a whole answer may not bring along as they are; all of that length go the long way."""


# Names of this module: a member looked up in its class costs as much as ten look-ups in an instance.
_EMPTY = Stage.EMPTY
_STARTED = Stage.STARTED
_ENDED = Stage.ENDED


class H1Channel(Channel, Line, Protocol):
    """A connection of HTTP/1.1, as far as a responder needs it."""

    def answer(self, status: int, headers: Headers, body: bytes) -> bytes:
        """The bytes of a whole answer, ``headers`` with its content-length. Raises `Misuse`."""
        ...


class H1Responder(Responder):
    """`Responder`, one message of which is one call of the engine where all of it is known."""

    def __init__(self, channel: H1Channel, method: str) -> None:
        super().__init__(channel, method, channel)
        self._connection = channel

    def put_complete(self, status: int, headers: Headers, body: bytes) -> bool:
        if self.stage is not _EMPTY or self._method == "HEAD" or status in (204, 304) or status > 599:
            return super().put_complete(status, headers, body)
        for name, _ in headers:
            if len(name) in _ODD_NAMES:
                return super().put_complete(status, headers, body)
        out = self._connection.answer(status, [*headers, *self.always, ("content-length", str(len(body)))], body)
        self.stage, self._after = _STARTED, _ENDED
        if not self._channel.put(out):
            return False
        self._settle()
        return True
