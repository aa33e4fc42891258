"""Exchanges on a virtual clock, everything around them by chance: what holds for each of them, whatever happens.

What is played is in `support.simulation`. A failure names its seed and number, and this runs it again::

    FERRYLLM_SEED=7 FERRYLLM_RUN=1234 pytest tests/simulation/test_exchanges.py
"""

from __future__ import annotations

import os
import random
import time

import pytest

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


@pytest.mark.deep
@pytest.mark.timeout(3600)
def test_many_exchanges_end_once_and_well_whatever_happens(capsys: pytest.CaptureFixture[str]) -> None:
    run_many(DEEP_RUNS, capsys)
