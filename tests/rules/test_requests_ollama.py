"""translation.md N6: requests of Ollama clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import Translator
from support.rich_requests import PNG
from support.sent import NAMES, Sent, spoken

BACKENDS = [name for name in NAMES if name != "ollama"]
USER = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}


def ask(backend: str, *conversation: Any, model: str | None = None, **fields: Any) -> Sent:
    body = {"model": "mine", "messages": list(conversation) or [USER], **fields}
    return Sent("ollama", backend, body, model)


def call(name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}}


def called(*calls: Any, content: str = "") -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


# --- conversations ---


@pytest.mark.parametrize("backend", BACKENDS)
def test_n6_a_stream_is_the_default(backend: str) -> None:
    cases: list[tuple[dict[str, Any], bool]] = [({}, True), ({"stream": True}, True), ({"stream": False}, False)]
    for fields, stream in cases:
        sent = ask(backend, **fields)
        assert sent.upstream is not None
        assert (sent.translator.stream, sent.upstream.stream) == (stream, stream)


def test_a1_a2_leading_instructions_lead_and_later_ones_stay_in_place() -> None:
    conversation = [{"role": "system", "content": "be brief"}, USER, {"role": "system", "content": "faster"}, USER]
    chat = ask("openai", *conversation).body["messages"]
    assert [m["role"] for m in chat] == ["system", "user", "system", "user"] or [m["role"] for m in chat] == [
        "developer",
        "user",
        "developer",
        "user",
    ]
    anthropic = ask("anthropic", *conversation).body
    assert anthropic["system"] == "be brief"
    assert "faster" in json.dumps(anthropic["messages"])
    assert ask("gemini", *conversation).body["systemInstruction"] == {"parts": [{"text": "be brief"}]}


def test_n6_images_are_images_of_their_kind() -> None:
    message = {"role": "user", "content": "see", "images": [PNG, "/9j/4AAQ"]}
    blocks = ask("anthropic", message).body["messages"][0]["content"]
    assert [block["type"] for block in blocks] == ["image", "image", "text"]
    assert [block["source"]["media_type"] for block in blocks[:2]] == ["image/png", "image/jpeg"]
    parts = ask("gemini", message).body["contents"][0]["parts"]
    assert parts[0] == {"inlineData": {"mimeType": "image/png", "data": PNG}}
    chat = ask("openai", message).body["messages"][0]["content"]
    assert chat[0]["image_url"]["url"] == f"data:image/png;base64,{PNG}"


def results(sent: Sent) -> list[tuple[str, str]]:
    """Names of tools and what they said, in a Messages conversation."""
    blocks = [b for m in spoken(sent.body) for b in (m["content"] if isinstance(m["content"], list) else [])]
    names = {block["id"]: block["name"] for block in blocks if block["type"] == "tool_use"}
    found = [block for block in blocks if block["type"] == "tool_result"]
    assert [block["tool_use_id"] for block in found] == list(names)  # every call is answered, in order
    return [(names[block["tool_use_id"]], block["content"]) for block in found]


def test_n6_results_find_their_calls_by_name_else_by_order() -> None:
    named = [
        {"role": "tool", "tool_name": name, "content": text} for name, text in (("g", "G"), ("f", "F1"), ("f", "F2"))
    ]
    bare = [{"role": "tool", "content": text} for text in ("1", "2")]
    sent = ask(
        "anthropic",
        USER,
        called(call("f"), call("g"), call("f")),
        *named,
        called(call("f"), call("g")),
        *bare,
        tools=[TOOL, {"type": "function", "function": {"name": "g"}}],
    )
    assert results(sent) == [("f", "F1"), ("g", "G"), ("f", "F2"), ("f", "1"), ("g", "2")]
    assert sent.losses == []


def test_n6_made_ids_are_the_same_in_every_turn() -> None:
    begun = [USER, called(call()), {"role": "tool", "tool_name": "f", "content": "x"}]
    short = ask("openai", *begun).body["messages"]
    longer = ask("openai", *begun, {"role": "assistant", "content": "so"}, USER).body["messages"]
    assert longer[: len(short)] == short


@pytest.mark.parametrize("backend", BACKENDS)
def test_n6_arguments_are_carried_to_the_digit(backend: str) -> None:
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":"","tool_calls":'
        b'[{"function":{"name":"f","arguments":{"n":12345678901234567890,"f":0.70}}}]},'
        b'{"role":"tool","tool_name":"f","content":"x"}]}'
    )
    raw = Sent("ollama", backend, body).raw.replace(b"\\", b"")
    assert b'{"n":12345678901234567890,"f":0.70}' in raw


def test_a28_thoughts_are_dropped_where_they_need_a_proof() -> None:
    message = {"role": "assistant", "content": "a", "thinking": "hm"}
    for backend in ("anthropic", "gemini", "openai_responses"):
        sent = ask(backend, USER, message, USER)
        assert "hm" not in json.dumps(spoken(sent.body))
        assert sent.lost("dropped messages[1].thinking"), sent.losses


def test_a19_a_missing_result_is_replaced() -> None:
    sent = ask("openai", USER, called(call(), call("g")), {"role": "tool", "tool_name": "g", "content": "x"}, USER)
    assert [m["role"] for m in sent.body["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    assert sent.body["messages"][3]["content"] == "x"


# --- tools and parameters ---


def test_n6_tools() -> None:
    assert ask("anthropic", tools=[TOOL]).body["tools"] == [{"name": "f", "description": "d", "input_schema": SCHEMA}]
    assert ask("openai", tools=[TOOL]).body["tools"][0]["function"]["parameters"] == SCHEMA
    declared = ask("gemini", tools=[TOOL]).body["tools"][0]["functionDeclarations"][0]
    assert (declared["name"], declared["description"]) == ("f", "d")
    for backend in BACKENDS:
        assert "tools" not in ask(backend, tools=[]).body


OPTIONS = {"temperature": 0.5, "top_p": 0.9, "num_predict": 77, "stop": ["x"]}


def test_n6_options_have_their_names_everywhere() -> None:
    chat = ask("openai", model="gpt-4.1", options={**OPTIONS, "seed": 7}).body
    assert (chat["temperature"], chat["top_p"], chat["stop"], chat["seed"]) == (0.5, 0.9, ["x"], 7)
    assert chat["max_tokens"] == 77
    anthropic = ask("anthropic", model="claude-3-5-haiku-latest", options={**OPTIONS, "top_k": 4}).body
    assert (anthropic["max_tokens"], anthropic["stop_sequences"], anthropic["top_k"]) == (77, ["x"], 4)
    gemini = ask("gemini", options={**OPTIONS, "top_k": 4}).body["generationConfig"]
    assert gemini == {"temperature": 0.5, "topP": 0.9, "topK": 4, "maxOutputTokens": 77, "stopSequences": ["x"]}
    assert ask("openai_responses", options=OPTIONS).refused == "options.stop"


@pytest.mark.parametrize("tokens", [-1, -2, 0])
@pytest.mark.parametrize("backend", BACKENDS)
def test_n6_no_limit_is_no_limit(backend: str, tokens: int) -> None:
    sent, plain = ask(backend, options={"num_predict": tokens}), ask(backend)
    assert sent.refused == ""
    assert sent.body == plain.body


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("field", "value"),
    [("keep_alive", "5m"), ("options.num_ctx", 8192), ("options.mirostat", 1), ("options.repeat_penalty", 1.1)],
)
def test_n6_what_is_the_servers_own_is_reported(backend: str, field: str, value: Any) -> None:
    outer, _, inner = field.partition(".")
    fields: dict[str, Any] = {outer: {inner: value} if inner else value}
    sent = ask(backend, **fields)
    assert sent.losses == [f"dropped {field}"]


@pytest.mark.parametrize(
    ("think", "effort"), [("low", "low"), ("high", "high"), (False, "none"), (True, "medium"), (None, None)]
)
def test_n6_a35_thinking(think: Any, effort: str | None) -> None:
    chat = ask("openai", think=think).body.get("reasoning_effort")
    assert chat == effort or (think is True and chat in (None, "medium"))
    found = ask("anthropic", model="claude-opus-4-5", think=think).body.get("thinking", {}).get("type")
    assert found == {None: None, False: "disabled"}.get(think, "enabled") or (think is False and found is None)


def test_n6_a36_formats() -> None:
    assert ask("openai", format="json").body["response_format"] == {"type": "json_object"}
    assert ask("openai", format=SCHEMA).body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert ask("gemini", format=SCHEMA).body["generationConfig"]["responseMimeType"] == "application/json"
    assert ask("anthropic", format=SCHEMA).body["output_config"]["format"]["schema"] == SCHEMA
    assert "response_format" not in ask("openai", format="").body
    assert ask("openai", format="xml").refused == "format"


# --- /api/generate ---


def generated(backend: str, **fields: Any) -> tuple[Translator, dict[str, Any] | None]:
    translator = Translator(entry="ollama", backend=backend, model="other")
    body = json.dumps({"model": "mine", **fields}).encode()
    upstream = translator.receive_request(body, path="/api/generate")
    return translator, None if upstream is None else json.loads(upstream.body)


def test_n6_a_prompt_is_what_the_user_says() -> None:
    _, body = generated("openai", prompt="go", system="be brief", images=[PNG])
    assert body is not None
    assert [m["role"] for m in body["messages"]][1] == "user"
    assert json.dumps(body["messages"]).count('"go"') == 1
    assert PNG in json.dumps(body["messages"])
    _, body = generated("anthropic", prompt="go", system="be brief")
    assert body is not None
    assert body["system"] == "be brief"


@pytest.mark.parametrize(("field", "value"), [("suffix", "end"), ("template", "x"), ("raw", True), ("context", [1])])
def test_n6_g5_forms_of_a_prompt_that_nobody_else_has_are_refused(field: str, value: Any) -> None:
    translator, body = generated("openai", prompt="go", **{field: value})
    assert body is None
    assert translator.error is not None
    assert translator.error.param == field


def test_n6_loading_a_model_asks_no_provider() -> None:
    translator, body = generated("openai")
    assert body is None
    assert translator.error is None
    assert json.loads(translator.receive_eof())["done_reason"] == "load"
