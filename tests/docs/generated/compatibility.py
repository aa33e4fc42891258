"""The page of compatibility: the table of fields, with the words that a translation of each example brings up."""

from __future__ import annotations

from ferryllm_proto.fields import BACKENDS, TABLE, Fate, Row
from support.fates import MODELS, Observed, observe

_HEAD = """\
# Compatibility

What becomes of each documented field of a request at each kind of provider. Where both sides speak the same protocol
the bytes pass through and nothing is lost, so that column is empty.

| words | meaning |
| --- | --- |
| `a.b` | carried whole; the provider gets it there |
| nothing to send | nothing is lost: it asks for what is so anyway, or the gateway does it |
| degraded | the provider gets it said in another way |
| dropped | the provider does not get it |
| refused | the request is answered with status 400: without the field the answer would not be the one asked for |

What is degraded or dropped is reported to the client in the header `x-ferryllm-loss`, as `disposition path` pairs
separated by commas (`dropped top_k, degraded messages[2].content[0].is_error`), in the log and in the counter of
losses. The path is the one the client wrote. A route changes the rule with `loss_policy`: `strict` refuses every loss,
`lenient` leaves out, with a report, what would be refused, where an answer still makes sense. `ferryllm explain` shows
what becomes of one request before anything is sent.

Where models of a provider differ, the second fate is that of those with reasoning by effort. The models of this page:
{models}. Providers that speak Chat Completions and are not OpenAI differ by vendor.

In a path, `[tool_result]` and `(enabled)` say which kind of object is meant. Fields marked with a star are in no
official SDK: words of other vendors, and of the past. This page is made from the code by `python docs/generate.py`;
a test proves each cell by a translation, and another one that no field of the official SDKs is missing.
"""

_TITLES = {
    "openai": "OpenAI Chat Completions",
    "openai_responses": "OpenAI Responses",
    "anthropic": "Anthropic Messages",
    "gemini": "Gemini generateContent",
    "ollama": "Ollama",
}


def page() -> str:
    """The page as Markdown."""
    models = "; ".join(f"`{name}` {', '.join(pair)}" for name, pair in MODELS.items())
    parts = [_HEAD.format(models=models)]
    for name, rows in TABLE.items():
        others = [backend for backend in BACKENDS if backend != name]
        parts.append(f"\n## Clients of {_TITLES[name]} (`{name}`)\n\n")
        parts.append("| field | " + " | ".join(f"`{other}`" for other in others) + " |\n")
        parts.append("| --- " * (len(others) + 1) + "|\n")
        parts.extend(f"| {_field(row)} | {' | '.join(_cell(row, other) for other in others)} |\n" for row in rows)
    return "".join(parts)


def _field(row: Row) -> str:
    star = " \\*" if row.extension else ""
    return f"`{row.path}`{star}{' ' if row.when else ''}{row.when}"


def _cell(row: Row, backend: str) -> str:
    words = [_words(observe(row, backend, newer=newer), row, MODELS[backend][newer]) for newer in (False, True)]
    return words[0] if words[0] == words[1] else f"{words[0]}; or {words[1]}"


def _where(places: list[str]) -> str:
    """What ``places`` have in common, else the first of them; a schema is one thing."""
    if not places:
        return "yes"
    ways = [place.partition(".properties")[0].split(".") for place in places]
    common = []
    for steps in zip(*ways, strict=False):
        if len(set(steps)) > 1:
            break
        common.append(steps[0])
    return f"`{'.'.join(common or ways[0])}`"


def _words(seen: Observed, row: Row, model: str) -> str:
    fate = seen.fate
    assert fate is not None, row.path
    if fate is Fate.IDLE:
        return "nothing to send"
    if fate is Fate.MAPPED:
        return _where([place for place in seen.places if place and not place.startswith("(")])
    reason = next(loss.reason for loss in seen.losses if loss.disposition is fate.disposition)
    for loss in seen.losses:
        reason = reason.removeprefix(f"{loss.path}: ")
    reason = reason.replace(model, "the model").replace("|", "\\|")
    return f"{fate.name.lower()}: {reason}"
