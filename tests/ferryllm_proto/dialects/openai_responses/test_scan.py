"""Watching answers that pass through."""

from __future__ import annotations

import pytest

from ferryllm_proto import held, ir, sse
from ferryllm_proto.dialects.openai_responses import DIALECT

CREATED = (
    b'event: response.created\ndata: {"type":"response.created","response":{"id":"r","model" : "up", "x":1.0}}\n\n'
)
DELTA = (
    b"event: response.output_text.delta\r\n"
    b'data: {"type":"response.output_text.delta","delta":"\\"response.completed\\" model"}\r\n\r\n'
)
FAILED = (
    b'event: response.failed\ndata: {"type":"response.failed","response":{"status":"failed",'
    b'"error":{"code":"insufficient_quota","message":"m"},"usage":{"input_tokens":1}}}\n\n'
)
DONE = (
    b'data: {"response":{"id":"r","status":"completed","model":"up","output":[{"type":"function_call"}],'
    b'"usage":{"input_tokens":3,"output_tokens":2}},"type":"response.completed"}\n\n'
)
STREAM = b": hi\n\n" + CREATED + DELTA + DONE


def test_g1_without_a_rename_every_byte_passes_at_once() -> None:
    scanner = DIALECT.scanner(stream=True)
    for n in range(len(STREAM)):
        assert scanner.receive_data(STREAM[n : n + 1]) == STREAM[n : n + 1]
    assert scanner.receive_eof() == b""
    assert scanner.complete
    assert scanner.finish is ir.FinishReason.TOOL_USE
    assert scanner.usage == ir.Usage(input=3, output=2)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_m1_a_rename_changes_the_name_and_nothing_else(size: int) -> None:
    scanner = DIALECT.scanner(stream=True, model="mine")
    out = b"".join(scanner.receive_data(STREAM[n : n + size]) for n in range(0, len(STREAM), size))
    assert out + scanner.receive_eof() == STREAM.replace(b'"up"', b'"mine"')
    assert scanner.complete
    assert scanner.usage == ir.Usage(input=3, output=2)


def test_m1_an_event_without_its_blank_line_is_renamed_at_the_end() -> None:
    scanner = DIALECT.scanner(stream=True, model="mine")
    assert scanner.receive_data(DONE[:-2]) == b""
    assert scanner.receive_eof() == DONE[:-2].replace(b'"up"', b'"mine"')
    assert scanner.complete


@pytest.mark.parametrize("model", [None, "mine"])
def test_t1_a_cut_stream_is_not_complete(model: str | None) -> None:
    scanner = DIALECT.scanner(stream=True, model=model)
    scanner.receive_data(CREATED + DELTA)
    scanner.receive_eof()
    assert not scanner.complete
    assert scanner.error is None


@pytest.mark.parametrize("model", [None, "mine"])
@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (
            b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"m"}\n\n',
            ir.ErrorKind.RATE_LIMIT,
        ),
        (b'data: {"type":"error","error":{"message":"m","code":"server_error"}}\n\n', ir.ErrorKind.SERVER),
        (
            FAILED,
            ir.ErrorKind.BILLING,
        ),
    ],
)
def test_t6_errors_in_the_stream_are_seen(event: bytes, kind: ir.ErrorKind, model: str | None) -> None:
    scanner = DIALECT.scanner(stream=True, model=model)
    assert scanner.receive_data(event) == event
    assert scanner.error is not None
    assert scanner.error.kind is kind


def test_too_large_an_event_passes_unread() -> None:
    big = b"data: " + b"x" * (sse.MAX_EVENT_SIZE + 1)
    for model in (None, "mine"):
        scanner = DIALECT.scanner(stream=True, model=model)
        assert scanner.receive_data(big) == big
        assert scanner.receive_data(b"more\n\n") == b"more\n\n"


BODY = b'{"id":"r", "model":"up","status":"incomplete","output":[{"type":"message","content":[{"type":"refusal"}]}]}'


def test_whole_answers() -> None:
    scanner = DIALECT.scanner(stream=False)
    assert scanner.receive_data(BODY[:9]) + scanner.receive_data(BODY[9:]) == BODY
    assert scanner.receive_eof() == b""
    assert scanner.complete
    assert scanner.finish is ir.FinishReason.LENGTH


def test_whole_answers_are_renamed() -> None:
    scanner = DIALECT.scanner(stream=False, model="mine")
    assert scanner.receive_data(BODY[:9]) + scanner.receive_data(BODY[9:]) == b""
    assert scanner.receive_eof() == BODY.replace(b'"up"', b'"mine"')


@pytest.mark.parametrize("body", [b"", b"oops", b"[]"])
def test_what_is_no_answer_passes_as_it_is(body: bytes) -> None:
    for model in (None, "mine"):
        scanner = DIALECT.scanner(stream=False, model=model)
        assert scanner.receive_data(body) + scanner.receive_eof() == body
        assert not scanner.complete


def test_too_long_an_answer_passes_unrenamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_BODY", 20)
    scanner = DIALECT.scanner(stream=False, model="mine")
    out = [scanner.receive_data(BODY[:15]), scanner.receive_data(BODY[15:30]), scanner.receive_data(BODY[30:])]
    assert out == [b"", BODY[:30], BODY[30:]]
    assert scanner.receive_eof() == b""


@pytest.mark.parametrize("name", [None, "shown"])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_says_what_it_goes_on_from_though_its_provider_does_not_know(name: str | None, stream: bool) -> None:
    response = b'{"id":"r","model":"up","previous_response_id":null,"status":"completed", "output":[]}'
    data = b'data: {"type":"response.completed","response":%b}\n\n' % response if stream else response
    scanner = DIALECT.scanner(stream=stream, model=name)
    scanner.show_previous("resp_1")
    out = scanner.receive_data(data) + scanner.receive_eof()
    shown = b"up" if name is None else b"shown"
    assert out == data.replace(b"null", b'"resp_1"').replace(b'"up"', b'"%b"' % shown)


def test_a_name_of_the_model_that_comes_with_the_end_is_known() -> None:
    data = (
        b'event: response.created\ndata: {"type":"response.created","response":{"id":"r"}}\n\n'
        b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r","model":"late"}}\n\n'
    )
    for model in (None, "mine"):
        for at in range(len(data)):
            scanner = DIALECT.scanner(stream=True, model=model)
            scanner.receive_data(data[:at])
            scanner.receive_data(data[at:])
            scanner.receive_eof()
            assert scanner.model == "late"
