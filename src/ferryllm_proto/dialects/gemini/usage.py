"""Usage, reasons to stop and token probabilities: what both directions share (wire.md 7.7, 7.8)."""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...errors import RemoteProtocolError
from ...json import Raw
from . import wire
from .wire import given

_R = ir.FinishReason

FINISH: dict[str, ir.FinishReason] = {
    "STOP": _R.END,
    "MAX_TOKENS": _R.LENGTH,
    "SAFETY": _R.REFUSAL,
    "RECITATION": _R.REFUSAL,
    "LANGUAGE": _R.REFUSAL,
    "OTHER": _R.REFUSAL,  # stopped by the provider, which does not say why: no ordinary end
    "BLOCKLIST": _R.REFUSAL,
    "PROHIBITED_CONTENT": _R.REFUSAL,
    "SPII": _R.REFUSAL,
    "IMAGE_SAFETY": _R.REFUSAL,
    "IMAGE_PROHIBITED_CONTENT": _R.REFUSAL,
    "IMAGE_OTHER": _R.REFUSAL,
    "NO_IMAGE": _R.REFUSAL,
    "IMAGE_RECITATION": _R.REFUSAL,
    "ESCALATION": _R.REFUSAL,
    "PUP_LIMITED_DISABLED": _R.REFUSAL,
    "MODEL_ARMOR": _R.REFUSAL,
    "MALFORMED_FUNCTION_CALL": _R.MALFORMED_TOOL,
    "UNEXPECTED_TOOL_CALL": _R.MALFORMED_TOOL,
    "TOO_MANY_TOOL_CALLS": _R.MALFORMED_TOOL,
    "MALFORMED_RESPONSE": _R.MALFORMED_TOOL,
    "MISSING_THOUGHT_SIGNATURE": _R.ERROR,
    "CONTINUATION": _R.PAUSE,
    # Not in it: words this file does not know; they are an ordinary end.
}

_WITH_CALLS = frozenset({"UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"})
"""Ends for which there are calls all the same: those that came are whole, and wait for their results."""

FINISH_REASON: dict[ir.FinishReason, str] = {
    _R.END: "STOP",
    _R.STOP: "STOP",
    _R.TOOL_USE: "STOP",
    _R.PAUSE: "STOP",
    _R.LENGTH: "MAX_TOKENS",
    _R.CONTEXT: "MAX_TOKENS",
    _R.REFUSAL: "SAFETY",
    _R.MALFORMED_TOOL: "MALFORMED_FUNCTION_CALL",
    _R.ERROR: "OTHER",
}

_NUMBERS = (
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)
"""Values of the enum by their numbers: clients that ask for ``enum-encoding=int`` get those. The two products of
Google number from 6 on in different ways; the numbers of both below 10 are kinds of refusal."""


def word(raw: Raw) -> str | None:
    """The name of a finish reason or a block reason; None where there is none, or an unspecified one."""
    data = given(raw)
    if data is None:
        return None
    value = json.loads(data)
    if isinstance(value, int) and not isinstance(value, bool):
        value = _NUMBERS[value] if 0 <= value < len(_NUMBERS) else "OTHER"
    if not isinstance(value, str) or not value or value.endswith("_UNSPECIFIED"):
        return None
    return value.upper()


def finish(reason: str, *, called: bool) -> ir.FinishReason:
    """The reason behind a word; calls end with STOP here (Y3)."""
    found = FINISH.get(reason, _R.END)
    return _R.TOOL_USE if called and (found is _R.END or reason in _WITH_CALLS) else found


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """`events.Finish.details` of this dialect."""

    finishReason: str | None = None
    blockReason: str | None = None
    message: str | None = None


_details = json.decoder(Details)


def details(raw: bytes | None) -> Details:
    """The details of a finish; empty for another dialect's."""
    if raw is None:
        return Details()
    try:
        return json.decode(raw, _details)
    except RemoteProtocolError:
        return Details()


def finish_reason(reason: ir.FinishReason, details_: bytes | None, *, refused: bool) -> str:
    """The word for an end; a refusal in words is one too."""
    said = details(details_).finishReason
    if said is not None and FINISH.get(said) is reason:
        return said
    if refused and reason in (_R.END, _R.STOP):
        return "SAFETY"
    return FINISH_REASON[reason]


