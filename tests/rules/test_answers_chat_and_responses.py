"""Y1 to Y12 and Z1 to Z12: answers of other providers to clients of Chat and of Responses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir, opaque
from ferryllm_proto.loss import Disposition
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    CREATED,
    Told,
    ask,
    block,
    call_item,
    chat,
    event,
    fragment,
    message_delta,
    message_item,
    message_start,
    messages,
    messages_whole,
    numbered,
    response_object,
    responses,
    responses_whole,
    tell,
    text_block,
    thinking_block,
    through,
    tool_block,
)

ENVELOPE = ("id", "object", "created", "model")


def chunks(told: Told) -> list[dict[str, Any]]:
    assert told.state is State.DONE, told.error
    assert grammar.validate("openai", told.body).ended
    return [json.loads(payload) for _, payload in grammar.frames(told.body) if payload != "[DONE]"]


def events(told: Told) -> list[dict[str, Any]]:
    assert told.state is State.DONE, told.error
    assert grammar.validate("openai_responses", told.body).ended
    oracles.stream("openai_responses", told.body)
    return [json.loads(payload) for _, payload in grammar.frames(told.body)]


FULL = messages(
    thinking_block(0, "hm", "SIG"),
    text_block(1, "one ", "two"),
    tool_block(2, "toolu_1", "f", '{"a"', ":1}"),
    tool_block(3, "toolu_2", "g"),
    text_block(4, " three"),
    stop="tool_use",
)


def test_y1_y4_one_envelope_one_role_one_finish_and_done_last() -> None:
    for data in (FULL, responses(message_item("a"), call_item("fc_1", "c", "f", "{}"))):
        told = through("openai", "anthropic" if data is FULL else "openai_responses", data)
        found = chunks(told)
        assert len({tuple(one[key] for key in ENVELOPE) for one in found}) == 1
        assert found[0]["id"].startswith("chatcmpl-")
        assert found[0]["choices"][0]["delta"]["role"] == "assistant"
        reasons = [one["choices"][0]["finish_reason"] for one in found if one["choices"]]
        assert [reason for reason in reasons if reason] == ["tool_calls"]
        assert reasons[-1] == "tool_calls"
        assert told.body.endswith(b"data: [DONE]\n\n")
        calls = [n for n, one in enumerate(found) if one["choices"] and "tool_calls" in one["choices"][0]["delta"]]
        assert max(calls) < reasons.index("tool_calls")


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_y2_calls_open_once_and_count_from_nothing(size: int) -> None:
    told = through("openai", "anthropic", *(FULL[n : n + size] for n in range(0, len(FULL), size)))
    calls = [
        call for one in chunks(told) if one["choices"] for call in one["choices"][0]["delta"].get("tool_calls", ())
    ]
    opening = [call for call in calls if "id" in call]
    plain, (thought,) = opaque.uncarry(opening[0]["id"])
    assert (plain, thought.opaque.data, thought.text) == ("toolu_1", "SIG", "hm")
    assert opening == [
        {"index": 0, "id": opening[0]["id"], "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "toolu_2", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]
    assert all(set(call) == {"index", "function"} for call in calls if call not in opening)
    final = oracles.stream("openai", told.body).model_dump()["choices"][0]["message"]
    assert [call["function"]["arguments"] for call in final["tool_calls"]] == ['{"a":1}', "{}"]


@pytest.mark.parametrize("stream", [True, False])
def test_y6_y9_texts_and_thoughts_are_joined_in_order(stream: bool) -> None:
    told = through("openai", "anthropic", FULL, stream=stream)
    message = (oracles.stream if stream else oracles.whole)("openai", told.body).model_dump()["choices"][0]["message"]
    assert message["content"] == "one two three"
    assert message["reasoning_content"] == "hm"
    details = [line for line in told.body.split(b"\n") if b"reasoning_details" in line]
    assert len(details) == 1  # one whole object for a block, not one for a delta


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "stop"),
        ("something new", "stop"),
    ],
)
def test_y8_reasons_of_messages(stream: bool, word: str, wanted: str) -> None:
    extra: dict[str, Any] = {"stop_sequence": "END"} if word == "stop_sequence" else {}
    if word == "refusal":
        extra["stop_details"] = {"type": "refusal", "category": "cyber"}
    told = through("openai", "anthropic", messages(text_block(0, "a"), stop=word, **extra), stream=stream)
    got = chunks(told)[-2]["choices"][0] if stream else told.json()["choices"][0]
    assert got["finish_reason"] == wanted
    lost = {loss.path: loss.disposition for loss in told.losses}
    assert ("stop_reason" in lost) is (word == "pause_turn")
    assert ("stop_sequence" in lost) is (word == "stop_sequence")
    assert ("stop_details" in lost) is (word == "refusal")


def test_y10_content_is_null_when_there_are_only_calls() -> None:
    for backend, data in (
        (
            "anthropic",
            messages_whole({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}, stop="tool_use"),
        ),
        ("openai_responses", responses_whole(call_item("fc_1", "c", "f", '{"a":1}'))),
    ):
        message = through("openai", backend, data, stream=False).json()["choices"][0]["message"]
        assert message["content"] is None
        assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"a": 1}


def test_y12_a_ping_is_no_chunk() -> None:
    data = (
        message_start() + event("ping") + text_block(0, "a") + event("ping") + message_delta() + event("message_stop")
    )
    told = through("openai", "anthropic", data)
    assert len(chunks(told)) == len(chunks(through("openai", "anthropic", messages(text_block(0, "a")))))
    assert b"data:\n" not in told.body
    assert b"data: \n" not in told.body


@pytest.mark.parametrize("stream", [True, False])
def test_x16_a_search_of_the_provider_is_one_item(stream: bool) -> None:
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    page = {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "x"}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page]}
    other = {**result, "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"}}
    data = messages(block(0, search), block(1, result), block(2, search), block(3, other), text_block(4, "found"))
    told = through("openai_responses", "anthropic", data, stream=stream)
    body = events(told)[-1]["response"] if stream else told.json()
    one, two, message = body["output"]
    assert (one["type"], one["status"]) == ("web_search_call", "completed")
    assert one["action"] == {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://a.example"}]}
    assert (two["status"], two["action"]["query"], one["id"] != two["id"]) == ("failed", "q", True)
    assert message["content"][0]["text"] == "found"
    assert told.losses == []


@pytest.mark.parametrize("entry", ["openai"])
@pytest.mark.parametrize("stream", [True, False])
def test_x16_blocks_of_the_provider_alone_are_reported_once(entry: str, stream: bool) -> None:
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    data = messages(*(block(n, search if n % 2 == 0 else result) for n in range(6)), text_block(6, "found"))
    told = through(entry, "anthropic", data, stream=stream)
    assert told.state is State.DONE
    lost = [loss.path for loss in told.losses if loss.disposition is Disposition.DROPPED]
    assert len(lost) == len(set(lost)) == 2


# --- Responses -------------------------------------------------------------------------------------------


def test_z1_z2_z6_one_lifecycle_numbered_and_indexed() -> None:
    found = events(through("openai_responses", "anthropic", FULL))
    assert [one["type"] for one in found[:2]] == ["response.created", "response.in_progress"]
    assert [one["sequence_number"] for one in found] == list(range(len(found)))
    added = [one for one in found if one["type"] == "response.output_item.added"]
    assert [one["output_index"] for one in added] == list(range(5))
    assert [one["item"]["type"] for one in added] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "message",
    ]
    final = found[-1]["response"]
    assert found[-1]["type"] == "response.completed"
    assert final["model"] == "asked"
    assert final["output"] == [one["item"] for one in found if one["type"] == "response.output_item.done"]
    for name in ("parallel_tool_calls", "tool_choice", "tools", "temperature", "top_p", "store", "metadata", "text"):
        assert name in final
    assert len({one["response"]["id"] for one in found if "response" in one}) == 1
    assert final["id"].startswith("resp_")
    assert len({item["id"] for item in final["output"]}) == 5


def test_z3_the_events_of_a_message() -> None:
    found = events(through("openai_responses", "openai", chat({"content": "a"}, {"content": "b"})))
    assert [one["type"].removeprefix("response.") for one in found[2:-1]] == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]
    assert found[2]["item"]["content"] == []
    assert found[2]["item"]["status"] == "in_progress"
    for one in found[3:8]:
        assert (one["item_id"], one["output_index"], one["content_index"]) == (found[2]["item"]["id"], 0, 0)
    assert (found[6]["text"], found[6]["logprobs"]) == ("ab", [])
    assert found[7]["part"] == {"type": "output_text", "annotations": [], "logprobs": [], "text": "ab"}


def test_z4_the_events_of_a_call() -> None:
    data = chat(
        {"tool_calls": [fragment(0, "c", "f", '{"a"')]}, {"tool_calls": [fragment(0, args=":1}")]}, finish="tool_calls"
    )
    found = events(through("openai_responses", "openai", data))
    assert [one["type"].removeprefix("response.") for one in found[2:-1]] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert (found[2]["item"]["name"], found[2]["item"]["arguments"]) == ("f", "")
    assert found[2]["item"]["call_id"] == found[6]["item"]["call_id"]
    assert found[5]["arguments"] == '{"a":1}'
    assert found[6]["item"]["status"] == "completed"


PATCH = "*** Begin Patch\n*** Add File: a\n+é😀\n*** End Patch"


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [True, False])
def test_z4_a_freeform_call_comes_back_as_one(backend: str, stream: bool) -> None:
    tools = [{"type": "custom", "name": "apply_patch", "format": {"type": "text"}}]
    args = json.dumps({"input": PATCH})
    pieces = [args[n : n + 5] for n in range(0, len(args), 5)]
    data = {
        "openai": chat(
            {"tool_calls": [fragment(0, "c", "apply_patch", "")]},
            *({"tool_calls": [fragment(0, args=piece)]} for piece in pieces),
            finish="tool_calls",
        ),
        "anthropic": messages(tool_block(0, "toolu_1", "apply_patch", *pieces), stop="tool_use"),
    }[backend]
    told = through("openai_responses", backend, data, stream=stream, tools=tools)
    if stream:
        found = events(told)
        kinds = {one["type"] for one in found}
        assert {"response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"} <= kinds
        item = found[-1]["response"]["output"][0]
    else:
        item = told.json()["output"][0]
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "apply_patch", PATCH)


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_z4_a_call_of_a_namespace_carries_it(backend: str) -> None:
    tools = [
        {
            "type": "namespace",
            "name": "box",
            "description": "d",
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        }
    ]
    translator = ask("openai_responses", backend, tools=tools)
    name = "box__f"
    data = {
        "openai": chat({"tool_calls": [fragment(0, "c", name, "{}")]}, finish="tool_calls"),
        "anthropic": messages(tool_block(0, "toolu_1", name, "{}"), stop="tool_use"),
    }[backend]
    item = events(tell(translator, data))[-1]["response"]["output"][0]
    assert (item["name"], item["namespace"]) == ("f", "box")


def test_z5_the_events_of_a_thought() -> None:
    found = events(through("openai_responses", "anthropic", FULL))
    names = [one["type"].removeprefix("response.") for one in found[2:8]]
    assert names == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert found[2]["item"]["summary"] == []
    assert found[7]["item"]["encrypted_content"].startswith("ferry1.")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("max_tokens", "max_output_tokens"),
        ("model_context_window_exceeded", "max_output_tokens"),
        ("refusal", "content_filter"),
    ],
)
def test_z7_an_answer_that_was_cut_is_incomplete(stream: bool, word: str, why: str) -> None:
    data = messages(text_block(0, "whole"), tool_block(1, "toolu_1", "f", '{"a":'), stop=word)
    told = through("openai_responses", "anthropic", data, stream=stream)
    final = events(told)[-1]["response"] if stream else told.json()
    assert final["status"] == "incomplete"
    assert final["incomplete_details"] == {"reason": why}
    assert [item["status"] for item in final["output"]] == ["completed", "incomplete"]


def test_z8_a_cut_stream_is_response_failed() -> None:
    told = through("openai_responses", "anthropic", message_start() + text_block(0, "a"))
    last = json.loads(grammar.frames(told.body)[-1][1])
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"]["code"] == "server_error"


def test_z8_a_rate_limit_says_when_in_the_words_codex_reads() -> None:
    translator = ask("openai_responses", "anthropic")
    translator.receive_response_head(200, [])
    out = translator.receive_data(message_start() + text_block(0, "a"))
    out += translator.fail(ir.Error(ir.ErrorKind.RATE_LIMIT, "too many.", retry_after=1.5))
    last = json.loads(grammar.frames(out)[-1][1])["response"]["error"]
    assert last == {"code": "rate_limit_exceeded", "message": "too many. Please try again in 1.5s."}


def test_z10_no_event_of_another_dialect_is_passed_on() -> None:
    unknown = event("something_new", data=1)
    told = through(
        "openai_responses",
        "anthropic",
        message_start() + text_block(0, "a") + unknown + message_delta() + event("message_stop"),
    )
    events(told)
    assert any("something_new" in path for path in told.lost)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", ["openai", "anthropic"])
def test_z11_a_final_answer_without_its_stream_is_recovered(entry: str, stream: bool) -> None:
    items = [
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        message_item("text"),
        call_item("fc_1", "c", "f", '{"a":1}'),
    ]
    end = event("response.completed", response=response_object(output=items))
    dones = b"".join(event("response.output_item.done", output_index=n, item=item) for n, item in enumerate(items))
    wanted = through(entry, "openai_responses", responses(*items), stream=False).json()
    for data in (
        CREATED + end,
        CREATED + dones + end,
        CREATED + dones + event("response.completed", response=response_object()),
        responses(*items),
    ):
        told = through(
            entry, "openai_responses", numbered(data) if b"sequence_number" not in data else data, stream=stream
        )
        if not stream:
            assert told.json() == wanted
            continue
        seen = grammar.validate(entry, told.body)
        assert seen.ended
        assert (seen.reasoning, seen.text) == ("hm", "text")
        assert [(name, json.loads(args)) for name, args in seen.tools] == [("f", {"a": 1})]
