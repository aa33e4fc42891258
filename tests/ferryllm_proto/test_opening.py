"""What an answer is shows in its first bytes, and what is none is named."""

from __future__ import annotations

import gzip

import pytest

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.opening import MAX_PAGE, MAX_SHOWN, MAX_UNDECIDED, Form, Opening, broken, described, unwrapped

SPLIT = ir.Error(ir.ErrorKind.TRUNCATED, "the stream stopped")


def opening(dialect: str = "openai", *, stream: bool = True) -> Opening:
    return Opening(DIALECTS[dialect], 200, (), stream=stream)


@pytest.mark.parametrize(
    ("dialect", "data", "form"),
    [
        ("openai", b"data: {}", Form.STREAM),
        ("openai", b": comment", Form.STREAM),
        ("openai", b"{", Form.WHOLE),
        ("openai", b"[", Form.WHOLE),
        ("gemini", b"[", Form.STREAM),
        ("ollama", b'{"a', Form.STREAM),
        ("ollama", b"[", Form.WHOLE),
        ("openai", b" \r\n", Form.UNKNOWN),
        ("openai", b"\xef\xbb\xbf{", Form.WHOLE),
        ("openai", b"<", Form.UNKNOWN),
        ("openai", b"<" * (MAX_PAGE + 1), Form.PAGE),
        ("openai", gzip.compress(b"x", mtime=0), Form.PAGE),
    ],
)
def test_s10_the_form_shows_in_the_first_bytes(dialect: str, data: bytes, form: Form) -> None:
    assert opening(dialect).receive_data(data) is form


def test_s10_what_does_not_show_is_waited_for_but_not_for_ever() -> None:
    one = opening("ollama", stream=False)
    assert one.receive_data(b'{"message":') is Form.UNKNOWN
    assert one.receive_data(b'{}, "done":false}') is Form.STREAM
    two = opening("ollama", stream=False)
    assert two.receive_data(b'{"message":') is Form.UNKNOWN
    assert two.receive_eof() is Form.WHOLE
    assert two.take() == b'{"message":'
    assert opening("ollama", stream=False).receive_data(b'{"m":"' + b"x" * MAX_UNDECIDED) is Form.WHOLE


def test_s9_the_bytes_are_all_there_but_for_the_mark() -> None:
    one = opening()
    for piece in (b"\xef", b"\xbb\xbf\n", b" ", b"data"):
        form = one.receive_data(piece)
    assert form is Form.STREAM
    assert one.take() == b"\n data"
    assert one.take() == b""


def test_g11_blanks_without_end_are_not_kept() -> None:
    one = opening()
    for _ in range(100):
        assert one.receive_data(b"\n" * 1024) is Form.UNKNOWN
    assert one.receive_data(b"{") is Form.WHOLE
    assert len(one.take()) < MAX_UNDECIDED + 1024


def test_t4_the_end_of_nothing_is_an_empty_answer() -> None:
    one = opening()
    assert one.receive_eof() is Form.EMPTY
    assert one.fault().message == "the provider sent an empty answer"
    one.receive_data(b"<html>no")
    assert one.receive_eof() is Form.PAGE
    assert one.fault().message == "the provider answered with status 200 and an HTML page (no) instead of an answer"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"data: {}", "the stream stopped"),
        (b"event: x", "the stream stopped"),
        (b": x", "the stream stopped"),
        (b'{"a"', "the stream stopped"),
        (b"no healthy upstream", "the stream stopped: it sent text (no healthy upstream)"),
    ],
)
def test_e9_only_what_is_of_no_protocol_is_shown(data: bytes, said: str) -> None:
    one = opening()
    one.receive_data(data)
    assert one.explain(SPLIT).message == said


def test_e9_a_providers_own_error_is_left_alone() -> None:
    one = opening()
    one.receive_data(b"prose")
    for error in (
        ir.Error(ir.ErrorKind.UPSTREAM, "own", dialect="openai"),
        ir.Error(ir.ErrorKind.RATE_LIMIT, "ours"),
    ):
        assert one.explain(error) is error


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><title>502 Bad Gateway</title>", "an HTML page (502 Bad Gateway)"),
        (b"<HTML></HTML>", "an HTML page"),
        (b"<Error><Code>AccessDenied</Code></Error>", "markup (AccessDenied)"),
        (b"plain\nwords", "text (plain words)"),
        (bytes(range(128, 255)), "bytes that are no text"),
        (b"\x00\x01\x02", "bytes that are no text"),
        (gzip.compress(b"x", mtime=0), "gzip bytes without saying so (content-encoding)"),
        (b"key sk-abcdefghijkl at https://a.internal/x", "text (key [key] at [host])"),
    ],
)
def test_e9_what_came_in_a_few_words(body: bytes, words: str) -> None:
    assert described(body) == words


def test_e9_the_words_are_few() -> None:
    assert len(described(b"word " * 1000)) < MAX_SHOWN + 10


@pytest.mark.parametrize(
    ("body", "inner"),
    [
        (b'[{"error":{"a":1}}]', b'{"error":{"a":1}}'),
        (b'[{"a":1}]', b'[{"a":1}]'),
        (b'{"error":1}', b'{"error":1}'),
        (b'["error"', b'["error"'),
        (b'[ {"error": 1}, 2 ]', b'{"error": 1}'),
    ],
)
def test_e8_an_error_in_an_array_is_the_error(body: bytes, inner: bytes) -> None:
    assert unwrapped(body) == inner


@pytest.mark.parametrize("body", [b'{"a":', b"{} x", b"", b"[]", b"1", b"\xff"])
def test_t1_half_of_an_answer_is_broken(body: bytes) -> None:
    found = broken(body)
    assert found is not None
    assert found.kind is ir.ErrorKind.UPSTREAM


@pytest.mark.parametrize("body", [b"{}", b'\xef\xbb\xbf\n{"a":[1]} \r\n'])
def test_t1_a_whole_answer_is_not(body: bytes) -> None:
    assert broken(body) is None
