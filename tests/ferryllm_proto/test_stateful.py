"""Bodies as they are to be answered; what an exchange does with them is in test_remembering."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.snapshot import Provider
from ferryllm_proto.stateful import (
    NO_MEMORY,
    KeptTranslator,
    Memory,
    NativeTranslator,
    plan,
    prepare,
    read_wishes,
    translator_for,
)
from ferryllm_proto.translate import Translator

CHAT = Provider("chat", "openai")
BODY = b'{ "model":"m","input":"hi","previous_response_id":"resp_1","store":true}'
OPTIONS: dict[str, Any] = {"entry": "openai_responses", "backend": "openai_responses"}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"store":"yes"}', b'{"background":7}', b'{"previous_response_id":[]}']
)
def test_wishes_that_mean_nothing_are_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_wishes(body)


def test_a_body_that_needs_nothing_is_left_alone() -> None:
    body = b'{ "model" : "m","input":"hi"}'
    assert prepare(body, NO_MEMORY) is body
    assert prepare(body, plan(read_wishes(body), CHAT, None, store=True)) is body
    assert prepare(BODY, NO_MEMORY) is BODY
    body = b'{"model":"m","input":"hi","store":false}'
    assert prepare(body, plan(read_wishes(body), CHAT, None, store=True)) is body


def test_what_was_the_gateways_to_do_is_no_wish_to_the_provider() -> None:
    memory = Memory("resp_1", (b'{"a":1}',), kept=True, keep=True)
    prepared = json.loads(prepare(BODY, memory))
    assert set(prepared) == {"model", "input"}
    assert prepared["input"][0] == {"a": 1}


@pytest.mark.parametrize(
    ("memory", "kind"),
    [(NO_MEMORY, Translator), (Memory(point=True), NativeTranslator), (Memory(kept=True), KeptTranslator)],
)
def test_the_machine_follows_from_the_memory(memory: Memory, kind: type[Translator]) -> None:
    assert type(translator_for(memory)(**OPTIONS)) is kind


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("out", [b"", b": ping\n\n", b"data: 7\n\n", b'data: {"type":"error"}\n\n', b"\ndata: {}"])
def test_an_end_that_is_none_is_neither_kept_nor_changed(stream: bool, out: bytes) -> None:
    talk = KeptTranslator(Memory(kept=True, keep=True), entry="openai_responses", backend="openai")
    talk.stream = stream
    if stream:
        assert talk.remember(out, owner="", created=0.0, provider="chat") is None
        assert talk.deny(out) == out


def test_the_place_of_an_answer_is_unknown_until_the_provider_says_it() -> None:
    talk = NativeTranslator(**OPTIONS)
    assert talk.answer_id is None
    talk.receive_request(b'{"model":"m","input":"hi","stream":true}')
    talk.receive_response_head(200, (("content-type", "text/event-stream"),))
    assert talk.answer_id is None
    talk.receive_data(b'data: {"type":"response.created","response":{"id":"resp_9","status":"in_progress"}}\n\n')
    assert talk.answer_id == "resp_9"


@pytest.mark.parametrize("response", [b'{"id":7}', b'{"id":"resp_1","store":false}', b"{}", b'{"id":"","store":true}'])
@pytest.mark.parametrize("model", [None, "shown"])
def test_an_answer_without_a_kept_id_has_none(response: bytes, model: str | None) -> None:
    for stream in (True, False):
        scanner = DIALECTS["openai_responses"].scanner(stream=stream, model=model)
        data = b'data: {"type":"response.completed","response":%b}\n\n' % response if stream else response
        scanner.receive_data(data)
        scanner.receive_eof()
        assert getattr(scanner, "kept_id", "no such member") is None
