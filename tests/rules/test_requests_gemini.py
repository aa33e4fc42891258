"""translation.md N1 to N5: requests of Gemini clients."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ferryllm_proto import Translator
from support.rich_requests import GEMINI, PDF, PNG, accepted
from support.sent import NAMES, Sent, door

BACKENDS = [name for name in NAMES if name != "gemini"]
USER = {"role": "user", "parts": [{"text": "hi"}]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TOOLS = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]
OPAQUE = ("args", "response", "parametersJsonSchema", "parameters", "responseJsonSchema", "labels")


def ask(backend: str, *contents: Any, model: str | None = None, **fields: Any) -> Sent:
    return Sent("gemini", backend, {"model": "mine", "contents": list(contents) or [USER], **fields}, model)


def config(backend: str, model: str | None = None, **fields: Any) -> Sent:
    return ask(backend, model=model, generationConfig=fields)


def model_says(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def call(name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {}, **fields}}


def answer(name: str = "f", text: str = "x", **fields: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {"output": text}, **fields}}


def snake(value: Any) -> Any:
    """``value`` with its keys as Python's client and protojson write them too."""
    if isinstance(value, list):
        return [snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        re.sub(r"(?<!^)([A-Z])", lambda m: f"_{m[1].lower()}", key): inner if key in OPAQUE else snake(inner)
        for key, inner in value.items()
    }


# --- N1 ---


@pytest.mark.parametrize("backend", BACKENDS)
def test_n1_snake_case_says_the_same_as_camel_case(backend: str) -> None:
    body = accepted("gemini", backend)
    # What only Google runs is shown to others as the client wrote it.
    ran = ("executableCode", "codeExecutionResult")
    body["contents"][1]["parts"] = [part for part in body["contents"][1]["parts"] if not part.keys() & set(ran)]
    one, two = Sent("gemini", backend, body), Sent("gemini", backend, snake(body))
    assert one.refused == ""
    assert two.raw == one.raw
    assert [loss.replace("_", "").lower() for loss in two.losses] == [
        loss.replace("_", "").lower() for loss in one.losses
    ]


@pytest.mark.parametrize("key", ["systemInstruction", "system_instruction"])
@pytest.mark.parametrize("value", ["be brief", {"parts": [{"text": "be brief"}]}, {"parts": {"text": "be brief"}}])
def test_n1_a1_instructions_lead(key: str, value: Any) -> None:
    assert ask("openai", **{key: value}).body["messages"][0]["content"] == "be brief"
    assert ask("anthropic", **{key: value}).body["system"] in ("be brief", [{"type": "text", "text": "be brief"}])
    assert ask("openai_responses", **{key: value}).body["instructions"] == "be brief"
    assert ask("ollama", **{key: value}).body["messages"][0] == {"role": "system", "content": "be brief"}


# --- N2 ---


@pytest.mark.parametrize("role", ["user", "function", "tool", None])
@pytest.mark.parametrize("backend", BACKENDS)
def test_n2_results_are_read_under_every_role(backend: str, role: str | None) -> None:
    results: dict[str, Any] = {"parts": [answer()]}
    if role is not None:
        results["role"] = role
    sent = ask(backend, USER, model_says(call()), results, tools=TOOLS)
    assert sent.refused == ""
    assert sent.losses == []
    assert sent.raw.count(b'"x"') == 1


def test_n2_an_unknown_role_is_refused_by_name() -> None:
    assert ask("openai", {"role": "martian", "parts": []}).refused == "contents[0].role"


def pairs(sent: Sent) -> list[tuple[str, str]]:
    """Names of tools and what they said, in a Messages conversation."""
    blocks = [block for m in sent.body["messages"] for block in m["content"] if isinstance(block, dict)]
    names = {block["id"]: block["name"] for block in blocks if block["type"] == "tool_use"}
    found = [block for block in blocks if block["type"] == "tool_result"]
    assert len(names) == sum(block["type"] == "tool_use" for block in blocks)
    assert [block["tool_use_id"] for block in found] == list(names)  # every call is answered, in order
    return [(names[block["tool_use_id"]], str(block["content"])) for block in found]


