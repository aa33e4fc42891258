"""The words of a provider's error, fit for a client."""

from __future__ import annotations

import pytest

from ferryllm_proto.error_text import MAX_MESSAGE, page, spoken, trimmed, unframed, unsuccessful


@pytest.mark.parametrize(
    "key",
    ["sk-proj-abcdefgh12345678", "sk-ant-api03-xxxxxxxx", "gsk_abcdefghijkl", "AIzaSyA-1234567890", "xai-12345678abc"],
)
def test_e9_keys_are_taken_out(key: str) -> None:
    assert key not in trimmed(f"Incorrect API key provided: {key}. Try again")
    assert trimmed(f"bad key {key}!").startswith("bad key [key]")


@pytest.mark.parametrize(
    "text",
    ["prompt is too long: 9 tokens > 8 maximum", "key-value pairs are missing", "the key is wrong", "task-based"],
)
def test_words_stay(text: str) -> None:
    assert trimmed(text) == text


def test_long_messages_are_cut() -> None:
    assert len(trimmed("x" * 10_000)) == MAX_MESSAGE
    assert len(page(b"<p>" + b"x" * 1_000_000)) == MAX_MESSAGE


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b"<html><head><title>502</title><style>a{}</style></head><body><h1>Bad\n  Gateway</h1></body></html>",
            "502 Bad Gateway",
        ),
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
        (
            b"upstream connect error at http://10.0.0.7:8080/v1 via llm.prod.internal",
            "upstream connect error at [host] via [host]",
        ),
        (b"from 192.168.0.1:99 and api.example.com: no", "from [host] and [host]: no"),
        (b"version 1.2.3 failed", "version 1.2.3 failed"),
        (b"", ""),
        (b" \n", ""),
        (b"<script>alert(1)</script>", ""),
    ],
)
def test_e9_pages_become_a_sentence(body: bytes, words: str) -> None:
    assert page(body) == words


def test_bytes_that_are_no_text_do_not_raise() -> None:
    assert page(b"\xff\xfe") == "\ufffd\ufffd"


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'event: error\ndata: {"a":1}\n\n', b'{"a":1}'),
        (b'\n\ndata:{"a":1}', b'{"a":1}'),
        (b'{"a":1}', b'{"a":1}'),
        (b"event: only", b"event: only"),
        (b": prose", b": prose"),
    ],
)
def test_an_error_sent_as_a_stream_is_its_first_event(body: bytes, data: bytes) -> None:
    assert unframed(body) == data


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":{"message":"a"}}', "a"),
        (b'{"error":"a"}', "a"),
        (b'[{"error":{"message":"a"}}]', "a"),
        (b'{"detail":[{"loc":["body"],"msg":"a","type":"x"}]}', "a"),
        (b'{"detail":{"message":"a"}}', "a"),
        (b'{"errors":[{"message":"a"},{"message":"b"}]}', "a"),
        (b'{"message":"key sk-abcdefghijkl"}', "key [key]"),
        (b'{"error":{},"message":"a"}', "a"),
        (b'{"a":{"message":"b"}}', ""),
        (b'{"error":' * 9 + b'"deep"' + b"}" * 9, ""),
        (b"{}", ""),
        (b"[]", ""),
        (b"5", ""),
        (b"{", ""),
    ],
)
def test_e9_the_words_are_found_in_objects_of_every_server(body: bytes, words: str) -> None:
    assert spoken(body) == words


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b'{"success":false,"message":"a"}', True),
        (b'{"message":"a", "success" : false }', True),
        (b'{"success":true}', False),
        (b'{"a":{"success":false}}', False),
        (b'{"success":fal', False),
        (b"{}", False),
    ],
)
def test_e8_an_object_that_says_there_is_no_answer(body: bytes, verdict: bool) -> None:
    assert unsuccessful(body) is verdict
