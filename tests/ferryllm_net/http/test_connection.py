"""One connection of the server: framing, phases, deadlines, clients that leave; on both backends."""

from __future__ import annotations

import json
import random

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.http import ClientLeft, Limits, Request, Responder
from ferryllm_net.http.transport import READ_AHEAD_BYTES
from support.rig import Serving

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, *fields: bytes) -> bytes:
    lines = [b"POST /p HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*lines, b"", body])


async def echo(request: Request, respond: Responder) -> None:
    body = await request.read()
    await respond.complete(200, [("x-path", request.path)], body)


async def forever(request: Request, respond: Responder) -> None:
    await anyio.sleep_forever()


async def _left(serving: Serving, start: bytes, *, streaming: bool = False, reset: bool = False) -> None:
    waiting, gone = anyio.Event(), anyio.Event()
    seen: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        try:
            if streaming:
                await respond.head(200, [])
                await respond.body(b"x")
            waiting.set()
            await request.read()
            await anyio.sleep_forever()
        finally:
            seen.append(request.client_left)
            gone.set()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(start)
        await waiting.wait()
        if reset:
            wire.reset()
        else:
            await wire.aclose()
        with anyio.fail_after(1):
            await gone.wait()
        assert seen == [True]
        await rig.server.wait_closed()
        assert rig.server.active == 0
        assert rig.errors == []


# The deadline under test is small; the ones around it leave a busy machine its time.
QUICK = Limits(
    accept_head_secs=0.2,
    head_secs=0.03,
    body_idle_secs=0.03,
    keep_alive_secs=0.03,
    write_stall_secs=0.2,
    linger_secs=0.01,
    sweep_secs=0.002,
)


async def test_keep_alive_serves_one_request_after_the_other(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        for body in (b"one", b"two"):
            await wire.send(post(body))
            head = await wire.receive_until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"content-length: 3\r\n" in head
            assert b"date: " in head
            assert b"connection" not in head
            assert await wire.receive_until(body) == body
        assert len(rig.served[0].writes) == 2, "head and body are one write"


async def test_pipelined_requests_are_answered_in_order(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(post(b"first") + post(b"second") + GET + post(b"last", b"Connection: close"))
        data = await wire.receive_all()
        assert [data.count(word) for word in (b"first", b"second", b"last", b"HTTP/1.1 200")] == [1, 1, 1, 4]
        assert data.index(b"first") < data.index(b"second") < data.index(b"last")


async def test_continue_is_sent_only_when_the_body_is_read(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await (echo(request, respond) if request.header("x-read") else respond.complete(403, [], b"no"))

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(post(b"", b"Expect: 100-continue", b"x-read: 1").replace(b"Length: 0", b"Length: 2"))
        assert await wire.receive_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await wire.send(b"ab")
        assert (await wire.receive_until(b"ab")).startswith(b"HTTP/1.1 200")
        await wire.send(post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 2"))
        data = await wire.receive_all()
        assert data.startswith(b"HTTP/1.1 403")
        assert b"connection: close\r\n" in data, "nobody can tell whether the body comes"


async def test_another_expectation_is_417(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(post(b"", b"Expect: miracles"))
        assert (await wire.receive_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 417")


async def test_early_answer_reads_a_small_rest_away_and_keeps_the_connection(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], request.method.encode())

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(post(b"x" * 1000)[:-500])
        await wire.receive_until(b"POST")
        await wire.send(b"x" * 500 + GET)
        assert (await wire.receive_until(b"GET")).startswith(b"HTTP/1.1 200")


async def test_broken_chunks_are_400_and_end_the_connection(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        data = await wire.receive_until(b"}}")
        assert data.startswith(b"HTTP/1.1 400")
        assert b"connection: close" in data
        await wire.aclose()


async def test_what_is_no_request_is_refused_in_json(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n")
        head = await wire.receive_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        error = json.loads(await wire.receive_until(b"}}"))["error"]
        assert error["type"] == "invalid_request_error"
        await wire.aclose()
        other = rig.connect()
        await other.send(GET)
        assert (await other.receive_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("reset", [False, True])
async def test_client_that_leaves_while_the_handler_waits_cancels_it(serving: Serving, reset: bool) -> None:
    await _left(serving, GET, reset=reset)


async def test_client_that_leaves_within_its_body_cancels_the_handler(serving: Serving) -> None:
    await _left(serving, post(b"abc")[:-1])


async def test_client_that_leaves_within_a_chunked_body_cancels_the_handler(serving: Serving) -> None:
    await _left(serving, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")


async def test_client_that_leaves_within_a_stream_cancels_the_handler(serving: Serving) -> None:
    await _left(serving, GET, streaming=True)


async def test_client_that_leaves_behind_pipelined_requests_cancels_the_first(serving: Serving) -> None:
    await _left(serving, GET + GET)


async def test_client_that_leaves_during_a_blocked_write_cancels_the_handler(serving: Serving) -> None:
    blocked, left = anyio.Event(), anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        try:
            await respond.head(200, [])
            blocked.set()
            await respond.body(b"x" * 5000)
        finally:
            assert request.client_left
            left.set()

    async with serving(handler) as rig:
        wire = rig.connect(capacity=100)
        await wire.send(GET)
        await blocked.wait()
        await wire.aclose()
        await left.wait()


async def test_shielded_writes_to_a_client_that_left_raise_client_left(serving: Serving) -> None:
    left = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                with pytest.raises(ClientLeft):
                    await respond.complete(200, [], b"x")
                left.set()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await wire.aclose()
        await left.wait()
        assert rig.errors == []


async def test_client_that_leaves_after_its_answer_does_not_disturb_the_end_of_the_handler(serving: Serving) -> None:
    answered, proceed = anyio.Event(), anyio.Event()
    outcome: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"x")
        answered.set()
        await proceed.wait()
        outcome.append(request.client_left)

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await answered.wait()
        await wire.aclose()
        await anyio.wait_all_tasks_blocked()
        proceed.set()
        await rig.server.wait_closed()
        assert outcome == [False]


async def test_reading_ahead_of_a_running_handler_is_bounded(serving: Serving) -> None:
    async with serving(forever) as rig:
        wire = rig.connect(capacity=1000)
        await wire.send(GET)
        await anyio.wait_all_tasks_blocked()
        sent = 0
        with anyio.CancelScope() as scope:

            async def stop() -> None:
                await anyio.wait_all_tasks_blocked()
                scope.cancel()

            async with anyio.create_task_group() as group:
                while True:
                    await wire.send(b"x" * 1000)
                    sent += 1000
                    if sent == READ_AHEAD_BYTES // 1000 * 1000:
                        group.start_soon(stop)
        assert READ_AHEAD_BYTES - 1000 <= sent <= READ_AHEAD_BYTES + 2000, "the rest stays with the client"


async def test_silent_and_idle_connections_are_closed_without_a_word(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        assert await rig.connect().receive_all() == b""
        wire = rig.connect()
        await wire.send(GET)
        assert (await wire.receive_all()).count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("before", [b"", GET])
async def test_slow_head_is_408(serving: Serving, before: bytes) -> None:
    async with serving(echo, QUICK) as rig:
        wire = rig.connect()
        await wire.send(before + b"GET / HTTP/1.1\r\nHo")
        assert b"HTTP/1.1 408 " in await wire.receive_all()


async def test_slow_body_is_408(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        wire = rig.connect()
        await wire.send(post(b"abc")[:-1])
        data = await wire.receive_all()
        assert data.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in data


async def test_client_that_stops_reading_is_dropped(serving: Serving) -> None:
    left = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        try:
            await respond.complete(200, [], b"x" * 5000)
        finally:
            assert request.client_left
            left.set()

    async with serving(handler, QUICK) as rig:
        wire = rig.connect(capacity=100)
        await wire.send(GET)
        await left.wait()
        await rig.server.wait_closed()


async def test_client_that_stops_reading_a_refusal_is_dropped(serving: Serving) -> None:
    async with serving(echo, QUICK) as rig:
        wire = rig.connect(capacity=20)
        await wire.send(b"nonsense\r\n\r\n")
        await wire.receive_until(b"HTTP/1.1 400")
        await rig.server.wait_closed()


async def test_body_that_drips_below_the_floor_is_408(serving: Serving) -> None:
    limits = Limits(
        body_idle_secs=0.02,
        body_floor_after_secs=0.02,
        body_floor_bytes_per_sec=1e9,
        linger_secs=0.01,
        sweep_secs=0.002,
    )
    async with serving(echo, limits) as rig:
        wire = rig.connect()
        await wire.send(post(b"x" * 1_000_000)[:100])
        answer = b""

        async def drip() -> None:
            while not answer:
                await wire.send(b"x")
                await anyio.sleep(0.002)

        async with anyio.create_task_group() as group:
            group.start_soon(drip)
            answer = await wire.receive_until(b"\r\n\r\n")
            group.cancel_scope.cancel()
        assert answer.startswith(b"HTTP/1.1 408")


async def test_rest_of_a_body_that_does_not_come_ends_the_connection(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"early")

    async with serving(handler, QUICK) as rig:
        wire = rig.connect()
        await wire.send(post(b"abc")[:-1])
        assert (await wire.receive_all()).endswith(b"early")
        other = rig.connect()
        await other.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n")
        assert (await other.receive_all()).endswith(b"early"), "a broken rest changes nothing any more"


async def test_rest_of_a_chunked_body_above_the_bound_ends_the_connection(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"early")

    limits = Limits(drain_rest_bytes=10, linger_bytes=10, linger_secs=0.05, sweep_secs=0.005)
    async with serving(handler, limits) as rig:
        wire = rig.connect()
        await wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nabcde\r\n" * 9)
        assert (await wire.receive_all()).endswith(b"early")


async def test_shielded_reading_of_a_body_whose_client_left_raises_client_left(serving: Serving) -> None:
    left = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        with anyio.CancelScope(shield=True):
            with pytest.raises(ClientLeft):
                await request.read()
            left.set()

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(post(b"abc")[:-1])
        await wire.aclose()
        await left.wait()


async def test_client_gone_before_its_request_is_looked_at_costs_nothing(serving: Serving) -> None:
    calls: list[str] = []

    async def handler(request: Request, respond: Responder) -> None:
        await request.read()
        await anyio.wait_all_tasks_blocked()
        calls.append("worked")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        await wire.aclose()
        await rig.server.wait_closed()
    assert calls == []


async def test_date_and_connection_of_the_handler_stand(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(426, [("date", "then"), ("upgrade", "websocket"), ("connection", "close")], b"")

    async with serving(handler) as rig:
        wire = rig.connect()
        await wire.send(GET)
        data = await wire.receive_all()
        assert data.count(b"date: ") == data.lower().count(b"connection: close") == 1


async def test_request_to_upgrade_is_an_ordinary_request(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + post(b"next"))
        await wire.receive_until(b"\r\n\r\n")
        assert (await wire.receive_until(b"next")).startswith(b"HTTP/1.1 200")


async def test_pipelined_request_that_comes_in_parts_gets_its_own_deadline(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(GET + GET[:10])
        await wire.receive_until(b"\r\n\r\n")
        await wire.send(GET[10:])
        assert (await wire.receive_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("step", [1, 7])
async def test_requests_in_small_pieces(serving: Serving, step: int) -> None:
    data = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"
    async with serving(echo) as rig:
        wire = rig.connect()
        for _ in range(2):
            for start in range(0, len(data), step):
                await wire.send(data[start : start + step])
            assert (await wire.receive_until(b"abcde")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("seed", range(8))
async def test_any_cut_of_pipelined_requests_gives_the_same_answers(serving: Serving, seed: int) -> None:
    bodies = [b"one", b"", b"x" * 300, b'{"a":"\r\n\r\n"}']
    chunked = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;e\r\nlast\r\n0\r\nt: 1\r\n\r\n"
    data = b"".join(post(body) for body in bodies) + chunked
    chance = random.Random(seed)
    async with serving(echo) as rig:
        wire = rig.connect()
        while data:
            size = chance.choice((1, 2, 5, 40, 200))
            await wire.send(data[:size])
            data = data[size:]
        for body in [*bodies, b"last"]:
            head = await wire.receive_until(b"\r\n\r\n")
            assert b"content-length: %d\r\n" % len(body) in head
            if body:
                assert await wire.receive_until(body) == body
