"""The process that is counted: ``python -m bench.child NAME RUNS`` does the work and says its own CPU time."""

from __future__ import annotations

import gc
import sys
import time

from bench.scenarios import SCENARIOS

WARM_UP = 20
"""Runs before those that count: caches fill, and CPython specialises code it has seen some eight times."""


def main(name: str, runs: int) -> None:
    run = SCENARIOS[name]()
    for _ in range(WARM_UP):
        run()
    gc.collect()
    gc.freeze()
    started = time.process_time()
    for _ in range(runs):
        run()
    print(f"cpu_us {(time.process_time() - started) * 1e6:.1f}")  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
