"""Prices in the form of the package genai-prices."""

from __future__ import annotations

import pytest

from ferryllm_proto import json
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.routing import price_data
from ferryllm_proto.routing.price_data import read_prices
from ferryllm_proto.routing.pricing import Amount, Price, PriceTable, Row, Tier

DAY = "2026-11-21"


def model(match: object, prices: object) -> dict[str, object]:
    return {"id": "x", "match": match, "prices": prices}


DATA = [
    {
        "id": "one",
        "models": [
            model({"equals": "Exact"}, {"input_mtok": 1, "output_mtok": 2.5}),
            model({"or": [{"starts_with": "begin-"}, {"ends_with": "-end"}]}, {"input_mtok": 2}),
            model({"and": [{"contains": "mid"}, {"contains": "dle"}]}, {"input_mtok": 3}),
            model({"regex": "^r-\\d{8}$"}, {"input_mtok": 4}),
            model({"regex": "^(?!.*-tts(?:$|-))gem"}, {"input_mtok": 5}),
            model(
                {"equals": "full"},
                {
                    "input_mtok": {"base": 3, "tiers": [{"start": 200000, "price": 6}]},
                    "cache_read_mtok": 0.3,
                    "cache_write_mtok": 3.75,
                    "cache_write_1h_mtok": "6",
                    "output_mtok": 15,
                    "output_reasoning_mtok": 1,
                    "requests_kcount": 5,
                    "web_searches_kcount": 10,
                    "input_audio_mtok": 99,
                },
            ),
            model(
                {"equals": "dated"},
                [
                    {"prices": {"input_mtok": 1}},
                    {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": 2}},
                    {"constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"}, "prices": {"input_mtok": 9}},
                    {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 3}},
                ],
            ),
            model({"equals": "future"}, [{"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 3}}]),
            model({"sounds_like": "bad"}, {"input_mtok": 1}),
            model({"regex": "(?!x)(a+)+b"}, {"input_mtok": 1}),
            model({"regex": "(?=("}, {"input_mtok": 1}),
            model({"equals": "minus"}, {"input_mtok": -1}),
            {"id": "without"},
        ],
    },
    {"id": "two", "fallback_model_providers": ["one"], "models": [model({"equals": "own"}, {"input_mtok": 7})]},
]

TABLE = read_prices(json.encode(DATA), DAY)


@pytest.mark.parametrize(
    ("name", "dollars"),
    [
        ("exact", 1),
        ("EXACT", 1),
        ("exact2", None),
        ("begin-x", 2),
        ("x-end", 2),
        ("middle", 3),
        ("mid", None),
        ("r-20260101", 4),
        ("r-1", None),
        ("gemini", 5),
        ("gemini-tts", None),
        ("gem" + "i" * 200, None),
        ("dated", 2),
        ("future", None),
        ("bad", None),
        ("aab", None),  # its pattern looks around and could take for ever: not used
        ("minus", None),
    ],
)
def test_models_are_found_by_their_clauses_and_what_is_not_understood_has_no_price(
    name: str, dollars: int | None
) -> None:
    found = TABLE.find(name, ("one",))
    assert (None if found is None else found.input) == (None if dollars is None else Amount(dollars * 10**9))


def test_every_price_of_a_text_is_read() -> None:
    assert TABLE.find("full", ("one",)) == Price(
        input=Amount(3 * 10**9, (Tier(200_000, 6 * 10**9),)),
        output=Amount(15 * 10**9),
        cache_read=Amount(300_000_000),
        cache_write=Amount(3_750_000_000),
        cache_write_1h=Amount(6 * 10**9),
        reasoning=Amount(10**9),
        request=5_000_000,
        tools={"web_search_requests": 10_000_000},
    )


def test_sellers_are_asked_in_order_then_those_they_resell() -> None:
    found = TABLE.find("own", ("nobody", "two"))
    assert found is not None
    assert TABLE.find("exact", ("two",)) is not None
    assert TABLE.find("own", ("one",)) is None
    assert TABLE.find("own") is None


def test_own_prices_go_before_the_package() -> None:
    mine = PriceTable((Row("exact", Price(request=1)),), TABLE)
    assert mine.find("exact", ("one",)) == Price(request=1)
    assert mine.find("begin-x", ("one",)) == Price(input=Amount(2 * 10**9))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_data, "MAX_FOUND", 3)
    table = read_prices(json.encode(DATA), DAY)
    for number in range(10):
        assert table.find(f"begin-{number}", ("one",)) is not None
        assert table.find("begin-0", ("one",)) is not None
        assert len(table._found) <= 3


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"nope"])
def test_what_is_no_list_of_sellers_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_prices(data, DAY)
