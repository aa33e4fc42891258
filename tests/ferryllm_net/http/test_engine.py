"""The engine seam: both engines fit it, and nothing above it knows what stands behind."""

from __future__ import annotations

import ast
import pathlib
from typing import get_args

import msgspec
import pytest

from ferryllm_net.http import Limits, engine
from ferryllm_net.http.engine import Body, EndOfMessage, Engine, Event, Fault, RequestHead, ResponseHead
from ferryllm_net.http.h11_engine import ClientEngine, ServerEngine

HTTP = pathlib.Path(engine.__file__).parent


def exchange(server: Engine, client: Engine) -> tuple[list[Event], list[Event]]:
    """One request and its answer, written against the seam alone."""
    request = RequestHead("POST", "/x?y", [("host", "a"), ("content-length", "2")])
    wire = b"".join(client.send(event) for event in (request, Body(b"hi"), EndOfMessage()))
    asked = server.receive_data(wire)
    response = ResponseHead(200, [("content-length", "3")])
    wire = b"".join(server.send(event) for event in (response, Body(b"yes"), EndOfMessage()))
    return asked, client.receive_data(wire)


def test_two_engines_understand_each_other_and_can_go_on() -> None:
    server: Engine = ServerEngine(Limits())
    client: Engine = ClientEngine(Limits())
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


@pytest.mark.parametrize("make", [ServerEngine, ClientEngine])
def test_garbage_is_a_fault_and_never_an_exception(make: type[ServerEngine] | type[ClientEngine]) -> None:
    one: Engine = make(Limits())
    if make is ClientEngine:
        one.send(RequestHead("GET", "/", [("host", "a")]))
        one.send(EndOfMessage())
    events = one.receive_data(b"\x00\xff garbage\r\n\r\n")
    assert type(events[-1]) is Fault
    assert not one.reusable
    assert one.receive_data(b"more") == []


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x", "a\nb", "a\x00b"])
def test_what_would_be_two_messages_is_refused(value: str) -> None:
    one: Engine = ClientEngine(Limits())
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
