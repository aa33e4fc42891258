"""Bytes of a Chat stream to events.  [hot]

What of a chunk is interesting is in small structs; the usual delta, one field of text, costs one decode and one
event. Nothing a provider sends raises: a fault is a `StreamFailed`, and the last event.
"""

from __future__ import annotations

import enum

import msgspec

from ... import ir, json
from ...accumulate import play
from ...errors import RemoteProtocolError
from ...events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    End,
    Event,
    Finish,
    Logprobs,
    OpaqueDelta,
    Raw,
    ReasoningDelta,
    RefusalDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from ...held import MAX_BODY
from ...repeats import Repeats
from ...sse import Frame, FrameDecoder
from . import errors, reasoning, response
from .calls import Calls
from .decode_parts import NAME
from .usage import decode_finish, decode_usage

_NONE = json.Raw()


class _Choice(msgspec.Struct, frozen=True):
    index: int | None = None
    delta: response.MessageAnswer | None = None
    finish_reason: str | None = None
    logprobs: json.Raw = _NONE
    stop_reason: int | str | None = None
    matched_stop: int | str | None = None
    usage: json.Raw = _NONE


class _XGroq(msgspec.Struct, frozen=True):
    usage: json.Raw = _NONE


class _Chunk(msgspec.Struct, frozen=True):
    id: str | int | None = None
    model: str | None = None
    created: int | float | str | None = None
    choices: list[_Choice] | None = None
    usage: json.Raw = _NONE
    error: json.Raw = _NONE
    x_groq: json.Raw = _NONE


_chunk = json.decoder(_Chunk)
_x_groq = json.decoder(_XGroq)


class State(enum.Enum):
    HEAD = "head"
    """No byte that says what it is."""
    STREAM = "stream"
    FINISHED = "finished"
    """A finish reason was given; usage may follow."""
    BODY = "body"
    """The provider ignored ``stream`` and answers with one JSON object (S10)."""
    CLOSED = "closed"


# Looked up once: a member of an enum costs more than a comparison with it.
_TEXT, _REASONING = BlockKind.TEXT, BlockKind.REASONING
_HEAD, _STREAM, _FINISHED = State.HEAD, State.STREAM, State.FINISHED
_BODY, _CLOSED = State.BODY, State.CLOSED


