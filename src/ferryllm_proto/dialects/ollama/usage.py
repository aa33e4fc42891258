"""Token counts and reasons to stop, both directions (wire.md 7.7 and 7.8)."""

from __future__ import annotations

from ... import ir
from ...loss import Report
from .wire import Line

_REASONS = {
    "stop": ir.FinishReason.END,
    "length": ir.FinishReason.LENGTH,
    "load": ir.FinishReason.END,
    "unload": ir.FinishReason.END,
    # Not in it: words nobody has documented. They end an answer like "stop" (X14).
}

_FINISH: dict[ir.FinishReason, str] = {
    ir.FinishReason.LENGTH: "length",
    ir.FinishReason.CONTEXT: "length",
    # Not in it: all other ends, which are "stop" here.
}


def decode_usage(line: Line) -> ir.Usage | None:
    """The counters; ``prompt_eval_count`` is missing where the whole prompt was cached, and stays unknown (U11)."""
    prompt, output = _whole(line.prompt_eval_count), _whole(line.eval_count)
    return None if prompt is None and output is None else ir.Usage(prompt, output=output)


def _whole(count: int | float | None) -> int | None:
    return None if count is None else max(0, int(count))


def decode_finish(line: Line, *, called: bool) -> ir.FinishReason:
    """Why the model stopped; with calls the server says "stop" as well."""
    reason = _REASONS.get(line.done_reason or "stop", ir.FinishReason.END)
    return ir.FinishReason.TOOL_USE if called and reason is ir.FinishReason.END else reason


def encode_finish(reason: ir.FinishReason) -> bytes:
    """``done_reason``."""
    return _FINISH.get(reason, "stop").encode()


def encode_counts(usage: ir.Usage | None) -> bytes:
    """The counters as members, each behind a comma; what is unknown is left out."""
    if usage is None:
        return b""
    prompt = b"" if usage.input_total is None else b',"prompt_eval_count":%d' % usage.input_total
    return prompt + (b"" if usage.output is None else b',"eval_count":%d' % usage.output)


def report_finish(reason: ir.FinishReason, stop: str | None, details: bytes | None, report: Report) -> None:
    """Report what ``done_reason`` does not say of an end."""
    if reason in (ir.FinishReason.PAUSE, ir.FinishReason.REFUSAL, ir.FinishReason.MALFORMED_TOOL):
        report.degraded("stop_reason", f'an end by {reason.value} is "stop" here')
    if stop is not None:
        report.dropped("stop_sequence", "an answer here does not say which one was met")
    if details is not None:
        report.dropped("stop_details", "an answer here has no details of its end")
