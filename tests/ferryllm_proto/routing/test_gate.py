"""The gate: bounds, turns, who makes room, who waits too long."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.routing.gate import LONGEST_ADVICE, Decision, Dropped, Gate, GateRules, Granted, Why


def granted(decisions: list[Decision]) -> list[int]:
    return [decision.ticket for decision in decisions if type(decision) is Granted]


def dropped(decisions: list[Decision]) -> list[tuple[int, Why, bool]]:
    return [(one.ticket, one.why, one.own) for one in decisions if type(one) is Dropped]


def test_without_a_bound_everybody_is_inside_at_once() -> None:
    gate = Gate(GateRules())
    assert granted([one for number in range(100) for one in gate.enter(number, "k", 0.0)]) == list(range(100))
    assert gate.inside == 100


def test_without_a_queue_who_finds_no_room_is_turned_away_at_once() -> None:
    gate = Gate(GateRules(1))
    assert granted(gate.enter(1, "a", 0.0)) == [1]
    assert dropped(gate.enter(2, "b", 0.0)) == [(2, Why.FULL, False)]
    assert gate.leave(1, 1.0) == []
    assert granted(gate.enter(3, "b", 1.0)) == [3]


def test_a_key_at_its_own_bound_waits_while_others_go_past() -> None:
    gate = Gate(GateRules(10, 5))
    assert granted(gate.enter(1, "a", 0.0, most=1)) == [1]
    assert gate.enter(2, "a", 0.0, most=1) == []
    assert granted(gate.enter(3, "b", 0.0, most=1)) == [3]
    assert gate.leave(3, 1.0) == []
    assert gate.leave(1, 2.5) == [Granted(2, 2.5)]
    without = Gate(GateRules(10))
    without.enter(1, "a", 0.0, most=1)
    assert dropped(without.enter(2, "a", 0.0, most=1)) == [(2, Why.FULL, True)]


def test_keys_take_turns_whatever_each_has_waiting() -> None:
    gate = Gate(GateRules(1, 100))
    gate.enter(0, "x", 0.0)
    for number in range(1, 7):
        gate.enter(number, "many", 0.0)
    gate.enter(10, "few", 0.0)
    gate.enter(11, "few", 0.0)
    order, inside = [], 0
    for _ in range(8):
        (inside,) = granted(gate.leave(inside, 1.0))
        order.append(inside)
    assert order == [1, 10, 2, 11, 3, 4, 5, 6]


def test_when_the_queue_is_full_the_longest_makes_room_for_a_shorter_one() -> None:
    gate = Gate(GateRules(1, 4))
    gate.enter(0, "x", 0.0)
    for number in range(1, 5):
        gate.enter(number, "many", 0.0)
    assert dropped(gate.enter(5, "many", 0.0)) == [(5, Why.FULL, False)]
    assert dropped(gate.enter(6, "few", 0.0)) == [(4, Why.CROWDED, False)]
    assert dropped(gate.enter(7, "few", 0.0)) == [(3, Why.CROWDED, False)]
    assert dropped(gate.enter(8, "few", 0.0)) == [(8, Why.FULL, False)]
    assert gate.waiting == 4


def test_nobody_makes_room_where_nothing_would_be_fairer() -> None:
    gate = Gate(GateRules(1, 3))
    gate.enter(0, "x", 0.0)
    for number, flow in ((1, "a"), (2, "a"), (3, "b")):
        gate.enter(number, flow, 0.0)
    assert dropped(gate.enter(4, "b", 0.0)) == [(4, Why.FULL, False)]


def test_who_waits_too_long_is_turned_away_in_order() -> None:
    gate = Gate(GateRules(1, 5, wait=10.0))
    assert gate.next_deadline() is None
    gate.enter(0, "a", 0.0)
    gate.enter(1, "a", 1.0)
    gate.enter(2, "b", 2.0)
    assert gate.next_deadline() == 11.0
    assert gate.expire(10.9) == []
    assert dropped(gate.expire(11.0)) == [(1, Why.LATE, False)]
    assert gate.next_deadline() == 12.0
    assert granted(gate.leave(0, 11.5)) == [2]
    assert gate.next_deadline() is None


def test_a_client_that_goes_leaves_its_place_in_the_queue() -> None:
    gate = Gate(GateRules(1, 5))
    gate.enter(0, "a", 0.0)
    gate.enter(1, "b", 0.0)
    gate.enter(2, "c", 0.0)
    assert gate.leave(1, 1.0) == []
    assert gate.leave(1, 1.0) == []
    assert granted(gate.leave(0, 1.0)) == [2]


def test_the_advice_follows_how_long_others_stayed_and_has_bounds() -> None:
    gate = Gate(GateRules(1))
    now = 0.0
    for number in range(30):
        gate.enter(number, "a", now)
        now += 20.0
        gate.leave(number, now)
    gate.enter(98, "a", now)
    (found,) = gate.enter(99, "b", now)
    assert type(found) is Dropped
    assert 15 < found.retry_after <= 20
    for number in range(100, 130):
        gate.leave(98 if number == 100 else number - 1, now)
        gate.enter(number, "a", now)
        now += 5000.0
    gate.leave(129, now)
    gate.enter(200, "a", now)
    (found,) = gate.enter(201, "b", now)
    assert type(found) is Dropped
    assert found.retry_after == LONGEST_ADVICE


def test_other_rules_let_in_who_waits_and_throw_out_nobody() -> None:
    gate = Gate(GateRules(1, 5))
    for number in range(4):
        gate.enter(number, "a", 0.0)
    assert granted(gate.change(GateRules(3, 0), 1.0)) == [1, 2]
    assert gate.change(GateRules(1, 0), 1.0) == []
    assert (gate.inside, gate.waiting) == (3, 1)
    assert gate.leave(0, 2.0) == []
    assert gate.leave(1, 2.0) == []
    assert granted(gate.leave(2, 2.0)) == [3]


def test_a_bound_of_a_key_that_is_lowered_holds_for_those_who_wait() -> None:
    gate = Gate(GateRules(2, 9))
    gate.enter(1, "a", 0.0, most=2)
    gate.enter(2, "b", 0.0)
    gate.enter(3, "a", 0.0, most=2)
    gate.enter(4, "a", 0.0, most=1)
    assert granted(gate.leave(2, 1.0)) == []
    assert granted(gate.leave(1, 2.0)) == [3]
    assert granted(gate.leave(3, 3.0)) == [4]


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 8), st.integers(1, 3))
def test_bounds_hold_and_nobody_is_lost_or_told_twice(seed: int, limit: int, queue: int, most: int) -> None:
    chance = random.Random(seed)
    gate = Gate(GateRules(limit, queue, wait=5.0))
    inside: dict[int, str] = {}
    flow_of: dict[int, str] = {}
    done: Counter[int] = Counter()
    now = 0.0

    def see(decisions: list[Decision]) -> None:
        for one in decisions:
            if type(one) is Granted:
                assert one.ticket not in inside
                inside[one.ticket] = flow_of[one.ticket]
            else:
                assert one.ticket not in inside
                done[one.ticket] += 1

    for ticket in range(200):
        now += chance.choice((0.0, 0.2, 1.0))
        if inside and chance.random() < 0.45:
            leaving = chance.choice(list(inside))
            del inside[leaving]
            done[leaving] += 1
            see(gate.leave(leaving, now))
        see(gate.expire(now))
        flow_of[ticket] = chance.choice("abc")
        see(gate.enter(ticket, flow_of[ticket], now, most=most))
        assert gate.inside == len(inside) <= limit
        assert gate.waiting <= queue
        assert all(count <= most for count in Counter(inside.values()).values())
        assert gate.waiting + len(inside) + sum(done.values()) == ticket + 1
        # Nobody waits while there is room for it.
        if len(inside) < limit:
            waiting = Counter(name for name, _ in gate._waiting.values())
            assert all(Counter(inside.values())[name] == most for name in waiting)
    for leaving in list(inside):
        see(gate.leave(leaving, now))
    assert max(done.values()) == 1


@given(st.integers(0, 2**32), st.integers(2, 5))
def test_keys_that_always_wait_come_in_equally_often(seed: int, keys: int) -> None:
    chance = random.Random(seed)
    gate = Gate(GateRules(2, 1000))
    names = [f"k{number}" for number in range(keys)]
    flow_of: dict[int, str] = {}
    inside: list[int] = []
    # Each key has many more waiting than can come in, in any order and of any number.
    arrivals = [name for name in names for _ in range(60 + chance.randrange(60))]
    chance.shuffle(arrivals)
    for ticket, name in enumerate(arrivals):
        flow_of[ticket] = name
        inside += granted(gate.enter(ticket, name, 0.0))
    served: Counter[str] = Counter()
    for _ in range(40 * keys):
        inside_ticket = inside.pop(chance.randrange(len(inside)))
        for one in granted(gate.leave(inside_ticket, 1.0)):
            inside.append(one)
            served[flow_of[one]] += 1
        assert max(served[name] for name in names) - min(served[name] for name in names) <= 1
