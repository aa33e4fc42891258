"""What a client's messages ask for, what answers become, and what the next turn can go on from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import sse
from ferryllm_proto.dialects.openai_responses.turns import MAX_LANE, MAX_WAITING, Turn, Turns
from ferryllm_proto.entries import find

STREAM = (("content-type", "text/event-stream; charset=utf-8"),)
WHOLE = (("content-type", "application/json"), ("retry-after", "3"))
LIMIT = 1 << 16


def create(**fields: Any) -> bytes:
    return json.dumps({"type": "response.create", "model": "m", **fields}).encode()


def ask(turns: Turns, message: bytes) -> Turn:
    assert turns.receive(message) is None
    turn = turns.next(1_760_000_000.5)
    assert turn is not None
    return turn


def begin(**fields: Any) -> tuple[Turns, Turn]:
    turns = Turns(body_limit=LIMIT)
    return turns, ask(turns, create(**fields))


def said(turn: Turn) -> list[Any]:
    """What is sent without asking anybody."""
    assert turn.body == b""
    return [json.loads(message) for message in turn.messages]


def event(type_: str, **fields: Any) -> bytes:
    return sse.encode(type_, json.dumps({"type": type_, **fields}).encode())


def item(text: str) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def response(name: str = "resp_1", *output: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    return {"id": name, "status": status, "previous_response_id": None, "output": list(output)}


def answer(turn: Turn, *events: bytes, headers: tuple[tuple[str, str], ...] = STREAM) -> list[Any]:
    """All messages of an answer with these events."""
    turn.receive_head(200, headers)
    out: list[bytes] = []
    for data in events:
        out += turn.receive_data(data)
    return [json.loads(message) for message in [*out, *turn.receive_eof()]]


def complete(turn: Turn, name: str = "resp_1", text: str = "pong") -> list[Any]:
    return answer(
        turn,
        event("response.created", response=response(name, status="in_progress")),
        event("response.completed", response=response(name, item(text))),
    )


# --- what is asked ---------------------------------------------------------------------------------------


def test_r14_a_message_is_the_body_of_an_ordinary_request() -> None:
    _, turn = begin(input="hi", temperature=1.0, stream_id="a", event_id="e", generate=True, background=False)
    assert turn.body == b'{"model":"m","input":"hi","temperature":1.0,"stream":true}'
    assert turn.messages == []


def test_values_stay_as_they_were_written() -> None:
    turns = Turns(body_limit=LIMIT)
    turn = ask(
        turns, b'{"type":"response.create","model":"m","stream":false,"n":1.50e3,"x":"\\ud83d \\u00e9","input":[]}'
    )
    assert turn.body == b'{"model":"m","stream":true,"n":1.50e3,"x":"\\ud83d \\u00e9","input":[]}'


def test_the_request_may_be_nested() -> None:
    message = {"type": "response.create", "stream_id": "a", "response": {"model": "m", "input": "hi"}}
    turns = Turns(body_limit=LIMIT)
    turn = ask(turns, json.dumps(message).encode())
    assert json.loads(turn.body) == {"model": "m", "input": "hi", "stream": True}
    turn = ask(turns, json.dumps({**message, "generate": False}).encode())
    assert said(turn)[-1]["type"] == "response.completed"


def test_the_path_of_the_upgrade_takes_a_post_as_a_turn() -> None:
    assert find("GET", "/v1/responses", ()) != find("POST", "/v1/responses", ())


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (b"", None),
        (b"hello", None),
        (b"[]", None),
        (b'{"model":"m"}', "type"),
        (b'{"type":7,"model":"m"}', "type"),
        (b'{"type":"response.cancel"}', "type"),
        (b'{"type":"session.update"}', "type"),
        (b'{"type":"response.create","type":"response.create","model":"m"}', "type"),
        (b'{"type":"response.create","model":"m","model":"n"}', "model"),
        (create(background=True), "background"),
        (create(background="x"), "background"),
        (create(input=7), "input"),
        (create(generate="no"), "generate"),
        (create(stream_id=7), "stream_id"),
        (create(previous_response_id=7), "previous_response_id"),
        (create(generate=False, model=7), "model"),
        (b'{"type":"response.create","generate":false}', "model"),
        (b'{"type":"response.create","model":"\xff"}', None),
        (b'{"type":"response.create","a":' + b"[" * 5000 + b"]" * 5000 + b"}", None),
    ],
)
def test_what_is_no_request_is_refused_in_band_when_its_turn_comes(message: bytes, param: str | None) -> None:
    turns = Turns(body_limit=LIMIT)
    (error,) = said(ask(turns, message))
    assert (error["type"], error["status"], error["error"]["param"]) == ("error", 400, param)
    assert error["error"]["message"]
    assert ask(turns, create(input="hi")).body


def test_turns_wait_in_their_order() -> None:
    turns = Turns(body_limit=LIMIT)
    assert turns.next(0) is None
    for n in range(3):
        assert turns.receive(create(input=str(n))) is None
    assert [json.loads(turn.body)["input"] for _ in range(3) if (turn := turns.next(0))] == ["0", "1", "2"]
    assert (turns.next(0), turns.count) == (None, 3)


@pytest.mark.parametrize(("size", "room"), [(1, MAX_WAITING), (LIMIT // 3, 2)])
def test_what_waits_is_bounded(size: int, room: int) -> None:
    turns = Turns(body_limit=LIMIT)
    message = create(input="x" * size, stream_id="a")
    for _ in range(room):
        assert turns.receive(message) is None
    refused = json.loads(turns.receive(message) or b"")
    assert (refused["status"], refused["error"]["code"], refused["stream_id"]) == (
        429,
        "too_many_pending_responses",
        "a",
    )
    assert turns.next(0) is not None
    assert turns.receive(message) is None


def test_steering_is_refused_at_once() -> None:
    turns, _ = begin(input="hi")
    refused = turns.receive(b'{"type":"response.steer","previous_response_id":"resp_1","input":"left"}')
    assert json.loads(refused or b"")["type"] == "response.steer.failed"
    assert turns.next(0) is None


# --- what is answered ------------------------------------------------------------------------------------


def test_each_event_is_one_message() -> None:
    _, turn = begin(input="hi")
    delta = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"p","n":1.0}\n\n'
    turn.receive_head(200, STREAM)
    assert turn.receive_data(delta[:50]) == []
    assert turn.receive_data(delta[50:]) == [b'{"type":"response.output_text.delta","delta":"p","n":1.0}']


def test_messages_carry_the_lane_of_their_turn() -> None:
    _, turn = begin(input="hi", stream_id="lane 1")
    assert [message["stream_id"] for message in complete(turn)] == ["lane 1"] * 2
    _, turn = begin(input="hi")
    assert not any("stream_id" in message for message in complete(turn))


def test_a_lane_is_bounded_because_every_event_repeats_its_name() -> None:
    turns = Turns(body_limit=LIMIT)
    assert turns.receive(create(input="hi", stream_id="a" * MAX_LANE)) is None
    refused = json.loads(turns.receive(create(input="hi", stream_id="a" * (MAX_LANE + 1))) or b"")
    assert (refused["status"], refused["error"]["param"], "stream_id" in refused) == (400, "stream_id", False)


def test_g4_losses_are_told_in_the_next_event() -> None:
    _, turn = begin(input="hi")
    messages = answer(
        turn,
        event("response.created", response=response()),
        b": x-ferryllm-loss: degraded output[0]\n\n" + event("response.completed", response=response()),
        headers=(*STREAM, ("X-Ferryllm-Loss", "dropped user")),
    )
    assert [message.get("ferryllm_loss") for message in messages] == ["dropped user", "degraded output[0]"]


def test_comments_done_marks_and_what_is_no_event_are_no_messages() -> None:
    _, turn = begin(input="hi")
    odd = b": ping\n\ndata: [DONE]\n\ndata: {}\n\ndata: {\n\ndata: []\n\n"
    assert len(answer(turn, odd, event("response.completed", response=response()))) == 1


def test_nothing_comes_after_the_last_event() -> None:
    _, turn = begin(input="hi")
    last = event("response.completed", response=response())
    assert len(answer(turn, last + last, event("response.created", response=response()))) == 1


@pytest.mark.parametrize("cut", [True, False])
def test_z8_an_answer_without_its_end_has_failed(cut: bool) -> None:
    _, turn = begin(input="hi", stream_id="a")
    turn.receive_head(200, STREAM)
    assert len(turn.receive_data(event("response.created", response=response()) + b"data: {")) == 1
    (failed,) = map(json.loads, turn.receive_eof(cut=cut))
    assert (failed["type"], failed["sequence_number"], failed["stream_id"]) == ("response.failed", 1, "a")
    assert turn.receive_eof() == []


def test_an_event_that_is_too_large_fails_the_answer() -> None:
    _, turn = begin(input="hi")
    turn.receive_head(200, STREAM)
    out = turn.receive_data(
        event("response.created", response=response()) + b"data: " + b"x" * (sse.MAX_EVENT_SIZE + 1)
    )
    assert [json.loads(message)["type"] for message in out] == ["response.created", "response.failed"]


def test_an_error_event_gets_the_form_of_this_connection() -> None:
    _, turn = begin(input="hi")
    messages = answer(turn, event("error", code="rate_limit_exceeded", message="slow", param=None, sequence_number=1))
    assert [(m["type"], m["status"], m["error"]["message"]) for m in messages] == [("error", 429, "slow")]


def test_an_http_error_is_an_error_in_band() -> None:
    _, turn = begin(input="hi", stream_id="a")
    turn.receive_head(429, WHOLE)
    body = b'{"error":{"message":"slow","type":"requests","code":"rate_limit_exceeded","param":null}}'
    assert turn.receive_data(body[:20]) == turn.receive_data(body[20:]) == []
    (error,) = map(json.loads, turn.receive_eof())
    assert (error["status"], error["error"]["type"], error["stream_id"]) == (429, "requests", "a")
    assert error["headers"]["retry-after"] == error["error"]["headers"]["retry-after"] == "3"


@pytest.mark.parametrize(("status", "wanted"), [(200, 502), (500, 500), (503, 503)])
@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[]", b'{"error":7}'])
def test_any_other_answer_is_an_error_too(status: int, wanted: int, body: bytes) -> None:
    _, turn = begin(input="hi")
    turn.receive_head(status, (("content-type", "text/html"),))
    turn.receive_data(body)
    (error,) = map(json.loads, turn.receive_eof())
    assert (error["type"], error["status"]) == ("error", wanted)


def test_an_answer_that_never_began_is_an_error() -> None:
    _, turn = begin(input="hi")
    (error,) = map(json.loads, turn.receive_eof(cut=True))
    assert error["type"] == "error"


# --- going on --------------------------------------------------------------------------------------------


def test_r10_a_turn_goes_on_from_a_response_that_nobody_keeps() -> None:
    turns, turn = begin(input="one", store=False)
    complete(turn)
    turn = ask(turns, create(input=[{"role": "user", "content": "two"}], previous_response_id="resp_1", store=False))
    body = json.loads(turn.body)
    assert "previous_response_id" not in body
    assert [part.get("content") for part in body["input"]] == [
        [{"type": "input_text", "text": "one"}],
        item("pong")["content"],
        "two",
    ]
    messages = complete(turn, "resp_2")
    assert [message["response"]["previous_response_id"] for message in messages] == ["resp_1"] * 2
    turn = ask(turns, create(input="three", previous_response_id="resp_2"))
    assert len(json.loads(turn.body)["input"]) == 5
    turn = ask(turns, create(input="a fork", previous_response_id="resp_1", stream_id="b"))
    assert len(json.loads(turn.body)["input"]) == 3


def test_an_incomplete_response_can_be_gone_on_from_and_a_failed_one_not() -> None:
    turns, turn = begin(input="one")
    answer(turn, event("response.incomplete", response=response("resp_i", item("half"))))
    assert len(json.loads(ask(turns, create(previous_response_id="resp_i")).body)["input"]) == 2
    turn = ask(turns, create(input="x"))
    answer(turn, event("response.failed", response=response("resp_f")))
    assert b"previous_response_id" in ask(turns, create(previous_response_id="resp_f")).body


def test_items_are_remembered_when_the_last_event_leaves_them_out() -> None:
    turns, turn = begin(input="one")
    done = event("response.output_item.done", output_index=0, item=item("pong"))
    answer(turn, done, event("response.completed", response={"id": "resp_1"}))
    assert json.loads(ask(turns, create(previous_response_id="resp_1")).body)["input"][1] == item("pong")


def test_an_id_of_elsewhere_is_left_to_the_ordinary_path() -> None:
    turns, turn = begin(input="one", previous_response_id="resp_kept")
    assert json.loads(turn.body)["previous_response_id"] == "resp_kept"
    complete(turn)
    turn = ask(turns, create(input="two", previous_response_id="resp_1"))
    assert json.loads(turn.body)["previous_response_id"] == "resp_1", "what came before is not known here"


@pytest.mark.parametrize("status", [400, 404])
def test_a_previous_response_that_nobody_knows_has_the_code_that_makes_clients_send_everything(status: int) -> None:
    _, turn = begin(input="one", previous_response_id="resp_gone")
    turn.receive_head(status, WHOLE)
    turn.receive_data(
        b'{"error":{"message":"no","type":"t","code":"unsupported_parameter","param":"previous_response_id"}}'
    )
    (error,) = map(json.loads, turn.receive_eof())
    assert (error["status"], error["error"]["code"]) == (400, "previous_response_not_found")


def test_conversations_are_not_remembered_here() -> None:
    turns, turn = begin(input="one", conversation="conv_1")
    complete(turn)
    assert b"previous_response_id" in ask(turns, create(previous_response_id="resp_1")).body


def test_memory_ends_with_its_bound() -> None:
    turns, turn = begin(input="one")
    complete(turn, text="x" * (2 * LIMIT))
    assert b"previous_response_id" in ask(turns, create(previous_response_id="resp_1")).body
    turn = ask(turns, create(input="one"))
    done = event("response.output_item.done", output_index=0, item=item("x" * (2 * LIMIT)))
    answer(turn, done, event("response.completed", response={"id": "resp_2"}))
    assert b"previous_response_id" in ask(turns, create(previous_response_id="resp_2")).body


def test_places_in_errors_and_losses_are_the_clients() -> None:
    turns, turn = begin(input="one")
    complete(turn)
    turn = ask(turns, create(input=[{"role": "user"}], previous_response_id="resp_1"))
    turn.receive_head(400, (("x-ferryllm-loss", "dropped input[2].x"),))
    turn.receive_data(b'{"error":{"message":"input[2].content: x","type":"t","code":"c","param":"input[2].content"}}')
    (error,) = map(json.loads, turn.receive_eof())
    assert error["error"]["param"] == "input[0].content"
    assert error["error"]["message"] == "input[0].content: x"
    turn = ask(turns, create(input=[{"role": "user"}], previous_response_id="resp_1"))
    headers = (*STREAM, ("x-ferryllm-loss", "dropped input[2].x, dropped input[0].y"))
    (message,) = answer(turn, event("response.completed", response=response()), headers=headers)
    assert message["ferryllm_loss"] == "dropped input[0].x, dropped previous_response_id.items[0].y"


# --- preparing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", [{"generate": False}, {"prompt_cache_options": {"prewarm": True}}])
def test_r14_a_turn_that_only_prepares_is_answered_here_and_gone_on_from(wish: dict[str, Any]) -> None:
    turns, turn = begin(input=[{"role": "developer", "content": "be good"}], store=False, stream_id="a", **wish)
    messages = said(turn)
    assert (messages[0]["type"], messages[-1]["type"]) == ("response.created", "response.completed")
    assert {message["stream_id"] for message in messages} == {"a"}
    last = messages[-1]["response"]
    assert (last["output"], last["model"], last["created_at"], last["status"]) == ([], "m", 1_760_000_000, "completed")
    assert last["usage"]["total_tokens"] == 0
    turn = ask(turns, create(input="hi", previous_response_id=last["id"]))
    assert json.loads(turn.body)["input"][0] == {"role": "developer", "content": "be good"}
    assert len(json.loads(turn.body)["input"]) == 2
    again = said(ask(turns, create(input=[], generate=False, previous_response_id=last["id"])))
    assert again[-1]["response"]["previous_response_id"] == last["id"]
    assert again[-1]["response"]["id"] != last["id"]


def test_preparing_from_what_is_not_known_here_is_refused() -> None:
    (error,) = said(begin(input=[], generate=False, previous_response_id="resp_gone" * 50)[1])
    assert error["error"]["code"] == "previous_response_not_found"
    assert len(error["error"]["message"]) < 300


def test_preparing_does_not_judge_what_only_the_provider_knows() -> None:
    messages = said(begin(input=[{"type": "x"}], reasoning=7, generate=False)[1])
    assert messages[-1]["type"] == "response.completed"


# --- whatever comes --------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["type", "model", "input", "response", "stream_id", "generate", "previous_response_id", "background", "store"]
)


@given(st.lists(st.binary(max_size=40) | st.dictionaries(NAMES, VALUES).map(lambda v: json.dumps(v).encode())))
def test_no_message_is_raised_about(messages: list[bytes]) -> None:
    turns = Turns(body_limit=500)
    for message in messages:
        turns.receive(message)
        turn = turns.next(0)
        if turn is not None and turn.body:
            turn.receive_head(200, STREAM)
            turn.receive_data(b"data: " + message + b"\n\n")
            turn.receive_eof()


@given(st.lists(st.binary(max_size=60)), st.sampled_from([200, 400, 503]), st.booleans())
def test_no_answer_is_raised_about_and_every_answer_ends_once(pieces: list[bytes], status: int, sse_: bool) -> None:
    _, turn = begin(input="hi")
    turn.receive_head(status, STREAM if sse_ else WHOLE)
    out = [message for piece in pieces for message in turn.receive_data(piece)]
    out += turn.receive_eof()
    last = [json.loads(message)["type"] for message in out]
    assert sum(type_ in ("error", "response.failed") for type_ in last) == 1


def test_items_of_this_connection_can_be_referred_to() -> None:
    """Also those of an answer that nobody keeps."""
    turns, turn = begin(input="hi", store=False)
    complete(turn)
    refer = [{"type": "item_reference", "id": "msg_1"}, {"type": "item_reference", "id": "msg_9"}]
    turn = ask(turns, create(input=[*refer, {"role": "user", "content": "more"}]))
    assert json.loads(turn.body)["input"] == [item("pong"), refer[1], {"role": "user", "content": "more"}]
    assert turn.previous is None
