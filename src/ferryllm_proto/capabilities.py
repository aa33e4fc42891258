"""What models can do, as far as requests depend on it: one table, read by every encoder of requests.

The facts are about models, whoever serves them; what a vendor's server takes is in the dialects. The first row whose
pattern matches counts. A model of which nothing is known gets `UNKNOWN`, which takes everything; the configuration's
`ModelRule`s win over the table (translation.md A34, A35, C7).
"""

from __future__ import annotations

import enum
import re

import msgspec

from .opaque import family
from .rules import NO_RULES, ModelRule, ProviderRules

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""The words for how much to think, in rising order."""


class Thinking(enum.Enum):
    """In which form a model is told how much to think."""

    NONE = "none"
    """It does not think, or not so that a request could say anything about it."""
    BUDGET = "budget"
    """A number of tokens."""
    EFFORT = "effort"
    """A word: OpenAI's ``effort``, Gemini's ``thinkingLevel``."""
    ADAPTIVE = "adaptive"
    """By itself, within a word for the effort (Anthropic)."""
    BOTH = "both"
    """Adaptive, and still takes a number of tokens."""


class Capabilities(msgspec.Struct, frozen=True):
    """One model. What is True is taken; what is False is refused by its provider with a 400."""

    temperature: bool = True
    top_p: bool = True
    top_k: bool = True
    together: bool = True
    """Temperature and top_p in one request (C9)."""
    stop: bool = True
    """Stop sequences."""
    penalties: bool = True
    """Presence and frequency penalty, and logit_bias."""
    logprobs: bool = True
    thinking: Thinking | None = None
    """None: not known."""
    efforts: tuple[str, ...] | None = None
    """The words it takes, in rising order; (): none of them; None: not known."""
    restless: bool = False
    """It can not be told not to think."""
    budgets: tuple[int, int] | None = None
    """The least and the most tokens to think with, besides 0 where it is not `restless`."""
    default_max_tokens: int = 8192
    """What to ask for where a limit is required and the client named none (C7): well inside the model's own."""
    max_output_tokens: int | None = None
    """The most a request may ask for; None: not known."""
    prefill: bool = True
    """Goes on with a final assistant message."""
    structured_output: bool = True
    """Takes a schema for its answer, and strict tools."""
    mid_system: bool = False
    """Anthropic: takes ``system`` messages inside the conversation without a beta flag."""
    newer: bool = False
    """OpenAI: of the series with ``max_completion_tokens`` and the role ``developer``."""
    openai: bool = False
    """One of OpenAI's own, which nobody else hosts."""
    breakpoints: bool = False
    """OpenAI: takes ``prompt_cache_breakpoint``."""
    bridge: bool = False
    """Refuses a user's message right behind a tool's result: its own has to stand between them."""
    replay: bool = False
    """Refuses a tool loop in which its own thoughts are missing, on every Chat server (A27)."""

    @property
    def reasons(self) -> bool:
        """Whether it is known to think and to be told how much."""
        return self.thinking not in (None, Thinking.NONE)


UNKNOWN = Capabilities()

# --- the table -------------------------------------------------------------------------------------------

_LMH = ("low", "medium", "high")

# Anthropic. Everything from Opus 4.7 on refuses sampling, budgets and a final assistant message.
_CLAUDE = Capabilities(
    temperature=False,
    top_p=False,
    top_k=False,
    together=False,
    thinking=Thinking.ADAPTIVE,
    efforts=("low", "medium", "high", "xhigh", "max"),
    default_max_tokens=32000,
    prefill=False,
    mid_system=True,
)
_CLAUDE_4_7 = msgspec.structs.replace(_CLAUDE, mid_system=False)
_CLAUDE_4_6 = Capabilities(
    together=False,
    thinking=Thinking.BOTH,
    efforts=("low", "medium", "high", "max"),
    default_max_tokens=32000,
    max_output_tokens=128_000,
    prefill=False,
)
_CLAUDE_4_5 = Capabilities(
    together=False, thinking=Thinking.BUDGET, efforts=(), default_max_tokens=32000, max_output_tokens=64_000
)
_CLAUDE_4 = msgspec.structs.replace(_CLAUDE_4_5, together=True, structured_output=False)
_CLAUDE_3 = Capabilities(
    thinking=Thinking.NONE,
    efforts=(),
    default_max_tokens=4096,
    max_output_tokens=4096,
    structured_output=False,
)

