"""The whole request: path, form, tools and the choice among them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.errors import RemoteProtocolError

from .build import encoded, foreign, paths, request

F = ir.Function("f", "does", b'{"type":"object","properties":{"b":{},"a":{}}}', path="tools[0]")
G = ir.Function("g", path="tools[1]")


def choice(mode: ir.ToolChoiceMode, *names: str, required: bool = False) -> ir.ToolChoice:
    return ir.ToolChoice(mode, names, required)


def names(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools", [])]


def test_path_headers_and_model() -> None:
    upstream, _ = DIALECT.encode_request(foreign(stream=True), model="qwen3:8b")
    assert (upstream.method, upstream.path, upstream.query, upstream.stream) == ("POST", "/api/chat", "", True)
    assert upstream.headers == (("content-type", "application/json"), ("accept", "application/x-ndjson"))
    assert upstream.body.startswith(b'{"model":"qwen3:8b","messages":[')


def test_tools_keep_their_schemas_bytes() -> None:
    upstream, losses = DIALECT.encode_request(foreign(tools=(F, G)))
    assert F.schema is not None
    assert F.schema in upstream.body
    assert json.loads(upstream.body)["tools"][1]["function"] == {
        "name": "g",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
    }
    assert losses == []


def test_a_schema_the_server_cannot_read_is_mended_and_reported() -> None:
    odd = ir.Function("f", schema=b'{"type":["object","null"],"properties":{"a":true}}', path="tools[0]")
    body, losses = encoded(foreign(tools=(odd,)))
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {"a": {}}}
    assert paths(losses) == [("degraded", "tools[0]")]


def test_what_tools_cannot_say_is_reported() -> None:
    strict = ir.Function("f", strict=True, cache=ir.CacheMark(), path="tools[0]")
    hosted = ir.HostedTool("openai", "web_search", b"{}", path="tools[1]")
    body, losses = encoded(foreign(tools=(strict, hosted), parallel=False))
    assert names(body) == ["f"]
    assert paths(losses) == [
        ("dropped", "tools[1]"),
        ("dropped", "parallel"),
        ("dropped", "tools[0].cache_control"),
        ("dropped", "tools[0].strict"),
    ]
    assert encoded(foreign(tools=(F,), parallel=True))[1] == []


def test_7_3_none_leaves_the_tools_out() -> None:
    body, losses = encoded(foreign(tools=(F,), tool_choice=choice(ir.ToolChoiceMode.NONE)))
    assert "tools" not in body
    assert losses == []
    assert names(encoded(foreign(tools=(F,), tool_choice=choice(ir.ToolChoiceMode.AUTO)))[0]) == ["f"]


def test_7_3_a_subset_is_a_shorter_list() -> None:
    body, losses = encoded(foreign(tools=(F, G), tool_choice=choice(ir.ToolChoiceMode.ALLOWED, "g")))
    assert names(body) == ["g"]
    assert paths(losses) == [("degraded", "tool_choice")]
    assert encoded(foreign(tools=(F, G), tool_choice=choice(ir.ToolChoiceMode.ALLOWED, "f", "g")))[1] == []


@pytest.mark.parametrize(
    "found",
    [
        choice(ir.ToolChoiceMode.REQUIRED),
        choice(ir.ToolChoiceMode.TOOL, "f"),
        choice(ir.ToolChoiceMode.ALLOWED, "f", required=True),
    ],
)
def test_g5_a_forced_call_is_refused(found: ir.ToolChoice) -> None:
    with pytest.raises(RemoteProtocolError, match="tool_choice: Ollama cannot be told to call a tool"):
        encoded(foreign(tools=(F,), tool_choice=found))


def test_freeform_tools_are_functions() -> None:
    body, losses = encoded(foreign(tools=(ir.Custom("patch", "d", path="tools[0]"),)))
    assert names(body) == ["patch"]
    assert body["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert paths(losses) == [("degraded", "tools[0]")]


def test_foreign_fields_are_reported() -> None:
    assert paths(encoded(foreign(ext=ir.Ext("openai", {"prediction": b"{}", "x": b"1"})))[1]) == [
        ("dropped", "prediction"),
        ("dropped", "x"),
    ]


NATIVE: dict[str, dict[str, Any]] = {
    "tools": {
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [
            {
                "type": "function",
                "function": {"name": "a b", "description": "d", "parameters": {"type": "object"}, "x": 1},
                "items": {},
            },
            {"type": "function", "function": {"name": "g"}},
            {"type": "new", "x": 1},
        ],
        "stream": False,
    },
    "generate": {
        "prompt": "p",
        "system": "s",
        "images": ["QUJD"],
        "stream": True,
        "suffix": "x",
        "context": [1],
        "raw": True,
    },
    "load": {"keep_alive": 0, "stream": True},
    "empty": {"prompt": "", "system": "", "template": "t", "stream": True, "options": {"seed": 1}, "think": "low"},
}


@pytest.mark.parametrize("name", NATIVE)
def test_g6_what_a_client_wrote_is_written_back(name: str) -> None:
    path = "/api/chat" if "messages" in NATIVE[name] else "/api/generate"
    found = request(path, **NATIVE[name])
    upstream, losses = DIALECT.encode_request(found)
    assert upstream.path == path
    assert json.loads(upstream.body) == {"model": "m", **NATIVE[name]}
    assert losses == []
    assert DIALECT.decode_request(upstream.body, path=path) == request(path, **json.loads(upstream.body))
