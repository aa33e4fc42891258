"""Takes the chunk with the usage out of a stream that passes through, for a client that did not ask for it (U6).  [hot]

Nothing else changes: events leave byte for byte as they came. The ``"usage":null`` that OpenAI puts into every other
chunk once it was asked stays, because clients read it as a chunk without usage, which it is; so does a usage beside
choices, which vendors send unasked (U5).
"""

from __future__ import annotations

import re

import msgspec

from ... import ir, json
from ...dialect import Scanner
from ...errors import RemoteProtocolError
from ...sse import MAX_EVENT_SIZE, FrameDecoder

_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
"""An empty line behind a line: the end of an event."""
_COUNTED = re.compile(rb'"usage"[ \t\r\n]*:[ \t\r\n]*\{')
"""What a chunk with usage holds; within a JSON text the quotes have backslashes before them."""
_SEAM = 3
"""Bytes of what is held in which the end of an event can have begun."""


class _Chunk(msgspec.Struct, frozen=True, gc=False):
    choices: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")


_chunk = json.decoder(_Chunk)


class QuietScanner:
    """A scanner of streams around another, whose bytes it filters. An event that is cut by the end of a read is held
    until it is whole, as the relay holds it anyway."""

    def __init__(self, inner: Scanner) -> None:
        self._inner = inner
        self._held: list[bytes] = []
        self._size = 0
        self._last = b""
        self._half: bool | None = None
        """Where the last event ended with the CR that a LF may follow: whether that event was passed on."""
        self._lost = False
        """Whether an event was too long to be held: the rest passes as it is."""

    @property
    def usage(self) -> ir.Usage | None:
        return self._inner.usage

    @property
    def model(self) -> str | None:
        return self._inner.model

    @property
    def finish(self) -> ir.FinishReason | None:
        return self._inner.finish

    @property
    def error(self) -> ir.Error | None:
        return self._inner.error

    @property
    def complete(self) -> bool:
        return self._inner.complete

    @property
    def last(self) -> bool:
        return self._inner.last

    @property
    def missing_end(self) -> bytes:
        return self._inner.missing_end

    def receive_data(self, data: bytes) -> bytes:
        """Bytes to pass on: whole events."""
        data = self._inner.receive_data(data)
        if not self._held and self._half is None and data.endswith(b"\n\n") and _COUNTED.search(data) is None:
            return data  # the usual read
        return self._cut(data)

    def receive_eof(self) -> bytes:
        """What was held; the last event may lack its empty line."""
        out = self._cut(self._inner.receive_eof())
        rest = b"".join(self._held)
        self._held, self._size, self._last = [], 0, b""
        return out if _is_usage(rest) else out + rest

    def receive_whole(self, data: bytes) -> bytes:
        """As `dialect.Scanner.receive_whole`."""
        return self.receive_data(data) + self.receive_eof()

    def _cut(self, data: bytes) -> bytes:
        if self._lost or not data:
            return data
        before = b""
        if self._half is not None:
            if data[:1] == b"\n":
                before, data = b"\n" if self._half else b"", data[1:]
            self._half = None
        if _END.search(self._last + data) is None:
            self._hold(data)
            return before + self._freed() if self._size > MAX_EVENT_SIZE else before
        data = b"".join([*self._held, data])
        self._held, self._size = [], 0
        out, at = [before], 0
        passed = True
        for end in _END.finditer(data):
            event = data[at : end.end()]
            at = end.end()
            passed = not _is_usage(event)
            if passed:
                out.append(event)
        if at == len(data) and data[-1:] == b"\r":
            self._half = passed
        self._last = b""
        self._hold(data[at:])
        return b"".join(out)

    def _hold(self, data: bytes) -> None:
        if data:
            self._held.append(data)
            self._size += len(data)
            self._last = (self._last + data)[-_SEAM:]

    def _freed(self) -> bytes:
        out = b"".join(self._held)
        self._held, self._size, self._lost = [], 0, True
        return out


def _is_usage(event: bytes) -> bool:
    """Whether an event tells the usage and nothing else."""
    if _COUNTED.search(event) is None:
        return False
    try:
        frames = FrameDecoder()
        found = [*frames.receive_data(event), *frames.receive_eof()]
        chunks = [json.decode(frame.data, _chunk) for frame in found]
    except RemoteProtocolError:
        return False
    return bool(chunks) and all(_tells_usage(chunk) for chunk in chunks)


def _tells_usage(chunk: _Chunk) -> bool:
    return not chunk.choices and json.kind(chunk.usage) == "object" and json.kind(chunk.error) in ("null", "nothing")
