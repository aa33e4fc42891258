from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import held, ir
from ferryllm_proto.dialect import Scanner
from ferryllm_proto.dialects.gemini import DIALECT, scan

from .build import CHUNKS, NEW, array, chunk, stream, usage

SSE, ARRAY = stream(*CHUNKS), array(*CHUNKS)
USAGE = ir.Usage(input=3, output=9, reasoning=2)


def _scan(data: bytes, size: int = 0, *, stream: bool = True, model: str | None = None) -> tuple[bytes, Scanner]:
    scanner = DIALECT.scanner(stream=stream, model=model)
    step = size or max(1, len(data))
    out = b"".join(scanner.receive_data(data[at : at + step]) for at in range(0, len(data), step))
    return out + scanner.receive_eof(), scanner


@pytest.mark.parametrize("data", [SSE, ARRAY, SSE.replace(b"\r\n", b"\n")])
@pytest.mark.parametrize("size", [0, 1, 5, 100])
def test_g1_bytes_pass_untouched_and_are_understood(data: bytes, size: int) -> None:
    out, scanner = _scan(data, size)
    assert out == data
    assert (scanner.usage, scanner.finish, scanner.complete) == (USAGE, ir.FinishReason.TOOL_USE, True)
    assert (scanner.error, scanner.missing_end) == (None, b"")


@pytest.mark.parametrize("data", [SSE, ARRAY, SSE.replace(b"\r\n", b"\n")])
@pytest.mark.parametrize("size", [0, 1, 7])
def test_m1_the_name_is_replaced_in_every_chunk_and_nothing_else_is(data: bytes, size: int) -> None:
    out, scanner = _scan(data, size, model="shown")
    assert out == data.replace(f'"{NEW}"'.encode(), b'"shown"')
    assert scanner.usage == USAGE


@given(st.lists(st.integers(1, 50), max_size=40), st.sampled_from([SSE, ARRAY]))
def test_random_cuts(sizes: list[int], data: bytes) -> None:
    scanner = DIALECT.scanner(stream=True, model="shown")
    out, rest = b"", data
    for size in sizes:
        out += scanner.receive_data(rest[:size])
        rest = rest[size:]
    out += scanner.receive_data(rest) + scanner.receive_eof()
    assert out == _scan(data, model="shown")[0]


def test_without_a_new_name_bytes_leave_at_once() -> None:
    scanner = DIALECT.scanner(stream=True)
    assert scanner.receive_data(SSE[:9]) == SSE[:9]


@pytest.mark.parametrize("data", [SSE, ARRAY])
def test_t1_a_cut_stream_is_not_complete(data: bytes) -> None:
    for end in range(0, data.rindex(b'"finishReason"'), 7):
        _, scanner = _scan(data[:end])
        assert not scanner.complete


def test_t3_an_array_that_is_complete_gets_its_end() -> None:
    assert _scan(ARRAY.rstrip().rstrip(b"]"))[1].missing_end == b"]"
    _, scanner = _scan(ARRAY.rstrip().rstrip(b"]") + b",")
    assert (scanner.complete, scanner.missing_end) == (False, b"")


def test_t6_errors_are_seen() -> None:
    error = {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}}
    for data in (stream(*CHUNKS, error), array(CHUNKS[0], error)):
        _, scanner = _scan(data)
        assert scanner.error is not None
        assert (scanner.error.kind, scanner.complete) == (ir.ErrorKind.RATE_LIMIT, False)


def test_a_model_that_runs_code_is_not_finished_at_its_first_stop() -> None:
    scanner = DIALECT.scanner(stream=True)
    scanner.receive_data(stream(chunk({"executableCode": {"code": "1"}}, finish="STOP")))
    assert scanner.finish is None
    scanner.receive_data(stream(chunk({"text": "a"}, finish="STOP")))
    assert scanner.finish is ir.FinishReason.END


def test_whole_answers() -> None:
    body = b' {"candidates":[{"content":{}}], "modelVersion" : "m"}\n'
    out, scanner = _scan(body, 3, stream=False)
    assert out == body
    assert (scanner.complete, scanner.finish) == (True, ir.FinishReason.END)
    assert _scan(body, 3, stream=False, model="shown")[0] == body.replace(b'"m"', b'"shown"')
    blocked = json.dumps({"promptFeedback": {"blockReason": "SAFETY"}, **usage(3, 0)}).encode()
    _, scanner = _scan(blocked, stream=False)
    assert (scanner.finish, scanner.usage) == (ir.FinishReason.REFUSAL, ir.Usage(input=3, output=0))


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b'{"x":1}', b"[]", b"\xff"])
@pytest.mark.parametrize("whole", [True, False])
def test_g12_what_is_not_understood_passes_all_the_same(body: bytes, whole: bool) -> None:
    for model in (None, "shown"):
        out, scanner = _scan(body, 1, stream=not whole, model=model)
        assert out == body
        assert not scanner.complete


def test_g11_what_is_too_long_passes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_BODY", 10)
    monkeypatch.setattr(scan, "MAX_EVENT_SIZE", 10)
    body = b'{"candidates":[{"finishReason":"STOP"}],"modelVersion":"m"}'
    assert _scan(body, 4, stream=False, model="shown")[0] == body
    assert _scan(b"data: " + body, 4, model="shown")[0] == b"data: " + body
