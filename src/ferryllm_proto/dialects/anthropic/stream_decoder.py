"""A provider's stream to events.

The API keeps blocks in a row; llama.cpp overlaps them and closes all at the end, so blocks are told apart by the
provider's ``index`` and may be open together. Nothing the provider sends raises: a fault is `StreamFailed`, and the
events before it are delivered.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from ... import ir, json, sse
from ...accumulate import Accumulator, play
from ...errors import RemoteProtocolError
from ...events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    End,
    Event,
    Finish,
    OpaqueDelta,
    Ping,
    Raw,
    ReasoningDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from ...held import MAX_BODY
from ...repeats import Repeats
from . import carrier, errors, response, wire
from . import usage as usages
from .wire import NAME, given

MAX_HOSTED = 16 << 20
"""Characters of a server tool's input, which is held until the block is whole: the limit of one event."""


class State(enum.Enum):
    START = "start"
    """Nothing but white space so far."""
    PLAIN = "plain"
    """The body is one JSON and not a stream (S10)."""
    STREAM = "stream"
    FINISHED = "finished"
    """The reason to stop has come; ``message_stop`` has not."""
    OVER = "over"
    """`End` or `StreamFailed` is out."""


# Looked up once: a member of an enum costs more than a comparison with it.
_START, _PLAIN, _STREAM, _FINISHED, _OVER = State.START, State.PLAIN, State.STREAM, State.FINISHED, State.OVER
_KEYS: dict[type, bytes] = {TextDelta: b"text", ReasoningDelta: b"thinking", ArgsDelta: b"partial_json"}
"""The deltas that come one after another, and the members their texts are in."""


_KIND_OF = {
    "text_delta": BlockKind.TEXT,
    "citations_delta": BlockKind.TEXT,
    "input_json_delta": BlockKind.TOOL,
    "thinking_delta": BlockKind.REASONING,
    "signature_delta": BlockKind.REASONING,
}
"""The blocks that deltas belong to."""


class _Open:
    """A block that has started and not ended."""

    __slots__ = ("args", "citations", "hosted", "ix", "kind", "seen", "size", "start_input")

    def __init__(self, ix: int, kind: BlockKind) -> None:
        self.ix = ix
        self.kind = kind
        self.hosted: ir.Hosted | None = None
        self.start_input = ""
        """Input that came with the start; it counts when no fragment follows."""
        self.args: list[str] = []
        """Fragments of a server tool's input."""
        self.citations: list[Citation] = []
        """Of a text, until it is whole."""
        self.size = 0
        self.seen = False


