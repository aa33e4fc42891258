"""Writes the pages of this folder that are made from the code; `tests/docs` fails while one is out of date."""

import pathlib
import sys

tests = pathlib.Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(tests / "docs"), str(tests)]

from generated import write_all  # noqa: E402 - found by the path above

for name in write_all():
    print(f"wrote docs/{name}")
