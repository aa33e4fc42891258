"""The official SDKs as judges raise for what their users could not use."""

from __future__ import annotations

import json

import pytest

from support import oracles
from support.answers import CREATED, DONE, ROLE, STREAM, TEXT, WHOLE, chunk, event, message_start, numbered, text_block

DIALECTS = ["openai", "openai_responses", "anthropic"]


def text_of(dialect: str, answer: object) -> str:
    dumped = answer.model_dump(mode="json", warnings=False)  # type: ignore[attr-defined]  # all three are pydantic
    if dialect == "openai":
        return str(dumped["choices"][0]["message"]["content"])
    parts = dumped["content"] if dialect == "anthropic" else dumped["output"][0]["content"]
    return "".join(part["text"] for part in parts)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_good_answers_are_read(dialect: str) -> None:
    assert text_of(dialect, oracles.whole(dialect, WHOLE[dialect])) == TEXT
    assert text_of(dialect, oracles.stream(dialect, STREAM[dialect])) == TEXT


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'"text"', b'{"id":5}'])
def test_what_is_no_answer_is_refused(dialect: str, body: bytes) -> None:
    with pytest.raises(Exception, match=r".*"):
        oracles.whole(dialect, body)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_missing_or_mistyped_field_is_refused(dialect: str) -> None:
    good = json.loads(WHOLE[dialect])
    key = {"openai": "choices", "openai_responses": "output", "anthropic": "content"}[dialect]
    for bad in ({name: value for name, value in good.items() if name != key}, {**good, key: 5}):
        with pytest.raises(Exception, match=r".*"):
            oracles.whole(dialect, json.dumps(bad).encode())


TORN = {
    "openai": ROLE + b"data: {not json}\n\n" + DONE,
    "openai_responses": numbered(CREATED),
    "anthropic": text_block(0, "x"),
}
FAILED = {
    "openai": ROLE + chunk({"content": "x"}) + b'data: {"error":{"message":"no","type":"x"}}\n\n',
    "openai_responses": numbered(CREATED) + event("error", sequence_number=1, message="no", code="x", param=None),
    "anthropic": message_start() + event("error", error={"type": "api_error", "message": "no"}),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streams", [TORN, FAILED], ids=["torn", "failed"])
def test_broken_streams_raise(dialect: str, streams: dict[str, bytes]) -> None:
    with pytest.raises(Exception, match=r".*"):
        oracles.stream(dialect, streams[dialect])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_is_the_sdks_own_and_a_good_answer_is_none(dialect: str) -> None:
    body = b'{"type":"error","error":{"type":"x","message":"no"}}'
    exc = oracles.error(dialect, 429, {"content-type": "application/json"}, body)
    assert type(exc).__name__ == "RateLimitError"
    with pytest.raises(AssertionError, match="took status 200"):
        oracles.error(dialect, 200, {"content-type": "application/json"}, WHOLE[dialect])
