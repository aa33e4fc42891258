"""Exchanges on a virtual clock, everything around them by chance: what holds for each of them, whatever happens.

What is played is in `support.simulation`. A failure names its seed and number, and this runs it again::

    FERRYLLM_SEED=7 FERRYLLM_RUN=1234 pytest tests/simulation/test_exchanges.py
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

import pytest

from ferryllm_proto import Exchange, Translator
from ferryllm_proto.actions import Abort, Action, Record, SendBody
from ferryllm_proto.events import End
from ferryllm_proto.inputs import Input
from ferryllm_proto.ir import FinishReason
from support.simulation import exchanges

SEED = int(os.environ.get("FERRYLLM_SEED", "20261121"))
RUNS = 4_000
"""Exchanges of the default run."""
DEEP_RUNS = 100_000


def run_many(runs: int, capsys: pytest.CaptureFixture[str]) -> exchanges.Tally:
    tally, begun = exchanges.Tally(), time.monotonic()
    only = os.environ.get("FERRYLLM_RUN")
    for number in [int(only)] if only is not None else range(runs):
        exchanges.run(SEED, number, tally)
    with capsys.disabled():
        print(f"\nsimulated, seed {SEED}: {tally}, {time.monotonic() - begun:.0f} s")  # noqa: T201 - a figure
    return tally


def test_exchanges_end_once_and_well_whatever_happens(capsys: pytest.CaptureFixture[str]) -> None:
    run_many(RUNS, capsys)


def test_equal_seeds_live_equal_lives() -> None:
    for number in range(50):
        one, other = (exchanges.Life(random.Random(number)) for _ in range(2))
        one.live()
        other.live()
        assert one.ledger.events == other.ledger.events
        assert one.ledger.actions == other.ledger.actions


# --- the simulation itself can fail ----------------------------------------------------------------------


def _forgets_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Exchange.receive
    keep = lambda action: not isinstance(action, Abort)  # noqa: E731
    monkeypatch.setattr(Exchange, "receive", lambda self, event, now: list(filter(keep, receive(self, event, now))))


def _waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exchange, "next_deadline", lambda self: None)


def _records_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Exchange.receive

    def twice(self: Exchange, event: Input, now: float) -> list[Action]:
        actions = receive(self, event, now)
        return [*actions, actions[-1]] if actions and isinstance(actions[-1], Record) else actions

    monkeypatch.setattr(Exchange, "receive", twice)


def _takes_a_cut_for_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Translator, "_end_stream", lambda self: self._encoder.send(End(FinishReason.END)))


def _ends_before_the_last_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Exchange.receive
    monkeypatch.setattr(
        Exchange,
        "receive",
        lambda self, event, now: sorted(receive(self, event, now), key=lambda one: isinstance(one, SendBody)),
    )


def run_some() -> None:
    for number in range(500):
        exchanges.run(SEED, number, exchanges.Tally())


@pytest.mark.parametrize(
    "wrong",
    [
        _forgets_the_provider,
        _waits_for_ever,
        _records_twice,
        _takes_a_cut_for_an_end,
        _ends_before_the_last_bytes,
    ],
)
def test_a_wrong_exchange_is_noticed(
    wrong: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong(monkeypatch)
    with pytest.raises(AssertionError, match=f"seed {SEED}, run [0-9]+"):
        run_some()


@pytest.mark.deep
@pytest.mark.timeout(3600)
def test_many_exchanges_end_once_and_well_whatever_happens(capsys: pytest.CaptureFixture[str]) -> None:
    run_many(DEEP_RUNS, capsys)
