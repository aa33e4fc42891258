from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini import DIALECT, stream_decoder
from ferryllm_proto.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    End,
    Event,
    Finish,
    OpaqueDelta,
    Raw,
    Start,
    StreamFailed,
)

from .build import CHUNKS, NEW, array, call, chunk, events, fold, signature, stream, usage, whole

R = ir.FinishReason
WHOLE = stream(*CHUNKS)


def _failure(found: list[Event]) -> ir.Error:
    last = found[-1]
    assert isinstance(last, StreamFailed)
    assert not any(isinstance(event, (End, StreamFailed)) for event in found[:-1])
    return last.error


# --- D1: what chunks say ---------------------------------------------------------------------------------


def test_d1_a_stream_becomes_one_answer() -> None:
    found = fold(events(WHOLE))
    assert (found.id, found.model, found.finish) == ("r1", NEW, R.TOOL_USE)
    assert found.parts == (
        ir.Reasoning("hm"),
        ir.Text("Grüße 🌍"),
        ir.Reasoning(opaque=(signature(),)),
        ir.ToolCall("", "f", '{"a": 1}'),
        ir.ToolCall("", "g", '{"b": "é"}'),
    )
    assert found.usage == ir.Usage(input=3, output=9, reasoning=2)


def test_b9_a_signature_is_that_of_the_thoughts_before_the_call() -> None:
    found = events(stream(chunk({"text": "hm", "thought": True}), chunk(call(thoughtSignature="c2ln"), finish="STOP")))
    kinds = [type(event).__name__ for event in found]
    assert kinds == [
        "Start",
        "BlockStart",
        "ReasoningDelta",
        "OpaqueDelta",
        "BlockEnd",
        "BlockStart",
        "ArgsDelta",
        "BlockEnd",
        "Finish",
        "End",
    ]


def test_b9_a_signature_before_a_text_comes_first() -> None:
    found = whole(chunk({"text": "a", "thoughtSignature": "c2ln"}), chunk({"text": "b"}, finish="STOP"))
    assert found.parts == (ir.Reasoning(opaque=(signature(),)), ir.Text("ab"))


def test_b9_a_signature_behind_its_text_follows_it() -> None:
    found = whole(chunk({"text": "a"}), chunk({"text": "", "thoughtSignature": "c2ln"}, finish="STOP"))
    assert found.parts == (ir.Text("a"), ir.Reasoning(opaque=(signature(),)))


def test_w1_streamed_arguments_are_put_together() -> None:
    def piece(**fields: Any) -> dict[str, Any]:
        return {"functionCall": fields}

    found = whole(
        chunk(piece(name="f", id="1", willContinue=True)),
        chunk(piece(partialArgs=[{"jsonPath": "$.a", "stringValue": "x", "willContinue": True}], willContinue=True)),
        chunk(piece(partialArgs=[{"jsonPath": "$.a", "stringValue": "y"}], willContinue=True)),
        chunk(piece()),
        chunk(piece(name="g", partialArgs=[{"jsonPath": "$.n", "numberValue": 1}], willContinue=True), finish="STOP"),
    )
    assert found.parts == (ir.ToolCall("1", "f", '{"a":"xy"}'), ir.ToolCall("", "g", '{"n":1}'))
    assert found.finish is R.TOOL_USE


