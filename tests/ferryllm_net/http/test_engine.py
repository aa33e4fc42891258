"""The engine seam: all engines fit it, and nothing above it knows what stands behind."""

from __future__ import annotations

import ast
import pathlib
from types import ModuleType
from typing import get_args

import msgspec
import pytest

from ferryllm_net.http import Limits, engine, h1_engine, h11_engine
from ferryllm_net.http.engine import Body, EndOfMessage, Engine, Event, Fault, RequestHead, ResponseHead

ENGINES = [h1_engine, h11_engine]
HTTP = pathlib.Path(engine.__file__).parent

both_engines = pytest.mark.parametrize("module", ENGINES, ids=lambda module: module.__name__.rpartition(".")[2])


def exchange(server: Engine, client: Engine) -> tuple[list[Event], list[Event]]:
    """One request and its answer, written against the seam alone."""
    request = RequestHead("POST", "/x?y", [("host", "a"), ("content-length", "2")])
    wire = b"".join(client.send(event) for event in (request, Body(b"hi"), EndOfMessage()))
    asked = server.receive_data(wire)
    response = ResponseHead(200, [("content-length", "3")])
    wire = b"".join(server.send(event) for event in (response, Body(b"yes"), EndOfMessage()))
    return asked, client.receive_data(wire)


@pytest.mark.parametrize("servers", ENGINES)
@pytest.mark.parametrize("clients", ENGINES)
def test_two_engines_understand_each_other_and_can_go_on(servers: ModuleType, clients: ModuleType) -> None:
    server: Engine = servers.ServerEngine(Limits())
    client: Engine = clients.ClientEngine(Limits())
    for _ in range(3):
        asked, answered = exchange(server, client)
        assert [type(event) for event in asked] == [RequestHead, Body, EndOfMessage]
        assert [type(event) for event in answered] == [ResponseHead, Body, EndOfMessage]
        assert isinstance(asked[0], RequestHead)
        assert (asked[0].method, asked[0].target) == ("POST", "/x?y")
        assert server.reusable
        assert client.reusable
        assert (server.held, client.held) == (0, 0)
        assert server.next_message() == client.next_message() == []


def served(module: ModuleType) -> tuple[Engine, Engine]:
    """A server within a chunked answer and the client that reads it."""
    server: Engine = module.ServerEngine(Limits())
    client: Engine = module.ClientEngine(Limits())
    server.receive_data(client.send(RequestHead("GET", "/", [("host", "a")])) + client.send(EndOfMessage()))
    assert len(client.receive_data(server.send(ResponseHead(200, [])))) == 1
    return server, client


@both_engines
def test_a_frame_is_what_a_body_becomes(module: ModuleType) -> None:
    server, client = served(module)
    wire = server.frame(b"abc")
    assert wire == server.send(Body(b"abc")) == b"3\r\nabc\r\n"
    assert server.frame(b"") == b""
    assert client.receive_data(wire) == [Body(b"abc")]
    server.send(EndOfMessage())
    with pytest.raises(engine.Misuse):
        server.frame(b"late")


@both_engines
def test_what_receive_body_does_not_take_is_for_receive_data(module: ModuleType) -> None:
    server, client = served(module)
    payload = b""
    ended = False
    for wire in (server.frame(b"abc"), server.frame(b"de")[:4], b"e\r\n" + server.send(EndOfMessage())):
        taken = client.receive_body(wire)
        if taken is None:
            for event in client.receive_data(wire):
                payload += event.data if isinstance(event, Body) else b""
                ended |= isinstance(event, EndOfMessage)
        else:
            payload, ended = payload + taken[0], taken[1]
    assert (payload, ended) == (b"abcde", True)
    assert client.receive_body(b"more") is None
    assert client.reusable


@both_engines
def test_trailers_go_behind_a_chunked_body_and_are_left_out_elsewhere(module: ModuleType) -> None:
    server, client = served(module)
    wire = server.frame(b"abc") + server.send(EndOfMessage([("x-sum", "1")]))
    assert client.receive_data(wire) == [Body(b"abc"), EndOfMessage([("x-sum", "1")])]
    for trailers in ([("content-length", "3")], [("a b", "1")], [("x", "a\r\nb")]):
        server, _ = served(module)
        with pytest.raises(engine.Misuse):
            server.send(EndOfMessage(trailers))
    fixed: Engine = module.ServerEngine(Limits())
    fixed.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    fixed.send(ResponseHead(200, [("content-length", "0")]))
    with pytest.raises(engine.Misuse):
        fixed.send(EndOfMessage([("host", "a")]))
    assert fixed.send(EndOfMessage([("x-sum", "1")])) == b"", "there is no place for it"


@both_engines
@pytest.mark.parametrize("side", ["ServerEngine", "ClientEngine"])
def test_garbage_is_a_fault_and_never_an_exception(module: ModuleType, side: str) -> None:
    one: Engine = getattr(module, side)(Limits())
    if side == "ClientEngine":
        one.send(RequestHead("GET", "/", [("host", "a")]))
        one.send(EndOfMessage())
    events = one.receive_data(b"\x00\xff garbage\r\n\r\n")
    assert type(events[-1]) is Fault
    assert not one.reusable
    assert one.receive_data(b"more") == []


@both_engines
@pytest.mark.parametrize("value", ["a\r\nset-cookie: x", "a\nb", "a\x00b"])
def test_what_would_be_two_messages_is_refused(module: ModuleType, value: str) -> None:
    one: Engine = module.ClientEngine(Limits())
    with pytest.raises(engine.Misuse):
        one.send(RequestHead("GET", "/", [("host", "a"), ("x", value)]))


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_events_are_values(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen


def test_h11_is_known_to_its_engine_alone() -> None:
    for path in HTTP.glob("*.py"):
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
        }
        assert ("h11" in names) == (path.name == "h11_engine.py"), path.name
        assert not {"asyncio", "trio"} & names, path.name
