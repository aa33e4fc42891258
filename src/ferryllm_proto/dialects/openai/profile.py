"""How one Chat backend differs from another, as data.

A later table of vendors puts its rows here; until then the model's name decides between OpenAI's own rules and
careful defaults that every server of this protocol known to us accepts (translation.md B17, B18).
"""

from __future__ import annotations

import re

import msgspec

from ... import families, opaque


class Profile(msgspec.Struct, frozen=True):
    """The knobs of one backend."""

    max_tokens_name: str = "max_tokens"
    """``max_completion_tokens`` where the old name is refused."""
    system_role: str = "system"
    """``developer`` for OpenAI's reasoning models."""
    replay_reasoning: bool = False
    """Whether turns that called tools are sent back with their ``reasoning_content``."""
    efforts: tuple[str, ...] = ("low", "medium", "high")
    """What ``reasoning_effort`` may be; others are moved to the nearest. Empty: the field is not sent."""
    sampling: bool = True
    """Whether temperature and top_p may differ from 1."""
    openai_fields: bool = False
    """Whether verbosity, service_tier, prompt_cache_key, metadata are known; strict servers refuse them."""
    allowed_tools: bool = False
    """Whether ``tool_choice`` knows subsets; otherwise the other tools are left out."""
    breakpoints: bool = False
    """Whether ``prompt_cache_breakpoint`` is known."""
    max_stop: int | None = None


EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""In rising order."""

GENERIC = Profile()
_OPENAI = Profile(openai_fields=True, allowed_tools=True, efforts=(), max_stop=4)
_OPENAI_REASONING = Profile(
    max_tokens_name="max_completion_tokens",
    system_role="developer",
    efforts=EFFORTS,
    sampling=False,
    openai_fields=True,
    allowed_tools=True,
    max_stop=4,
)

# Models that refuse a tool loop in which their own thoughts are missing (A27); in ordinary turns they refuse to get
# them back, and so does everybody else.
_REPLAYING = msgspec.structs.replace(GENERIC, replay_reasoning=True)
_REPLAYING_NAME = re.compile(r"deepseek|kimi|mimo")
_BREAKPOINTS_NAME = re.compile(r"gpt-(?:5\.(?:[6-9]|\d\d)|[6-9]|\d\d)")


def profile(model: str) -> Profile:
    """The profile of the backend that serves ``model``."""
    name = opaque.family(model)
    if families.reasons(model) or families.is_newer(model):
        found = _OPENAI_REASONING
        if not families.reasons(model):  # gpt-5-chat: new parameter names, no reasoning
            found = msgspec.structs.replace(found, efforts=(), sampling=True)
        if _BREAKPOINTS_NAME.match(name):
            found = msgspec.structs.replace(found, breakpoints=True)
        return found
    if families.is_plain(model):
        return _OPENAI
    return _REPLAYING if _REPLAYING_NAME.match(name) else GENERIC
