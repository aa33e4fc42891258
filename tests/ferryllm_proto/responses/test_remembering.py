"""What an exchange asks of the store, when, and what the client gets of it: without a store and without a socket."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ferryllm_proto import Route, RouteTable
from ferryllm_proto.actions import Action, Finish, Keep, Open, Outcome, Point, Recall, Record, SendBody, SendHead
from ferryllm_proto.exchange import Exchange
from ferryllm_proto.inputs import (
    ClientBody,
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
from ferryllm_proto.loss import LossPolicy
from ferryllm_proto.policy.access import key_digest, owner
from ferryllm_proto.responses.kept import KeptResponse
from ferryllm_proto.routing.keys import ClientKey, KeyBook
from ferryllm_proto.snapshot import Gateway, Provider
from ferryllm_proto.stages import State

KEY = ClientKey("k1", key_digest("k" * 20))
GATEWAY = Gateway(
    RouteTable(
        (Route("chat-", "chat"), Route("native-", "native"), Route("other-", "other"), Route("amnesic-", "amnesic"))
    ),
    {
        "chat": Provider("chat", "openai"),
        "native": Provider("native", "openai_responses"),
        "other": Provider("other", "openai_responses"),
        "amnesic": Provider("amnesic", "openai_responses", keeps_responses=False),
    },
    body_limit=10_000,
    keeps_responses=True,
    keys=KeyBook((KEY,)),
)
HEADERS = (("host", "127.0.0.1:3000"), ("content-type", "application/json"), ("authorization", "Bearer " + "k" * 20))
OWNER = owner(KEY)
JSON = (("content-type", "application/json"),)
SSE = (("content-type", "text/event-stream"),)
ITEM = b'{"type":"message","role":"user","content":"before"}'
KEPT = KeptResponse("resp_1", OWNER, 1.0, "chat", response=b"{}", input=(ITEM,), output=())


def _chunk(delta: bytes, finish: bytes) -> bytes:
    choice = b'{"index":0,"delta":%b,"finish_reason":%b}' % (delta, finish)
    head = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[%b]}'
    return b"data: " + head % choice + b"\n\n"


CHUNKS = (
    _chunk(b'{"role":"assistant","content":"pong"}', b"null"),
    _chunk(b"{}", b'"stop"'),
    b"data: [DONE]\n\n",
)
WHOLE = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"pong"}}]}'
)
NATIVE = b'{"id":"resp_9","object":"response","created_at":1,"status":"completed","model":"m","output":[],"store":true}'


class Driver:
    """Feeds an exchange and keeps what it did."""

    def __init__(self, gateway: Gateway = GATEWAY) -> None:
        self.exchange = Exchange(gateway, id="req_1", seed=7, created=1_760_000_000.0)
        self.actions: list[Action] = []

    def feed(self, event: Input) -> list[Action]:
        actions = self.exchange.receive(event, 100.0)
        self.actions.extend(actions)
        return actions

    def ask(self, path: str = "/v1/responses", **body: Any) -> list[Action]:
        self.feed(ClientRequest("POST", path, HEADERS))
        return self.feed(ClientBody(json.dumps({"model": "chat-m", "input": "ping", **body}).encode()))

    @property
    def sent(self) -> Any:
        """The request for the provider."""
        (opened,) = only(self.actions, Open)
        return json.loads(opened.request.body)

    @property
    def status(self) -> int:
        (head,) = only(self.actions, SendHead)
        return int(head.status)

    @property
    def body(self) -> bytes:
        return b"".join(action.data for action in only(self.actions, SendBody))

    @property
    def error(self) -> Any:
        return json.loads(self.body)["error"]

    @property
    def outcome(self) -> object:
        (record,) = only(self.actions, Record)
        return record.outcome


def only(actions: list[Action], kind: type[Any]) -> list[Any]:
    return [action for action in actions if isinstance(action, kind)]


def final(driver: Driver) -> Any:
    """The response object of the last event."""
    return json.loads(driver.body.strip().rpartition(b"data: ")[2])["response"]


# --- keeping ---------------------------------------------------------------------------------------------


def test_the_end_of_an_answer_waits_until_it_is_kept() -> None:
    driver = Driver()
    driver.ask(stream=True)
    driver.feed(UpstreamHead(200, SSE))
    for chunk in CHUNKS[:2]:
        driver.feed(UpstreamData(chunk))
    (keep,) = driver.feed(UpstreamData(CHUNKS[2]))
    assert isinstance(keep, Keep)
    assert b"response.completed" not in driver.body
    assert driver.exchange.state is State.KEEPING
    assert driver.exchange.next_deadline() is None
    driver.feed(Stored(ok=True))
    response = final(driver)
    assert (response["status"], response["store"]) == ("completed", True)
    kept = keep.response
    assert json.loads(kept.response) == response
    assert (kept.id, kept.owner, kept.provider, kept.native, kept.model) == (
        response["id"],
        OWNER,
        "chat",
        False,
        "chat-m",
    )
    assert b'"ping"' in kept.input[0]
    assert [json.loads(item) for item in kept.output] == response["output"]
    assert driver.outcome is Outcome.OK


def test_a_whole_answer_waits_as_a_whole() -> None:
    driver = Driver()
    driver.ask()
    driver.feed(UpstreamHead(200, JSON))
    driver.feed(UpstreamData(WHOLE))
    (keep,) = driver.feed(UpstreamEnd())
    assert isinstance(keep, Keep)
    assert not only(driver.actions, SendHead)
    kinds = [type(action) for action in driver.feed(Stored(ok=True))]
    assert kinds[:3] == [SendHead, SendBody, Finish]
    assert json.loads(driver.body) == json.loads(keep.response.response)


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_could_not_be_kept_does_not_say_it_is(stream: bool) -> None:
    driver = Driver()
    driver.ask(stream=stream)
    driver.feed(UpstreamHead(200, SSE if stream else JSON))
    driver.feed(UpstreamData(b"".join(CHUNKS) if stream else WHOLE))
    if not stream:
        driver.feed(UpstreamEnd())
    driver.feed(Stored(ok=False))
    response = final(driver) if stream else json.loads(driver.body)
    assert (response["status"], response["store"]) == ("completed", False)
    assert driver.outcome is Outcome.OK


def test_an_answer_that_failed_is_not_kept_and_does_not_say_so() -> None:
    driver = Driver()
    driver.ask(stream=True)
    driver.feed(UpstreamHead(200, SSE))
    driver.feed(UpstreamData(CHUNKS[0]))
    driver.feed(UpstreamLost("reset"))
    assert not only(driver.actions, Keep)
    assert (final(driver)["status"], final(driver)["store"]) == ("failed", False)


def test_an_error_of_the_provider_is_not_kept() -> None:
    driver = Driver()
    driver.ask()
    driver.feed(UpstreamHead(429, JSON))
    driver.feed(UpstreamData(b'{"error":{"message":"slow down"}}'))
    driver.feed(UpstreamEnd())
    assert driver.status == 429
    assert not only(driver.actions, Keep)


def test_nothing_is_kept_for_who_does_not_want_it() -> None:
    driver = Driver()
    driver.ask(store=False)
    driver.feed(UpstreamHead(200, JSON))
    driver.feed(UpstreamData(WHOLE))
    driver.feed(UpstreamEnd())
    assert not only(driver.actions, Keep)
    assert json.loads(driver.body)["store"] is False


def test_a_client_that_leaves_while_its_answer_is_kept_has_not_had_it() -> None:
    driver = Driver()
    driver.ask()
    driver.feed(UpstreamHead(200, JSON))
    driver.feed(UpstreamData(WHOLE))
    driver.feed(UpstreamEnd())
    assert driver.feed(Stopping()) == []
    assert driver.feed(DeadlinePassed()) == []
    # The provider has ended, so there is nothing to abort.
    assert [type(action) for action in driver.feed(ClientLost())] == [Record]
    assert driver.outcome is Outcome.CANCELLED


def test_equal_ids_of_a_provider_are_not_equal_ids_here() -> None:
    """Local servers give every answer the same id: what is kept has one of ours."""
    driver = Driver()
    driver.ask(model="amnesic-m")
    driver.feed(UpstreamHead(200, JSON))
    driver.feed(UpstreamData(NATIVE))
    (keep,) = driver.feed(UpstreamEnd())
    assert isinstance(keep, Keep)
    assert keep.response.id.startswith("resp_")
    assert keep.response.id != "resp_9"
    assert json.loads(keep.response.response)["id"] == keep.response.id
    assert driver.sent["store"] is False, "one keeps it, not two"


# --- going on --------------------------------------------------------------------------------------------


def test_what_was_kept_comes_before_what_is_said() -> None:
    driver = Driver()
    (recall,) = [action for action in driver.ask(previous_response_id="resp_1") if isinstance(action, Recall)]
    assert (recall.id, recall.owner) == ("resp_1", OWNER)
    assert driver.exchange.state is State.RECALLING
    driver.feed(Recalled(KEPT))
    assert [message["content"] for message in driver.sent["messages"]] == ["before", "ping"]
    driver.feed(UpstreamHead(200, JSON))
    driver.feed(UpstreamData(WHOLE))
    (keep,) = driver.feed(UpstreamEnd())
    assert isinstance(keep, Keep)
    assert keep.response.input[0] == ITEM
    assert len(keep.response.items) == 3
    assert json.loads(keep.response.response)["previous_response_id"] == "resp_1"


@pytest.mark.parametrize("recalled", [Recalled(None), Recalled(None, foreign=True)])
def test_what_is_not_there_is_said_as_openai_says_it(recalled: Recalled) -> None:
    driver = Driver()
    driver.ask(previous_response_id="resp_1")
    driver.feed(recalled)
    assert driver.status == 400
    assert driver.error == {
        "message": "Previous response with id 'resp_1' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }


def test_items_are_looked_for_by_their_ids_and_kept_with_them() -> None:
    driver = Driver()
    reference = {"type": "item_reference", "id": "msg_1"}
    actions = driver.ask(input=[reference, {"role": "user", "content": "ping"}])
    (recall,) = only(actions, Recall)
    assert recall == Recall(None, OWNER, ("msg_1",))
    driver.feed(Recalled(None, items=(("msg_1", ITEM),)))
    assert [message["content"] for message in driver.sent["messages"]] == ["before", "ping"]
    driver.feed(UpstreamHead(200, JSON))
    driver.feed(UpstreamData(WHOLE))
    (keep,) = driver.feed(UpstreamEnd())
    assert isinstance(keep, Keep)
    assert keep.response.input[0] == ITEM
    assert keep.ids[-1] == json.loads(keep.response.output[0])["id"]
    assert len(keep.ids) == len(keep.response.items)


def test_a_store_that_fails_is_the_gateways_fault() -> None:
    driver = Driver()
    driver.ask(previous_response_id="resp_1")
    driver.feed(Recalled(None, failed=True))
    assert driver.status == 500


def test_without_a_store_the_parameter_is_refused_with_the_mend() -> None:
    driver = Driver(msgspec.structs.replace(GATEWAY, keeps_responses=False))
    driver.ask(previous_response_id="resp_1")
    assert (driver.status, driver.error["param"], driver.error["code"]) == (
        400,
        "previous_response_id",
        "unsupported_parameter",
    )
    assert "[responses]" in driver.error["message"]


def test_without_a_store_nothing_is_asked_of_one() -> None:
    for model in ("chat-m", "native-m", "amnesic-m"):
        driver = Driver(msgspec.structs.replace(GATEWAY, keeps_responses=False))
        driver.ask(model=model)
        driver.feed(UpstreamHead(200, JSON))
        driver.feed(UpstreamData(WHOLE if model == "chat-m" else NATIVE))
        driver.feed(UpstreamEnd())
        assert driver.status == 200
        assert not [action for action in driver.actions if isinstance(action, (Recall, Keep, Point))]
    driver = Driver(msgspec.structs.replace(GATEWAY, keeps_responses=False))
    driver.ask(model="native-m", previous_response_id="resp_9")
    assert driver.sent["previous_response_id"] == "resp_9"


def test_errors_and_losses_count_in_the_clients_own_input() -> None:
    driver = Driver()
    driver.ask(previous_response_id="resp_1", input=[{"role": "user", "content": "ok"}, {"type": "message", "role": 7}])
    driver.feed(Recalled(KEPT))
    assert driver.status == 400
    assert driver.error["param"] == "input[1].role"
    assert driver.error["message"].startswith("input[1].role")
    driver = Driver()
    driver.ask(previous_response_id="resp_1", input=[{"type": "web_search_call", "id": "ws_1", "status": "completed"}])
    odd = b'{"type":"file_search_call","id":"fs_1","queries":[],"status":"completed"}'
    driver.feed(Recalled(msgspec.structs.replace(KEPT, output=(odd,))))
    driver.feed(UpstreamHead(200, JSON))
    driver.feed(UpstreamData(WHOLE))
    driver.feed(UpstreamEnd())
    driver.feed(Stored(ok=True))
    (head,) = only(driver.actions, SendHead)
    lost = dict(head.headers)["x-ferryllm-loss"]
    assert "dropped input[0]" in lost
    assert "dropped previous_response_id.items[1]" in lost


def test_a_strict_route_names_what_it_refuses_in_the_clients_own_input() -> None:
    routes = RouteTable((Route("chat-", "chat", loss_policy=LossPolicy.STRICT),))
    driver = Driver(msgspec.structs.replace(GATEWAY, routes=routes))
    driver.ask(
        previous_response_id="resp_1",
        input=[{"role": "user", "content": "ok"}, {"type": "web_search_call", "id": "ws_1", "status": "completed"}],
    )
    driver.feed(Recalled(KEPT))
    assert driver.status == 400
    assert "input[1]" in driver.error["message"]
    (head,) = only(driver.actions, SendHead)
    assert "refused input[1]" in dict(head.headers)["x-ferryllm-loss"]


def test_a_conversation_larger_than_a_body_may_be_is_refused() -> None:
    driver = Driver()
    driver.ask(previous_response_id="resp_1")
    driver.feed(Recalled(msgspec.structs.replace(KEPT, output=(b'{"x":"%b"}' % (b"y" * 10_000),))))
    assert driver.status == 413


def test_stopping_while_the_store_is_asked() -> None:
    driver = Driver()
    driver.ask(previous_response_id="resp_1")
    driver.feed(Stopping())
    assert driver.status == 503


@pytest.mark.parametrize("body", [{"previous_response_id": 7}, {"store": "yes"}])
def test_what_means_nothing_is_refused_before_the_store_is_asked(body: dict[str, Any]) -> None:
    driver = Driver()
    driver.ask(**body)
    assert driver.status == 400
    assert driver.error["param"] == next(iter(body))


# --- a provider that keeps its own -----------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_where_the_provider_keeps_only_the_place_is_kept(stream: bool) -> None:
    driver = Driver()
    driver.ask(model="native-m", stream=stream, store=True)
    assert driver.sent["store"] is True
    driver.feed(UpstreamHead(200, SSE if stream else JSON))
    data = (
        b'event: response.created\ndata: {"type":"response.created","response":%b}\n\n' % NATIVE if stream else NATIVE
    )
    actions = driver.feed(UpstreamData(data))
    if not stream:
        actions = driver.feed(UpstreamEnd())
    point = actions[0]
    assert isinstance(point, Point), "before the client can ask for it"
    assert (point.response.id, point.response.provider, point.response.native) == ("resp_9", "native", True)
    assert point.response.response == b""
    if stream:
        done = b'event: response.completed\ndata: {"type":"response.completed","response":%b}\n\n' % NATIVE
        driver.feed(UpstreamData(done))
        driver.feed(UpstreamEnd())
        assert driver.body == data + done, "bytes pass as they are"
    assert len(only(driver.actions, Point)) == 1


def test_an_answer_the_provider_does_not_keep_has_no_place() -> None:
    cases: list[tuple[dict[str, Any], bytes]] = [({"store": False}, NATIVE), ({}, NATIVE.replace(b"true", b"false"))]
    for body, answer in cases:
        driver = Driver()
        driver.ask(model="native-m", **body)
        driver.feed(UpstreamHead(200, JSON))
        driver.feed(UpstreamData(answer))
        driver.feed(UpstreamEnd())
        assert not only(driver.actions, Point)


def test_an_earlier_answer_of_the_same_provider_is_its_business() -> None:
    for recalled in (
        Recalled(None),
        Recalled(KeptResponse("resp_9", OWNER, 1.0, "native", native=True)),
    ):
        driver = Driver()
        driver.ask(model="native-m", previous_response_id="resp_9")
        driver.feed(recalled)
        assert driver.sent["previous_response_id"] == "resp_9"


def test_an_earlier_answer_of_another_owner_or_provider_is_not_gone_on_from() -> None:
    driver = Driver()
    driver.ask(model="native-m", previous_response_id="resp_9")
    driver.feed(Recalled(None, foreign=True))
    assert (driver.status, driver.error["code"]) == (400, "previous_response_not_found")
    for model in ("other-m", "chat-m"):
        driver = Driver()
        driver.ask(model=model, previous_response_id="resp_9")
        driver.feed(Recalled(KeptResponse("resp_9", OWNER, 1.0, "native", native=True)))
        assert (driver.status, driver.error["code"]) == (400, "previous_response_not_found")
        assert "provider native" in driver.error["message"]


def test_what_the_gateway_kept_goes_on_at_a_provider_that_keeps_its_own() -> None:
    driver = Driver()
    driver.ask(model="native-m", previous_response_id="resp_1")
    driver.feed(Recalled(KEPT))
    assert "previous_response_id" not in driver.sent
    assert len(driver.sent["input"]) == 2


@pytest.mark.parametrize("body", [{"background": True}, {"conversation": "conv_1"}])
def test_what_only_a_provider_that_keeps_can_do_is_refused(body: dict[str, Any]) -> None:
    for model in ("amnesic-m", "chat-m"):
        driver = Driver()
        driver.ask(model=model, **body)
        assert (driver.status, driver.error["param"]) == (400, next(iter(body)))
    driver = Driver()
    driver.ask(model="native-m", **body)
    assert next(iter(body)) in driver.sent


# --- other operations ------------------------------------------------------------------------------------


def test_a_count_counts_what_came_before() -> None:
    counts = []
    for recalled in (
        None,
        Recalled(msgspec.structs.replace(KEPT, input=(ITEM.replace(b"before", b"many words " * 99),))),
    ):
        driver = Driver()
        driver.ask("/v1/responses/input_tokens", **({"previous_response_id": "resp_1"} if recalled else {}))
        if recalled is not None:
            driver.feed(recalled)
        counts.append(json.loads(driver.body)["input_tokens"])
    assert counts[1] > counts[0] + 100


def test_a_compaction_compacts_what_came_before() -> None:
    driver = Driver()
    driver.ask("/v1/responses/compact", previous_response_id="resp_1")
    driver.feed(Recalled(KEPT))
    assert driver.sent["messages"][0]["content"] == "before"
    driver.feed(UpstreamHead(200, JSON))
    driver.feed(UpstreamData(WHOLE))
    driver.feed(UpstreamEnd())
    assert [item["type"] for item in json.loads(driver.body)["output"]] == ["message", "message", "compaction"]
    assert not only(driver.actions, Keep)


def test_clients_of_other_dialects_have_no_past() -> None:
    driver = Driver()
    driver.feed(ClientRequest("POST", "/v1/chat/completions", HEADERS))
    body = {"model": "chat-m", "messages": [{"role": "user", "content": "hi"}], "previous_response_id": "resp_1"}
    driver.feed(ClientBody(json.dumps(body).encode()))
    assert not only(driver.actions, Recall)
