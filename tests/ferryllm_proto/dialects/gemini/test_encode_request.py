from __future__ import annotations

import json
import re

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini import DIALECT
from ferryllm_proto.errors import RemoteProtocolError

from .build import NEW, OLD, assistant, contents, decoded, encoded, foreign, paths, user

M = ir.ToolChoiceMode
F = ir.Function("f", schema=b'{"type":"object","properties":{"a":{"type":"string"}}}', path="tools[0]")
G = ir.Function("g", path="tools[1]")


def test_the_path_says_model_and_stream() -> None:
    upstream, _ = DIALECT.encode_request(foreign(), model="gemini-x")
    assert (upstream.path, upstream.query) == ("/v1beta/models/gemini-x:generateContent", "")
    upstream, _ = DIALECT.encode_request(foreign(stream=True))
    assert (upstream.path, upstream.query) == (f"/v1beta/models/{OLD}:streamGenerateContent", "alt=sse")
    assert upstream.headers == (("content-type", "application/json"),)
    with pytest.raises(RemoteProtocolError, match="model: this field is required"):
        DIALECT.encode_request(foreign(model=""))


def test_c2_system_texts_are_the_instruction() -> None:
    body, losses = encoded(foreign(system=(ir.Text("a"), ir.Text(" "), ir.Text("b"))))
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert losses == []


def test_a4_billing_notes_of_another_vendor_stay_behind() -> None:
    body, losses = encoded(
        foreign(system=(ir.Text("x-anthropic-billing-header: cch=1", path="system[0]"), ir.Text("b")))
    )
    assert body["systemInstruction"] == {"parts": [{"text": "b"}]}
    assert paths(losses) == [("dropped", "system[0]")]


def test_b1_json_schema_for_the_newer_models_and_the_subset_for_the_older() -> None:
    schema = b'{"$schema":"x","type":"object","properties":{"a":{"type":"string"}}}'
    tool = ir.Function("f", "what", schema, path="tools[0]")
    body, losses = encoded(foreign(tools=(tool,)))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "what",
                    "parametersJsonSchema": {"type": "object", "properties": {"a": {"type": "string"}}},
                }
            ]
        }
    ]
    assert paths(losses) == [("dropped", "tools[0].function.parameters.$schema")]
    body, _ = encoded(foreign(tools=(tool,)), model="gemini-1.5-pro")
    assert "parameters" in body["tools"][0]["functionDeclarations"][0]


def test_b3_a_function_without_parameters_has_none() -> None:
    body, _ = encoded(foreign(tools=(ir.Function("f"), ir.Function("g", schema=b"{}"))))
    assert body["tools"][0]["functionDeclarations"] == [
        {"name": "f"},
        {"name": "g", "parametersJsonSchema": {"type": "object"}},
    ]
    empty = ir.Function("f", schema=b'{"type":"object","properties":{}}')
    body, _ = encoded(foreign(tools=(empty,)), model="gemini-1.5-flash")
    assert body["tools"][0]["functionDeclarations"] == [{"name": "f"}]


