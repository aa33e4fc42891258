"""D3, D5: servers that speak a protocol in their own way."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto.translate import State
from support.answers import (
    CREATED,
    DONE,
    call_item,
    chat,
    chunk,
    event,
    item_events,
    message_item,
    message_start,
    messages,
    numbered,
    response_object,
    responses_whole,
    through,
)
from support.told import FG, OTHERS, called, streamed

# --- D5: dialects of Chat --------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", OTHERS["openai"])
@pytest.mark.parametrize(
    ("deltas", "reasoning", "text"),
    [
        ([{"reasoning_content": "hm"}, {"content": "a"}], "hm", "a"),
        ([{"reasoning": "hm"}, {"content": "a"}], "hm", "a"),
        ([{"reasoning": "hm", "reasoning_content": "hm"}, {"content": "a"}], "hm", "a"),
        ([{"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, {"content": "a"}], "hm", "a"),
        ([{"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}, {"content": "a"}], "hm", "a"),
        (
            [
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
                {"content": [{"type": "text", "text": "a"}]},
            ],
            "hm",
            "a",
        ),
        ([{"content": "<think>hm</think>a"}], "", "<think>hm</think>a"),
        ([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}], "", "ab"),
        ([{"content": "a", "function_call": {"name": "", "arguments": ""}}], "", "a"),
    ],
)
def test_d5_dialects_of_chat(entry: str, deltas: list[dict[str, Any]], reasoning: str, text: str) -> None:
    seen = streamed(entry, "openai", chat(*deltas))
    assert (seen.reasoning, seen.text) == (reasoning, text)


@pytest.mark.parametrize("entry", OTHERS["openai"])
def test_d5_chunks_with_holes(entry: str) -> None:
    holes = (
        chunk(choices=None)
        + chunk(choices=[])
        + chunk(choices=[{"index": 0}])
        + chunk(choices=[{"index": 0, "delta": None}])
    )
    azure = chunk(choices=[], prompt_filter_results=[{"prompt_index": 0}])
    for data in (azure + holes + chunk({"content": "a"}), chunk({"content": "a"}) + holes):
        assert streamed(entry, "openai", data + chunk({}, "stop") + holes + DONE).text == "a"


@pytest.mark.parametrize("entry", OTHERS["openai"])
def test_d5_legacy_function_calls(entry: str) -> None:
    data = chat(
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a":1}'}},
        finish="function_call",
    )
    assert called(streamed(entry, "openai", data)) == [("f", {"a": 1})]


# --- D3: dialects of Responses ---------------------------------------------------------------------------


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_d3_z11_deltas_without_items_and_items_without_deltas(entry: str) -> None:
    final = event("response.completed", response=response_object(output=[message_item("text")]))
    bare = event("response.output_text.delta", output_index=0, item_id="x", content_index=0, delta="text")
    nothing = event("response.output_text.delta", delta="te") + event("response.output_text.delta", delta="xt")
    done = event("response.output_item.done", output_index=0, item=message_item("text"))
    empty = event("response.completed", response=response_object())
    unknown = event("response.something.new", output_index=0, data=1)
    for body in (
        bare + final,
        nothing + final,
        done + final,
        final,
        done + empty,
        bare + empty,
        unknown + bare + done + final,
    ):
        seen = streamed(entry, "openai_responses", CREATED + body)
        assert seen.text == "text"


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_d3_calls_in_pieces_and_ids_that_rotate(entry: str) -> None:
    item = call_item("fc_1", "call_1", "f", '{"a":1}')
    added = event("response.output_item.added", output_index=0, item={**item, "arguments": ""})
    delta = event("response.function_call_arguments.delta", output_index=0, item_id="other", delta='{"a":1}')
    args = event("response.function_call_arguments.done", output_index=0, item_id="third", arguments='{"a":1}')
    done = event("response.output_item.done", output_index=0, item={**item, "id": "fourth"})
    end = event("response.completed", response=response_object(output=[{**item, "id": "fifth"}]))
    for body in (
        added + delta + args + done,
        added + args + done,
        added + done,
        done,
        added + delta,
        delta + args + done,
    ):
        assert called(streamed(entry, "openai_responses", CREATED + body + end)) == [("f", {"a": 1})]


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_d3_overlapping_items(entry: str) -> None:
    one, two = call_item("fc_1", "call_1", "f", '{"x":1}'), call_item("fc_2", "call_2", "g", '{"z":2}')
    at = "response.output_item.added"
    body = event(at, output_index=0, item={**one, "arguments": ""}) + event(
        at, output_index=1, item={**two, "arguments": ""}
    )
    for n, piece in ((1, '{"z"'), (0, '{"x"'), (1, ":2}"), (0, ":1}")):
        body += event("response.function_call_arguments.delta", output_index=n, item_id=f"fc_{n + 1}", delta=piece)
    end = event("response.completed", response=response_object(output=[one, two]))
    assert called(streamed(entry, "openai_responses", CREATED + body + end)) == [("f", {"x": 1}), ("g", {"z": 2})]
    assert numbered(item_events(0, one))


# --- llama.cpp -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", OTHERS["anthropic"])
def test_llama_cpp_messages_blocks_overlap_and_end_late(entry: str) -> None:
    start = event(
        "message_start",
        message={
            "id": "chatcmpl-1",
            "type": "message",
            "role": "assistant",
            "content": [],
            "model": "real",
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 5, "output_tokens": 0},
        },
    )
    delta = "content_block_delta"
    data = (
        start
        + event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""})
        + event(delta, index=0, delta={"type": "thinking_delta", "thinking": "hm"})
        + event("content_block_start", index=1, content_block={"type": "text", "text": ""})
        + event(delta, index=1, delta={"type": "text_delta", "text": "text"})
        + event("content_block_start", index=2, content_block={"type": "tool_use", "id": "x" * 32, "name": "f"})
        + event(delta, index=2, delta={"type": "input_json_delta", "partial_json": '{"x"'})
        + event("content_block_start", index=3, content_block={"type": "tool_use", "id": "y" * 32, "name": "g"})
        + event(delta, index=3, delta={"type": "input_json_delta", "partial_json": '{"z":2}'})
        + event(delta, index=2, delta={"type": "input_json_delta", "partial_json": ":1}"})
        + event(delta, index=0, delta={"type": "signature_delta", "signature": ""})
        + b"".join(event("content_block_stop", index=n) for n in range(4))
        + event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 9})
        + event("message_stop")
    )
    seen = streamed(entry, "anthropic", data)
    assert (seen.reasoning, seen.text) == ("hm", "text")
    assert called(seen) == [("f", {"x": 1}), ("g", {"z": 2})]
    assert message_start() in messages()


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_llama_cpp_responses_without_indexes(entry: str) -> None:
    small = {"id": "resp_1", "object": "response", "status": "in_progress"}
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    message, call = message_item("text"), call_item("fc_1", "fc_1", "f", '{"x":1}')
    data = (
        event("response.created", response=small)
        + event("response.in_progress", response=small)
        + event("response.output_item.added", item={**thought, "content": [], "status": "in_progress"})
        + event("response.reasoning_text.delta", delta="hm", item_id="rs_1")
        + event("response.output_item.done", item=thought)
        + event("response.output_item.added", item={**message, "content": [], "status": "in_progress"})
        + event("response.content_part.added", item_id="msg_1", part={"type": "output_text", "text": ""})
        + event("response.output_text.delta", item_id="msg_1", delta="te")
        + event("response.output_text.delta", item_id="msg_1", delta="xt")
        + event("response.output_text.done", item_id="msg_1", text="text")
        + event(
            "response.content_part.done",
            item_id="msg_1",
            part={"type": "output_text", "text": "text", "annotations": []},
        )
        + event("response.output_item.done", item=message)
        + event("response.output_item.added", item={**call, "arguments": "", "status": "in_progress"})
        + event("response.function_call_arguments.delta", item_id="fc_1", delta='{"x":1}')
        + event("response.function_call_arguments.done", item_id="fc_1", arguments='{"x":1}')
        + event("response.output_item.done", item=call)
        + event("response.completed", response={**response_object(output=[thought, message, call]), "timings": {}})
    )
    seen = streamed(entry, "openai_responses", data)
    assert (seen.reasoning, seen.text) == ("hm", "text")
    assert called(seen) == [("f", {"x": 1})]


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_llama_cpp_a_second_call_cut_in_the_middle(entry: str) -> None:
    """The provider says completed; what the second call is worth the client decides, but it is told."""
    whole = responses_whole(call_item("fc_1", "c1", "f", '{"x":1}'), call_item("fc_2", "c2", "g", '{"z":'))
    told = through(entry, "openai_responses", whole, stream=False, tools=FG["tools"][entry])
    assert told.state is State.DONE
    assert b'{\\"z\\":' in told.body
    assert entry != "anthropic" or told.lost
