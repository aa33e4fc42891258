"""Token counts and finish reasons in Chat's words, both directions (wire.md 7.7 and 7.8)."""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...errors import RemoteProtocolError
from ...loss import Report

_Count = int | float | None


class _PromptDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: _Count = None
    cache_write_tokens: _Count = None
    audio_tokens: _Count = None


class _CompletionDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: _Count = None


_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()


class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    total_tokens: _Count = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: _Count = None
    """DeepSeek."""
    prompt_cache_miss_tokens: _Count = None
    cached_tokens: _Count = None
    num_cached_tokens: _Count = None
    reasoning_tokens: _Count = None
    """Perplexity."""


_usage = json.decoder(Usage)


def _whole(*counts: _Count) -> int | None:
    """The first known of several places, never below zero."""
    for count in counts:
        if count is not None:
            return max(0, int(count))
    return None


def decode_usage(raw: bytes | msgspec.Raw, before: ir.Usage | None = None) -> ir.Usage | None:
    """A provider's ``usage``; None where there is none or it is none, which must not cost the answer.

    ``before`` is an earlier one of the same stream: cached tokens that only it told are still part of the prompt.
    """
    if bytes(raw) in (b"", b"null"):
        return None
    try:
        found = json.decode(raw, _usage)
    except RemoteProtocolError:
        return None
    return usage_of(found, before)


def usage_of(found: Usage, before: ir.Usage | None = None) -> ir.Usage | None:
    """The same for one that is decoded already."""
    if (usual := _usual(found, before)) is not None:
        return usual
    inside = found.prompt_tokens_details or _NO_PROMPT_DETAILS
    outside = found.completion_tokens_details or _NO_COMPLETION_DETAILS
    prompt, output = _whole(found.prompt_tokens), _whole(found.completion_tokens)
    total = _whole(found.total_tokens)
    read = _whole(inside.cached_tokens, found.prompt_cache_hit_tokens, found.cached_tokens, found.num_cached_tokens)
    write = _whole(inside.cache_write_tokens)
    if before is not None:
        read, write = before.cache_read if read is None else read, before.cache_write if write is None else write
    reasoning = _whole(outside.reasoning_tokens, found.reasoning_tokens)
    if prompt is None and found.prompt_cache_miss_tokens is not None:
        prompt = (read or 0) + int(found.prompt_cache_miss_tokens)
    if prompt is not None and output is not None:
        prompt, output = _complete(prompt, output, total, reasoning, _whole(inside.audio_tokens))
    if prompt is None and output is None:
        return None
    # Grok on Azure reports more cached tokens than prompt tokens.
    uncached = None if prompt is None else max(0, prompt - (read or 0) - (write or 0))
    return ir.Usage(uncached, read, write, output=output, reasoning=reasoning)


def _usual(found: Usage, before: ir.Usage | None) -> ir.Usage | None:
    """The same for who counts whole numbers that add up, and no tokens in places of his own; None is not known."""
    prompt, output = found.prompt_tokens, found.completion_tokens
    if (
        type(prompt) is not int
        or type(output) is not int
        or prompt + output != found.total_tokens
        or output < 0
        or prompt < 0
        or found.prompt_cache_hit_tokens is not None
        or found.cached_tokens is not None
        or found.num_cached_tokens is not None
        or found.reasoning_tokens is not None
    ):
        return None
    inside, outside = found.prompt_tokens_details, found.completion_tokens_details
    read: _Count = None
    write: _Count = None
    if inside is not None:
        read, write = inside.cached_tokens, inside.cache_write_tokens
    if before is not None:
        read, write = before.cache_read if read is None else read, before.cache_write if write is None else write
    if read is not None:
        if type(read) is not int or not 0 <= read <= prompt:
            return None
        prompt -= read
    if write is not None:
        if type(write) is not int or not 0 <= write <= prompt:
            return None
        prompt -= write
    if outside is None:
        return ir.Usage(prompt, read, write, None, output)  # by position: by name costs six times as much
    reasoning = outside.reasoning_tokens
    if reasoning is not None and (type(reasoning) is not int or reasoning < 0):
        return None
    return ir.Usage(prompt, read, write, None, output, reasoning)


