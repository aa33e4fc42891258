"""Chunks of an answer to events.  [hot]

A whole answer and a chunk of a stream are the same object, so both are read here, and cannot disagree.
"""

from __future__ import annotations

from ... import ir, json
from ...error_text import unsuccessful
from ...errors import RemoteProtocolError
from ...events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    Event,
    Finish,
    Logprobs,
    OpaqueDelta,
    Raw,
    ReasoningDelta,
    Start,
    TextDelta,
    UsageUpdate,
)
from . import carrier, errors, usage, wire
from .grounding import Quoted
from .partial_args import PartialArguments
from .repeats import Repeats
from .wire import NAME, given

_TEXT, _REASONING = BlockKind.TEXT, BlockKind.REASONING

MAX_ENVELOPES = 4
"""Levels of ``{"response": ...}`` around an answer; one is known."""

_METADATA = (
    ("groundingMetadata", "grounding_metadata"),
    ("citationMetadata", "citation_metadata"),
    ("urlContextMetadata", "url_context_metadata"),
)
"""What a candidate says beside its content, and the representation has no place for: a block of this dialect."""

SIGNATURE = "thoughtSignature"
"""The event that a part of this dialect alone was signed."""

METADATA = frozenset(name for name, _ in _METADATA)


def _upstream(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, kind=ir.ErrorKind.UPSTREAM)


