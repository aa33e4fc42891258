"""What a stream loses behind its head reaches the client: as a trailer, and where the dialect has a place for it."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto.actions import Finish, Outcome, SendHead
from ferryllm_proto.inputs import (
    ClientBody,
    ClientRequest,
    Stored,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.stages import State
from support.driver import DONE, HOST, JSON, PONG, ROLE, SSE, STOP, Driver, assert_invariants, chunk, only

ENTRIES: dict[str, tuple[str, dict[str, object]]] = {
    "openai": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "openai_responses": ("/v1/responses", {"input": "hi"}),
    "anthropic": ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    "gemini": ("/v1beta/models/M:streamGenerateContent?alt=sse", {"contents": [{"parts": [{"text": "hi"}]}]}),
    "ollama": ("/api/chat", {"messages": [{"role": "user", "content": "hi"}]}),
}
LOST = chunk({"content": "b", "executed_tools": [{"index": 0, "type": "python", "arguments": "{}", "output": "1"}]})
PAUSE = b"".join(
    b"event: %b\ndata: %b\n\n" % (name, data)
    for name, data in (
        (b"content_block_stop", b'{"type":"content_block_stop","index":0}'),
        (
            b"content_block_start",
            b'{"type":"content_block_start","index":1,"content_block":{"type":"martian","x":1}}',
        ),
        (b"content_block_stop", b'{"type":"content_block_stop","index":1}'),
        (b"message_delta", b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}'),
        (b"message_stop", b'{"type":"message_stop"}'),
    )
)
BEGUN = b"".join(
    b"event: %b\ndata: %b\n\n" % (name, data)
    for name, data in (
        (
            b"message_start",
            (
                b'{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],'
                b'"model":"m","stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}'
            ),
        ),
        (
            b"content_block_start",
            b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
        ),
        (b"content_block_delta", b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}'),
    )
)


def asked(entry: str, *more: tuple[str, str]) -> Driver:
    """A stream of the entry's dialect that loses something behind its head, up to there."""
    model = "chat-x" if entry == "anthropic" else "same-x"
    path, fields = ENTRIES[entry]
    driver = Driver()
    driver.feed(ClientRequest("POST", path.replace("M", model), (HOST, JSON, *more)))
    body = fields if entry == "gemini" else {"model": model, "stream": True, **fields}
    driver.feed(ClientBody(json.dumps(body).encode()))
    driver.feed(UpstreamHead(200, (SSE,)))
    return driver


@pytest.mark.parametrize("te", [(), (("TE", "trailers, deflate;q=0.5"),)], ids=["silent", "te"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_g4_what_a_stream_loses_behind_its_head_is_told_at_its_end(entry: str, te: tuple[tuple[str, str], ...]) -> None:
    driver = asked(entry, *te)
    begun, rest = (ROLE + PONG, LOST + STOP + DONE) if entry == "anthropic" else (BEGUN, PAUSE)
    driver.feed(UpstreamData(begun))
    (head,) = only(driver.actions, SendHead)
    assert "x-ferryllm-loss" not in dict(head.headers)
    driver.feed(UpstreamData(rest))
    driver.feed(UpstreamEnd())
    if driver.exchange.state is State.KEEPING:
        driver.feed(Stored(ok=True))
    assert_invariants(driver)
    (finish,) = only(driver.actions, Finish)
    value = ", ".join(f"{loss.disposition.value} {loss.path}" for loss in driver.record.losses)
    if te or entry in ("gemini", "ollama"):
        assert finish.trailers == (("x-ferryllm-loss", value),)
    else:
        assert finish.trailers == (), "it has a comment, and nobody asked for trailers"
    word = "executed_tools" if entry == "anthropic" else "martian"
    assert f"dropped {word}" in value or f"dropped content.{word}" in value, value
    comment = f": x-ferryllm-loss: {value}\n\n".encode()
    assert (comment in driver.body) is (entry in ("openai", "openai_responses", "anthropic"))
    if entry == "ollama":
        assert json.loads(driver.body.splitlines()[-1])["ferryllm_loss"] == value.split(", ")


@pytest.mark.parametrize("entry", ENTRIES)
def test_g4_a_stream_that_leaves_in_one_piece_has_them_in_its_head(entry: str) -> None:
    driver = asked(entry)
    driver.feed(UpstreamData(ROLE + PONG + LOST + STOP + DONE if entry == "anthropic" else BEGUN + PAUSE))
    driver.feed(UpstreamEnd())
    if driver.exchange.state is State.KEEPING:
        driver.feed(Stored(ok=True))
    assert_invariants(driver)
    (head,) = only(driver.actions, SendHead)
    assert [name for name, _ in head.headers].count("x-ferryllm-loss") == 1
    value = dict(head.headers)["x-ferryllm-loss"]
    assert value == ", ".join(f"{loss.disposition.value} {loss.path}" for loss in driver.record.losses)
    assert only(driver.actions, Finish) == [Finish()]


def test_g4_a_stream_that_fails_says_what_it_had_lost() -> None:
    driver = asked("gemini")
    driver.feed(UpstreamData(BEGUN + PAUSE[: PAUSE.index(b"event: message_delta")]))
    driver.feed(UpstreamLost("reset"))
    (finish,) = only(driver.actions, Finish)
    assert "martian" in dict(finish.trailers)["x-ferryllm-loss"]
    assert driver.record.outcome is Outcome.TRUNCATED


def test_g4_no_loss_no_trailer() -> None:
    driver = Driver()
    driver.ask(model="same-x")
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(BEGUN))
    driver.feed(UpstreamData(PAUSE))
    driver.feed(UpstreamEnd())
    assert only(driver.actions, Finish) == [Finish()]
