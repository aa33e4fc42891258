"""translation.md B1 to B3, and the rules of sections 1 to 3 about tools and parameters: what a Gemini provider gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.sent import Sent
from support.to_gemini import NEW, OLD, OLDEST, chat, declared, messages, parts, result, round_of, used

# --- tools ---

FUNCTION = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}


def test_a9_a_search_is_a_search_and_other_hosted_tools_are_reported() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    bash = {"type": "bash_20250124", "name": "bash"}
    sent = messages(tools=[search])
    assert sent.body["tools"] == [{"googleSearch": {}}]
    sent = messages(tools=[bash])
    assert "tools" not in sent.body
    assert sent.lost("dropped tools[0]")
    assert messages(tools=[bash], tool_choice={"type": "tool", "name": "bash"}).refused == "tool_choice"


def test_a10_without_tools_there_is_no_choice() -> None:
    assert "toolConfig" not in messages(tools=[], tool_choice={"type": "auto"}).body


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"mode": "AUTO"}),
        ({"type": "any"}, {"mode": "ANY"}),
        ({"type": "none"}, {"mode": "NONE"}),
        ({"type": "tool", "name": "f"}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_a11_choices(choice: Any, expected: Any) -> None:
    sent = messages(tools=[FUNCTION], tool_choice=choice)
    assert sent.body["toolConfig"] == {"functionCallingConfig": expected}
    assert sent.losses == []


def test_c11_a_choice_among_some() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    sent = chat(tools=tools, tool_choice=choice)
    assert sent.body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["g"]}
    allowed["mode"] = "auto"
    sent = chat(tools=tools, tool_choice=choice)
    assert [tool["name"] for tool in declared(sent)] == ["g"]
    assert sent.lost("degraded tool_choice")


def test_a12_one_call_at_a_time_can_not_be_asked_for() -> None:
    sent = messages(tools=[FUNCTION], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert sent.lost("dropped tool_choice.disable_parallel_tool_use")


def test_a13_names_outside_of_the_charset_get_another_one_everywhere() -> None:
    name = "1 mcp/tool" + "x" * 90
    sent = messages(
        *round_of(result(), calls=(used(name=name),)),
        tools=[{**FUNCTION, "name": name}],
        tool_choice={"type": "tool", "name": name},
    )
    short = declared(sent)[0]["name"]
    assert len(short) <= 64
    assert short[0].isalpha() or short[0] == "_"
    assert parts(sent, 1)[0]["functionCall"]["name"] == short
    assert parts(sent)[0]["functionResponse"]["name"] == short
    assert sent.body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [short]
    assert declared(messages(tools=[{**FUNCTION, "name": "a.b:c-d"}]))[0]["name"] == "a.b:c-d"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cache_control", {"type": "ephemeral"}),
        ("strict", True),
        ("defer_loading", True),
        ("input_examples", [{}]),
        ("eager_input_streaming", True),
    ],
)
def test_a15_what_a_declaration_has_no_place_for_is_reported(field: str, value: Any) -> None:
    sent = messages(tools=[{**FUNCTION, field: value}])
    assert sent.losses == [f"dropped tools[0].{field}"]
    assert list(declared(sent)[0]) == ["name", "description", "parametersJsonSchema"]


def test_a16_the_first_of_equal_tools_counts() -> None:
    sent = messages(tools=[FUNCTION, {**FUNCTION, "description": "other"}])
    assert [tool["description"] for tool in declared(sent)] == ["d"]
    assert sent.lost("dropped tools[1]")


def schema_of(sent: Sent) -> Any:
    tool = declared(sent)[0]
    return tool.get("parametersJsonSchema", tool.get("parameters"))


def test_b1_newer_models_get_the_schema_as_it_is() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/x"}, "title": {"type": "string", "title": "T"}},
        "$defs": {"x": {"type": "integer", "exclusiveMinimum": 0}},
        "additionalProperties": False,
    }
    sent = messages(tools=[{**FUNCTION, "input_schema": schema}], model=OLD)
    found = schema_of(sent)
    assert found["properties"]["title"]["type"] == "string"
    assert found["$defs"]["x"]["type"] == "integer"
    assert all(loss.startswith("dropped tools[0].input_schema.") for loss in sent.losses), sent.losses


def test_b1_older_models_get_what_they_read_and_every_other_word_is_reported() -> None:
    inner = {"type": "string", "const": "c", "title": "T", "default": "c"}
    schema = {
        "$schema": "x",
        "type": "object",
        "properties": {
            "properties": inner,
            "title": {"type": "string"},
            "propertyNames": {"type": "array", "items": {"$ref": "#/$defs/x"}},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "patternProperties": {"^x": {}},
        "$defs": {"x": {"type": "number", "exclusiveMinimum": 0}},
        "additionalProperties": False,
    }
    sent = messages(tools=[{**FUNCTION, "input_schema": schema}], model=OLDEST)
    found = schema_of(sent)
    assert list(found["properties"]) == ["properties", "title", "propertyNames", "maybe"]
    assert found["properties"]["properties"]["enum"] == ["c"]
    assert found["properties"]["propertyNames"]["items"]["type"].lower() == "number"
    assert "$ref" not in sent.raw.decode()
    assert found["properties"]["maybe"] != {"nullable": True}  # B2
    assert found["properties"]["maybe"].get("nullable") is True
    for word in ("patternProperties", "exclusiveMinimum"):
        assert sent.lost(word), sent.losses
        assert word not in json.dumps(found)


def test_b1_a_schema_in_itself_is_refused_where_it_can_not_be_said() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/n"}},
        "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}},
    }
    sent = messages(tools=[{**FUNCTION, "input_schema": schema}], model=OLDEST)
    assert sent.refused or "$ref" not in sent.raw.decode()
    assert messages(tools=[{**FUNCTION, "input_schema": schema}], model=NEW).refused == ""


def test_b2_anything_stays_anything() -> None:
    schema = {"type": "object", "properties": {"any": {}}}
    assert schema_of(messages(tools=[{**FUNCTION, "input_schema": schema}]))["properties"]["any"] == {}


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}, {"properties": {"a": {"type": "string"}}}])
@pytest.mark.parametrize("model", [NEW, OLDEST])
def test_b3_the_outermost_schema_is_of_an_object_or_not_there(parameters: Any, model: str) -> None:
    function = {"name": "f"} if parameters is None else {"name": "f", "parameters": parameters}
    found = schema_of(chat(tools=[{"type": "function", "function": function}], model=model))
    assert found is None or found["type"].lower() == "object"


# --- parameters ---


def config(sent: Sent) -> dict[str, Any]:
    found: dict[str, Any] = sent.body.get("generationConfig", {})
    return found


def test_a32_a33_a34_limits_and_sampling() -> None:
    sent = messages(stop_sequences=["x"], temperature=0.5, top_p=0.9, top_k=4, model=OLD)
    assert config(sent) == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 4,
        "maxOutputTokens": 4000,
        "stopSequences": ["x"],
    }
    assert messages(stop_sequences=list("abcdef")).refused == "stop_sequences"


def test_c7_the_newer_of_two_limits_counts() -> None:
    assert config(chat(max_tokens=5, max_completion_tokens=7))["maxOutputTokens"] == 7
    assert "maxOutputTokens" not in config(chat())


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (NEW, {"output_config": {"effort": "low"}}, {"thinkingLevel": "LOW"}),
        (OLD, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinkingBudget": 2000}),
        (OLD, {"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}),
        (OLD, {"thinking": {"type": "adaptive"}}, {"thinkingBudget": -1}),
        (OLDEST, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, None),
    ],
)
def test_a35_thinking(model: str, fields: dict[str, Any], expected: Any) -> None:
    sent = messages(model=model, **fields)
    found = config(sent).get("thinkingConfig", {})
    assert bool(found) is (expected is not None)
    if expected is None:
        assert sent.lost("dropped thinking")
    else:
        assert expected.items() <= found.items()


def test_a35_more_effort_is_never_less_thinking() -> None:
    budgets = [
        config(chat(reasoning_effort=effort, model=OLD))["thinkingConfig"]["thinkingBudget"]
        for effort in ("minimal", "low", "medium", "high", "xhigh")
    ]
    assert budgets == sorted(budgets)


def test_a36_structured_output() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    sent = messages(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert config(sent)["responseMimeType"] == "application/json"
    assert config(sent)["responseJsonSchema"] == schema
    old = chat(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}, model=OLDEST)
    assert config(old)["responseSchema"]["properties"]["a"]["type"].lower() == "string"
    assert old.lost("dropped response_format.json_schema.name")
    assert config(chat(response_format={"type": "json_object"})) == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metadata", {"user_id": "u"}),
        ("service_tier", "standard_only"),
        ("inference_geo", "eu"),
        ("container", "c"),
        ("mcp_servers", [{"type": "url", "name": "m", "url": "https://x"}]),
        ("context_management", {"edits": []}),
        ("speed", "fast"),
        ("fallbacks", ["x"]),
        ("cache_control", {"type": "ephemeral"}),
    ],
)
def test_a37_a38_a39_a41_what_it_has_not_is_reported(field: str, value: Any) -> None:
    sent = messages(**{field: value})
    assert sent.refused or sent.lost(field), sent.losses
    assert field not in sent.body if not sent.refused else True


def test_c6_several_answers_are_refused() -> None:
    assert chat(n=2).refused == "n"
    assert chat(n=1).refused == ""


def test_c13_sampling_knobs_it_knows_are_carried_and_others_reported() -> None:
    sent = chat(seed=7, presence_penalty=0.5, frequency_penalty=0.25, logit_bias={"1": 2}, user="u", model=OLD)
    assert config(sent) == {"seed": 7, "presencePenalty": 0.5, "frequencyPenalty": 0.25}
    assert sent.lost("dropped logit_bias")
    assert sent.lost("dropped user")
