"""Exchanges that share their providers, limits and breakers, through outages, bursts, slow providers and clock jumps.

What is played is in `support.simulation.relays`. A failure names its seed and number, and this runs it again::

    FERRYLLM_SEED=7 FERRYLLM_RUN=1234 pytest tests/simulation/test_relays.py
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

import pytest

from ferryllm_proto import Exchange
from ferryllm_proto.actions import Action, GiveBack, Settle
from ferryllm_proto.attempts import Attempts
from ferryllm_proto.inputs import Input
from ferryllm_proto.routing.choice import Routing
from support.simulation import relays

SEED = int(os.environ.get("FERRYLLM_SEED", "20261121"))
WORLDS = 60
"""Of the default run: some 1,000 requests."""
DEEP_WORLDS = 5_000


def run_many(worlds: int, capsys: pytest.CaptureFixture[str]) -> relays.Tally:
    tally, begun = relays.Tally(), time.monotonic()
    only = os.environ.get("FERRYLLM_RUN")
    for number in [int(only)] if only is not None else range(worlds):
        relays.run(SEED, number, tally)
    with capsys.disabled():
        print(f"\nsimulated, seed {SEED}: {tally}, {time.monotonic() - begun:.0f} s")  # noqa: T201 - a figure
    return tally


def test_requests_are_answered_once_and_everything_is_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    tally = run_many(WORLDS, capsys)
    if "FERRYLLM_RUN" not in os.environ:
        assert max(tally.tries) > 2, "nothing was tried again"
        assert tally.refused, "nobody was turned away"


def test_equal_seeds_live_equal_worlds() -> None:
    for number in range(10):
        one, other = (relays.World(random.Random(number)) for _ in range(2))
        one.live()
        other.live()
        assert one.trace() == other.trace()


# --- the simulation itself can fail ----------------------------------------------------------------------


def _settles_never(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Exchange.receive
    keep = lambda action: not isinstance(action, Settle)  # noqa: E731
    monkeypatch.setattr(Exchange, "receive", lambda self, event, now: list(filter(keep, receive(self, event, now))))


def _ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attempts, "end", lambda *_, **__: None)


def _keeps_places(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Exchange.receive
    keep = lambda action: not isinstance(action, GiveBack)  # noqa: E731
    monkeypatch.setattr(Exchange, "receive", lambda self, event, now: list(filter(keep, receive(self, event, now))))


def _gives_a_place_back_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attempts, "owed", lambda self: () if self._owed is None else (self._owed,))


def _takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attempts, "book", lambda self: None)


def _loses_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Routing, "failed", lambda *_, **__: ())


def _asks_again_behind_content(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Exchange.receive

    def forgetful(self: Exchange, event: Input, now: float) -> list[Action]:
        self._begun = False
        return receive(self, event, now)

    monkeypatch.setattr(Exchange, "receive", forgetful)


def run_some() -> None:
    for number in range(200):
        relays.run(SEED, number, relays.Tally())


@pytest.mark.parametrize(
    "wrong",
    [
        _settles_never,
        _ends_nothing,
        _keeps_places,
        _gives_a_place_back_twice,
        _takes_no_place,
        _loses_probes,
        _asks_again_behind_content,
    ],
)
def test_a_wrong_exchange_is_noticed(
    wrong: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong(monkeypatch)
    with pytest.raises(AssertionError, match=f"seed {SEED}, world [0-9]+"):
        run_some()


@pytest.mark.deep
@pytest.mark.timeout(3600)
def test_many_requests_are_answered_once(capsys: pytest.CaptureFixture[str]) -> None:
    run_many(DEEP_WORLDS, capsys)
