"""Who sells where."""

from __future__ import annotations

import pytest

from ferryllm_proto.routing.pricing import Amount, Price, PriceTable, Row
from ferryllm_proto.routing.sellers import seller_at, sellers_of


@pytest.mark.parametrize(
    ("host", "seller"),
    [
        ("api.openai.com", "openai"),
        ("EU.api.OpenAI.com.", "openai"),
        ("api.anthropic.com", "anthropic"),
        ("mine.openai.azure.com", "azure"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "aws"),
        ("generativelanguage.googleapis.com", "google"),
        ("api.x.ai", "x-ai"),
        ("api.openai.com.evil.example", None),
        ("notapi.openai.com", None),
        ("127.0.0.1", None),
    ],
)
def test_a_host_is_known_by_its_whole_name(host: str, seller: str | None) -> None:
    assert seller_at(host) == seller


def test_a_provider_that_is_called_like_a_seller_is_not_taken_for_one() -> None:
    table = PriceTable((Row("m", Price(input=Amount(1)), "openai"),))
    assert table.find("m", sellers_of("openai", "127.0.0.1")) is None
    assert table.find("m", sellers_of("local", "127.0.0.1", "openai")) == Price(input=Amount(1))
    assert table.find("m", sellers_of("x", "api.openai.com")) == Price(input=Amount(1))
    assert sellers_of("x", "api.openai.com", "azure") == ("@x", "azure")
