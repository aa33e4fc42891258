"""Long bodies, whose words stay as they were written: the same request as by the other way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from ferryllm_proto import ir
from ferryllm_proto.dialect import Peeked
from ferryllm_proto.dialects.anthropic import DIALECT, decode_request
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.written import MIN_BYTES, Said, Written
from support.histories import bodies


def read(body: bytes, *, written: bool) -> ir.Request | str:
    try:
        return decode_request.decode(body, written=decode_request.read_written(body) if written else None)
    except RemoteProtocolError as exc:
        return repr(exc.error)


def body_of(*content: object, role: str = "user", **more: object) -> bytes:
    messages = [{"role": role, "content": list(content)}]
    return json.dumps({"model": "m", "max_tokens": 9, "messages": messages, **more}, ensure_ascii=False).encode()


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def kept(body: bytes) -> list[bool]:
    """Which turns are plain."""
    request = read(body, written=True)
    assert isinstance(request, ir.Request)
    written = Written.of(request.turns)
    assert written is not None
    return [type(one) is Said for one in written.said]


@given(bodies())
def test_the_request_or_its_error_is_the_same(body: bytes) -> None:
    assert read(body, written=True) == read(body, written=False)


RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}


MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize("ttl", [{}, {"ttl": "5m"}, {"ttl": "1h"}])
@pytest.mark.parametrize("spaces", [None, (",", ":")])
def test_a_breakpoint_behind_all_of_a_user_s_turn_is_plain(ttl: dict[str, str], spaces: tuple[str, str] | None) -> None:
    marked = {"cache_control": {"type": "ephemeral", **ttl}}
    for content in ([{**text("a"), **marked}], [RESULT, {**RESULT, **marked}], [RESULT, {**text("a"), **marked}]):
        body = json.dumps(json.loads(body_of(*content)), separators=spaces).encode()
        assert kept(body) == [True]
        assert read(body, written=True) == read(body, written=False)


def test_a_breakpoint_of_the_assistant_is_not() -> None:
    assert kept(body_of({**text("a"), **MARK}, role="assistant")) == [False]
    assert kept(body_of({**CALL, **MARK}, role="assistant")) == [False]


def test_words_calls_and_results_are_plain() -> None:
    assert kept(body_of(text("hi"))) == [True]
    assert kept(body_of(RESULT, {**RESULT, "is_error": False}, text("go on"))) == [True]
    assert kept(body_of(text("ok"), CALL, CALL, role="assistant")) == [True]
    assert kept(body_of(CALL, role="assistant")) == [True]


@pytest.mark.parametrize(
    "content",
    [
        [text("a"), text("b")],
        [text("")],
        [text("a"), RESULT],
        [{**RESULT, "is_error": True}],
        [{**RESULT, "content": [text("a")]}],
        [{**RESULT, "content": None}],
        [{"type": "tool_result", "tool_use_id": "t"}],
        [{**RESULT, **MARK}, text("a")],
        [{**RESULT, **MARK}, RESULT],
        [{**text("a"), "cache_control": {"type": "ephemeral", "new": 1}}],
        [{**RESULT, "cache_control": {"type": "other"}}],
        [{**RESULT, "cache_control": None}],
        [CALL],
    ],
)
def test_what_somebody_has_to_look_at_is_not(content: list[object]) -> None:
    assert kept(body_of(*content)) == [False]


@pytest.mark.parametrize("content", [[CALL, text("a")], [{**CALL, "input": []}], [RESULT]])
def test_what_has_its_own_way_in_an_assistants_turn_is_not(content: list[object]) -> None:
    assert kept(body_of(*content, role="assistant")) == [False]


@pytest.mark.parametrize("size", [20, 20_000, 200_000])
@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xe4\xbd", b"\xed\xa0\x80"])
@pytest.mark.parametrize("block", [text("HERE"), {**RESULT, "content": "HERE"}, {**CALL, "input": {"HERE": 1}}])
def test_bytes_that_are_no_text_are_found_wherever_they_are(size: int, bad: bytes, block: dict[str, object]) -> None:
    role = "assistant" if block["type"] == "tool_use" else "user"
    body = body_of(block, role=role).replace(b"HERE", b"y" * size + bad + b"\xc3\xa9" * size)
    assert "not valid UTF-8" in str(read(body, written=True))
    assert read(body, written=True) == read(body, written=False)


def test_only_long_bodies_are_kept_so_and_the_same_bytes_are_read_once() -> None:
    short, long = body_of(text("hi")), body_of(text("h" * MIN_BYTES))
    assert Written.of(DIALECT.decode_written(short).turns) is None
    assert Written.of(DIALECT.decode_written(long).turns) is not None
    peeked = DIALECT.look(long)
    assert peeked == DIALECT.peek(long) == ("m", False)
    assert isinstance(peeked, Peeked)
    assert DIALECT.decode_written(long, peeked=peeked) == DIALECT.decode_request(long)
    other = body_of(text("o" * MIN_BYTES))
    assert DIALECT.decode_written(other, peeked=peeked) == DIALECT.decode_request(other)


@given(bodies())
def test_a_look_sees_what_a_peek_sees(body: bytes) -> None:
    found: list[object] = []
    for see in (DIALECT.look, DIALECT.peek):
        try:
            found.append(see(body))
        except RemoteProtocolError as exc:
            found.append(repr(exc.error))
    assert found[0] == found[1]