class StreamDecoder:
    """Reads one stream. Call `receive_data` for every read and `receive_eof` when the provider has closed."""

    __slots__ = (
        "_body", "_calls", "_details", "_frames", "_kind", "_last_usage", "_model", "_next", "_open", "_others",
        "_plain_thoughts", "_refused", "_repeats", "_started", "state",
    )  # fmt: skip

    def __init__(self) -> None:
        self.state = _HEAD
        self._frames = FrameDecoder()
        self._repeats = Repeats()
        self._body: bytearray | None = None
        """What came before it was clear what it is, then the object."""
        self._model = ""
        self._started = False
        self._next = 0
        self._open: int | None = None
        self._kind: BlockKind | None = None
        """Of the one open block that is no tool."""
        self._calls: Calls | None = None
        self._details: reasoning.Details | None = None
        self._refused = False
        self._others = False
        """Whether there is more than one choice."""
        self._last_usage: ir.Usage | None = None
        self._plain_thoughts = False
        """Thoughts come as plain text: entries of ``reasoning_details`` repeat it."""

    # --- input -------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Event]:
        """Events completed by ``data``."""
        out: list[Event] = []
        if self.state is _STREAM:
            if data:
                self._repeats.receive(data, out, self._read, self._is_steady)
            return out
        if self.state is _HEAD:
            data = self._sniff(data)
        if self.state is _BODY:
            assert self._body is not None
            self._body += data
            if len(self._body) > MAX_BODY:
                self._fail(ir.Error(ir.ErrorKind.UPSTREAM, f"the answer is longer than {MAX_BODY} bytes"), out)
            return out
        if self.state is not _CLOSED and data:
            self._repeats.receive(data, out, self._read, self._is_steady)
        return out

    def _is_steady(self) -> bool:
        """Whether an event that `Repeats` knows is what it was when it was learnt."""
        return self.state is _STREAM and self._open == self._repeats.ix and self._frames.idle

    def _read(self, data: bytes, out: list[Event]) -> None:
        if self.state is _CLOSED:
            return
        fault = None
        try:
            frames = self._frames.receive_data(data)
        except RemoteProtocolError as exc:
            frames, fault = self._frames.frames_before_fault, exc.error
        try:
            self._receive(frames, out)
        except RemoteProtocolError as exc:  # a call that never got a name shows when the stream is closed
            fault = exc.error
        if fault is not None:
            self._fail(fault, out)

    def receive_eof(self) -> list[Event]:
        """The provider closed the connection. Idempotent."""
        out: list[Event] = []
        try:
            return self._receive_eof(out)
        except RemoteProtocolError as exc:
            self._fail(exc.error, out)
            return out

    def _receive_eof(self, out: list[Event]) -> list[Event]:
        if self.state is _CLOSED:
            return out
        if self.state is _BODY:
            return self._whole()
        if self.state is _HEAD and self._body:
            data, self._body = bytes(self._body), None
            self.state = _STREAM
            self._receive(self._frames.receive_data(data), out)
        if self.state is _FINISHED:
            rest: list[Event] = []
            self._receive(self._frames.receive_eof(), rest)
            # Torn usage is no usage, but all that counts was said before it (T2).
            if not (rest and isinstance(rest[-1], StreamFailed) and rest[-1].error.dialect is None):
                out.extend(rest)
            else:
                out.append(End())
            if self.state is _FINISHED:
                self._end(out)
            return out
        self._receive(self._frames.receive_eof(), out)
        if self.state is _FINISHED:
            self._end(out)
        elif self.state is not _CLOSED:
            what = "before its end" if self._started else "without one event"
            self._fail(ir.Error(ir.ErrorKind.TRUNCATED, f"the provider's stream stopped {what}"), out)
        return out

    def _sniff(self, data: bytes) -> bytes:
        """Decide what this is by the first byte that is no space."""
        blanks = self._body
        if blanks is not None:
            data, self._body = b"".join((blanks, data)), None
        head = data.lstrip(b"\xef\xbb\xbf \t\r\n")
        if not head:
            self._body = bytearray(data)
            return b""
        if head[:1] != b"{":
            self.state = _STREAM
            return data
        self.state, self._body = _BODY, bytearray()
        return data

    def _whole(self) -> list[Event]:
        body = bytes(self._body or b"").lstrip(b"\xef\xbb\xbf \t\r\n")
        self.state = _CLOSED
        try:
            return play(response.decode(body))
        except RemoteProtocolError as exc:
            error = exc.error
            if error.code == "invalid_json":  # our own words for a body that was cut
                error = msgspec.structs.replace(error, kind=ir.ErrorKind.UPSTREAM)
            return [StreamFailed(error)]

    def _receive(self, frames: list[Frame], out: list[Event]) -> None:
        for frame in frames:
            if self.state is _CLOSED:
                return
            data = frame.data
            if data[:1] != b"{":
                data = data.strip()
                if data.startswith(b"[DONE]"):
                    self._done(out)
                    continue
                if data[:1] != b"{":
                    continue  # prose, arrays and empty events of proxies mean nothing (S8)
            known = len(out)
            try:
                self._chunk(data, frame.event, out)
                if len(out) == known + 1:
                    self._learn(frame, out[known])
            except RemoteProtocolError as exc:
                self._fail(msgspec.structs.replace(exc.error, kind=ir.ErrorKind.UPSTREAM, param=None), out)

    def _learn(self, frame: Frame, event: Event) -> None:
        if type(event) is TextDelta:
            self._repeats.learn(frame, b"content", event)
        elif type(event) is ReasoningDelta and event.summary is None:
            for key in (b"reasoning_content", b"reasoning"):  # of the two the first one counts
                if self._repeats.learn(frame, key, event):
                    return

    # --- chunks ------------------------------------------------------------------------------------------

    def _chunk(self, data: bytes, event: str, out: list[Event]) -> None:
        try:
            chunk = json.decode(data, _chunk)
        except RemoteProtocolError:
            if event == "error" or b'"error"' in data:
                self._fail(errors.in_band(data), out)
                return
            mended = json.mend_utf8(data)
            if mended == data:
                raise
            chunk = json.decode(mended, _chunk)
        if event == "error" or (len(chunk.error) and errors.has_error(chunk.error)):
            self._fail(errors.in_band(data), out)
            return
        choices = chunk.choices
        if choices is None and errors.is_bare(data):
            self._fail(errors.in_band(data), out)
            return
        if not self._started and (choices or (chunk.model and chunk.id)):
            self._start(chunk, out)
        if choices:
            for choice in choices:
                if not choice.index:
                    self._choice(choice, out)
                elif self.state is _STREAM and not self._others:
                    # A client that asked for them gets the bytes as they are; nobody else can be given them.
                    self._others = True
                    out.append(Raw(NAME, "choices", data))
        if self.state is _CLOSED:
            return
        if len(chunk.usage) > len(b"null"):
            self._usage(chunk.usage, out)
        elif len(chunk.x_groq):
            self._groq(chunk.x_groq, out)

    def _start(self, chunk: _Chunk, out: list[Event]) -> None:
        self._started = True
        self.state = _STREAM
        self._model = chunk.model or ""
        created = chunk.created
        out.append(Start(str(chunk.id or ""), self._model, int(created) if isinstance(created, (int, float)) else None))

    def _usage(self, raw: json.Raw, out: list[Event]) -> None:
        usage = decode_usage(raw, self._last_usage)
        if usage is not None and self._started:
            self._last_usage = usage
            out.append(UsageUpdate(usage))

    def _groq(self, raw: json.Raw, out: list[Event]) -> None:
        try:
            self._usage(json.decode(raw, _x_groq).usage, out)
        except RemoteProtocolError:
            return  # another server's field of that name

    def _choice(self, choice: _Choice, out: list[Event]) -> None:
        if self.state is _FINISHED:
            if len(choice.usage):
                self._usage(choice.usage, out)
            return  # what follows a finish reason is a repetition of it
        delta = choice.delta
        if delta is not None:
            self._delta(delta, out)
        if len(choice.logprobs) > len(b"null") and self._kind is _TEXT and self._open is not None:
            found = response.logprobs(choice.logprobs)
            if found is not None:
                out.append(Logprobs(self._open, found))
        if len(choice.usage):
            self._usage(choice.usage, out)
        if choice.finish_reason:
            self._finish(choice, choice.finish_reason, out)

    def _delta(self, delta: response.MessageAnswer, out: list[Event]) -> None:
        thought = delta.reasoning_content or delta.reasoning
        if thought and (thought := delta.thought):
            self._plain_thoughts = True
            out.append(ReasoningDelta(self._block(_REASONING, out), thought))
        if delta.reasoning_details:
            self._take_details(delta.reasoning_details, self._plain_thoughts, out)
        content = delta.content
        if content:
            if isinstance(content, str):
                ix = self._open if self._kind is _TEXT else None
                out.append(TextDelta(self._block(_TEXT, out) if ix is None else ix, content))
            else:
                self._mixed(content, out)
        if delta.refusal:
            self._refused = True
            out.append(RefusalDelta(self._block(BlockKind.REFUSAL, out), delta.refusal))
        if delta.annotations and self._kind is _TEXT and self._open is not None:
            out.extend(Citation(self._open, NAME, bytes(raw)) for raw in delta.annotations)
        elif delta.annotations:  # of a text that is not there
            out.append(Raw(NAME, "annotations", bytes(delta.annotations[0])))
        if delta.tool_calls:
            self._close(out)
            calls = self._calls = self._calls or Calls()
            self._next = calls.receive(delta.tool_calls, self._model, self._next, out)
        if delta.function_call is not None and (delta.function_call.name or delta.function_call.arguments):
            self._close(out)
            calls = self._calls = self._calls or Calls()
            self._next = calls.receive_legacy(delta.function_call, self._next, out)
        if len(delta.audio) or len(delta.images) or len(delta.executed_tools):
            for name in response.MADE:
                value = bytes(getattr(delta, name))
                if value not in (b"", b"null", b"[]"):
                    self._made(name, value, out)

    def _made(self, name: str, value: bytes, out: list[Event]) -> None:
        """Pictures come whole, as in an answer that is no stream; of the rest only pieces are seen."""
        if name != "images":
            out.append(Raw(NAME, name, value))
            return
        self._close(out)
        out.append(BlockStart(self._next, BlockKind.HOSTED, hosted=ir.Hosted(NAME, name, value)))
        out.append(BlockEnd(self._next))
        self._next += 1

    def _mixed(self, content: list[json.Raw], out: list[Event]) -> None:
        for is_thought, text in response.split_content(content):
            if is_thought:
                out.append(ReasoningDelta(self._block(_REASONING, out), text))
            else:
                out.append(TextDelta(self._block(_TEXT, out), text))

    def _take_details(self, details: list[json.Raw], known: bool, out: list[Event]) -> None:
        """Entries beside a text bring the same text again; without one they are the text."""
        for raw in details:
            entry = reasoning.read(raw)
            if entry is None:
                continue
            if not known and entry.text:
                out.append(ReasoningDelta(self._block(_REASONING, out), entry.text))
            elif not known and entry.summary:
                out.append(ReasoningDelta(self._block(_REASONING, out), entry.summary, summary=0))
            elif entry.token:
                self._block(_REASONING, out)
            if self._details is None:
                self._details = reasoning.Details()
            self._details.add(raw)

    # --- blocks ------------------------------------------------------------------------------------------

    def _block(self, kind: BlockKind, out: list[Event]) -> int:
        """The open block of ``kind``; another one that is open ends first, tool calls do not."""
        if self._kind is kind and self._open is not None:
            return self._open
        self._close(out)
        if self._calls is not None:
            self._next = self._calls.start_all(self._next, out)
        self._open, self._kind = self._next, kind
        self._next += 1
        out.append(BlockStart(self._open, kind))
        return self._open

    def _close(self, out: list[Event]) -> None:
        if self._open is None:
            return
        if self._kind is _REASONING and self._details is not None:
            for data in self._details.take():
                proof = ir.Opaque(reasoning.PROVIDER, self._model, ir.OpaqueKind.DETAILS, data)
                out.append(OpaqueDelta(self._open, proof))
        out.append(BlockEnd(self._open))
        self._open, self._kind = None, None

    # --- ends --------------------------------------------------------------------------------------------

    def _finish(self, choice: _Choice, word: str, out: list[Event]) -> None:
        calls = self._calls
        called = calls is not None and calls.any
        stop = choice.stop_reason if isinstance(choice.stop_reason, str) else choice.matched_stop
        if type(stop) is not str:
            stop = None
        reason, sequence = decode_finish(word, called=called, refused=self._refused, stop=stop)
        if reason is ir.FinishReason.ERROR:
            self._fail(ir.Error(ir.ErrorKind.UPSTREAM, f"the provider ended its answer with {word}"), out)
            return
        if reason is ir.FinishReason.TOOL_USE and not called:
            nameless = calls is not None and calls.nameless
            what = "a tool call without a name" if nameless else "no tool call, but ended as if it had"
            self._fail(ir.Error(ir.ErrorKind.UPSTREAM, f"the provider sent {what}"), out)
            return
        self._close_all(out)
        out.append(Finish(reason, sequence))
        self.state = _FINISHED

    def _close_all(self, out: list[Event]) -> None:
        self._close(out)
        if self._calls is not None:
            self._next = self._calls.end_all(self._next, out)

    def _done(self, out: list[Event]) -> None:
        """``[DONE]`` is an end also where no finish reason came (T2)."""
        if not self._started:
            self._fail(ir.Error(ir.ErrorKind.TRUNCATED, "the provider's stream ended without one event"), out)
            return
        if self.state is not _FINISHED:
            called = self._calls is not None and self._calls.any
            self._close_all(out)
            out.append(Finish(ir.FinishReason.TOOL_USE if called else ir.FinishReason.END))
        self._end(out)

    def _end(self, out: list[Event]) -> None:
        self.state = _CLOSED
        out.append(End())

    def _fail(self, error: ir.Error, out: list[Event]) -> None:
        if self.state is _CLOSED:
            return
        self.state = _CLOSED
        out.append(StreamFailed(error))
