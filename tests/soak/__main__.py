"""Loads a gateway with everything at once and looks whether it stays right and flat; `scripts/soak` calls it.

scripts/soak                       two minutes on asyncio
scripts/soak 10 --backend trio     ten minutes on trio
scripts/soak 0.5 --seed 7          other chances
scripts/soak 2 --json              the figures as JSON on standard output

Progress and problems go to standard error. Exit status: 0 right and flat, 1 not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Sequence

import anyio
import msgspec

from soak.report import table
from soak.run import soak


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("minutes", nargs="?", type=float, default=2.0)
    parser.add_argument("--backend", choices=("asyncio", "trio", "uvloop"), default="asyncio", help="of the gateway")
    parser.add_argument("--workers", type=int, default=1, help="of the gateway; one is killed now and then")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="figures as JSON instead of a table")
    parser.add_argument("--log", type=pathlib.Path, metavar="FILE", help="keep the gateway's log")
    given = parser.parse_args(arguments)
    if given.minutes <= 0:
        parser.error("minutes: expected a number above 0")

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    async def run() -> int:
        outcome = await soak(
            given.minutes * 60,
            backend=given.backend,
            seed=given.seed,
            say=say,
            workers=given.workers,
            log=given.log,
        )
        text = msgspec.json.format(msgspec.json.encode(outcome)).decode() if given.json else table(outcome)
        sys.stdout.write(f"{text}\n")
        return 0 if outcome.good else 1

    try:
        return anyio.run(run)
    except RuntimeError as exc:
        say(f"error: {exc}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
