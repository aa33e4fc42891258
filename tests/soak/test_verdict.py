"""The judge of the soak finds what it is there for."""

from __future__ import annotations

import random

import pytest

from soak.marks import Question, mark_in, new_mark, question, streamed, whole
from soak.verdict import judge
from support.answers import DIALECTS
from support.faults.catalogue import FAULTS
from support.faults.rig import Reply

MARK = new_mark(random.Random(1), 3, 10)
OTHER = new_mark(random.Random(2), 3, 10)


def ask(entry: str = "openai", backend: str = "openai", *, stream: bool = False) -> Question:
    return question(entry, backend, "echo", MARK, stream=stream)


def reply(body: bytes, status: int = 200, *, whole: bool = True) -> Reply:
    return Reply(status, [("content-type", "application/json")], body, whole, 0.1)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_answers_with_their_mark_are_right(dialect: str) -> None:
    assert judge(ask(dialect, dialect), reply(whole(dialect, MARK.text))) == "whole"
    assert judge(ask(dialect, dialect, stream=True), reply(streamed(dialect, MARK.parts))) == "stream"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_carries_its_mark(dialect: str) -> None:
    asked = ask(dialect, dialect)
    assert mark_in(asked.body) == MARK


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_of_another_request_is_found(stream: bool) -> None:
    body = streamed("openai", OTHER.parts) if stream else whole("openai", OTHER.text)
    with pytest.raises(AssertionError, match="another request"):
        judge(ask(stream=stream), reply(body))


def test_a_text_that_lacks_a_piece_is_found() -> None:
    parts = MARK.parts
    with pytest.raises(AssertionError, match="another text"):
        judge(ask(stream=True), reply(streamed("openai", [*parts[:-2], parts[-1]])))


def test_a_cut_answer_is_found() -> None:
    body = streamed("openai", MARK.parts)
    with pytest.raises(AssertionError, match="was cut"):
        judge(ask(stream=True), reply(body, whole=False))
    with pytest.raises(AssertionError, match="neither an end nor an error"):
        judge(ask(stream=True), reply(body[: len(body) // 2]))


def test_a_good_end_of_an_answer_that_the_provider_cut_is_found() -> None:
    with pytest.raises(AssertionError, match="without an error"):
        judge(ask("ollama", stream=True), reply(streamed("ollama", MARK.parts)), FAULTS["cut-chunk"])


def test_an_error_that_its_client_can_not_read_is_found() -> None:
    good = b'{"error":{"message":"no","type":"server_error","param":null,"code":null}}'
    assert judge(ask(), reply(good, 502), FAULTS["close-before-head"]) == "status"
    untyped = good.replace(b'"type":', b'"kind":')
    with pytest.raises(KeyError, match="type"):
        judge(ask("anthropic"), reply(untyped, 502), FAULTS["close-before-head"])
    with pytest.raises(AssertionError, match="status 502"):
        judge(ask(), reply(good, 502))
