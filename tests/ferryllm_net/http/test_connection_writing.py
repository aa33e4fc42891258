"""One connection of the server: what is put without waiting, interruptions that come late, and who leaves meanwhile.

Apart from `test_connection`, which has the phases and their deadlines.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.http import (
    ClientLeft,
    Origin,
    Pool,
    Request,
    RequestError,
    RequestHead,
    Responder,
    Server,
    bound_port,
    open_listeners,
)
from support.rig import Serving
from support.sockets import handshake

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
BIG = b"b" * 300_000


def dechunked(data: bytes) -> bytes:
    """The body of one chunked answer, whose end has to be there."""
    data, body = data.partition(b"\r\n\r\n")[2], b""
    while size := int(data.partition(b"\r\n")[0], 16):
        data = data.partition(b"\r\n")[2]
        assert data[size : size + 2] == b"\r\n"
        body, data = body + data[:size], data[size + 2 :]
    assert data == b"0\r\n\r\n"
    return body


# --- what is put ---


@pytest.mark.parametrize("first", [b"small", BIG])
@pytest.mark.parametrize("capacity", [1000, 1 << 20])
async def test_what_is_put_goes_out_in_order_however_often_and_large(
    serving: Serving, first: bytes, capacity: int
) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        respond.begin(200, [])
        respond.put(first)
        respond.put(b"middle")
        respond.put(BIG)
        if not respond.put_end(b"last", []):
            await respond.drain()

    async with serving(handler) as rig:
        wire = rig.connect(capacity)
        for closing in (b"", b"Connection: close\r\n"):
            await wire.send(GET[:-2] + closing + b"\r\n")
            data = b""
            while not data.endswith(b"\r\n0\r\n\r\n"):
                piece = await wire.receive()
                assert piece
                data += piece
            assert dechunked(data) == first + b"middle" + BIG + b"last"
        assert await wire.receive() == b"", "closed as it was asked for, with all of it out"
        assert rig.errors == []


async def test_an_answer_is_over_when_its_end_is_taken_and_not_before(serving: Serving) -> None:
    stages: list[str] = []

    async def handler(request: Request, respond: Responder) -> None:
        respond.begin(200, [])
        assert not respond.put_end(b"x" * 5000, [])
        stages.append(respond.stage.value)
        try:
            await respond.drain()
        finally:
            stages.append(f"{respond.stage.value} {request.client_left}")

    async with serving(handler) as rig:
        wire = rig.connect(capacity=100)
        await wire.send(GET)
        await anyio.wait_all_tasks_blocked()
        wire.reset()
        await rig.server.wait_closed()
        assert stages == ["started", "started True"], "who leaves before takes the handler with him"
        assert rig.errors == []


async def test_a_requests_end_behind_an_answer_that_was_malformed_is_not_taken_for_it(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        respond.begin(200, [("content-length", "3")])
        respond.put(b"a")
        respond.put_end(b"", [])

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        data = await wire.receive_all()
        assert data.endswith(b"\r\n\r\na"), "cut, not padded"
        assert len(rig.errors) == 1


async def test_a_drain_that_is_cancelled_ends_the_connection(serving: Serving) -> None:
    """Half a message is out: nothing that follows could be told from its rest."""

    async def handler(request: Request, respond: Responder) -> None:
        respond.begin(200, [])
        with anyio.CancelScope() as scope:
            assert not respond.put(b"x" * 5000)
            scope.cancel()
            await respond.drain()
        with pytest.raises(ClientLeft):
            respond.put(b"more")

    async with serving(handler) as rig:
        wire = rig.connect(capacity=100)
        await wire.send(GET + GET)
        data = await wire.receive_all()
        assert data.count(b"HTTP/1.1 200") == 1
        assert not data.endswith(b"0\r\n\r\n")
        assert b"more" not in data


async def test_requests_behind_a_streamed_answer_wait_for_its_end(serving: Serving) -> None:
    proceed = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        respond.begin(200, [])
        respond.put(b"one ")
        await proceed.wait()
        respond.put_end(request.path.encode(), [])

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET.replace(b" / ", b" /a ") + GET.replace(b" / ", b" /b ") + GET[:20])
        data = await wire.receive_until(b"one ")
        await anyio.wait_all_tasks_blocked()
        proceed.set()
        await wire.send(GET[20:])
        data += await wire.receive_until(b"/b\r\n0\r\n\r\n")
        data += await wire.receive_until(b"/\r\n0\r\n\r\n")
        assert data.index(b"/a") < data.index(b"/b")
        assert data.count(b"HTTP/1.1 200") == 3


# --- bodies that came with the head ---


@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_a_body_above_the_limit_is_413_also_when_all_of_it_is_here(serving: Serving, coding: str) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        assert request.whole(9) is None
        with pytest.raises(RequestError, match="larger than 9 bytes"):
            await request.read(9)
        await respond.complete(413, [], b"no")

    framed = POST + b"0123456789"
    if coding == "chunked":
        framed = POST.replace(b"Content-Length: 10", b"Transfer-Encoding: chunked") + b"a\r\n0123456789\r\n0\r\n\r\n"
    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(framed)
        assert (await wire.receive_until(b"no")).startswith(b"HTTP/1.1 413")
        assert rig.errors == []


# --- interruptions that come late ---


async def test_an_interruption_of_an_earlier_wait_is_not_the_bodys(serving: Serving) -> None:
    """A drain begins, or a deadline passes, in the turn in which the bytes come that end the wait."""
    begun, proceed = anyio.Event(), anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        begun.set()
        await proceed.wait()
        await respond.complete(200, [], await request.read())

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(POST)
        await begun.wait()
        rig.served[0].interrupt()
        proceed.set()
        await anyio.wait_all_tasks_blocked()
        await wire.send(b"0123456789")
        data = await wire.receive_until(b"0123456789")
        assert data.startswith(b"HTTP/1.1 200")


async def test_an_interruption_of_an_earlier_wait_does_not_end_an_idle_connection(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        rig.served[0].interrupt()
        await respond.complete(200, [], b"here")

    async with serving(handler) as rig:
        wire = rig.connect()
        for _ in range(2):
            await wire.send(GET)
            await wire.receive_until(b"here")
            await anyio.wait_all_tasks_blocked()
        rig.server.start_drain()
        assert await wire.receive() == b"", "a drain does"


async def test_an_interruption_of_an_earlier_wait_is_not_the_next_protocols(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        line = await respond.switch([("upgrade", "websocket"), ("connection", "upgrade")])
        rig.served[0].interrupt()
        await line.write(await line.receive())

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(handshake())
        await wire.receive_until(b"\r\n\r\n")
        await anyio.wait_all_tasks_blocked()
        await wire.send(b"frames")
        assert await wire.receive_until(b"frames") == b"frames"
        assert rig.errors == []


# --- a relay on sockets: the pump of one connection writes to the other ---

Handling = Callable[[Request, Responder], Awaitable[None]]


async def relayed(
    feed_of: Callable[[Responder], Callable[[bytes], bool]], client: Callable[[anyio.abc.SocketStream], Awaitable[None]]
) -> list[Exception]:
    """A gateway that pumps an endless answer to ``client``; returns what its server reports. Everything has ended."""
    errors: list[Exception] = []
    gone = anyio.Event()

    async def endless(request: Request, respond: Responder) -> None:
        try:
            await respond.head(200, [])
            while True:
                await respond.body(b"data: x\n\n" * 100)
                await anyio.lowlevel.checkpoint()
        finally:
            gone.set()

    async def relay(request: Request, respond: Responder) -> None:
        async with await pool.open(upstream, RequestHead("GET", "/", [])) as answer:
            respond.begin(answer.status, [])
            feed = feed_of(respond)
            while await answer.pump(feed):
                await respond.drain()

    source, gateway = Server(endless), Server(relay, on_error=lambda request, exc: errors.append(exc))
    with anyio.fail_after(20):
        async with Pool() as pool, anyio.create_task_group() as group:
            ports = []
            for server in (source, gateway):
                listeners = open_listeners("127.0.0.1", 0)
                ports.append(bound_port(listeners[0]))
                await group.start(server.serve, listeners)
            upstream = Origin("http", "127.0.0.1", ports[0])
            async with await anyio.connect_tcp("127.0.0.1", ports[1]) as stream:
                await stream.send(GET)
                await client(stream)
                with anyio.fail_after(5):
                    await gone.wait()
                    await gateway.wait_closed()
                    await source.wait_closed()
            assert (gateway.active, pool.active, pool.idle) == (0, 0, 0)
            group.cancel_scope.cancel()
    return errors


@pytest.mark.parametrize("how", ["close", "reset", "full"])
async def test_a_client_that_leaves_while_a_pump_writes_to_it_ends_both(how: str) -> None:
    async def leave(stream: anyio.abc.SocketStream) -> None:
        size = 0
        while size < 100_000:
            size += len(await stream.receive())
        if how == "full":
            # Its buffers fill, so the pump has stopped and the write waits.
            for _ in range(50):
                await anyio.wait_all_tasks_blocked()
        if how == "reset":
            raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await stream.aclose()

    assert await relayed(lambda respond: lambda data: not respond.put(data), leave) == []


async def test_an_exception_where_the_bytes_arrive_is_the_handlers_and_cuts_the_answer() -> None:
    fed = 0

    def feed_of(respond: Responder) -> Callable[[bytes], bool]:
        def feed(data: bytes) -> bool:
            nonlocal fed
            fed += 1
            if fed > 5:
                raise ValueError("of the exchange")
            return not respond.put(data)

        return feed

    async def read(stream: anyio.abc.SocketStream) -> None:
        data = b""
        try:
            while True:
                data += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass
        assert data.startswith(b"HTTP/1.1 200")
        assert not data.endswith(b"0\r\n\r\n")

    assert [str(exc) for exc in await relayed(feed_of, read)] == ["of the exchange"]


async def test_a_feed_that_says_the_client_left_is_no_fault() -> None:
    def feed_of(respond: Responder) -> Callable[[bytes], bool]:
        def feed(data: bytes) -> bool:
            raise ClientLeft("the client left")

        return feed

    async def read(stream: anyio.abc.SocketStream) -> None:
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while await stream.receive():
                pass

    assert await relayed(feed_of, read) == []