# OpenAI. The thinking ones refuse sampling, stop sequences, penalties and probabilities. From gpt-5.1 on they may be
# told not to think, and stop sequences and probabilities depend on that: they are the provider's to judge.
_O = Capabilities(
    temperature=False,
    top_p=False,
    stop=False,
    penalties=False,
    logprobs=False,
    thinking=Thinking.EFFORT,
    efforts=_LMH,
    restless=True,
    max_output_tokens=100_000,
    newer=True,
    openai=True,
)
_GPT_5 = msgspec.structs.replace(_O, efforts=("minimal", *_LMH), max_output_tokens=128_000)
_GPT_5_1 = msgspec.structs.replace(_GPT_5, efforts=("none", *_LMH), restless=False, stop=True, logprobs=True)
_GPT_5_2 = msgspec.structs.replace(_GPT_5_1, efforts=("none", *_LMH, "xhigh"))
_GPT_NEXT = msgspec.structs.replace(_GPT_5_1, efforts=EFFORTS, breakpoints=True, max_output_tokens=None)
_GPT_4 = Capabilities(thinking=Thinking.NONE, efforts=(), openai=True)
_GPT_CHAT = msgspec.structs.replace(_GPT_4, newer=True)

_GROK = Capabilities(stop=False, penalties=False, efforts=())
_KIMI_FIXED = Capabilities(temperature=False, top_p=False, penalties=False, replay=True)

_GEMINI_3 = Capabilities(thinking=Thinking.EFFORT, efforts=_LMH, restless=True, max_output_tokens=65_536)
_GEMINI_2_5 = Capabilities(thinking=Thinking.BUDGET, budgets=(1, 24_576), max_output_tokens=65_536)


