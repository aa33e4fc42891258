"""Writing on HTTP/2: direct writes, the task behind them, backlog, windows that shut, streams that end meanwhile.

Apart from `test_h2_stream` and `test_h2_connection`, which have what single streams and connections do.
"""

from __future__ import annotations

import random

import anyio
import anyio.lowlevel
import pytest
from h2.errors import ErrorCodes

from ferryllm_net.http import ClientLeft, Limits, Request, Responder
from ferryllm_net.http.h2_connection import H2Connection
from support.h2_client import H2Client, frame
from support.rig import Rig, Serving
from support.streams import wire

pytestmark = pytest.mark.anyio

BACKLOG = Limits().h2_backlog_bytes
WIDE = 2**30


def served(rig: Rig) -> H2Connection:
    (connection,) = (one for one in rig.server._open if isinstance(one, H2Connection))
    return connection


async def widened(client: H2Client) -> H2Client:
    """Windows that never shut."""
    await client.start()
    client.h2.increment_flow_control_window(WIDE)
    client.h2.update_settings({4: WIDE})
    await client.flush()
    return await client.settle()


def pattern(path: str, size: int) -> bytes:
    return random.Random(path).randbytes(size)


@pytest.mark.parametrize("capacity", [100, 5000, 1 << 20])
@pytest.mark.parametrize("seed", range(4))
async def test_streams_that_write_at_once_mix_no_bytes(serving: Serving, capacity: int, seed: int) -> None:
    """Whatever the system takes at once or later, in whatever turns; frames that mixed would break the client's h2."""
    rng = random.Random(seed)

    async def handler(request: Request, respond: Responder) -> None:
        data = pattern(request.path, int(request.header("x-size") or 0))
        respond.begin(200, [])
        at = 0
        while at < len(data):
            step = rng.choice((1, 100, 3000, 20_000, 200_000))
            if not respond.put(data[at : at + step]):
                await respond.drain()
            elif rng.random() < 0.5:
                await anyio.lowlevel.checkpoint()
            at += step
        if not respond.put_end(b"", [("x-end", "1")]):
            await respond.drain()

    async with serving(handler) as rig:
        client = await H2Client(rig.connect(capacity)).start()
        sizes = {f"/{n}": rng.choice((0, 10, 70_000, 300_000)) for n in range(6)}
        streams = {path: client.open(path, ("x-size", str(size))) for path, size in sizes.items()}
        await client.flush()
        for path, stream in streams.items():
            answer = await client.answer(stream)
            assert answer.body == pattern(path, sizes[path])
            assert answer.trailers == {"x-end": "1"}
        await anyio.wait_all_tasks_blocked()
        connection = served(rig)
        assert connection.written
        assert (connection._left, bytes(connection._out), connection._sending) == (0, b"", False)
        assert rig.errors == []


@pytest.mark.parametrize("streams", [1, 5])
async def test_what_a_client_that_never_reads_leaves_in_memory_is_bounded(serving: Serving, streams: int) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        respond.begin(200, [])
        while True:
            if not respond.put(b"x" * 3_000_000):
                await respond.drain()

    async with serving(handler) as rig:
        client = await widened(H2Client(rig.connect(capacity=1000)))
        for _ in range(streams):
            client.open()
        await client.flush()
        await anyio.wait_all_tasks_blocked()
        connection = served(rig)
        held = connection._queued - connection._written
        # Each of them has passed the mark once.
        assert BACKLOG < held <= (streams + 1) * (BACKLOG + 20_000)
        assert connection.crowded


async def test_a_stream_that_is_reset_with_unsent_bytes_takes_its_handler_and_no_other(serving: Serving) -> None:
    outcome: list[str] = []

    async def handler(request: Request, respond: Responder) -> None:
        if request.path == "/other":
            await respond.complete(200, [], b"other")
            return
        respond.begin(200, [])
        assert not respond.put(b"x" * 500), "the window is shut"
        with anyio.CancelScope(shield=True):
            try:
                await respond.drain()
            except ClientLeft:
                outcome.append("left")
            with pytest.raises(ClientLeft):
                respond.put(b"more")
            await respond.drain()

    async with serving(handler) as rig:
        client = await H2Client(rig.connect(), window=100).start()
        client.reading = False
        stream = client.open("/shut")
        await client.flush()
        while len(client.answers[stream].body) < 100:
            await client.pump()
        client.h2.reset_stream(stream, ErrorCodes.CANCEL)
        await client.flush()
        assert (await client.get("/other")).body == b"other"
        assert outcome == ["left"]
        await anyio.wait_all_tasks_blocked()
        assert rig.server.active == 0
        assert rig.errors == []


