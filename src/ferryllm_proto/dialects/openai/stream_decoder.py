"""Bytes of a Chat stream to events.  [hot]

What of a chunk is interesting is in small structs; the usual delta, one field of text, costs one decode and one
event. Whole chunks of the usual form (`chunks.UsualChunk`) are read at a glance, all others one by one, which gives the
same. Nothing a provider sends raises: a fault is a `StreamFailed`, and the last event.
"""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...accumulate import play
from ...errors import RemoteProtocolError
from ...events import (
    BlockKind,
    Citation,
    End,
    Event,
    Finish,
    Logprobs,
    Raw,
    ReasoningDelta,
    RefusalDelta,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from ...held import MAX_BODY
from ...repeats import FIRST, Repeats
from ...sse import Frame, FrameDecoder, objects
from . import chunks, errors, response
from .calls import Calls
from .decode_parts import NAME
from .stream_blocks import State as State
from .stream_blocks import StreamBlocks
from .usage import decode_usage, usage_of

# Looked up once: a member of an enum costs more than a comparison with it.
_TEXT, _REASONING = BlockKind.TEXT, BlockKind.REASONING
_HEAD, _STREAM, _FINISHED = State.HEAD, State.STREAM, State.FINISHED
_BODY, _CLOSED = State.BODY, State.CLOSED

_EVENTS = (_STREAM, _FINISHED)
_ENDED = Finish(ir.FinishReason.END)
_REPEATED = (TextDelta, ReasoningDelta)

_decode = chunks.usual.decode
_NOT_USUAL = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_DONE = b"data: [DONE]\n\n"
_BEFORE_DONE = -len(_DONE)
_MAX_ODD = 4
"""How many chunks that are not of the usual form a stream may have before nobody looks at a glance any more: those who
have many have one after another, and to look in vain costs a tenth of reading."""


class StreamDecoder(StreamBlocks):
    """Reads one stream. Call `receive_data` for every read and `receive_eof` when the provider has closed."""

    __slots__ = ("_begun", "_body", "_frames", "_odd", "_others", "_repeats")

    def __init__(self) -> None:
        super().__init__()
        # Most streams never need the first of them, and short ones neither.
        self._frames: FrameDecoder | None = None
        self._repeats: Repeats | None = None
        self._begun = False
        """Whether events were read that `_frames` has not seen."""
        self._odd = 0
        """How many chunks were not of the usual form."""
        self._body: bytearray | None = None
        """What came before it was clear what it is, then the object."""
        self._others = False
        """Whether there is more than one choice."""

    # --- input -------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> list[Event]:
        """Events completed by ``data``."""
        out: list[Event] = []
        repeats = self._repeats
        if repeats is not None and self.state is _STREAM:
            if data:
                repeats.receive(data, out, self._read, self._is_steady)
            return out
        if self.state is _HEAD:
            if data.startswith(b"data: ") and self._body is None:
                self.state = _STREAM
            else:
                data = self._sniff(data)
        if repeats is None and data and len(data) <= FIRST and self.state in _EVENTS:
            self._read(data, out)
        elif self.state is _BODY:
            assert self._body is not None
            self._body += data
            if len(self._body) > MAX_BODY:
                self._fail(ir.Error(ir.ErrorKind.UPSTREAM, f"the answer is longer than {MAX_BODY} bytes"), out)
        elif data and self.state in _EVENTS:  # so much at once that it may repeat itself
            self._repeats = repeats = repeats or Repeats()
            repeats.receive(data, out, self._read, self._is_steady)
        return out

    def _is_steady(self) -> bool:
        """Whether an event that `Repeats` knows is what it was when it was learnt."""
        repeats, frames = self._repeats, self._frames
        assert repeats is not None  # which asks
        return self.state is _STREAM and self._open == repeats.ix and (frames is None or frames.idle)

    def _read(self, data: bytes, out: list[Event]) -> None:
        frames = self._frames
        if self.state is _CLOSED or self._odd > _MAX_ODD:
            self._read_frames(data, out)
            return
        if frames is not None and not frames.idle:
            cut = data.find(b"\n\n") + 2  # the rest of an event that a read has cut
            data, rest = (data[:cut], data[cut:]) if cut > 1 else (data, b"")
            self._read_frames(data, out)
            if not rest:
                return
            if self.state is _CLOSED or not frames.idle:
                self._read_frames(rest, out)
                return
            data = rest
        rest, done = b"", data.endswith(_DONE)
        if done:
            lines = objects(data[:_BEFORE_DONE]) if len(data) > len(_DONE) else b""
        else:
            lines = objects(data)
            if lines is None and not data.endswith(b"\n\n"):
                cut = data.rfind(b"\n\n") + 2
                lines, rest = objects(data[:cut]), data[cut:]
        if lines is None:
            self._odd += not data.startswith(b"data: ")
            self._read_frames(data, out)
            return
        self._begun = True
        self._glance(lines, done, out)
        if rest:
            self._read_frames(rest, out)

    def _read_frames(self, data: bytes, out: list[Event]) -> None:
        """Read any bytes, event by event."""
        if self.state is _CLOSED:
            return
        frames = self._frames
        if frames is None:
            self._frames = frames = FrameDecoder()
            if self._begun:
                frames.go_on()
        fault = None
        try:
            found = frames.receive_data(data)
        except RemoteProtocolError as exc:
            found, fault = frames.frames_before_fault, exc.error
        try:
            self._receive(found, out)
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
            self._frames = FrameDecoder()
            self._receive(self._frames.receive_data(data), out)
        frames = [] if self._frames is None else self._frames.receive_eof()
        if self.state is _FINISHED:
            rest: list[Event] = []
            self._receive(frames, rest)
            # Torn usage is no usage, but all that counts was said before it (T2).
            if not (rest and isinstance(rest[-1], StreamFailed) and rest[-1].error.dialect is None):
                out.extend(rest)
            else:
                out.append(End())
            if self.state is _FINISHED:
                self._end(out)
            return out
        self._receive(frames, out)
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
        if self._repeats is None:
            self._repeats = Repeats()
        if type(event) is TextDelta:
            self._repeats.learn(frame, b"content", event)
        elif type(event) is ReasoningDelta and event.summary is None:
            for key in (b"reasoning_content", b"reasoning"):  # of the two the first one counts
                if self._repeats.learn(frame, key, event):
                    return

    # --- chunks of the usual form ------------------------------------------------------------------------

    def _glance(self, lines: bytes, done: bool, out: list[Event]) -> None:
        """Whole chunks, one in a line; ``done``: ``[DONE]`` comes behind them. What `_chunk` does, in one pass."""
        chunk: chunks.UsualChunk | None = None
        line, started, talks = b"", self._started, self.state is _STREAM
        for line in lines.split(b"\n") if lines else ():
            try:
                chunk = _decode(line)
            except _NOT_USUAL:
                self._odd += 1
                chunk = None
                self._receive([Frame("", line)], out)
                if self.state is _CLOSED:
                    return
                started, talks = self._started, self.state is _STREAM
                continue
            if chunk.choices:
                if not started:
                    started = True
                    self._start(chunk.id or "", chunk.model or "", chunk.created, out)
                if talks:  # what follows a finish reason is a repetition of it
                    choice = chunk.choices[0]
                    delta = choice.delta
                    if delta is not None:
                        if thought := delta.reasoning_content or delta.reasoning:
                            self._plain_thoughts = True
                            out.append(ReasoningDelta(self._block(_REASONING, out), thought))
                        if text := delta.content:
                            ix = self._open if self._kind is _TEXT else None
                            out.append(TextDelta(self._block(_TEXT, out) if ix is None else ix, text))
                        if delta.tool_calls and not self._called(delta.tool_calls, out):
                            return
                    if word := choice.finish_reason:
                        if word == "stop" and self._calls is None and not self._refused:
                            self._close(out)
                            out.append(_ENDED)
                            self.state = _FINISHED
                        elif not self._finished(choice, word, out):
                            return
                        talks = False
            elif not started and chunk.model and chunk.id:
                started = True
                self._start(chunk.id, chunk.model, chunk.created, out)
            if chunk.usage is not None and started:
                usage = usage_of(chunk.usage, self._last_usage)
                if usage is not None:
                    self._last_usage = usage
                    out.append(UsageUpdate(usage))
        if done:
            try:
                self._done(out)
            except RemoteProtocolError as exc:  # a call that never got a name
                self._fail(exc.error, out)
        elif chunk is not None and out and type(out[-1]) in _REPEATED:
            self._learn_usual(chunk, line, out[-1])

    def _called(self, found: list[response.CallAnswer], out: list[Event]) -> bool:
        """Whether the stream goes on behind these calls."""
        try:
            self._call(found, out)
        except RemoteProtocolError as exc:
            self._fail(msgspec.structs.replace(exc.error, kind=ir.ErrorKind.UPSTREAM, param=None), out)
        return self.state is not _CLOSED

    def _finished(self, choice: chunks.UsualChoice, word: str, out: list[Event]) -> bool:
        """Whether the stream goes on behind this reason to stop."""
        try:
            self._finish(choice, word, out)
        except RemoteProtocolError as exc:
            self._fail(msgspec.structs.replace(exc.error, kind=ir.ErrorKind.UPSTREAM, param=None), out)
        return self.state is not _CLOSED

    def _learn_usual(self, chunk: chunks.UsualChunk, line: bytes, event: Event) -> None:
        """Learn from the last line, where ``event`` is what it says and, once its block is open, all it says."""
        delta = chunk.choices[0].delta if chunk.choices else None
        if delta is None:
            return
        thought = delta.reasoning_content or delta.reasoning
        if not (thought and delta.content) and (delta.content or thought) == event.text:  # type: ignore[union-attr]  # deltas have one
            self._learn(Frame("", line), event)

    # --- chunks ------------------------------------------------------------------------------------------

    def _chunk(self, data: bytes, event: str, out: list[Event]) -> None:
        try:
            chunk = json.decode(data, chunks.chunk)
        except RemoteProtocolError:
            if event == "error" or b'"error"' in data:
                self._fail(errors.in_band(data), out)
                return
            mended = json.mend_utf8(data)
            if mended == data:
                raise
            chunk = json.decode(mended, chunks.chunk)
        if event == "error" or (len(chunk.error) and errors.has_error(chunk.error)):
            self._fail(errors.in_band(data), out)
            return
        choices = chunk.choices
        if choices is None and errors.is_bare(data):
            self._fail(errors.in_band(data), out)
            return
        if not self._started and (choices or (chunk.model and chunk.id)):
            created = chunk.created
            if type(created) is not int and created is not None:
                created = int(created) if type(created) is float else None
            self._start(str(chunk.id or ""), chunk.model or "", created, out)
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

    def _usage(self, raw: json.Raw, out: list[Event]) -> None:
        usage = decode_usage(raw, self._last_usage)
        if usage is not None and self._started:
            self._last_usage = usage
            out.append(UsageUpdate(usage))

    def _groq(self, raw: json.Raw, out: list[Event]) -> None:
        try:
            self._usage(json.decode(raw, chunks.x_groq).usage, out)
        except RemoteProtocolError:
            return  # another server's field of that name

    def _choice(self, choice: chunks.Choice, out: list[Event]) -> None:
        if self.state is _FINISHED:
            if len(choice.usage):
                self._usage(choice.usage, out)
            return  # what follows a finish reason is a repetition of it
        if self.state is _CLOSED:
            return  # an earlier choice of the chunk was its end
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
            self._call(delta.tool_calls, out)
        if delta.function_call is not None and (delta.function_call.name or delta.function_call.arguments):
            self._close(out)
            calls = self._calls = self._calls or Calls()
            self._next = calls.receive_legacy(delta.function_call, self._next, out)
        if len(delta.audio) or len(delta.images) or len(delta.executed_tools):
            for name in response.MADE:
                value = bytes(getattr(delta, name))
                if value not in (b"", b"null", b"[]"):
                    self._made(name, value, out)
