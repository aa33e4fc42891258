"""What the models can do, as far as requests depend on it, and the models list.

The table is data: a family's name without vendor prefix and date, the longest match counts. A Claude that is not in it
is newer than this file and gets the newest rules; a name that is no Claude (servers that speak Messages with models of
their own) gets the plain rules of the first API.
"""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Sequence

import msgspec

from ... import ir, json, opaque


class ThinkingStyle(enum.Enum):
    NONE = "none"
    BUDGET = "budget"
    """``enabled`` with ``budget_tokens``."""
    ADAPTIVE = "adaptive"
    """``adaptive``; how much is said by ``output_config.effort``."""


class Profile(msgspec.Struct, frozen=True, gc=False):
    max_output: int
    """Tokens asked for when the client named no limit (C7): well inside the model's own."""
    thinking: ThinkingStyle
    budget_too: bool = False
    """Adaptive, and still takes a budget."""
    efforts: tuple[str, ...] = ()
    sampling: bool = True
    """Takes temperature, top_p and top_k."""
    both_sampling: bool = False
    """Takes temperature and top_p in one request (C9)."""
    prefill: bool = True
    """Goes on with a final assistant message."""
    schema: bool = True
    """Structured output and strict tools."""
    mid_system: bool = False
    """Takes ``system`` messages inside the conversation without a beta flag."""


_ALL = ("low", "medium", "high", "xhigh", "max")

_NEWEST = Profile(32000, ThinkingStyle.ADAPTIVE, efforts=_ALL, sampling=False, prefill=False, mid_system=True)
_FOREIGN = Profile(8192, ThinkingStyle.BUDGET, both_sampling=True)
_4_6 = Profile(32000, ThinkingStyle.ADAPTIVE, budget_too=True, efforts=("low", "medium", "high", "max"), prefill=False)
_4_5 = Profile(32000, ThinkingStyle.BUDGET)
_4_0 = Profile(32000, ThinkingStyle.BUDGET, both_sampling=True, schema=False)

# Not in it: everything from Claude Opus 4.8 and the 5 series on, which is `_NEWEST`.
_TABLE: dict[str, Profile] = {
    "claude-3": Profile(4096, ThinkingStyle.NONE, both_sampling=True, schema=False),
    "claude-3-5": Profile(8192, ThinkingStyle.NONE, both_sampling=True, schema=False),
    "claude-3-7": Profile(32000, ThinkingStyle.BUDGET, both_sampling=True, schema=False),
    "claude-opus-4": _4_0,
    "claude-sonnet-4": _4_0,
    "claude-4": _4_0,
    "claude-opus-4-1": Profile(32000, ThinkingStyle.BUDGET),
    "claude-opus-4-5": Profile(32000, ThinkingStyle.BUDGET, efforts=("low", "medium", "high")),
    "claude-sonnet-4-5": _4_5,
    "claude-haiku-4-5": _4_5,
    "claude-4-5": _4_5,
    "claude-opus-4-6": _4_6,
    "claude-sonnet-4-6": _4_6,
    "claude-opus-4-7": msgspec.structs.replace(_NEWEST, mid_system=False),
    "claude-mythos-preview": msgspec.structs.replace(_NEWEST, mid_system=False),
}

_SERIES = re.compile(r"claude-[a-z]+-\d+(?:-\d{1,2})?(?=-|$)|claude-\d+(?:-\d{1,2})?(?=-|$)|claude-mythos-preview")


def is_claude(model: str) -> bool:
    """Whether the name is one of Anthropic's."""
    return "claude" in model.lower()


def profile(model: str) -> Profile:
    """The rules for ``model``, whatever prefixes and dates its name carries."""
    if not is_claude(model):
        return _FOREIGN
    name = opaque.family(model.replace(".", "-") if "claude-" in model else model)
    match = _SERIES.search(name)
    if match is None:
        return _NEWEST
    series = match[0]
    if series.endswith("-0"):  # claude-opus-4-0 is an alias of claude-opus-4
        series = series[:-2]
    return _TABLE.get(series, _NEWEST)


# --- effort and budget (wire.md 7.4) ---------------------------------------------------------------------

BUDGETS: dict[str, int] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 65536,
}
"""Tokens a word for effort stands for where only a budget can be said."""

MIN_BUDGET = 1024
"""The API refuses less."""

_EFFORT_BELOW = ((6000, "low"), (14000, "medium"), (28000, "high"))
_ORDER = ("minimal", *_ALL)


def effort_of(budget: int) -> str:
    """The word for a budget where only words can be said; never ``max``, which has to be asked for."""
    for limit, word in _EFFORT_BELOW:
        if budget < limit:
            return word
    return "xhigh"


def clamp_effort(effort: str, allowed: tuple[str, ...]) -> str | None:
    """The nearest effort a model takes: the next lower one, else the lowest; None when it takes none."""
    if effort in allowed:
        return effort
    if not allowed:
        return None
    rank = _ORDER.index(effort) if effort in _ORDER else _ORDER.index("high")
    lower = [word for word in allowed if _ORDER.index(word) <= rank]
    return lower[-1] if lower else allowed[0]


# --- GET /v1/models --------------------------------------------------------------------------------------


def _entry(model: ir.Model) -> dict[str, object]:
    created = datetime.datetime.fromtimestamp(model.created, tz=datetime.timezone.utc)
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name or model.id,
        "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
    }


def encode_model(model: ir.Model) -> bytes:
    """The body of ``GET /v1/models/{id}``."""
    return json.encode(_entry(model))


def encode_models(models: Sequence[ir.Model]) -> bytes:
    """The body of ``GET /v1/models``: one page that holds all."""
    return json.encode(
        {
            "data": [_entry(model) for model in models],
            "has_more": False,
            "first_id": models[0].id if models else None,
            "last_id": models[-1].id if models else None,
        }
    )
