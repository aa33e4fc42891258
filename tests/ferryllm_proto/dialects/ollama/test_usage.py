"""Counters and reasons, both directions."""

from __future__ import annotations

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.ollama.usage import (
    decode_finish,
    decode_usage,
    encode_counts,
    encode_finish,
    report_finish,
)
from ferryllm_proto.dialects.ollama.wire import Line
from ferryllm_proto.loss import Report

from .build import paths


def test_7_7_counters() -> None:
    assert decode_usage(Line(prompt_eval_count=3, eval_count=4)) == ir.Usage(3, output=4)
    assert decode_usage(Line(eval_count=4.0)) == ir.Usage(output=4)
    assert decode_usage(Line(prompt_eval_count=-1)) == ir.Usage(0)
    assert decode_usage(Line()) is None
    assert encode_counts(ir.Usage(3, cache_read=2, cache_write=1, output=4)) == b',"prompt_eval_count":6,"eval_count":4'
    assert encode_counts(ir.Usage(output=4)) == b',"eval_count":4'
    assert encode_counts(ir.Usage(1)) == b',"prompt_eval_count":1'
    assert encode_counts(None) == b""


def test_7_8_reasons_of_a_provider() -> None:
    assert decode_finish(Line(done_reason="stop"), called=False) is ir.FinishReason.END
    assert decode_finish(Line(done_reason="stop"), called=True) is ir.FinishReason.TOOL_USE
    assert decode_finish(Line(done_reason="length"), called=True) is ir.FinishReason.LENGTH
    assert decode_finish(Line(), called=False) is ir.FinishReason.END


@pytest.mark.parametrize("reason", ir.FinishReason)
def test_7_8_every_reason_has_a_word(reason: ir.FinishReason) -> None:
    long = reason in (ir.FinishReason.LENGTH, ir.FinishReason.CONTEXT)
    assert encode_finish(reason) == (b"length" if long else b"stop")


def test_what_a_word_does_not_say_is_reported() -> None:
    report = Report()
    report_finish(ir.FinishReason.REFUSAL, "x", b"{}", report)
    assert paths(report.losses) == [
        ("degraded", "stop_reason"),
        ("dropped", "stop_sequence"),
        ("dropped", "stop_details"),
    ]
    quiet = Report()
    report_finish(ir.FinishReason.END, None, None, quiet)
    assert quiet.losses == []
