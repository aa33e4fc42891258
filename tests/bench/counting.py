"""What one run of a scenario costs, in instructions where the machine can count them, else in CPU microseconds.

A child process does the work N times and another one 2N times; the difference is N runs, without the start of Python,
the imports and the scenario's making. Instructions do not change with what else the machine does, so a regression of a
few per cent is seen; CPU time on a shared machine sees one of half.
"""

from __future__ import annotations

import enum
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from bench.scenarios import SCENARIOS, Run

TESTS = pathlib.Path(__file__).resolve().parents[1]
SECS = 0.005
"""CPU time of the N runs: a simulator takes fifty times as long, and counts without noise."""
MIN_RUNS, MAX_RUNS = 4, 5_000
ATTEMPTS = 2
"""Who edits a file between the two processes makes one of them compile it."""
TIMED_ROUNDS = 5
"""Of the two processes where only time can be had: the best counts."""


class Method(enum.Enum):
    PERF = "perf"
    """The processor's own counter."""
    VALGRIND = "valgrind"
    """A simulator that counts (cachegrind without its caches)."""
    TIME = "time"
    """CPU microseconds."""

    @property
    def unit(self) -> str:
        return "us" if self is Method.TIME else "instructions"


class CountingError(Exception):
    """A child process failed; the message says what it printed."""


Spend = Callable[[str, int], float]
"""What so many runs of a scenario cost, start-up included."""


def available() -> Method:
    """The best method that works here."""
    for method in (Method.PERF, Method.VALGRIND):
        try:
            _counted(method, [sys.executable, "-S", "-c", "pass"])
        except (CountingError, OSError):
            continue
        return method
    return Method.TIME


def cost(name: str, method: Method, *, runs: int | None = None, spend: Spend | None = None) -> float:
    """What one run of the scenario costs in the unit of ``method``. Raises `CountingError`.

    ``runs`` is N (None: as many as take `SECS`); ``spend`` stands in for the child processes.
    """
    count = runs if runs is not None else _calibrated(name)
    spend = spend or _spender(method)
    if method is not Method.TIME:
        for _ in range(ATTEMPTS):
            found = (spend(name, 2 * count) - spend(name, count)) / count
            if found > 0:
                return found
        raise CountingError("twice the runs cost no more: source files change meanwhile, or the scenario does nothing")
    few = min(spend(name, count) for _ in range(TIMED_ROUNDS))
    many = min(spend(name, 2 * count) for _ in range(TIMED_ROUNDS))
    return max(many - few, 0.0) / count


def _calibrated(name: str) -> int:
    try:
        return calibrate(SCENARIOS[name]())
    except Exception as exc:  # whatever a scenario does wrong, the others are counted
        raise CountingError(f"it does not run: {type(exc).__name__}: {exc}") from exc


def calibrate(run: Run, clock: Callable[[], float] = time.process_time) -> int:
    """How many runs take about `SECS` of CPU time."""
    run()
    started = clock()
    for _ in range(MIN_RUNS):
        run()
    each = (clock() - started) / MIN_RUNS
    return max(MIN_RUNS, min(MAX_RUNS, int(SECS / max(each, 1e-7))))


def _spender(method: Method) -> Spend:
    def spend(name: str, runs: int) -> float:
        return _counted(method, [sys.executable, "-m", "bench.child", name, str(runs)])

    def compiled_first(name: str, runs: int) -> float:
        # Bytecode that is missing would be made by the first of the two processes, and counted as runs.
        _run([sys.executable, "-m", "bench.child", name, "1"])
        return spend(name, runs)

    return spend if method is Method.TIME else compiled_first


def _counted(method: Method, command: Sequence[str]) -> float:
    if method is Method.PERF:
        output = _run(["perf", "stat", "-x", ",", "-e", "instructions:u", *command])
        return parse_perf(output)
    if method is Method.VALGRIND:
        if shutil.which("valgrind") is None:
            raise CountingError("valgrind is not installed")
        output = _run(["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", *command])
        return parse_valgrind(output)
    return parse_time(_run(command))


def _run(command: Sequence[str]) -> str:
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    # The order of sets and with it the work would change from one process to the next.
    environ = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CountingError(f"{command[0]} ended with {done.returncode}: {done.stderr[-1000:]}")
    return done.stdout + done.stderr


def parse_perf(output: str) -> float:
    """Instructions out of ``perf stat -x ,``. Raises `CountingError` where the processor shows no counter."""
    found = re.search(r"^(\d+),[^,]*,instructions", output, re.MULTILINE)
    if found is None:
        raise CountingError("perf counts no instructions here (a virtual machine, or not allowed)")
    return float(found[1])


def parse_valgrind(output: str) -> float:
    """Instructions out of cachegrind's last words."""
    found = re.search(r"I\s+refs:\s+([\d,]+)", output)
    if found is None:
        raise CountingError("valgrind counted nothing")
    return float(found[1].replace(",", ""))


def parse_time(output: str) -> float:
    """CPU microseconds that the child says it took."""
    found = re.search(r"^cpu_us ([\d.]+)$", output, re.MULTILINE)
    if found is None:
        raise CountingError("the child process did not say its time")
    return float(found[1])
