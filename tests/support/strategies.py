"""Hypothesis strategies of requests and answers in the representation, as clients and models make them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from ferryllm_proto import ir

# The last private code points stand for lone surrogates inside proto (json.py): they are its one known limit.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Co"]), min_size=1, max_size=12).filter(str.strip)
VALUES = st.dictionaries(st.sampled_from("abc"), st.one_of(st.integers(-5, 5), TEXT, st.none()), max_size=3)
ARGUMENTS = VALUES.map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False))
SCHEMA = b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}'
IMAGES = st.sampled_from(
    [
        ir.Image(ir.Source(ir.SourceKind.BASE64, "iVBORw0KGgo=", "image/png")),
        ir.Image(ir.Source(ir.SourceKind.BASE64, "/9j/4AAQ", "image/jpeg")),
    ]
)
NAMES = st.sampled_from(["f", "g", "get_weather"])


@st.composite
def conversations(draw: st.DrawFn) -> tuple[ir.Turn, ...]:
    """Turns that alternate; every call is answered in the next turn, by its own id."""
    turns: list[ir.Turn] = []
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        parts: list[ir.Part] = [ir.Text(draw(TEXT))]
        if draw(st.booleans()):
            parts.append(draw(IMAGES))
        turns.append(ir.Turn(ir.Role.USER, tuple(parts)))
        if draw(st.booleans()):
            calls = []
            for _ in range(draw(st.integers(1, 3))):
                number += 1
                calls.append(ir.ToolCall(f"call_{number}", draw(NAMES), draw(ARGUMENTS)))
            said = [ir.Text(draw(TEXT))] if draw(st.booleans()) else []
            turns.append(ir.Turn(ir.Role.ASSISTANT, (*said, *calls)))
            results = [ir.ToolResult(call.id, (ir.Text(draw(TEXT)),), name=call.name) for call in calls]
            turns.append(ir.Turn(ir.Role.USER, tuple(results)))
        turns.append(ir.Turn(ir.Role.ASSISTANT, (ir.Text(draw(TEXT)),)))
    turns.append(ir.Turn(ir.Role.USER, (ir.Text(draw(TEXT)),)))
    return tuple(turns)


CANNOT = {
    "openai_responses": {"stop"},
    "ollama": {"tool_choice"},
}
"""What the encoder of a dialect refuses: no client of it can have said it."""


@st.composite
def requests(draw: st.DrawFn, dialect: str) -> ir.Request:
    """A request of a client of ``dialect``; what it can not say is left off by its encoder."""
    maybe: dict[str, st.SearchStrategy[Any]] = {
        "temperature": st.sampled_from([0.0, 0.25, 1.0]),
        "top_p": st.sampled_from([0.5, 0.9]),
        "top_k": st.integers(1, 50),
        "stop": st.lists(st.sampled_from("xyz"), min_size=1, max_size=3, unique=True).map(tuple),
        "seed": st.integers(0, 99),
        "parallel": st.booleans(),
        "format": st.sampled_from([ir.Format(ir.FormatKind.JSON_SCHEMA, "s", SCHEMA, strict=True)]),
        "tool_choice": st.sampled_from(
            [
                ir.ToolChoice(ir.ToolChoiceMode.AUTO),
                ir.ToolChoice(ir.ToolChoiceMode.REQUIRED),
                ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",)),
            ]
        ),
        "reasoning": st.sampled_from([ir.ReasoningParams(effort="low"), ir.ReasoningParams(effort="high")]),
        "system": TEXT.map(lambda text: (ir.Text(text),)),
    }
    for name in CANNOT.get(dialect, ()):
        del maybe[name]
    chosen = {name: draw(values) for name, values in maybe.items() if draw(st.integers(0, 3)) == 0}
    tools = tuple(ir.Function(name, draw(TEXT), SCHEMA) for name in ("f", "g", "get_weather"))
    return ir.Request(
        dialect, "m", turns=draw(conversations()), tools=tools, max_output=draw(st.integers(1, 4000)), **chosen
    )


PARTS = st.one_of(
    TEXT.map(ir.Text),
    TEXT.map(ir.Text),
    TEXT.map(ir.Reasoning),
    st.builds(ir.ToolCall, st.integers(1, 10**6).map(lambda n: f"call_{n}"), NAMES, ARGUMENTS),
)


@st.composite
def responses(draw: st.DrawFn) -> ir.Response:
    """A whole answer: thoughts, texts, calls, why it ended, what it cost."""
    parts = draw(st.lists(PARTS, max_size=5, unique_by=lambda part: part.id if isinstance(part, ir.ToolCall) else part))
    called = any(isinstance(part, ir.ToolCall) for part in parts)
    finish = (
        ir.FinishReason.TOOL_USE if called else draw(st.sampled_from([ir.FinishReason.END, ir.FinishReason.LENGTH]))
    )
    output = draw(st.integers(1, 500)) if parts else 0
    usage = ir.Usage(draw(st.integers(1, 5000)), cache_read=draw(st.integers(0, 50)), output=output)
    return ir.Response("id_1", "real", tuple(parts), finish, created=5, usage=usage)