# --- usage -----------------------------------------------------------------------------------------------


def _first(camel: int | None, snake: int | None) -> int | None:
    value = snake if camel is None else camel
    return value if value is None or value > 0 else 0


def decode(raw: Raw | bytes) -> ir.Usage | None:
    """``usageMetadata``, in either spelling; None where it is not readable, which is no reason to lose an answer.

    ``promptTokenCount`` includes what was cached, ``candidatesTokenCount`` has no thoughts in it, and what tools put
    into the prompt comes on top (U3).
    """
    try:
        found = json.decode(raw, wire.usage)
    except RemoteProtocolError:
        return None
    prompt, said, total = found.promptTokenCount, found.candidatesTokenCount, found.totalTokenCount
    if prompt is None or said is None or total is None or prompt < 0 or said < 0 or total < 0:
        prompt, said = _first(prompt, found.prompt_token_count), _first(said, found.candidates_token_count)
        total = _first(total, found.total_token_count)
    thoughts = _first(found.thoughtsTokenCount, found.thoughts_token_count)
    cached = _first(found.cachedContentTokenCount, found.cached_content_token_count)
    tools = _first(found.toolUsePromptTokenCount, found.tool_use_prompt_token_count)
    output: int | None = None
    if said is not None or thoughts is not None:
        output = (said or 0) + (thoughts or 0)
    elif prompt is not None and total is not None:
        output = max(0, total - prompt - (tools or 0))
    given_input = None if prompt is None else max(0, prompt - (cached or 0)) + (tools or 0)
    return ir.Usage(input=given_input, cache_read=cached, output=output, reasoning=thoughts)


def encode(usage: ir.Usage) -> bytes:
    """``usageMetadata``; counters nobody knows are left out."""
    out: dict[str, int] = {}
    prompt = usage.input_total
    if prompt is not None:
        out["promptTokenCount"] = prompt
    if usage.output is not None:
        out["candidatesTokenCount"] = max(0, usage.output - (usage.reasoning or 0))
    if usage.reasoning is not None:
        out["thoughtsTokenCount"] = usage.reasoning
    if usage.cache_read is not None:
        out["cachedContentTokenCount"] = usage.cache_read
    if prompt is not None or usage.output is not None:
        out["totalTokenCount"] = (prompt or 0) + max(usage.output or 0, usage.reasoning or 0)
    return json.encode(out)


# --- token probabilities ---------------------------------------------------------------------------------


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    logProbability: float = 0.0


class _Top(msgspec.Struct, frozen=True):
    candidates: list[_Token] = []


class _Result(msgspec.Struct, frozen=True):
    chosenCandidates: list[_Token] = []
    topCandidates: list[_Top] = []


class _ChatTop(msgspec.Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0


class _ChatToken(msgspec.Struct, frozen=True):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_ChatTop] = []


_result = json.decoder(_Result)
_chat = json.decoder(list[_ChatToken])


def _chat_token(token: _Token) -> dict[str, object]:
    data = token.token.encode("utf-8", "surrogatepass")
    return {"token": token.token, "logprob": token.logProbability, "bytes": list(data)}


def decode_logprobs(raw: Raw) -> bytes | None:
    """``logprobsResult`` as Chat's ``content`` logprobs, which is how the representation has them."""
    data = given(raw)
    if data is None:
        return None
    try:
        found = json.decode(data, _result)
    except RemoteProtocolError:
        return None
    out = []
    for n, token in enumerate(found.chosenCandidates):
        top = found.topCandidates[n].candidates if n < len(found.topCandidates) else []
        out.append({**_chat_token(token), "top_logprobs": [_chat_token(one) for one in top]})
    return json.encode(out) if out else None


def encode_logprobs(pieces: list[bytes]) -> bytes | None:
    """``logprobsResult`` out of Chat's logprobs; None where there are none to say."""
    chosen: list[dict[str, object]] = []
    top: list[dict[str, object]] = []
    for piece in pieces:
        try:
            tokens = json.decode(piece, _chat)
        except RemoteProtocolError:
            continue
        for token in tokens:
            chosen.append({"token": token.token, "logProbability": token.logprob})
            others = [{"token": one.token, "logProbability": one.logprob} for one in token.top_logprobs]
            top.append({"candidates": others})
    return json.encode({"chosenCandidates": chosen, "topCandidates": top}) if chosen else None
