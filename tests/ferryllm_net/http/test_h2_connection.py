"""HTTP/2 connections of the server: many streams, leaving, deadlines, drain, and which version a connection speaks."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from h2.errors import ErrorCodes

from ferryllm_net.http import Limits, Request, Responder
from ferryllm_net.http.preface import PREFACE
from support.h2_client import CALM, H2Client, frame
from support.rig import Serving

pytestmark = pytest.mark.anyio

QUICK = Limits(
    accept_head_secs=0.05,
    head_secs=0.05,
    keep_alive_secs=0.05,
    sweep_secs=0.01,
)


async def echo(request: Request, respond: Responder) -> None:
    await respond.complete(200, [("x-version", request.http_version)], await request.read())


async def forever(request: Request, respond: Responder) -> None:
    await anyio.sleep_forever()


async def test_requests_at_once_are_answered_as_they_are_ready(serving: Serving) -> None:
    first_may_go = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        if request.path == "/first":
            await first_may_go.wait()
        await respond.complete(200, [], request.path.encode())

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        first, second = client.open("/first"), client.open("/second")
        await client.flush()
        assert (await client.answer(second)).body == b"/second"
        assert not client.answers[first].ended
        assert rig.server.active == 1
        first_may_go.set()
        assert (await client.answer(first)).body == b"/first"


async def test_what_a_handler_sees_and_what_goes_out(serving: Serving) -> None:
    seen: list[Request] = []

    async def handler(request: Request, respond: Responder) -> None:
        seen.append(request)
        await respond.complete(200, [("X-Name", "v"), ("connection", "keep-alive"), ("upgrade", "x")], b"")

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        answer = await client.get("/a?b=c", ("x-one", "1"), ("cookie", "a=1"), ("cookie", "b=2"))
        assert answer.status == 200
        assert answer.fields["x-name"] == "v"
        assert "date" in answer.fields
        assert not {"connection", "upgrade", "transfer-encoding"} & set(answer.fields)
    request = seen[0]
    assert (request.method, request.path, request.query, request.http_version) == ("GET", "/a", "b=c", "2")
    assert request.header("host") == "test"
    assert request.values("cookie") == ["a=1; b=2"]
    assert request.header("x-one") == "1"
    assert request.peer[0] == "192.0.2.1"


async def test_large_bodies_go_both_ways_through_the_windows(serving: Serving) -> None:
    body = bytes(range(256)) * 8_000
    async with serving(echo) as rig:
        client = await H2Client(rig.connect()).start()
        assert (await client.post(body)).body == body
        assert (await client.post(body)).body == body


@pytest.mark.parametrize("step", [1, 7])
async def test_a_connection_in_small_pieces(serving: Serving, step: int) -> None:
    class Pieces:
        def __init__(self) -> None:
            self.wire = rig.connect()
            self.receive = self.wire.receive
            self.aclose = self.wire.aclose

        async def send(self, data: bytes) -> None:
            for start in range(0, len(data), step):
                await self.wire.send(data[start : start + step])

    async with serving(echo) as rig:
        client = await H2Client(Pieces()).start()
        assert (await client.post(b"abc" * 10)).body == b"abc" * 10
        assert (await client.get("/again")).status == 200


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_client_that_leaves_cancels_every_handler(serving: Serving, how: str) -> None:
    running, left = anyio.Event(), anyio.Event()
    gone: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        if request.path == "/2":
            running.set()
        try:
            await anyio.sleep_forever()
        finally:
            gone.append(request.client_left)
            if len(gone) == 2:
                left.set()

    async with serving(handler) as rig:
        wire = rig.connect()
        client = await H2Client(wire).start()
        client.open("/1")
        client.open("/2")
        await client.flush()
        await running.wait()
        if how == "end":
            await wire.aclose()
        else:
            wire.reset()
        await left.wait()
        await rig.server.wait_closed()
        assert gone == [True, True]
        assert rig.server.active == 0
        assert rig.errors == []


async def test_broken_frame_ends_the_connection_and_its_handlers(serving: Serving) -> None:
    async with serving(forever) as rig:
        client = await H2Client(rig.connect()).start()
        client.open()
        await client.flush()
        await client.wire.send(frame(0x6, payload=b"short"))
        await client.until_closed()
        assert client.goaways == [(int(ErrorCodes.FRAME_SIZE_ERROR), 1)]
        await rig.server.wait_closed()
        assert rig.server.active == 0


async def test_silent_and_idle_connections_are_closed(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        client = await H2Client(rig.connect()).start()
        await client.until_closed()
        assert client.goaways == [(0, 0)]
        used = H2Client(rig.connect())
        used.h2.initiate_connection()
        await used.get()  # goes out with the preface: no deadline between them
        await used.until_closed()
        assert used.goaways == [(0, 1)]
        await rig.server.wait_closed()


async def test_preface_without_settings_is_not_waited_for(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        wire = rig.connect()
        await wire.send(PREFACE)
        await wire.receive_all()
        await rig.server.wait_closed()


async def test_head_that_does_not_end_ends_the_connection(serving: Serving) -> None:
    async with serving(forever, Limits(head_secs=0.05, sweep_secs=0.01)) as rig:
        client = await H2Client(rig.connect()).start()
        client.open()
        await client.flush()
        await client.settle()
        await client.wire.send(frame(0x1, 0x1, 3, b"\x82"))  # without END_HEADERS
        await client.until_closed()
        assert client.goaways[0][0] == CALM
        await rig.server.wait_closed()


async def test_client_that_does_not_take_its_answers_is_dropped(serving: Serving) -> None:
    left = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        try:
            while True:
                await respond.body(b"x" * 10_000)
        finally:
            left.set()

    async with serving(handler, Limits(write_stall_secs=0.05, sweep_secs=0.01)) as rig:
        client = await H2Client(rig.connect(capacity=2000), window=1 << 30).start()
        client.h2.increment_flow_control_window(1 << 30)
        client.open()
        await client.flush()
        await left.wait()
        await rig.server.wait_closed()


async def test_goaway_of_the_client_lets_its_requests_end(serving: Serving) -> None:
    may_go = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        await may_go.wait()
        await respond.complete(200, [], b"done")

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        stream = client.open()
        await client.flush()
        await client.wire.send(frame(0x7, payload=bytes(8)))
        await client.wire.send(frame(0x6, payload=b"stillup?"))
        while not rig.server.active:
            await anyio.lowlevel.checkpoint()
        may_go.set()
        assert (await client.answer(stream)).body == b"done"
        await client.until_closed()
        await rig.server.wait_closed()


# --- drain ---


async def test_drain_says_goaway_twice_and_serves_what_came_before(serving: Serving) -> None:
    may_go = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        if request.path == "/slow":
            await may_go.wait()
        await respond.complete(200, [], request.path.encode())

    async with serving(handler) as rig:
        client = await H2Client(rig.connect()).start()
        await client.get("/warm")
        slow = client.open("/slow")
        await client.flush()
        while not rig.server.active:
            await anyio.lowlevel.checkpoint()
        rig.server.start_drain()
        # The client has not seen it yet, so this one counts.
        crossing = client.open("/crossing")
        data = client.h2.data_to_send()
        await client.wire.send(data)
        assert (await client.answer(crossing)).body == b"/crossing"
        while len(client.goaways) < 2:
            await client.pump()
        assert client.goaways == [(0, 2**31 - 1), (0, crossing)]
        late = client.open("/late")
        await client.flush()
        assert (await client.answer(late)).reset == int(ErrorCodes.REFUSED_STREAM)
        may_go.set()
        assert (await client.answer(slow)).body == b"/slow"
        await client.until_closed()
        await rig.server.wait_closed()


async def test_drain_does_not_wait_for_a_client_that_does_not_answer(serving: Serving) -> None:
    async with serving(echo, Limits(h2_goaway_secs=0.05, sweep_secs=0.01)) as rig:
        client = await H2Client(rig.connect()).start()
        await client.get()
        rig.server.start_drain(10)
        await rig.server.wait_closed()


async def test_drain_at_its_deadline_gives_the_last_word_and_then_cuts(serving: Serving) -> None:
    said = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        request.on_drain(said.set)
        if request.path == "/last":
            await said.wait()
            await respond.complete(200, [], b"last words")
        else:
            await anyio.sleep_forever()

    async with serving(handler, Limits(drain_error_secs=0.05)) as rig:
        client = await H2Client(rig.connect()).start()
        last, cut = client.open("/last"), client.open("/cut")
        await client.flush()
        while rig.server.active < 2:
            await anyio.lowlevel.checkpoint()
        rig.server.start_drain(0.01)
        assert (await client.answer(last)).body == b"last words"
        await client.until_closed()
        assert not client.answers[cut].ended
        await rig.server.wait_closed()


# --- which version ---


@pytest.mark.parametrize("cut", [1, 4, 14, 18, 23])
async def test_preface_in_two_pieces_is_http2(serving: Serving, cut: int) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        client = H2Client(wire)
        client.h2.initiate_connection()
        data = client.h2.data_to_send()
        await wire.send(data[:cut])
        await anyio.wait_all_tasks_blocked()
        await wire.send(data[cut:])
        assert (await client.get()).fields["x-version"] == "2"


async def test_every_other_beginning_is_http1(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(b"P")
        await anyio.wait_all_tasks_blocked()
        await wire.send(b"UT / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        head = await wire.receive_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"x-version: 1.1" in head
        await wire.send(PREFACE)  # within a connection it is no preface
        assert (await wire.receive_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 505")


@pytest.mark.parametrize("data", [b"INVALID CONNECTION PREFACE\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
async def test_broken_preface_is_closed_without_a_word(serving: Serving, data: bytes) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(data)
        assert await wire.receive_all() == b""
        await rig.server.wait_closed()


async def test_half_a_preface_has_the_deadline_of_a_head(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        wire = rig.connect()
        await wire.send(PREFACE[:10])
        await wire.receive_until(b"HTTP/1.1 408")
