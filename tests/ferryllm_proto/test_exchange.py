"""The life of one request, with every fault at every step, without a socket."""

from __future__ import annotations

import json

import msgspec
import pytest

from ferryllm_proto import LocalProtocolError, ir
from ferryllm_proto.actions import (
    Abort,
    Action,
    Finish,
    Note,
    Open,
    Outcome,
    ReadBody,
    Record,
    Release,
    SendBody,
    SendHead,
)
from ferryllm_proto.exchange import GOODBYE_SECS
from ferryllm_proto.inputs import (
    ClientBody,
    ClientFault,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Input,
    Recalled,
    Stopping,
    Stored,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import ClientKey, KeyBook
from ferryllm_proto.stages import TRANSITIONS, State
from support import grammar
from support.driver import (
    DONE,
    GATEWAY,
    HOST,
    JSON,
    PONG,
    ROLE,
    SSE,
    STOP,
    WHOLE,
    Driver,
    assert_invariants,
    kinds,
    only,
)

# --- the good ways ---------------------------------------------------------------------------------------


def test_a_streamed_answer_is_translated_as_it_comes() -> None:
    driver = Driver()
    (opened,) = only(driver.ask(), Open)
    assert opened.provider == "chat"
    assert opened.request.path == "/v1/chat/completions"
    assert json.loads(opened.request.body)["model"] == "gpt-5.4"
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE))
    assert only(driver.actions, SendHead) == []
    assert b"pong" in only(driver.feed(UpstreamData(PONG)), SendBody)[0].data
    driver.feed(UpstreamData(STOP))
    driver.feed(UpstreamData(DONE))
    driver.feed(UpstreamEnd())
    assert_invariants(driver)
    seen = grammar.messages(driver.body)
    assert (seen.text, seen.ended, seen.finish) == ("pong", True, "end_turn")
    assert driver.record.outcome is Outcome.OK
    assert driver.record.finish is ir.FinishReason.END
    assert b'"model":"claude-x"' in driver.body.replace(b": ", b":")
    assert b"gpt-5.4" not in driver.body


def test_a_whole_answer_is_sent_in_one_go() -> None:
    driver = Driver()
    driver.ask(stream=False)
    driver.feed(UpstreamHead(200, (JSON,)))
    assert driver.feed(UpstreamData(WHOLE[:50])) == []
    driver.feed(UpstreamData(WHOLE[50:]))
    assert kinds(driver.feed(UpstreamEnd())) == [SendHead, SendBody, Finish, Record]
    assert_invariants(driver)
    answer = json.loads(driver.body)
    assert answer["content"][0]["text"] == "pong"
    assert answer["model"] == "claude-x"
    assert driver.record.usage == ir.Usage(input=9, output=1) or driver.record.usage is not None
    assert driver.record.usage.output == 1


def test_notes_are_the_four_lines_in_order() -> None:
    driver = Driver()
    driver.ask(stream=False)
    driver.feed(UpstreamHead(200, (JSON,)), after=1.234)
    notes = only(driver.actions, Note)
    assert [note.name for note in notes] == [
        "incoming request",
        "resolved route",
        "sending chat request",
        "backend response ok",
    ]
    assert notes[0].fields == {"entry": "anthropic", "model": "claude-x", "stream": False}
    assert notes[1].fields == {
        "entry": "anthropic",
        "display_model": "claude-x",
        "backend_model": "gpt-5.4",
        "provider": "chat",
    }
    assert notes[2].fields == {"provider": "chat", "model": "gpt-5.4", "stream": False}
    assert notes[3].fields == {"provider": "chat", "status": 200, "latency_ms": 1234}


def test_same_inputs_give_the_same_bytes() -> None:
    def run() -> list[Action]:
        driver = Driver()
        driver.ask()
        driver.feed(UpstreamHead(200, (SSE,)))
        for data in (ROLE, PONG, STOP + DONE):
            driver.feed(UpstreamData(data))
        driver.feed(UpstreamEnd())
        return driver.actions

    assert run() == run()


# --- refusals before a provider is asked -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/nowhere", 404), ("GET", "/v1/messages", 405), ("PUT", "/v1/responses", 405)],
)
def test_unknown_paths_and_methods_are_refused_without_reading_a_body(method: str, path: str, status: int) -> None:
    driver = Driver()
    assert kinds(driver.feed(ClientRequest(method, path, (HOST,)))) == [SendHead, SendBody, Finish, Record]
    assert driver.status == status
    assert json.loads(driver.body)["error"]["message"]
    assert_invariants(driver)


