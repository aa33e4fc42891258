"""Usage and finish, both directions."""

from __future__ import annotations

import pytest

from ferryllm_proto import ir, json
from ferryllm_proto.dialects.openai_responses.outcome import (
    decode_finish,
    decode_usage,
    encode_finish,
    encode_usage,
    response_decoder,
)

F = ir.FinishReason


def usage(text: bytes) -> ir.Usage:
    response = json.decode(b'{"usage":%b}' % text, response_decoder)
    assert response.usage is not None
    return decode_usage(response.usage)


def test_u2_cached_input_may_exceed_all_input() -> None:
    assert usage(b'{"input_tokens":31,"input_tokens_details":{"cached_tokens":161}}').input == 0


def test_u11_what_is_unknown_stays_unknown() -> None:
    assert usage(b"{}") == ir.Usage()


def test_u1_output_without_its_reasoning_is_seen_by_the_total() -> None:
    text = b'{"input_tokens":10,"output_tokens":5,"total_tokens":22,"output_tokens_details":{"reasoning_tokens":7}}'
    assert usage(text).output == 12


def test_u8_unknown_input_is_the_estimate() -> None:
    assert encode_usage(ir.Usage(output=2), 9)["input_tokens"] == 9


@pytest.mark.parametrize("reason", F)
def test_x14_every_reason_has_an_outcome(reason: F) -> None:
    status, why = encode_finish(reason, refused=False)
    assert status in ("completed", "incomplete", "failed")
    assert (why is not None) is (status == "incomplete")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"status":"completed"}', F.END),
        (b'{"status":"in_progress"}', F.PAUSE),
        (b'{"status":"incomplete","incomplete_details":{"reason":"steered"}}', F.END),
        (b'{"status":"completed","incomplete_details":{"reason":"max_output_tokens"}}', F.LENGTH),
    ],
)
def test_statuses_become_reasons(text: bytes, reason: F) -> None:
    assert decode_finish(json.decode(text, response_decoder), called=False, refused=False) is reason
