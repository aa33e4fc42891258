"""HTTP/2 to upstreams: sharing, waiting, flow control, leaving; against a server that the test plays by hand."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import h2.events
import msgspec
import pytest
from h2.errors import ErrorCodes

from ferryllm_net.http import (
    Limits,
    Misuse,
    Pool,
    RequestHead,
    Timeouts,
    UpstreamError,
    UpstreamFault,
    UpstreamResponse,
)
from support.h2_server import OK, H2Peer, frame
from support.upstream import ORIGIN, Fed, Upstream, head

pytestmark = pytest.mark.anyio

SHARED = msgspec.structs.replace(ORIGIN, http2="prior_knowledge")


class Bench:
    def __init__(self, pool: Pool, upstream: Upstream, group: anyio.abc.TaskGroup) -> None:
        self.pool = pool
        self.upstream = upstream
        self.group = group
        self.got: dict[str, UpstreamResponse | UpstreamError] = {}
        self.origin = SHARED

    def ask(
        self, name: str, body: bytes = b"", *, timeouts: Timeouts | None = None, request: RequestHead | None = None
    ) -> None:
        """Ask in a task of its own; `got` has what came of it."""

        async def run() -> None:
            try:
                asked = request or head("POST" if body else "GET", ("x-name", name))
                self.got[name] = await self.pool.open(self.origin, asked, body, timeouts=timeouts)
            except UpstreamError as exc:
                self.got[name] = exc

        self.group.start_soon(run)

    async def peer(self, **settings: int) -> H2Peer:
        return await H2Peer(await self.upstream.accept(), **settings).start()

    async def response(self, name: str) -> UpstreamResponse:
        await anyio.wait_all_tasks_blocked()
        found = self.got[name]
        assert isinstance(found, UpstreamResponse), found
        return found

    async def error(self, name: str) -> UpstreamError:
        await anyio.wait_all_tasks_blocked()
        found = self.got[name]
        assert isinstance(found, UpstreamError), found
        return found


@asynccontextmanager
async def bench(limits: Limits | None = None, capacity: int = 1 << 20) -> AsyncIterator[Bench]:
    upstream = Upstream(capacity)
    try:
        with anyio.fail_after(20):
            async with Pool(limits=limits, dial=upstream.dial) as pool, anyio.create_task_group() as group:
                yield Bench(pool, upstream, group)
                group.cancel_scope.cancel()
    finally:
        upstream.close()


async def test_a_request_and_its_answer_with_trailers() -> None:
    async with bench() as b:
        b.ask("a", b"body", request=head("POST", ("X-A", "1"), ("connection", "x"), ("authorization", "Bearer k")))
        peer = await b.peer()
        stream = await peer.request()
        (request,) = await peer.until(h2.events.RequestReceived)
        assert isinstance(request, h2.events.RequestReceived)
        assert [tuple(map(str, pair)) for pair in request.headers or []] == [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", "upstream.test:8000"),
            (":path", "/v1/x"),
            ("x-a", "1"),
            ("authorization", "Bearer k"),
            ("accept-encoding", "identity"),
            ("content-length", "4"),
        ]
        peer.h2.send_headers(stream, [(":status", "103"), ("link", "x")])
        peer.h2.send_headers(stream, OK)
        peer.h2.send_data(stream, b"ok")
        peer.h2.send_headers(stream, [("x-sum", "1")], end_stream=True)
        await peer.flush()
        response = await b.response("a")
        assert (response.status, response.http_version, response.header("content-type")) == (200, "2", "text/plain")
        assert await response.read(10) == b"ok"
        assert response.trailers == [("x-sum", "1")]
        assert b.pool.active == 0
        assert b.pool.idle == 1


async def test_exchanges_share_a_connection_up_to_the_servers_limit_and_then_another() -> None:
    async with bench() as b:
        b.ask("a")
        peer = await b.peer(MAX_CONCURRENT_STREAMS=2)
        await peer.answer(await peer.request())
        assert await (await b.response("a")).read(10) == b"ok"
        for name in "bcd":
            b.ask(name)
            await anyio.wait_all_tasks_blocked()
        await peer.request(3)
        second = await b.peer()
        await second.answer(await second.request(), b"d")
        assert await (await b.response("d")).read(10) == b"d"
        assert b.upstream.dialled == 2
        assert b.pool.active == 2


async def test_with_a_limit_of_connections_the_next_waits_for_a_stream_that_ends() -> None:
    async with bench() as b:
        b.origin = msgspec.structs.replace(SHARED, max_connections=1)
        b.ask("a")
        peer = await b.peer(MAX_CONCURRENT_STREAMS=1)
        first = await peer.request()
        await anyio.wait_all_tasks_blocked()
        for name in "bc":
            b.ask(name)
            await anyio.wait_all_tasks_blocked()
        assert b.pool.waiting == 2
        await peer.answer(first)
        await peer.answer(await peer.request(2), b"second")
        await peer.answer(await peer.request(3), b"third")
        assert await (await b.response("b")).read(10) == b"second"
        assert await (await b.response("c")).read(10) == b"third"
        assert b.upstream.dialled == 1


async def test_a_dial_that_fails_is_told_to_all_who_waited_for_it() -> None:
    async with bench() as b:
        go = anyio.Event()

        async def refuse(origin: object) -> object:
            await go.wait()
            raise UpstreamError(UpstreamFault.CONNECT, "refused")

        b.pool._dial = refuse  # type: ignore[assignment]  # of the same shape
        for name in "abc":
            b.ask(name)
        await anyio.wait_all_tasks_blocked()
        go.set()
        for name in "abc":
            assert (await b.error(name)).kind is UpstreamFault.CONNECT
        assert b.pool.counts.dialled == 1


async def test_an_upload_waits_for_the_windows_of_the_server() -> None:
    async with bench() as b:
        body = bytes(range(256)) * 1000
        b.ask("a", body)
        peer = await b.peer()
        (request,) = await peer.until(h2.events.RequestReceived)
        stream = request.stream_id  # type: ignore[attr-defined]  # of RequestReceived
        got = b""
        while not any(isinstance(event, h2.events.StreamEnded) for event in peer.events):
            await peer.read()
            for event in peer.events:
                if isinstance(event, h2.events.DataReceived):
                    got += event.data or b""
                    peer.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            peer.events = [event for event in peer.events if not isinstance(event, h2.events.DataReceived)]
            await peer.flush()
        assert got == body
        await peer.answer(stream)
        assert await (await b.response("a")).read(10) == b"ok"


async def test_an_answer_that_refuses_ends_the_upload() -> None:
    async with bench() as b:
        b.ask("a", b"x" * 500_000)
        peer = await b.peer()
        (request,) = await peer.until(h2.events.RequestReceived)
        stream = request.stream_id  # type: ignore[attr-defined]  # of RequestReceived
        peer.h2.send_headers(stream, [(":status", "413")], end_stream=True)
        await peer.flush()
        response = await b.response("a")
        assert response.status == 413
        assert await response.read(10) == b""
        await peer.until(h2.events.StreamReset)
        assert b.pool.idle == 1, "the connection serves on"


async def test_a_slow_reader_stalls_its_own_stream_alone() -> None:
    limits = Limits(h2_answer_window_bytes=20_000)
    async with bench(limits) as b:
        b.ask("slow")
        peer = await b.peer()
        slow = await peer.request()
        peer.h2.send_headers(slow, OK)
        peer.h2.send_data(slow, b"x" * 16_000)
        peer.h2.send_data(slow, b"x" * 4_000)
        await peer.flush()
        response = await b.response("slow")
        assert peer.h2.local_flow_control_window(slow) == 0
        b.ask("quick")
        await peer.answer(await peer.request(2), b"here")
        assert await (await b.response("quick")).read(10) == b"here"
        assert not [event for event in peer.events if isinstance(event, h2.events.WindowUpdated) and event.stream_id]
        assert len(await response.receive()) == 20_000
        await peer.until(h2.events.WindowUpdated, 2)
        assert peer.h2.local_flow_control_window(slow) == 20_000, "given back when it was taken"
        peer.h2.send_data(slow, b"y" * 10, end_stream=True)
        await peer.flush()
        assert await response.read(10) == b"y" * 10


async def test_a_pump_is_fed_where_the_bytes_arrive_and_gives_the_window_back() -> None:
    async with bench(Limits(h2_answer_window_bytes=1_000)) as b:
        b.ask("a")
        peer = await b.peer()
        stream = await peer.request()
        peer.h2.send_headers(stream, OK)
        await peer.flush()
        response = await b.response("a")
        got = Fed()

        async def pump() -> None:
            assert await response.pump(got) is False

        async with anyio.create_task_group() as group:
            group.start_soon(pump)
            for n in range(20):
                peer.h2.send_data(stream, b"%03d" % n * 100, end_stream=n == 19)
                await peer.flush()
                while n < 19 and peer.h2.local_flow_control_window(stream) < 300:
                    await peer.read()
        assert b"".join(got.pieces) == b"".join(b"%03d" % n * 100 for n in range(20))
        assert response.ended


async def test_what_comes_behind_the_piece_at_which_a_pump_stops_is_not_lost() -> None:
    """Also when all of it, the end included, comes in the same read."""
    async with bench() as b:
        b.ask("a")
        peer = await b.peer()
        stream = await peer.request()
        peer.h2.send_headers(stream, OK)
        await peer.flush()
        response = await b.response("a")
        first, rest = Fed(stop=True), Fed()

        async def pump() -> None:
            assert await response.pump(first) is True

        async with anyio.create_task_group() as group:
            group.start_soon(pump)
            await anyio.wait_all_tasks_blocked()
            for n in range(3):
                peer.h2.send_data(stream, b"%d" % n, end_stream=n == 2)
            await peer.flush()
        assert first.pieces == [b"0"]
        assert not response.ended
        assert await response.pump(rest) is False
        assert b"".join(rest.pieces) == b"12"
        assert response.ended


async def test_cancellation_resets_the_stream_and_nothing_else() -> None:
    async with bench() as b:
        b.ask("kept")
        peer = await b.peer()
        kept = await peer.request()
        async with anyio.create_task_group() as group:
            group.start_soon(b.pool.open, SHARED, head())
            await peer.request(2)
            group.cancel_scope.cancel()
        (reset,) = await peer.until(h2.events.StreamReset)
        assert reset.error_code == ErrorCodes.CANCEL  # type: ignore[attr-defined]  # of StreamReset
        await peer.answer(kept)
        response = await b.response("kept")
        await response.aclose()
        await peer.until(h2.events.StreamReset, 1)
        assert b.pool.active == 0


@pytest.mark.parametrize(
    ("code", "again"),
    [(ErrorCodes.REFUSED_STREAM, True), (ErrorCodes.INTERNAL_ERROR, False)],
    ids=["refused", "failed"],
)
async def test_a_stream_that_was_refused_is_sent_again_once(code: ErrorCodes, again: bool) -> None:
    async with bench() as b:
        b.ask("a", b"body")
        peer = await b.peer()
        peer.h2.reset_stream(await peer.request(), code)
        await peer.flush()
        if again:
            await peer.answer(await peer.request(2))
            assert await (await b.response("a")).read(10) == b"ok"
            assert b.pool.counts.retried == 1
        else:
            error = await b.error("a")
            assert (error.kind, "INTERNAL_ERROR" in error.message) == (UpstreamFault.CLOSED, True)


async def test_goaway_lets_what_was_begun_finish_and_sends_the_rest_elsewhere() -> None:
    async with bench() as b:
        b.ask("old")
        peer = await b.peer()
        old = await peer.request()
        b.ask("new", b"body")
        await peer.request(2)
        await peer.send(frame(7, payload=old.to_bytes(4, "big") + bytes(4)))
        second = await b.peer()
        await second.answer(await second.request(), b"new")
        assert await (await b.response("new")).read(10) == b"new"
        await peer.answer(old, b"old")
        assert await (await b.response("old")).read(10) == b"old"
        await peer.closed()
        assert b.upstream.dialled == 2
        assert b.pool.idle == 1


@pytest.mark.parametrize("served", [False, True])
async def test_a_connection_that_dies_silently_is_replaced_once_if_it_had_served(served: bool) -> None:
    async with bench() as b:
        b.ask("a")
        peer = await b.peer()
        stream = await peer.request()
        if served:
            await peer.answer(stream)
            assert await (await b.response("a")).read(10) == b"ok"
            b.ask("b")
            await peer.request(2)
        await peer.far.aclose()
        if not served:
            error = await b.error("a")
            assert error.kind is UpstreamFault.CLOSED
            return
        second = await b.peer()
        await second.answer(await second.request())
        assert await (await b.response("b")).read(10) == b"ok"


async def test_deadlines_end_a_stream_and_leave_the_connection() -> None:
    async with bench(Limits(pool_sweep_secs=0.005)) as b:
        b.ask("head", timeouts=Timeouts(head_secs=0.01))
        peer = await b.peer()
        await peer.request()
        await peer.until(h2.events.StreamReset)
        error = await b.error("head")
        assert (error.kind, error.message) == (
            UpstreamFault.TIMEOUT_HEAD,
            "upstream upstream.test:8000 sent no answer for 0.01 s",
        )
        b.ask("body", timeouts=Timeouts(idle_secs=0.01))
        await peer.answer(await peer.request(2), b"x", end=False)
        response = await b.response("body")
        assert await response.receive() == b"x"
        with pytest.raises(UpstreamError) as caught:
            await response.receive()
        assert caught.value.kind is UpstreamFault.TIMEOUT_IDLE
        assert b.upstream.dialled == 1
        assert b.pool.active == 0


async def test_a_silent_connection_with_streams_is_asked_and_then_given_up() -> None:
    async with bench(Limits(pool_sweep_secs=0.005, h2_ping_secs=0.02)) as b:
        b.ask("a")
        peer = await b.peer()
        stream = await peer.request()
        await peer.until(h2.events.PingReceived)  # and h2 answers it
        assert stream == 1
        assert await peer.closed(), "from here on nothing is answered"
        error = await b.error("a")
        assert "does not answer" in error.message


async def test_without_its_sweeper_a_pool_speaks_no_http2() -> None:
    upstream = Upstream()
    with pytest.raises(Misuse):
        await Pool(dial=upstream.dial).open(SHARED, head())
    upstream.close()


HOSTILE = {
    "HTTP/1.1": (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "FRAME_SIZE|not SETTINGS|frame of"),
    "no SETTINGS first": (frame(6, payload=bytes(8)), "not SETTINGS"),
    "SETTINGS flood": (frame(4) * 200, "too many type 4"),
    "PING flood": (frame(4) + frame(6, payload=bytes(8)) * 200, "too many type 6"),
    "empty DATA flood": (frame(4) + frame(0, 0, 1) * 200, "too many empty DATA|ProtocolError|StreamClosed"),
    "CONTINUATION flood": (frame(4) + frame(1, 0, 1, b"\x88") + frame(9, 0, 1) * 200, "header block"),
    "push": (frame(4) + frame(5, 4, 1, (2).to_bytes(4, "big") + b"\x88"), "ProtocolError"),
    "unknown stream": (frame(4) + frame(1, 4, 9, b"\x88"), "ProtocolError|StreamClosed|NoSuchStream"),
    "broken HPACK": (frame(4) + frame(1, 4, 1, b"\xff\xff\xff\xff\xff"), "ProtocolError"),
    "HPACK bomb": (
        frame(4) + frame(1, 4, 1, b"\x88\x40\x01a\x7f\xe1\x1e" + b"x" * 4_000 + b"\xbe" * 3_000),
        "DenialOfService|Error",
    ),
    "unknown frames": (frame(4) + frame(99, payload=b"x") * 200, "too many unknown"),
    "large frame": (frame(4) + b"\x00\x50\x00\x00\x00\x00\x00\x00\x01", "a frame of 20480 bytes"),
}


@pytest.mark.parametrize(("data", "words"), HOSTILE.values(), ids=HOSTILE)
async def test_hostile_servers_lose_the_connection_with_a_reason(data: bytes, words: str) -> None:
    async with bench() as b:
        b.ask("a")
        far = await b.upstream.accept()
        await far.receive()
        await far.send(data)
        error = await b.error("a")
        assert error.kind is UpstreamFault.PROTOCOL
        assert re.search(words, error.message), error.message
        sent = b""
        while piece := await far.receive():
            sent += piece
        assert frame(7)[3:9] in sent, "GOAWAY"
        assert b.pool.idle == b.pool.active == 0


MALFORMED = {
    "no status": [("x-a", "1")],
    "odd status": [(":status", "2000")],
    "101": [(":status", "101")],
    "hop by hop": [(":status", "200"), ("connection", "close")],
    "transfer-encoding": [(":status", "200"), ("transfer-encoding", "chunked")],
    "line break": [(":status", "200"), ("x-a", "a\r\nb: c")],
    "upper case": [(":status", "200"), ("X-A", "1")],
    "many fields": [(":status", "200"), *(("x-a", str(n)) for n in range(150))],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_answers_are_errors(fields: list[tuple[str, str]]) -> None:
    async with bench() as b:
        b.ask("a")
        peer = await b.peer()
        stream = await peer.request()
        block = peer.h2.encoder.encode(fields)
        await peer.send(frame(1, 4, stream, block))
        error = await b.error("a")
        assert error.kind is UpstreamFault.PROTOCOL, error.message


@pytest.mark.parametrize("sent", [b"", b"o", b"okay"])
async def test_a_body_that_is_not_as_long_as_it_says_is_an_error(sent: bytes) -> None:
    async with bench() as b:
        b.ask("a")
        peer = await b.peer()
        stream = await peer.request()
        block = peer.h2.encoder.encode([(":status", "200"), ("content-length", "2")])
        await peer.send(frame(1, 4, stream, block), frame(0, 1, stream, sent))
        await anyio.wait_all_tasks_blocked()
        found = b.got["a"]
        if isinstance(found, UpstreamResponse):
            with pytest.raises(UpstreamError) as caught:
                await found.read(10)
            found = caught.value
        assert found.kind is UpstreamFault.PROTOCOL


async def test_interim_answers_are_bounded() -> None:
    async with bench() as b:
        b.ask("a")
        peer = await b.peer()
        stream = await peer.request()
        for _ in range(17):
            peer.h2.send_headers(stream, [(":status", "103")])
        await peer.flush()
        assert "interim" in (await b.error("a")).message


async def test_an_idle_connection_expires_with_goaway() -> None:
    async with bench(Limits(pool_idle_secs=0.0, pool_look_secs=0.001)) as b:
        b.ask("a")
        peer = await b.peer()
        await peer.answer(await peer.request())
        assert await (await b.response("a")).read(10) == b"ok"
        assert frame(7)[3:9] in await peer.closed()
        assert b.pool.idle == 0


async def test_a_closed_pool_ends_what_is_idle_and_lets_the_rest_finish() -> None:
    async with bench() as b:
        b.ask("a")
        peer = await b.peer()
        stream = await peer.request()
        await b.pool.aclose()
        await peer.answer(stream)
        assert await (await b.response("a")).read(10) == b"ok"
        await peer.closed()
        assert b.pool.idle == b.pool.active == 0