class ChunkReader:
    """Reads the chunks of one answer, in order. Raises `RemoteProtocolError` for a fault and for a reported error."""

    __slots__ = (
        "_called", "_finish", "_kind", "_known", "_logprobs", "_model", "_next", "_open", "_others", "_partial",
        "_quoted", "_repeats", "_usage", "finished", "started",
    )  # fmt: skip

    def __init__(self) -> None:
        self.started = False
        self.finished = False
        """Whether `Finish` was given."""
        self._finish: tuple[str, str | None, bool] | None = None
        """The reason, its message and whether it is of the prompt; held because more may follow (see `end`)."""
        self._model = ""
        self._next = 0
        self._open: int | None = None
        self._kind: BlockKind | None = None
        self._called = False
        self._others = False
        self._usage = b""
        self._repeats = Repeats()
        self._known = -1
        """The block of the chunk that is known."""
        self._partial: tuple[str, str, PartialArguments] | None = None
        self._quoted = Quoted()
        self._logprobs: bytes | None = None
        """Probabilities that wait for the end of the text they are of."""

    @property
    def complete(self) -> bool:
        """Whether a reason to stop was given (T2)."""
        return self._finish is not None

    def chunk(self, data: bytes, out: list[Event], depth: int = 0) -> None:
        """Events of one chunk, appended to ``out``."""
        if depth or not self.repeat(data, out):
            known = len(out)
            counted = self._chunk(data, out, depth)
            if not depth:
                self._learn(data, out[known:], counted)

    def repeat(self, data: bytes, out: list[Event]) -> bool:
        """Events of a chunk that is the last one again but for its text and its usage; whether it is, or else nothing
        is done."""
        if self._open is None or self._open != self._known or self._quoted.waiting or self._partial is not None:
            return False
        found = self._repeats.take(data)
        if found is None:
            return False
        text, counted = found
        told = None
        if counted != self._usage:
            told = usage.decode(counted)
            if told is None:
                return False
            self._usage = counted
        if self._kind is _TEXT:
            self._quoted.alone(text)
            out.append(TextDelta(self._open, text))
        else:
            self._quoted.alone("")
            out.append(ReasoningDelta(self._open, text))
        if told is not None:
            out.append(UsageUpdate(told))
        return True

    def _learn(self, data: bytes, events: list[Event], counted: bytes) -> None:
        if not events or len(events) > 2 or (len(events) == 2 and type(events[1]) is not UsageUpdate):
            return
        delta = events[0]
        if type(delta) is not TextDelta and type(delta) is not ReasoningDelta:
            return
        if self._repeats.learn(data, delta.text, counted):
            self._known = delta.ix

    def _chunk(self, data: bytes, out: list[Event], depth: int) -> bytes:
        """Read any chunk; returned is its usage as it stands there."""
        try:
            chunk = json.decode(data, wire.chunk)
        except RemoteProtocolError as exc:
            if b'"error"' in data:
                raise errors.raised(errors.in_band(data)) from None
            mended = json.mend_utf8(data)
            if mended == data:
                raise _upstream(f"a part of the provider's answer can not be read: {exc}") from None
            chunk = json.decode(mended, wire.chunk)
        if chunk.candidates is None and depth < MAX_ENVELOPES and json.kind(chunk.response) == "object":
            self.chunk(bytes(chunk.response), out, depth + 1)
            return b""
        if len(chunk.error) and errors.says_error(chunk.error):
            raise errors.raised(errors.in_band(data))
        counted = chunk.usageMetadata if len(chunk.usageMetadata) else chunk.usage_metadata
        feedback = chunk.promptFeedback or chunk.prompt_feedback
        if not self.started:
            id_ = chunk.responseId or chunk.response_id
            if chunk.candidates is None and feedback is None and not len(counted) and not id_:
                if unsuccessful(data):
                    raise errors.raised(errors.in_band(data))
                return b""  # nothing of an answer: proxies send empty objects to keep a line alive
            self.started = True
            self._model = chunk.modelVersion or chunk.model_version or ""
            out.append(Start(id_ or "", self._model))
        elif not self._model:
            self._model = chunk.modelVersion or chunk.model_version or ""
        final = False
        for candidate in chunk.candidates or ():
            if not candidate.index:
                final = self._candidate(candidate, out)
            elif not self._others:
                # A client that asked for them gets the bytes as they are; nobody else can be given them.
                self._others = True
                out.append(Raw(NAME, "candidates", data))
        if feedback is not None and not chunk.candidates:
            self._feedback(feedback)
        if len(counted):
            self._count(counted, out)
        if final and not self.finished:
            self._give_finish(out)
        return bytes(counted)

    def end(self, out: list[Event]) -> None:
        """The answer is over: `Finish`, unless it was given.

        A reason to stop in a chunk with content is held until here: with code execution the model goes on behind it.
        """
        if not self.finished:
            if self._finish is None:
                self._finish = ("STOP", None, False)
            self._give_finish(out)

    # --- candidates --------------------------------------------------------------------------------------

    def _candidate(self, found: wire.Candidate, out: list[Event]) -> bool:
        """Read one; returned is whether it brought a reason to stop and nothing to show."""
        visible = False
        grounding = given(found.groundingMetadata) or given(found.grounding_metadata)
        citations = given(found.citationMetadata) or given(found.citation_metadata)
        if grounding is not None or citations is not None:
            self._quoted.expect(grounding, citations)
        logprobs = found.logprobsResult if len(found.logprobsResult) else found.logprobs_result
        if len(logprobs):
            self._logprobs = usage.decode_logprobs(logprobs)
        if found.content is not None and found.content.parts:
            self._quoted.chunk()
            for raw in found.content.parts:
                self._quoted.part()
                visible = self._part(raw, out) or visible
        self._remark(out)
        if self._quoted.drop():
            out.append(Raw(NAME, "groundingSupports", grounding or citations or b"{}"))
        if self._logprobs is not None:
            self._logprobs = None
            out.append(Raw(NAME, "logprobsResult", bytes(logprobs)))
        if not self.finished:
            for name, snake in _METADATA:
                data = given(getattr(found, name)) or given(getattr(found, snake))
                if data is not None and data != b"{}":
                    raw_ = b'{"%b":%b}' % (name.encode(), data)
                    self._hosted(ir.Hosted(NAME, name, raw_), out)
        reason = usage.word(found.finishReason if len(found.finishReason) else found.finish_reason)
        if reason is None:
            return False
        message = given(found.finishMessage) or given(found.finish_message)
        self._finish = (reason, _text(message), False)
        return not visible

    def _remark(self, out: list[Event]) -> None:
        """What is said of the open text beside it: while it is open, and after all of it that has come."""
        if self._open is None or self._kind is not _TEXT:
            return
        if self._logprobs is not None:
            out.append(Logprobs(self._open, self._logprobs))
            self._logprobs = None
        if self._quoted.waiting:
            out.extend(Citation(self._open, NAME, raw) for raw in self._quoted.take())

    def _feedback(self, found: wire.PromptFeedback) -> None:
        reason = usage.word(found.blockReason if len(found.blockReason) else found.block_reason)
        if reason is not None and self._finish is None:
            message = given(found.blockReasonMessage) or given(found.block_reason_message)
            self._finish = (reason, _text(message), True)

    def _count(self, raw: json.Raw, out: list[Event]) -> None:
        data = bytes(raw)
        if data == self._usage:
            return  # every chunk has it, and most repeat it
        self._usage = data
        found = usage.decode(raw)
        if found is not None:
            out.append(UsageUpdate(found))

    def _give_finish(self, out: list[Event]) -> None:
        assert self._finish is not None
        word, message, prompt = self._finish
        reason = ir.FinishReason.REFUSAL if prompt else usage.finish(word, called=self._called)
        if reason is ir.FinishReason.ERROR:
            raise _upstream(f"the provider ended its answer with {word}" + (f": {message}" if message else ""))
        if self._partial is not None:
            self._end_partial(out)
            reason = usage.finish(word, called=self._called)
        self._close(out)
        details = None
        if reason not in (ir.FinishReason.END, ir.FinishReason.TOOL_USE, ir.FinishReason.LENGTH):
            said = usage.Details(None if prompt else word, word if prompt else None, message)
            details = json.encode(said)
        out.append(Finish(reason, details=details))
        self.finished = True

    # --- parts -------------------------------------------------------------------------------------------

    def _part(self, raw: json.Raw, out: list[Event]) -> bool:
        """Read one part; returned is whether there is something to show in it."""
        part = json.decode(raw, wire.answer_part, "parts")
        signature = part.thoughtSignature or part.thought_signature
        if self.finished:
            if part.text or len(part.functionCall) or len(part.function_call):
                raise _upstream("the provider went on behind the end of its answer")
            return False
        call = given(part.functionCall) or given(part.function_call)
        if call is not None:
            self._call(call, signature, out)
            return True
        text = part.text
        if text is None:
            hosted = _hosted(raw)
            if hosted is not None:
                self._hosted(hosted, out)
                if signature and carrier.read(signature, self._model) is not None:
                    # For its own dialect it stands in the part; no other has a proof of pictures or programs.
                    out.append(Raw(NAME, SIGNATURE, b"{}"))
                return True
            text = ""
        if part.thought:
            if text:
                out.append(ReasoningDelta(self._block(_REASONING, out), text))
            if signature:
                self._sign(signature, out)
            return True
        if signature and self._kind is not _TEXT:
            self._sign(signature, out)
            signature = None
        if text:
            ix = self._open if self._kind is _TEXT else None
            if ix is None:
                ix = self._block(_TEXT, out)
                self._quoted.open()
            self._quoted.add(text)
            out.append(TextDelta(ix, text))
        if signature:  # the text it belongs to is out already
            self._sign(signature, out)
        return bool(text)

    def _sign(self, signature: str, out: list[Event]) -> None:
        """The proof of what follows, in a block of reasoning: that of the thoughts before it where there are any."""
        material = carrier.read(signature, self._model)
        if material is None:
            return
        out.append(OpaqueDelta(self._block(_REASONING, out), material))
        self._close(out)

    def _hosted(self, hosted: ir.Hosted, out: list[Event]) -> None:
        self._close(out)
        out.append(BlockStart(self._next, BlockKind.HOSTED, hosted=hosted))
        out.append(BlockEnd(self._next))
        self._next += 1

    def _block(self, kind: BlockKind, out: list[Event]) -> int:
        if self._kind is kind and self._open is not None:
            return self._open
        self._close(out)
        self._open, self._kind = self._next, kind
        self._next += 1
        out.append(BlockStart(self._open, kind))
        return self._open

    def _close(self, out: list[Event]) -> None:
        if self._open is not None:
            self._remark(out)
            out.append(BlockEnd(self._open))
            self._open, self._kind = None, None

    # --- calls -------------------------------------------------------------------------------------------

    def _call(self, data: bytes, signature: str | None, out: list[Event]) -> None:
        call = json.decode(data, wire.answer_call, "functionCall")
        pieces = call.partialArgs or call.partial_args
        goes_on = bool(call.willContinue or call.will_continue)
        if signature:
            if self._partial is not None and call.name:
                self._end_partial(out)
            if self._partial is None:
                self._sign(signature, out)
        if self._partial is not None or pieces or goes_on:
            self._more(call, pieces or [], goes_on, out)
            return
        if not call.name:
            raise _upstream("the provider sent a tool call without a name")
        self._whole_call(call.id or "", call.name, _arguments(call.args), out)

    def _more(self, call: wire.AnswerCall, pieces: list[json.Raw], goes_on: bool, out: list[Event]) -> None:
        """A piece of a call; without a name it is of the one that has begun."""
        if self._partial is not None and call.name:
            # Later pieces may repeat name and id; others are another call's.
            id_, name, _ = self._partial
            if call.name != name or (call.id or id_) != id_:
                self._end_partial(out)
        if self._partial is None:
            if not call.name:
                raise _upstream("the provider sent a tool call without a name")
            self._partial = (call.id or "", call.name, PartialArguments())
        arguments = self._partial[2]
        if given(call.args) is not None:
            arguments.update(call.args)
        for piece in pieces:
            arguments.add(piece)
        if not goes_on:
            self._end_partial(out)

    def _end_partial(self, out: list[Event]) -> None:
        if self._partial is not None:
            id_, name, arguments = self._partial
            self._partial = None
            self._whole_call(id_, name, arguments.text(), out)

    def _whole_call(self, id_: str, name: str, arguments: str, out: list[Event]) -> None:
        self._close(out)
        self._called = True
        out.append(BlockStart(self._next, BlockKind.TOOL, id=id_, name=name))
        if arguments:
            out.append(ArgsDelta(self._next, arguments))
        out.append(BlockEnd(self._next))
        self._next += 1


_MODIFIERS = frozenset({"thought", "thoughtSignature", "thought_signature", "partMetadata", "part_metadata", "text"})


def _hosted(raw: json.Raw) -> ir.Hosted | None:
    """A part only this dialect knows; None for one that has no payload."""
    fields = json.fields(raw)
    name = next((key for key, value in fields.items() if key not in _MODIFIERS and given(value) is not None), None)
    return None if name is None else ir.Hosted(NAME, wire.camel(name), bytes(raw))


def _arguments(raw: json.Raw) -> str:
    data = given(raw)
    if data is None:
        return ""
    if json.kind(data) == "string":  # some servers write the object as text
        return json.decode(data, wire.string)
    return data.decode("utf-8", "replace")


def _text(data: bytes | None) -> str | None:
    if data is None:
        return None
    value = json.loads(data)
    return value if isinstance(value, str) else None
