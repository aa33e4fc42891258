"""The net layer on a virtual clock, over wires in memory: clients, providers and faults by chance, on both backends.

What is played is in `support.simulation.worlds`. A failure names its seed and number, and this runs it again::

    FERRYLLM_SEED=7 FERRYLLM_WORLD=12 pytest tests/simulation/test_worlds.py
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

from ferryllm_net.gateway.interpreter import Interpreter
from ferryllm_proto import Translator
from ferryllm_proto.events import End
from ferryllm_proto.ir import FinishReason
from support.simulation import clocks
from support.simulation.wire_verdict import judge
from support.simulation.worlds import World

SEED = int(os.environ.get("FERRYLLM_SEED", "20261121"))
WORLDS = 150
"""Of the default run, on each backend; about five requests in each."""
DEEP_WORLDS = 1_500


def run_one(backend: str, number: int) -> tuple[float, list[str]]:
    """How long it took on its clock, and how its requests ended."""
    world = World(random.Random(SEED * 1_000_003 + number))
    try:
        clocks.run(backend, number, world.live)
        return world.virtual_secs, judge(world)
    except Exception as exc:
        raise AssertionError(f"seed {SEED}, world {number}, {backend}: {type(exc).__name__}: {exc}") from exc


def run_many(backend: str, worlds: int, capsys: pytest.CaptureFixture[str]) -> None:
    ends: Counter[str] = Counter()
    begun, virtual = time.monotonic(), 0.0
    only = os.environ.get("FERRYLLM_WORLD")
    numbers = [int(only)] if only is not None else range(worlds)
    for number in numbers:
        secs, words = run_one(backend, number)
        ends.update(words)
        virtual += secs
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(ends.items()))
    with capsys.disabled():
        print(  # noqa: T201 - a figure
            f"\nsimulated on {backend}, seed {SEED}: {len(numbers):,} worlds with {sum(ends.values()):,} requests "
            f"({told}) in {virtual / 3600:.1f} virtual hours, {time.monotonic() - begun:.0f} s"
        )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_requests_end_once_and_well_whatever_happens(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_many(backend, WORLDS, capsys)


# --- the simulation itself can fail ----------------------------------------------------------------------


def run_some(backend: str) -> None:
    for number in range(30):
        run_one(backend, number)


async def _forget(self: Interpreter) -> None:
    self._upstream = None


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_provider_that_is_not_closed_is_noticed(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interpreter, "_close_upstream", _forget)
    with pytest.raises(AssertionError, match="connections to providers"):
        run_some(backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cut_that_is_taken_for_an_end_is_noticed(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Translator, "_end_stream", lambda self: self._encoder.send(End(FinishReason.END)))
    with pytest.raises(AssertionError, match="world"):
        run_some(backend)


@pytest.mark.deep
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_many_requests_end_once_and_well_whatever_happens(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_many(backend, DEEP_WORLDS, capsys)
