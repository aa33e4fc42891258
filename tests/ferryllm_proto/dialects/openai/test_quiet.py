"""U6: what the gateway asked for itself is taken out again, at every split of the bytes; nothing else is touched."""

from __future__ import annotations

import itertools
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import DIALECT, quiet

FIRST = (
    b": OPENROUTER PROCESSING\n\n"
    b'data: {"model":"up","choices":[],"usage":null,"prompt_filter_results":[]}\n\n'
    b'data: {"model":"up","choices":[{"index":0,"delta":{"content":"say \\"usage\\": {\\"choices\\":[]}"}}],"usage":'
    b"null}"
)
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}'
COUNTED = b'data: {"model":"up","choices": [] , "usage": {"prompt_tokens":3,"completion_tokens":2}}'
DONE = b"data: [DONE]"


def stream(end: bytes, *events: bytes) -> bytes:
    return b"".join(event + end for event in events)


def run(data: bytes, edges: list[int], model: str | None = None) -> bytes:
    scanner = DIALECT.quiet_scanner(stream=True, model=model)
    pieces = [data[a:b] for a, b in itertools.pairwise([0, *sorted(edges), len(data)])]
    out = b"".join(scanner.receive_data(piece) for piece in pieces) + scanner.receive_eof()
    assert scanner.usage == ir.Usage(3, output=2)
    assert scanner.finish is ir.FinishReason.END
    assert scanner.complete
    assert scanner.error is None
    assert scanner.missing_end == b""
    return out


ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
LONGEST = len(stream(b"\r\n\r\n", FIRST, FINISH, COUNTED, DONE))


@given(ENDS, st.lists(st.integers(0, LONGEST), max_size=8))
def test_the_chunk_is_gone_at_every_split_and_every_other_byte_stays(end: bytes, cuts: list[int]) -> None:
    data = stream(end, FIRST, FINISH, COUNTED, DONE)
    assert run(data, [min(cut, len(data)) for cut in cuts]) == stream(end, FIRST, FINISH, DONE)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_byte_by_byte_is_no_different(end: bytes) -> None:
    data = stream(end, FIRST, FINISH, COUNTED, DONE)
    assert run(data, list(range(len(data)))) == stream(end, FIRST, FINISH, DONE)


def test_a_name_is_replaced_in_what_is_left() -> None:
    data = stream(b"\n\n", FIRST, FINISH, COUNTED, DONE)
    out = run(data, [40, 200, 350], model="mine")
    assert out == stream(b"\n\n", FIRST.replace(b'"model":"up"', b'"model":"mine"'), FINISH, DONE)


def test_the_chunk_may_be_the_last_and_lack_its_empty_line() -> None:
    for tail in (b"", b"\n", b"\r\n"):
        assert run(stream(b"\n\n", FIRST, FINISH) + COUNTED + tail, []) == stream(b"\n\n", FIRST, FINISH)


def test_whole_events_leave_at_once() -> None:
    scanner = DIALECT.quiet_scanner(stream=True)
    event = FIRST + b"\n\n"
    assert scanner.receive_data(event) == event
    assert scanner.receive_data(COUNTED + b"\n\n" + DONE) == b""
    assert scanner.receive_data(b"\n\n") == DONE + b"\n\n"


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":{"message":"no"},"usage":{}}\n\n',
        b'data: {"choices":[],"usage":{"a":1}\n\n',
        b'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"choices":[],"nested":{"usage":{"prompt_tokens":1}}}\n\n',
        b': {"choices":[],"usage":{"prompt_tokens":1}}\n\n',
    ],
)
def test_what_is_more_or_less_than_a_chunk_with_usage_stays(event: bytes) -> None:
    scanner = DIALECT.quiet_scanner(stream=True)
    assert scanner.receive_data(event) + scanner.receive_eof() == event


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"choices":null,"usage":{"prompt_tokens":1}}\n\n',
        b'event: x\nid: 1\ndata: {"choices":[],\ndata: "usage":{"prompt_tokens":1}}\n\n',
    ],
)
def test_the_chunk_may_have_other_forms(event: bytes) -> None:
    scanner = DIALECT.quiet_scanner(stream=True)
    assert scanner.receive_data(event) + scanner.receive_eof() == b""


def test_no_event_is_held_without_a_bound() -> None:
    scanner = DIALECT.quiet_scanner(stream=True)
    with mock.patch.object(quiet, "MAX_EVENT_SIZE", 100):
        assert scanner.receive_data(b"x" * 60) == b""
        assert scanner.receive_data(b"y" * 60) == b"x" * 60 + b"y" * 60
        assert scanner.receive_data(b"z") == b"z"


def test_a_whole_answer_shows_its_usage_always() -> None:
    scanner = DIALECT.quiet_scanner(stream=False)
    body = b'{"id":"i","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
    assert scanner.receive_data(body) + scanner.receive_eof() == body


_PIECES = [
    b"\r",
    b"\n",
    b"data: ",
    b"data:",
    b'{"choices":[],"usage":{}}',
    b'{"choices":[{}],"usage":{}}',
    b": c",
    b"x",
    b"\xef\xbb\xbf",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=24).map(b"".join), st.lists(st.integers(0, 300), max_size=6))
def test_whatever_comes_the_reads_play_no_part(data: bytes, cuts: list[int]) -> None:
    whole, split = (DIALECT.quiet_scanner(stream=True) for _ in range(2))
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    out = b"".join(split.receive_data(data[a:b]) for a, b in itertools.pairwise(edges)) + split.receive_eof()
    assert out == whole.receive_data(data) + whole.receive_eof()
