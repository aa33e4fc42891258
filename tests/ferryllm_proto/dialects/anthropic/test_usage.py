"""Usage between the wire and the representation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto import json as wire_json
from ferryllm_proto.dialects.anthropic import usage
from ferryllm_proto.json import raw


def decode(**fields: Any) -> ir.Usage | None:
    return usage.decode(raw(json.dumps(fields).encode()))


def test_every_counter() -> None:
    found = decode(
        input_tokens=1,
        cache_read_input_tokens=2,
        cache_creation_input_tokens=7,
        cache_creation={"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        output_tokens=5,
        output_tokens_details={"thinking_tokens": 6},
        server_tool_use={"web_search_requests": 8, "web_fetch_requests": None},
        service_tier="standard",
    )
    assert found == ir.Usage(1, 2, 7, 4, 5, 6, {"web_search_requests": 8})
    assert found.input_total == 10


def test_cache_writes_are_added_up_where_only_the_parts_are_known() -> None:
    found = decode(cache_creation={"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4})
    assert found is not None
    assert (found.cache_write, found.cache_write_1h) == (7, 4)
    assert decode(cache_creation={}) == ir.Usage()


@pytest.mark.parametrize("data", [b"", b"null", b"7", b'{"input_tokens":"x"}'])
def test_unreadable_usage_is_unknown(data: bytes) -> None:
    assert usage.decode(raw(data)) is None


def test_u2_u11_integers_always() -> None:
    assert json.loads(usage.encode(None, 9)) == {
        "input_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }
    assert json.loads(usage.encode(ir.Usage(input=0), 9))["input_tokens"] == 0


def test_every_reason_but_an_error_has_a_word() -> None:
    assert set(ir.FinishReason) - set(usage.STOP_REASON) == {ir.FinishReason.ERROR}
    for reason, word in usage.STOP_REASON.items():
        if reason is not ir.FinishReason.MALFORMED_TOOL:
            assert usage.finish(word) is reason


@given(
    st.builds(
        ir.Usage,
        *([st.sampled_from([None, 0, 1, 1 << 40])] * 6),
        st.sampled_from([None, {}, {"web_search_requests": 2}]),
    ),
    st.integers(0, 9),
)
def test_it_is_written_as_json(counted: ir.Usage, estimate: int) -> None:
    assert usage.encode(counted, estimate) == wire_json.encode(usage.fields(counted, estimate))
    assert usage.encode(None, estimate) == wire_json.encode(usage.fields(None, estimate))
