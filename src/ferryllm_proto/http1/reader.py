"""One direction of a connection, incoming: heads and bodies of messages, one at a time.

It accepts what is common and plainly right. Everything else, right or wrong, is `NotMine`: this module refuses nothing.
"""

from __future__ import annotations

import abc
import enum
import re

from .events import END, Body, Event, Fault, HeadLimits, NotMine, RequestHead, ResponseHead
from .fields import Entry
from .heads import CHUNKED, UNTIL_CLOSE, RequestRead, ResponseRead, read_request, read_response
from .repeats import MOST_TRIES, Repeat, Shape, copied, repeat_of


class Inbound(enum.Enum):
    """Where the incoming message is."""

    HEAD = "head"
    FIXED = "fixed"
    CHUNK_SIZE = "chunk size"
    CHUNK_DATA = "chunk data"
    CHUNK_END = "chunk end"
    UNTIL_CLOSE = "until close"
    DONE = "done"
    OVER = "over"
    """The peer's direction has ended, or somebody else reads on."""


# Names of this module: two look-ups less in code that runs for every chunk.
_HEAD = Inbound.HEAD
_FIXED = Inbound.FIXED
_CHUNK_SIZE = Inbound.CHUNK_SIZE
_CHUNK_DATA = Inbound.CHUNK_DATA
_CHUNK_END = Inbound.CHUNK_END
_UNTIL_CLOSE = Inbound.UNTIL_CLOSE
_DONE = Inbound.DONE
_OVER = Inbound.OVER

# A line feed alone, a carriage return alone (one at the very end may still get its line feed), NUL.
_BROKEN_LINE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\x00")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
_SIZE_BEGUN = re.compile(rb"[0-9A-Fa-f]{0,15}\r?")
_SIZE_LINE = 17
"""15 digits and CRLF."""
_MOST_SIZES = 4096
"""Remembered sizes of chunks; when it is full all are forgotten."""
_NOTHING = b""
"""What is kept of nothing: an array of its own would take 56 bytes in each connection."""
_CRLF = b"\r\n"
_LAST = b"\r\n0\r\n\r\n"
"""The end of a chunk and of the body behind it."""

_sizes: dict[bytes, int] = {}


def _size(line: bytes) -> int | None:
    """What a line with the size of a chunk and nothing else says (RFC 9112 section 7.1)."""
    if _SIZE.fullmatch(line) is None:
        return None
    if len(_sizes) >= _MOST_SIZES:
        _sizes.clear()
    _sizes[line] = size = int(line, 16)
    return size