def _complete(prompt: int, output: int, total: int | None, reasoning: int | None, audio: int | None) -> tuple[int, int]:
    """Input and output with what a provider counts beside them: the total has everything, or there is none.

    xAI leaves reasoning out of ``completion_tokens`` and so does Gemini's endpoint, which does not even name it;
    Mistral leaves sound out of ``prompt_tokens``.
    """
    if total is None:
        # Reasoning is a part of the output or beside it: more than the output it can only be beside it.
        return prompt, output + reasoning if reasoning is not None and reasoning > output else output
    rest = max(0, total - prompt - output)
    return (prompt + rest, output) if rest and rest == audio else (prompt, output + rest)


def encode_usage(usage: ir.Usage) -> dict[str, object]:
    """``usage`` of an answer. The three totals are required there; what is unknown is 0."""
    prompt, output = usage.input_total or 0, usage.output or 0
    out: dict[str, object] = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
    }
    cached = {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write}
    details = {name: count for name, count in cached.items() if count is not None}
    if details:
        out["prompt_tokens_details"] = details
    if usage.reasoning is not None:
        out["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return out


_REASONS = {
    "stop": ir.FinishReason.END,
    "eos": ir.FinishReason.END,
    "end_turn": ir.FinishReason.END,
    "eos_token": ir.FinishReason.END,
    "stop_sequence": ir.FinishReason.STOP,
    "length": ir.FinishReason.LENGTH,
    "max_tokens": ir.FinishReason.LENGTH,
    "model_length": ir.FinishReason.CONTEXT,
    "tool_calls": ir.FinishReason.TOOL_USE,
    "tool_call": ir.FinishReason.TOOL_USE,
    "tool_use": ir.FinishReason.TOOL_USE,
    "function_call": ir.FinishReason.TOOL_USE,
    "content_filter": ir.FinishReason.REFUSAL,
    "refusal": ir.FinishReason.REFUSAL,
    "error": ir.FinishReason.ERROR,
    "abort": ir.FinishReason.ERROR,
    "insufficient_system_resource": ir.FinishReason.ERROR,
    # Not in it: words nobody has documented. They end an answer like "stop" (X14).
}


def decode_finish(word: str, *, called: bool, refused: bool, stop: str | None) -> tuple[ir.FinishReason, str | None]:
    """A provider's finish reason, and the stop sequence where it told.

    ``called`` and ``refused`` say what the answer holds: providers say "stop" after calls and refusals alike.
    """
    reason = _REASONS.get(word.lower(), ir.FinishReason.END)
    if reason is ir.FinishReason.END:
        if called:
            return ir.FinishReason.TOOL_USE, None
        if refused:
            return ir.FinishReason.REFUSAL, None
        if stop is not None:
            return ir.FinishReason.STOP, stop
    return reason, None


FINISH: dict[ir.FinishReason, str] = {
    ir.FinishReason.END: "stop",
    ir.FinishReason.LENGTH: "length",
    ir.FinishReason.CONTEXT: "length",
    ir.FinishReason.STOP: "stop",
    ir.FinishReason.TOOL_USE: "tool_calls",
    ir.FinishReason.PAUSE: "stop",
    ir.FinishReason.REFUSAL: "content_filter",
    ir.FinishReason.MALFORMED_TOOL: "stop",
    ir.FinishReason.ERROR: "stop",
}
"""Not in it: nothing, every reason has a word. An error is written as one and never gets here."""


def report_finish(reason: ir.FinishReason, stop: str | None, details: bytes | None, report: Report) -> None:
    """Report what ``finish_reason`` does not say of an end."""
    if reason is ir.FinishReason.PAUSE:
        report.degraded("stop_reason", "Chat cannot say that the answer pauses")
    if stop is not None:
        report.dropped("stop_sequence", "a Chat answer does not say which one was met")
    if details is not None:
        report.dropped("stop_details", "a Chat answer has no details of its end")


def encode_finish(reason: ir.FinishReason, *, called: bool, refused: bool) -> str:
    """``finish_reason`` of an answer. With a refusal's text in the message OpenAI says "stop".

    So do we where the only calls were of a kind Chat does not have: they are reported, and nobody can answer them.
    """
    if called and reason is ir.FinishReason.END:
        return "tool_calls"
    if (refused and reason is ir.FinishReason.REFUSAL) or (reason is ir.FinishReason.TOOL_USE and not called):
        return "stop"
    return FINISH[reason]
