"""Pass-through: nothing changes but the name, and the scanner sees what the decoder sees."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import held, ir
from ferryllm_proto.dialect import Scanner
from ferryllm_proto.dialects.openai import DIALECT, scan

STREAM = (
    b": OPENROUTER PROCESSING\n\n"
    b'data: {"id":"i", "model" : "up","choices":[{"index":0,"delta":{"content":"a \\"model\\": \xe2\x80\xa8"},'
    b'"finish_reason":null}],"usage":null}\r\n\r\n'
    b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]},"finish_reason":null}],"model":"up"}\n\n'
    b'data: {"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"nested":{"model":"up"}}\n\n'
    b'data: {"model":"up","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    b"data: [DONE]\n\n"
)
RENAMED = (
    STREAM.replace(b'"model" : "up"', b'"model" : "mine"')
    .replace(b'],"model":"up"}', b'],"model":"mine"}')
    .replace(b'data: {"model":"up"', b'data: {"model":"mine"')
)


def run(scanner: Scanner, *pieces: bytes) -> bytes:
    return b"".join(scanner.receive_data(piece) for piece in pieces) + scanner.receive_eof()


def check(scanner: Scanner) -> None:
    assert scanner.usage == ir.Usage(3, output=2)
    assert scanner.finish is ir.FinishReason.TOOL_USE
    assert scanner.complete
    assert scanner.error is None


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_g1_bytes_pass_at_once_and_untouched(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    scanner = DIALECT.scanner(stream=True)
    for a, b in itertools.pairwise(edges):
        assert scanner.receive_data(STREAM[a:b]) == STREAM[a:b]
    assert scanner.receive_eof() == b""
    check(scanner)


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_g2_m1_only_the_name_at_its_place_changes(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    scanner = DIALECT.scanner(stream=True, model="mine")
    assert run(scanner, *(STREAM[a:b] for a, b in itertools.pairwise(edges))) == RENAMED
    check(scanner)


def test_an_event_without_its_blank_line_is_seen() -> None:
    scanner = DIALECT.scanner(stream=True, model="mine")
    assert run(scanner, b'data: {"model":"up","choices":[{"finish_reason": "stop"}]}') == (
        b'data: {"model":"mine","choices":[{"finish_reason": "stop"}]}'
    )
    assert scanner.complete


def test_t1_a_cut_stream_is_not_complete() -> None:
    scanner = DIALECT.scanner(stream=True)
    run(scanner, STREAM[:300])
    assert not scanner.complete


def test_t6_an_error_in_the_stream() -> None:
    scanner = DIALECT.scanner(stream=True)
    run(scanner, b'data: {"error":{"message":"m","code":429}}\n\n')
    assert scanner.error is not None
    assert scanner.error.kind is ir.ErrorKind.RATE_LIMIT
    assert not scanner.complete


def test_other_ends_and_places() -> None:
    scanner = DIALECT.scanner(stream=True)
    run(
        scanner,
        b'data: {"x_groq":{"usage":{"prompt_tokens":1}},"choices":[{"delta":{"refusal":"no"},'
        b'"finish_reason":"stop"}]}\n\n',
    )
    assert (scanner.usage, scanner.finish) == (ir.Usage(1), ir.FinishReason.REFUSAL)
    only_done = DIALECT.scanner(stream=True)
    run(only_done, b"data: [DONE]\n\n")
    assert (only_done.finish, only_done.complete) == (ir.FinishReason.END, True)


@pytest.mark.parametrize(
    "data", [b'data: {"model":"up","finish_reason":"x"\n\n', b'data: {"model\\q":1,"model":"up"}\n\n', b"data: {\n\n"]
)
def test_broken_events_pass_as_they_are(data: bytes) -> None:
    assert run(DIALECT.scanner(stream=True), data) == data
    scanner = DIALECT.scanner(stream=True, model="mine")
    assert b"data: {" in run(scanner, data)


def test_g11_lines_without_end_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MAX_EVENT_SIZE", 100)
    data = b"data: " + b"x" * 200
    for model in (None, "mine"):
        scanner = DIALECT.scanner(stream=True, model=model)
        assert run(scanner, data, data, b"\n\n") == data + data + b"\n\n"


BODY = json.dumps(
    {
        "id": "i",
        "model": "up",
        "choices": [{"message": {"content": "up"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
).encode()


def test_a_whole_answer() -> None:
    plain = DIALECT.scanner(stream=False)
    assert plain.receive_data(BODY[:20]) == BODY[:20]
    assert plain.receive_data(BODY[20:]) == BODY[20:]
    assert plain.receive_eof() == b""
    assert (plain.usage, plain.finish, plain.complete) == (ir.Usage(3, output=2), ir.FinishReason.END, True)
    named = DIALECT.scanner(stream=False, model="mine")
    assert named.receive_data(BODY) == b""
    assert named.receive_eof() == BODY.replace(b'"model": "up"', b'"model": "mine"')
    assert named.complete


def test_an_error_as_a_whole_answer_and_nothing_at_all() -> None:
    scanner = DIALECT.scanner(stream=False)
    run(scanner, b'{"error":{"message":"m"}}')
    assert scanner.error is not None
    assert not scanner.complete
    empty = DIALECT.scanner(stream=False, model="mine")
    assert empty.receive_eof() == b""


def test_g11_a_body_too_long_passes_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_BODY", 30)
    for model in (None, "mine"):
        assert run(DIALECT.scanner(stream=False, model=model), BODY[:20], BODY[20:40], BODY[40:]) == BODY


def test_m1_the_name_is_found_again_in_chunks_that_begin_alike_and_in_those_that_do_not() -> None:
    scanner = DIALECT.scanner(stream=True, model="mine")
    alike = b'data: {"id":"i","model":"up","choices":[{"delta":{"content":"%d"}}]}\n\n'
    for n in range(3):
        assert scanner.receive_data(alike % n) == (alike % n).replace(b'"up"', b'"mine"')
    twice = b'data: {"id":"i","model":"up","x":1,"model":"up2"}\n\n'
    assert scanner.receive_data(twice) == twice.replace(b'"up2"', b'"mine"')  # the last one counts, as for decoders
    longer = b'data: {"id":"i","model":"up-long"}\n\n'
    assert scanner.receive_data(longer) == longer.replace(b"up-long", b"mine")
    nested = b'data: {"id":"i","x":{"model":"up"}}\n\n'
    assert scanner.receive_data(nested) == nested