class Reader(abc.ABC):
    """Common to requests and responses; `RequestReader` and `ResponseReader` know their heads."""

    __slots__ = (
        "_fault_status",
        "_head",
        "_limits",
        "_remaining",
        "_repeat",
        "_scanned",
        "_tries",
        "buffer",
        "closes",
        "ended",
        "method",
        "shape",
        "state",
    )

    def __init__(self, limits: HeadLimits, fault_status: int) -> None:
        self.state = Inbound.HEAD
        self.closes = False
        """The message says that the connection ends with it."""
        self.ended = False
        """`receive_eof` has been called."""
        self._limits = limits
        self._fault_status = fault_status
        # Of an incomplete head, of a size line that was cut, or what came behind the message. The machine bounds the
        # first (`HeadLimits`) and the second (19 bytes); its caller stops reading for the third.
        self.buffer: bytes | bytearray = _NOTHING
        """To be looked at, not to be changed."""
        self._scanned = 0
        self._remaining = 0
        self._head = b""
        """Of a message with a chunked body, for whoever has to judge its chunks."""
        self.method = ""
        """Of the request whose head has come last, or that the next answer is for; empty while there is none."""
        self.shape: Shape | None = None
        """Of the head that has come last."""
        self._repeat: Repeat | None = None
        """That head, where it may come again."""
        self._tries = 0

    @property
    def held(self) -> int:
        """Bytes after the end of the current message."""
        return len(self.buffer) if self.state is _DONE else 0

    def is_empty(self) -> bool:
        """No bytes are kept: neither held ones nor those of something incomplete."""
        return not self.buffer

    @property
    def within_head(self) -> bool:
        """A head has begun and is not complete."""
        return self.state is _HEAD and len(self.buffer) > 0

    def _keep(self, data: bytes) -> None:
        buffer = self.buffer
        if type(buffer) is bytearray:
            buffer += data
        else:  # nothing
            self.buffer = bytearray(data)

    def receive_body(self, data: bytes) -> tuple[bytes, bool] | None:
        """The common case: ``data`` is of the body of the current message and nothing about it is odd.

        Returns the payload (maybe empty) and whether the message ended with it; bytes behind the end are held. None:
        nothing was consumed, give the same bytes to `receive_data`.
        """
        state = self.state
        if state is _CHUNK_SIZE and not self.buffer:
            # One read that is one whole chunk: what a stream of events is nearly always made of.
            at = data.find(_CRLF, 0, _SIZE_LINE)
            if at > 0:
                size = _sizes.get(data[:at])
                if size:
                    at += 2
                    end = at + size
                    left = len(data) - end
                    if left == 2 and data.endswith(_CRLF):
                        return data[at:end], False
                    if left == 7 and data.endswith(_LAST):
                        # And what a stream ends with.
                        self.state, self._head = _DONE, b""
                        return data[at:end], True
                elif data == _LAST[2:]:
                    self.state, self._head = _DONE, b""
                    return b"", True
        elif state is _FIXED:
            left = self._remaining - len(data)
            if left > 0:
                self._remaining = left
                return data, False
            return self._finish_fixed(data), True
        elif state is _UNTIL_CLOSE:
            return data, False
        elif state is _HEAD or state is _DONE or state is _OVER:
            return None
        return self._chunks(data, None)

    def receive_whole(self, data: bytes) -> tuple[RequestHead | ResponseHead, bytes] | None:
        """The common case: ``data`` is one message of known length, all of it, and its head that of the one before.

        Returns head and body; the head may have been returned before, and is not to be changed. None: nothing was
        consumed, give the same bytes to `receive_data`.
        """
        known = self._repeat
        if (
            known is None
            or self.state is not _HEAD
            or self.buffer
            or known.method != self.method
            or not data.startswith(known.before)
            or not (data.startswith(known.tail, known.size) or known.renumber(data))
        ):
            return None
        if len(data) != known.whole:
            return None
        self._tries = 0
        self.state = _DONE
        return known.head, data[known.end :]

    def receive_data(self, data: bytes) -> list[Event | NotMine]:
        """Take bytes of the peer; those behind the end of the message are held. Never raises for them."""
        if not data:
            return []
        state = self.state
        if state is _HEAD:
            if not self.buffer:
                end = data.find(b"\r\n\r\n")
                if end >= 0:
                    return self._receive_head(data, end)
            self._keep(data)
            end = self.buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
            if end < 0:
                return self._wait()
            data = bytes(self.buffer)
            self.buffer = _NOTHING
            self._scanned = 0
            return self._receive_head(data, end)
        if state is _DONE:
            self._keep(data)
            return []
        events: list[Event | NotMine] = []
        if state is not _OVER:
            self._receive_body(data, events)
        return events

    def receive_eof(self) -> list[Event | NotMine]:
        """The peer ended its direction. Idempotent."""
        if self.ended or self.state is _OVER:
            return []
        self.ended = True
        state = self.state
        if state is _DONE:
            return []
        if state is _HEAD and not self.buffer:
            self.state = _OVER
            return self._silence()
        if state is _UNTIL_CLOSE:
            self.state = _DONE
            return [END]
        self.state = _OVER
        return [self._cut("head" if state is _HEAD else "body")]

    def next_message(self) -> list[Event | NotMine]:
        """Go on behind the end of a message; only when it is `DONE`."""
        self.state = _HEAD
        self.closes = False
        if not self.buffer:
            return []
        held = bytes(self.buffer)
        self.buffer = _NOTHING
        return self.receive_data(held)

    def _give_up(self, data: bytes) -> list[Event | NotMine]:
        """Somebody else reads on, from ``data``."""
        self.state = _OVER
        self.buffer = _NOTHING
        return [NotMine(b"", data)]

    def _silence(self) -> list[Event | NotMine]:
        """The peer ended its direction before a message."""
        return []

    def _cut(self, where: str) -> Fault:
        return Fault(self._fault_status, f"the connection ended within a {where}")

    @abc.abstractmethod
    def _read(self, text: str) -> RequestRead | ResponseRead | None:
        """The head in ``text``, without its last line end; None is not a common one."""

    def _wait(self) -> list[Event | NotMine]:
        """The head is not complete. What cannot become a common one goes on now: nobody should wait for its end."""
        buffer, limits = self.buffer, self._limits
        if (
            buffer[0] in _CRLF
            or _BROKEN_LINE.search(buffer, max(0, self._scanned - 1)) is not None
            or len(buffer) > limits.head_bytes
            or (
                len(buffer) > limits.request_line_bytes + 1 and buffer.find(_CRLF, 0, limits.request_line_bytes + 2) < 0
            )
        ):
            return self._give_up(bytes(buffer))
        self._scanned = len(buffer)
        return []

    def _receive_head(self, data: bytes, end: int) -> list[Event | NotMine]:
        start = end + 4
        read = b""
        known = self._repeat
        head: RequestHead | ResponseHead
        if known is not None and known.method == self.method and known.again(data) and known.end == start:
            self._tries = 0
            head, length = copied(known.head), known.length
        else:
            found = self._read(data[:end].decode("latin-1")) if start <= self._limits.head_bytes else None
            if found is None:
                return self._give_up(data)
            head, length, self.closes = found
            self._repeat = self.shape = None
            if self._tries < MOST_TRIES and not self.closes:
                read = data[:start]
                self._learn(read, head, length)
        if length > 0:
            if len(data) - start == length:
                # Head and body in one read: what a small message nearly always is.
                self.state = _DONE
                return [head, Body(data[start:]), END]
            self.state = _FIXED
            self._remaining = length
        elif length == 0:
            self.state = _DONE
            if len(data) > start:
                self._keep(data[start:])
            return [head, END]
        elif length == CHUNKED:
            self.state = _CHUNK_SIZE
            # The same bytes that may be known from here on, where they are.
            self._head = read or data[:start]
        else:
            assert length == UNTIL_CLOSE
            self.state = _UNTIL_CLOSE
        events: list[Event | NotMine] = [head]
        if len(data) > start:
            self._receive_body(data[start:], events)
        return events

    @abc.abstractmethod
    def _learn(self, data: bytes, head: RequestHead | ResponseHead, length: int) -> None:
        """``head`` was read, whose bytes with the empty line are ``data``; it may come again."""

    def _receive_body(self, data: bytes, events: list[Event | NotMine]) -> None:
        odd: list[NotMine] = []
        common = self.receive_body(data)
        if common is None:
            common = self._chunks(data, odd)
            assert common is not None
        payload, ended = common
        if payload:
            events.append(Body(payload))
        if ended:
            events.append(END)
        events += odd

    def _finish_fixed(self, data: bytes) -> bytes:
        left = self._remaining
        self._remaining = 0
        self.state = _DONE
        if len(data) == left:
            return data
        self._keep(data[left:])
        return data[:left]

    def _chunks(self, data: bytes, odd: list[NotMine] | None) -> tuple[bytes, bool] | None:
        """Payload of a chunked body and whether it ended. What is odd goes to ``odd``; without it, None and nothing
        is consumed."""
        if self.buffer:
            data = bytes(self.buffer) + data
        state, remaining = self.state, self._remaining
        pieces: list[bytes] = []
        at, length, strange = 0, len(data), False
        while True:
            if state is _CHUNK_DATA:
                end = at + remaining
                if end > length:
                    if at < length:
                        pieces.append(data[at:])
                        remaining = end - length
                        at = length
                    break
                pieces.append(data[at:end])
                at = end
                state = _CHUNK_END
            if state is _CHUNK_END:
                rest = data[at : at + 2]
                if rest != _CRLF:
                    strange = not _CRLF.startswith(rest)
                    break
                at += 2
                state = _CHUNK_SIZE
            eol = data.find(_CRLF, at, at + _SIZE_LINE)
            if eol < 0:
                strange = _SIZE_BEGUN.fullmatch(data, at) is None
                break
            line = data[at:eol]
            size = _sizes.get(line)
            if size is None:
                size = _size(line)
            if size:
                at = eol + 2
                remaining = size
                state = _CHUNK_DATA
                continue
            rest = data[eol + 2 : eol + 4]
            if size is None or rest != _CRLF:
                # Trailers, if it is the last chunk and more has come.
                strange = size is None or not _CRLF.startswith(rest)
                break
            at = eol + 4
            state = _DONE
            break
        if strange and odd is None:
            return None
        self.state, self._remaining = state, remaining
        self.buffer = _NOTHING
        if state is _DONE:
            self._head = b""
        if strange:
            assert odd is not None
            # A reader that is to find the end of a chunk's data has to have seen some.
            before = self._head + b"1\r\nx" if state is _CHUNK_END else self._head
            self.state = _OVER
            odd.append(NotMine(before, data[at:]))
        elif at < length:
            self._keep(data[at:])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), state is _DONE


