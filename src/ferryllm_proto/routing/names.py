"""Names of models as clients write them: with a context's length, a date or a mark behind the plain name (M3).

Apart from the routes, because keys that list models take the same names.
"""

from __future__ import annotations

import re

from .hints import ALIAS_MARK

VARIANT = re.compile(r"\[[0-9]+[mMkK]\]$")
"""Claude Code's ``[1m]`` for a long context."""
_DATED = re.compile(r"-(?:20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2})$")


def plainer(model: str) -> list[str]:
    """``model`` without what clients add, one thing less at a time."""
    out: list[str] = []
    for plain in (VARIANT.sub("", model), model.partition(ALIAS_MARK)[0]):
        if plain and plain != model:
            out.append(plain)
    for plain in (model, *out[:]):
        dated = _DATED.sub("", plain)
        if dated and dated != plain:
            out.append(dated)
    return out
