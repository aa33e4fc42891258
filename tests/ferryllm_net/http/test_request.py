"""What a handler sees and says: request and responder over a wire in memory, on both backends."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable

import pytest

from ferryllm_net.http import Headers, Limits, Misuse, Request, RequestError, RequestHead, Responder
from ferryllm_net.http.engine import Event
from ferryllm_net.http.request import MOVES, Stage
from support.rig import Serving

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, *fields: bytes) -> bytes:
    lines = [b"POST /p HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*lines, b"", body])


async def echo(request: Request, respond: Responder) -> None:
    body = await request.read()
    await respond.complete(200, [("x-path", request.path)], body)


async def test_chunked_answer_goes_out_event_by_event(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [("content-type", "text/event-stream")])
        assert not respond.started
        await respond.body(b"a")
        assert respond.started
        await respond.body(b"")
        await respond.body(b"bc")
        await respond.end(b"d")
        assert respond.ended

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        data = await wire.receive_until(b"0\r\n\r\n")
        assert b"transfer-encoding: chunked\r\n" in data.lower()
        assert data.endswith(b"\r\n\r\n1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n0\r\n\r\n")
        writes = rig.served[0].writes
        assert len(writes) == 3
        assert writes[0].endswith(b"1\r\na\r\n"), "the head goes out with the first bytes"
        assert writes[2] == b"1\r\nd\r\n0\r\n\r\n", "the last bytes go out with the end"


async def test_trailers_stand_behind_the_last_chunk(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"a")
        await respond.end(b"b", [("X-Lost", "a, b")])

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET + GET)
        data = await wire.receive_until(b"a, b\r\n\r\n")
        assert data.lower().endswith(b"\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\nx-lost: a, b\r\n\r\n")
        await wire.receive_until(b"a, b\r\n\r\n")  # the connection goes on
        assert rig.errors == []


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", [("content-length", "1")]),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", []),
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", []),
    ],
)
async def test_trailers_without_a_place_are_left_out(head: bytes, fields: Headers, serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, fields)
        await respond.end(b"b", [("x-lost", "a")])

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(head)
        data = await wire.receive_until(b"\r\n\r\n" if head.startswith(b"HEAD") else b"\r\n\r\nb")
        assert b"x-lost" not in data
        await wire.aclose()
    assert rig.errors == []


async def test_a_trailer_is_held_to_the_form_of_a_field(serving: Serving) -> None:
    caught: list[Misuse] = []

    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        try:
            await respond.end(b"b", [("x-lost", "a\r\nx-forged: b")])
        except Misuse as exc:
            caught.append(exc)
            await respond.abort()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        assert await wire.receive() == b""
    assert len(caught) == 1


async def test_flush_sends_the_head_alone(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(500, [])
        await respond.head(200, [])
        await respond.flush()
        await respond.flush()
        with pytest.raises(Misuse):
            await respond.head(500, [])
        await respond.end()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await wire.receive_until(b"0\r\n\r\n")
        assert [write[:12] for write in rig.served[0].writes] == [b"HTTP/1.1 200", b"0\r\n\r\n"]


async def test_http_1_0_gets_a_body_that_ends_with_the_connection(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"abc")
        await respond.end()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(b"GET / HTTP/1.0\r\n\r\n")
        data = await wire.receive_all()
        assert b"chunked" not in data
        assert data.endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize("status", [200, 204, 304])
async def test_head_and_bodyless_statuses_send_no_body(serving: Serving, status: int) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(status, [], b"secret")

    async with serving(handler) as rig:
        wire = rig.connect()
        method = b"HEAD" if status == 200 else b"GET"
        await wire.send(method + GET[3:] + method + GET[3:-2] + b"Connection: close\r\n\r\n")
        data = await wire.receive_all()
        assert b"secret" not in data
        assert data.count(b"HTTP/1.1 ") == 2
        assert (b"content-length: 6" in data) is (status == 200)


async def test_early_answer_closes_when_the_rest_is_large(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        with pytest.raises(RequestError) as caught:
            await request.read(10)
        await respond.complete(caught.value.status, [], b"too large")

    async with serving(handler, Limits(drain_rest_bytes=100)) as rig:
        wire = rig.connect()
        await wire.send(post(b"x" * 2000)[:-900])
        data = await wire.receive_until(b"too large")
        assert data.startswith(b"HTTP/1.1 413")
        assert b"connection: close\r\n" in data
        await wire.send(b"x" * 900)
        await wire.aclose()


async def test_chunked_body_over_the_limit_is_413_while_it_is_counted(serving: Serving) -> None:
    async with serving(echo, Limits(body_bytes=10, linger_secs=0.01, sweep_secs=0.005)) as rig:
        wire = rig.connect()
        await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nabcde\r\n" * 3)
        data = await wire.receive_all()
        assert data.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in data


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        (gzip.compress(b"hello"), [b"Content-Encoding: gzip"], 200),
        (b"hello", [b"Content-Encoding: identity"], 200),
        (b"hello", [b"Content-Encoding: sdch"], 415),
        (b"hello", [b"Content-Encoding: gzip"], 400),
        (gzip.compress(b"hello")[:-3], [b"Content-Encoding: gzip"], 400),
        (gzip.compress(b"x" * 5000), [b"Content-Encoding: gzip"], 413),
        (b"x", [b"Content-Encoding: gzip, gzip, gzip"], 415),
    ],
)
async def test_coded_bodies(serving: Serving, body: bytes, fields: list[bytes], status: int) -> None:
    async with serving(echo, Limits(body_bytes=4000)) as rig:
        wire = rig.connect()
        await wire.send(post(body, *fields))
        head = await wire.receive_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d" % status)
        assert (b"accept-encoding: zstd, gzip, deflate" in head) is (status == 415)
        if status == 200:
            assert await wire.receive_until(b"hello") == b"hello"


async def test_abort_cuts_chunked_and_resets_http_1_0(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"x")
        await respond.abort()
        assert respond.ended

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        assert (await wire.receive_all()).endswith(b"1\r\nx\r\n")
        old = rig.connect()
        await old.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(Exception, match="reset"):
            await old.receive_all()


async def test_bad_fields_of_a_handler_are_misuse_and_still_a_500(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [("x", "a\r\nset-cookie: b")], b"")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        data = await wire.receive_until(b"}}")
        assert data.startswith(b"HTTP/1.1 500")
        assert b"cookie" not in data
        assert isinstance(rig.errors[0], Misuse)


async def test_responder_refuses_calls_out_of_order(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await request.read()
        with pytest.raises(Misuse):
            await request.read()
        with pytest.raises(Misuse):
            await respond.body(b"x")
        with pytest.raises(Misuse):
            await respond.head(100, [])
        with pytest.raises(Misuse):
            await respond.head(200, [("Transfer-Encoding", "chunked")])
        await respond.complete(200, [], b"fine")
        with pytest.raises(Misuse):
            await respond.end()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await wire.receive_until(b"fine")
        await wire.send(GET)
        await wire.receive_until(b"fine")


async def test_request_shows_target_path_and_query(serving: Serving) -> None:
    seen: list[tuple[str, str, str]] = []

    async def handler(request: Request, respond: Responder) -> None:
        seen.append((request.target, request.path, request.query))
        assert request.peer == ("192.0.2.1", 40000)
        assert request.scheme == "http"
        assert request.values("host") == ["a"]
        await respond.complete(204, [], b"")

    async with serving(handler) as rig:
        wire = rig.connect()
        for target in (b"/a%2Fb?x=1?2", b"http://a/c?y", b"http://a"):
            await wire.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            await wire.receive_until(b"\r\n\r\n")
    assert [(path, query) for _, path, query in seen] == [("/a%2Fb", "x=1?2"), ("/c", "y"), ("/", "")]


async def test_requests_whose_heads_come_again_share_a_shape(serving: Serving) -> None:
    shapes: list[object] = []

    async def handler(request: Request, respond: Responder) -> None:
        if request.shape is not None:
            shapes.append(request.shape.facts)
            request.shape.facts = (request.shape.facts, request.header("content-length"))
        else:
            shapes.append("none")
        await respond.complete(200, [], await request.read())

    expecting = post(b"<e>", b"Expect: 100-continue")
    async with serving(handler) as rig:
        wire = rig.connect()
        for message in (post(b"<a>"), post(b"<bcd>"), GET, post(b"<a>"), post(b"<ab>", b"x: y"), expecting):
            await wire.send(message)
            await wire.receive_until(message.partition(b"\r\n\r\n")[2] or b"\r\n\r\n")
        other = rig.connect()
        await other.send(post(b"<a>"))
        await other.receive_until(b"<a>")
        await wire.send(post(b"<a>"))
        await wire.receive_until(b"<a>")
    assert shapes == [None, (None, "3"), "none", None, None, "none", None, "none"]


class Sink:
    """A channel that takes everything."""

    def whole_body(self, limit: int) -> bytes | None:
        return None

    async def body_data(self, received: int) -> bytes | None:
        return None

    def put(self, data: bytes) -> bool:
        return True

    async def drain(self) -> None: ...

    async def write(self, data: bytes) -> None: ...

    def encode(self, event: Event) -> bytes:
        return b"x"

    def frame(self, data: bytes) -> bytes:
        return b"x"

    def finish_head(self, headers: Headers) -> Headers:
        return headers

    async def cut(self) -> None: ...

    # As a `Line`.

    def switch(self, headers: Headers) -> bytes:
        return b"101"

    async def receive(self) -> bytes:
        return b""

    def watch_drain(self, callback: Callable[[], None]) -> None: ...


@pytest.mark.parametrize("call", ["head", "flush", "body", "end", "switch", "abort"])
@pytest.mark.parametrize("stage", Stage)
async def test_every_call_in_every_stage_follows_the_table(stage: Stage, call: str) -> None:
    responder = Responder(Sink(), "GET", Sink())
    ways = {Stage.EMPTY: "", Stage.HELD: "h", Stage.STARTED: "hf", Stage.ENDED: "he", Stage.CUT: "ha"}
    reach = {**ways, Stage.SWITCHED: "s"}[stage]
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "head": lambda: responder.head(200, []),
        "flush": responder.flush,
        "body": lambda: responder.body(b"x"),
        "end": responder.end,
        "switch": lambda: responder.switch([]),
        "abort": responder.abort,
    }
    for letter in reach:
        await next(step for name, step in calls.items() if name.startswith(letter))()
    assert responder.stage is stage
    after = MOVES.get((stage, call))
    if after is None:
        with pytest.raises(Misuse, match=rf"{call}\(\) when the answer is {stage.value}"):
            await calls[call]()
    else:
        await calls[call]()
        assert responder.stage is after
    assert responder.started is (responder.stage not in (Stage.EMPTY, Stage.HELD))
    assert responder.ended is (responder.stage in (Stage.ENDED, Stage.CUT))


async def test_interrupt_calls_back_once() -> None:
    head = RequestHead("GET", "/", [("host", "a")])
    request = Request(head, Sink(), peer=("", 0), scheme="http", body_limit=10)
    calls: list[int] = []
    request.on_drain(lambda: calls.append(1))
    request.interrupt()
    request.interrupt()
    assert calls == [1]
    assert request.draining
    assert await request.read() == b""


async def test_what_is_no_connection_can_not_be_handed_over() -> None:
    responder = Responder(Sink(), "GET")
    with pytest.raises(Misuse, match="handed over"):
        await responder.switch([])
    assert responder.stage is Stage.EMPTY
