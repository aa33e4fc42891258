"""What one record adds to which numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.telemetry import families as f
from ferryllm_net.telemetry.cells import Cells, Numbers
from ferryllm_net.telemetry.tally import MAX_TOKENS, Tally
from ferryllm_proto import Disposition, Loss, ir
from ferryllm_proto.actions import Attempt, Outcome
from ferryllm_proto.routing.keys import ClientKey
from ferryllm_proto.routing.pricing import Cost
from support.records import RECORD


def counted(*changes: Mapping[str, object], keys: bool = False) -> Numbers:
    """The numbers behind one record for each of ``changes``, zeros left out."""
    cells = Cells()
    tally = Tally(cells, keys=keys)
    for change in changes:
        tally.observe(msgspec.structs.replace(RECORD, **change))
    return {series: found for series, found in cells.numbers().items() if any(found)}


def histogram(family: f.Family, *values: float) -> list[float]:
    out = [sum(values)] + [0.0] * (len(family.buckets) + 1)
    for value in values:
        out[1 + next((n for n, bound in enumerate(family.buckets) if value <= bound), len(family.buckets))] += 1
    return out


def test_requests_by_entry_provider_and_outcome() -> None:
    found = counted({}, {}, {"outcome": Outcome.TRUNCATED}, {"provider": None, "outcome": Outcome.ERROR})
    assert found[f.REQUESTS.name, "anthropic", "one", "ok"] == [2]
    assert found[f.REQUESTS.name, "anthropic", "one", "truncated"] == [1]
    assert found[f.REQUESTS.name, "anthropic", "", "error"] == [1]


def test_routes_by_their_name_in_the_configuration() -> None:
    found = counted({"route": "claude-*"}, {})
    assert found[f.ROUTES.name, "claude-*", "one", "ok"] == [1]
    assert len([series for series in found if series[0] == f.ROUTES.name]) == 1


def test_statuses_are_bounded_whatever_a_provider_says() -> None:
    found = counted(*({"status": status} for status in (200, 200, 599, 600, 99, 10**9, None)))
    series = {values[2]: numbers for values, numbers in found.items() if values[0] == f.RESPONSES.name}
    assert series == {"200": [2], "599": [1], "0": [4]}


def test_times_fall_into_their_buckets() -> None:
    found = counted({"latency": 0.5, "first_byte": 0.05}, {"latency": 700.0, "first_byte": 0.051})
    assert found[f.LATENCY.name, "anthropic", "one"] == pytest.approx(histogram(f.LATENCY, 0.5, 700.0))
    assert found[f.FIRST_TOKEN.name, "anthropic", "one"] == pytest.approx(histogram(f.FIRST_TOKEN, 0.05, 0.051))


def test_an_error_has_no_first_token() -> None:
    assert (f.FIRST_TOKEN.name, "anthropic", "one") not in counted({"outcome": Outcome.ERROR})
    assert (f.FIRST_TOKEN.name, "anthropic", "one") in counted({"outcome": Outcome.TRUNCATED})


def test_only_streams_have_a_first_token_and_a_rate() -> None:
    usage = ir.Usage(input=1, output=90)
    found = counted({"usage": usage, "latency": 3.1}, {"usage": usage, "stream": False})
    assert found[f.TOKEN_RATE.name, "one"] == pytest.approx(histogram(f.TOKEN_RATE, 30.0))
    assert sum(found[f.FIRST_TOKEN.name, "anthropic", "one"][1:]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"latency": 0.105},  # it came in one piece
        {"outcome": Outcome.CANCELLED},
        {"usage": ir.Usage(input=1, output=0)},
        {"usage": ir.Usage(input=1)},
        {"usage": ir.Usage(input=1, output=10**12)},
        {"first_byte": None},
    ],
)
def test_no_rate_where_none_can_be_known(change: dict[str, object]) -> None:
    assert (f.TOKEN_RATE.name, "one") not in counted({"usage": ir.Usage(input=1, output=90), **change})


def test_tokens_by_kind() -> None:
    found = counted({"usage": ir.Usage(input=100, cache_read=40, cache_write=10, output=30, reasoning=20)})
    kinds = {series[2]: numbers[0] for series, numbers in found.items() if series[0] == f.TOKENS.name}
    assert kinds == {"input": 100, "cache_read": 40, "cache_write": 10, "output": 30, "reasoning": 20}
    assert found[f.CACHE_PROMPT.name, "one"] == [150]


def test_prompts_of_providers_that_say_nothing_of_caches_are_not_in_the_ratio() -> None:
    assert (f.CACHE_PROMPT.name, "one") not in counted({"usage": ir.Usage(input=100, output=30)})


def test_absurd_counts_are_left_out() -> None:
    found = counted({"usage": ir.Usage(input=-5, output=10**15)})
    assert not [series for series in found if series[0] == f.TOKENS.name]


def test_unknown_usage_is_counted_for_good_answers_of_models_alone() -> None:
    found = counted({}, {"outcome": Outcome.ERROR}, {"operation": "forward"}, {"usage": ir.Usage()})
    assert found[f.UNCOUNTED.name, "one"] == [1]


def test_cost_is_in_dollars_and_what_is_unknown_is_counted() -> None:
    found = counted({"cost": Cost(2_500_000_000, 2_500_000_000)}, {"cost": Cost(None, 1_000_000_000, ("x",))}, {})
    assert found[f.COST.name, "one"] == pytest.approx([3.5])
    assert found[f.UNPRICED.name, "one"] == [1]


def test_attempts_retries_and_fallbacks() -> None:
    tries = (
        Attempt("one", "m", "status", 503, 0.0, 0.2),
        Attempt("one", "m", "timeout", None, 0.5, 30.0),
        Attempt("one", "n", "status", 503, 0.0, 0.2),
        Attempt("two", "m", "ok", 200, 0.0, 0.3),
    )
    found = counted({"tries": tries, "provider": "two"})
    assert found[f.ATTEMPTS.name, "one", "status"] == [2]
    assert found[f.ATTEMPTS.name, "one", "timeout"] == [1]
    assert found[f.ATTEMPTS.name, "two", "ok"] == [1]
    assert found[f.RETRIES.name, "one"] == [1]
    assert (found[f.FALLBACKS.name, "one"], found[f.FALLBACKS.name, "two"]) == ([1], [1])
    assert found[f.ATTEMPT_LATENCY.name, "one"] == pytest.approx(histogram(f.ATTEMPT_LATENCY, 0.2, 30.0, 0.2))


def test_losses_by_disposition() -> None:
    losses = (
        Loss("top_k", Disposition.DROPPED, "no such field"),
        Loss("seed", Disposition.DROPPED, "no such field"),
        Loss("messages[0].content[0]", Disposition.DEGRADED, "as text"),
    )
    found = counted({"losses": losses}, {"losses": losses})
    assert found[f.LOSSES.name, "anthropic", "one", "dropped"] == [4]
    assert found[f.LOSSES.name, "anthropic", "one", "degraded"] == [2]


def test_waiting_to_be_let_in() -> None:
    assert counted({"queued": 0.02}, {"queued": None})[f.QUEUE_WAIT.name,] == pytest.approx(
        histogram(f.QUEUE_WAIT, 0.02)
    )


def test_refusals_by_reason() -> None:
    found = counted({"refused": "quota"}, {"refused": "quota"}, {"refused": "busy"}, {})
    series = {values[1]: numbers[0] for values, numbers in found.items() if values[0] == f.REFUSED.name}
    assert series == {"quota": 2, "busy": 1}


def key(number: int) -> ClientKey:
    return ClientKey(f"key_{number}", hashlib.sha256(b"%d" % number).digest(), name="secret-project")


def test_keys_are_counted_where_that_is_asked_for() -> None:
    change: dict[str, object] = {
        "key": key(1),
        "usage": ir.Usage(input=10, cache_read=5, output=3),
        "cost": Cost(1_000_000_000, 1_000_000_000),
    }
    assert not [series for series in counted(change) if series[0].startswith("ferryllm_key_")]
    found = counted(change, change, keys=True)
    assert found[f.KEY_REQUESTS.name, "key_1", "ok"] == [2]
    assert found[f.KEY_TOKENS.name, "key_1", "input"] == [30]
    assert found[f.KEY_TOKENS.name, "key_1", "output"] == [6]
    assert found[f.KEY_COST.name, "key_1"] == pytest.approx([2])


def test_keys_beyond_the_bound_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f, "MAX_KEYS", 3)
    found = counted(*({"key": key(number)} for number in (1, 2, 3, 4, 5, 4, 1)), keys=True)
    series = {values[1]: numbers[0] for values, numbers in found.items() if values[0] == f.KEY_REQUESTS.name}
    assert series == {"key_1": 2, "key_2": 1, "key_3": 1, "other": 3}


def test_nothing_that_a_client_writes_makes_a_series() -> None:
    found = counted(*({"model": f"model-{n}", "id": f"id-{n}"} for n in range(50)))
    assert len(found) == len(counted({}))


COUNTS = st.none() | st.integers(-1, 40) | st.sampled_from([0, MAX_TOKENS - 5, MAX_TOKENS, MAX_TOKENS + 1])
KNOWN = st.integers(0, 90)
SILENT = st.none()
USAGES = st.lists(
    st.none()
    | st.builds(ir.Usage, input=KNOWN, output=KNOWN)
    | st.builds(ir.Usage, input=COUNTS, cache_read=COUNTS, cache_write=COUNTS, output=COUNTS, reasoning=COUNTS),
    max_size=6,
)
ALIKE = st.tuples(*[st.sampled_from([KNOWN, SILENT])] * 3).flatmap(
    lambda counts: st.lists(
        st.builds(
            ir.Usage, input=KNOWN, output=KNOWN, cache_read=counts[0], cache_write=counts[1], reasoning=counts[2]
        ),
        max_size=6,
    )
)


@given(usages=USAGES | ALIKE, data=st.data())
def test_many_at_once_are_counted_like_one_by_one(usages: list[ir.Usage | None], data: st.DataObject) -> None:
    bounds = st.sampled_from([0.0, *f.SECONDS]) | st.floats(0, 700)
    secs = data.draw(st.lists(bounds, min_size=len(usages), max_size=len(usages)))
    one_by_one = counted(
        *(
            {
                "latency": took,
                "first_byte": took,
                "usage": usage,
                "stream": False,
                "route": "a",
                "tries": (Attempt("one", "m", "ok", 200, 0.0, took),),
            }
            for took, usage in zip(secs, usages, strict=True)
        )
    )
    cells = Cells()
    tally = Tally(cells)
    way = tally.way(RECORD.entry, "one", "a")
    way.secs, way.usages = secs, usages
    tally.fold()
    found = {series: numbers for series, numbers in cells.numbers().items() if any(numbers)}
    assert found.keys() == one_by_one.keys()
    for series, numbers in found.items():
        assert numbers == pytest.approx(one_by_one[series])
    assert not way.secs
    assert not way.usages
