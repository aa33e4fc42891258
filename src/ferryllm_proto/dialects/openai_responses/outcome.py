"""How an answer ended and what it cost: status, finish reason and usage, both directions."""

from __future__ import annotations

import msgspec

from ... import ir, json

_F = ir.FinishReason


class _InputDetails(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class Incomplete(msgspec.Struct, frozen=True):
    reason: str | None = None


class WireResponse(msgspec.Struct, frozen=True):
    """What is read of a response object; the rest of it only echoes the request."""

    id: str | None = None
    model: str | None = None
    created_at: int | float | None = None
    status: str | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")
    incomplete_details: Incomplete | None = None
    output: list[msgspec.Raw] | None = None
    usage: WireUsage | None = None


response_decoder = json.decoder(WireResponse)

_INCOMPLETE = {
    "max_output_tokens": _F.LENGTH,
    "max_tokens": _F.LENGTH,
    "max_messages": _F.LENGTH,
    "content_filter": _F.REFUSAL,
    "steered": _F.END,
}
"""``incomplete_details.reason`` to a finish reason; one that is not in it counts as cut for length."""

UNFINISHED = frozenset({"queued", "in_progress"})
"""Statuses of a background answer that is still being made."""


def decode_usage(usage: WireUsage) -> ir.Usage:
    """Counters as the representation has them: cached input apart (U1, U2)."""
    details = usage.input_tokens_details or _InputDetails()
    read, written = _count(details.cached_tokens), _count(details.cache_write_tokens)
    total = _count(usage.input_tokens)
    output = _count(usage.output_tokens)
    reasoning = _count(usage.output_tokens_details.reasoning_tokens) if usage.output_tokens_details else None
    if usage.total_tokens is not None and total is not None and output is not None:
        # One vendor counts output without reasoning; the total tells.
        missing = usage.total_tokens - total - output
        if reasoning and missing == reasoning:
            output += missing
    return ir.Usage(
        input=None if total is None else max(0, total - (read or 0) - (written or 0)),
        cache_read=read,
        cache_write=written,
        output=output,
        reasoning=reasoning,
    )


def _count(found: int | None) -> int | None:
    """A counter as it came; broken servers count below zero."""
    return None if found is None else max(0, found)


def encode_usage(usage: ir.Usage, estimate: int) -> dict[str, object]:
    """All counters, with their details objects always (U9)."""
    total_in = usage.input_total
    if total_in is None:
        total_in = estimate
    output = usage.output or 0
    return {
        "input_tokens": total_in,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read or 0,
            "cache_write_tokens": usage.cache_write or 0,
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": total_in + output,
    }


def decode_finish(response: WireResponse, *, called: bool, refused: bool) -> ir.FinishReason:
    """Why an answer with a good status ended; ``called``: it has a call of a client's tool."""
    reason = response.incomplete_details.reason if response.incomplete_details else None
    if response.status == "incomplete" or reason is not None:
        return _INCOMPLETE.get(reason or "", _F.LENGTH)
    if response.status in UNFINISHED:
        return _F.PAUSE
    if called:
        return _F.TOOL_USE
    return _F.REFUSAL if refused else _F.END


_OUTCOMES: dict[ir.FinishReason, tuple[str, str | None]] = {
    _F.END: ("completed", None),
    _F.LENGTH: ("incomplete", "max_output_tokens"),
    _F.CONTEXT: ("incomplete", "max_output_tokens"),
    _F.STOP: ("completed", None),
    _F.TOOL_USE: ("completed", None),
    _F.PAUSE: ("completed", None),
    _F.REFUSAL: ("incomplete", "content_filter"),
    _F.MALFORMED_TOOL: ("failed", None),
    _F.ERROR: ("failed", None),
}
"""Status and reason by finish reason; every one is in it. A refusal said in a refusal part is completed."""


def encode_finish(reason: ir.FinishReason, *, refused: bool) -> tuple[str, str | None]:
    """``status`` and ``incomplete_details.reason``; ``refused``: the answer has a refusal part."""
    if reason is _F.REFUSAL and refused:
        return "completed", None
    return _OUTCOMES[reason]
