"""T1 to T5, T10, T12: what is an end and what is a cut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic.scan import MESSAGE_STOP
from ferryllm_proto.loss import Disposition
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    CREATED,
    DIALECTS,
    DONE,
    PAIRS,
    RESPONSES_USAGE,
    ROLE,
    STOP,
    TEXT,
    ask,
    chat,
    chat_usage,
    chat_whole,
    chunk,
    event,
    fragment,
    item_events,
    message_delta,
    message_item,
    message_start,
    messages,
    messages_whole,
    response_object,
    responses,
    responses_whole,
    text_block,
    through,
    tool_block,
)
from support.native import (
    gemini,
    gemini_chunk,
    gemini_whole,
    ollama,
    ollama_end,
    ollama_line,
    ollama_whole,
)
from support.told import ALL, OTHERS, TORN, failed, last_of


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_t1_a_cut_is_an_error_and_no_end(entry: str, backend: str, lost: bool) -> None:
    told = through(entry, backend, TORN[backend], lost=lost)
    assert told.error is not None
    assert told.error.kind is ir.ErrorKind.TRUNCATED
    assert told.state is State.FAILED
    if entry == backend == "openai_responses":
        assert b"event: response.failed" in told.body
        return
    assert failed(entry, told).text in ("par", "")
    if entry == "anthropic":
        names = [name for name, _ in grammar.frames(told.body)]
        assert names[-1] == "error"
        assert entry == backend or names[-2] == "content_block_stop"
        assert "message_delta" not in names
    elif entry == "openai":
        last = json.loads(grammar.frames(told.body)[-1][1])
        assert last["error"]["code"] == "stream_incomplete"
        assert b"[DONE]" not in told.body
    elif entry == "gemini":
        assert last_of(entry, told)["error"]["status"] == "INTERNAL"
    elif entry == "ollama":
        assert isinstance(last_of(entry, told)["error"], str)


@pytest.mark.parametrize("entry", ["openai_responses", "anthropic"])
@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize(
    "end",
    [
        chunk({}, "stop") + DONE,
        chunk({}, "stop"),
        DONE,
        chunk({}, "length"),
        chunk({}, "stop") + b'data: {"id":"x","usa',
    ],
)
def test_t2_chat_ends_with_a_reason_or_done(entry: str, end: bytes, lost: bool) -> None:
    told = through(entry, "openai", TORN["openai"] + end, lost=lost)
    assert told.state is State.DONE, told.error
    assert grammar.validate(entry, told.body).ended


@pytest.mark.parametrize("entry", ["openai_responses", "anthropic"])
@pytest.mark.parametrize("word", ["", None])
def test_t2_x9_an_empty_reason_is_none(entry: str, word: str | None) -> None:
    failed(entry, through(entry, "openai", TORN["openai"] + chunk({}, word)))


@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("rest", [b"", b"event: message_stop\ndata: {", b"event: mess"])
def test_t2_t3_a_message_delta_with_its_reason_is_an_end(entry: str, lost: bool, rest: bytes) -> None:
    usage = {"input_tokens": 1, "output_tokens": 7, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    data = messages(text_block(0, "whole"), usage=usage)[: -len(STOP)]
    told = through(entry, "anthropic", data + rest, lost=lost)
    assert told.state is State.DONE, told.error
    seen = grammar.validate(entry, told.body)
    assert seen.ended
    assert seen.text == "whole"
    assert told.body.count(b"event: message_stop") == (1 if entry == "anthropic" else 0)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", OTHERS["openai"])
def test_t2_a_whole_answer_whose_reason_is_none_was_cut(entry: str, stream: bool) -> None:
    told = through(entry, "openai", chat_whole({"content": "par"}, None), stream=stream)
    assert (told.state, told.status) == (State.FAILED, 502)
    assert told.error is not None
    assert told.error.kind is ir.ErrorKind.TRUNCATED
    left_out = json.loads(chat_whole({"content": "all"}))
    del left_out["choices"][0]["finish_reason"]
    for data in (json.dumps(left_out).encode(), chat_whole({"content": "all"}, "")):
        assert through(entry, "openai", data, stream=stream).finish is ir.FinishReason.END


@pytest.mark.parametrize("entry", DIALECTS)
def test_t2_a_message_delta_without_reason_is_no_end(entry: str) -> None:
    data = message_start() + text_block(0, "a") + message_delta(None)
    assert through(entry, "anthropic", data).state is State.FAILED


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
@pytest.mark.parametrize(
    ("status", "fields", "finish"),
    [
        ("completed", {}, ir.FinishReason.END),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, ir.FinishReason.LENGTH),
        ("incomplete", {"incomplete_details": {"reason": "content_filter"}}, ir.FinishReason.REFUSAL),
    ],
)
def test_t2_responses_end_with_their_terminal_event(
    entry: str, status: str, fields: dict[str, Any], finish: ir.FinishReason
) -> None:
    told = through(entry, "openai_responses", responses(message_item("a"), status=status, **fields))
    assert told.state is State.DONE
    assert told.finish is finish
    assert grammar.validate(entry, told.body).ended
    cut = responses(message_item("a"), status=status, **fields).rpartition(b"event: response.")[0]
    failed(entry, through(entry, "openai_responses", cut))
    failed(entry, through(entry, "openai_responses", cut + DONE))


@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize("backend", ["anthropic", "openai"])
def test_t3_a_provider_that_stays_open_behind_its_reason_has_answered(entry: str, backend: str) -> None:
    translator = ask(entry, backend)
    translator.receive_response_head(200, [])
    data = {"anthropic": messages(text_block(0, "a"))[: -len(STOP)], "openai": chat({"content": "a"})[: -len(DONE)]}
    out = translator.receive_data(data[backend])
    assert translator.finish_reason is ir.FinishReason.END
    out += translator.fail(ir.Error(ir.ErrorKind.TIMEOUT, "fell silent"))
    assert translator.state is State.DONE
    if entry != backend:
        assert grammar.validate(entry, out).ended
    else:
        assert out == data[backend] + (MESSAGE_STOP if entry == "anthropic" else b"")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
@pytest.mark.parametrize("body", [b": nothing\n\n", b"data: [DONE]\n\n", b"\n\n\n"])
def test_t4_a_stream_without_one_event_is_an_error_with_a_status(
    entry: str, backend: str, stream: bool, body: bytes
) -> None:
    if entry == backend == "openai" and body == DONE and stream:
        pytest.skip("bytes that pass are complete with [DONE] alone")
    told = through(entry, backend, body, stream=stream)
    assert told.state is State.FAILED
    assert told.status == 502
    assert isinstance(oracles.error(entry, told.status, told.headers, told.body), Exception)
    assert told.message


HOLLOW = {
    "openai": (chat(usage=chat_usage(10, 12)), chat_whole({"content": ""}, usage=chat_usage(10, 12))),
    "anthropic": (
        messages(usage={"output_tokens": 12}),
        messages_whole(usage={"input_tokens": 3, "output_tokens": 12}),
    ),
    "openai_responses": (responses(), responses_whole()),
    "gemini": (gemini(), gemini_whole()),
    "ollama": (ollama(), ollama_whole({"content": ""})),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("came", [0, 1])
@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_t5_counted_output_without_content_is_an_error(entry: str, backend: str, stream: bool, came: int) -> None:
    told = through(entry, backend, HOLLOW[backend][came], stream=stream)
    assert told.state is State.FAILED
    assert told.status == 502
    assert "counted output" in str(oracles.error(entry, told.status, told.headers, told.body))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        chat(usage=chat_usage(10, 2)),  # an end is a token or two
        chat(finish="length", usage=chat_usage(10, 12)),
        chat(finish="content_filter", usage=chat_usage(10, 12)),
        chat(usage=chat_usage(10, 12, completion_tokens_details={"reasoning_tokens": 12})),
        chat(),
    ],
)
@pytest.mark.parametrize("entry", OTHERS["openai"])
def test_t5_x19_an_empty_turn_that_explains_itself_is_a_turn(entry: str, stream: bool, data: bytes) -> None:
    told = through(entry, "openai", data, stream=stream)
    assert told.state is State.DONE, told.error
    if stream:
        seen = grammar.validate(entry, told.body)
        assert seen.ended
        assert b"content_block" not in told.body
        assert b"output_item" not in told.body
    else:
        value = told.json()
        empty = {
            "anthropic": value.get("content"),
            "openai_responses": value.get("output"),
            "gemini": value.get("candidates", [{}])[0].get("content", {}).get("parts", []),
            "ollama": list(value.get("message", {}).get("content", "")),
        }
        assert empty[entry] == []


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_t5_an_answer_of_thoughts_alone_is_no_empty_one(entry: str, stream: bool) -> None:
    thought = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    for data in (responses(thought), responses({**thought, "summary": []})):
        told = through(entry, "openai_responses", data, stream=stream)
        assert told.state is (State.DONE if b"hm" in data else told.state)
    usage = {**RESPONSES_USAGE, "output_tokens_details": {"reasoning_tokens": 7}}
    told = through(entry, "openai_responses", responses(usage=usage), stream=stream)
    assert told.state is State.DONE


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_t10_said_twice_is_told_once(entry: str, backend: str) -> None:
    data = {
        "openai": ROLE + ROLE + chunk({"content": TEXT}) + chunk({}, "stop") + chunk({}, "stop") + DONE + DONE,
        "anthropic": message_start()
        + message_start()
        + text_block(0, TEXT)
        + event("content_block_stop", index=0)
        + message_delta()
        + message_delta()
        + STOP
        + STOP,
        "openai_responses": CREATED
        + CREATED
        + item_events(0, message_item(TEXT)) * 2
        + event("response.completed", response=response_object(output=[message_item(TEXT)])) * 2,
        "gemini": gemini({"text": TEXT}) + gemini_chunk({"text": ""}, finish="STOP"),
        "ollama": ollama({"content": TEXT}) + ollama_line(**ollama_end()),
    }[backend]
    told = through(entry, backend, data)
    assert told.state is State.DONE
    assert grammar.validate(entry, told.body).text == TEXT


@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize("backend", DIALECTS)
def test_t12_the_usage_so_far_is_known_at_every_moment(entry: str, backend: str) -> None:
    if backend in ("openai_responses", "ollama"):
        pytest.skip("tells its usage at the very end")
    translator = ask(entry, backend)
    translator.receive_response_head(200, [])
    usage = chat_usage(10, 3)
    translator.receive_data(TORN[backend] + (chunk({"content": "x"}, usage=usage) if backend == "openai" else b""))
    assert translator.usage is not None
    assert translator.usage.input == 10
    translator.fail(ir.Error(ir.ErrorKind.TRUNCATED, "reset"))
    assert translator.usage.input == 10


@pytest.mark.parametrize("entry", OTHERS["openai"])
@pytest.mark.parametrize("stream", [True, False])
def test_z12_x5_a_call_nobody_can_answer_is_a_failure(entry: str, stream: bool) -> None:
    nameless = chat({"tool_calls": [fragment(0, "call_1", "", '{"a":1}')]}, finish="tool_calls")
    none = chat({"content": "I call"}, finish="tool_calls")
    whole = chat_whole(
        {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "", "arguments": "{}"}}]}, "tool_calls"
    )
    for data in (nameless, none, whole):
        told = through(entry, "openai", data, stream=stream)
        assert told.state is State.FAILED
        assert told.error is not None
        assert "call" in told.error.message


@pytest.mark.parametrize("entry", OTHERS["anthropic"])
@pytest.mark.parametrize("stream", [True, False])
def test_z12_a_message_that_stops_for_tools_it_did_not_call(entry: str, stream: bool) -> None:
    text = {"type": "text", "text": "I call"}
    for data in (messages(text_block(0, "I call"), stop="tool_use"), messages_whole(text, stop="tool_use")):
        told = through(entry, "anthropic", data, stream=stream)
        assert told.state is State.FAILED
        assert told.error is not None
        assert "no tool call" in told.error.message


@pytest.mark.parametrize("backend", ["anthropic", "openai_responses"])
@pytest.mark.parametrize("stream", [True, False])
def test_z12_a_call_without_a_name_of_other_providers(backend: str, stream: bool) -> None:
    data = {
        "anthropic": messages(tool_block(0, "toolu_1", "", "{}"), stop="tool_use"),
        "openai_responses": responses(
            {
                "id": "fc_1",
                "type": "function_call",
                "call_id": "c",
                "name": "",
                "arguments": "{}",
                "status": "completed",
            }
        ),
    }[backend]
    told = through("openai", backend, data, stream=stream)
    assert told.state is State.FAILED
    assert told.error is not None
    assert "without a name" in told.error.message


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", ["openai", "anthropic", "openai_responses"])
def test_y11_other_choices_are_reported_where_nobody_asked_for_them(entry: str, stream: bool) -> None:
    two = [{"index": n, "delta": {"content": f"c{n}"}, "finish_reason": None} for n in (0, 1)]
    data = ROLE + chunk(choices=two) + chunk({}, "stop") + DONE
    if entry == "openai" and stream:
        assert through(entry, "openai", data).body == data
        return
    told = through(entry, "openai", data, stream=stream)
    assert told.state is State.DONE
    assert b"c1" not in told.body
    lost = [loss for loss in told.losses if loss.disposition is Disposition.DROPPED]
    assert "choices" in [loss.path for loss in lost]
