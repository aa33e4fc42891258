"""One direction of a connection, outgoing: what a message may go on with, and its framing."""

from __future__ import annotations

import enum

from .encode import check_trailers, encode_trailers
from .events import Headers, Misuse, RequestHead, ResponseHead, Sent
from .heads import CHUNKED


class Outbound(enum.Enum):
    """Where the outgoing message is."""

    HEAD = "head"
    FIXED = "fixed"
    """Also without any body: a length of 0."""
    CHUNKED = "chunked"
    DONE = "done"


_HEAD = Outbound.HEAD
_FIXED = Outbound.FIXED
_CHUNKED = Outbound.CHUNKED
_DONE = Outbound.DONE


class Writer:
    """Frames the body that a head has announced."""

    __slots__ = ("_length", "_remaining", "closes", "head", "state", "whole")

    def __init__(self) -> None:
        self.state = _HEAD
        self.whole = False
        """The message is out that began and ended in one, and this writer has not framed it. As if it had no body:
        nobody asks for more of it than its head."""
        self.closes = False
        """The head says that the connection ends with this message."""
        self.head: RequestHead | ResponseHead | None = None
        self._length = 0
        self._remaining = 0

    @property
    def sent(self) -> Sent:
        """What the current message is made of so far."""
        if self.state is _HEAD:
            return Sent(None, 0, False)
        if self.whole:
            return Sent(self.head, 0, True)
        return Sent(self.head, self._length - self._remaining, self.state is _DONE)

    def begin(self, head: RequestHead | ResponseHead | None, length: int, closes: bool) -> None:
        """A head is out; ``length`` of its body or `CHUNKED`. None for a head that nobody will ask for."""
        self.head, self.closes, self.whole = head, closes, False
        if length == CHUNKED:
            self.state = _CHUNKED
            self._length = self._remaining = 0
        else:
            self.state = _FIXED
            self._length = self._remaining = length

    def frame(self, data: bytes) -> bytes:
        """Bytes of the body as they go on the wire now; empty for no bytes. Raises `Misuse` outside a body and for more
        than content-length says."""
        state = self.state
        if state is _CHUNKED:
            # A chunk of no bytes would be the last one.
            return b"%x\r\n%b\r\n" % (len(data), data) if data else data
        if state is _FIXED:
            left = self._remaining - len(data)
            if left < 0:
                raise Misuse(f"{-left} bytes more than the {self._length} of the head")
            self._remaining = left
            return data
        raise Misuse(f"a body when the message is at: {state.value}")

    def finish(self, data: bytes) -> bytes | None:
        """`frame` and `end` without trailers in one, for a chunked body; None, and nothing has changed, for others."""
        if self.state is not _CHUNKED:
            return None
        self.state = _DONE
        return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"

    def end(self, trailers: Headers) -> bytes:
        """The bytes behind the body. Trailers of a message that is not chunked are left out: it has no room for any
        (RFC 9112 section 7.1.2). Raises `Misuse` for less than content-length says, and for what may be no trailer."""
        state = self.state
        if state is _CHUNKED:
            out = encode_trailers(trailers) if trailers else b"0\r\n\r\n"
        elif state is not _FIXED:
            raise Misuse(f"an end when the message is at: {state.value}")
        elif self._remaining:
            raise Misuse(f"{self._remaining} bytes less than the {self._length} of the head")
        else:
            check_trailers(trailers)
            out = b""
        self.state = _DONE
        return out

    def next_message(self) -> None:
        """Begin anew; only when it is `DONE`."""
        self.state = _HEAD
