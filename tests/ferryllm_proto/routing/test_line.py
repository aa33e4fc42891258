"""Whoever waits is asked for in fair turns, and nobody waits for ever."""

from __future__ import annotations

import random

from ferryllm_proto.routing.gate import Dropped, GateRules, Why
from ferryllm_proto.routing.line import Line


def test_flows_take_turns() -> None:
    line = Line(GateRules(queue=10))
    for ticket, flow in enumerate("aaabbc"):
        assert line.join(ticket, flow, 0.0) == []
    order = []
    while len(line):
        ticket = line.heads()[0]
        assert line.came_in(ticket) == 0.0
        order.append(ticket)
    assert order == [0, 3, 5, 1, 4, 2]
    assert line.came_in(0) is None


def test_a_full_queue_turns_away_the_newest_of_the_longest_or_who_comes() -> None:
    line = Line(GateRules(queue=3))
    for ticket in range(3):
        line.join(ticket, "a", 0.0)
    assert [(one.ticket, one.why) for one in line.join(3, "b", 0.0)] == [(2, Why.CROWDED)]
    assert [(one.ticket, one.why) for one in line.join(4, "a", 0.0)] == [(4, Why.FULL)]
    assert [(one.ticket, one.why) for one in line.join(5, "b", 0.0)] == [(5, Why.FULL)]
    assert [one.why for one in Line(GateRules()).join(1, "a", 0.0)] == [Why.FULL]


def test_everybody_may_wait_equally_long() -> None:
    line = Line(GateRules(queue=5, wait=10.0))
    assert line.next_deadline() is None
    line.join(1, "a", 0.0)
    line.join(2, "b", 3.0)
    assert line.next_deadline() == 10.0
    assert line.expire(9.9) == []
    assert [(one.ticket, one.why, one.own) for one in line.expire(10.0)] == [(1, Why.LATE, False)]
    line.kept_out(2, own=True)
    assert [(one.ticket, one.why, one.own) for one in line.expire(13.0)] == [(2, Why.LATE, True)]
    assert len(line) == 0


def test_who_waits_for_its_own_flow_is_in_nobody_elses_way() -> None:
    line = Line(GateRules(queue=5))
    assert not line.blocks("a")
    line.join(1, "a", 0.0, own=True)
    assert line.blocks("a")
    assert not line.blocks("b")
    line.kept_out(1, own=False)
    assert line.blocks("b"), "the gate itself is full"
    line.leave(1)
    line.leave(1)
    line.kept_out(1, own=True)
    assert not line.blocks("a")


def test_whatever_comes_the_bound_holds_and_everybody_is_told_once() -> None:
    rng = random.Random(7)
    line = Line(GateRules(queue=4, wait=5.0))
    waiting: set[int] = set()
    ended: list[int] = []

    def drop(dropped: list[Dropped]) -> None:
        for one in dropped:
            waiting.discard(one.ticket)
            ended.append(one.ticket)

    now = 0.0
    for ticket in range(2000):
        now += rng.random()
        waiting.add(ticket)
        drop(line.join(ticket, rng.choice("abc"), now, own=rng.random() < 0.3))
        drop(line.expire(now))
        if waiting and rng.random() < 0.5:
            inside = rng.choice(line.heads())
            assert line.came_in(inside) is not None
            waiting.discard(inside)
            ended.append(inside)
        if waiting and rng.random() < 0.2:
            gone = rng.choice(sorted(waiting))
            line.leave(gone)
            waiting.discard(gone)
            ended.append(gone)
        assert len(line) == len(waiting) <= 4
        assert len(line.heads()) <= 3
    assert len(ended) == len(set(ended)) == 2000 - len(waiting)