def test_n2_results_find_their_calls_by_id_else_by_name_and_order() -> None:
    sent = ask(
        "anthropic",
        USER,
        model_says(call("f"), call("g"), call("f")),
        {"role": "user", "parts": [answer("g", "G"), answer("f", "F1"), answer("f", "F2")]},
        model_says(call("f", id="b"), call("f", id="a")),
        {"role": "user", "parts": [answer("f", "A", id="a"), answer("f", "B", id="b")]},
        tools=TOOLS,
    )
    assert pairs(sent) == [("f", "F1"), ("g", "G"), ("f", "F2"), ("f", "B"), ("f", "A")]
    assert sent.losses == []


def test_n2_made_ids_are_the_same_in_every_turn() -> None:
    begun: list[Any] = [USER, model_says(call()), {"role": "user", "parts": [answer()]}]
    short = ask("openai", *begun).body["messages"]
    longer = ask("openai", *begun, model_says({"text": "so"}), USER).body["messages"]
    assert longer[: len(short)] == short


def test_n2_the_chunks_of_a_streamed_answer_are_one_message() -> None:
    """The SDK's chats keep every chunk as a content of its own."""
    chunks = [model_says({"text": piece}) for piece in ("I ", "call ", "it.")] + [model_says(call())]
    sent = ask("openai", USER, *chunks, {"role": "user", "parts": [answer()]})
    assert [m["role"] for m in sent.body["messages"]] == ["user", "assistant", "tool"]
    assert sent.body["messages"][1]["content"] == "I call it."
    assert sent.losses == []


def test_a19_a_missing_result_is_replaced() -> None:
    sent = ask("openai", USER, model_says(call(), call("g")), {"role": "user", "parts": [answer("g")]}, USER)
    assert [m["role"] for m in sent.body["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    assert sent.body["messages"][3]["content"] == "x"


# --- parts ---


@pytest.mark.parametrize("response", [{"output": "x"}, {"result": "x"}, {"content": "x"}])
def test_a21_the_text_of_a_result_is_told_without_its_wrapping(response: Any) -> None:
    results = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]}
    assert ask("openai", USER, model_says(call()), results).body["messages"][2]["content"] == "x"


def test_a21_any_other_result_is_told_as_the_json_it_is() -> None:
    results = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1, "b": [2.50]}}}]}
    body = json.dumps({"contents": [USER, model_says(call()), results]}).replace("2.5", "2.50").encode()
    content = Sent("gemini", "openai", body).body["messages"][2]["content"]
    assert content == '{"a": 1, "b": [2.50]}'


def test_a20_an_error_is_an_error() -> None:
    results = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"error": "no"}}}]}
    sent = ask("anthropic", USER, model_says(call()), results, tools=TOOLS)
    block = sent.body["messages"][2]["content"][0]
    assert (block["is_error"], block["content"]) == (True, "no")
    assert sent.losses == []


