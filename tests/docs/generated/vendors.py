"""The reference of vendors and models, from the tables that the translators read."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from ferryllm_proto import capabilities
from ferryllm_proto.capabilities import Capabilities, Row
from ferryllm_proto.dialects.openai.profile import CHOICES, FORMATS, GENERIC, KNOBS, MEDIA, Cache, Profile
from ferryllm_proto.dialects.openai.vendors import VENDORS, Vendor

_HEAD = """\
# Vendors and models

Many servers speak OpenAI's Chat Completions, each with ways of its own. A request that is translated from another
protocol is written the way of the vendor it goes to. What the vendor cannot take is said in another way, dropped or
refused, and reported. A client of Chat Completions itself is not touched by any of this: its bytes go as they are.

The vendor of a provider of type `openai` is told by its `base_url`; `vendor` in the
[configuration](configuration.md) names another one, `[providers.quirks]` changes single columns, and
`[[providers.models]]` says what models can do. Answers are read in every form from everybody.

This page is made from the code by `python docs/generate.py`.

## How a vendor is told

| vendor | name | base_url |
| --- | --- | --- |
"""

_COLUMNS = """\

On one's own machine (`localhost`, `127.*`, `::1`) the port tells. For `generic` and for vendors known by their port
a model of OpenAI's own means that OpenAI is behind it, and its row counts.

## What a request looks like

- **limit**: the name of the field that limits an answer.
- **thinking**: the field that says how much to think, and its words. Words the model does not know become the next
  lower one.
- **thoughts sent back**: under which name, and when: `loop` with turns that called tools, `model` the same for models
  that demand it (DeepSeek, Kimi, MiMo).
- **later instructions**: those that do not come first: kept as messages, merged where they follow each other, or sent
  as a marked text of the user.

| vendor | limit | thinking | thoughts sent back | later instructions | stops | cache marks |
| --- | --- | --- | --- | --- | --- | --- |
"""

_TOOLS = """\

For OpenAI's own models the row of `openai` and `azure` goes by the model: the older ones take `max_tokens`, those
before the o series and gpt-5 are told nothing about thinking, from gpt-5.6 on cache marks are sent as
`prompt_cache_breakpoint`.

## Tools

- **forced**: which kinds of `tool_choice` are sent. A kind that is missing is said in another way where there is one
  (a shorter list of tools), else the request is refused.
- **results**: what a tool message may hold; what does not fit follows as a message of the user.
- **empty text**: the `content` of a message that only calls tools.

| vendor | tool_choice | results | empty text | ids | thinks before a forced call |
| --- | --- | --- | --- | --- | --- |
"""

_FIELDS = """\

## Optional fields

What is not listed is dropped and reported; forms of an answer, media and probabilities (`logprobs`) are refused, for
without them the answer would be another one.

*The usual* are
@KNOBS@.

| vendor | fields | response_format | media |
| --- | --- | --- | --- |
"""

_MODELS = """\

## Models

The first row that fits the beginning of a model's name counts, whatever vendor, date or case is around it. Of a model
that is in no row nothing is known, and everything is sent to it. A limit that no request named and the protocol
requires (Messages) is the *usual* one; a higher limit than the *highest* is lowered and reported.

| model | refuses | told to think by | words | can rest | usual limit | highest limit |
| --- | --- | --- | --- | --- | --- | --- |
"""

_REFUSALS: tuple[tuple[str, str], ...] = (
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("together", "temperature and top_p together"),
    ("stop", "stop sequences"),
    ("penalties", "penalties"),
    ("logprobs", "probabilities"),
    ("prefill", "prefill"),
    ("structured_output", "structured output"),
)


_KNOBS = textwrap.fill(", ".join(f"`{name}`" for name in sorted(KNOBS)), 118, break_on_hyphens=False)

_SOME = """\

### Models that differ from their vendor's others