class RequestReader(Reader):
    """What a server receives."""

    __slots__ = ("_known",)

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits, 400)
        self._known: dict[str, Entry] | None = None
        """Lines of this connection that no other one shall know: its client's key is the same in every request."""

    def _read(self, text: str) -> RequestRead | None:
        limits = self._limits
        if self._known is None:
            self._known = {}
        found = read_request(text, limits.head_fields, limits.request_line_bytes, self._known)
        if found is not None:
            self.method = found[0].method
        return found

    def _learn(self, data: bytes, head: RequestHead | ResponseHead, length: int) -> None:
        known = repeat_of(data, head, length, self.method, whole=False, most=self._limits.head_bytes)
        if known is not None:
            self._tries += 1
            self._repeat, self.shape = known, Shape(head.headers)
            # Known by its bytes it needs no lines; a connection whose heads differ keeps them.
            self._known = None


class ResponseReader(Reader):
    """What a client receives."""

    __slots__ = ()

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits, 502)

    def next_message(self) -> list[Event | NotMine]:
        self.method = ""
        return super().next_message()

    def _read(self, text: str) -> ResponseRead | None:
        if not self.method:
            # An answer to nothing.
            return None
        return read_response(text, self._limits.head_fields, self._limits.request_line_bytes, self.method)

    def _learn(self, data: bytes, head: RequestHead | ResponseHead, length: int) -> None:
        # A body is told by the number in the head only where there is one: not behind HEAD, 204 and 304.
        chunked = length == CHUNKED
        if chunked or length > 0:
            self._tries += 1
            self._repeat = repeat_of(data, head, length, self.method, whole=chunked, most=self._limits.head_bytes)

    def _wait(self) -> list[Event | NotMine]:
        return super()._wait() if self.method else self._give_up(bytes(self.buffer))

    def _silence(self) -> list[Event | NotMine]:
        return [Fault(self._fault_status, "the connection ended before an answer")] if self.method else []
