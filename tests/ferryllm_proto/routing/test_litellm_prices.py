"""Prices in the form of LiteLLM's list."""

from __future__ import annotations

import pytest

from ferryllm_proto import json
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.routing.litellm_prices import read_litellm
from ferryllm_proto.routing.pricing import Amount, Price, Tier

DATA = {
    "sample_spec": {"input_cost_per_token": 1, "litellm_provider": "openai"},
    "gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05},
    "claude-x": {
        "litellm_provider": "anthropic",
        "input_cost_per_token": 3e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06,
        "output_cost_per_token": "0.000015",
        "cache_read_input_token_cost": 3.75e-09,
        "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
        "output_cost_per_reasoning_token": 2e-05,
    },
    "gemini/g": {"litellm_provider": "gemini", "input_cost_per_token": 1e-07, "output_cost_per_token": 4e-07},
    "vertex_ai/c": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": 1e-06},
    "xai/grok": {"litellm_provider": "xai", "input_cost_per_token": 2e-06},
    "image": {"litellm_provider": "openai", "input_cost_per_image": 0.1},
    "odd": {"litellm_provider": "openai", "input_cost_per_token": True, "output_cost_per_token": "free"},
    "minus": {"litellm_provider": "openai", "input_cost_per_token": -1, "output_cost_per_token": 5},
    "nobody": {"input_cost_per_token": 1e-06},
    "list": [],
}
TABLE = read_litellm(json.encode(DATA))
MILLION = 10**9


def test_prices_of_a_token_are_prices_of_a_million_exactly() -> None:
    assert TABLE.find("gpt-x", ("openai",)) == Price(input=Amount(2_500_000_000), output=Amount(10 * MILLION))
    assert TABLE.find("claude-x", ("anthropic",)) == Price(
        input=Amount(3 * MILLION, (Tier(200_000, 6 * MILLION),)),
        output=Amount(15 * MILLION),
        cache_read=Amount(3_750_000),
        cache_write=Amount(3_750_000_000),
        cache_write_1h=Amount(6 * MILLION),
        reasoning=Amount(20 * MILLION),
    )


@pytest.mark.parametrize(("model", "seller"), [("g", "google"), ("grok", "x-ai"), ("vertex_ai/c", "google")])
def test_providers_are_found_by_our_names(model: str, seller: str) -> None:
    assert TABLE.find(model, (seller,)) is not None


@pytest.mark.parametrize("model", ["sample_spec", "image", "odd", "minus", "nobody", "list"])
def test_what_is_no_price_of_a_seller_is_none(model: str) -> None:
    assert TABLE.find(model, ("openai",)) is None


@pytest.mark.parametrize("data", [b"[]", b"{", b"5"])
def test_another_form_is_an_error(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_litellm(data)
