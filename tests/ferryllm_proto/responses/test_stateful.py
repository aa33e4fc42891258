"""Bodies as they are to be answered; what an exchange does with them is in test_remembering."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.inputs import Recalled
from ferryllm_proto.responses.kept import KeptResponse
from ferryllm_proto.responses.stateful import (
    NO_MEMORY,
    KeptTranslator,
    Memory,
    NativeTranslator,
    plan,
    prepare,
    read_wishes,
    translator_for,
)
from ferryllm_proto.snapshot import Provider
from ferryllm_proto.translate import Translator

CHAT = Provider("chat", "openai")
NATIVE = Provider("native", "openai_responses")
FORGETFUL = Provider("forgetful", "openai_responses", keeps_responses=False)
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
    [
        (NO_MEMORY, Translator),
        (Memory(point=True), NativeTranslator),
        (Memory("resp_1", ()), NativeTranslator),
        (Memory(kept=True), KeptTranslator),
    ],
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
    talk = NativeTranslator(Memory(point=True), **OPTIONS)
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


# --- references to items ---------------------------------------------------------------------------------

REFERRING = b'{"model":"m","input":[{"type":"item_reference","id":"rs_1"},{"type":"item_reference","id":"fc_1"}]}'
REFERENCES = {"rs_1": 0, "fc_1": 1}


@pytest.mark.parametrize("provider", [CHAT, NATIVE, FORGETFUL])
def test_items_that_are_kept_take_the_place_of_references(provider: Provider) -> None:
    recalled = Recalled(None, items=(("rs_1", b'{"a":1}'), ("fc_1", b'{"b":1.0}')))
    memory = plan(read_wishes(REFERRING), provider, recalled, store=True, references=REFERENCES)
    assert b'"input":[{"a":1},{"b":1.0}]' in prepare(REFERRING, memory)


def test_items_come_behind_the_answer_that_is_gone_on_from() -> None:
    body = REFERRING[:-1] + b',"previous_response_id":"resp_1"}'
    kept = KeptResponse("resp_1", "", 0.0, "chat", input=(b'{"first":0}',))
    recalled = Recalled(kept, items=(("rs_1", b'{"a":1}'), ("fc_1", b'{"b":1}')))
    memory = plan(read_wishes(body), CHAT, recalled, store=True, references=REFERENCES)
    assert json.loads(prepare(body, memory)) == {"model": "m", "input": [{"first": 0}, {"a": 1}, {"b": 1}]}


@pytest.mark.parametrize("provider", [NATIVE, FORGETFUL])
def test_r8_reasoning_that_the_next_provider_would_look_up_in_vain_is_left_out_and_reported(provider: Provider) -> None:
    body = b'{"model":"m","input":"hi","previous_response_id":"resp_1"}'
    sealed = b'{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"e"}'
    bare = b'{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"s"}]}'
    recalled = Recalled(KeptResponse("resp_1", "", 0.0, "oll", input=(b'{"role":"user"}',), output=(bare, sealed)))
    memory = plan(read_wishes(body), provider, recalled, store=True)
    assert [item.get("id") for item in json.loads(prepare(body, memory))["input"]] == [None, "rs_2", None]
    talk = translator_for(memory)(**OPTIONS)
    assert [(loss.path, loss.disposition.value) for loss in talk.losses] == [
        ("previous_response_id.items[1]", "dropped")
    ]
    assert plan(read_wishes(body), CHAT, recalled, store=True).lost == ()


@pytest.mark.parametrize("provider", [CHAT, FORGETFUL])
def test_an_item_that_is_not_there_is_said_as_openai_says_it(provider: Provider) -> None:
    recalled = Recalled(None, items=(("rs_1", b"{}"),))
    with pytest.raises(RemoteProtocolError) as caught:
        plan(read_wishes(REFERRING), provider, recalled, store=True, references=REFERENCES)
    error = caught.value.error
    assert (error.message, error.param) == ("Item with id 'fc_1' not found.", "input")
    assert error.kind is ir.ErrorKind.NOT_FOUND


def test_a_provider_that_keeps_its_answers_is_asked_for_what_is_not_here() -> None:
    memory = plan(read_wishes(REFERRING), NATIVE, Recalled(None), store=True, references=REFERENCES)
    assert prepare(REFERRING, memory) is REFERRING
    memory = plan(
        read_wishes(REFERRING), NATIVE, Recalled(None, items=(("fc_1", b"{}"),)), store=True, references={"fc_1": 1}
    )
    assert json.loads(prepare(REFERRING, memory))["input"] == [{"type": "item_reference", "id": "rs_1"}, {}]


def test_items_that_could_not_be_looked_for_are_the_gateways_fault() -> None:
    for recalled in (None, Recalled(None, failed=True)):
        with pytest.raises(RemoteProtocolError) as caught:
            plan(read_wishes(REFERRING), NATIVE, recalled, store=True, references=REFERENCES)
        assert caught.value.error.kind is ir.ErrorKind.SERVER


@pytest.mark.parametrize("provider", [NATIVE, FORGETFUL])
def test_r8_a_reference_to_reasoning_without_its_proof_is_left_out_and_reported(provider: Provider) -> None:
    found = (("rs_1", b'{"type":"reasoning","id":"rs_1","summary":[]}'), ("fc_1", b'{"b":1}'))
    memory = plan(read_wishes(REFERRING), provider, Recalled(None, items=found), store=True, references=REFERENCES)
    assert json.loads(prepare(REFERRING, memory))["input"] == [{"b": 1}]
    assert [str(loss).partition(":")[0] for loss in translator_for(memory)(**OPTIONS).losses] == ["dropped input[0]"]


def test_without_a_store_references_are_the_providers_business() -> None:
    for provider in (CHAT, NATIVE, FORGETFUL):
        assert plan(read_wishes(REFERRING), provider, None, store=False, references=REFERENCES) == Memory(
            native=provider is not CHAT
        )


# --- what a provider that keeps its answers does not say -------------------------------------------------

ANSWER = b'{"id":"resp_9","object":"response","created_at":1,"status":"completed","model":"m","output":[],"store":true}'
EVENTS = b'data: {"type":"response.created","response":%b}\n\ndata: {"type":"response.completed","response":%b}\n\n'


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("came", [True, False])
def test_an_answer_in_any_form_says_where_it_is_kept_and_what_it_goes_on_from(asked: bool, came: bool) -> None:
    talk = NativeTranslator(Memory("resp_1", (b"{}",), point=True), **OPTIONS)
    talk.receive_request(
        b'{"model":"m","input":[{"role":"user","content":"hi"}],"stream":%b}' % str(asked).lower().encode()
    )
    response = ANSWER[:-1] + b',"previous_response_id":null}'
    talk.receive_response_head(200, (("content-type", "text/event-stream" if came else "application/json"),))
    out = talk.receive_data(EVENTS % (response, response) if came else response) + talk.receive_eof()
    assert talk.answer_id == "resp_9"
    last = json.loads(out.strip().rpartition(b"data: ")[2])["response"] if asked else json.loads(out)
    assert (last["id"], last["store"], last["previous_response_id"]) == ("resp_9", True, "resp_1")
