"""The answer to one request of HTTP/1.1: the common whole one takes a shorter way.

Apart from `request`, whose responder is the same for every connection and knows each step by itself.
"""

from __future__ import annotations

from typing import Protocol

from .engine import Headers
from .request import Channel, ClientLeft, Line, Responder, Stage

# Names of this module: a member looked up in its class costs as much as ten look-ups in an instance.
_EMPTY = Stage.EMPTY
_STARTED = Stage.STARTED
_ENDED = Stage.ENDED


class H1Channel(Channel, Line, Protocol):
    """A connection of HTTP/1.1, as far as a responder needs it. The three answer as `Channel.put` does and raise what
    it raises, and `Misuse`; None, and nothing has changed, where the message has to go step by step."""

    def put_answer(self, status: int, headers: Headers, body: bytes) -> bool | None:
        """A whole answer, with content-length and the fields of the connection."""
        ...

    def put_beginning(self, status: int, headers: Headers, data: bytes) -> bool | None:
        """The head of an answer without a length, with the fields of the connection, and its first bytes."""
        ...

    def put_finish(self, data: bytes) -> bool | None:
        """The last bytes of such an answer, maybe none, and its end without trailers."""
        ...


class H1Responder(Responder):
    """`Responder`, several steps of which are one call of the connection where nothing about them is uncommon."""

    _channel: H1Channel

    def _put_first(self, data: bytes) -> bool:
        head = self._head
        if head is None or not data or self._bodyless:
            return super()._put_first(data)
        try:
            taken = self._channel.put_beginning(head.status, head.headers, data)
        except ClientLeft:
            self.stage, self._head = _STARTED, None
            raise
        if taken is None:
            return super()._put_first(data)
        self.stage, self._head = _STARTED, None
        return taken

    def put_end(self, data: bytes, trailers: Headers) -> bool:
        if self.stage is not _STARTED or self._bodyless or trailers or self._after is not None:
            return super().put_end(data, trailers)
        try:
            taken = self._channel.put_finish(data)
        except ClientLeft:
            self._after = _ENDED
            raise
        return super().put_end(data, trailers) if taken is None else self._is_over(taken)

    def put_complete(self, status: int, headers: Headers, body: bytes) -> bool:
        if self.stage is not _EMPTY:
            return super().put_complete(status, headers, body)
        fields = [*headers, *self.always] if self.always else headers
        try:
            taken = self._channel.put_answer(status, fields, body)
        except ClientLeft:
            self.stage, self._after = _STARTED, _ENDED
            raise
        if taken:
            self.stage = _ENDED
            return True
        return super().put_complete(status, headers, body) if taken is None else self._is_over(taken)

    def _is_over(self, taken: bool) -> bool:
        """The end is out, or waits for `drain`."""
        if taken:
            self.stage, self._after = _ENDED, None
        else:
            self.stage, self._after = _STARTED, _ENDED
        return taken

    def _own_line(self) -> Line | None:
        return self._channel
