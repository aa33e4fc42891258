"""Doors: requests that each dialect reads, of the size that was asked for; marks that only whole answers have."""

from __future__ import annotations

import pytest

from ferryllm_net.bench.answers import fill, script
from ferryllm_net.bench.doors import LONGEST_MARK, door, resolve
from ferryllm_proto import DIALECTS, ir

EACH = pytest.mark.parametrize("dialect", list(DIALECTS))
STREAM = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@EACH
@STREAM
@pytest.mark.parametrize("body_kb", [0, 20, 500])
def test_the_request_is_of_its_dialect_and_of_its_size(dialect: str, stream: bool, body_kb: int) -> None:
    asked = door(dialect, model="m", key="k", stream=stream, body_kb=body_kb)
    request = DIALECTS[dialect].decode_request(asked.body, path=asked.path)
    assert (request.model, request.stream) == ("m", stream)
    if body_kb:
        assert len(asked.body) == pytest.approx(body_kb * 1000, rel=0.15)
        assert request.tools
        assert any(isinstance(part, ir.ToolResult) for turn in request.turns for part in turn.parts)


def test_the_same_seed_is_the_same_body_and_another_is_another() -> None:
    bodies = [door("openai", model="m", key=None, stream=True, body_kb=9, seed=seed).body for seed in (1, 1, 2)]
    assert bodies[0] == bodies[1] != bodies[2]


def test_the_question_at_the_end_can_be_given() -> None:
    asked = door("anthropic", model="m", key=None, stream=False, body_kb=9, prompt="Who are you?")
    last = DIALECTS["anthropic"].decode_request(asked.body).turns[-1].parts[-1]
    assert isinstance(last, ir.Text)
    assert last.text == "Who are you?"


@pytest.mark.parametrize(
    ("dialect", "name", "value"),
    [
        ("openai", "authorization", "Bearer k"),
        ("openai_responses", "authorization", "Bearer k"),
        ("anthropic", "x-api-key", "k"),
        ("gemini", "x-goog-api-key", "k"),
        ("ollama", "authorization", "Bearer k"),
    ],
)
def test_the_key_is_where_the_dialects_clients_put_it(dialect: str, name: str, value: str) -> None:
    assert (name, value) in door(dialect, model="m", key="k", stream=True).headers
    assert all(
        given != "k" and "Bearer" not in given for _, given in door(dialect, model="m", key=None, stream=True).headers
    )


@EACH
@STREAM
def test_the_marks_are_found_in_a_good_answer_and_not_in_a_cut_stream_or_an_error(dialect: str, stream: bool) -> None:
    asked = door(dialect, model="m", key=None, stream=stream)
    answer = script(dialect, stream=stream, chunks=3)
    stamps = [b"@1;"] * 3
    writes = [fill(write, stamps) for write in answer.writes]
    assert all(mark.search(b"".join(writes)) for mark in asked.marks)
    error = DIALECTS[dialect].encode_error(ir.Error(ir.ErrorKind.SERVER, "no"))[1]
    for bad in (error, b"".join(writes[:-1])):
        assert not all(mark.search(bad) for mark in asked.marks)
    found = [mark.search(b"".join(writes)) for mark in asked.marks]
    assert all(one is not None and len(one[0]) < LONGEST_MARK for one in found)


def test_blanks_in_the_json_of_others_do_not_hide_a_mark() -> None:
    (mark,) = door("openai", model="m", key=None, stream=False).marks
    assert mark.search(b'"finish_reason": "stop"')
    assert not mark.search(b'"finish_reason": null')


@pytest.mark.parametrize(
    ("name", "dialect"), [("responses", "openai_responses"), ("chat", "openai"), ("gemini", "gemini")]
)
def test_short_names_of_dialects(name: str, dialect: str) -> None:
    assert resolve(name) == dialect


def test_an_unknown_dialect_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        resolve("smtp")
