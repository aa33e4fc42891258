"""Usage and reasons to stop: the numbers and words both directions share (wire.md 7.7, 7.8)."""

from __future__ import annotations

from ... import ir, json
from ...errors import RemoteProtocolError
from . import wire
from .wire import given

FINISH: dict[str, ir.FinishReason] = {
    "end_turn": ir.FinishReason.END,
    "max_tokens": ir.FinishReason.LENGTH,
    "stop_sequence": ir.FinishReason.STOP,
    "tool_use": ir.FinishReason.TOOL_USE,
    "pause_turn": ir.FinishReason.PAUSE,
    "compaction": ir.FinishReason.PAUSE,
    "refusal": ir.FinishReason.REFUSAL,
    "model_context_window_exceeded": ir.FinishReason.CONTEXT,
    # Not in it: words of servers and versions this file does not know; they are an ordinary end.
}

STOP_REASON: dict[ir.FinishReason, str] = {
    ir.FinishReason.END: "end_turn",
    ir.FinishReason.LENGTH: "max_tokens",
    ir.FinishReason.STOP: "stop_sequence",
    ir.FinishReason.TOOL_USE: "tool_use",
    ir.FinishReason.PAUSE: "pause_turn",
    ir.FinishReason.REFUSAL: "refusal",
    ir.FinishReason.CONTEXT: "model_context_window_exceeded",
    ir.FinishReason.MALFORMED_TOOL: "end_turn",
    # Not in it: ERROR, which is no end but an error.
}


def finish(reason: str) -> ir.FinishReason:
    """The reason behind a ``stop_reason``."""
    return FINISH.get(reason, ir.FinishReason.END)


def decode(raw: json.Raw) -> ir.Usage | None:
    """A ``usage`` object; None where it is absent or not readable, which is no reason to lose an answer."""
    data = given(raw)
    if data is None:
        return None
    try:
        usage = json.decode(data, wire.usage)
    except RemoteProtocolError:
        return None
    write = _count(usage.cache_creation_input_tokens)
    hour = None
    if usage.cache_creation is not None:
        short = _count(usage.cache_creation.ephemeral_5m_input_tokens)
        hour = _count(usage.cache_creation.ephemeral_1h_input_tokens)
        if write is None and (short is not None or hour is not None):
            write = (short or 0) + (hour or 0)
    details, server = usage.output_tokens_details, usage.server_tool_use
    counters = {name: count for name, count in server.items() if count is not None} if server else None
    return ir.Usage(
        input=_count(usage.input_tokens),
        cache_read=_count(usage.cache_read_input_tokens),
        cache_write=write,
        cache_write_1h=hour,
        output=_count(usage.output_tokens),
        reasoning=_count(details.thinking_tokens) if details is not None else None,
        server_tools=counters or None,
    )


def _count(found: int | None) -> int | None:
    """A counter as it came; broken servers count below zero."""
    return None if found is None else max(0, found)


_USUAL = b'{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"output_tokens":%d%b}'


def encode(usage: ir.Usage | None, estimate: int) -> bytes:
    """A ``usage`` object; the wire wants integers, so an unknown input is the estimate (U8, U11)."""
    if usage is None:
        return _USUAL % (estimate, 0, 0, 0, b"")
    if usage.server_tools or usage.cache_write_1h:
        return json.encode(fields(usage, estimate))
    input_, reasoning = usage.input, usage.reasoning
    return _USUAL % (
        estimate if input_ is None else input_,
        usage.cache_write or 0,
        usage.cache_read or 0,
        usage.output or 0,
        b"" if reasoning is None else b',"output_tokens_details":{"thinking_tokens":%d}' % reasoning,
    )


def fields(usage: ir.Usage | None, estimate: int) -> dict[str, object]:
    """The same as a value."""
    usage = usage if usage is not None else ir.Usage()
    out: dict[str, object] = {
        "input_tokens": estimate if usage.input is None else usage.input,
        "cache_creation_input_tokens": usage.cache_write or 0,
        "cache_read_input_tokens": usage.cache_read or 0,
        "output_tokens": usage.output or 0,
    }
    if usage.cache_write_1h:
        short = max(0, (usage.cache_write or 0) - usage.cache_write_1h)
        out["cache_creation"] = {
            "ephemeral_5m_input_tokens": short,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning is not None:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.server_tools:
        out["server_tool_use"] = {"web_search_requests": 0, "web_fetch_requests": 0, **usage.server_tools}
    return out
