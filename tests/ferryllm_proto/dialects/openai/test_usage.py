"""Usage arithmetic and finish reasons."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CompletionUsage

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import usage as chat_usage
from ferryllm_proto.dialects.openai.usage import FINISH, decode_finish, decode_usage, encode_finish, encode_usage


def usage(**fields: Any) -> ir.Usage | None:
    return decode_usage(json.dumps(fields).encode())


def test_u2_prompt_tokens_include_what_was_cached() -> None:
    found = usage(
        prompt_tokens=100,
        completion_tokens=10,
        total_tokens=110,
        prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 30},
        completion_tokens_details={"reasoning_tokens": 4},
    )
    assert found == ir.Usage(10, 60, 30, output=10, reasoning=4)
    assert found.input_total == 100


@pytest.mark.parametrize(
    "fields", [{"prompt_cache_hit_tokens": 6}, {"cached_tokens": 6}, {"num_cached_tokens": 6}], ids=str
)
def test_u15_cached_tokens_where_vendors_put_them(fields: dict[str, int]) -> None:
    found = usage(prompt_tokens=10, completion_tokens=1, **fields)
    assert found == ir.Usage(4, 6, output=1)


def test_xai_leaves_reasoning_out_of_completion_tokens() -> None:
    found = usage(
        prompt_tokens=10, completion_tokens=5, total_tokens=115, completion_tokens_details={"reasoning_tokens": 100}
    )
    assert found == ir.Usage(10, output=105, reasoning=100)


def test_xai_without_a_total_is_told_by_reasoning_that_exceeds_the_output() -> None:
    beside = usage(prompt_tokens=10, completion_tokens=5, completion_tokens_details={"reasoning_tokens": 100})
    assert beside == ir.Usage(10, output=105, reasoning=100)
    within = usage(prompt_tokens=10, completion_tokens=5, completion_tokens_details={"reasoning_tokens": 3})
    assert within == ir.Usage(10, output=5, reasoning=3)


def test_geminis_endpoint_counts_thoughts_in_the_total_alone() -> None:
    assert usage(prompt_tokens=10, completion_tokens=5, total_tokens=45) == ir.Usage(10, output=35)


def test_mistral_counts_sound_beside_the_prompt() -> None:
    found = usage(prompt_tokens=9, completion_tokens=201, total_tokens=585, prompt_tokens_details={"audio_tokens": 375})
    assert found == ir.Usage(384, output=201)


def test_deepseeks_prompt_is_what_hit_and_what_missed() -> None:
    found = usage(completion_tokens=1, prompt_cache_hit_tokens=6, prompt_cache_miss_tokens=4)
    assert found == ir.Usage(4, 6, output=1)


def test_more_cached_than_prompt_gives_no_negative_input() -> None:
    found = usage(prompt_tokens=31, completion_tokens=1, prompt_tokens_details={"cached_tokens": 161})
    assert found is not None
    assert (found.input, found.cache_read) == (0, 161)


def test_u11_unknown_stays_unknown() -> None:
    assert usage(cost=1) is None
    assert decode_usage(b"null") is None
    assert decode_usage(b'{"prompt_tokens":"x"}') is None
    assert usage(prompt_tokens=1) == ir.Usage(1)
    assert usage(completion_tokens=2.0) == ir.Usage(output=2)


def test_encoded_usage_is_the_sdks_and_comes_back() -> None:
    found = ir.Usage(10, 60, 30, output=10, reasoning=4)
    wire = encode_usage(found)
    CompletionUsage.model_validate(wire, strict=True)
    assert decode_usage(json.dumps(wire).encode()) == found
    assert encode_usage(ir.Usage())["total_tokens"] == 0


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", ir.FinishReason.END),
        ("eos", ir.FinishReason.END),
        ("length", ir.FinishReason.LENGTH),
        ("model_length", ir.FinishReason.CONTEXT),
        ("tool_calls", ir.FinishReason.TOOL_USE),
        ("function_call", ir.FinishReason.TOOL_USE),
        ("tool_call", ir.FinishReason.TOOL_USE),
        ("content_filter", ir.FinishReason.REFUSAL),
        ("error", ir.FinishReason.ERROR),
        ("insufficient_system_resource", ir.FinishReason.ERROR),
        ("whatever", ir.FinishReason.END),
    ],
)
def test_x14_finish_reasons_of_vendors(word: str, reason: ir.FinishReason) -> None:
    assert decode_finish(word, called=False, refused=False, stop=None)[0] is reason


def test_stop_after_calls_refusals_and_sequences() -> None:
    assert decode_finish("stop", called=True, refused=False, stop=None)[0] is ir.FinishReason.TOOL_USE
    assert decode_finish("stop", called=False, refused=True, stop=None)[0] is ir.FinishReason.REFUSAL
    assert decode_finish("stop", called=False, refused=False, stop="X") == (ir.FinishReason.STOP, "X")
    assert decode_finish("length", called=True, refused=False, stop=None)[0] is ir.FinishReason.LENGTH


def test_y3_y8_every_reason_has_a_word_of_the_sdk() -> None:
    words = {"stop", "length", "tool_calls", "content_filter", "function_call"}
    assert set(FINISH) == set(ir.FinishReason)
    assert set(FINISH.values()) <= words
    assert encode_finish(ir.FinishReason.END, called=True, refused=False) == "tool_calls"
    assert encode_finish(ir.FinishReason.REFUSAL, called=False, refused=True) == "stop"
    assert encode_finish(ir.FinishReason.REFUSAL, called=False, refused=False) == "content_filter"


_COUNTS = st.sampled_from([None, 0, 1, 3, 7, 10, 12, -2, 3.0, 2.5, 1 << 70])


@settings(max_examples=settings().max_examples * 4)
@given(
    st.builds(
        chat_usage.Usage,
        prompt_tokens=_COUNTS,
        completion_tokens=_COUNTS,
        total_tokens=st.one_of(_COUNTS, st.sampled_from([2, 4, 6, 8, 11, 13])),
        prompt_tokens_details=st.one_of(
            st.none(),
            st.builds(
                chat_usage._PromptDetails, cached_tokens=_COUNTS, cache_write_tokens=_COUNTS, audio_tokens=_COUNTS
            ),
        ),
        completion_tokens_details=st.one_of(
            st.none(), st.builds(chat_usage._CompletionDetails, reasoning_tokens=_COUNTS)
        ),
        prompt_cache_hit_tokens=st.sampled_from([None, None, 1]),
        reasoning_tokens=st.sampled_from([None, None, 1]),
    ),
    st.sampled_from([None, None, ir.Usage(1, 2, 3, None, 4), ir.Usage(1, None, 0)]),
)
def test_usage_that_adds_up_is_counted_as_any(found: chat_usage.Usage, before: ir.Usage | None) -> None:
    fast = chat_usage._usual(found, before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_usage, "_usual", lambda *_: None)
        slow = chat_usage.usage_of(found, before)
    assert fast is None or fast == slow
