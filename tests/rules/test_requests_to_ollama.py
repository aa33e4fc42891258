"""translation.md B24, and the rules of sections 1 to 3: what an Ollama provider gets."""

from __future__ import annotations

from typing import Any

import pytest

from support.rich_requests import PDF, PNG
from support.to_gemini import IMAGE, USER, called, result, round_of, used
from support.to_ollama import LLAMA, OSS, QWEN, chat, messages, responses, roles, said

# --- instructions and the shape of the conversation ---


def test_a1_instructions_are_one_message_in_their_order_and_empty_ones_none() -> None:
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b"}]
    sent = messages(system=texts)
    assert sent.body["messages"] == [{"role": "system", "content": "a\n\nb"}, USER]
    assert roles(messages(system="")) == ["user"]


def test_a2_instructions_inside_the_conversation_stay_there_as_the_users_marked_text() -> None:
    sent = messages(USER, {"role": "assistant", "content": "ok"}, {"role": "system", "content": "faster"}, USER)
    assert roles(sent)[:3] == ["user", "assistant", "user"]
    assert "<system-reminder>\nfaster\n</system-reminder>" in said(sent, 2)["content"]
    assert sent.lost("degraded messages[2]")


def test_a4_the_billing_line_that_changes_with_each_request_is_removed() -> None:
    first = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=abcde;"}
    sent = messages(system=[first, {"type": "text", "text": "be brief"}])
    assert said(sent, 0) == {"role": "system", "content": "be brief"}


def test_a6_instructions_alone_still_make_a_turn() -> None:
    sent = chat({"role": "system", "content": "be brief"})
    assert roles(sent) == ["system", "user"]
    assert said(sent)["content"]
    assert sent.lost("degraded messages")


def test_a7_empty_messages_are_left_out() -> None:
    sent = messages(USER, {"role": "assistant", "content": [{"type": "text", "text": ""}]}, USER)
    assert set(roles(sent)) == {"user"}


def test_c14_names_of_authors_are_reported() -> None:
    assert chat({**USER, "name": "ann"}).lost("dropped messages[0].name")


# --- calls and results ---


def test_a17_b24_results_follow_their_calls_in_order_and_name_their_tools() -> None:
    blocks = (result("b", "2"), result("a", "1"), {"type": "text", "text": "go on"})
    sent = messages(*round_of(*blocks, calls=({"type": "text", "text": "so"}, used("a", x=1), used("b", "g"))))
    assert roles(sent) == ["user", "assistant", "tool", "tool", "user"]
    assert said(sent, 1)["content"] == "so"
    assert [call["function"] for call in said(sent, 1)["tool_calls"]] == [
        {"name": "f", "arguments": {"x": 1}},
        {"name": "g", "arguments": {}},
    ]
    assert [(m["tool_name"], m["content"]) for m in sent.body["messages"][2:4]] == [("f", "1"), ("g", "2")]
    assert said(sent) == {"role": "user", "content": "go on"}
    assert sent.losses == []


def test_a14_ids_that_come_again_get_another_one_and_the_names_are_right() -> None:
    spoken: list[Any] = [USER]
    for name in ("f", "g"):
        spoken += [
            {"role": "assistant", "tool_calls": [called("x:0", name=name)]},
            {"role": "tool", "tool_call_id": "x:0", "content": name},
        ]
    sent = chat(*spoken)
    assert [m["tool_name"] for m in sent.body["messages"] if m["role"] == "tool"] == ["f", "g"]
    ids = [m["tool_calls"][0]["id"] for m in sent.body["messages"] if "tool_calls" in m]
    assert ids == [m["tool_call_id"] for m in sent.body["messages"] if m["role"] == "tool"]
    assert len(set(ids)) == 2


def test_a19_a_missing_result_is_replaced_and_one_without_a_call_is_text() -> None:
    sent = messages(*round_of(result("toolu_9", "lost")))
    assert roles(sent) == ["user", "assistant", "tool", "user"]
    assert "lost" in said(sent)["content"]
    assert sent.lost("degraded messages[2].content[0]")


def test_a20_an_error_is_said_in_the_text_and_reported() -> None:
    sent = messages(*round_of(result(content="no", is_error=True)))
    assert said(sent)["content"] == "[error] no"
    assert sent.losses == ["degraded messages[2].content[0].is_error"]


@pytest.mark.parametrize("content", ["", []])
def test_a21_an_empty_result_is_an_empty_text(content: Any) -> None:
    assert said(messages(*round_of(result(content=content))))["content"] == ""


def test_a22_images_of_results_are_in_the_message_of_the_result() -> None:
    sent = messages(*round_of(result(content=[{"type": "text", "text": "see"}, IMAGE])))
    assert (said(sent)["role"], said(sent)["content"], said(sent)["images"]) == ("tool", "see", [PNG])