def test_a23_a24_c12_media_by_their_type() -> None:
    kinds = (("image/png", PNG), ("application/pdf", PDF))
    parts = [{"inlineData": {"mimeType": type_, "data": data}} for type_, data in kinds]
    content = ask("anthropic", {"role": "user", "parts": parts}).body["messages"][0]["content"]
    assert [block["type"] for block in content] == ["image", "document"]
    content = ask("openai", {"role": "user", "parts": parts}).body["messages"][0]["content"]
    assert content[0]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    assert content[1]["file"]["file_data"] == f"data:application/pdf;base64,{PDF}"
    sound = {"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}]}
    assert ask("openai", sound).body["messages"][0]["content"][0]["input_audio"]["format"] == "wav"
    assert ask("anthropic", sound).refused == "contents[0].parts[0]"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a23_files_that_lie_with_google_are_refused(backend: str) -> None:
    uri = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    part = {"fileData": {"mimeType": "image/png", "fileUri": uri}}
    assert ask(backend, {"role": "user", "parts": [part]}).refused == "contents[0].parts[0]"


def test_a22_images_of_results_reach_the_model() -> None:
    result = answer(parts=[{"inlineData": {"mimeType": "image/png", "data": PNG}}])
    sent = ask("anthropic", USER, model_says(call()), {"role": "user", "parts": [result]})
    assert PNG in sent.raw.decode()
    assert sent.body["messages"][2]["content"][0]["content"][1]["type"] == "image"


# --- tools ---


@pytest.mark.parametrize("key", ["parametersJsonSchema", "parameters_json_schema"])
def test_b1_schemas_are_carried_as_they_are(key: str) -> None:
    tool = {"functionDeclarations": [{"name": "f", "description": "d", key: SCHEMA}]}
    assert ask("anthropic", tools=[tool]).body["tools"][0]["input_schema"] == SCHEMA
    assert ask("openai", tools=[tool]).body["tools"][0]["function"]["parameters"] == SCHEMA


def test_b1_schemas_of_the_own_kind_become_json_schema() -> None:
    own = {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING", "nullable": True}, "n": {"type": "INTEGER", "minimum": 1}},
        "required": ["a"],
        "propertyOrdering": ["a", "n"],
    }
    found = ask("anthropic", tools=[{"functionDeclarations": [{"name": "f", "parameters": own}]}])
    schema = found.body["tools"][0]["input_schema"]
    assert schema["type"] == "object"
    assert schema["properties"]["n"] == {"type": "integer", "minimum": 1}
    assert "null" in json.dumps(schema["properties"]["a"])
    assert schema["required"] == ["a"]


@pytest.mark.parametrize(
    ("mode", "names", "chat", "anthropic"),
    [
        ("AUTO", None, "auto", {"type": "auto"}),
        ("ANY", None, "required", {"type": "any"}),
        ("NONE", None, "none", {"type": "none"}),
        ("any", None, "required", {"type": "any"}),
        ("ANY", ["f"], {"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
    ],
)
def test_a11_choices(mode: str, names: Any, chat: Any, anthropic: Any) -> None:
    calling = {"mode": mode, **({} if names is None else {"allowedFunctionNames": names})}
    fields: dict[str, Any] = {
        "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}],
        "toolConfig": {"functionCallingConfig": calling},
    }
    assert ask("openai", **fields).body["tool_choice"] == chat
    assert ask("anthropic", **fields).body["tool_choice"] == anthropic


def test_a9_a_search_is_a_search_and_other_hosted_tools_are_reported() -> None:
    tools = ask("anthropic", tools=[{"googleSearch": {}}]).body["tools"]
    assert tools[0]["type"].startswith("web_search")
    for backend in BACKENDS:
        sent = ask(backend, tools=[{"codeExecution": {}}])
        assert sent.lost("dropped tools[0].codeExecution")
        assert "tools" not in sent.body


def test_a13_names_outside_of_the_charset_get_another_one_everywhere() -> None:
    tools = [{"functionDeclarations": [{"name": "mcp.server:tool"}]}]
    results = {"role": "user", "parts": [answer("mcp.server:tool")]}
    sent = ask("openai", USER, model_says(call("mcp.server:tool")), results, tools=tools)
    name = sent.body["tools"][0]["function"]["name"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)
    assert sent.body["messages"][1]["tool_calls"][0]["function"]["name"] == name


# --- N3 ---


def test_n3_settings_have_their_names_everywhere() -> None:
    fields: dict[str, Any] = {"temperature": 0.5, "topP": 0.9, "maxOutputTokens": 77, "stopSequences": ["x"], "seed": 7}
    chat = config("openai", "gpt-4.1", **fields).body
    assert (chat["temperature"], chat["top_p"], chat["stop"], chat["seed"]) == (0.5, 0.9, ["x"], 7)
    assert chat["max_tokens"] == 77
    ollama = config("ollama", **fields).body["options"]
    assert ollama == {"temperature": 0.5, "top_p": 0.9, "seed": 7, "num_predict": 77, "stop": ["x"]}
    sent = config("anthropic", "claude-3-5-haiku-latest", **fields, topK=4)
    assert (sent.body["max_tokens"], sent.body["stop_sequences"], sent.body["top_k"]) == (77, ["x"], 4)
    assert sent.lost("dropped generationConfig.seed")
    assert config("openai_responses", stopSequences=["x"]).refused == "generationConfig.stopSequences"


@pytest.mark.parametrize("backend", BACKENDS)
def test_n3_c6_several_answers_are_refused(backend: str) -> None:
    assert config(backend, candidateCount=2).refused == "generationConfig.candidateCount"
    assert config(backend, candidateCount=1).refused == ""


@pytest.mark.parametrize(
    ("thinking", "effort", "anthropic"),
    [
        ({"thinkingLevel": "LOW"}, "low", "enabled"),
        ({"thinkingBudget": 8192, "includeThoughts": True}, "medium", "enabled"),
        ({"thinkingBudget": 0}, "none", None),
    ],
)
def test_n3_a35_thinking(thinking: Any, effort: str, anthropic: str | None) -> None:
    assert config("openai", thinkingConfig=thinking).body["reasoning_effort"] == effort
    found = config("anthropic", thinkingConfig=thinking, maxOutputTokens=30_000).body.get("thinking", {})
    assert found.get("type") in ((None, "disabled") if anthropic is None else (anthropic,))
    assert config("openai_responses", thinkingConfig=thinking).body["reasoning"]["effort"] == effort


@pytest.mark.parametrize("key", ["responseJsonSchema", "responseSchema"])
def test_n3_a36_structured_output(key: str) -> None:
    fields: dict[str, Any] = {"responseMimeType": "application/json", key: SCHEMA}
    chat = config("openai", **fields).body["response_format"]
    assert chat["type"] == "json_schema"
    assert chat["json_schema"]["schema"]["properties"] == SCHEMA["properties"]
    assert config("openai_responses", **fields).body["text"]["format"]["type"] == "json_schema"
    assert config("anthropic", **fields).body["output_config"]["format"]["schema"]["required"] == ["a"]
    assert config("ollama", **fields).body["format"]["required"] == ["a"]
    assert config("openai", responseMimeType="application/json").body["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize("backend", BACKENDS)
def test_n3_what_is_googles_alone_is_reported_and_stored_content_refused(backend: str) -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    sent = ask(backend, safetySettings=safety, labels={"team": "red"})
    assert sent.lost("dropped safetySettings")
    assert sent.lost("dropped labels")
    assert ask(backend, cachedContent="cachedContents/x").refused == "cachedContent"
    assert config(backend, responseModalities=["AUDIO"]).refused == "generationConfig.responseModalities"
    assert config(backend, responseModalities=["TEXT"]).refused == ""


# --- N4, N5 ---


@pytest.mark.parametrize("backend", NAMES)
@pytest.mark.parametrize(
    ("method", "stream"),
    [("generateContent", False), ("streamGenerateContent", True), ("streamGenerateContent?alt=sse", True)],
)
def test_n4_n5_the_path_says_model_and_stream_and_its_key_stays_here(backend: str, method: str, stream: bool) -> None:
    joint = "&" if "?" in method else "?"
    path = f"/v1beta/models/mine:{method}{joint}key=SECRET"
    translator = Translator(entry="gemini", backend=backend, model="other")
    upstream = translator.receive_request(
        json.dumps({"contents": [USER]}).encode(), (("x-goog-api-key", "SECRET"),), path
    )
    assert upstream is not None
    assert (translator.model, translator.stream, upstream.stream) == ("mine", stream, stream)
    assert "SECRET" not in f"{upstream.path}?{upstream.query} {upstream.headers} {upstream.body.decode()}"


def test_g1_an_unfinished_rich_request_passes_as_it_is() -> None:
    data, path = door("gemini", GEMINI)
    upstream = Translator(entry="gemini", backend="gemini", model="gemini-2.5-pro").receive_request(data, path=path)
    assert upstream is not None
    assert (upstream.body, upstream.path) == (data, "/v1beta/models/gemini-2.5-pro:streamGenerateContent")
