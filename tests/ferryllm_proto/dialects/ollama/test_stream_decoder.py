"""Reading a provider's lines: whatever their cuts, damage and ends, good events come out and one terminal is last."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.dialects.ollama import stream_decoder as module
from ferryllm_proto.events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    End,
    Event,
    Finish,
    Logprobs,
    ReasoningDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)

from .build import SECONDS, call, events, fold, line

STREAM = (
    line(thinking="a")
    + line(thinking="b")
    + line("Grüße ")
    + line("☃")
    + line(tool_calls=[call("f", x=1)])
    + line(tool_calls=[call("g", index=1)])
    + line(done=True)
)
EVENTS: list[Event] = [
    Start("", "m", SECONDS),
    BlockStart(0, BlockKind.REASONING),
    ReasoningDelta(0, "a"),
    ReasoningDelta(0, "b"),
    BlockEnd(0),
    BlockStart(1, BlockKind.TEXT),
    TextDelta(1, "Grüße "),
    TextDelta(1, "☃"),
    BlockEnd(1),
    BlockStart(2, BlockKind.TOOL, id="call_0", name="f"),
    ArgsDelta(2, '{"x":1}'),
    BlockEnd(2),
    BlockStart(3, BlockKind.TOOL, id="call_1", name="g"),
    ArgsDelta(3, "{}"),
    BlockEnd(3),
    Finish(ir.FinishReason.TOOL_USE),
    UsageUpdate(ir.Usage(3, output=4)),
    End(),
]


def failure(data: bytes) -> ir.Error:
    last = events(data)[-1]
    assert isinstance(last, StreamFailed)
    return last.error


def test_d4_thinking_text_and_whole_calls() -> None:
    assert events(STREAM) == EVENTS


def test_s3_every_cut_gives_the_same_events() -> None:
    for cut in range(1, 40):
        assert events(STREAM, cut) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_s3_random_cuts_give_the_same_events(places: list[int]) -> None:
    decoder = DIALECT.stream_decoder()
    marks = [0, *sorted(places), len(STREAM)]
    found = [e for a, b in itertools.pairwise(marks) for e in decoder.receive_data(STREAM[a:b])]
    assert found + decoder.receive_eof() == EVENTS


def test_t1_truncation_at_every_byte_is_a_failure() -> None:
    whole = len(STREAM) - 2  # without its line feed and last brace
    for end in range(whole + 1):
        found = events(STREAM[:end])
        assert isinstance(found[-1], StreamFailed), end
        assert found[-1].error.kind is ir.ErrorKind.TRUNCATED, (end, found[-1])
        good = found[:-1]
        assert good == EVENTS[: len(good)] or good[-1] == BlockEnd(1)


def test_s6_a_last_line_without_its_end_counts() -> None:
    assert events(STREAM[:-1]) == EVENTS


def test_crlf_blank_lines_and_bom_are_nothing() -> None:
    assert events(b"\xef\xbb\xbf\r\n" + STREAM.replace(b"\n", b"\r\n\r\n")) == EVENTS


def test_what_follows_the_last_line_is_nothing() -> None:
    assert events(STREAM + line("more") + b"garbage") == EVENTS


def test_the_thin_form() -> None:
    lines: list[dict[str, Any]] = [
        {"model": "m", "response": "", "thinking": "t", "done": False},
        {"model": "m", "response": "a", "done": False},
        {"model": "m", "response": "", "done": True, "done_reason": "length", "eval_count": 1, "context": [1]},
    ]
    found = fold(events(b"".join(json.dumps(one).encode() + b"\n" for one in lines)))
    assert found.parts == (ir.Reasoning("t"), ir.Text("a"))
    assert (found.finish, found.usage) == (ir.FinishReason.LENGTH, ir.Usage(output=1))


def test_t6_an_error_in_the_stream_fails_it_after_the_good_events() -> None:
    found = events(line("a") + b'{"error":"model runner has unexpectedly stopped"}\n' + line(done=True))
    assert [type(event) for event in found] == [Start, BlockStart, TextDelta, StreamFailed]
    error = found[-1].error  # type: ignore[union-attr]  # its type was just compared
    assert (error.kind, error.dialect) == (ir.ErrorKind.UPSTREAM, "ollama")
    assert error.raw == b'{"error":"model runner has unexpectedly stopped"}'


def test_t4_a_stream_without_lines_is_a_failure() -> None:
    for data in (b"", b"\n", b"  \r\n"):
        assert failure(data).kind is ir.ErrorKind.TRUNCATED


@pytest.mark.parametrize(
    "data",
    [b"<html>502</html>", b"data: {}\n\n", b"[1]\n", b"{}\n{\n", b"not found", b'{"message":3}\n', b"\xff\xff\n"],
)
def test_what_is_no_stream_is_the_providers_fault(data: bytes) -> None:
    error = failure(data)
    assert error.kind in (ir.ErrorKind.UPSTREAM, ir.ErrorKind.TRUNCATED)
    assert error.http_status == 502


def test_s10_one_object_over_several_lines_is_a_whole_answer() -> None:
    pretty = json.dumps(json.loads(line("a", done=True)), indent=2).encode()
    assert fold(events(pretty, 5)).parts == (ir.Text("a"),)
    assert failure(b'{\n "error": "x" }').dialect == "ollama"
    assert failure(b'{\n "half": ').kind is ir.ErrorKind.UPSTREAM


def test_a_body_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY", 30)
    assert "longer than 30 bytes" in failure(b"{\n" + b'"a":\n' * 20).message


def test_g11_a_line_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = module.StreamDecoder()
    decoder.receive_data(line("a"))
    found = decoder.receive_data(line("b") + b'{"' + b"x" * (17 << 20))
    assert [type(event) for event in found] == [TextDelta, StreamFailed]
    assert decoder.receive_data(line("c")) == []
    assert decoder.receive_eof() == []


def test_a_fault_behind_the_end_is_nothing() -> None:
    decoder = module.StreamDecoder()
    found = decoder.receive_data(line("a") + line(done=True) + b"x" * (17 << 20))
    assert isinstance(found[-1], End)


def test_g11_the_number_of_calls_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CALLS", 2)
    assert "more than 2 tool calls" in failure(line(tool_calls=[call()] * 3)).message


def test_z12_a_call_without_a_name_is_a_failure() -> None:
    assert "without a name" in failure(line(tool_calls=[{"function": {"arguments": {}}}])).message


def test_calls_without_ids_have_none() -> None:
    found = events(line(tool_calls=[{"function": {"name": "f"}}]) + line(done=True))
    assert BlockStart(0, BlockKind.TOOL, id=None, name="f") in found
    assert not any(isinstance(event, ArgsDelta) for event in found)


def test_arguments_that_are_a_text_are_their_json() -> None:
    found = events(line(tool_calls=[{"function": {"name": "f", "arguments": '{"a":1}'}}]) + line(done=True))
    assert ArgsDelta(0, '{"a":1}') in found


def test_u11_a_missing_prompt_count_is_unknown() -> None:
    data = line("x") + b'{"model":"m","message":{"content":""},"done":true,"eval_count":2}\n'
    assert fold(events(data)).usage == ir.Usage(output=2)
    assert fold(events(line("x") + b'{"message":{},"done":true}\n')).usage is None


def test_a_loaded_model_is_an_empty_answer() -> None:
    found = events(b'{"model":"m","response":"","done":true,"done_reason":"load"}')
    assert found == [Start("", "m", None), Finish(ir.FinishReason.END), End()]


def test_logprobs_belong_to_their_text() -> None:
    one = [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}]
    found = events(line("a", logprobs=one) + line(logprobs=[]) + line(done=True, logprobs=None))
    assert [e.raw for e in found if isinstance(e, Logprobs)] == [json.dumps(one, separators=(",", ":")).encode()]


def test_9_bytes_that_are_no_text_are_replaced() -> None:
    assert fold(events(line("ab").replace(b"ab", b"a\xff") + line(done=True))).parts == (ir.Text("a�"),)


def test_lone_surrogates_travel_through() -> None:
    found = fold(events(line("ab").replace(b"ab", b"\\ud83d") + line(done=True)))
    assert DIALECT.encode_response(found).count(b"\\ud83d") == 1


def test_lines_that_tell_nothing_are_nothing() -> None:
    assert events(b'{"status":"loading"}\n' + STREAM) == EVENTS
