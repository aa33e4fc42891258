"""Tools and choices, kind by kind."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir, json
from ferryllm_proto.dialects.openai_responses.decode_tools import decode_choice, decode_tools
from ferryllm_proto.errors import RemoteProtocolError

M = ir.ToolChoiceMode


def tools(*values: Any) -> list[ir.Tool]:
    return decode_tools(json.raw(json.encode(values)), "tools")


def test_r5_freeform_tools_keep_their_grammar() -> None:
    grammar = {"type": "grammar", "syntax": "regex", "definition": "a+"}
    assert tools({"type": "custom", "name": "p", "description": "d", "format": grammar}) == [
        ir.Custom("p", "d", "regex", "a+", path="tools[0]")
    ]
    (free,) = tools({"type": "custom", "name": "p", "format": {"type": "text"}})
    assert free == ir.Custom("p", path="tools[0]", ext=ir.Ext("openai_responses", {".format": b'{"type":"text"}'}))


def test_strict_absent_null_and_false_are_three_things() -> None:
    absent, null, false = tools(
        {"type": "function", "name": "a"},
        {"type": "function", "name": "b", "strict": None},
        {"type": "function", "name": "c", "strict": False},
    )
    assert absent == ir.Function("a", path="tools[0]")
    assert null == ir.Function("b", path="tools[1]", ext=ir.Ext("openai_responses", {".strict": b"null"}))
    assert false == ir.Function("c", strict=False, path="tools[2]")


@pytest.mark.parametrize(
    "space",
    [
        {"type": "namespace", "name": "n", "tools": []},
        {"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]},
        {"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "x"}], "odd": 1},
    ],
)
def test_r6_namespaces_that_can_not_be_taken_apart_stay_whole(space: Any) -> None:
    (tool,) = tools(space)
    assert isinstance(tool, ir.HostedTool)
    assert (tool.type, tool.name, json.loads(tool.raw)) == ("namespace", "n", space)


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        (None, None),
        ("auto", ir.ToolChoice(M.AUTO)),
        ({"type": "function", "name": "f"}, ir.ToolChoice(M.TOOL, ("f",))),
        (
            {"type": "custom", "name": "f", "namespace": "n"},
            ir.ToolChoice(M.TOOL, ("f",), kind=ir.ToolKind.CUSTOM, namespace="n"),
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
            ir.ToolChoice(
                M.ALLOWED,
                ("f",),
                required=True,
                raw=b'{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]}',
            ),
        ),
        ({"type": "web_search"}, ir.ToolChoice(M.HOSTED, raw=b'{"type":"web_search"}')),
    ],
)
def test_a11_every_form_of_choice(value: Any, choice: ir.ToolChoice | None) -> None:
    assert decode_choice(json.raw(json.encode(value)), {}) == choice


@pytest.mark.parametrize("value", ["maybe", 3, {}, {"type": 3}])
def test_what_is_no_choice_is_refused(value: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="tool_choice"):
        decode_choice(json.raw(json.encode(value)), {})
