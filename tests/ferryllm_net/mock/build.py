"""Requests for the script's tests, short."""

from __future__ import annotations

from ferryllm_net.mock import Directives, Plan, plan
from ferryllm_proto import ir, json
from ferryllm_proto.accumulate import Accumulator

SCHEMA = json.encode({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})


def schema(**properties: object) -> bytes:
    """An object's schema that requires all its properties."""
    return json.encode({"type": "object", "properties": properties, "required": list(properties)})


def user(*texts: str) -> ir.Turn:
    return ir.Turn(ir.Role.USER, tuple(ir.Text(text) for text in texts))


def request(
    *turns: ir.Turn | str,
    dialect: str = "openai",
    tools: tuple[ir.Tool, ...] = (),
    tool_choice: ir.ToolChoice | None = None,
    max_output: int | None = None,
    stop: tuple[str, ...] = (),
    format: ir.Format | None = None,  # noqa: A002 - the field's name
    include: tuple[str, ...] = (),
    reasoning: ir.ReasoningParams | None = None,
) -> ir.Request:
    talk = tuple(user(turn) if isinstance(turn, str) else turn for turn in turns)
    return ir.Request(
        dialect,
        "demo",
        talk,
        tools=tools,
        tool_choice=tool_choice,
        max_output=max_output,
        stop=stop,
        format=format,
        include=include,
        reasoning=reasoning,
    )


def called(name: str = "look", id_: str = "call_1") -> ir.Turn:
    return ir.Turn(ir.Role.ASSISTANT, (ir.ToolCall(id_, name, "{}"),))


def result(text: str, id_: str = "call_1") -> ir.Turn:
    return ir.Turn(ir.Role.USER, (ir.ToolResult(id_, (ir.Text(text),)),))


def fold(done: Plan) -> ir.Response:
    """The plan's answer, whole."""
    whole = Accumulator()
    for step in done.steps:
        whole.send(step.event)
    assert whole.failed is None
    return whole.response()


def answer(asked: ir.Request, defaults: Directives | None = None) -> ir.Response:
    return fold(plan(asked, defaults))


def text(asked: ir.Request, defaults: Directives | None = None) -> str:
    return "".join(part.text for part in answer(asked, defaults).parts if isinstance(part, ir.Text))


def calls(asked: ir.Request) -> list[ir.ToolCall]:
    return [part for part in answer(asked).parts if isinstance(part, ir.ToolCall)]
