"""The usual request is what an exchange makes of it, in fewer steps: compared, whatever is asked and answered."""

from __future__ import annotations

import json as stdjson
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, Exchange, Gateway, Route, RouteTable
from ferryllm_proto.actions import Action, Finish, Note, Open, Outcome, ReadBody, Record, Release, SendBody, SendHead
from ferryllm_proto.crossing import Worded
from ferryllm_proto.dialect import Headers
from ferryllm_proto.inputs import ClientBody, ClientLost, ClientRequest, UpstreamData, UpstreamEnd, UpstreamHead
from ferryllm_proto.policy.access import AccessRules, by_name, key_digest
from ferryllm_proto.policy.cors import CorsPolicy
from ferryllm_proto.policy.headers import HeaderMode, HeaderPolicy
from ferryllm_proto.policy.prompt_cache import PromptCachePolicy
from ferryllm_proto.policy.reasoning import ReasoningMode, ReasoningPolicy
from ferryllm_proto.policy.route import RoutePolicies
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import ProviderBounds, Routing
from ferryllm_proto.routing.keys import ClientKey, KeyBook
from ferryllm_proto.routing.pricing import PriceTable
from ferryllm_proto.routing.table import Overrides
from ferryllm_proto.snapshot import Provider
from ferryllm_proto.stages import State
from ferryllm_proto.usual import Kind, Opened, Usual
from support import spoilt
from support.answers import ASK, WHOLE
from support.driver import HOST, JSON

PATHS = {
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/asked:generateContent",
    "ollama": "/api/chat",
}
STREAMS = {**PATHS, "gemini": "/v1beta/models/asked:streamGenerateContent?alt=sse"}
NAMES = tuple(DIALECTS)
ENTRIES = tuple(name for name in NAMES if name != "openai_responses")
"""Requests of the Responses dialect may go on from an answer before: none of them is usual."""
NOW, CREATED, SEED, ID = 100.0, 1_760_000_000.5, 7, "req_1"
CACHE = PromptCachePolicy(breakpoints=True, system=True, tools=True, last_user=True, key="mine")


def gateway(backend: str, route: Route | None = None, provider: Provider | None = None, **fields: Any) -> Gateway:
    """One provider of ``backend`` for all models."""
    routes = RouteTable((route or Route("*", "up", rewrite_model="real"),))
    return Gateway(routes, {"up": provider or Provider("up", backend, total_secs=50.0)}, **fields)


def calm() -> Routing:
    return Routing(BreakerRules())


def body_of(entry: str, *, stream: bool = False, **more: Any) -> bytes:
    own = {} if entry == "gemini" else {"model": "asked", "stream": stream}
    return stdjson.dumps({**own, **ASK[entry], **more}).encode()


def kind_of(one: Gateway, entry: str, *headers: tuple[str, str], stream: bool = False) -> Kind | None:
    fields = (HOST, JSON, *headers)
    return Usual(one).kind("POST", (STREAMS if stream else PATHS)[entry], fields, by_name(fields))


def begin(one: Gateway, entry: str, body: bytes, *headers: tuple[str, str], stream: bool = False) -> Opened | None:
    kind = kind_of(one, entry, *headers, stream=stream)
    return None if kind is None else kind.open(body, calm(), NOW, CREATED, SEED, ID)


def driven(
    one: Gateway, entry: str, body: bytes, *headers: tuple[str, str], stream: bool = False
) -> tuple[Exchange, list[Action]]:
    """The same by an exchange, and what it did."""
    exchange = Exchange(one, ID, SEED, CREATED, calm(), None, lambda: 0.5)
    path = (STREAMS if stream else PATHS)[entry]
    actions = exchange.receive(ClientRequest("POST", path, (HOST, JSON, *headers)), NOW)
    if exchange.state is State.READING:
        actions += exchange.receive(ClientBody(body), NOW)
    return exchange, actions