def test_a_405_names_the_methods_there_are() -> None:
    driver = Driver()
    driver.feed(ClientRequest("GET", "/v1/messages", (HOST,)))
    (head,) = only(driver.actions, SendHead)
    assert ("allow", "POST") in head.headers


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    driver = Driver()
    driver.feed(ClientRequest("POST", "/v1/messages", (HOST, JSON, ("content-length", "10001"))))
    assert driver.status == 413
    assert json.loads(driver.body)["error"]["type"] == "request_too_large"
    assert only(driver.actions, ReadBody) == []
    assert_invariants(driver)


def test_keys_are_asked_for_before_the_body_is_read() -> None:
    gateway = msgspec.structs.replace(GATEWAY, keys=KeyBook((ClientKey("k1", key_digest("secret-key")),)))
    driver = Driver(gateway)
    driver.feed(ClientRequest("POST", "/v1/chat/completions", (HOST, JSON, ("x-api-key", "wrong"))))
    assert driver.status == 401
    assert_invariants(driver)
    driver = Driver(gateway)
    driver.feed(ClientRequest("POST", "/v1/chat/completions", (HOST, JSON, ("x-api-key", "secret-key"))))
    assert only(driver.actions, ReadBody) == [ReadBody(10_000)]


def test_an_unknown_model_is_a_clear_404() -> None:
    driver = Driver()
    driver.ask(model="nobody")
    assert driver.status == 404
    error = json.loads(driver.body)["error"]
    assert error["type"] == "not_found_error"
    assert "nobody" in error["message"]
    assert_invariants(driver)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"model":1}', b'{"model":"claude-x","stream":"yes"}', b"\xff"]
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses"])
def test_broken_bodies_are_400_in_the_dialect(path: str, body: bytes) -> None:
    driver = Driver()
    driver.feed(ClientRequest("POST", path, (HOST, JSON)))
    driver.feed(ClientBody(body))
    assert driver.status == 400
    answer = json.loads(driver.body)
    assert answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert_invariants(driver)


@pytest.mark.parametrize("status", [400, 408, 413, 415])
def test_a_body_that_can_not_be_read_is_answered_in_the_dialect(status: int) -> None:
    driver = Driver()
    driver.feed(ClientRequest("POST", "/v1/messages", (HOST, JSON)))
    driver.feed(ClientFault(status, "the body is broken"))
    assert driver.status == status
    assert json.loads(driver.body)["type"] == "error"
    assert_invariants(driver)


# --- the client and the gateway leave --------------------------------------------------------------------


def _reading(driver: Driver) -> None:
    driver.feed(ClientRequest("POST", "/v1/messages", (HOST, JSON)))


def _waiting(driver: Driver) -> None:
    driver.ask()


def _answering(driver: Driver) -> None:
    driver.ask()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))


@pytest.mark.parametrize("phase", [_reading, _waiting, _answering])
def test_t11_a_client_that_leaves_aborts_the_provider_in_every_phase(phase: object) -> None:
    driver = Driver()
    assert callable(phase)
    phase(driver)
    had_upstream = Open in kinds(driver.actions)
    actions = driver.feed(ClientLost())
    assert kinds(actions) == ([Abort] if had_upstream else []) + [Record]
    assert driver.record.outcome is Outcome.CANCELLED
    assert_invariants(driver)


@pytest.mark.parametrize("phase", [_reading, _waiting])
def test_stopping_before_an_answer_is_a_503(phase: object) -> None:
    driver = Driver()
    assert callable(phase)
    phase(driver)
    driver.feed(Stopping())
    assert driver.status in (503, 529)
    assert_invariants(driver)


def test_stopping_in_a_stream_is_the_dialects_error() -> None:
    driver = Driver()
    _answering(driver)
    driver.feed(Stopping())
    assert grammar.messages(driver.body).failed
    assert_invariants(driver)


# --- the table -------------------------------------------------------------------------------------------

_INPUTS: list[Input] = [
    ClientRequest("POST", "/v1/messages", (HOST, JSON)),
    ClientBody(b"{}"),
    ClientFault(400, "x"),
    ClientLost(),
    Recalled(None),
    Stored(ok=True),
    UpstreamHead(200, ()),
    UpstreamData(b""),
    UpstreamEnd(),
    UpstreamLost("x"),
    DeadlinePassed(),
    Stopping(),
]
_PHASES = {State.READING: _reading, State.WAITING: _waiting, State.ANSWERING: _answering}