class Row(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    """Whom it is about, for readers."""
    pattern: re.Pattern[str]
    """Matched against the beginning of the name without vendor, date and case, dots and all; for Claude anywhere in
    it, with dashes for dots, because clouds put their own words around it."""
    capabilities: Capabilities


def _row(name: str, pattern: str, found: Capabilities, **changes: object) -> Row:
    return Row(name, re.compile(pattern), msgspec.structs.replace(found, **changes))


# "-4" that is not "-4-5" but may be "-4-0" or "-4-20250514".
_FOUR = r"-4(?:-0)?(?!-?\d{1,2}(?!\d))"

_CLAUDES: tuple[Row, ...] = (
    _row("claude-3-7", r"claude-3-7", _CLAUDE_4, max_output_tokens=64_000),
    _row("claude-3-5", r"claude-3-5", _CLAUDE_3, default_max_tokens=8192, max_output_tokens=8192),
    _row("claude-3", r"claude-(?:3(?!\d)|2|instant)", _CLAUDE_3),
    _row("claude-opus-4", rf"claude-opus{_FOUR}", _CLAUDE_4, max_output_tokens=32_000),
    _row("claude-sonnet-4", rf"claude-(?:sonnet{_FOUR}|4(?!-?\d))", _CLAUDE_4),
    _row("claude-opus-4-1", r"claude-opus-4-1(?!\d)", _CLAUDE_4_5, max_output_tokens=32_000),
    _row("claude-opus-4-5", r"claude-opus-4-5(?!\d)", _CLAUDE_4_5, efforts=_LMH),
    _row("claude-4-5", r"claude-(?:[a-z]+-)?4-5(?!\d)", _CLAUDE_4_5),
    _row("claude-4-6", r"claude-(?:opus|sonnet)-4-6(?!\d)", _CLAUDE_4_6),
    _row("claude-opus-4-7", r"claude-(?:opus-4-7(?!\d)|mythos)", _CLAUDE_4_7),
    # What is not above is newer than this file.
    _row("claude, newer", r"claude", _CLAUDE),
)

TABLE: tuple[Row, ...] = (
    # OpenAI.
    _row("gpt-oss", r"gpt-oss", UNKNOWN, thinking=Thinking.EFFORT, efforts=_LMH, restless=True),
    _row("gpt-5-chat", r"gpt-(?:[5-9]|\d\d).*-chat", _GPT_CHAT, max_output_tokens=16_384),
    _row("gpt-5-pro", r"gpt-5-pro", _GPT_5, efforts=("high",)),
    _row("gpt-5-codex", r"gpt-5-codex|codex-", _GPT_5, efforts=_LMH),
    _row("gpt-5", r"gpt-5(?![.\d])", _GPT_5),
    _row("gpt-5.1-codex-max", r"gpt-5\.1-codex-max", _GPT_5_2),
    _row("gpt-5.1-codex", r"gpt-5\.1-codex", _GPT_5, efforts=_LMH),
    _row("gpt-5.1", r"gpt-5\.1(?!\d)", _GPT_5_1),
    _row("gpt-5.2-pro", r"gpt-5\.[2-5]-pro", _GPT_5_2, efforts=("medium", "high", "xhigh"), restless=True),
    _row("gpt-5.2 to 5.5", r"gpt-5\.[2-5](?!\d)", _GPT_5_2),
    _row("gpt-5.6 and newer", r"gpt-(?:[5-9]|\d\d)", _GPT_NEXT),
    _row("o1 to o9", r"o[1-9]\d?(?:$|-)", _O),
    _row("gpt-4.1", r"gpt-4\.1", _GPT_4, max_output_tokens=32_768),
    _row("gpt-4o", r"(?:chat)?gpt-4(?:o|\.5)|chatgpt-4", _GPT_4, max_output_tokens=16_384),
    _row("gpt-4", r"gpt-4(?:-0\d\d\d)?$", _GPT_4, max_output_tokens=8192),
    _row("gpt-4-turbo, gpt-3.5", r"gpt-[34]", _GPT_4, default_max_tokens=4096, max_output_tokens=4096),
    # Google.
    _row("gemini-1, gemini-2.0", r"gemini-(?:1|2\.0)", UNKNOWN, thinking=Thinking.NONE, max_output_tokens=8192),
    _row("gemini-2.5-pro", r"gemini-2\.5-pro", _GEMINI_2_5, budgets=(128, 32_768), restless=True),
    _row("gemini-2.5-flash-lite", r"gemini-2\.5-flash-lite", _GEMINI_2_5, budgets=(512, 24_576)),
    _row("gemini-2.5-flash", r"gemini-2\.5", _GEMINI_2_5),
    _row("gemini-3-pro", r"gemini-3-pro", _GEMINI_3, efforts=("low", "high")),
    _row("gemini-3 pro, newer", r"gemini-[3-9].*pro", _GEMINI_3),
    _row("gemini-3 and newer", r"gemini-[3-9]", _GEMINI_3, efforts=("minimal", *_LMH)),
    # Others.
    _row("grok-3-mini", r"grok-3-mini", _GROK, thinking=Thinking.EFFORT, efforts=("low", "high"), restless=True),
    _row("grok-4, grok-code", r"grok-(?:4(?:-|$)|code)", _GROK, restless=True),
    _row("kimi-k3", r"kimi-k3", _KIMI_FIXED, thinking=Thinking.EFFORT, efforts=("low", "high", "max"), restless=True),
    _row("kimi-k2.7-code", r"kimi-k2\.7-code", _KIMI_FIXED, efforts=(), restless=True),
    _row("kimi-k2.5, kimi-k2.6", r"kimi-k2\.\d", _KIMI_FIXED, efforts=()),
    _row(
        "glm-5.3 and newer",
        r"glm-(?:5\.[3-9]|[6-9])",
        UNKNOWN,
        thinking=Thinking.EFFORT,
        efforts=("low", "high", "max"),
        restless=True,
        max_output_tokens=131_072,
    ),
    _row("mistral and its kin", r"(?:open-)?[a-z]*stral", UNKNOWN, bridge=True),
    _row("deepseek, kimi, mimo", r"deepseek|kimi|mimo", UNKNOWN, replay=True),
)


# --- reading it ------------------------------------------------------------------------------------------


def of(model: str, rules: ProviderRules = NO_RULES) -> Capabilities:
    """What ``model``, the provider's name of it, can do there."""
    found = known(model)
    for rule in sorted(rules.models, key=_length):  # the longest has the last word
        if _fits(model, rule.match):
            found = _with(found, rule)
    return found


def known(model: str) -> Capabilities:
    """What the table says of ``model``, whatever prefixes and dates its name carries."""
    row = row_of(model)
    return UNKNOWN if row is None else row.capabilities


def is_claude(model: str) -> bool:
    """Whether the name is one of Anthropic's."""
    return "claude" in model.lower()


def row_of(model: str) -> Row | None:
    """The line of the table that ``model`` falls into."""
    name = family(model).removeprefix("ft:")
    if is_claude(name):
        dashed = name.replace(".", "-")
        return next((row for row in _CLAUDES if row.pattern.search(dashed)), None)
    return next((row for row in TABLE if row.pattern.match(name)), None)


def rows() -> tuple[Row, ...]:
    """The whole table, in the order it is read in."""
    return _CLAUDES + TABLE


def _length(rule: ModelRule) -> int:
    return len(rule.match)


def _fits(model: str, match: str) -> bool:
    wanted, name = match.lower(), model.lower()
    return name.startswith(wanted) or name.rsplit("/", 1)[-1].startswith(wanted)


_NAMED = ("temperature", "top_p", "top_k", "stop", "efforts", "default_max_tokens", "max_output_tokens", "prefill")


def _with(found: Capabilities, rule: ModelRule) -> Capabilities:
    changes = {name: value for name in (*_NAMED, "structured_output") if (value := getattr(rule, name)) is not None}
    if rule.thinking is not None:
        changes["thinking"] = Thinking(rule.thinking)
        changes.setdefault("efforts", found.efforts or None)
    if rule.efforts is not None:
        changes["efforts"] = tuple(sorted(rule.efforts, key=EFFORTS.index))
        changes["restless"] = bool(rule.efforts) and "none" not in rule.efforts and found.restless
    if rule.max_output_tokens is not None and rule.default_max_tokens is None:
        changes["default_max_tokens"] = min(found.default_max_tokens, rule.max_output_tokens)
    return msgspec.structs.replace(found, **changes)


# --- effort and budget (wire.md 7.4) ---------------------------------------------------------------------

BUDGETS: dict[str, int] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 65536,
}
"""Tokens a word for effort stands for where only a number can be said."""

_EFFORT_BELOW = ((2048, "minimal"), (6144, "low"), (14336, "medium"), (28672, "high"))


def effort_of(budget: int) -> str:
    """The word for a budget in tokens where only words can be said; never ``max``, which has to be asked for."""
    if budget <= 0:
        return "none"
    return next((word for below, word in _EFFORT_BELOW if budget < below), "xhigh")


def budget_of(effort: str) -> int:
    """The tokens a word stands for; a word nobody knows is ``high``."""
    return 0 if effort == "none" else BUDGETS.get(effort, BUDGETS["high"])


def clamp(effort: str, allowed: tuple[str, ...]) -> str | None:
    """The effort of ``allowed`` that says ``effort`` best: itself, the next lower, else the lowest.

    ``none`` is no effort: it is never made of another word, and another word never of it. None where nothing fits.
    """
    if effort in allowed:
        return effort
    words = [word for word in allowed if word != "none"]
    if not words or effort == "none":
        return None
    rank = EFFORTS.index(effort) if effort in EFFORTS else EFFORTS.index("high")
    lower = [word for word in words if EFFORTS.index(word) <= rank]
    return lower[-1] if lower else words[0]