async def test_a_drain_that_is_cancelled_resets_its_stream_and_leaves_whole_frames(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        if request.path == "/other":
            await respond.complete(200, [], b"o" * 100_000)
            return
        respond.begin(200, [])
        assert not respond.put(b"x" * 300_000)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await respond.drain()
        await respond.abort()

    async with serving(handler) as rig:
        client = await widened(H2Client(rig.connect(capacity=500)))
        given_up, other = client.open("/given-up"), client.open("/other")
        await client.flush()
        assert (await client.answer(other)).body == b"o" * 100_000
        found = await client.answer(given_up)
        assert (found.ended, found.reset) == (False, int(ErrorCodes.INTERNAL_ERROR))
        assert rig.errors == []


async def test_an_end_that_waits_for_its_window_is_the_end_when_it_is_out(serving: Serving) -> None:
    stages: list[str] = []

    async def handler(request: Request, respond: Responder) -> None:
        respond.begin(200, [])
        assert not respond.put_end(b"x" * 250, [])
        stages.append(respond.stage.value)
        await respond.drain()
        stages.append(respond.stage.value)

    async with serving(handler) as rig:
        client = await H2Client(rig.connect(), window=100).start()
        answer = await client.get()
        assert answer.body == b"x" * 250
        assert answer.ended
        await anyio.wait_all_tasks_blocked()
        assert stages == ["started", "ended"]


async def test_a_window_that_stays_shut_is_not_held_open_by_an_upload(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"x" * 500)

    async with serving(handler, Limits(write_stall_secs=0.05, sweep_secs=0.01)) as rig:
        client = await H2Client(rig.connect(), window=100).start()
        client.reading = False
        stream = client.open(method="POST", ended=False)
        await client.flush()
        with anyio.fail_after(2):
            while client.answers[stream].reset is None:
                # Each byte wakes whoever waits on the stream.
                client.h2.send_data(stream, b"a")
                await client.flush()
                with anyio.move_on_after(0.01):
                    await client.pump()
        assert client.answers[stream].reset == int(ErrorCodes.CANCEL)


async def test_a_fault_of_the_client_while_writes_wait_still_says_goaway(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"x" * 200_000)

    async with serving(handler) as rig:
        client = await widened(H2Client(rig.connect(capacity=2000)))
        client.open()
        await client.flush()
        await anyio.wait_all_tasks_blocked()
        assert served(rig)._sending
        await client.wire.send(frame(6, 0, 1, b"12345678"))  # a PING on a stream
        with anyio.fail_after(5):
            await client.until_closed()
        assert [code for code, _ in client.goaways] == [int(ErrorCodes.PROTOCOL_ERROR)]
        await rig.server.wait_closed()
        assert rig.server.active == 0


async def test_a_drain_while_writes_wait_ends_when_they_are_out(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"x" * 200_000)

    async with serving(handler) as rig:
        client = await widened(H2Client(rig.connect(capacity=2000)))
        stream = client.open()
        await client.flush()
        await anyio.wait_all_tasks_blocked()
        rig.server.start_drain()
        assert (await client.answer(stream)).body == b"x" * 200_000
        await client.until_closed()
        assert [code for code, _ in client.goaways] == [0, 0]
        await rig.server.wait_closed()


async def test_a_client_that_breaks_while_writes_wait_frees_everybody(serving: Serving) -> None:
    left: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        try:
            await respond.complete(200, [], b"x" * 200_000)
        finally:
            left.append(request.client_left)

    async with serving(handler) as rig:
        near = rig.connect(capacity=2000)
        client = await widened(H2Client(near))
        for _ in range(3):
            client.open()
        await client.flush()
        await anyio.wait_all_tasks_blocked()
        near.reset()
        with anyio.fail_after(5):
            await rig.server.wait_closed()
        assert left == [True] * 3
        assert rig.errors == []


async def test_an_interruption_from_before_the_preface_does_not_end_the_connection(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(200, [], b"served")

    async with serving(handler) as rig:
        near, far = wire()
        client = await H2Client(near).start()
        # Of a wait that bytes have ended in the same turn.
        far.interrupt()
        async with anyio.create_task_group() as group:
            group.start_soon(rig.server.serve_connection, far)
            await anyio.wait_all_tasks_blocked()
            far.interrupt()
            assert (await client.get()).body == b"served"
            far.interrupt()
            assert (await client.get()).body == b"served"
            await near.aclose()