@pytest.mark.parametrize("state", [State.IDLE, State.READING, State.WAITING, State.ANSWERING])
@pytest.mark.parametrize("event", _INPUTS, ids=lambda event: type(event).__name__)
def test_what_the_table_lacks_is_misuse(state: State, event: Input) -> None:
    driver = Driver()
    if state in _PHASES:
        _PHASES[state](driver)
    assert driver.exchange.state is state
    if (state, type(event)) in TRANSITIONS:
        driver.feed(event)
    else:
        with pytest.raises(LocalProtocolError, match=type(event).__name__):
            driver.feed(event)


def test_count_tokens_is_estimated_and_marked_where_the_provider_can_not_count() -> None:
    driver = Driver()
    driver.feed(ClientRequest("POST", "/v1/messages/count_tokens?beta=true", (HOST, JSON)))
    driver.feed(ClientBody(b'{"model":"claude-x","messages":[{"role":"user","content":"hello there"}]}'))
    assert driver.status == 200
    assert json.loads(driver.body)["input_tokens"] > 0
    (head,) = only(driver.actions, SendHead)
    assert ("x-ferryllm-estimate", "input_tokens") in head.headers
    assert_invariants(driver)


def test_count_tokens_is_asked_of_a_provider_that_can_count() -> None:
    driver = Driver()
    driver.feed(ClientRequest("POST", "/v1/messages/count_tokens?beta=true", (HOST, JSON)))
    driver.feed(ClientBody(b'{"model":"same-x","messages":[{"role":"user","content":"hello there"}]}'))
    (opened,) = only(driver.actions, Open)
    assert (opened.request.path, opened.request.query) == ("/v1/messages/count_tokens", "beta=true")
    driver.feed(UpstreamHead(200, (JSON,)))
    driver.feed(UpstreamData(b'{"input_tokens":12}'))
    driver.feed(UpstreamEnd())
    assert driver.body == b'{"input_tokens":12}'
    assert_invariants(driver)


@pytest.mark.parametrize("model", ["claude-x", "same-x"])
def test_t3_a_provider_that_says_no_goodbye_is_waited_for_ten_seconds(model: str) -> None:
    """``message_delta`` with its reason came, ``message_stop`` did not, and the connection stays open."""
    patient = {
        name: msgspec.structs.replace(one, idle_secs=90.0, total_secs=None) for name, one in GATEWAY.providers.items()
    }
    driver = Driver(msgspec.structs.replace(GATEWAY, providers=patient))
    driver.ask(model=model)
    driver.feed(UpstreamHead(200, (SSE,)))
    if model == "same-x":
        said = b"".join(
            b"event: %b\ndata: %b\n\n" % (name, data)
            for name, data in (
                (b"message_start", b'{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{}}}'),
                (
                    b"content_block_delta",
                    b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}',
                ),
                (b"message_delta", b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{}}'),
            )
        )
    else:
        said = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    driver.feed(UpstreamData(said))
    deadline = driver.exchange.next_deadline()
    assert deadline is not None
    assert deadline - driver.now == GOODBYE_SECS == 10.0
    driver.now = deadline
    actions = driver.feed(DeadlinePassed())
    assert any(type(action) in (Abort, Release) for action in actions)
    record = next(action for action in actions if type(action) is Record)
    assert record.outcome is Outcome.OK
    assert driver.body.count(b"event: message_stop") == 1


def test_time_in_which_nobody_listened_is_not_the_providers_silence() -> None:
    driver = Driver()
    driver.exchange.postpone(50)  # before there is a provider it means nothing
    driver.ask()
    waiting = driver.exchange.next_deadline()
    driver.exchange.postpone(50)
    assert driver.exchange.next_deadline() == waiting, "nor before its head: nothing is written to the client then"
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))
    assert driver.exchange.next_deadline() == driver.now + 10
    driver.exchange.postpone(4)
    assert driver.exchange.next_deadline() == driver.now + 14
    assert driver.feed(DeadlinePassed(), after=13) == []
    driver.feed(UpstreamData(PONG))
    assert driver.exchange.next_deadline() == driver.now + 10, "once"
    driver.feed(DeadlinePassed(), after=11)
    assert driver.record.outcome is Outcome.ERROR
    driver.exchange.postpone(50)
    assert_invariants(driver)
