"""Counts what the scenarios cost and prints a table; `scripts/bench` calls it.

scripts/bench                            every scenario
scripts/bench stream anthropic           those whose name has both words
scripts/bench --save before.json         also write the figures to a file
scripts/bench --against before.json      and print them beside those of a file
scripts/bench --method time              CPU microseconds instead of instructions
scripts/bench --write-budgets            what was measured becomes the budget
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence

from bench import budgets
from bench.counting import CountingError, Method, available, cost
from bench.scenarios import SCENARIOS


def table(after: Mapping[str, float], before: Mapping[str, float], unit: str) -> str:
    """A line for each scenario: before, after, and how they compare."""
    width = max(map(len, after), default=0)
    lines = [f"{'':{width}}  {'before':>14}  {'now':>14}  {'now/before':>10}   {unit} a run"]
    for name, now in after.items():
        old = before.get(name)
        shown = f"{old:14,.1f}" if old is not None else f"{'-':>14}"
        ratio = f"{now / old:10.3f}" if old else f"{'-':>10}"
        lines.append(f"{name:{width}}  {shown}  {now:14,.1f}  {ratio}")
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="words that stand in the scenarios' names")
    parser.add_argument("--save", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--against", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--method", choices=[method.value for method in Method], help="the best that works here")
    parser.add_argument("--write-budgets", action="store_true")
    given = parser.parse_args(arguments)
    names = [name for name in SCENARIOS if all(word in name for word in given.words)]
    method = Method(given.method) if given.method else available()
    if given.write_budgets and method is Method.TIME:
        parser.error("budgets are instructions, and neither perf nor valgrind counts them here")
    before = _before(given.against, method)
    after: dict[str, float] = {}
    failed = False
    for name in names:
        print(f"counting {name} by {method.value}", file=sys.stderr, flush=True)  # noqa: T201 - a program
        try:
            after[name] = cost(name, method)
        except CountingError as exc:
            failed = True
            print(f"{name}: {exc}", file=sys.stderr)  # noqa: T201 - a program
    print(table(after, before, method.unit))  # noqa: T201 - a program
    if given.save is not None:
        given.save.write_text(json.dumps({"method": method.value, "costs": after}, indent=2) + "\n")
    if given.write_budgets:
        budgets.write(after, budgets.read().tolerance if budgets.FILE.exists() else 1.3)
    return 1 if failed or not names else 0


def _before(file: pathlib.Path | None, method: Method) -> dict[str, float]:
    if file is None:
        return {}
    found = json.loads(file.read_text())
    if Method(found["method"]).unit != method.unit:
        sys.exit(f"{file} is in {Method(found['method']).unit}, this run in {method.unit}: choose with --method")
    return {name: float(value) for name, value in found["costs"].items()}


if __name__ == "__main__":
    sys.exit(main())