@pytest.mark.parametrize("arguments", ["", " ", "{}"])
def test_c4_no_arguments_are_an_empty_object(arguments: str) -> None:
    sent = chat(
        USER,
        {"role": "assistant", "tool_calls": [called("a", arguments)]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    )
    assert said(sent, 1)["tool_calls"][0]["function"]["arguments"] == {}


def test_a31_c4_arguments_that_are_no_object_are_shown_and_reported() -> None:
    sent = chat(
        USER,
        {"role": "assistant", "tool_calls": [called("a", '{"cut')]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    )
    assert said(sent, 1)["tool_calls"][0]["function"]["arguments"] == {"_raw": '{"cut'}
    assert sent.lost("degraded messages[1].tool_calls[0].function.arguments")


def test_a26_signed_thoughts_stay_with_their_provider_and_words_alone_are_carried() -> None:
    signed = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    sent = messages(USER, {"role": "assistant", "content": [signed, {"type": "text", "text": "a"}]}, USER)
    assert "hm" not in str(said(sent, 1))
    assert sent.lost("dropped messages[1].content[0]")
    sent = chat(USER, {"role": "assistant", "content": "a", "reasoning_content": "hm"}, USER)
    assert said(sent, 1) == {"role": "assistant", "content": "a", "thinking": "hm"}


def test_a29_what_another_provider_ran_itself_is_told_in_its_place() -> None:
    blocks = [
        {"type": "text", "text": "a"},
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "rome"}},
        {"type": "text", "text": "b"},
    ]
    sent = messages(USER, {"role": "assistant", "content": blocks}, USER)
    content = said(sent, 1)["content"]
    assert content.startswith("a")
    assert content.endswith("b")
    assert "rome" in content
    assert sent.lost("messages[1].content[1]")


# --- media ---


def test_a23_b24_images_are_base64_without_a_prefix_and_addresses_refused() -> None:
    sent = messages({"role": "user", "content": [{"type": "text", "text": "see"}, IMAGE]})
    assert said(sent) == {"role": "user", "content": "see", "images": [PNG]}
    address = {"type": "image", "source": {"type": "url", "url": "https://x/a"}}
    assert messages({"role": "user", "content": [address]}).refused == "messages[0].content[0]"
    data = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    assert said(chat({"role": "user", "content": [data]}))["images"] == [PNG]


def test_a24_text_documents_are_texts_and_others_refused() -> None:
    plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}, "title": "t"}
    sent = messages({"role": "user", "content": [plain]})
    assert "words" in said(sent)["content"]
    assert sent.lost("degraded messages[0].content[0].title")
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
    assert messages({"role": "user", "content": [pdf]}).refused == "messages[0].content[0]"
    inside = messages(*round_of(result(content=[pdf])))
    assert inside.refused == "messages[2].content[0].content[0]"


def test_c12_sound_is_refused() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    assert chat({"role": "user", "content": [sound]}).refused == "messages[0].content[0]"


# --- tools ---

FUNCTION = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}


def test_a9_hosted_tools_are_reported_and_refused_where_they_are_forced() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    sent = messages(tools=[search])
    assert "tools" not in sent.body
    assert sent.lost("dropped tools[0]")
    assert messages(tools=[search], tool_choice={"type": "tool", "name": "web_search"}).refused == "tool_choice"


@pytest.mark.parametrize(
    ("choice", "refused", "tools"),
    [({"type": "auto"}, "", 1), ({"type": "none"}, "", 0), ({"type": "any"}, "tool_choice", 0)],
)
def test_a11_there_is_no_choice(choice: Any, refused: str, tools: int) -> None:
    sent = messages(tools=[FUNCTION], tool_choice=choice)
    assert sent.refused == refused
    if not refused:
        assert len(sent.body.get("tools", [])) == tools
        assert "tool_choice" not in sent.body


def test_a12_one_call_at_a_time_can_not_be_asked_for() -> None:
    sent = messages(tools=[FUNCTION], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert sent.lost("dropped tool_choice.disable_parallel_tool_use")


@pytest.mark.parametrize("field", ["cache_control", "strict", "defer_loading", "input_examples"])
def test_a15_what_a_function_has_no_place_for_is_reported(field: str) -> None:
    value: Any = {"type": "ephemeral"} if field == "cache_control" else [{}] if field == "input_examples" else True
    sent = messages(tools=[{**FUNCTION, field: value}])
    assert sent.losses == [f"dropped tools[0].{field}"]
    assert set(sent.body["tools"][0]["function"]) == {"name", "description", "parameters"}


def test_a16_the_first_of_equal_tools_counts() -> None:
    sent = messages(tools=[FUNCTION, {**FUNCTION, "description": "other"}])
    assert [tool["function"]["description"] for tool in sent.body["tools"]] == ["d"]
    assert sent.lost("dropped tools[1]")


def test_a8_r7_a_tool_without_parameters_has_an_object_of_none() -> None:
    sent = chat(tools=[{"type": "function", "function": {"name": "f"}}])
    assert sent.body["tools"][0]["function"]["parameters"]["type"] == "object"


# --- parameters ---


def test_a32_a33_b24_options_have_their_own_names() -> None:
    sent = messages(stop_sequences=["x", "y"], temperature=0.5, top_p=0.9, top_k=4)
    assert sent.body["options"] == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "num_predict": 4000,
        "stop": ["x", "y"],
    }
    assert sent.losses == []
    assert chat(stop="x").body["options"]["stop"] == ["x"]


