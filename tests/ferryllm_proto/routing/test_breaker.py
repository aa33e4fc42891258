"""Breakers: every cell of the table, one probe at a time, and what takes down what."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.routing.breaker import (
    MAX_TROUBLES,
    TRANSITIONS,
    Blocked,
    Breaker,
    BreakerRules,
    Change,
    Happening,
    Health,
    Permit,
    State,
    Verdict,
    verdict_of,
)

RULES = BreakerRules(failures=3, cooldown=30.0, key_cooldown=60.0, max_hold=120.0)

LEGAL = {
    State.CLOSED: "SUCCESS:CLOSED FAILURE:CLOSED TRIP:OPEN HOLD:HELD",
    State.HELD: "SUCCESS:HELD FAILURE:HELD TRIP:OPEN HOLD:HELD ELAPSED:CLOSED",
    State.OPEN: "SUCCESS:OPEN FAILURE:OPEN TRIP:OPEN HOLD:OPEN TAKE:PROBING",
    State.PROBING: "SUCCESS:PROBING FAILURE:PROBING TRIP:PROBING HOLD:PROBING "
    "PROBE_SUCCESS:CLOSED PROBE_FAILURE:OPEN PROBE_HOLD:OPEN PROBE_FREE:OPEN",
}


@pytest.mark.parametrize(("state", "happening"), list(itertools.product(State, Happening)))
def test_the_table_is_what_was_decided(state: State, happening: Happening) -> None:
    cells = dict(cell.split(":") for cell in LEGAL[state].split())
    expected = cells.get(happening.name)
    found = TRANSITIONS.get((state, happening))
    assert (None if found is None else found.name) == expected


def opened() -> Breaker:
    breaker = Breaker(2, 30.0)
    breaker.fail(0.0, probe=False)
    breaker.fail(0.0, probe=False)
    assert breaker.state is State.OPEN
    return breaker


def test_consecutive_failures_open_it_and_a_success_between_them_does_not() -> None:
    breaker = Breaker(2, 30.0)
    for _ in range(5):
        breaker.fail(0.0, probe=False)
        breaker.succeed(0.0, probe=False)
    assert breaker.clean
    assert opened().blocked(29.0) == 1.0


def test_after_the_cooldown_exactly_one_may_try() -> None:
    breaker = opened()
    assert breaker.blocked(30.0) is None
    assert breaker.enter(30.0)
    assert breaker.blocked(31.0) == 1.0
    breaker.succeed(31.0, probe=True)
    assert breaker.clean
    assert breaker.enter(31.0) is False


def test_a_probe_that_fails_opens_for_another_cooldown_and_one_that_says_nothing_does_not() -> None:
    breaker = opened()
    breaker.enter(30.0)
    breaker.fail(35.0, probe=True)
    assert breaker.blocked(36.0) == 29.0
    breaker.enter(65.0)
    breaker.free(66.0)
    assert breaker.blocked(66.0) is None
    breaker.enter(66.0)
    breaker.hold(67.0, 5.0, probe=True)
    assert breaker.blocked(67.0) == 5.0


def test_late_news_of_attempts_from_before_change_nothing() -> None:
    breaker = opened()
    breaker.succeed(1.0, probe=False)
    breaker.fail(1.0, probe=False)
    assert breaker.blocked(1.0) == 29.0
    breaker.enter(30.0)
    breaker.succeed(31.0, probe=False)
    breaker.fail(31.0, probe=False)
    assert breaker.state is State.PROBING


def test_a_wait_that_was_asked_for_ends_by_itself_and_for_everybody() -> None:
    breaker = Breaker(2, 30.0)
    breaker.hold(0.0, 10.0, probe=False)
    breaker.hold(1.0, 2.0, probe=False)
    assert breaker.blocked(4.0) == 6.0
    assert breaker.blocked(10.0) is None
    assert breaker.enter(10.0) is False
    assert breaker.enter(10.0) is False
    assert breaker.clean


def test_failures_within_a_wait_open_it_for_the_longer_of_both() -> None:
    breaker = Breaker(1, 30.0)
    breaker.hold(0.0, 100.0, probe=False)
    breaker.fail(1.0, probe=False)
    assert breaker.state is State.OPEN
    assert breaker.blocked(1.0) == 99.0


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (None, Verdict.FAILURE),
        (200, Verdict.SUCCESS),
        (204, Verdict.SUCCESS),
        (302, Verdict.FAILURE),
        (400, Verdict.NOTHING),
        (401, Verdict.KEY),
        (402, Verdict.NOTHING),
        (403, Verdict.KEY_FOR_MODEL),
        (404, Verdict.NOTHING),
        (413, Verdict.NOTHING),
        (422, Verdict.NOTHING),
        (429, Verdict.LIMITED),
        (500, Verdict.FAILURE),
        (503, Verdict.LIMITED),
        (529, Verdict.LIMITED),
        (700, Verdict.FAILURE),
    ],
)
def test_what_a_status_says_of_who_was_asked(status: int | None, verdict: Verdict) -> None:
    assert verdict_of(status) is verdict


def ask(health: Health, now: float, provider: str = "p", model: str = "m", key: str = "k") -> Permit:
    permit = health.enter(provider, model, key, now)
    assert isinstance(permit, Permit)
    return permit


def fail(health: Health, times: int, verdict: Verdict, now: float = 0.0, model: str = "m") -> tuple[Change, ...]:
    changes: tuple[Change, ...] = ()
    for _ in range(times):
        changes = health.settle(ask(health, now, model=model), verdict, now)
    return changes


def test_a_clients_own_faults_never_count() -> None:
    health = Health(RULES)
    for status in range(400, 500):
        if status not in (401, 403, 429):
            health.settle(ask(health, 0.0), verdict_of(status), 0.0)
    fail(health, 2, Verdict.FAILURE)
    assert health.blocked("p", "m", "k", 0.0) is None


def test_a_model_that_fails_takes_down_itself_and_neither_its_provider_nor_its_key() -> None:
    health = Health(RULES)
    (change,) = fail(health, 3, Verdict.FAILURE)
    assert change == Change("p", "m", False, State.OPEN, 30.0)
    assert health.blocked("p", "m", "k", 0.0) == Blocked(30.0, key=False)
    assert health.blocked("p", "m", "other key", 0.0) is not None
    assert health.blocked("p", "other", "k", 0.0) is None
    assert health.blocked("q", "m", "k", 0.0) is None
    assert health.state("p", "m", 0.0) is State.OPEN


def test_a_refused_key_takes_down_the_key_for_all_models_and_not_the_provider() -> None:
    health = Health(RULES)
    (change,) = fail(health, 1, Verdict.KEY)
    assert change == Change("p", None, True, State.OPEN, 60.0)
    assert health.blocked("p", "other", "k", 0.0) == Blocked(60.0, key=True)
    assert health.blocked("p", "m", "new key", 0.0) is None
    assert health.state("p", "m", 0.0) is State.CLOSED
    health.mended("p", "k")
    assert health.blocked("p", "m", "k", 0.0) is None


def test_a_key_refused_for_one_model_stays_good_for_others_and_needs_more_than_one_refusal() -> None:
    health = Health(RULES)
    fail(health, 2, Verdict.KEY_FOR_MODEL)
    assert health.blocked("p", "m", "k", 0.0) is None
    (change,) = fail(health, 1, Verdict.KEY_FOR_MODEL)
    assert change == Change("p", "m", True, State.OPEN, 60.0)
    assert health.blocked("p", "m", "k", 0.0) == Blocked(60.0, key=True)
    assert health.blocked("p", "other", "k", 0.0) is None
    health.mended("p")
    assert health.blocked("p", "m", "k", 0.0) is None


def test_retry_after_is_honoured_and_clamped_and_its_absence_is_a_failure() -> None:
    health = Health(RULES)
    health.settle(ask(health, 0.0), Verdict.LIMITED, 0.0, retry_after=5.0)
    assert health.blocked("p", "m", "k", 4.0) == Blocked(1.0, key=False)
    assert health.blocked("p", "m", "k", 5.0) is None
    health.settle(ask(health, 5.0), Verdict.LIMITED, 5.0, retry_after=9999.0)
    assert health.blocked("p", "m", "k", 5.0) == Blocked(120.0, key=False)
    other = Health(RULES)
    fail(other, 3, Verdict.LIMITED)
    assert other.state("p", "m", 0.0) is State.OPEN


def test_all_breakers_of_an_attempt_are_probed_together_or_not_at_all() -> None:
    health = Health(RULES)
    fail(health, 3, Verdict.FAILURE)  # the model: until 30
    fail(health, 1, Verdict.KEY, model="other")  # the key: until 60
    assert isinstance(health.enter("p", "m", "k", 30.0), Blocked)
    assert health.state("p", "m", 0.0) is State.OPEN  # no probe was taken in vain
    permit = ask(health, 60.0)
    assert len(permit.probes) == 2
    assert isinstance(health.enter("p", "m", "k", 60.0), Blocked)
    assert isinstance(health.enter("p", "other", "k", 60.0), Blocked)
    changes = health.settle(permit, Verdict.SUCCESS, 61.0)
    assert {(change.model, change.state) for change in changes} == {("m", State.CLOSED), (None, State.CLOSED)}
    assert health.blocked("p", "other", "k", 61.0) is None


def test_a_probe_whose_client_left_leaves_the_next_request_to_probe() -> None:
    health = Health(RULES)
    fail(health, 3, Verdict.FAILURE)
    health.settle(ask(health, 30.0), Verdict.NOTHING, 31.0)
    permit = ask(health, 31.0)
    assert permit.probes
    assert isinstance(health.enter("p", "m", "k", 31.0), Blocked)


def test_a_refused_key_frees_the_probe_of_the_model() -> None:
    health = Health(RULES)
    fail(health, 3, Verdict.FAILURE)
    health.settle(ask(health, 30.0), Verdict.KEY, 31.0)
    assert health.blocked("p", "m", "new key", 31.0) is None
    assert ask(health, 31.0, key="new key").probes


def test_a_stream_that_breaks_later_is_a_failure_of_its_own() -> None:
    health = Health(RULES)
    for _ in range(3):
        permit = ask(health, 0.0)
        health.settle(permit, Verdict.SUCCESS, 0.0)
        health.fail(permit, 1.0)
    # Each success before resets the count: only breaks in a row count.
    assert health.state("p", "m", 0.0) is State.CLOSED
    broken = [ask(health, 0.0) for _ in range(3)]
    for permit in broken:
        health.settle(permit, Verdict.SUCCESS, 0.0)
    for permit in broken:
        health.fail(permit, 1.0)
    assert health.state("p", "m", 0.0) is State.OPEN


def test_a_probe_of_what_was_forgotten_ends_no_probe_of_others() -> None:
    health = Health(RULES)
    fail(health, 1, Verdict.KEY)
    old = ask(health, 60.0)
    health.mended("p", "k")
    health.settle(ask(health, 61.0), Verdict.KEY, 61.0)
    new = ask(health, 121.0)
    assert new.probes
    health.settle(old, Verdict.SUCCESS, 122.0)
    assert isinstance(health.enter("p", "m", "k", 122.0), Blocked)
    health.settle(new, Verdict.SUCCESS, 123.0)
    assert health.blocked("p", "m", "k", 123.0) is None


def test_rules_of_a_provider_go_before_the_common_ones_and_none_is_off() -> None:
    health = Health(BreakerRules(), {"p": BreakerRules(failures=1)})
    health.settle(ask(health, 0.0), Verdict.FAILURE, 0.0)
    assert health.state("p", "m", 0.0) is State.OPEN
    for verdict in Verdict:
        for _ in range(10):
            health.settle(ask(health, 0.0, provider="q"), verdict, 0.0, retry_after=10.0)
    assert health.blocked("q", "m", "k", 0.0) is None


def test_all_that_is_not_well_can_be_listed() -> None:
    health = Health(RULES)
    fail(health, 3, Verdict.FAILURE)
    fail(health, 1, Verdict.KEY, model="other")
    fail(health, 1, Verdict.FAILURE, now=60.0, model="third")
    health.settle(ask(health, 60.0, model="fourth", key="new"), Verdict.LIMITED, 60.0, retry_after=5.0)
    assert [(change.model, change.state) for change in health.troubles(61.0)] == [
        ("m", State.OPEN),
        (None, State.OPEN),  # its time is over, and what tried it said nothing of the key
        ("fourth", State.HELD),
    ]
    assert health.state("p", "fourth", 65.0) is State.CLOSED
    assert len(health.troubles(65.0)) == 2


def test_what_replicas_say_is_a_hint_behind_what_is_known_here() -> None:
    health = Health(RULES)
    (change,) = health.heard("p", "m", 0.0, 20.0)
    assert (change.state, change.until) == (State.OPEN, 20.0)
    assert health.blocked("p", "m", "k", 0.0) == Blocked(20.0, key=False)
    assert health.heard("p", "m", 0.0, 20.0) == ()
    assert health.blocked("p", "m", "k", 20.0) is None
    probe = ask(health, 20.0)
    assert isinstance(health.enter("p", "m", "k", 20.0), Blocked), "one probe and no more"
    assert health.heard("p", "m", 20.0, 5.0) == ()
    health.settle(probe, Verdict.FAILURE, 20.0)
    health.heard("p", "m", 20.0, 1.0)
    assert health.blocked("p", "m", "k", 22.0) == Blocked(28.0, key=False)
    off = Health(BreakerRules())
    assert off.heard("p", "m", 0.0, 20.0) == ()
    assert off.blocked("p", "m", "k", 0.0) is None


def test_a_wait_that_a_replica_was_asked_for_is_waited_for_by_all_and_clamped() -> None:
    health = Health(RULES)
    (change,) = health.heard("p", "m", 0.0, 1e6, State.HELD)
    assert (change.state, change.until) == (State.HELD, RULES.max_hold)
    assert health.state("p", "m", RULES.max_hold) is State.CLOSED


def test_what_a_replica_has_found_mended_is_tried_here() -> None:
    health = Health(RULES)
    health.recovered("p", "m", 0.0)
    health.heard("p", "m", 0.0, 20.0)
    health.recovered("p", "m", 5.0)
    probe = ask(health, 5.0)
    assert isinstance(health.enter("p", "m", "k", 5.0), Blocked)
    health.settle(probe, Verdict.SUCCESS, 5.0)
    assert health.troubles(5.0) == ()


def test_models_that_clients_invent_do_not_fill_the_memory() -> None:
    health = Health(RULES)
    for number in range(MAX_TROUBLES + 50):
        fail(health, 1, Verdict.FAILURE, model=str(number))
    assert len(health._troubles) == MAX_TROUBLES
    fine = Health(RULES)
    for number in range(100):
        fail(fine, 1, Verdict.SUCCESS, model=str(number))
    assert len(fine._troubles) == 0


@given(st.integers(0, 2**32))
def test_however_requests_come_and_end_at_most_one_probe_is_under_way(seed: int) -> None:
    chance = random.Random(seed)
    health = Health(BreakerRules(failures=2, cooldown=5.0, key_cooldown=7.0))
    under_way: list[Permit] = []
    now = 0.0
    for _ in range(300):
        now += chance.choice((0.0, 0.1, 1.0, 6.0))
        if under_way and chance.random() < 0.5:
            permit = under_way.pop(chance.randrange(len(under_way)))
            wait = chance.choice((None, 2.0))
            health.settle(permit, chance.choice(list(Verdict)), now, wait)
        else:
            found = health.enter("p", chance.choice("mn"), "k", now)
            if isinstance(found, Permit):
                under_way.append(found)
        for model in "mn":
            probes = [permit for permit in under_way if ("model", "p", model) in permit.probes]
            assert len(probes) <= 1
        assert len([permit for permit in under_way if ("key", "p", "k") in permit.probes]) <= 1
    # Whatever happened: when all is over and time has passed, somebody may ask again.
    for permit in under_way:
        health.settle(permit, Verdict.NOTHING, now)
    assert isinstance(health.enter("p", "m", "k", now + 200.0), Permit)