def slots(exchange: Exchange) -> dict[str, Any]:
    """All that an exchange remembers; of what it talks and shares, what can be compared."""
    names = {name for kind in type(exchange).__mro__ for name in getattr(kind, "__slots__", ())} - {"__weakref__"}
    found = {name: getattr(exchange, name) for name in names}
    talk, routing = found.pop("_talk"), found.pop("_routing")
    del found["_chance"]
    found["talk"] = None if talk is None else (type(talk), talk.state, talk.model, talk.stream, talk.losses)
    found["saved up"] = vars(routing.budget) if hasattr(routing.budget, "__dict__") else None
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("backend", NAMES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_it_begins_as_an_exchange_does(entry: str, backend: str, stream: bool) -> None:
    for policies in (RoutePolicies(), RoutePolicies(prompt_cache=CACHE)):
        one = gateway(backend, Route("*", "up", rewrite_model="real", policies=policies))
        body = body_of(entry, stream=stream)
        exchange, actions = driven(one, entry, body, stream=stream)
        opened = begin(one, entry, body, stream=stream)
        assert opened is not None
        assert actions[0] == ReadBody(one.body_limit)
        assert actions[1:] == [*opened.way.notes, Open("up", opened.request, 1)]
        assert slots(opened.exchange(calm_after_one(), None, lambda: 0.5)) == slots(exchange)
        assert opened.now + opened.way.patience == exchange.next_deadline()


def calm_after_one() -> Routing:
    routing = calm()
    routing.budget.request()
    return routing


@given(data=st.data(), entry=st.sampled_from(ENTRIES), backend=st.sampled_from(NAMES))
def test_it_ends_as_an_exchange_does(data: st.DataObject, entry: str, backend: str) -> None:
    one = gateway(backend)
    body = body_of(entry)
    opened = begin(one, entry, body)
    assert opened is not None
    status, headers = data.draw(spoilt.STATUSES), data.draw(spoilt.HEADS)
    answer = data.draw(spoilt.bodies(backend))
    exchange, _ = driven(one, entry, body)
    expected = told(exchange, status, headers, answer)
    found = opened.finish(status, headers, answer)
    if found is None:
        # Nothing has happened: an exchange goes on from there.
        rest = told(opened.exchange(calm(), None, lambda: 0.5), status, headers, answer)
        assert rest == expected
        return
    record = expected[-1]
    assert isinstance(record, Record)
    given, fields = 200, opened.head()
    shown = [action for action in expected if not isinstance(action, Note)]
    assert shown == [SendHead(given, tuple(fields)), *([SendBody(found)] if found else []), Finish(), record]
    assert record.outcome is Outcome.OK
    talk = opened.talk
    assert (record.usage, list(record.losses), record.model) == (talk.usage, talk.losses, opened.model)
    assert (record.stream, record.status, record.attempts) == (False, given, 1)
    again = opened.exchange(calm(), None, lambda: 0.5)
    assert again.state is State.WAITING


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("backend", NAMES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_was_learnt_from_the_first_changes_nothing(entry: str, backend: str, stream: bool) -> None:
    one = gateway(backend, Route("*", "up", rewrite_model="real", policies=RoutePolicies(prompt_cache=CACHE)))
    kind = kind_of(one, entry, stream=stream)
    assert kind is not None
    for body in (body_of(entry, stream=stream), words_for(entry, stream=stream)):
        exchange, actions = driven(one, entry, body, stream=stream)
        for _ in range(2):
            opened = kind.open(body, calm(), NOW, CREATED, SEED, ID)
            assert opened is not None
            assert actions[1:] == [*opened.way.notes, Open("up", opened.request, 1)]
            assert slots(opened.exchange(calm_after_one(), None, lambda: 0.5)) == slots(exchange)


def words_for(entry: str, *, stream: bool = False) -> bytes:
    """A small request of ``entry``'s, in words where it knows them."""
    said = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "system": "be brief"}
    return body_of(entry, stream=stream) if entry != "anthropic" else body_of(entry, stream=stream, **said)


@given(data=st.data())
def test_the_answer_to_words_ends_as_an_exchange_does(data: st.DataObject) -> None:
    one = gateway("openai")
    kind, body = kind_of(one, "anthropic"), words_for("anthropic")
    assert kind is not None
    kind.open(body, calm(), NOW, CREATED, SEED, ID)
    opened = kind.open(body, calm(), NOW, CREATED, SEED, ID)
    assert opened is not None
    assert isinstance(opened.talk, Worded)
    status, headers = data.draw(spoilt.STATUSES), data.draw(spoilt.HEADS)
    answer = data.draw(st.one_of(st.just(WHOLE["openai"]), spoilt.bodies("openai")))
    exchange, _ = driven(one, "anthropic", body)
    expected = told(exchange, status, headers, answer)
    found = opened.finish(status, headers, answer)
    if found is None:
        assert told(opened.exchange(calm(), None, lambda: 0.5), status, headers, answer) == expected
        return
    record = expected[-1]
    assert isinstance(record, Record)
    given, fields = 200, opened.head()
    shown = [action for action in expected if not isinstance(action, Note)]
    assert shown == [SendHead(given, tuple(fields)), SendBody(found), Finish(), record]
    assert (record.usage, list(record.losses)) == (opened.talk.usage, opened.talk.losses)


def told(exchange: Exchange, status: int, headers: Headers, answer: bytes) -> list[Action]:
    """What an exchange does about an answer that came at once."""
    actions = exchange.receive(UpstreamHead(status, tuple(headers)), NOW + 1)
    if answer and exchange.state is State.ANSWERING:
        actions += exchange.receive(UpstreamData(answer), NOW + 1)
    if exchange.state is State.ANSWERING:
        actions += exchange.receive(UpstreamEnd(), NOW + 1)
    return [action for action in actions if not isinstance(action, Release)]


@pytest.mark.parametrize("backend", NAMES)
def test_an_answer_that_was_finished_can_be_forgotten(backend: str) -> None:
    """A client that leaves before it has all of it is recorded by the exchange."""
    one = gateway(backend)
    opened = begin(one, "anthropic", body_of("anthropic"))
    assert opened is not None
    assert opened.finish(200, (JSON,), WHOLE[backend]) is not None
    opened.begin_again()
    exchange, _ = driven(one, "anthropic", body_of("anthropic"))
    expected = exchange.receive(ClientLost(), NOW + 2)
    assert opened.exchange(calm(), None, lambda: 0.5).receive(ClientLost(), NOW + 2) == expected


@pytest.mark.parametrize(
    "headers",
    [
        (("expect", "100-continue"),),
        (("te", "trailers"),),
        (("content-encoding", "gzip"),),
        (("origin", "https://elsewhere.example"),),
    ],
    ids=lambda headers: str(headers[0][0]),
)
def test_some_heads_are_not_usual(headers: tuple[tuple[str, str], ...]) -> None:
    assert kind_of(gateway("openai"), "anthropic", *headers) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"admits": True},
        {"records": True},
        {"prices": PriceTable(())},
        {"access": AccessRules(pages=CorsPolicy(origins=("https://page.example",)))},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_looked_at_request_by_request_is_not_usual(fields: dict[str, Any]) -> None:
    assert kind_of(gateway("openai", **fields), "openai") is None


