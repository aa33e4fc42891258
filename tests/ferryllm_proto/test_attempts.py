"""The attempts of one request: everything that is taken is given back, once, in whatever order things happen."""

from __future__ import annotations

import itertools

import pytest

from ferryllm_proto import Route, ir
from ferryllm_proto.actions import GiveBack
from ferryllm_proto.attempts import TRANSITIONS, Attempts, Phase
from ferryllm_proto.inputs import UpstreamHead
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import Booking, Choice, Closed, Errand, Nobody, ProviderBounds, Routing, Why
from ferryllm_proto.routing.limits import Charge
from ferryllm_proto.routing.retry import Next, RetryRules
from ferryllm_proto.routing.table import plan_of

A, B = Target("a", "m"), Target("b", "m")
PLAN = plan_of(Route("m", "a", targets=(A,), fallbacks=(B,)))
DOWN = ir.Error(ir.ErrorKind.SERVER, "no")


def attempts(routing: Routing, retries: int = 1) -> Attempts:
    return Attempts(routing, Errand(PLAN, "m"), RetryRules(retries=retries, backoff=1.0, jitter=0.0), lambda: 0.0)


def routed(failures: int | None = None) -> Routing:
    return Routing(BreakerRules(failures=failures, cooldown=10.0))


def fail(one: Attempts, now: float, error: ir.Error = DOWN, final: str | None = None) -> Next:
    return one.failed(error, UpstreamHead(500, ()), now, opened=now - 0.5, unix=0.0, final=final)[0].next


def test_the_same_target_the_next_one_and_the_end() -> None:
    routing = routed()
    one = attempts(routing)
    assert isinstance(one.choose(0.0), Choice)
    assert fail(one, 1.0) is Next.SAME
    assert isinstance(one.again(2.0), Choice)
    assert one.waited == 1.0
    assert fail(one, 3.0) is Next.OTHER
    found = one.choose(3.0)
    assert isinstance(found, Choice)
    assert (found.target, found.fallback) == (B, True)
    assert one.answered(0.5, 4.0) == []
    assert one.place == B
    one.end(5.0, 10)
    assert one.place is None
    assert [(made.provider, made.outcome, made.status, made.latency) for made in one.made] == [
        ("a", "status", 500, 0.5),
        ("a", "status", 500, 0.5),
    ]
    assert (routing.loads.at("a"), routing.loads.at("b")) == (0, 0)


def test_a_provider_has_its_own_rules_and_the_total_is_the_requests() -> None:
    own = {"a": RetryRules(retries=0), "b": RetryRules(retries=5, total=99, backoff=3.0, jitter=0.0)}
    common = RetryRules(retries=1, total=3, backoff=1.0, jitter=0.0)
    one = Attempts(routed(), Errand(PLAN, "m"), common, lambda: 0.0, own)
    assert isinstance(one.choose(0.0), Choice)
    assert fail(one, 1.0) is Next.OTHER
    assert isinstance(one.choose(1.0), Choice)
    step, _ = one.failed(DOWN, UpstreamHead(500, ()), 2.0, opened=1.5, unix=0.0)
    assert (step.next, step.wait) == (Next.SAME, 3.0)
    assert isinstance(one.again(5.0), Choice)
    assert fail(one, 6.0) is Next.GIVE_UP


@pytest.mark.parametrize("steps", list(itertools.product(["answered", "failed", "give_back", "end"], repeat=3)))
def test_whatever_is_told_nothing_is_given_back_twice(steps: tuple[str, ...]) -> None:
    routing = routed(failures=1)
    one, other = attempts(routing), attempts(routing)
    one.choose(0.0)
    other.choose(0.0)
    for now, step in enumerate(steps):
        try:
            if step == "answered":
                one.answered(0.1, now)
            elif step == "failed":
                fail(one, now)
            elif step == "give_back":
                one.give_back(now)
            else:
                one.end(now, None)
        except KeyError:  # the table does not have it
            assert step in ("answered", "failed")
    one.end(9.0, None)
    assert one.phase is Phase.IDLE
    assert routing.loads.at("a") == 1, "the other one is still there"
    other.end(9.0, None)
    assert routing.loads.at("a") == 0