| vendor | names that begin with | differ in |
| --- | --- | --- |
"""


def page() -> str:
    """The page as Markdown."""
    parts = [
        _HEAD + _rows(_found),
        _COLUMNS + _rows(lambda row: _request(row.profile)),
        _TOOLS + _rows(lambda row: _tools(row.profile)),
        _FIELDS.replace("@KNOBS@", _KNOBS) + _rows(lambda row: _fields(row.profile)),
        _SOME + "\n".join(_differing()),
        _MODELS + "\n".join(_model(row) for row in capabilities.rows()),
    ]
    return "\n".join(parts) + "\n"


def _rows(cells: Callable[[Vendor], tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join((f"`{name}`", *cells(row))) + " |" for name, row in VENDORS.items())


def _found(row: Vendor) -> tuple[str, ...]:
    places = [f"`{host}`" for host in row.hosts]
    if row.path:
        places = [f"{place} with `{row.path}` in the path" for place in places]
    if row.port is not None:
        places.append(f"port {row.port} of this machine")
    return row.title, ", ".join(places) or "everything else"


def _request(row: Profile) -> tuple[str, ...]:
    back = row.replay.value if row.replay.value == "never" else f"`{row.reasoning_field}`, {row.replay.value}"
    words = ", ".join(row.efforts)
    thinking = "no field" if row.reasoning.value == "none" else f"`{row.reasoning.value}`"
    cache = "no" if row.cache is Cache.NONE else f"`{row.cache.value}`"
    return (
        f"`{row.max_tokens_field}`",
        f"{thinking}: {words}" if words and row.reasoning.value not in ("none", "chat_template_kwargs") else thinking,
        back,
        row.later_system.value,
        "" if row.max_stop is None else f"at most {row.max_stop}",
        cache,
    )


def _tools(row: Profile) -> tuple[str, ...]:
    if not row.tools:
        return "no tools", "", "", "", ""
    kinds = _set(row.choices, CHOICES) + (", a subset" if row.allowed_tools else "")
    results = {"string": "one text", "text": "texts", "image": "texts and images"}[row.tool_content.value]
    empty = {"null": "`null`", "empty": '`""`', "absent": "left out"}[row.call_content.value]
    ids = "nine letters and digits" if row.tool_ids.value == "mistral" else ""
    return kinds, results, empty, ids, "" if row.forced_thinks else "no: thinking is put off"


def _fields(row: Profile) -> tuple[str, ...]:
    extra = row.fields - KNOBS
    if row.fields >= KNOBS:
        fields = "the usual" + "".join(f", `{name}`" for name in sorted(extra))
    else:
        fields = _set(row.fields, frozenset())
    if row.seed_field != GENERIC.seed_field:
        fields = fields.replace("`seed`", f"`seed` as `{row.seed_field}`")
    return fields, _set(row.formats, FORMATS), _set(row.media, MEDIA)


def _differing() -> list[str]:
    rows = []
    for name, row in VENDORS.items():
        for pattern, changes in row.models:
            shown = pattern.replace("|", "\\|")
            rows.append(f"| `{name}` | `{shown}` | {', '.join(changes)} |")
    return rows


def _set(found: frozenset[str], everything: frozenset[str]) -> str:
    return "all" if found == everything else ", ".join(f"`{name}`" for name in sorted(found)) or "none"


def _model(row: Row) -> str:
    able: Capabilities = row.capabilities
    refusals = [words for name, words in _REFUSALS if not getattr(able, name)]
    if able.bridge:
        refusals.append("the user right behind a tool's result (a message of its own is added)")
    refused = ", ".join(refusals)
    thinking = (
        "" if able.thinking is None else {"both": "adaptive or budget"}.get(able.thinking.value, able.thinking.value)
    )
    cells = (
        row.name,
        refused,
        thinking,
        ", ".join(able.efforts or ()),
        "no" if able.restless else "",
        str(able.default_max_tokens),
        "" if able.max_output_tokens is None else str(able.max_output_tokens),
    )
    return "| " + " | ".join(cells) + " |"