@pytest.mark.parametrize(
    "part",
    [
        {"executableCode": {"code": "1", "language": "PYTHON"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thoughtSignature": "c2ln"},
        {"toolCall": {"toolType": "GOOGLE_SEARCH", "id": "1"}},
        {"futureKind": {"a": 1}},
    ],
)
def test_d1_parts_only_this_dialect_knows(part: dict[str, Any]) -> None:
    found = whole(chunk({"text": "a"}, part, finish="STOP"))
    hosted = found.parts[1]
    assert isinstance(hosted, ir.Hosted)
    assert (hosted.dialect, json.loads(hosted.raw)) == ("gemini", part)
    assert hosted.type == next(iter(part))


def test_d1_grounding_is_a_block_of_this_dialect() -> None:
    answer = chunk({"text": "a"}, finish="STOP")
    answer["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["x"]}
    answer["candidates"][0]["citationMetadata"] = {}
    found = whole(answer)
    assert [part.type for part in found.parts if isinstance(part, ir.Hosted)] == ["groundingMetadata"]


@pytest.mark.parametrize("feedback", [{"blockReason": "SAFETY", "blockReasonMessage": "why"}, {"blockReason": 1}])
def test_d1_a_blocked_prompt_is_a_refusal(feedback: dict[str, Any]) -> None:
    found = whole({"promptFeedback": feedback, "modelVersion": NEW, **usage(5, 0)})
    assert (found.finish, found.parts) == (R.REFUSAL, ())
    assert found.finish_details is not None
    assert b"blockReason" in found.finish_details


@pytest.mark.parametrize(
    ("word", "reason"), [("MAX_TOKENS", R.LENGTH), ("SAFETY", R.REFUSAL), (2, R.LENGTH), (1, R.END)]
)
def test_reasons_to_stop(word: Any, reason: R) -> None:
    answer = chunk({"text": "a"})
    answer["candidates"][0]["finishReason"] = word
    assert whole(answer).finish is reason


def test_malformed_calls_are_no_ordinary_end() -> None:
    answer = chunk(finish="MALFORMED_FUNCTION_CALL")
    answer["candidates"][0]["finishMessage"] = "Malformed function call: f("
    found = whole(answer)
    assert found.finish is R.MALFORMED_TOOL
    assert found.finish_details is not None
    assert b"Malformed function call" in found.finish_details


def test_a_model_that_runs_code_says_stop_and_goes_on() -> None:
    found = whole(
        chunk({"executableCode": {"code": "1"}}, finish="STOP"),
        chunk({"codeExecutionResult": {"output": "1"}}),
        chunk({"text": "one"}, finish="STOP"),
    )
    assert [type(part).__name__ for part in found.parts] == ["Hosted", "Hosted", "Text"]
    assert found.finish is R.END


def test_a_reason_to_stop_in_every_chunk_is_that_of_the_last() -> None:
    found = whole(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="MAX_TOKENS"))
    assert (found.parts, found.finish) == ((ir.Text("ab"),), R.LENGTH)


def test_t3_a_reason_to_stop_with_nothing_to_show_is_given_at_once() -> None:
    decoder = DIALECT.stream_decoder()
    found = decoder.receive_data(stream(chunk({"text": "a"}), chunk({"text": ""}, finish="STOP")))
    assert isinstance(found[-1], Finish)
    assert decoder.receive_eof() == [End()]


def test_usage_may_follow_the_end() -> None:
    found = whole(chunk({"text": ""}, finish="STOP"), {"candidates": [], **usage(2, 0)})
    assert found.usage == ir.Usage(input=2, output=0)


def test_d1_snake_case_and_the_outer_envelope_are_read() -> None:
    answer = {
        "response": {
            "candidates": [
                {
                    "content": {"parts": [{"function_call": {"name": "f", "args": {}}, "thought_signature": "c2ln"}]},
                    "finish_reason": "STOP",
                    "grounding_metadata": {"a": 1},
                }
            ],
            "usage_metadata": {"prompt_token_count": 3, "candidates_token_count": 2},
            "model_version": NEW,
            "response_id": "r",
        }
    }
    found = whole(answer)
    assert (found.id, found.model, found.finish) == ("r", NEW, R.TOOL_USE)
    assert found.usage == ir.Usage(input=3, output=2)
    assert [type(part).__name__ for part in found.parts] == ["Reasoning", "ToolCall", "Hosted"]


def test_y11_other_candidates_are_for_this_dialect_alone() -> None:
    answer = chunk({"text": "a"}, finish="STOP")
    answer["candidates"].append({"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"})
    found = events(stream(answer))
    assert fold(found).parts == (ir.Text("a"),)
    assert [type(event) for event in found].count(Raw) == 1


def test_empty_chunks_open_no_block() -> None:
    found = events(stream({}, chunk({"text": ""}), {"candidates": [{"content": {}}]}, chunk({}, finish="STOP")))
    assert not any(isinstance(event, BlockStart) for event in found)
    assert [type(event) for event in found] == [Start, Finish, End]


def test_an_answer_without_a_reason_to_stop_ends_when_it_is_whole() -> None:
    body = json.dumps(chunk({"text": "a"})).encode()
    assert fold(events(body)).parts == (ir.Text("a"),)


def test_probabilities_are_chats() -> None:
    answer = chunk({"text": "a"}, finish="STOP")
    answer["candidates"][0]["logprobsResult"] = {"chosenCandidates": [{"token": "a", "logProbability": -1}]}
    assert b'"logprob":-1' in (whole(answer).logprobs or b"")


# --- framing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [WHOLE, array(*CHUNKS), WHOLE.replace(b"\r\n", b"\n"), WHOLE.replace(b"\r\n", b"\r")])
def test_s3_d2_every_cut_gives_the_same_answer(data: bytes) -> None:
    expected = fold(events(data))
    for size in (1, 2, 3, 7, 64, 1000):
        assert fold(events(data, size)) == expected


@given(st.lists(st.integers(1, 60), max_size=60))
def test_d2_random_cuts_of_an_array(sizes: list[int]) -> None:
    data = array(*CHUNKS)
    decoder = DIALECT.stream_decoder()
    found: list[Event] = []
    for size in sizes:
        found += decoder.receive_data(data[:size])
        data = data[size:]
    found += decoder.receive_data(data) + decoder.receive_eof()
    assert fold(found) == fold(events(array(*CHUNKS)))


def test_s6_s8_s9_odd_framing_is_read() -> None:
    one = json.dumps(chunk({"text": "a"}, finish="STOP"))
    for data in (
        f"\ufeffdata:{one}",
        f": comment\n\nid: 1\nretry: 5\ndata: {one}\n\n",
        f"data: \n\ndata: null\n\ndata: prose\n\ndata: {one}\n\ndata: [DONE]\n\n",
        f"\r\n\r\n{one}\r\n",
        f"\ufeff[{one}]",
    ):
        assert fold(events(data.encode())).parts == (ir.Text("a"),)


# --- what is no success ----------------------------------------------------------------------------------


def test_t1_a_stream_cut_at_any_byte_is_never_a_success() -> None:
    """Cut inside or before the chunk with the reason to stop; behind it the stream is complete (T2)."""
    for data in (WHOLE, array(*CHUNKS)):
        last = data.rindex(b'"finishReason"')
        for end in range(last):
            assert _failure(events(data[:end])).kind in (ir.ErrorKind.TRUNCATED, ir.ErrorKind.UPSTREAM)


def test_t2_a_complete_stream_may_lose_its_last_line_ends() -> None:
    for data in (WHOLE, array(*CHUNKS)):
        assert fold(events(data.rstrip(b"\r\n]"))) == fold(events(data))


@pytest.mark.parametrize("data", [b"", b"  \r\n", b"[", b"[]", b": hello\n\n", b"data: {}\n\n", b"data: [DONE]\n\n"])
def test_t4_nothing_is_no_answer(data: bytes) -> None:
    assert _failure(events(data)).kind is ir.ErrorKind.TRUNCATED


ERROR = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "data",
    [
        stream(CHUNKS[0], ERROR),
        array(CHUNKS[0], ERROR),
        stream([ERROR]),
        array(ERROR),
        json.dumps(ERROR).encode(),
        stream({"response": ERROR}),
        b"event: error\r\n" + stream(ERROR["error"]),
        stream(*CHUNKS, ERROR),
    ],
)
def test_t6_an_error_in_the_stream_is_one(data: bytes) -> None:
    error = _failure(events(data))
    assert (error.kind, error.message, error.dialect) == (ir.ErrorKind.OVERLOADED, "busy", "gemini")


@pytest.mark.parametrize(
    "data",
    [
        stream({"candidates": 1}),
        stream({"candidates": [{"content": {"parts": [{"functionCall": {"args": {}}}]}}]}),
        stream({"candidates": [{"content": {"parts": [{"text": 5}]}}]}),
        stream(chunk({"text": "a"}), chunk(finish="MISSING_THOUGHT_SIGNATURE")),
        stream(chunk({"text": ""}, finish="STOP"), chunk({"text": "more"})),
        b'{"candidates":[]}',
        b'{"x":1}',
        b'{"candidates":[{"content"',
        b"<html><body>Bad Gateway</body></html>",
        b'[{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],}',
        b"data: {\n\n",
    ],
)
def test_g12_whatever_else_comes_is_a_fault_and_never_an_exception(data: bytes) -> None:
    for size in (0, 1):
        assert _failure(events(data, size)).kind in (ir.ErrorKind.UPSTREAM, ir.ErrorKind.TRUNCATED)


def test_nothing_follows_a_failure() -> None:
    decoder = DIALECT.stream_decoder()
    assert _failure(decoder.receive_data(stream(ERROR))).message == "busy"
    assert decoder.receive_data(WHOLE) == decoder.receive_eof() == []


def test_t1_good_events_before_a_fault_are_delivered() -> None:
    found = events(stream(chunk({"text": "a"})) + b"data: {broken\r\n\r\n")
    assert [type(event).__name__ for event in found] == ["Start", "BlockStart", "TextDelta", "StreamFailed"]


def test_g11_a_body_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_decoder, "MAX_BODY", 10)
    assert "longer than 10 bytes" in _failure(events(b'{"candidates":[]}', 4)).message


def test_invalid_utf8_of_a_provider_is_mended() -> None:
    data = stream(chunk({"text": "X"}, finish="STOP")).replace(b"X", b"\xff")
    assert fold(events(data)).parts == (ir.Text("\ufffd"),)
    assert fold(events(array(chunk({"text": "X"}, finish="STOP")).replace(b"X", b"\xff"))).parts == (ir.Text("\ufffd"),)


def test_blocks_are_dense_and_one_is_open_at_a_time() -> None:
    open_: int | None = None
    following = 0
    for event in events(WHOLE):
        if isinstance(event, BlockStart):
            assert open_ is None
            assert event.ix == following
            open_, following = event.ix, following + 1
        elif isinstance(event, BlockEnd):
            assert event.ix == open_
            open_ = None
        elif isinstance(event, OpaqueDelta):
            assert event.ix == open_
    assert BlockKind.TOOL in [event.kind for event in events(WHOLE) if isinstance(event, BlockStart)]
