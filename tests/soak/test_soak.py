"""A short soak in every run, one of minutes in the deep ones. `scripts/soak` runs longer ones."""

from __future__ import annotations

import sys

import anyio
import pytest

from soak.report import table
from soak.run import Outcome, soak

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a process holds is read in /proc")


def run(secs: float, backend: str) -> Outcome:
    said: list[str] = []
    outcome = anyio.run(lambda: soak(secs, backend=backend, seed=1, say=said.append))
    assert outcome.good, table(outcome)
    return outcome


@pytest.mark.timeout(300)
def test_under_everything_at_once_answers_stay_right_and_nothing_is_left() -> None:
    outcome = run(6.0, "asyncio")
    assert outcome.requests > 50, "hardly anything ran"
    assert outcome.renewals
    assert outcome.peak.exchanges > 0
    assert outcome.peak.active > 0
    assert outcome.peak.connections > 1


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_under_everything_at_once_for_minutes_nothing_grows(backend: str) -> None:
    outcome = run(120.0, backend)
    assert {"fault", "leaving", "bad", "stalling", "deaf", "websocket", "slow", "kept"} <= outcome.scenes.keys()