def test_b1_a_schema_that_contains_itself_is_refused_by_its_name() -> None:
    defs = b'{"N":{"type":"array","items":{"$ref":"#/$defs/N"}}}'
    schema = b'{"type":"object","properties":{"n":{"$ref":"#/$defs/N"}},"$defs":%b}' % defs
    with pytest.raises(RemoteProtocolError, match=r"tools\[0\].function.parameters: the schema contains itself"):
        encoded(foreign(tools=(ir.Function("f", schema=schema, path="tools[0]"),)), model="gemini-1.5-pro")


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (ir.ToolChoice(M.AUTO), {"mode": "AUTO"}),
        (ir.ToolChoice(M.NONE), {"mode": "NONE"}),
        (ir.ToolChoice(M.REQUIRED), {"mode": "ANY"}),
        (ir.ToolChoice(M.TOOL, ("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ir.ToolChoice(M.ALLOWED, ("f", "g"), required=True), {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}),
    ],
)
def test_a11_choices(choice: ir.ToolChoice, calling: object) -> None:
    body, losses = encoded(foreign(tools=(F, G), tool_choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": calling}
    assert losses == []


def test_a_subset_that_need_not_be_used_is_a_shorter_list() -> None:
    body, losses = encoded(foreign(tools=(F, G), tool_choice=ir.ToolChoice(M.ALLOWED, ("g",))))
    assert body["tools"] == [{"functionDeclarations": [{"name": "g"}]}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}
    assert paths(losses) == [("degraded", "tool_choice")]


def test_a10_without_tools_there_is_no_choice() -> None:
    body, _ = encoded(foreign(tool_choice=ir.ToolChoice(M.AUTO)))
    assert "toolConfig" not in body


def test_a9_hosted_tools_of_other_dialects_are_reported_and_own_ones_sent() -> None:
    search = ir.HostedTool("anthropic", "bash_20250124", b"{}", path="tools[1]")
    body, losses = encoded(foreign(tools=(F, search)))
    assert paths(losses) == [("dropped", "tools[1]")]
    assert len(body["tools"]) == 1
    own = decoded({**contents({"text": "x"}), "tools": [{"googleSearch": {}}]})
    assert encoded(own)[0]["tools"] == [{"googleSearch": {}}]


@pytest.mark.parametrize("name", ["9lives", "a" * 65, "with space", "ünï"])
def test_a13_names_the_api_would_refuse_are_fitted(name: str) -> None:
    call = assistant(ir.ToolCall("call_1", name, "{}"))
    body, _ = encoded(foreign(user("x"), call, user(ir.ToolResult("call_1")), tools=(ir.Function(name),)))
    fitted = body["tools"][0]["functionDeclarations"][0]["name"]
    assert len(fitted) <= 64
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]*", fitted)
    assert body["contents"][1]["parts"][0]["functionCall"]["name"] == fitted
    assert body["contents"][2]["parts"][0]["functionResponse"]["name"] == fitted


def test_strict_and_breakpoints_on_tools_are_reported() -> None:
    tool = ir.Function("f", strict=True, cache=ir.CacheMark(), path="tools[0]")
    _, losses = encoded(foreign(tools=(tool,)))
    assert paths(losses) == [("dropped", "tools[0].strict"), ("dropped", "tools[0].cache_control")]


def test_other_dialects_fields_are_reported_and_own_ones_written_back() -> None:
    _, losses = encoded(foreign(ext=ir.Ext("openai", {"prediction": b'{"x":1}'})))
    assert paths(losses) == [("dropped", "prediction")]
    body = {**contents({"text": "x"}), "safetySettings": [{"category": "A"}], "labels": {"a": "b"}, "store": True}
    assert encoded(decoded(body)) == (body, [])


def test_counting_asks_with_the_whole_request_where_it_matters() -> None:
    found = DIALECT.encode_count_request(foreign(), model="gemini-x")
    assert found is not None
    upstream, _ = found
    assert upstream.path == "/v1beta/models/gemini-x:countTokens"
    assert json.loads(upstream.body) == contents({"text": "hi"})
    upstream, _ = DIALECT.encode_count_request(foreign(system=(ir.Text("be"),)), model="gemini-x") or (upstream, [])
    assert json.loads(upstream.body)["generateContentRequest"]["model"] == "models/gemini-x"


def test_a_client_that_gets_another_model_keeps_its_own_words() -> None:
    body = {
        **contents({"text": "x"}),
        "generationConfig": {"temperature": 1, "thinkingConfig": {"thinkingBudget": 512}},
    }
    request = decoded(body, "/v1beta/models/mine:generateContent")
    upstream, _ = DIALECT.encode_request(request, model=NEW)
    assert upstream.path == f"/v1beta/models/{NEW}:generateContent"
    assert json.loads(upstream.body)["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "MINIMAL"}
