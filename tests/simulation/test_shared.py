"""Doors on a virtual clock: those of processes over one Redis with troubles, and the one of a single process.

What is played is in `support.simulation.doors`. A failure names its seed and number, and this runs it again::

    FERRYLLM_SEED=7 FERRYLLM_WORLD=12 pytest tests/simulation/test_shared.py
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Union

import pytest

from support.simulation import clocks
from support.simulation.doors import MemoryDoors, SharedDoors

SEED = int(os.environ.get("FERRYLLM_SEED", "20261121"))
WORLDS = 12
"""Of the default run, of each kind on each backend; about forty requests in each."""
DEEP_WORLDS = 1_000

Kind = Union[type[SharedDoors], type[MemoryDoors]]


def run_one(kind: Kind, backend: str, number: int) -> Counter[str]:
    """How its requests ended."""
    ends: Counter[str] = Counter()

    async def live() -> None:
        world = kind(random.Random(SEED * 1_000_003 + number))
        await world.live()
        ends.update(world.ends)

    state = random.getstate()
    random.seed(number)  # pauses of the link and of the queue
    try:
        clocks.run(backend, number, live)
    except Exception as exc:
        fault = exc
        while (inner := getattr(fault, "exceptions", None)) is not None:
            fault = inner[0]
        where = f"seed {SEED}, world {number}, {backend}, {kind.__name__}"
        raise AssertionError(f"{where}: {type(fault).__name__}: {fault}") from fault
    finally:
        random.setstate(state)
    return ends


def run_many(kind: Kind, backend: str, worlds: int) -> Counter[str]:
    only = os.environ.get("FERRYLLM_WORLD")
    ends: Counter[str] = Counter()
    for number in [int(only)] if only is not None else range(worlds):
        ends.update(run_one(kind, backend, number))
    return ends


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_processes_share_is_counted_once_whatever_becomes_of_redis(backend: str) -> None:
    ends = run_many(SharedDoors, backend, WORLDS)
    assert "FERRYLLM_WORLD" in os.environ or {"counted", "uncounted", "store", "busy", "quota", "left"} <= set(ends)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_clients_that_leave_a_queue_at_any_time_leave_nothing_behind(backend: str) -> None:
    ends = run_many(MemoryDoors, backend, WORLDS)
    assert "FERRYLLM_WORLD" in os.environ or {"admitted", "waited", "busy", "quota", "left"} <= set(ends)
