"""Writes the pages of this folder that are made from the code; `tests/docs` fails while one is out of date."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "docs"))

from generated import write_all

for name in write_all():
    print(f"wrote docs/{name}")