@pytest.mark.parametrize(
    "steps", list(itertools.product(["answered", "failed", "give_back", "end", "other"], repeat=3))
)
def test_whatever_is_told_each_place_is_owed_once(steps: tuple[str, ...]) -> None:
    routing = Routing(BreakerRules(), bounds={"a": ProviderBounds(5), "b": ProviderBounds(5)})
    one = Attempts(routing, Errand(PLAN, "m"), RetryRules(retries=5), lambda: 0.0, shares=True)
    taken: list[Booking] = []
    owed: list[GiveBack] = []

    def take() -> None:
        assert one.book() is not None
        taken.append(Booking("a", Charge(())))
        one.booked(taken[-1])

    one.choose(0.0)
    take()
    for now, step in enumerate(steps):
        try:
            if step == "answered":
                one.answered(0.1, now)
            elif step == "failed":
                fail(one, now)
            elif step == "give_back":
                one.give_back(now)
            elif step == "end":
                one.end(now, 7)
            elif one.phase is Phase.IDLE:
                one.again(now)
                take()
        except KeyError:  # the table does not have it
            assert step in ("answered", "failed")
        owed += one.owed()
    one.end(9.0, None)
    owed += one.owed()
    assert [back.booking for back in owed] == taken
    assert one.owed() == ()
    assert routing.loads.at("a") == 0


def test_who_had_no_room_is_no_attempt() -> None:
    routing = Routing(BreakerRules(), bounds={"a": ProviderBounds(5)})
    one = Attempts(routing, Errand(PLAN, "m"), RetryRules(total=1), lambda: 0.0, shares=True)
    one.choose(0.0)
    found = one.pass_over(Closed(Why.LIMIT, 3.0), 0.0)
    assert isinstance(found, Choice)
    assert (found.target, one.book(), routing.loads.at("a")) == (B, None, 0)
    one.end(1.0, 0)
    assert (one.owed(), one.made) == ((), [])


def test_the_table_ends_in_every_phase() -> None:
    assert {phase for phase, what in TRANSITIONS if what == "end"} == set(Phase)


def test_an_attempt_that_nobody_counted_is_taken_over_as_it_is() -> None:
    routing = routed(failures=2)
    one = attempts(routing, retries=0)
    one.adopt(A, "m", 0.0)
    assert routing.loads.at("a") == 1
    assert fail(one, 1.0) is Next.OTHER
    assert routing.loads.at("a") == 0
    again = attempts(routing, retries=0)
    again.adopt(A, "m", 1.0)
    _, notes = again.failed(DOWN, None, 2.0, opened=1.0, unix=0.0)
    assert [note.name for note in notes] == ["upstream request attempt failed", "provider circuit opened"]


def test_a_target_that_closed_in_the_pause_is_left() -> None:
    routing = routed(failures=2)
    one, other = attempts(routing), attempts(routing)
    one.choose(0.0)
    other.choose(0.0)
    assert fail(one, 1.0) is Next.SAME
    assert fail(other, 1.5) is Next.OTHER, "its circuit is open"
    found = one.again(2.0)
    assert isinstance(found, Closed)
    assert one.blocked(2.0).next is Next.OTHER


def test_the_last_target_is_followed_by_nobody() -> None:
    one = attempts(routed(), retries=0)
    one.choose(0.0)
    assert fail(one, 1.0) is Next.OTHER
    one.choose(1.0)
    assert fail(one, 2.0) is Next.GIVE_UP


def test_nobody_who_may_be_asked_is_nobody() -> None:
    routing = routed()
    one = Attempts(routing, Errand(PLAN, "m", allowed=("c",)), RetryRules(), lambda: 0.0)
    found = one.choose(0.0)
    assert isinstance(found, Nobody)
    assert not found.tried
    one.end(0.0, None)


def test_what_is_final_is_followed_by_nothing() -> None:
    one = attempts(routed())
    one.choose(0.0)
    assert fail(one, 1.0, final="the request's time is up") is Next.GIVE_UP
    assert one.made[0].reason == "the request's time is up"


def test_the_clients_own_fault_is_nobody_elses_and_no_warning() -> None:
    routing = routed(failures=1)
    one = attempts(routing)
    one.choose(0.0)
    _, notes = one.failed(ir.Error(ir.ErrorKind.BAD_REQUEST, "m"), UpstreamHead(400, ()), 1.0, opened=0.0, unix=0.0)
    assert [note.level for note in notes] == ["info"]
    assert not routing.health.troubled


def test_an_answer_that_breaks_off_counts_against_its_target() -> None:
    routing = routed(failures=1)
    one = attempts(routing)
    one.choose(0.0)
    one.answered(0.1, 1.0)
    assert [note.name for note in one.broke(2.0)] == ["provider circuit opened"]
    one.end(2.0, None)
    assert routing.loads.at("a") == 0
