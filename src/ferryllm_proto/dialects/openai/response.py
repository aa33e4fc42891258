"""A provider's whole answer into an `ir.Response`, liberally: every server of this protocol has its own way."""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...errors import RemoteProtocolError
from . import errors, plain, reasoning
from .decode_messages import signature
from .decode_parts import NAME
from .usage import Usage, decode_finish, decode_usage, usage_of

_Raw = json.Raw
_NONE = _Raw()


class FunctionAnswer(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | dict[str, _Raw] | None = None


class CustomAnswer(msgspec.Struct, frozen=True):
    name: str | None = None
    input: str | None = None


class CallAnswer(msgspec.Struct, frozen=True):
    """A tool call, whole or a delta."""

    index: int | None = None
    id: str | None = None
    function: FunctionAnswer | None = None
    custom: CustomAnswer | None = None
    extra_content: _Raw = _NONE


MADE = ("audio", "images", "executed_tools")
"""Members of a message that are made of more than words."""


class MessageAnswer(msgspec.Struct, frozen=True):
    """A message or a delta of one; unknown fields are of no concern to other dialects."""

    content: str | list[_Raw] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | dict[str, _Raw] | None = None
    reasoning_details: list[_Raw] | None = None
    tool_calls: list[CallAnswer] | None = None
    function_call: FunctionAnswer | None = None
    annotations: list[_Raw] | None = None
    audio: _Raw = _NONE
    images: _Raw = _NONE
    executed_tools: _Raw = _NONE
    """Groq's own tools."""

    @property
    def thought(self) -> str:
        """The chain of thought: one of two fields, the same text where both are there."""
        return self.reasoning_content or (self.reasoning if isinstance(self.reasoning, str) else "") or ""


class _Choice(msgspec.Struct, frozen=True):
    index: int | None = None
    message: MessageAnswer | None = None
    delta: MessageAnswer | None = None
    text: str | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    """vLLM: the stop sequence that was hit, or a token."""
    matched_stop: int | str | None = None
    """SGLang: the same."""
    logprobs: _Raw = _NONE
    usage: _Raw = _NONE


class _Answer(msgspec.Struct, frozen=True):
    id: str | int | None = None
    model: str | None = None
    created: int | float | None = None
    choices: list[_Choice] | None = None
    error: _Raw = _NONE
    success: bool | None = None


class _Response(_Answer, frozen=True):
    usage: _Raw = _NONE


class Logprobs(msgspec.Struct, frozen=True):
    content: _Raw = _NONE


class _ContentPart(msgspec.Struct, frozen=True):
    type: str | None = None
    text: str | None = None
    thinking: list[_Raw] | str | None = None


class _Usual(_Answer, frozen=True, forbid_unknown_fields=True):
    """An answer with no other fields than OpenAI's own: then nobody has to look for them. Its usage is read in the
    same pass."""

    object: str | None = None
    service_tier: _Raw = _NONE
    system_fingerprint: _Raw = _NONE
    counted: Usage | None = msgspec.field(default=None, name="usage")


_usual = json.decoder(_Usual)
_decoder = json.decoder(_Response)
_logprobs = json.decoder(Logprobs)
_part = json.decoder(_ContentPart)


def decode(body: bytes) -> ir.Response:
    """Decode an answer.

    Raises `RemoteProtocolError`: for an error inside a 200 (E8) with the kind that error has, for what is no
    answer at all with kind UPSTREAM.
    """
    if (plain_ := plain.answer(body)) is not None:
        return plain_
    found, counted, ext = _read(body)
    if errors.has_error(found.error) or found.success is False:
        raise errors.remote(errors.in_band(body))
    if not found.choices:
        if b'"detail"' in body or b'"message"' in body:
            raise errors.remote(errors.in_band(body))
        raise _upstream("the provider's answer has no choices")
    choice = found.choices[0]
    if choice.index:
        choice = next((c for c in found.choices if not c.index), choice)
    message = choice.message or choice.delta or MessageAnswer(content=choice.text)
    model = found.model or ""
    parts = _parts(message, model)
    kinds = set(map(type, parts))
    stop = choice.stop_reason if isinstance(choice.stop_reason, str) else choice.matched_stop
    reason, sequence = decode_finish(
        choice.finish_reason or "stop",
        called=ir.ToolCall in kinds,
        refused=ir.Refusal in kinds,
        stop=stop if isinstance(stop, str) else None,
    )
    if reason is ir.FinishReason.TOOL_USE and ir.ToolCall not in kinds:
        raise _upstream("the provider sent no tool call, but ended as if it had")
    if choice.finish_reason is None and ir.ToolCall not in kinds and b'"finish_reason"' in body:
        # Said to be none: what is left of a stream that was cut (T2). Sloppy servers leave the member out, or empty.
        raise RemoteProtocolError("the provider's answer ends before its end", kind=ir.ErrorKind.TRUNCATED)
    if reason is ir.FinishReason.ERROR:
        raise _upstream(f"the provider ended its answer with finish_reason {choice.finish_reason}")
    usage = counted or decode_usage(choice.usage)
    return ir.Response(
        str(found.id or ""),
        model,
        tuple(parts),
        reason,
        sequence,
        created=None if found.created is None else int(found.created),
        usage=usage,
        logprobs=logprobs(choice.logprobs),
        ext=ext,
        unplaced=_unplaced(found.choices, message, parts),
    )


def _unplaced(choices: list[_Choice], message: MessageAnswer, parts: list[ir.Part]) -> tuple[str, ...]:
    """What a stream has as `events.Raw`: other choices than the first, sources of a text that is not there."""
    out: tuple[str, ...] = ("choices",) if len(choices) > 1 else ()
    if message.annotations and not any(isinstance(part, ir.Text) for part in parts):
        out += ("annotations",)
    return out


def _read(body: bytes) -> tuple[_Answer, ir.Usage | None, ir.Ext | None]:
    """The answer as types, its usage where that is read already, and what is not in them."""
    try:
        usual = _usual.decode(body)
        if usual.success is None and usual.counted is not None:
            more = usual.service_tier is not _NONE or usual.system_fingerprint is not _NONE
            return usual, usage_of(usual.counted), _ext(body) if more else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # the types below say what is wrong, or that nothing is
    try:
        found = json.decode(body, _decoder)
    except RemoteProtocolError as exc:
        raise _upstream(f"the provider's answer is no chat completion: {exc}") from None
    return found, decode_usage(found.usage), _ext(body)


_KNOWN = frozenset(("id", "object", "created", "model", "choices", "usage", "error"))


def _ext(body: bytes) -> ir.Ext | None:
    fields = {n: bytes(v) for n, v in json.fields(body).items() if n not in _KNOWN and bytes(v) != b"null"}
    return ir.Ext(NAME, fields) if fields else None


def _upstream(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, kind=ir.ErrorKind.UPSTREAM)


def logprobs(raw: _Raw) -> bytes | None:
    """The array of token probabilities, or None where it is not there or empty."""
    if bytes(raw) in (b"", b"null"):
        return None
    try:
        content = bytes(json.decode(raw, _logprobs).content)
    except RemoteProtocolError:
        return None
    return content if content.startswith(b"[") and content != b"[]" else None


def split_content(content: str | list[_Raw] | None) -> list[tuple[bool, str]]:
    """Content as runs of (is it thought, text): Mistral mixes both in a list."""
    if not content:
        return []
    if isinstance(content, str):
        return [(False, content)]
    out: list[tuple[bool, str]] = []
    for raw in content:
        try:
            part = json.decode(raw, _part)
        except RemoteProtocolError:
            continue
        if isinstance(part.thinking, str):
            out.append((True, part.thinking))
        elif part.thinking is not None:
            out.append((True, "".join(text for _, text in split_content(part.thinking))))
        elif part.text is not None:
            out.append((False, part.text))
    return [run for run in out if run[1]]


def arguments(found: FunctionAnswer) -> str:
    """Arguments as JSON text; an object where a server forgot that it is a string."""
    if isinstance(found.arguments, dict):
        return json.encode(found.arguments).decode()
    return found.arguments or ""


def _is_text(message: MessageAnswer) -> bool:
    """Whether a message is words and nothing else."""
    return type(message.content) is str and not (
        message.refusal
        or message.reasoning_content
        or message.reasoning
        or message.reasoning_details
        or message.tool_calls
        or message.function_call
        or message.annotations
        or message.audio is not _NONE
        or message.images is not _NONE
        or message.executed_tools is not _NONE
    )


def _parts(message: MessageAnswer, model: str) -> list[ir.Part]:
    if _is_text(message):
        return [ir.Text(message.content)] if message.content else []  # type: ignore[arg-type]  # a string, as was seen
    details = [bytes(raw) for raw in message.reasoning_details or ()]
    out: list[ir.Part] = []
    if thoughts := _thoughts(details, message.thought, model):
        out.append(thoughts)
    texts: list[ir.Text] = []
    for is_thought, text in split_content(message.content):
        if is_thought:
            out.append(ir.Reasoning(text))
        elif out and isinstance(out[-1], ir.Text):
            out[-1] = ir.Text(out[-1].text + text)
        else:
            out.append(ir.Text(text))
    texts = [part for part in out if isinstance(part, ir.Text)]
    if texts and message.annotations:
        raws = tuple(bytes(raw) for raw in message.annotations)
        out[out.index(texts[-1])] = msgspec.structs.replace(texts[-1], citations=raws, citations_dialect=NAME)
    if message.refusal:
        out.append(ir.Refusal(message.refusal))
    for name in MADE:
        raw = bytes(getattr(message, name))
        if raw not in (b"", b"null", b"[]"):
            out.append(ir.Hosted(NAME, name, raw))
    out.extend(call for found in message.tool_calls or () if (call := _call(found, model)) is not None)
    legacy = message.function_call
    if legacy is not None and legacy.name:
        out.append(ir.ToolCall("", legacy.name, arguments(legacy)))
    return out


def _thoughts(details: list[bytes], text: str, model: str) -> ir.Reasoning | None:
    """The same as a stream's: text once, entries only where there is a proof among them."""
    whole = reasoning.Details()
    for raw in details:
        whole.add(raw)
    entries = [entry for raw in details if (entry := reasoning.read(raw)) is not None]
    said = text or "".join(entry.text or "" for entry in entries)
    summary = () if text else tuple(entry.summary for entry in entries if entry.summary)
    proof = tuple(ir.Opaque(reasoning.PROVIDER, model, ir.OpaqueKind.DETAILS, data) for data in whole.take())
    return ir.Reasoning(said, summary, proof) if said or summary or proof else None


def _call(found: CallAnswer, model: str) -> ir.ToolCall | None:
    opaque = signature(found.extra_content, model)
    proof = () if opaque is None else (opaque,)
    if found.custom is not None and found.custom.name:
        return ir.ToolCall(
            found.id or "", found.custom.name, found.custom.input or "", ir.ToolKind.CUSTOM, opaque=proof
        )
    if found.function is None or not found.function.name:
        if (found.function is not None and arguments(found.function)) or (found.custom and found.custom.input):
            raise _upstream("the provider sent a tool call without a name")
        return None
    return ir.ToolCall(found.id or "", found.function.name, arguments(found.function), opaque=proof)
