"""Tools as the wire has them."""

from __future__ import annotations

from typing import Any

from ferryllm_proto import ir, json
from ferryllm_proto.dialects.openai_responses.encode_tools import encode_choice, encode_tools
from ferryllm_proto.loss import Report


def encode(*tools: ir.Tool, own: bool = False) -> tuple[list[Any], list[str]]:
    report = Report()
    wired = json.loads(json.encode(encode_tools(tools, own=own, report=report)))
    return wired, [loss.path for loss in report.losses]


def test_r6_neighbours_of_one_namespace_are_one_tool_again() -> None:
    wired, _ = encode(
        ir.Custom("a", namespace="n", namespace_description="d"),
        ir.Custom("b", namespace="n", namespace_description="d"),
        ir.Custom("c"),
        ir.Custom("d", namespace="n"),
    )
    assert [(tool["type"], len(tool.get("tools", ()))) for tool in wired] == [
        ("namespace", 2),
        ("custom", 0),
        ("namespace", 1),
    ]


def test_r5_grammars_are_flat() -> None:
    (tool,), _ = encode(ir.Custom("p", "d", "lark", "start: x"))
    assert tool["format"] == {"type": "grammar", "syntax": "lark", "definition": "start: x"}


def test_a15_what_a_tool_has_no_field_for_is_reported() -> None:
    tool = ir.Function("f", cache=ir.CacheMark(), path="tools[0]", ext=ir.Ext("anthropic", {"input_examples": b"[1]"}))
    _, paths = encode(tool)
    assert paths == ["tools[0].cache_control", "tools[0].input_examples"]


def test_what_a_client_of_this_dialect_left_out_stays_out() -> None:
    assert encode(ir.Function("f"), own=True)[0] == [{"type": "function", "name": "f"}]


def test_choices_of_freeform_tools_and_namespaces() -> None:
    choice = ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("p",), kind=ir.ToolKind.CUSTOM, namespace="n")
    assert encode_choice(choice, own=False) == {"type": "custom", "name": "p", "namespace": "n"}
