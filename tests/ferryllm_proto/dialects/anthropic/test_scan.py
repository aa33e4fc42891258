"""Pass-through: bytes are watched, and changed in one place at most."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import held, ir
from ferryllm_proto.dialects.anthropic import DIALECT, scan
from ferryllm_proto.dialects.anthropic.scan import Scanner

from .wirelog import TEXT, WHOLE, end, frame, start

BODY = (
    b'{"id":"msg_1", "model" :"claude-x","content":[{"type":"text","text":"\\"model\\":1"}],'
    b'"stop_reason":"max_tokens","usage":{"input_tokens":3,"output_tokens":4}}'
)


def run(data: bytes, size: int, *, stream: bool = True, model: str | None = None) -> tuple[bytes, Scanner]:
    scanner = DIALECT.scanner(stream=stream, model=model)
    out = b"".join(scanner.receive_data(data[at : at + size]) for at in range(0, len(data), size))
    return out + scanner.receive_eof(), scanner


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
def test_g1_bytes_pass_unchanged_and_at_once(size: int) -> None:
    scanner = DIALECT.scanner(stream=True)
    for at in range(0, len(WHOLE), size):
        piece = WHOLE[at : at + size]
        assert scanner.receive_data(piece) == piece
    assert scanner.receive_eof() == b""
    assert scanner.usage == ir.Usage(input=3, output=9)
    assert (scanner.finish, scanner.complete, scanner.error) == (ir.FinishReason.TOOL_USE, True, None)


@given(st.integers(1, 200))
def test_g2_m1_the_name_is_spliced_and_nothing_else(size: int) -> None:
    out, scanner = run(WHOLE, size, model='my "alias"')
    assert out == WHOLE.replace(b'"claude-x"', b'"my \\"alias\\""', 1)
    assert scanner.usage == ir.Usage(input=3, output=9)


def test_bytes_are_held_only_until_the_name_is_replaced() -> None:
    scanner = DIALECT.scanner(stream=True, model="alias")
    first = start()
    assert scanner.receive_data(first[:30]) == first[:21]  # the whole event: line
    assert b'"alias"' in scanner.receive_data(first[30:] + b"event: pi")
    assert scanner.receive_data(b"ng") == b"ng"


def test_text_that_looks_like_events_changes_nothing() -> None:
    text = '"message_start" "message_stop" "error" "message_delta"'
    data = start() + frame("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
    out, scanner = run(data, 9)
    assert out == data
    assert (scanner.complete, scanner.finish, scanner.error) == (False, None, None)


def test_t1_a_cut_stream_is_not_complete() -> None:
    _, scanner = run(start() + TEXT, 10)
    assert scanner.complete is False


def test_t2_a_reason_to_stop_and_the_end_will_do() -> None:
    _, scanner = run(WHOLE[: WHOLE.index(b"event: message_stop")].rstrip(), 10)
    assert scanner.complete is True


def test_message_stop_alone_is_an_end() -> None:
    _, scanner = run(start() + frame("message_stop"), 10)
    assert (scanner.complete, scanner.finish) == (True, ir.FinishReason.END)


def test_the_end_is_known_before_the_bytes_are_over() -> None:
    scanner = DIALECT.scanner(stream=True)
    scanner.receive_data(WHOLE)
    assert scanner.complete is True
    scanner.receive_data(frame("error", error={"type": "api_error", "message": "x"}))
    scanner.receive_eof()
    assert scanner.complete is False


def test_t6_errors_inside_the_stream_are_seen() -> None:
    _, scanner = run(start() + frame("error", error={"type": "overloaded_error", "message": "x"}), 10)
    assert scanner.error is not None
    assert (scanner.error.kind, scanner.error.status, scanner.complete) == (ir.ErrorKind.OVERLOADED, 529, False)


def test_crlf_and_what_can_not_be_read() -> None:
    data = (start() + frame("ping") + end("end_turn", output_tokens=2)).replace(b"\n", b"\r\n")
    data += b'data: {"type":"message_delta\r\n\r\n'
    for model in (None, "alias"):
        out, scanner = run(data, 7, model=model)
        assert out == (data if model is None else data.replace(b'"claude-x"', b'"alias"'))
        assert scanner.complete is True


def test_a_message_start_without_what_is_looked_for() -> None:
    data = b'data: "message_start"\n\ndata: {"type":"message_start"}\n\n'
    data += b'data: {"type":"message_start","message":{"id":3}}\n\n'
    assert run(data, 100, model="alias")[0] == data


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("size", [1, 1000])
def test_whole_bodies(stream: bool, size: int) -> None:
    data = b" " + BODY
    out, scanner = run(data, size, stream=stream)
    assert out == data
    assert (scanner.usage, scanner.finish) == (ir.Usage(input=3, output=4), ir.FinishReason.LENGTH)
    assert scanner.complete is True
    out, _ = run(data, size, stream=stream, model="alias")
    assert out == data.replace(b'"claude-x"', b'"alias"')


def test_whole_errors_and_damage() -> None:
    assert run(b'{"type":"error","error":{"type":"api_error","message":"x"}}', 9, stream=False)[1].error is not None
    for model in (None, "alias"):
        out, scanner = run(b'{"cut', 3, stream=False, model=model)
        assert (out, scanner.complete) == (b'{"cut', False)
    assert run(b"", 1, stream=False)[0] == run(b"", 1)[0] == b""
    assert run(b" \n", 1, model="alias")[0] == b" \n"


def test_g11_limits_let_bytes_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_BODY", 20)
    monkeypatch.setattr(scan, "MAX_EVENT_SIZE", 20)
    for model in (None, "alias"):
        assert run(BODY, 7, stream=False, model=model)[0] == BODY
        long = b"data: " + b"x" * 100
        assert run(long, 7, model=model)[0] == long


def test_scanner_and_decoder_agree() -> None:
    _, scanner = run(WHOLE, 13)
    body = json.loads(BODY)
    assert scanner.finish is ir.FinishReason.TOOL_USE
    assert body["usage"]["output_tokens"] == 4