class StreamDecoder:
    """See `ferryllm_proto.dialect.StreamDecoder`."""

    __slots__ = (
        "_body", "_called", "_frames", "_model", "_next", "_open", "_others", "_repeated", "_repeated_block",
        "_repeats", "_started", "_state",
    )  # fmt: skip

    def __init__(self) -> None:
        self._frames = sse.FrameDecoder()
        self._state = _START
        self._body = bytearray()
        self._model = ""
        self._started = False
        self._open: dict[int, _Open] = {}
        self._next = 0
        self._called = False
        self._others = False
        """Whether there was a block only this dialect knows: it may be what calls."""
        self._repeats = Repeats()
        self._repeated = -1
        """The provider's index of the block of the event that is known, and the block."""
        self._repeated_block: _Open | None = None

    def receive_data(self, data: bytes) -> list[Event]:
        """Events completed by ``data``."""
        state = self._state
        if state is _OVER:
            return []
        if state is _START:
            self._body += data
            rest = self._body.lstrip(b"\xef\xbb\xbf \t\r\n")
            if not rest:
                if len(self._body) > MAX_BODY:
                    return self._fail("the provider's stream is nothing but white space", ir.ErrorKind.UPSTREAM)
                return []
            if rest[:1] == b"{":
                self._state = _PLAIN
                return []
            data, self._body = bytes(self._body), bytearray()
            self._state = State.STREAM
        elif state is _PLAIN:
            self._body += data
            if len(self._body) > MAX_BODY:
                return self._fail(f"the provider's answer is larger than {MAX_BODY} bytes", ir.ErrorKind.UPSTREAM)
            return []
        out: list[Event] = []
        self._repeats.receive(data, out, self._read, self._is_steady)
        return out

    def _is_steady(self) -> bool:
        """Whether an event that `Repeats` knows is what it was when it was learnt."""
        return self._state is _STREAM and self._open.get(self._repeated) is self._repeated_block and self._frames.idle

    def _read(self, data: bytes, out: list[Event]) -> None:
        fault = None
        try:
            frames = self._frames.receive_data(data)
        except RemoteProtocolError as exc:
            frames, fault = self._frames.frames_before_fault, str(exc)
        for frame in frames:
            self._frame(frame, out)
        if fault is not None and self._state is not _OVER:
            out.extend(self._fail(fault, ir.ErrorKind.UPSTREAM))

    def receive_eof(self) -> list[Event]:
        """The provider closed."""
        if self._state is _OVER:
            return []
        if self._state is _PLAIN:
            return self._plain()
        out: list[Event] = []
        for frame in self._frames.receive_eof():
            self._frame(frame, out, last=True)
        out += self._ended()
        return out

    def _ended(self) -> list[Event]:
        """The end of the bytes: a reason to stop before it will do (T2)."""
        if self._state is _OVER:
            return []
        if self._state is _FINISHED:
            self._state = _OVER
            return [End()]
        what = "ended before its end" if self._started else "was empty"
        return self._fail(f"the provider's stream {what}", ir.ErrorKind.TRUNCATED)

    # --- frames ---

    def _frame(self, frame: sse.Frame, out: list[Event], *, last: bool = False) -> None:
        if self._state is _OVER:
            return
        data = frame.data
        try:
            event = json.decode(data, wire.stream_event)
        except RemoteProtocolError:
            mended = json.mend_utf8(data)
            try:
                event = json.decode(mended, wire.stream_event)
                data = mended
            except RemoteProtocolError as exc:
                self._unreadable(frame, exc, out, last)
                return
        handler = _EVENTS.get(event.type or frame.event)
        if handler is not None:
            known = len(out)
            handler(self, event, data, out)
            if event.delta is not None and len(out) == known + 1 and event.index is not None:
                self._learn(frame, event.index, out[known])
        elif given(event.error) is not None:
            self._error(event, data, out)
        elif event.type and self._started:  # nothing comes before Start
            out.append(Raw(NAME, event.type, data))

    def _learn(self, frame: sse.Frame, index: int, event: Event) -> None:
        key = _KEYS.get(type(event))
        held = self._open.get(index)
        if key is None or held is None or held.ix != event.ix:  # type: ignore[union-attr]  # deltas have one
            return
        if self._repeats.learn(frame, key, event):  # type: ignore[arg-type]  # one of the types of `_KEYS`
            self._repeated, self._repeated_block = index, held

    def _unreadable(self, frame: sse.Frame, exc: RemoteProtocolError, out: list[Event], last: bool) -> None:
        """Data that is no object is noise (S8); an object that can not be read has lost text with it."""
        if frame.event == "error":
            out.extend(self._failed(errors.in_band(frame.data)))
        elif last and self._state is _FINISHED:
            return  # torn, but all was said before it (T2)
        elif frame.data.lstrip()[:1] == b"{":
            kind = ir.ErrorKind.TRUNCATED if last else ir.ErrorKind.UPSTREAM
            out.extend(self._fail(f"the provider sent an event that can not be read: {exc}", kind))

    def _message_start(self, event: wire.StreamEvent, data: bytes, out: list[Event]) -> None:
        if self._started:
            return  # some servers say it twice; the answer has one identity
        id_, usage = "", None
        message = given(event.message)
        if message is not None:
            try:
                answer = json.decode(message, wire.answer)
            except RemoteProtocolError as exc:
                out.extend(self._fail(f"the provider's message_start can not be read: {exc}", ir.ErrorKind.UPSTREAM))
                return
            id_, self._model, usage = answer.id or "", answer.model or "", usages.decode(answer.usage)
        self._start(out, id_, usage)

    def _start(self, out: list[Event], id_: str = "", usage: ir.Usage | None = None) -> None:
        self._started = True
        out.append(Start(id_, self._model, usage=usage))

    def _block_start(self, event: wire.StreamEvent, data: bytes, out: list[Event]) -> None:
        if self._state is _FINISHED:
            return
        index = event.index if event.index is not None else self._next
        raw = given(event.content_block) or b'{"type":"text"}'
        try:
            block = json.decode(raw, wire.block)
        except RemoteProtocolError as exc:
            out.extend(self._fail(f"the provider's block can not be read: {exc}", ir.ErrorKind.UPSTREAM))
            return
        if index in self._open:
            self._close(index, out)
        if block.type in ("text", ""):
            held = self._begin(index, BlockStart(self._next, BlockKind.TEXT), out)
            self._text(held, wire.Delta(text=block.text), out)
            self._citations(held, block, out)
        elif block.type in ("thinking", "redacted_thinking"):
            held = self._begin(index, BlockStart(self._next, BlockKind.REASONING), out)
            self._thinking(held, wire.Delta(thinking=block.thinking), out)
            self._material(held, block.signature, ir.OpaqueKind.SIGNATURE, out)
            self._material(held, block.data, ir.OpaqueKind.REDACTED, out)
        elif block.type == "tool_use":
            self._called = True
            start = BlockStart(self._next, BlockKind.TOOL, id=block.id, name=block.name)
            held = self._begin(index, start, out)
            held.start_input = (given(block.input) or b"").decode()
        else:
            self._others = True
            hosted = ir.Hosted(NAME, block.type, raw)
            held = self._begin(index, BlockStart(self._next, BlockKind.HOSTED, hosted=hosted), out)
            held.hosted = hosted

    def _begin(self, index: int, start: BlockStart, out: list[Event]) -> _Open:
        if not self._started:
            self._start(out)
        held = self._open[index] = _Open(start.ix, start.kind)
        self._next += 1
        out.append(start)
        return held

    def _citations(self, held: _Open, block: wire.Block, out: list[Event]) -> None:
        data = given(block.citations)
        if data is not None and json.kind(data) == "array":
            for item in json.items(data):
                self._cite(held, bytes(item), out)

    def _block_stop(self, event: wire.StreamEvent, data: bytes, out: list[Event]) -> None:
        index = event.index if event.index is not None else next(reversed(self._open), None)
        if index in self._open:
            self._close(index, out)

    def _close(self, index: int, out: list[Event]) -> None:
        held = self._open.pop(index)
        if held.kind is BlockKind.TOOL and not held.seen and held.start_input:
            out.append(ArgsDelta(held.ix, held.start_input))
        out.extend(held.citations)
        hosted = held.hosted
        if hosted is not None and held.args:
            hosted = _with_input(hosted, "".join(held.args))
        out.append(BlockEnd(held.ix, hosted))

    # --- deltas ---

    def _delta(self, event: wire.StreamEvent, data: bytes, out: list[Event]) -> None:
        delta = event.delta
        if delta is None or self._state is _FINISHED:
            return
        held = self._open.get(event.index) if event.index is not None else None
        if held is None:
            held = self._missing(event.index, delta, out)
            if held is None:
                return
        handler = _DELTAS.get(delta.type)
        if handler is not None and held.hosted is None:
            if held.kind is not _KIND_OF[delta.type]:
                out.extend(self._fail(f"the provider sent {delta.type} for another block", ir.ErrorKind.UPSTREAM))
                return
            handler(self, held, delta, out)
        elif held.hosted is not None:
            self._hosted_delta(held, delta, data, out)

    def _missing(self, index: int | None, delta: wire.Delta, out: list[Event]) -> _Open | None:
        """The block of a delta that names none that is open: the last one, or a new one for what it brings."""
        kind = _KIND_OF.get(delta.type)
        if index is None:
            for held in reversed(self._open.values()):
                if kind in (held.kind, None):
                    return held
        if delta.type not in ("text_delta", "thinking_delta") or kind is None:
            return None
        return self._begin(index if index is not None else self._next, BlockStart(self._next, kind), out)

    def _text(self, held: _Open, delta: wire.Delta, out: list[Event]) -> None:
        if delta.text:
            out.append(TextDelta(held.ix, delta.text))

    def _args(self, held: _Open, delta: wire.Delta, out: list[Event]) -> None:
        if delta.partial_json:
            held.seen = True
            out.append(ArgsDelta(held.ix, delta.partial_json))

    def _thinking(self, held: _Open, delta: wire.Delta, out: list[Event]) -> None:
        if delta.thinking:
            out.append(ReasoningDelta(held.ix, delta.thinking))

    def _signature(self, held: _Open, delta: wire.Delta, out: list[Event]) -> None:
        self._material(held, delta.signature, ir.OpaqueKind.SIGNATURE, out)

    def _material(self, held: _Open, data: str | None, kind: ir.OpaqueKind, out: list[Event]) -> None:
        material = carrier.read(data, self._model, kind)
        if material is not None:
            out.append(OpaqueDelta(held.ix, material))

    def _citation(self, held: _Open, delta: wire.Delta, out: list[Event]) -> None:
        data = given(delta.citation)
        if data is not None:
            self._cite(held, data, out)

    def _cite(self, held: _Open, data: bytes, out: list[Event]) -> None:
        """The API sends citations before the text they are about; other dialects say where it ends."""
        held.size += len(data)
        if held.size <= MAX_HOSTED:
            held.citations.append(Citation(held.ix, NAME, data))
        else:
            out.append(Citation(held.ix, NAME, data))

    def _hosted_delta(self, held: _Open, delta: wire.Delta, data: bytes, out: list[Event]) -> None:
        if delta.type == "input_json_delta":
            held.args.append(delta.partial_json or "")
            held.size += len(held.args[-1])
        else:
            assert held.hosted is not None
            held.hosted = _merged(held.hosted, data)
            held.size += len(data)
        if held.size > MAX_HOSTED:
            out.extend(self._fail(f"a server tool's block is larger than {MAX_HOSTED}", ir.ErrorKind.UPSTREAM))

    # --- the end ---

    def _message_delta(self, event: wire.StreamEvent, data: bytes, out: list[Event]) -> None:
        if not self._started:
            self._start(out)
        delta = event.delta
        if delta is not None and delta.stop_reason == "tool_use" and not (self._called or self._others):
            out.extend(self._fail("the provider sent no tool call, but ended as if it had", ir.ErrorKind.UPSTREAM))
            return
        if delta is not None and delta.stop_reason and self._state is not _FINISHED:
            self._finish(Finish(usages.finish(delta.stop_reason), delta.stop_sequence, given(delta.stop_details)), out)
        usage = usages.decode(event.usage)
        if usage is not None:
            out.append(UsageUpdate(usage))

    def _finish(self, finish: Finish, out: list[Event]) -> None:
        for index in list(self._open):
            self._close(index, out)
        out.append(finish)
        self._state = _FINISHED

    def _message_stop(self, event: wire.StreamEvent, data: bytes, out: list[Event]) -> None:
        if self._state is not _FINISHED:
            if not self._started:
                out.extend(self._fail("the provider's stream was empty", ir.ErrorKind.TRUNCATED))
                return
            self._finish(Finish(ir.FinishReason.TOOL_USE if self._called else ir.FinishReason.END), out)
        out.append(End())
        self._state = _OVER

    def _ping(self, event: wire.StreamEvent, data: bytes, out: list[Event]) -> None:
        if self._started:
            out.append(Ping())

    def _error(self, event: wire.StreamEvent, data: bytes, out: list[Event]) -> None:
        out.extend(self._failed(errors.in_band(data)))

    def _fail(self, message: str, kind: ir.ErrorKind) -> list[Event]:
        return self._failed(ir.Error(kind, message))

    def _failed(self, error: ir.Error) -> list[Event]:
        self._state = _OVER
        self._body = bytearray()
        return [StreamFailed(error)]

    def _plain(self) -> list[Event]:
        body, self._body = bytes(self._body), bytearray()
        try:
            events = play(response.decode(body.lstrip(b"\xef\xbb\xbf \t\r\n")))
        except RemoteProtocolError as exc:
            return self._failed(exc.error)
        self._state = _OVER
        return events


