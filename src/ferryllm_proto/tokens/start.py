"""The number a Messages stream begins with, before the provider has counted: `estimate_input` from a sample.

Apart from it because the client waits for this one and gets the provider's own count at the end; a number for a
question (``count_tokens``) reads every letter, which takes a millisecond for a long history.
"""

from __future__ import annotations

import re

from .. import ir
from ..toolsets import SETS, keep
from ..words import Question
from ..written import Said, Written
from .estimate import estimate_input, json_cost, part_cost, text_cost, tool_cost
from .weights import Weights, weights_of

_Text = str | memoryview
"""Text, or as it is written in JSON without the quotes: where a conversation is passed on as it was written."""

EXACT = 4096
"""Characters up to which all are looked at."""
PROBES = 16
"""Places of a long conversation that are looked at, at equal distances."""
PROBE = 256
"""Characters that are looked at in each of them."""


def estimate_start(request: ir.Request, model: str | None = None, backend: str = "") -> int:
    """About what `estimate_input` says, from at most `PROBES` places of a long conversation; never 0."""
    weights = weights_of(model or request.model, backend)
    if len(request.turns) == 1 and not (request.system or request.tools or request.format):
        parts = request.turns[0].parts
        # What `estimate_input` says, of a short text that is all there is.
        if len(parts) == 1 and type(part := parts[0]) is ir.Text and len(part.text) <= EXACT:
            return max(1, round(weights.request + weights.turn + text_cost(part.text) * weights.text))
    texts: list[_Text] = [text.text for text in request.system]
    calls: list[_Text] = []
    total = weights.request + (weights.turn if texts else 0.0)
    written = Written.of(request.turns)
    for turn in request.turns if written is None else written.said:
        total += weights.turn
        if isinstance(turn, Said):
            if turn.text is not None:
                texts.append(memoryview(turn.text)[1:-1])
            texts.extend([memoryview(result.content)[1:-1] for result in turn.results])
            for call in turn.calls:
                texts.append(call.name)
                calls.append(memoryview(call.arguments))
            total += weights.call * (len(turn.results) + len(turn.calls))
            continue
        for part in turn.parts:
            total += _gather(part, texts, calls, weights)
    if sum(map(len, texts)) + sum(map(len, calls)) <= EXACT and not request.tools:
        return estimate_input(request, model, backend)
    if request.tools:
        total += weights.tools + _tools(request.tools, weights)
    if request.format is not None and request.format.schema is not None:
        total += weights.bound + weights.format * json_cost(request.format.schema)
    said, length = _sample(texts)
    total += text_cost(said) * length / max(1, len(said)) * weights.text
    said, length = _sample(calls, escaped=False)
    return max(1, round(total + json_cost(said) * length / max(1, len(said)) * weights.json))


def estimate_question(question: Question, model: str | None = None, backend: str = "") -> int:
    """The same of a request of words."""
    messages = question.messages
    if question.system is None and len(messages) == 1 and len(text := messages[0].content) <= EXACT:
        weights = weights_of(model or question.model, backend)
        return max(1, round(weights.request + weights.turn + text_cost(text) * weights.text))
    return estimate_start(question.request(), model, backend)


def _gather(part: ir.Part, texts: list[_Text], calls: list[_Text], weights: Weights) -> float:
    """Put what is long to the others; what is left is the cost of the rest."""
    kind = type(part)
    if kind is ir.Text:
        texts.append(part.text)  # type: ignore[union-attr]  # its type was just compared
        return 0.0
    if kind is ir.ToolCall:
        texts.append(part.name)  # type: ignore[union-attr, arg-type]  # the same
        calls.append(part.arguments)  # type: ignore[union-attr]  # the same
        return weights.call
    if isinstance(part, ir.ToolResult):
        return weights.call + sum([_gather(inner, texts, calls, weights) for inner in part.parts])
    return part_cost(part, weights)


def _tools(tools: tuple[ir.Tool, ...], weights: Weights) -> float:
    kept = SETS.derived(tools)
    key = ("tokens", id(weights))  # of a table that stays
    known: float | None = None if kept is None else kept.get(key)
    if known is None:
        known = sum(tool_cost(tool, weights) for tool in tools)
        keep(kept, key, known)
    return known


def _sample(texts: list[_Text], *, escaped: bool = True) -> tuple[str, int]:
    """Pieces of ``texts`` as one text, and how many characters they stand for; ``escaped``: JSON is that of strings."""
    length = sum(map(len, texts))
    if length <= EXACT:
        said = "\n".join([text if isinstance(text, str) else _read(text, escaped) for text in texts])
        return said, min(length, len(said))
    step, begun = length // PROBES, 0
    at = step // 2
    out: list[str] = []
    seen = 0
    for text in texts:
        end = begun + len(text)
        while at < end:
            piece = text[at - begun : at - begun + PROBE]
            seen += len(piece)
            out.append(piece if isinstance(piece, str) else _read(piece, escaped))
            at += step
        begun = end
    said = "".join(out)
    return said, length if len(said) == seen else round(length * len(said) / seen)


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


def _read(piece: memoryview, escaped: bool) -> str:
    """A piece of JSON as text; what was cut at its ends is not looked for."""
    text = str(piece, "utf-8", "ignore")
    return _ESCAPE.sub(_character, text) if escaped and "\\" in text else text


def _character(found: re.Match[str]) -> str:
    code, sign = found.groups()
    return chr(int(code, 16)) if code else _ESCAPED.get(sign, sign)
