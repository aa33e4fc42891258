"""Draining and failing handlers over wires in memory, on both backends."""

from __future__ import annotations

import contextlib
import socket
import time
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

import anyio
import pytest

from ferryllm_net.http import Limits, Request, Responder, Server, bound_port, open_listeners
from ferryllm_net.http.backends import accept
from support.rig import Serving
from support.streams import wire

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_failing_handler_before_the_head_is_a_plain_500(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        raise RuntimeError("secret")

    async with serving(handler) as rig:
        wire = rig.connect()
        for _ in range(2):
            await wire.send(GET)
            data = await wire.receive_until(b"}}")
            assert data.startswith(b"HTTP/1.1 500")
            assert b"secret" not in data
        assert [str(exc) for exc in rig.errors] == ["secret", "secret"]


async def test_failing_handler_after_the_head_cuts_the_answer(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"x")
        raise RuntimeError("late")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        data = await wire.receive_all()
        assert data.endswith(b"1\r\nx\r\n"), "no last chunk"


@pytest.mark.parametrize("started", [False, True])
async def test_handler_that_returns_without_an_end_is_a_bug_that_is_seen(serving: Serving, started: bool) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        if started:
            await respond.head(200, [])
            await respond.body(b"x")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET[:-2] + b"Connection: close\r\n\r\n")
        data = await wire.receive_all()
        assert data.startswith(b"HTTP/1.1 200" if started else b"HTTP/1.1 500")
        assert not data.endswith(b"0\r\n\r\n")
        assert len(rig.errors) == 1


async def test_drain_closes_idle_connections_and_lets_running_exchanges_finish(serving: Serving) -> None:
    running, proceed = anyio.Event(), anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        running.set()
        await proceed.wait()
        await respond.complete(200, [], b"done")

    async with serving(handler) as rig:
        idle, busy = rig.connect(), rig.connect()
        await busy.send(GET)
        await running.wait()
        assert rig.server.active == 1
        assert rig.server.connections == 2
        rig.server.start_drain()
        assert rig.server.draining
        assert await idle.receive_all() == b""
        proceed.set()
        data = await busy.receive_all()
        assert b"connection: close\r\n" in data
        assert data.endswith(b"done")


async def test_drain_deadline_gives_handlers_their_last_words(serving: Serving) -> None:
    running = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"data: 1\n\n")
        with anyio.CancelScope() as scope:
            request.on_drain(scope.cancel)
            running.set()
            await anyio.sleep_forever()
        assert request.draining
        late: list[int] = []
        request.on_drain(lambda: late.append(1))
        assert late == [1]
        await respond.end(b"event: error\n\n")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await running.wait()
        rig.server.start_drain(0)
        data = await wire.receive_all()
        assert data.endswith(b"event: error\n\n\r\n0\r\n\r\n")


async def test_drain_cancels_whoever_does_not_end(serving: Serving) -> None:
    running = anyio.Event()
    left: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        running.set()
        try:
            await anyio.sleep_forever()
        finally:
            left.append(request.client_left)

    async with serving(handler, Limits(drain_error_secs=0.01)) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await running.wait()
        rig.server.start_drain(60)
        rig.server.start_drain(0)
        assert await wire.receive_all() == b""
    assert left == [False]


async def test_errors_of_handlers_are_logged_by_default_without_the_request(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        raise RuntimeError("broken")

    server = Server(handler)
    near, far = wire()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve_connection, far)
            await near.send(b"GET /p?key=secret HTTP/1.1\r\nHost: a\r\nauthorization: secret\r\n\r\n")
            await near.receive_until(b"}}")
            group.cancel_scope.cancel()
    assert "the handler of GET /p failed" in caplog.text
    assert "secret" not in caplog.text


async def test_connections_of_one_address_are_bounded_but_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"")

    async def count(server: Server) -> int:
        listeners = open_listeners("127.0.0.1", 0)
        streams = []
        async with anyio.create_task_group() as group:
            await group.start(server.serve, listeners)
            for _ in range(3):
                stream = await anyio.connect_tcp("127.0.0.1", bound_port(listeners[0]))
                streams.append(stream)
                with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                    await stream.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    await stream.receive()
            found = server.connections
            for stream in streams:
                await stream.aclose()
            group.cancel_scope.cancel()
        return found

    with anyio.fail_after(20):
        assert await count(Server(handler, limits=Limits(connections_per_address=1))) == 3
        monkeypatch.setattr("ferryllm_net.http.server._LOOPBACK", ())
        assert await count(Server(handler, limits=Limits(connections_per_address=1))) == 1


async def test_accepting_goes_on_after_it_failed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"")

    (listener,) = open_listeners("127.0.0.1", 0)
    port, failures = bound_port(listener), [OSError(24, "too many open files")]

    async def failing(listener: socket.socket) -> socket.socket:
        if failures:
            raise failures.pop()
        return await accept(listener)

    # A system without descriptors cannot be made in a test.
    monkeypatch.setattr("ferryllm_net.http.server.accept", failing)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            await group.start(Server(handler).serve, [listener])
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await stream.receive()).startswith(b"HTTP/1.1 200")
            group.cancel_scope.cancel()
    assert "accepting a connection failed" in caplog.text


def test_a_server_made_before_the_event_loop_drains_at_once_when_told_so_early(anyio_backend_name: str) -> None:
    async def handler(request: Request, respond: Responder) -> None: ...

    server = Server(handler)

    async def main() -> None:
        server.start_drain()
        with anyio.fail_after(20):
            await server.serve(open_listeners("127.0.0.1", 0))

    anyio.run(main, backend=anyio_backend_name)
    assert server.draining


async def test_date_is_that_of_now_in_the_form_of_http(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"")

    async with serving(handler) as rig:
        near = rig.connect()
        await near.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = (await near.receive_until(b"\r\n\r\n")).decode()
        date = head.partition("date: ")[2].partition("\r\n")[0]
        assert date == formatdate(parsedate_to_datetime(date).timestamp(), usegmt=True)
        assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 100


async def test_a_fault_while_a_connection_is_welcomed_takes_no_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"ok")

    begin = Server._begin

    def fail_once(self: Server, *args: Any) -> Any:
        monkeypatch.setattr(Server, "_begin", begin)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Server, "_begin", fail_once)
    server, (listener,) = Server(handler), open_listeners("127.0.0.1", 0)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            await group.start(server.serve, [listener])
            async with await anyio.connect_tcp("127.0.0.1", bound_port(listener)) as first:
                with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    await first.receive()
            async with await anyio.connect_tcp("127.0.0.1", bound_port(listener)) as second:
                await second.send(GET)
                assert (await second.receive()).startswith(b"HTTP/1.1 200")
            group.cancel_scope.cancel()