def test_requests_that_may_go_on_from_an_answer_are_not_usual() -> None:
    assert kind_of(gateway("openai"), "openai_responses") is None


def test_keys_without_conditions_are_usual() -> None:
    plain, bound, dated = (
        ClientKey(name, key_digest(name), models=models, expires=expires)
        for name, models, expires in (("plain", (), None), ("bound", ("asked",), None), ("dated", (), 2e9))
    )
    one = gateway("openai", keys=KeyBook((plain, bound, dated)))
    found = kind_of(one, "anthropic", ("x-api-key", "plain"))
    assert found is not None
    assert found.key is plain
    assert kind_of(one, "anthropic", ("x-api-key", "bound")) is None
    assert kind_of(one, "anthropic", ("x-api-key", "dated")) is None
    assert kind_of(one, "anthropic", ("x-api-key", "nobody's")) is None
    assert kind_of(one, "anthropic") is None


ROUTES = [
    Route("*", "up", policies=RoutePolicies(reasoning=ReasoningPolicy(ReasoningMode.FORCE, "low"))),
    Route("*", "up", policies=RoutePolicies(prompt_cache=PromptCachePolicy(strip_prefixes=("x",)))),
    Route("*", "up", overrides=Overrides(idle_secs=3.0)),
    Route("other", "up"),
]


@pytest.mark.parametrize("number", range(len(ROUTES)))
def test_routes_with_more_to_do_are_not_usual(number: int) -> None:
    assert begin(gateway("openai", ROUTES[number]), "anthropic", body_of("anthropic")) is None


def test_providers_with_header_policies_are_not_usual() -> None:
    provider = Provider("up", "openai", headers=HeaderPolicy(HeaderMode.NONE, add=(("x-team", "a"),)))
    assert begin(gateway("openai", provider=provider), "anthropic", body_of("anthropic")) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model":1}', b'{"model":"m","messages":3}', b"\xff"])
def test_bodies_that_are_refused_are_not_usual(body: bytes) -> None:
    assert begin(gateway("openai"), "anthropic", body) is None


def test_bounds_and_troubles_are_not_usual() -> None:
    kind = kind_of(gateway("openai"), "anthropic")
    assert kind is not None
    body = body_of("anthropic")
    bound = Routing(BreakerRules(), bounds={"up": ProviderBounds(concurrency=1)})
    assert kind.open(body, bound, NOW, CREATED, SEED, ID) is None
    assert kind.open(body, calm(), NOW, CREATED, SEED, ID) is not None


def test_a_way_is_found_once_for_each_model() -> None:
    kind = kind_of(gateway("openai"), "anthropic")
    assert kind is not None
    ways = []
    for model in ("a", "a", "b", "x" * 300, "x" * 300):
        opened = kind.open(body_of("anthropic", model=model), calm(), NOW, CREATED, SEED, ID)
        assert opened is not None
        ways.append(opened.way)
    assert ways[0] is ways[1]
    assert ways[2] is not ways[0]
    assert ways[3] is not ways[4], "names that are too long are not remembered"
