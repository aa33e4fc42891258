"""The atheris harness: ``python harness.py TARGET [libFuzzer arguments]`` fuzzes one target of `targets.TARGETS`."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import atheris

with atheris.instrument_imports(include=["ferryllm_proto", "ferryllm_net.http"]):
    from targets import TARGETS


def main() -> None:
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
