"""translation.md B4 to B8, and the rules of sections 1 to 3 about conversations: what a Gemini provider gets."""

from __future__ import annotations

from typing import Any

import pytest

from support.rich_requests import PDF, PNG
from support.to_gemini import (
    DUMMY,
    IMAGE,
    OLD,
    OLDEST,
    USER,
    called,
    chat,
    declared,
    messages,
    parts,
    responses,
    result,
    roles,
    round_of,
    used,
)

# --- instructions and the shape of the conversation ---


def test_a1_instructions_keep_their_order_and_empty_ones_are_left_out() -> None:
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": ""}, {"type": "text", "text": "b"}]
    assert messages(system=texts).body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert "systemInstruction" not in messages(system="").body


def test_a2_instructions_inside_the_conversation_stay_there_as_the_users_marked_text() -> None:
    sent = messages(
        USER, {"role": "assistant", "content": "ok"}, {"role": "system", "content": "faster"}, {**USER, "content": "go"}
    )
    assert roles(sent) == ["user", "model", "user"]
    assert parts(sent) == [{"text": "<system-reminder>\nfaster\n</system-reminder>"}, {"text": "go"}]
    assert sent.lost("degraded messages[2]")


def test_a4_the_billing_line_that_changes_with_each_request_is_removed() -> None:
    line = "x-anthropic-billing-header: cc_version=2.1; cch=abcde;"
    first = {"type": "text", "text": line}
    sent = messages(system=[first, {"type": "text", "text": "be brief"}])
    assert sent.body["systemInstruction"] == {"parts": [{"text": "be brief"}]}


def test_a5_b8_the_first_word_is_the_users() -> None:
    sent = messages({"role": "assistant", "content": "hello"}, USER)
    assert roles(sent) == ["user", "model", "user"]
    assert sent.lost("degraded messages")


def test_a6_instructions_alone_still_make_a_turn() -> None:
    sent = chat({"role": "system", "content": "be brief"})
    assert roles(sent) == ["user"]
    assert parts(sent)[0]["text"]


def test_a7_b8_empty_parts_are_left_out_and_what_is_empty_then_too() -> None:
    empty = {"role": "assistant", "content": [{"type": "text", "text": ""}]}
    sent = messages(
        USER, empty, {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "b"}]}
    )
    assert sent.body["contents"] == [{"role": "user", "parts": [{"text": "hi"}, {"text": "b"}]}]


def test_b8_thoughts_of_the_history_are_not_sent() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    sent = messages(USER, {"role": "assistant", "content": [thought, {"type": "text", "text": "a"}]}, USER)
    assert parts(sent, 1) == [{"text": "a"}]
    assert sent.lost("dropped messages[1].content[0]")


def test_c15_a_final_message_of_the_assistant_is_continued_by_asking() -> None:
    sent = messages(USER, {"role": "assistant", "content": "Once"})
    assert roles(sent) == ["user", "model", "user"]
    assert sent.lost("degraded messages[1]")


# --- calls and results ---


def test_b4_a17_all_results_of_a_turn_are_one_content_in_the_order_of_the_calls() -> None:
    sent = messages(
        *round_of(result("b", "2"), result("a", "1"), {"type": "text", "text": "go on"}, calls=(used("a"), used("b")))
    )
    assert roles(sent) == ["user", "model", "user", "user"]
    assert [part["functionResponse"]["id"] for part in parts(sent, 2)] == ["a", "b"]
    assert parts(sent) == [{"text": "go on"}]
    assert [part["functionCall"]["id"] for part in parts(sent, 1)] == ["a", "b"]


def test_b4_b7_of_parallel_calls_only_the_first_is_signed() -> None:
    sent = messages(*round_of(result("a"), result("b"), calls=(used("a"), used("b"))))
    assert [part.get("thoughtSignature") for part in parts(sent, 1)] == [DUMMY, None]
    assert [loss for loss in sent.losses if "content[0]" in loss] == ["degraded messages[1].content[0]"]


@pytest.mark.parametrize("model", [OLD, OLDEST])
def test_b7_models_that_sign_nothing_get_no_dummy(model: str) -> None:
    sent = messages(*round_of(result()), model=model)
    assert "thoughtSignature" not in sent.raw.decode()
    assert sent.losses == []


def test_b4_chat_results_of_several_messages_are_one_content() -> None:
    sent = chat(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [called("a"), called("b", name="g")]},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    )
    found = [part["functionResponse"] for part in parts(sent)]
    assert [(one["name"], one["response"]) for one in found] == [("f", {"output": "1"}), ("g", {"output": "2"})]


def test_b5_ids_that_come_again_still_find_the_names_of_their_tools() -> None:
    spoken: list[Any] = [USER]
    for name in ("f", "g"):
        spoken += [
            {"role": "assistant", "tool_calls": [called("functions.x:0", name=name)]},
            {"role": "tool", "tool_call_id": "functions.x:0", "content": name},
        ]
    sent = chat(*spoken)
    found = [part["functionResponse"] for content in (2, 4) for part in parts(sent, content)]
    assert [(one["name"], one["response"]["output"]) for one in found] == [("f", "f"), ("g", "g")]
    assert found[0]["id"] != found[1]["id"]


def test_a19_a_missing_result_is_replaced_and_one_without_a_call_is_text() -> None:
    sent = messages(*round_of(result("toolu_9", "lost")))
    assert "functionResponse" in parts(sent, 2)[0]
    assert "lost" in "".join(part["text"] for part in parts(sent))
    assert sent.lost("degraded messages[2].content[0]")


