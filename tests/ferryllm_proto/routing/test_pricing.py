"""Prices: whole numbers, each token once, and nothing invented."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.routing.pricing import (
    UNKNOWN,
    Amount,
    Cost,
    Price,
    PriceTable,
    Row,
    Tier,
    cost_of,
    estimate,
    nanos,
)

OPUS = Price(
    input=Amount(nanos("5")),
    output=Amount(nanos("25")),
    cache_read=Amount(nanos("0.5")),
    cache_write=Amount(nanos("6.25")),
    cache_write_1h=Amount(nanos("10")),
    tools={"web_search_requests": nanos("0.01")},
)


def test_u12_u13_every_kind_of_token_has_its_price_and_is_charged_once() -> None:
    usage = ir.Usage(
        input=1000, cache_read=2000, cache_write=500, cache_write_1h=200, output=100, reasoning=40,
        server_tools={"web_search_requests": 2},
    )  # fmt: skip
    expected = 1000 * 5000 + 2000 * 500 + 300 * 6250 + 200 * 10_000 + 100 * 25_000 + 2 * 10_000_000
    assert cost_of(OPUS, usage) == Cost(expected, expected)


def test_prices_of_their_own_for_reasoning_requests_and_long_prompts() -> None:
    price = Price(
        input=Amount(nanos("1"), (Tier(200_000, nanos("2")), Tier(500_000, nanos("4")))),
        output=Amount(nanos("10"), (Tier(200_000, nanos("15")),)),
        reasoning=Amount(nanos("3")),
        request=7,
    )
    assert cost_of(price, ir.Usage(input=10, output=10, reasoning=4)).total == 10 * 1000 + 6 * 10_000 + 4 * 3000 + 7
    # The cached part makes the prompt long too, and then every token has the higher price.
    long = ir.Usage(input=1, cache_read=200_000, output=1)
    assert cost_of(price, long).total == 200_001 * 2000 + 15_000 + 7
    assert cost_of(price, ir.Usage(input=200_000, output=0)).total == 200_000 * 1000 + 7
    assert cost_of(price, ir.Usage(input=600_000, output=0)).total == 600_000 * 4000 + 7


def test_what_is_cached_without_a_price_of_its_own_costs_what_input_costs() -> None:
    price = Price(input=Amount(nanos("2")), output=Amount(nanos("2")))
    usage = ir.Usage(input=1, cache_read=2, cache_write=3, cache_write_1h=1, output=0)
    assert cost_of(price, usage).total == 6 * 2000


@pytest.mark.parametrize(
    ("price", "usage", "unknown", "known"),
    [
        (None, ir.Usage(input=1, output=1), ("price",), 0),
        (OPUS, None, ("usage",), 0),
        (OPUS, ir.Usage(output=2), ("input",), 50_000),
        (OPUS, ir.Usage(input=2), ("output",), 10_000),
        (Price(input=Amount(5)), ir.Usage(input=0, output=3), ("output",), 0),
        (
            Price(input=Amount(nanos("1")), output=Amount(0), cache_write=Amount(nanos("1"))),
            ir.Usage(input=1, cache_write=2, cache_write_1h=1, output=0),
            ("cache_write_1h",),
            2000,
        ),
        (OPUS, ir.Usage(input=0, output=0, server_tools={"code_runs": 1}), ("code_runs",), 0),
    ],
)
def test_what_is_unknown_stays_unknown(
    price: Price | None, usage: ir.Usage | None, unknown: tuple[str, ...], known: int
) -> None:
    assert cost_of(price, usage) == Cost(None, known, unknown)


def test_no_price_is_needed_for_what_was_not_used() -> None:
    embedding = Price(input=Amount(nanos("0.02")))
    assert cost_of(embedding, ir.Usage(input=50, output=0)).total == 1000
    assert cost_of(OPUS, ir.Usage(input=0, output=0, server_tools={"code_runs": 0})).total == 0
    assert UNKNOWN.total is None


def test_counts_that_contradict_each_other_never_cost_less_than_nothing() -> None:
    price = Price(input=Amount(nanos("1")), output=Amount(nanos("1")), reasoning=Amount(nanos("2")))
    assert cost_of(price, ir.Usage(input=0, output=5, reasoning=9)).total == 5 * 2000
    assert cost_of(OPUS, ir.Usage(input=0, cache_write=1, cache_write_1h=9, output=0)).total == 10_000


COUNT = st.integers(0, 10**7)


@given(COUNT, COUNT, COUNT, COUNT, st.lists(st.integers(0, 10**11), min_size=4, max_size=4))
def test_the_cost_is_the_exact_sum_rounded_once(
    fresh: int, read: int, write: int, output: int, prices: list[int]
) -> None:
    one, two, three, four = prices
    price = Price(input=Amount(one), cache_read=Amount(two), cache_write=Amount(three), output=Amount(four))
    total = cost_of(price, ir.Usage(input=fresh, cache_read=read, cache_write=write, output=output)).total
    assert total is not None
    exact = Fraction(fresh * one + read * two + write * three + output * four, 10**6)
    assert abs(total - exact) <= Fraction(1, 2)


def test_an_estimate_takes_nothing_as_cached() -> None:
    assert estimate(OPUS, 1000, 100) == 1000 * 5000 + 100 * 25_000
    assert estimate(None, 1000, 100) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.15", 150_000_000),
        ("3", 3 * 10**9),
        ("0", 0),
        ("2.8e-3", 2_800_000),
        ("1E+2", 10**11),
        ("0.0000000005", 1),
        ("0.0000000004", 0),
        ("0.1234567891", 123_456_789),
    ],
)
def test_dollars_become_nano_dollars_exactly(text: str, expected: int) -> None:
    assert nanos(text) == expected


@given(st.integers(0, 10**12))
def test_any_number_of_nano_dollars_survives_being_written(number: int) -> None:
    assert nanos(f"{number // 10**9}.{number % 10**9:09d}") == number


@pytest.mark.parametrize("text", ["-1", "", "1.", ".5", "nan", "inf", "1,5", "0x1", "1e999", " 1"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal number of dollars"):
        nanos(text)


def price(number: int) -> Price:
    return Price(request=number)


TABLE = PriceTable(
    (
        Row("gpt-5.4", price(1)),
        Row("gpt-5.4", price(2), provider="azure"),
        Row("gpt-", price(3), prefix=True),
        Row("gpt-5.4-", price(4), prefix=True),
        Row("claude-opus-4-6", price(5), aliases=("opus",)),
        Row("llama", price(6), provider="local", prefix=True),
    ),
    PriceTable((Row("gpt-5.4-mini", price(7)), Row("o4", price(8)))),
)


@pytest.mark.parametrize(
    ("model", "sellers", "expected"),
    [
        ("gpt-5.4", (), 1),
        ("gpt-5.4", ("azure",), 2),
        ("gpt-5.4", ("mine", "azure"), 2),
        ("gpt-5.4", ("unknown",), 1),
        ("gpt-5.4-pro", ("azure",), 4),
        ("gpt-4o", (), 3),
        ("GPT-5.4", (), 1),
        ("gpt-5.4-20260305", (), 1),
        ("gpt-5.4-2026-03-05", (), 1),
        ("openai/gpt-5.4", (), 1),
        ("opus", (), 5),
        ("claude-opus-4-6[1m]", (), 5),
        ("anthropic/claude-opus-4-6-20260101[1m]", (), 5),
        ("llama3", ("local",), 6),
        ("llama3", (), None),
        ("o4", (), 8),
        # What the configuration says of a beginning goes before what the package says of the whole name.
        ("gpt-5.4-mini", (), 4),
        ("", (), None),
    ],
)
def test_the_most_telling_row_wins_and_own_rows_before_the_kept_ones(
    model: str, sellers: tuple[str, ...], expected: int | None
) -> None:
    found = TABLE.find(model, sellers)
    assert (None if found is None else found.request) == expected
