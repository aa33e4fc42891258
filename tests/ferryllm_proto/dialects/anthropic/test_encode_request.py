"""Requests of any dialect for a provider of Messages: the frame, tools, headers, and what is written back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import DIALECT
from ferryllm_proto.errors import RemoteProtocolError

from .build import assistant, encoded, foreign, paths, user

TOOL = ir.Function("f", description="d", schema=b'{"type":"object","z":1,"a":2}', path="tools[0]")


def test_the_least_request() -> None:
    upstream, losses = DIALECT.encode_request(foreign(user("hi"), max_output=5, stream=True))
    assert (upstream.method, upstream.path, upstream.query, upstream.stream) == ("POST", "/v1/messages", "", True)
    assert json.loads(upstream.body) == {
        "model": "claude-opus-4-8",
        "max_tokens": 5,
        "stream": True,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }
    assert losses == []


@pytest.mark.parametrize(
    ("model", "limit"), [("claude-opus-4-8", 32000), ("claude-3-5-sonnet-latest", 8192), ("qwen3", 8192)]
)
def test_b13_max_tokens_is_always_sent(model: str, limit: int) -> None:
    assert encoded(foreign(model=model))[0]["max_tokens"] == limit
    assert encoded(foreign(model=model, max_output=7))[0]["max_tokens"] == 7


def test_the_routes_model_replaces_the_clients() -> None:
    assert encoded(foreign(model="alias"), model="claude-x")[0]["model"] == "claude-x"


def test_a8_schemas_are_spliced_and_completed() -> None:
    upstream, _ = DIALECT.encode_request(foreign(tools=(TOOL,)))
    assert b'"input_schema":{"type":"object","z":1,"a":2}' in upstream.body
    body, _ = encoded(foreign(tools=(ir.Function("g"), ir.Function("h", schema=b'{"properties":{}}'))))
    assert [tool["input_schema"] for tool in body["tools"]] == [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}},
    ]


def test_strict_is_carried_where_the_model_has_it() -> None:
    tool = ir.Function("f", schema=b'{"type":"object"}', strict=True, path="tools[0]")
    assert encoded(foreign(tools=(tool,)))[0]["tools"][0]["strict"] is True
    body, losses = encoded(foreign(tools=(tool,), model="claude-3-5-sonnet-latest"))
    assert "strict" not in body["tools"][0]
    assert paths(losses) == [("dropped", "tools[0].strict")]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (ir.ToolChoice(ir.ToolChoiceMode.AUTO), {"type": "auto"}),
        (ir.ToolChoice(ir.ToolChoiceMode.NONE), {"type": "none"}),
        (ir.ToolChoice(ir.ToolChoiceMode.REQUIRED), {"type": "any"}),
        (ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",)), {"type": "tool", "name": "f"}),
    ],
)
def test_a11_b14_tool_choice(choice: ir.ToolChoice, wanted: dict[str, str]) -> None:
    assert encoded(foreign(tools=(TOOL,), tool_choice=choice))[0]["tool_choice"] == wanted


def test_a12_no_parallel_calls_needs_a_choice_object() -> None:
    body, losses = encoded(foreign(tools=(TOOL,), parallel=False))
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert losses == []
    assert "tool_choice" not in encoded(foreign(tools=(TOOL,), parallel=True))[0]
    assert "tool_choice" not in encoded(foreign(parallel=False))[0]


def test_allowed_tools_shorten_the_list() -> None:
    choice = ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, ("f",), required=True)
    body, losses = encoded(foreign(tools=(TOOL, ir.Function("g")), tool_choice=choice))
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert body["tool_choice"] == {"type": "any"}
    assert paths(losses) == [("degraded", "tool_choice")]


def test_allowed_tools_that_do_not_exist_are_refused() -> None:
    choice = ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, ("nope",))
    with pytest.raises(RemoteProtocolError, match="tool_choice"):
        encoded(foreign(tools=(TOOL,), tool_choice=choice))


def test_freeform_tools_become_functions() -> None:
    body, losses = encoded(foreign(tools=(ir.Custom("patch", description="d", path="tools[0]"),)))
    assert body["tools"][0]["input_schema"]["required"] == ["input"]
    assert paths(losses) == [("degraded", "tools[0]")]


def test_a9_other_providers_tools_are_reported() -> None:
    tool = ir.HostedTool("openai", "web_search", b"{}", path="tools[0]")
    body, losses = encoded(foreign(tools=(tool,)))
    assert "tools" not in body
    assert paths(losses) == [("dropped", "tools[0]")]


def test_b15_calls_of_the_past_have_their_tools() -> None:
    result = ir.ToolResult("t", (ir.Text("r", path="messages[2].content"),))
    turns = (user("a"), assistant(ir.ToolCall("t", "f", "{}"), ir.ToolCall("u", "f", "{}")), user(result))
    body, losses = encoded(foreign(*turns, tools=()))
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}
    assert ("degraded", "tools") in paths(losses)
    assert "tool_choice" not in encoded(foreign(*turns, tools=(TOOL,)))[0]


def test_system_texts_are_blocks_with_their_breakpoints() -> None:
    system = (ir.Text("a", path="messages[0].content"), ir.Text("b", cache=ir.CacheMark("1h"), path="x"))
    assert encoded(foreign(system=system))[0]["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    assert encoded(foreign(system=system[:1]))[0]["system"] == "a"


def test_a40_only_the_last_four_breakpoints_stay() -> None:
    mark = ir.CacheMark()
    system = tuple(ir.Text(str(n), cache=mark, path=f"s[{n}]") for n in range(3))
    parts = tuple(ir.Text(str(n), cache=mark, path=f"m[{n}]") for n in range(3))
    body, losses = encoded(foreign(user(*parts), system=system))
    marked = ["cache_control" in block for block in body["system"] + body["messages"][0]["content"]]
    assert marked == [False, False, True, True, True, True]
    assert paths(losses) == [("dropped", "cache_control")]


def test_e14_another_dialects_headers_stay_behind() -> None:
    headers = (("anthropic-beta", "x"), ("Authorization", "Bearer secret"))
    upstream, _ = DIALECT.encode_request(foreign(), headers=headers)
    assert upstream.headers == (("content-type", "application/json"), ("anthropic-version", "2023-06-01"))


OWN = (
    b'{"model":"claude-opus-4-8","max_tokens":9,"stream":true,"system":[{"type":"text","text":"s","zz":1}],'
    b'"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":" "}]},'
    b'{"role":"system","content":"now"},{"role":"assistant","content":[{"type":"new","x":1}]}],'
    b'"tools":[{"name":"f","input_schema":{"type":"object"},"defer_loading":true},{"type":"bash_1","name":"bash"}],'
    b'"tool_choice":{"type":"auto","disable_parallel_tool_use":false,"later":1},"temperature":0.7,"top_k":3,'
    b'"thinking":{"type":"enabled","budget_tokens":1,"display":"summarized","n":2},'
    b'"output_config":{"effort":"high","format":{"type":"json_schema","schema":{"type":"object"}},"task_budget":{}},'
    b'"metadata":{"user_id":"u","k":1},"stop_sequences":[" "],"service_tier":"standard_only","container":"c"}'
)


def test_g6_a_client_of_ours_gets_its_request_back() -> None:
    request = DIALECT.decode_request(OWN)
    body, losses = encoded(request)
    assert body == json.loads(OWN)
    assert losses == []
    assert DIALECT.decode_request(json.dumps(body, separators=(",", ":")).encode()) == request


def test_g10_equal_requests_are_equal_bytes() -> None:
    first, second = (DIALECT.encode_request(DIALECT.decode_request(OWN))[0].body for _ in range(2))
    assert first == second


def test_another_model_than_asked_for_gets_its_own_rules() -> None:
    body, losses = encoded(DIALECT.decode_request(OWN.replace(b'" "]', b'"x"]')), model="claude-opus-5")
    assert "temperature" not in body
    assert ("dropped", "temperature") in paths(losses)


def test_the_betas_key_for_structured_output_is_kept() -> None:
    data = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],'
        b'"output_format":{"type":"json_schema","schema":{}}}'
    )
    assert "output_format" in encoded(DIALECT.decode_request(data))[0]


def mid_system(model: str, **options: Any) -> dict[str, Any]:
    data = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "a"}]}
    data["messages"] = [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]
    return encoded(DIALECT.decode_request(json.dumps(data).encode()), **options)[0]


@pytest.mark.parametrize(
    "headers",
    [
        (("Anthropic-Beta", "x,mid-conversation-system-2026-04-07"),),
        (("anthropic-version", "2026-10-21"),),
    ],
)
def test_a2_system_messages_stay_where_the_client_unlocked_them(headers: tuple[tuple[str, str], ...]) -> None:
    assert mid_system("claude-sonnet-4-5", headers=headers)["messages"][1] == {"role": "system", "content": "b"}


def test_a2_system_messages_become_marked_text_elsewhere() -> None:
    assert mid_system("claude-sonnet-4-5")["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "text", "text": "<system-reminder>\nb\n</system-reminder>"},
            ],
        }
    ]


def test_a43_the_question_for_a_count_has_no_limits() -> None:
    request = foreign(max_output=5, temperature=1, stop=("x",), user="u", stream=True, tools=(TOOL,))
    upstream, _ = DIALECT.encode_count_request(request)
    assert upstream.path == "/v1/messages/count_tokens"
    assert upstream.stream is False
    assert sorted(json.loads(upstream.body)) == ["messages", "model", "tools"]