_EVENTS: dict[str, Callable[[StreamDecoder, wire.StreamEvent, bytes, list[Event]], None]] = {
    "content_block_delta": StreamDecoder._delta,
    "content_block_start": StreamDecoder._block_start,
    "content_block_stop": StreamDecoder._block_stop,
    "message_start": StreamDecoder._message_start,
    "message_delta": StreamDecoder._message_delta,
    "message_stop": StreamDecoder._message_stop,
    "ping": StreamDecoder._ping,
    "error": StreamDecoder._error,
    # Not in it: every other type, which passes as `Raw`.
}
_DELTAS: dict[str, Callable[[StreamDecoder, _Open, wire.Delta, list[Event]], None]] = {
    "text_delta": StreamDecoder._text,
    "input_json_delta": StreamDecoder._args,
    "thinking_delta": StreamDecoder._thinking,
    "signature_delta": StreamDecoder._signature,
    "citations_delta": StreamDecoder._citation,
    # Not in it: deltas of blocks only this dialect has, see `_other_delta`.
}


def is_stream(body: bytes) -> bool:
    """Whether a body that should be one JSON is a stream (S10); prose that begins with a colon is none."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"event:", b"data:"))


def fold(body: bytes) -> ir.Response:
    """A whole stream as one answer. Raises `RemoteProtocolError` where it failed."""
    decoder, folded = StreamDecoder(), Accumulator()
    for event in decoder.receive_data(body) + decoder.receive_eof():
        folded.send(event)
    if folded.failed is not None:
        raise errors.raised(folded.failed)
    return folded.response()


def _with_input(hosted: ir.Hosted, text: str) -> ir.Hosted:
    """A server tool's block with the input its fragments spelled."""
    if not json.is_object(text):
        return hosted
    raw = json.splice(hosted.raw, ("input",), text.encode("utf-8", "surrogatepass"))
    return ir.Hosted(hosted.dialect, hosted.type, raw)


def _merged(hosted: ir.Hosted, data: bytes) -> ir.Hosted:
    """A block of this dialect alone with the fields a delta brings (``compaction_delta`` and its like)."""
    try:
        delta = json.fields(json.fields(data)["delta"])
        block = json.fields(hosted.raw)
    except (RemoteProtocolError, KeyError):
        return hosted
    delta.pop("type", None)
    return ir.Hosted(hosted.dialect, hosted.type, json.encode({**block, **delta}))