def test_a20_b5_an_error_is_said_as_one() -> None:
    found = parts(messages(*round_of(result(content="no", is_error=True))))[0]["functionResponse"]
    assert (found["name"], found["response"]) == ("f", {"error": "no"})


@pytest.mark.parametrize("content", ["", []])
def test_a21_an_empty_result_is_an_empty_object(content: Any) -> None:
    assert parts(messages(*round_of(result(content=content))))[0]["functionResponse"]["response"] in (
        {},
        {"output": ""},
    )


def test_b6_a_result_that_looks_like_a_schema_stays_text() -> None:
    text = '{"$ref":"#/$defs/x","$defs":{"x":{}}}'
    assert parts(messages(*round_of(result(content=text))))[0]["functionResponse"]["response"] == {"output": text}


def test_a22_images_of_results_reach_the_model() -> None:
    block = result(content=[{"type": "text", "text": "see"}, IMAGE])
    inline = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    assert parts(messages(*round_of(block)))[0]["functionResponse"]["parts"] == [inline]
    sent = messages(*round_of(block), model=OLD)
    assert roles(sent) == ["user", "model", "user", "user"]
    assert "parts" not in parts(sent, 2)[0]["functionResponse"]
    assert parts(sent)[1] == inline
    assert sent.lost("degraded messages[2].content[0].content[1]")


def test_a14_ids_are_kept_and_the_same_for_call_and_result() -> None:
    sent = chat(
        USER,
        {"role": "assistant", "tool_calls": [called("x" * 300)]},
        {"role": "tool", "tool_call_id": "x" * 300, "content": "1"},
    )
    id_ = parts(sent, 1)[0]["functionCall"]["id"]
    assert id_ == parts(sent)[0]["functionResponse"]["id"]
    assert len(id_) <= 256


@pytest.mark.parametrize("arguments", ["", " ", "{}"])
def test_c4_no_arguments_are_an_empty_object(arguments: str) -> None:
    sent = chat(
        USER,
        {"role": "assistant", "content": "so", "tool_calls": [called("a", arguments)]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    )
    assert [set(part) & {"text", "functionCall"} for part in parts(sent, 1)] == [{"text"}, {"functionCall"}]
    assert parts(sent, 1)[1]["functionCall"]["args"] == {}


def test_a31_c4_arguments_that_are_no_object_are_shown_and_reported() -> None:
    sent = chat(
        USER,
        {"role": "assistant", "tool_calls": [called("a", '{"cut')]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    )
    assert parts(sent, 1)[0]["functionCall"]["args"] == {"_raw": '{"cut'}
    assert sent.lost("degraded messages[1].tool_calls[0].function.arguments")


def test_a29_what_another_provider_ran_itself_is_told_in_its_place() -> None:
    blocks = [
        {"type": "text", "text": "a"},
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "rome"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srv_1",
            "content": [{"type": "web_search_result", "title": "Rome", "url": "https://example.com"}],
        },
        {"type": "text", "text": "b"},
    ]
    sent = messages(USER, {"role": "assistant", "content": blocks}, USER)
    texts = [part["text"] for part in parts(sent, 1)]
    assert (texts[0], texts[-1]) == ("a", "b")
    assert "rome" in "".join(texts[1:-1])
    assert sent.lost("messages[1].content[1]")


# --- media ---


def test_a23_addresses_are_refused_and_data_keep_their_type() -> None:
    sent = messages({"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x/a"}}]})
    assert sent.refused == "messages[0].content[0]"
    assert parts(messages({"role": "user", "content": [IMAGE]})) == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}}
    ]
    file = {"type": "image", "source": {"type": "file", "file_id": "file_1"}}
    assert messages({"role": "user", "content": [file]}).refused == "messages[0].content[0]"


def test_a24_documents_are_files_and_texts_are_texts() -> None:
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "title": "t"}
    plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}, "title": "t"}
    sent = messages({"role": "user", "content": [pdf, plain]})
    assert parts(sent)[0] == {"inlineData": {"mimeType": "application/pdf", "data": PDF}}
    assert "words" in parts(sent)[1]["text"]
    assert sent.lost("dropped messages[0].content[0].title")
    inside = messages(*round_of(result(content=[pdf])))
    assert parts(inside)[0]["functionResponse"]["parts"] == [
        {"inlineData": {"mimeType": "application/pdf", "data": PDF}}
    ]


def test_c12_sound_is_carried() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
    assert parts(chat({"role": "user", "content": [sound]})) == [
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}
    ]


# --- Responses clients ---


def test_r1_r2_r3_items_become_turns() -> None:
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
    assert [part["text"] for part in sent.body["systemInstruction"]["parts"]] == ["brief", "kind"]
    assert roles(sent) == ["user", "model", "user"]
    assert [part.get("text") for part in parts(sent, 1)] == ["so", None, None]
    assert [part["functionResponse"]["response"] for part in parts(sent)] == [{"output": "1"}, {"output": "2"}]


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
    names = [tool["name"] for tool in declared(sent)]
    assert names == ["patch", "sky__weather"]
    assert "start: X" in declared(sent)[0]["description"]
    assert parts(sent, 1)[0]["functionCall"]["args"] == {"input": "*** Begin"}


def test_r8_r16_foreign_reasoning_is_dropped_and_include_reported() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    sent = responses(
        USER, reasoning, {"role": "assistant", "content": "a"}, USER, include=["reasoning.encrypted_content"]
    )
    assert "gAAA" not in sent.raw.decode()
    assert sent.lost("dropped input[1]")


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "background", "prompt"])
def test_r10_state_is_refused_by_name(field: str) -> None:
    value: Any = {"background": True, "prompt": {"id": "p"}}.get(field, "resp_1")
    assert responses(**{field: value}).refused == field
