from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini import usage
from ferryllm_proto.json import Raw

R = ir.FinishReason


def _decoded(**fields: Any) -> ir.Usage | None:
    return usage.decode(json.dumps(fields).encode())


def test_u3_cached_tokens_are_in_the_prompt_and_thoughts_are_not_in_the_candidates() -> None:
    assert _decoded(
        promptTokenCount=10, cachedContentTokenCount=4, candidatesTokenCount=3, thoughtsTokenCount=5, totalTokenCount=18
    ) == ir.Usage(input=6, cache_read=4, output=8, reasoning=5)


def test_u3_what_tools_read_comes_on_top() -> None:
    assert _decoded(promptTokenCount=10, toolUsePromptTokenCount=7, candidatesTokenCount=1) == ir.Usage(
        input=17, output=1
    )


def test_u14_both_spellings_are_read() -> None:
    assert _decoded(prompt_token_count=2, candidates_token_count=3) == ir.Usage(input=2, output=3)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"promptTokenCount": 5, "totalTokenCount": 5}, ir.Usage(input=5, output=0)),
        ({"promptTokenCount": 5, "totalTokenCount": 9}, ir.Usage(input=5, output=4)),
        ({"promptTokenCount": 1, "cachedContentTokenCount": 9}, ir.Usage(input=0, cache_read=9)),
        ({}, ir.Usage()),
        ({"promptTokenCount": "x"}, None),
    ],
)
def test_u11_what_is_not_said_is_not_known(fields: dict[str, Any], found: ir.Usage | None) -> None:
    assert _decoded(**fields) == found


@pytest.mark.parametrize(
    "found",
    [
        ir.Usage(input=6, cache_read=4, output=8, reasoning=5),
        ir.Usage(input=6, output=8),
        ir.Usage(output=0, input=0),
    ],
)
def test_u1_counters_come_back(found: ir.Usage) -> None:
    assert usage.decode(usage.encode(found)) == found


def test_the_total_is_the_sum() -> None:
    body = json.loads(usage.encode(ir.Usage(input=6, cache_read=4, cache_write=2, output=8, reasoning=5)))
    assert body == {
        "promptTokenCount": 12,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 5,
        "cachedContentTokenCount": 4,
        "totalTokenCount": 20,
    }
    assert usage.encode(ir.Usage()) == b"{}"


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b'"STOP"', "STOP"),
        (b"1", "STOP"),
        (b"2", "MAX_TOKENS"),
        (b"99", "OTHER"),
        (b"0", None),
        (b'"FINISH_REASON_UNSPECIFIED"', None),
        (b"null", None),
        (b"true", None),
        (b'""', None),
    ],
)
def test_enums_come_as_words_and_as_numbers(raw: bytes, word: str | None) -> None:
    assert usage.word(Raw(raw)) == word


@pytest.mark.parametrize(
    ("word", "called", "reason"),
    [
        ("STOP", False, R.END),
        ("STOP", True, R.TOOL_USE),
        ("MAX_TOKENS", True, R.LENGTH),
        ("SAFETY", False, R.REFUSAL),
        ("RECITATION", False, R.REFUSAL),
        ("IMAGE_PROHIBITED_CONTENT", False, R.REFUSAL),
        ("MODEL_ARMOR", False, R.REFUSAL),
        ("OTHER", False, R.REFUSAL),
        ("MALFORMED_FUNCTION_CALL", False, R.MALFORMED_TOOL),
        ("UNEXPECTED_TOOL_CALL", False, R.MALFORMED_TOOL),
        ("MISSING_THOUGHT_SIGNATURE", False, R.ERROR),
        ("SOMETHING_NEW", False, R.END),
    ],
)
def test_y3_reasons(word: str, called: bool, reason: R) -> None:
    assert usage.finish(word, called=called) is reason


def test_every_reason_has_a_word_and_refusals_keep_theirs() -> None:
    assert set(usage.FINISH_REASON) == set(R)
    assert usage.finish_reason(R.REFUSAL, b'{"finishReason":"BLOCKLIST"}', refused=False) == "BLOCKLIST"
    assert usage.finish_reason(R.REFUSAL, b'{"type":"refusal"}', refused=False) == "SAFETY"
    assert usage.finish_reason(R.END, b'{"finishReason":"BLOCKLIST"}', refused=True) == "SAFETY"
    assert usage.finish_reason(R.LENGTH, b"[]", refused=True) == "MAX_TOKENS"


def test_probabilities_both_ways() -> None:
    result = {
        "chosenCandidates": [{"token": "é", "logProbability": -0.5}],
        "topCandidates": [
            {"candidates": [{"token": "é", "logProbability": -0.5}, {"token": "e", "logProbability": -1.5}]}
        ],
    }
    chat = usage.decode_logprobs(Raw(json.dumps(result).encode()))
    assert chat is not None
    assert json.loads(chat)[0]["bytes"] == [195, 169]
    again = usage.encode_logprobs([chat])
    assert again is not None
    assert json.loads(again) == result
    assert usage.decode_logprobs(Raw(b'{"chosenCandidates":1}')) is None
    assert usage.encode_logprobs([b"{}"]) is None
