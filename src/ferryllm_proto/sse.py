"""Server-sent events: bytes to frames and back (WHATWG HTML, section 9.2).

Two departures from WHATWG, both because of real providers: a last event without its blank line is dispatched at the
end of the stream (S6), and an event needs data to be one (clients in the field dispatch blocks without data).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .errors import RemoteProtocolError
from .ir import ErrorKind

MAX_EVENT_SIZE = 16 << 20
"""Bytes of one event: a whole image in base64 fits. Go clients of this field broke at 64 KiB and went to 50 MB."""

_BOM = b"\xef\xbb\xbf"
_MAX_NAMES = 64  # a dialect has some thirty
_NO_NAMES: Mapping[bytes, str] = {}
_CR, _LF = 13, 10  # `in` finds a number five times as fast as a string of one byte


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event: its ``event:`` field ("" when absent) and its joined ``data:`` lines."""

    event: str
    data: bytes


def _mended(value: bytes) -> bytes:
    """``value`` with U+FFFD for what is no UTF-8: providers do cut characters (wire.md 8.9)."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("utf-8", "replace").encode()
    return value


class FrameDecoder:
    """Cuts a byte stream into frames, whatever the chunking.

    Lines end at LF, CRLF or CR and nowhere else: U+2028 is text. `receive_data` and `receive_eof` raise
    `RemoteProtocolError` when the lines of one event grow over ``max_event_size`` bytes; the frames of the same call
    before it are in ``frames_before_fault``, and nothing comes after it.
    """

    __slots__ = (
        "_after_cr", "_event", "_failed", "_first", "_held", "_max", "_more", "_more_size", "_names", "_plain", "_tail",
        "_value", "frames_before_fault", "unterminated",
    )  # fmt: skip

    frames_before_fault: list[Frame]
    """There once `receive_data` or `receive_eof` has raised."""

    # Most streams never need a buffer or a list of their own, and a stream is there for minutes, among many.
    def __init__(self, *, max_event_size: int = MAX_EVENT_SIZE) -> None:
        self._max = max_event_size
        self._tail: bytes | bytearray = b""
        """The line that has not ended yet."""
        self._event = ""
        self._value: bytes | None = None
        self._more: list[bytes] | None = None
        """With `_event` and `_value`, its first data line: the event that has not ended yet."""
        self._more_size = 0
        self._held = 0
        """Bytes of the data lines of that event."""
        self._names: Mapping[bytes, str] = _NO_NAMES
        """``event:`` lines seen, to their values."""
        self._plain = False
        """Whether nothing but a CR in the bytes themselves asks for `_prepared`."""
        self._first = True
        self._after_cr = False
        self._failed = False
        self.unterminated = False
        """Whether the last event came without its blank line (S6); final after `receive_eof`."""

    @property
    def idle(self) -> bool:
        """Whether the next byte begins an event, whatever came before it."""
        return self._plain and not self._tail and self._value is None and not self._event

    def go_on(self) -> None:
        """Whole events of the stream were read before the first `receive_data`, by somebody else."""
        self._first, self._plain = False, True

    def receive_data(self, data: bytes) -> list[Frame]:
        """Frames completed by ``data``."""
        if not self._plain or _CR in data:
            data = self._prepared(data)
        frames: list[Frame] = []
        if self._tail:
            if _LF not in data:
                # Only more of a line: no join, so that a long line in small reads does not cost its square.
                self._hold(data)
                self._check(len(self._tail), frames)
                return frames
            data = b"".join((self._tail, data))
            self._tail = b""
        lines = data.split(b"\n")
        tail = lines.pop()
        if self._held + len(data) <= self._max:
            self._take(lines, frames)
        else:
            for line in lines:
                self._check(len(line), frames)
                self._take([line], frames)
        if tail:
            self._tail = tail
            self._check(len(tail), frames)
        return frames

    def receive_eof(self) -> list[Frame]:
        """The last event when its blank line never came. Idempotent."""
        frames: list[Frame] = []
        self._take([bytes(self._tail)] if self._tail else [], frames)
        self._tail = b""
        self.unterminated = self.unterminated or self._value is not None
        self._take([b""], frames)
        return frames

    def _take(self, lines: list[bytes], frames: list[Frame]) -> None:
        """Whole lines without their ends. The hottest loop there is: state in locals, the usual lines first."""
        event, value = self._event, self._value
        for line in lines:
            if not line:
                if value is not None:
                    if self._more is not None:
                        value = b"\n".join((value, *self._more))
                        self._more, self._more_size = None, 0
                    # What is carried undecoded (logprobs, foreign blocks) is looked at by nobody behind this.
                    frames.append(Frame(event, value if value.isascii() else _mended(value)))
                    value = None
                event = ""
                continue
            if line[:6] == b"data: ":
                found = line[6:]
            elif (name := self._names.get(line)) is not None:
                event = name
                continue
            else:
                field, _, found = line.partition(b":")
                found = found[1:] if found[:1] == b" " else found
                if field == b"event":
                    event = found.decode("utf-8", "replace")
                    self._learn(line, event)
                if field != b"data":
                    continue  # comments (empty name), id and retry, which no dialect uses, and unknown fields
            if value is None:
                value = found
            else:
                if self._more is None:
                    self._more = []
                self._more.append(found)
                self._more_size += len(found) + 1
        self._event, self._value = event, value
        # An empty line counts too: it costs a place in the list.
        self._held = 0 if value is None else len(value) + 1 + self._more_size

    def _learn(self, line: bytes, event: str) -> None:
        names = self._names
        if len(names) < _MAX_NAMES:
            self._names = {**names, line: event}

    def _hold(self, data: bytes) -> None:
        """Keep more of a line whose end has not come."""
        tail = self._tail
        if type(tail) is not bytearray:
            self._tail = tail = bytearray(tail)
        tail += data

    def _prepared(self, data: bytes) -> bytes:
        """``data`` with LF for every line end and without a leading BOM."""
        if self._failed:
            return b""
        if self._after_cr and data:
            self._after_cr = False
            data = data[1:] if data[:1] == b"\n" else data  # the second half of a CRLF
        if _CR in data:
            self._after_cr = data[-1:] == b"\r"
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._first and data:
            data = b"".join((self._tail, data))
            self._tail = b""
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._tail = data
                return b""
            self._first = False
            data = data.removeprefix(_BOM)
        self._plain = not (self._first or self._after_cr)
        return data

    def _check(self, size: int, frames: list[Frame]) -> None:
        """Fail when a line of ``size`` bytes, whole or not, is too much for its event; the chunking plays no part."""
        if self._held + size > self._max:
            self._failed, self._plain = True, False
            self._tail = b""
            self._event, self._value, self._more = "", None, None
            self.frames_before_fault = frames
            raise RemoteProtocolError(f"one event is larger than {self._max} bytes", kind=ErrorKind.UPSTREAM)


def objects(data: bytes) -> bytes | None:
    """The data of whole events, a line for each; None where they are not all one ``data:`` line with an object.

    ``data`` begins where an event does. What a `FrameDecoder` makes of it are frames without a name, of these lines.
    """
    if not data.startswith(b"data: {") or not data.endswith(b"\n\n") or _CR in data or len(data) > MAX_EVENT_SIZE:
        return None
    said = data[6:-2]
    lines = said.replace(b"\n\ndata: {", b"\n{")
    # Every line end that is left came in the place of seven bytes more, so it is one between two events.
    if 7 * lines.count(b"\n") != len(said) - len(lines):
        return None
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return None
    return lines


def encode(event: str, data: bytes) -> bytes:
    """One event. ``data`` must not hold a line end; JSON never does."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data


def comment(text: str = "") -> bytes:
    """A comment line: keeps a connection alive and is no event. ``text`` must not hold a line end."""
    return b": %b\n\n" % text.encode()
