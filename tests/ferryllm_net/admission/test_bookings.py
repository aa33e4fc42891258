"""Places at providers in one process: a second way to keep the bounds that `Routing` keeps, and it keeps the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.admission.bookings import Bookings
from ferryllm_proto import Route
from ferryllm_proto.actions import Book, GiveBack
from ferryllm_proto.attempts import Attempts
from ferryllm_proto.inputs import Booked
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import FULL, Choice, Errand, Nobody, ProviderBounds, Routing, Why
from ferryllm_proto.routing.limits import Demand, Meter
from ferryllm_proto.routing.rates import Rate
from ferryllm_proto.routing.retry import RetryRules
from ferryllm_proto.routing.table import plan_of


def book(concurrency: int | None = None, *, requests: int | None = None, tokens: tuple[int, int] | None = None) -> Book:
    demands = []
    if requests is not None:
        demands.append(Demand("provider p", "provider/p", Meter.REQUESTS, Rate(requests), 1))
    if tokens is not None:
        demands.append(Demand("provider p", "provider/p", Meter.TOKENS, Rate(tokens[0]), tokens[1]))
    return Book("p", tuple(demands), concurrency)


def booked(bookings: Bookings, asked: Book, now: float = 0.0) -> Booked:
    found = bookings.book(asked, now)
    assert isinstance(found, Booked)
    return found


def why(bookings: Bookings, asked: Book, now: float = 0.0) -> tuple[Why, float]:
    found = bookings.book(asked, now)
    assert not isinstance(found, Booked)
    return found.closed.why, found.closed.retry_after


def test_places_are_counted_and_come_back() -> None:
    bookings = Bookings()
    first = booked(bookings, book(2))
    booked(bookings, book(2))
    assert why(bookings, book(2)) == (FULL.why, FULL.retry_after)
    bookings.give_back(GiveBack(first.booking, 0, took_place=True), 0.0)
    booked(bookings, book(2))


def test_who_is_refused_by_one_bound_takes_nothing_of_the_others() -> None:
    bookings = Bookings()
    first = booked(bookings, book(1, requests=2))
    assert why(bookings, book(1, requests=2))[0] is Why.FULL
    bookings.give_back(GiveBack(first.booking, None, took_place=True), 0.0)
    second = booked(bookings, book(1, requests=2))
    bookings.give_back(GiveBack(second.booking, None, took_place=True), 0.0)
    assert why(bookings, book(1, requests=2)) == (Why.LIMIT, 30.0)
    booked(bookings, book(1))


@pytest.mark.parametrize(
    ("tokens", "took_place", "left"), [(10, True, 90), (None, True, 40), (0, True, 100), (0, False, 100)]
)
def test_tokens_are_corrected(tokens: int | None, took_place: bool, left: int) -> None:
    bookings = Bookings()
    found = booked(bookings, book(tokens=(100, 60)))
    bookings.give_back(GiveBack(found.booking, tokens, took_place), 0.0)
    assert why(bookings, book(tokens=(100, 101)))[0] is Why.SIZE
    assert why(bookings, book(tokens=(100, left + 1)))[0] is Why.LIMIT if left < 100 else True
    booked(bookings, book(tokens=(100, left)))


def test_who_did_not_take_place_took_no_request_either() -> None:
    bookings = Bookings()
    found = booked(bookings, book(requests=1))
    bookings.give_back(GiveBack(found.booking, 0, took_place=False), 0.0)
    booked(bookings, book(requests=1))


NAMES = ("a", "b", "c")
PLAN = plan_of(Route("m", "a", fallbacks=(Target("b"), Target("c"))))
_bounds = st.builds(
    ProviderBounds,
    st.none() | st.integers(1, 4),
    st.none() | st.integers(10, 60),
    st.none() | st.integers(1, 3),
)
_steps = st.lists(
    st.tuples(
        st.sampled_from(("come", "come", "end")),
        st.integers(0, 9),
        st.sampled_from((0.0, 0.5, 7.0, 31.0)),
        st.none() | st.integers(0, 80),
    ),
    max_size=30,
)


def lived(
    bounds: dict[str, ProviderBounds], steps: Sequence[tuple[str, int, float, int | None]], *, shares: bool
) -> list[object]:
    """What becomes of requests that come and end: who is asked, or why nobody is."""
    routing, bookings = Routing(BreakerRules(), bounds=bounds), Bookings()
    running: list[Attempts] = []
    out: list[object] = []
    now = 0.0

    def settle(one: Attempts) -> None:
        for back in one.owed():
            bookings.give_back(back, now)

    def approach(one: Attempts, found: Choice | Nobody) -> None:
        settle(one)
        while isinstance(found, Choice):
            asked = one.book()
            answer = None if asked is None else bookings.book(asked, now)
            assert shares or answer is None
            if answer is None or isinstance(answer, Booked):
                if answer is not None:
                    one.booked(answer.booking)
                out.append(found.target)
                running.append(one)
                return
            found = one.pass_over(answer.closed, now)
        wait = found.error.retry_after  # of a time and back again: it is not exact
        out.append((found.error.code, None if wait is None else pytest.approx(wait)))

    for what, which, secs, tokens in steps:
        now += secs
        if what == "come":
            errand = Errand(PLAN, "m", tokens=which * 5)
            one = Attempts(routing, errand, RetryRules(), lambda: 0.5, shares=shares)
            approach(one, one.choose(now))
        elif running:
            one = running.pop(which % len(running))
            one.answered(0.1, now)
            one.end(now, tokens)
            settle(one)
    return out


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, _bounds)), _steps)
def test_who_is_asked_is_who_would_be_asked_by_a_process_alone(
    bounds: dict[str, ProviderBounds], steps: list[tuple[str, int, float, int | None]]
) -> None:
    assert lived(bounds, steps, shares=True) == lived(bounds, steps, shares=False)