def test_b24_a_stream_is_said_because_it_is_the_default() -> None:
    assert chat().body["stream"] is False
    assert chat(stream=True).body["stream"] is True


@pytest.mark.parametrize(
    ("model", "fields", "think"),
    [
        (QWEN, {"reasoning_effort": "low"}, True),
        (QWEN, {"reasoning_effort": "none"}, False),
        (OSS, {"reasoning_effort": "low"}, "low"),
        (OSS, {"reasoning_effort": "xhigh"}, "high"),
        (LLAMA, {"reasoning_effort": "low"}, None),
        (QWEN, {}, None),
    ],
)
def test_a35_b24_thinking_is_a_switch_or_a_word(model: str, fields: dict[str, Any], think: Any) -> None:
    sent = chat(model=model, **fields)
    assert sent.body.get("think") == think
    if fields and think in (None, True):
        assert sent.lost("reasoning_effort")


def test_a35_budgets_become_what_there_is() -> None:
    thinking = {"type": "enabled", "budget_tokens": 10_000}
    sent = messages(thinking=thinking)
    assert sent.body["think"] is True
    assert sent.lost("dropped thinking.budget_tokens")
    assert messages(thinking=thinking, model=OSS).body["think"] == "medium"
    assert messages(thinking={"type": "disabled"}).body["think"] is False


def test_a36_b24_formats() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert messages(output_config={"format": {"type": "json_schema", "schema": schema}}).body["format"] == schema
    assert chat(response_format={"type": "json_object"}).body["format"] == "json"


def test_b24_an_input_longer_than_the_servers_default_context_is_reported() -> None:
    sent = chat({"role": "user", "content": "many words " * 5000})
    assert "num_ctx" not in sent.body.get("options", {})
    assert sent.lost("degraded messages")
    assert chat().losses == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metadata", {"user_id": "u"}),
        ("inference_geo", "eu"),
        ("container", "c"),
        ("mcp_servers", [{"type": "url", "name": "m", "url": "https://x"}]),
        ("context_management", {"edits": []}),
        ("speed", "fast"),
        ("cache_control", {"type": "ephemeral"}),
    ],
)
def test_a37_a38_a39_a41_what_it_has_not_is_reported(field: str, value: Any) -> None:
    sent = messages(**{field: value})
    assert sent.refused or (sent.lost(field) and field not in sent.body), sent.losses


def test_c6_c13_several_answers_are_refused_and_knobs_carried_or_reported() -> None:
    assert chat(n=2).refused == "n"
    sent = chat(
        seed=7, presence_penalty=0.5, frequency_penalty=0.25, logit_bias={"1": 2}, logprobs=True, top_logprobs=3
    )
    assert sent.body["options"] == {"seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0.25}
    assert (sent.body["logprobs"], sent.body["top_logprobs"]) == (True, 3)
    assert sent.lost("dropped logit_bias")


# --- Responses clients ---


def test_r1_r2_r3_items_become_messages() -> None:
    sent = responses(
        {"role": "developer", "content": "kind"},
        USER,
        {"role": "assistant", "content": "so"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
        instructions="brief",
    )
    assert roles(sent) == ["system", "user", "assistant", "tool", "tool"]
    assert said(sent, 0)["content"] == "brief\n\nkind"
    assert said(sent, 2)["content"] == "so"
    assert [message["content"] for message in sent.body["messages"][3:]] == ["1", "2"]


def test_r5_r6_freeform_tools_and_namespaces() -> None:
    custom = {
        "type": "custom",
        "name": "patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
    }
    inner = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    sent = responses(
        USER,
        {"type": "custom_tool_call", "call_id": "a", "name": "patch", "input": "*** Begin"},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"},
        tools=[custom, {"type": "namespace", "name": "sky", "description": "d", "tools": [inner]}],
    )
    assert [tool["function"]["name"] for tool in sent.body["tools"]] == ["patch", "sky__weather"]
    assert "start: X" in sent.body["tools"][0]["function"]["description"]
    assert said(sent, 1)["tool_calls"][0]["function"]["arguments"] == {"input": "*** Begin"}


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "background", "prompt"])
def test_r10_state_is_refused_by_name(field: str) -> None:
    value: Any = {"background": True, "prompt": {"id": "p"}}.get(field, "resp_1")
    assert responses(**{field: value}).refused == field
