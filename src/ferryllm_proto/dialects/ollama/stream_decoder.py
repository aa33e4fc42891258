"""Lines of an Ollama stream to events, of either form (translation.md D4).  [hot]"""

from __future__ import annotations

import enum

import msgspec

from ... import ir, json
from ...accumulate import Accumulator, play
from ...error_text import unsuccessful
from ...errors import RemoteProtocolError
from ...events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    End,
    Event,
    Finish,
    Logprobs,
    Raw,
    ReasoningDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from ...held import MAX_BODY
from ...ndjson import LineDecoder
from . import errors, response, wire
from .times import seconds
from .usage import decode_finish, decode_usage

MAX_CALLS = 1024
"""Calls of one answer; the most seen in a real one is below 100."""


class State(enum.Enum):
    HEAD = "head"
    """No line yet."""
    STREAM = "stream"
    BODY = "body"
    """The first line is no whole JSON value: perhaps one object over several lines (S10)."""
    CLOSED = "closed"


# Looked up once: a member of an enum costs more than a comparison with it.
_TEXT, _REASONING = BlockKind.TEXT, BlockKind.REASONING
_HEAD, _STREAM, _BODY, _CLOSED = State.HEAD, State.STREAM, State.BODY, State.CLOSED


class StreamDecoder:
    """Reads one stream. Call `receive_data` for every read and `receive_eof` when the provider has closed."""

    __slots__ = ("_body", "_calls", "_kind", "_lines", "_next", "_open", "_size", "_unplaced", "state")

    def __init__(self) -> None:
        self.state = _HEAD
        self._lines = LineDecoder()
        self._body: list[bytes] = []
        self._size = 0
        self._next = 0
        self._open: int | None = None
        self._kind: BlockKind | None = None
        self._calls = 0
        self._unplaced = False
        """Whether probabilities came that are of no text."""

    def receive_data(self, data: bytes) -> list[Event]:
        """Events completed by ``data``."""
        out: list[Event] = []
        if self.state is _CLOSED:
            return out
        fault: ir.Error | None = None
        try:
            lines = self._lines.receive_data(data)
        except RemoteProtocolError as exc:
            lines, fault = self._lines.lines_before_fault, exc.error
        self._receive(lines, out)
        if fault is not None:
            self._fail(fault, out)
        return out

    def receive_eof(self) -> list[Event]:
        """The provider closed the connection. Idempotent."""
        out: list[Event] = []
        if self.state is _CLOSED:
            return out
        self._receive([line for line in self._lines.receive_eof() if not _is_torn(line)], out)
        if self.state is _BODY:
            self._whole(out)
        elif self.state is not _CLOSED:
            what = "without one line" if self.state is _HEAD else "before its end"
            self._fail(ir.Error(ir.ErrorKind.TRUNCATED, f"the provider's stream stopped {what}"), out)
        return out

    def _receive(self, lines: list[bytes], out: list[Event]) -> None:
        for line in lines:
            if self.state is _CLOSED:
                return  # behind the last line nothing counts
            if self.state is _BODY:
                self._collect(line, out)
                continue
            try:
                self._line(line, out)
            except RemoteProtocolError as exc:
                if self.state is _HEAD and line[:1] == b"{" and exc.error.code == "invalid_json":
                    self.state = _BODY
                    self._collect(line, out)
                    continue
                self._fail(msgspec.structs.replace(exc.error, kind=ir.ErrorKind.UPSTREAM, param=None), out)

    # --- lines -------------------------------------------------------------------------------------------

    def _line(self, data: bytes, out: list[Event]) -> None:
        try:
            line = json.decode(data, wire.line)
        except RemoteProtocolError:
            if data[:1] == b"{" and data[-1:] == b"}" and (b'"error"' in data or unsuccessful(data)):
                self._fail(errors.in_band(data), out)
                return
            raise
        if errors.has_error(line.error):
            self._fail(errors.in_band(data), out)
            return
        message = line.message
        if message is None and line.response is None and not line.done:
            if unsuccessful(data):
                self._fail(errors.in_band(data), out)
            return  # progress of loading, and what else servers tell
        if self.state is _HEAD:
            self.state = _STREAM
            out.append(Start("", line.model or "", seconds(line.created_at)))
        if message is not None:
            if message.thinking:
                out.append(ReasoningDelta(self._block(_REASONING, out), message.thinking))
            if message.content:
                ix = self._open if self._kind is _TEXT else None
                out.append(TextDelta(self._block(_TEXT, out) if ix is None else ix, message.content))
            if len(line.logprobs):
                self._logprobs(line, out)
            if message.tool_calls:
                self._call(message.tool_calls, out)
        else:
            if line.thinking:
                out.append(ReasoningDelta(self._block(_REASONING, out), line.thinking))
            if line.response:
                out.append(TextDelta(self._block(_TEXT, out), line.response))
            if len(line.logprobs):
                self._logprobs(line, out)
        if line.done:
            self._done(line, out)

    def _block(self, kind: BlockKind, out: list[Event]) -> int:
        """The open block of ``kind``; another one that is open ends first."""
        if self._kind is kind and self._open is not None:
            return self._open
        self._close(out)
        self._open, self._kind = self._next, kind
        self._next += 1
        out.append(BlockStart(self._open, kind))
        return self._open

    def _close(self, out: list[Event]) -> None:
        if self._open is not None:
            out.append(BlockEnd(self._open))
            self._open, self._kind = None, None

    def _call(self, calls: list[wire.AnswerCall], out: list[Event]) -> None:
        """Calls come whole, so each is a block that begins and ends at once."""
        self._close(out)
        for call in calls:
            name, text = response.name(call), response.arguments(call)
            self._calls += 1
            if self._calls > MAX_CALLS:
                what = f"the answer has more than {MAX_CALLS} tool calls"
                raise RemoteProtocolError(what, kind=ir.ErrorKind.UPSTREAM)
            ix, self._next = self._next, self._next + 1
            out.append(BlockStart(ix, BlockKind.TOOL, id=call.id or None, name=name))
            if text:
                out.append(ArgsDelta(ix, text))
            out.append(BlockEnd(ix))

    def _logprobs(self, line: wire.Line, out: list[Event]) -> None:
        found = response.logprobs(line.logprobs)
        if found is None:
            return
        if self._kind is _TEXT and self._open is not None:
            out.append(Logprobs(self._open, found))
        elif not self._unplaced:  # of a thought, or of nothing that is shown
            self._unplaced = True
            out.append(Raw(wire.NAME, "logprobs", found))

    # --- ends --------------------------------------------------------------------------------------------

    def _done(self, line: wire.Line, out: list[Event]) -> None:
        self._close(out)
        out.append(Finish(decode_finish(line, called=self._calls > 0)))
        usage = decode_usage(line)
        if usage is not None:
            out.append(UsageUpdate(usage))
        out.append(End())
        self.state = _CLOSED

    def _collect(self, line: bytes, out: list[Event]) -> None:
        self._size += len(line) + 1
        if self._size > MAX_BODY:
            self._fail(ir.Error(ir.ErrorKind.UPSTREAM, f"the answer is longer than {MAX_BODY} bytes"), out)
        else:
            self._body.append(line)

    def _whole(self, out: list[Event]) -> None:
        body, self._body = b"\n".join(self._body), []
        try:
            out.extend(play(response.decode(body)))
            self.state = _CLOSED
        except RemoteProtocolError as exc:
            self._fail(exc.error, out)

    def _fail(self, error: ir.Error, out: list[Event]) -> None:
        if self.state is not _CLOSED:
            self.state = _CLOSED
            out.append(StreamFailed(error))


def _is_torn(line: bytes) -> bool:
    """Whether a last line without its end is half a line: then the stream was cut, and its JSON is nobody's fault."""
    if line[:1] != b"{":
        return False
    try:
        json.fields(line)
    except RemoteProtocolError as exc:
        return exc.error.code == "invalid_json"
    return False


# --- whole answers that came as lines --------------------------------------------------------------------


def is_lines(body: bytes) -> bool:
    """Whether a body that should be one object is a stream: its first line is an object, and another one follows."""
    first, _, rest = body.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    if not rest.strip():
        return b'"done":false' in first or b'"done": false' in first
    try:
        json.fields(first)
    except RemoteProtocolError:
        return False
    return True


def fold(body: bytes) -> ir.Response:
    """A stream in one piece. Raises `RemoteProtocolError`."""
    decoder, folded = StreamDecoder(), Accumulator()
    for event in decoder.receive_data(body) + decoder.receive_eof():
        folded.send(event)
    if folded.failed is not None:
        raise errors.raised(folded.failed)
    return folded.response()
