"""A whole answer of HTTP/1.1: the short way writes the bytes of the long one, and refuses what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ferryllm_net.http.engine import Event, Headers, Misuse
from ferryllm_net.http.h1_engine import ServerEngine
from ferryllm_net.http.h1_responder import H1Responder
from ferryllm_net.http.limits import Limits
from ferryllm_net.http.request import Responder, Stage

_FAST = b"%b / HTTP/1.1\r\nHost: x\r\n\r\n"
_SLOW = b"%b / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, x-any\r\n\r\n"
_JSON = ("content-type", "application/json")


class Wire:
    """A channel of an engine that keeps what is written; `taken` says whether the system takes it at once."""

    def __init__(self, request: bytes) -> None:
        self.engine = ServerEngine(Limits())
        self.engine.receive_data(request)
        self.out = b""
        self.taken = True
        self.short = 0

    def answer(self, status: int, headers: Headers, body: bytes) -> bytes | None:
        data = self.engine.answer(status, headers, body, "now")
        self.short += data is not None
        return data

    def whole_body(self, limit: int) -> bytes | None:
        return None

    async def body_data(self, received: int) -> bytes | None:
        return None

    def put(self, data: bytes) -> bool:
        self.out += data
        return self.taken

    async def drain(self) -> None: ...

    async def write(self, data: bytes) -> None: ...

    def encode(self, event: Event) -> bytes:
        return self.engine.send(event)

    def frame(self, data: bytes) -> bytes:
        return self.engine.frame(data)

    def finish_head(self, headers: Headers) -> Headers:
        return [*headers, ("date", "now")]

    async def cut(self) -> None: ...

    def switch(self, headers: Headers) -> bytes:
        return b""

    async def receive(self) -> bytes:
        return b""

    def watch_drain(self, callback: Callable[[], None]) -> None: ...


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("request_head", [_FAST, _SLOW])
@pytest.mark.parametrize("status", [200, 204, 304, 404, 529])
@pytest.mark.parametrize("headers", [[_JSON], [("Content-Length", "9"), _JSON], [("x-fourteen-xx", "1"), ("A", "b")]])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_both_ways_write_the_same(
    method: bytes, request_head: bytes, status: int, headers: Headers, body: bytes
) -> None:
    near, far = Wire(request_head % method), Wire(request_head % method)
    short, long = H1Responder(near, method.decode()), Responder(far, method.decode())
    if status == 204:
        body = b""
    assert short.put_complete(status, headers, body) is long.put_complete(status, headers, body) is True
    assert near.out == far.out
    assert short.stage is long.stage is Stage.ENDED
    assert near.engine.reusable is far.engine.reusable is True


def test_the_usual_answer_takes_the_short_way() -> None:
    wire = Wire(_FAST % b"POST")
    responder = H1Responder(wire, "POST")
    responder.always = [("vary", "origin")]
    responder.put_complete(200, [_JSON], b"{}")
    assert wire.short == 1
    assert b"\r\nvary: origin\r\n" in wire.out
    assert wire.engine.common


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, [("transfer-encoding", "chunked")]),
        (200, [("x", "a\r\nb: c")]),
        (200, [("no name", "a")]),
        (100, [_JSON]),
        (600, [_JSON]),
    ],
)
def test_what_is_no_message_is_refused_and_another_answer_is_possible(status: int, headers: Headers) -> None:
    wire = Wire(_FAST % b"GET")
    responder = H1Responder(wire, "GET")
    with pytest.raises(Misuse):
        responder.put_complete(status, headers, b"{}")
    assert wire.out == b""
    assert responder.put_complete(500, [_JSON], b"{}")
    assert wire.out.startswith(b"HTTP/1.1 500 ")


def test_a_second_answer_is_refused() -> None:
    responder = H1Responder(Wire(_FAST % b"GET"), "GET")
    responder.put_complete(200, [_JSON], b"{}")
    with pytest.raises(Misuse, match="ended"):
        responder.put_complete(200, [_JSON], b"{}")


@pytest.mark.anyio
async def test_an_answer_is_over_when_it_is_out() -> None:
    wire = Wire(_FAST % b"GET")
    wire.taken = False
    responder = H1Responder(wire, "GET")
    assert not responder.put_complete(200, [_JSON], b"{}")
    assert (responder.started, responder.ended) == (True, False)
    await responder.drain()
    assert responder.ended
