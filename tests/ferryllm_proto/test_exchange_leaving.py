"""What is believed of those who look for a way round: leaving early, a second name, counts that can not be."""

from __future__ import annotations

import json

import msgspec
import pytest

from ferryllm_proto import Gateway, ir
from ferryllm_proto.actions import Admit, Outcome, Settle
from ferryllm_proto.entries import Forward
from ferryllm_proto.inputs import (
    Admitted,
    ClientBody,
    ClientLost,
    ClientRequest,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
)
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import Admission, ClientKey, Desk, KeyBook, KeyLimits
from support.driver import GATEWAY, HOST, JSON, SSE, WHOLE, Driver, only

SECRET = "fk-one-0123456789"
AUTH = ("x-api-key", SECRET)
KEY = ClientKey("k1", key_digest(SECRET), limits=KeyLimits(tokens_per_minute=10_000))


def limited(key: ClientKey = KEY, *forwards: Forward) -> Gateway:
    return msgspec.structs.replace(GATEWAY, keys=KeyBook((key,)), admits=True, forwards=forwards)


class Desked(Driver):
    """A driver with a desk that lets everything in."""

    def __init__(self, gateway: Gateway) -> None:
        assert gateway.keys is not None
        self.desk = Desk(gateway.keys)
        super().__init__(gateway, desk=self.desk)

    def admit(self) -> None:
        (admit,) = only(self.actions, Admit)
        found = self.desk.admit(admit.key, admit.ask, self.now, 1_760_000_000.0)
        assert isinstance(found, Admission)
        self.feed(Admitted(found, 0.0))

    def settled(self) -> Settle:
        (settle,) = only(self.actions, Settle)
        return settle


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


STARTED: dict[str, object] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "x",
    "content": [],
    "stop_reason": None,
}


@pytest.mark.parametrize("model", ["same-x", "chat-x"])
def test_who_leaves_a_stream_before_its_end_pays_what_was_set_aside(model: str) -> None:
    """A Messages stream says 1 token of output at its beginning, and the truth at its end."""
    gateway = limited()
    backend = msgspec.structs.replace(gateway.providers["chat"], dialect="anthropic")
    driver = Desked(msgspec.structs.replace(gateway, providers={**gateway.providers, "chat": backend}))
    driver.ask(AUTH, model=model, path="/v1/chat/completions" if model == "chat-x" else "/v1/messages")
    driver.admit()
    driver.feed(UpstreamHead(200, (SSE,)))
    usage = {"input_tokens": 10, "output_tokens": 1}
    driver.feed(UpstreamData(_event("message_start", message={**STARTED, "usage": usage})))
    driver.feed(UpstreamData(_event("content_block_start", index=0, content_block={"type": "text", "text": ""})))
    delta = {"type": "text_delta", "text": "all of it"}
    driver.feed(UpstreamData(_event("content_block_delta", index=0, delta=delta)))
    driver.feed(ClientLost())
    assert driver.settled() == Settle(driver.settled().admission, None, None, took_place=True)
    assert driver.record.usage == ir.Usage(input=10)
    assert driver.record.outcome is Outcome.CANCELLED


def test_who_leaves_before_a_whole_answer_pays_what_was_set_aside() -> None:
    driver = Desked(limited())
    driver.ask(AUTH, stream=False)
    driver.admit()
    driver.feed(ClientLost())
    assert (driver.settled().tokens, driver.settled().took_place) == (None, True)


def test_no_count_that_nobody_can_believe_is_settled() -> None:
    driver = Desked(limited())
    driver.ask(AUTH, stream=False)
    driver.admit()
    driver.feed(UpstreamHead(200, (JSON,)))
    driver.feed(UpstreamData(WHOLE.replace(b'"prompt_tokens": 9', b'"prompt_tokens": 9' + b"0" * 30)))
    driver.feed(UpstreamEnd())
    assert driver.status == 200
    assert driver.settled().tokens is None


@pytest.mark.parametrize("second", ["Model", "MODEL", "mod\\u0065l"])
def test_no_key_gets_round_its_models_by_a_second_name(second: str) -> None:
    gateway = limited(msgspec.structs.replace(KEY, models=("same-small", "gpt-*")), Forward("/v1/x", "chat"))
    for path, model in (("/v1/messages", "same-small"), ("/v1/x", "gpt-small")):
        driver = Driver(gateway)
        driver.feed(ClientRequest("POST", path, (HOST, JSON, AUTH)))
        body = f'{{"{second}":"same-big","model":"{model}","max_tokens":9,"messages":[]}}'
        driver.feed(ClientBody(body.encode()))
        assert driver.status == 400
        assert (driver.record.refused, driver.record.attempts) == ("model", 0)
