"""Events of an answer to its parts, as Gemini clients read them.  [hot]

Streams and whole answers are both written from here, so that they cannot disagree. A part is one JSON object; a call is
written when it is whole, because clients of this protocol take no pieces (translation.md W1).
"""

from __future__ import annotations

from collections.abc import Callable

from ... import ids, ir, json
from ...arguments import as_object
from ...errors import LocalProtocolError
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
    RefusalDelta,
    Start,
    TextDelta,
    UsageUpdate,
)
from ...loss import ONLY_ITS_OWN, Report
from . import carrier, usage
from .chunks import METADATA, SIGNATURE
from .grounding import Grounds
from .wire import NAME

MAX_ARGUMENTS = 64 << 20
"""Characters of one call's arguments: as much as one upstream JSON may be long. A sequencer before bounds them too."""

GROUNDING = "groundingMetadata"


class AnswerParts:
    """Takes the events of one answer, one block at a time; gives the parts that are whole.

    ``whole``: the parts will stand in one content; else each in a chunk of a stream.
    """

    def __init__(self, seed: int, *, whole: bool = False) -> None:
        self.report = Report()
        self.usage: ir.Usage | None = None
        self.finish: Finish | None = None
        self.metadata: dict[str, bytes] = {}
        """Members of the candidate beside its content."""
        self.called = False
        self._seed = seed
        self._count = 0
        self._refused = False
        self._block: BlockStart | None = None
        self._args: list[str] = []
        self._opaque: list[ir.Opaque] = []
        self._pending: list[ir.Opaque] = []
        """Proofs that wait for the part they belong to."""
        self._signature: str | None = None
        """That of the text that comes next."""
        self._summary: int | None = None
        self._logprobs: list[bytes] = []
        self._grounds = Grounds()
        self._whole = whole
        self._written = 0

    def send(self, event: Event) -> list[bytes]:
        """The parts completed by ``event``."""
        handler = _HANDLERS.get(type(event))
        if handler is None:
            return []
        out = handler(self, event)
        self._written += len(out)
        return out

    def _begin(self, event: Event) -> list[bytes]:
        assert type(event) is Start
        self.usage = event.usage
        return []

    # --- blocks ------------------------------------------------------------------------------------------

    def _start(self, event: Event) -> list[bytes]:
        assert type(event) is BlockStart
        self._block, self._args, self._opaque, self._summary = event, [], [], None
        kind = event.kind
        if kind is BlockKind.TOOL:
            # The last proof is the call's; those before it would have to share its place.
            last, self._pending = self._pending[-1:], self._pending[:-1]
            out = self._flush()
            self._opaque = last
            return out
        if kind is BlockKind.TEXT:
            self._grounds.open()
        if kind in (BlockKind.TEXT, BlockKind.REFUSAL) and self._pending and carrier.is_own(self._pending[-1]):
            self._signature = self._pending.pop().data
        return self._flush()

    def _flush(self) -> list[bytes]:
        """Parts of their own for proofs that belong to no other."""
        out = []
        if self._signature is not None and (self._block is None or self._block.kind is not BlockKind.TEXT):
            out.append(_signed(self._signature))
            self._signature = None
        out += [_alone(material) for material in self._pending]
        self._pending = []
        return out

    def _text(self, event: Event) -> list[bytes]:
        assert type(event) is TextDelta
        if self._whole:
            self._grounds.place(self._written)
        self._grounds.add(event.text)
        if self._signature is None:
            return [b'{"text":%b}' % json.encode_str(event.text)]
        signature, self._signature = self._signature, None
        return [b'{"text":%b,"thoughtSignature":%b}' % (json.encode_str(event.text), json.encode_str(signature))]

    def _refusal(self, event: Event) -> list[bytes]:
        assert type(event) is RefusalDelta
        self._refused = True
        return [b'{"text":%b}' % json.encode_str(event.text)]

    def _reasoning(self, event: Event) -> list[bytes]:
        assert type(event) is ReasoningDelta
        text = event.text
        if event.summary is not None:
            if self._summary is not None and self._summary != event.summary:
                text = f"\n\n{text}"
            self._summary = event.summary
        return [b'{"text":%b,"thought":true}' % json.encode_str(text)]

    def _arguments(self, event: Event) -> list[bytes]:
        assert type(event) is ArgsDelta
        self._args.append(event.text)
        return []

    def _proof(self, event: Event) -> list[bytes]:
        assert type(event) is OpaqueDelta
        if self._block is not None and self._block.kind is BlockKind.TOOL:
            self._opaque.append(event.opaque)
        else:
            self._pending.append(event.opaque)
        return []

    def _end(self, event: Event) -> list[bytes]:
        assert type(event) is BlockEnd
        block, self._block = self._block, None
        if block is None:
            raise LocalProtocolError(f"block {event.ix} has not started")
        if block.kind is BlockKind.TOOL:
            # A call has room for one proof, its own, which comes last.
            return [*(_alone(material) for material in self._opaque[:-1]), self._call(block)]
        if block.kind is BlockKind.HOSTED:
            return self._hosted(event.hosted or block.hosted)
        return self._flush() if self._signature is not None else []

    def _call(self, block: BlockStart) -> bytes:
        text = "".join(self._args)
        if block.tool_kind is ir.ToolKind.CUSTOM:
            args = json.encode({"input": text})
        else:
            found, whole = as_object(text)
            args = json.one_line(found)
            if not whole:
                self.report.degraded("functionCall.args", "the arguments are no JSON object: sent under _raw")
        self.called = True
        position, self._count = self._count, self._count + 1
        inner = b'{"functionCall":{"id":%b,"name":%b,"args":%b}' % (
            json.encode_str(block.id or ids.mint("call_", self._seed, position)),
            json.encode_str(block.name or ""),
            args,
        )
        if not self._opaque:
            # Of the calls of an answer the first is signed: should Gemini get the next turn, it refuses one without.
            more = b',"thoughtSignature":%b' % json.encode_str(carrier.DUMMY_SAID) if position == 0 else b""
            return inner + more + b"}"
        return b'%b,"thoughtSignature":%b}' % (inner, json.encode_str(carrier.written(self._opaque[-1])))

    def _hosted(self, hosted: ir.Hosted | None) -> list[bytes]:
        if hosted is None:
            return []
        if hosted.dialect != NAME:
            self.report.dropped(hosted.type, f"{NAME} has no place for this block of {hosted.dialect}")
            return []
        if hosted.type in METADATA:
            for name, value in json.fields(hosted.raw).items():
                if name != GROUNDING or not self._grounds.search(bytes(value)):
                    self.metadata[name] = bytes(value)
            return []
        return [json.one_line(hosted.raw)]

    # --- the rest ----------------------------------------------------------------------------------------

    def _citation(self, event: Event) -> list[bytes]:
        assert type(event) is Citation
        # A provider's own citations stand in its metadata too, which is a block of its own.
        if event.dialect == NAME:
            return []
        if self._grounds.cite(event.raw):
            self.report.quote(event.raw)
        else:
            self.report.dropped("citations", f"{NAME} has no word for sources that are no pages")
        return []

    def _probabilities(self, event: Event) -> list[bytes]:
        assert type(event) is Logprobs
        self._logprobs.append(event.raw)
        return []

    def _raw(self, event: Event) -> list[bytes]:
        assert type(event) is Raw
        if event.event != SIGNATURE:  # that one is in the part it belongs to, which was carried as it is
            self.report.dropped(event.event, ONLY_ITS_OWN)
        return []

    def _count_usage(self, event: Event) -> list[bytes]:
        assert type(event) is UsageUpdate
        self.usage = event.usage if self.usage is None else self.usage.merge(event.usage)
        return []

    def _finish(self, event: Event) -> list[bytes]:
        assert type(event) is Finish
        self.finish = event
        if event.stop_sequence is not None:
            self.report.dropped("stop_sequence", f"{NAME} does not say which stop sequence it was")
        if event.details is not None and usage.details(event.details) == usage.Details():
            self.report.dropped("stop_details", f"{NAME} has no such details of an end")
        if event.reason is ir.FinishReason.PAUSE:
            self.report.degraded("finishReason", f"{NAME} has no word for a pause: STOP")
        self._block = None
        return self._flush()

    def candidate_end(self) -> bytes:
        """The members of the candidate behind its content: why it stopped, and what is known of it."""
        assert self.finish is not None
        word = usage.finish_reason(self.finish.reason, self.finish.details, refused=self._refused)
        out = b'"finishReason":%b' % json.encode_str(word)
        message = usage.details(self.finish.details).message
        if message is not None:
            out += b',"finishMessage":%b' % json.encode_str(message)
        out += b',"index":0'
        grounds = self._grounds.metadata()
        if grounds is not None:
            self.metadata.setdefault(GROUNDING, grounds)
        for name, value in self.metadata.items():
            out += b',"%b":%b' % (name.encode(), json.one_line(value))
        tokens = usage.encode_logprobs(self._logprobs)
        if tokens is not None:
            out += b',"logprobsResult":%b' % tokens
        return out

    def block_reason(self) -> bytes | None:
        """``promptFeedback`` where it was the prompt that was refused, by a provider of this dialect."""
        assert self.finish is not None
        found = usage.details(self.finish.details)
        if found.blockReason is None:
            return None
        out = {"blockReason": found.blockReason, "blockReasonMessage": found.message}
        return json.encode({name: value for name, value in out.items() if value is not None})

    def usage_metadata(self) -> bytes:
        """``,"usageMetadata":{...}`` where the tokens are known, else nothing."""
        return b"" if self.usage is None else b',"usageMetadata":%b' % usage.encode(self.usage)


_HANDLERS: dict[type, Callable[[AnswerParts, Event], list[bytes]]] = {
    BlockStart: AnswerParts._start,
    TextDelta: AnswerParts._text,
    RefusalDelta: AnswerParts._refusal,
    ReasoningDelta: AnswerParts._reasoning,
    ArgsDelta: AnswerParts._arguments,
    OpaqueDelta: AnswerParts._proof,
    Citation: AnswerParts._citation,
    Logprobs: AnswerParts._probabilities,
    BlockEnd: AnswerParts._end,
    UsageUpdate: AnswerParts._count_usage,
    Finish: AnswerParts._finish,
    Start: AnswerParts._begin,
    Raw: AnswerParts._raw,
    # Not in it: Ping, End and StreamFailed, which are framing.
}


def _alone(material: ir.Opaque) -> bytes:
    """A part for a proof that belongs to no other."""
    signature = carrier.written(material)
    return _signed(signature) if carrier.is_own(material) else _thought_signed(signature)


def _signed(signature: str) -> bytes:
    return b'{"text":"","thoughtSignature":%b}' % json.encode_str(signature)


def _thought_signed(signature: str) -> bytes:
    return b'{"text":"","thought":true,"thoughtSignature":%b}' % json.encode_str(signature)
