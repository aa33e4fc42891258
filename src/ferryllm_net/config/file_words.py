"""Mends in the words of the file that they are for: they are written as TOML, and YAML and JSON say it otherwise."""

from __future__ import annotations

import re
from pathlib import PurePath

_HEADER = re.compile(r"""(?<![\w"'\]])(\[\[?)([a-z_]+(?:\.[A-Za-z_]+)*)\]\]?""")
_KEY = re.compile(r"""(?<![\w"'.])([a-z_]+(?:\.[a-z_]+)*) = """)


def in_words_of(name: str, mend: str) -> str:
    """``mend``, which shows TOML, as the form of the file called ``name`` has it. Values are the same in all three."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in (".json", ".yaml", ".yml"):
        return mend
    mend = _HEADER.sub(lambda found: ("an item of " if len(found[1]) == 2 else "") + found[2], mend)
    return _KEY.sub(r'"\1": ' if suffix == ".json" else r"\1: ", mend)
