"""translation.md: requests of Chat clients (C1 to C16), and what concerns requests to Chat providers (B17 to B19)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from support.rich_requests import PDF, PNG
from support.sent import Sent

OTHERS = ("openai_responses", "anthropic")
USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def ask(backend: str, *messages: Any, model: str | None = None, **fields: Any) -> Sent:
    return Sent("openai", backend, {"model": "mine", "messages": list(messages) or [USER], **fields}, model)


def said(sent: Sent) -> list[dict[str, Any]]:
    body = sent.body
    found: list[dict[str, Any]] = body["messages"] if "messages" in body else body["input"]
    return found


def call(id_: str = "call_1", arguments: str = "{}", name: str = "f") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def calls(*found: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(found), **fields}


def tool(content: Any = "x", id_: str = "call_1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


# --- messages ---


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool"])
@pytest.mark.parametrize("content", ["told", [{"type": "text", "text": "told"}], None, "missing"])
def test_c1_every_form_of_content_of_every_role(backend: str, role: str, content: Any) -> None:
    message: dict[str, Any] = {"role": role}
    if content != "missing":
        message["content"] = content
    history = [USER, message, USER]
    if role == "tool":
        history = [USER, calls(call()), {**message, "tool_call_id": "call_1"}]
    sent = ask(backend, *history)
    assert sent.refused == ""
    if content not in (None, "missing"):
        assert "told" in json.dumps(sent.body)


def test_c2_leading_instructions_go_up_in_order_with_their_marks() -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    leading = [
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two", **mark}]},
    ]
    sent = ask("anthropic", *leading, USER)
    assert sent.body["system"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two", **mark}]
    assert sent.losses == []
    responses = ask("openai_responses", *leading, USER)
    assert responses.body["instructions"] == "one"
    assert [item["role"] for item in responses.body["input"]] == ["developer", "user"]


@pytest.mark.parametrize("backend", OTHERS)
def test_a6_instructions_alone_still_make_one_turn(backend: str) -> None:
    sent = ask(backend, {"role": "system", "content": "be brief"})
    assert [item["role"] for item in said(sent)] == ["user"]
    assert sent.lost("degraded messages")


@pytest.mark.parametrize("backend", OTHERS)
def test_c3_tool_messages_with_images_and_files(backend: str) -> None:
    file = {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}}
    sent = ask(backend, USER, calls(call("a"), call("b")), tool([IMAGE, file], "a"), tool("2", "b"))
    assert PNG in json.dumps(sent.body)
    assert PDF in json.dumps(sent.body)
    if backend == "anthropic":
        results = said(sent)[-1]["content"]
        assert [block["type"] for block in results] == ["tool_result"] * 2
        assert [block["type"] for block in results[0]["content"]] == ["image", "document"]
    else:
        assert [item["type"] for item in said(sent)[-2:]] == ["function_call_output"] * 2
        assert [part["type"] for part in said(sent)[-2]["output"]] == ["input_image", "input_file"]
    assert sent.losses in ([], ["degraded tools"])


@pytest.mark.parametrize("backend", OTHERS)
def test_c4_text_comes_before_calls(backend: str) -> None:
    sent = ask(backend, USER, calls(call(), content="I call"), tool())
    if backend == "anthropic":
        assert [block["type"] for block in said(sent)[1]["content"]] == ["text", "tool_use"]
    else:
        assert [item["type"] for item in said(sent)[1:3]] == ["message", "function_call"]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    "arguments", ['{"a', "not json", '{"n": 12345678901234567890, "f": 1.0, "g": 0.70}', "[1]", ""]
)
def test_c4_g7_arguments_arrive_as_they_were_written(backend: str, arguments: str) -> None:
    sent = ask(backend, USER, calls(call(arguments=arguments)), tool())
    if backend == "openai_responses":
        assert said(sent)[1]["arguments"] == (arguments or "{}")
        return
    wired = json.dumps(said(sent)[1]["content"][0]["input"])
    if arguments in ("", '{"n": 12345678901234567890, "f": 1.0, "g": 0.70}'):
        assert f'"input":{arguments or "{}"}'.encode() in sent.raw
    else:
        assert json.loads(wired) == {"_raw": arguments}
        assert sent.lost("messages[1].tool_calls[0].function.arguments")


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "FOREIGN"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "FOREIGN"}]},
    ],
)
def test_c5_thoughts_of_others_are_reported_and_not_sent(backend: str, thought: dict[str, Any]) -> None:
    sent = ask(backend, USER, {"role": "assistant", "content": "a", **thought}, USER)
    assert b"FOREIGN" not in sent.raw
    assert b'"hm"' not in sent.raw
    assert sent.lost("messages[1]")
    assert not any(".." in loss for loss in sent.losses)


@pytest.mark.parametrize("backend", OTHERS)
def test_c5_signatures_on_calls_are_reported(backend: str) -> None:
    signed = {**call(), "extra_content": {"google": {"thought_signature": "FOREIGN"}}}
    sent = ask(backend, USER, calls(signed), tool())
    assert b"FOREIGN" not in sent.raw
    assert sent.lost("messages[1].tool_calls[0]")


# --- contract and knobs ---


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n": 2}, "n"),
        ({"audio": {"format": "wav", "voice": "alloy"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"response_format": {"type": "grammar", "grammar": "x"}}, "response_format"),
        ({"guided_json": {"type": "object"}}, "guided_json"),
        ({"guided_regex": "a+"}, "guided_regex"),
        ({"grammar": "root ::= x"}, "grammar"),
    ],
)
def test_g5_c6_what_changes_the_answer_is_refused_by_name(backend: str, fields: dict[str, Any], named: str) -> None:
    sent = ask(backend, **fields)
    assert sent.refused == named
    error = sent.refusal["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", named)
    assert error["message"].startswith(f"{named}: ")
    assert sent.losses == [f"refused {named}"]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1},
        {"modalities": ["text"]},
        {"modalities": None, "audio": None, "prediction": None, "logit_bias": None, "functions": None},
        {"logprobs": False},
        {"logprobs": False, "top_logprobs": 0},
        {"stop": None},
        {"stop": []},
        {"tools": []},
        {"response_format": {"type": "text"}},
        {"store": False},
        {"presence_penalty": 0, "frequency_penalty": 0.0},
        {"stream_options": None},
    ],
)
def test_g5_what_asks_for_nothing_passes_without_a_word(backend: str, fields: dict[str, Any]) -> None:
    sent = ask(backend, **fields)
    assert (sent.refused, sent.losses) == ("", [])


def test_g5_c10_the_rest_of_the_contract() -> None:
    assert ask("anthropic", logprobs=True).refused == "logprobs"
    assert ask("anthropic", logprobs=True, top_logprobs=3).refused == "logprobs"
    assert ask("openai_responses", logprobs=True).body["include"] == ["message.output_text.logprobs"]
    assert ask("openai_responses", stop="END").refused == "stop"
    assert ask("anthropic", response_format={"type": "json_object"}).refused == "response_format"
    form = ask("openai_responses", response_format={"type": "json_object"}).body["text"]["format"]
    assert form == {"type": "json_object"}


@pytest.mark.parametrize("backend", OTHERS)
def test_c7_limits(backend: str) -> None:
    key = "max_tokens" if backend == "anthropic" else "max_output_tokens"
    assert ask(backend, max_tokens=100).body[key] == 100
    both = ask(backend, max_tokens=100, max_completion_tokens=200)
    assert both.body[key] == 200
    assert both.lost("max_tokens")
    for name in ("max_tokens", "max_completion_tokens"):
        for bad in (0, -5, "many", 1.5):
            fields: dict[str, Any] = {name: bad}
            assert ask(backend, **fields).refused == name
    if backend == "anthropic":
        assert ask(backend, model="claude-3-haiku").body[key] < ask(backend).body[key], "a default for each model"


def test_c8_stops_become_a_list() -> None:
    assert ask("anthropic", stop="END").body["stop_sequences"] == ["END"]
    assert ask("anthropic", stop=["a", "b"]).body["stop_sequences"] == ["a", "b"]


def test_c9_a_model_that_takes_one_of_the_two_gets_one() -> None:
    sent = ask("anthropic", temperature=0.5, top_p=0.8, model="claude-opus-4-5")
    assert sent.body["temperature"] == 0.5
    assert "top_p" not in sent.body
    assert sent.losses == ["dropped top_p"]
    none = ask("anthropic", temperature=0.5, top_p=0.8, model="claude-opus-4-8")
    assert none.losses == ["dropped temperature", "dropped top_p"]
    assert ask("anthropic", temperature=1.5, model="claude-opus-4-5").lost("degraded temperature")


def test_a36_c10_schemas_keep_their_strictness() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "x", "description": "d", "schema": schema, "strict": True}}
    found = ask("openai_responses", response_format=form)
    assert found.body["text"]["format"] == {"type": "json_schema", **form["json_schema"]}  # type: ignore[dict-item]  # mixed
    assert found.losses == []
    sent = ask("anthropic", response_format=form)
    assert sent.body["output_config"]["format"] == {"type": "json_schema", "schema": schema}
    assert sent.losses == [
        "dropped response_format.json_schema.name",
        "dropped response_format.json_schema.description",
    ]


@pytest.mark.parametrize("backend", OTHERS)
def test_c11_legacy_functions_and_choices(backend: str) -> None:
    sent = ask(
        backend,
        functions=[{"name": "f", "parameters": {"type": "object", "properties": {}}}],
        function_call={"name": "f"},
    )
    assert [t["name"] for t in sent.body["tools"]] == ["f"]
    assert sent.body["tool_choice"]["name"] == "f"
    history = ask(
        backend,
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "x"},
    )
    ids = re.findall(r'"(?:call_id|id|tool_use_id)":"((?:call|toolu)_\w+)"', history.raw.decode())
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_c11_a11_allowed_tools_and_parallel_calls() -> None:
    tools = [TOOL, {"type": "function", "function": {"name": "g"}}, {"type": "custom", "custom": {"name": "c"}}]
    allowed = {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": "g"}}, {"type": "custom", "custom": {"name": "c"}}],
        },
    }
    sent = ask("anthropic", tools=tools, tool_choice=allowed, parallel_tool_calls=False)
    assert [t["name"] for t in sent.body["tools"]] == ["g", "c"]
    assert sent.body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert sent.lost("degraded tool_choice")
    other = ask("openai_responses", tools=tools, tool_choice=allowed, parallel_tool_calls=False)
    assert other.body["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "g"}, {"type": "custom", "name": "c"}],
    }
    assert other.body["parallel_tool_calls"] is False


def test_a12_one_call_at_a_time_needs_a_choice_here() -> None:
    sent = ask("anthropic", tools=[TOOL], parallel_tool_calls=False)
    assert sent.body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert "tool_choice" not in ask("anthropic", parallel_tool_calls=False).body


def test_c12_pictures_sounds_files() -> None:
    detailed = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}}
    one = {"role": "user", "content": [detailed, IMAGE]}
    image = ask("anthropic", one)
    assert [block["source"]["type"] for block in said(image)[0]["content"]] == ["url", "base64"]
    assert image.lost("detail")
    assert said(ask("openai_responses", one))[0]["content"][0]["detail"] == "high"
    sound = {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}
    assert ask("anthropic", sound).refused == "messages[0].content[0]"
    assert said(ask("openai_responses", sound))[0]["content"][0]["type"] == "input_audio"
    file = {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}
    assert ask("anthropic", file).refused == "messages[0].content[0]"
    assert said(ask("openai_responses", file))[0]["content"][0]["file_id"] == "file-1"


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("type_", ["video_url", "document_url", "input_video"])
def test_c12_media_nobody_else_takes_are_refused(backend: str, type_: str) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": type_, type_: {"url": "u"}}]}
    assert ask(backend, message).refused == "messages[0].content[1]"


CARRIED = "carried"
DROPPED = "dropped"
TABLE: list[tuple[str, Any, dict[str, str]]] = [
    ("logit_bias", {"1": 5}, {"openai_responses": DROPPED, "anthropic": DROPPED}),
    ("seed", 7, {"openai_responses": DROPPED, "anthropic": DROPPED}),
    ("presence_penalty", 0.5, {"openai_responses": DROPPED, "anthropic": DROPPED}),
    ("frequency_penalty", 0.5, {"openai_responses": DROPPED, "anthropic": DROPPED}),
    ("top_k", 5, {"openai_responses": DROPPED, "anthropic": CARRIED}),
    ("prediction", {"type": "content", "content": "x"}, {"openai_responses": DROPPED, "anthropic": DROPPED}),
    ("web_search_options", {"search_context_size": "low"}, {"openai_responses": DROPPED, "anthropic": DROPPED}),
    ("verbosity", "low", {"openai_responses": CARRIED, "anthropic": DROPPED}),
    ("reasoning_effort", "low", {"openai_responses": CARRIED, "anthropic": CARRIED}),
    ("store", True, {"openai_responses": CARRIED, "anthropic": DROPPED}),
    ("metadata", {"a": "b"}, {"openai_responses": CARRIED, "anthropic": DROPPED}),
    ("prompt_cache_key", "k", {"openai_responses": CARRIED, "anthropic": DROPPED}),
    ("prompt_cache_retention", "24h", {"openai_responses": CARRIED, "anthropic": DROPPED}),
    ("safety_identifier", "s", {"openai_responses": CARRIED, "anthropic": CARRIED}),
    ("user", "u", {"openai_responses": CARRIED, "anthropic": CARRIED}),
    ("service_tier", "default", {"openai_responses": CARRIED, "anthropic": CARRIED}),
    ("service_tier", "flex", {"openai_responses": CARRIED, "anthropic": DROPPED}),
    ("moderation", {"model": "m"}, {"openai_responses": CARRIED, "anthropic": DROPPED}),
    ("zz_martian", 1, {"openai_responses": DROPPED, "anthropic": DROPPED}),
]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(("name", "value", "fate"), TABLE)
def test_c13_c16_every_field_is_carried_or_reported(backend: str, name: str, value: Any, fate: dict[str, str]) -> None:
    plain = ask(backend)
    sent = ask(backend, **{name: value})
    if fate[backend] is DROPPED:
        assert sent.losses == [f"dropped {name}"]
        assert sent.body == plain.body
    else:
        assert sent.losses == []
        assert sent.body != plain.body


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer"])
def test_c14_names_are_reported(backend: str, role: str) -> None:
    sent = ask(backend, {"role": role, "content": "x", "name": "ann"}, USER)
    assert sent.lost("dropped messages[0].name")


def test_c15_a_final_assistant_message() -> None:
    prefill = {"role": "assistant", "content": "Once upon"}
    going_on = ask("anthropic", USER, prefill, model="claude-opus-4-5")
    assert said(going_on)[-1] == prefill
    assert going_on.losses == []
    forbidden = ask("anthropic", USER, prefill, model="claude-opus-4-8")
    assert said(forbidden)[-1]["role"] == "user"
    assert forbidden.lost("degraded messages[1]")
    assert ask("openai_responses", USER, prefill).lost("degraded messages[1]")


@pytest.mark.parametrize("backend", OTHERS)
def test_a19_a_missing_and_an_orphaned_result(backend: str) -> None:
    missing = ask(backend, USER, calls(call("a"), call("b")), tool("1", "a"), USER)
    assert "[no result]" in json.dumps(missing.body)
    assert missing.lost("messages[1].tool_calls[1]")
    orphan = ask(backend, USER, tool("found it", "zz"), USER)
    assert "found it" in json.dumps(orphan.body)
    assert not re.search(r'"(tool_use_id|call_id)"', orphan.raw.decode())
    assert orphan.lost("messages[1]")


def test_a14_ids_of_other_servers_fit_and_are_never_given_twice() -> None:
    """Kimi numbers the calls of every answer from 0."""
    turn = [calls(call("functions.f:0")), tool("x", "functions.f:0")]
    sent = ask("anthropic", USER, *turn, USER, *turn)
    used = re.findall(r'"type":"tool_use","id":"([^"]+)"', sent.raw.decode())
    answered = re.findall(r'"tool_use_id":"([^"]+)"', sent.raw.decode())
    assert used == answered
    assert len(set(used)) == 2
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", id_) for id_ in used)


@pytest.mark.parametrize(
    "body", [b'{"model":"m","messages":[]}', b'{"model":"m","messages":[{"role":"system","content":""}]}']
)
@pytest.mark.parametrize("backend", OTHERS)
def test_a6_an_empty_conversation_is_never_sent_empty(backend: str, body: bytes) -> None:
    sent = Sent("openai", backend, body)
    assert sent.refused or said(sent)


def test_a35_thinking_in_the_words_of_other_chat_servers() -> None:
    for fields in ({"reasoning": {"max_tokens": 2000}}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}):
        found = ask("anthropic", max_tokens=9000, **fields).body["thinking"]
        assert found == {"type": "enabled", "budget_tokens": 2000}
    assert ask("anthropic", thinking={"type": "disabled"}).body["thinking"] == {"type": "disabled"}
    assert ask("anthropic", reasoning_effort="none").body["thinking"] == {"type": "disabled"}
    newest = ask("anthropic", reasoning_effort="minimal", model="claude-opus-4-8").body
    assert (newest["thinking"]["type"], newest["output_config"]["effort"]) == ("adaptive", "low")


def test_b17_b18_the_models_name_decides_about_a_providers_words() -> None:
    body = {
        "model": "m",
        "max_tokens": 100,
        "system": "s",
        "messages": [USER],
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
    }
    openai = Sent("anthropic", "openai", body, "gpt-5.4").body
    assert (openai["max_completion_tokens"], openai["messages"][0]["role"]) == (100, "developer")
    other = Sent("anthropic", "openai", body, "llama-4")
    assert (other.body["max_tokens"], other.body["messages"][0]["role"]) == (100, "system")
    assert other.losses == ["dropped service_tier"]


def test_b19_a_user_may_speak_after_tools_and_instructions_are_one_message() -> None:
    body = {
        "model": "m",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "messages": [
            USER,
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "1"},
                    {"type": "text", "text": "well?"},
                ],
            },
        ],
    }
    roles = [m["role"] for m in Sent("anthropic", "openai", body, "llama-4").body["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "user"]
