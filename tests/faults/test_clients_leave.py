"""A client that leaves closes its provider at once, in every phase: measured where it counts, at the provider."""

from __future__ import annotations

import socket
import struct

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from h2.errors import ErrorCodes

from support.answers import DIALECTS
from support.faults.catalogue import CHUNKED, TICK, Case
from support.faults.rig import Census, Faulty, faulty
from support.faults.steps import Hold, Send, Stall, Step
from support.h2_client import H2Client
from support.wired import chunked

pytestmark = pytest.mark.anyio

AT_ONCE_SECS = 0.1
"""The promise (reliability.md): the provider's connection is closed within 100 ms of the client's going."""
TRIES = 5
"""One of so many has to keep it: this machine may be busy with something else for longer than that, a gateway that
waits for a timer or for the provider's next event never keeps it."""


def streaming(case: Case) -> list[Step]:
    """An answer that does not end, one event in 20 ms."""
    return [Send(case.head(CHUNKED)), Hold(chunked(TICK, end=False), 0.02)]


def begun(case: Case) -> list[Step]:
    """An answer that begins and falls silent."""
    return [Send(case.head(CHUNKED) + chunked(TICK, end=False)), Stall()]


def silent(case: Case) -> list[Step]:
    return [Stall()]


def flood(case: Case) -> list[Step]:
    """As much as fits, until nobody takes it."""
    return [Send(case.head(CHUNKED)), Hold(chunked(TICK * 2000, end=False), 0.0)]


def headed(case: Case) -> list[Step]:
    """A head and nothing behind it."""
    return [Send(case.head(CHUNKED)), Stall()]


PHASES = {"silent": silent, "headed": headed, "begun": begun, "streaming": streaming}


async def leave(connection: ByteStream, *, hard: bool) -> None:
    """Close now; ``hard`` is a reset, as of a process that was killed with data unread."""
    if hard:
        raw = connection.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await anyio.aclose_forcefully(connection)


async def time_to_close(f: Faulty, entry: str, phase: str, *, hard: bool, number: int) -> float:
    """Seconds from the client's going to the provider's connection being closed."""
    f.provider.extra[phase] = PHASES[phase]
    connection = await f.connect()
    await connection.send(f.question(entry, "openai", phase, stream=True))
    request = await f.provider.request(phase, number)
    if phase in ("begun", "streaming"):
        data = b""
        with anyio.fail_after(10):
            while b"tick" not in data:
                data += await connection.receive()
    left_at = anyio.current_time()
    await leave(connection, hard=hard)
    with anyio.fail_after(10):
        await request.gone.wait()
    assert request.gone_at is not None
    return request.gone_at - left_at


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("hard", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("phase", PHASES)
async def test_a_client_that_leaves_closes_its_provider_at_once(phase: str, hard: bool, secure: bool) -> None:
    async with faulty(secure=secure) as f:
        for entry in DIALECTS:
            times: list[float] = []
            while len(times) < TRIES and (not times or min(times) > AT_ONCE_SECS):
                number = len(f.provider.asked(phase)) + 1
                times.append(await time_to_close(f, entry, phase, hard=hard, number=number))
            assert min(times) <= AT_ONCE_SECS, f"{entry}: {times}"
        await f.settle()
        await f.logged('outcome="cancelled"', len(f.provider.requests))


async def test_a_client_that_leaves_while_its_body_is_read_never_reaches_a_provider() -> None:
    async with faulty() as f:
        question = f.question("anthropic", "openai", "silent", stream=True)
        async with await anyio.connect_tcp("127.0.0.1", f.port) as connection:
            await connection.send(question[:-10])
            with anyio.fail_after(10):
                while not f.app.running:  # noqa: ASYNC110 - the gateway has no event for it
                    await anyio.sleep(0.001)
        await f.settle()
        assert f.provider.requests == []
        await f.logged('outcome="cancelled"')


async def test_a_client_that_leaves_while_the_provider_is_dialled_ends_the_dial() -> None:
    async with faulty() as f:
        census = Census()
        async with await anyio.connect_tcp("127.0.0.1", f.port) as connection:
            await connection.send(f.question("anthropic", "openai", "full-queue", door="full", stream=True))
            with anyio.fail_after(10):
                while not f.app.running:  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.001)
            await anyio.wait_all_tasks_blocked()
        left_at = anyio.current_time()
        await f.settle()
        assert anyio.current_time() - left_at < 0.7, "the dial went on to its deadline"
        await census.check()
        await f.logged('outcome="cancelled"')


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("hard", [False, True], ids=["close", "reset"])
async def test_a_client_that_leaves_without_having_read_closes_its_provider_at_once(hard: bool, secure: bool) -> None:
    """The gateway is within a write that does not end, and reads nothing from its provider meanwhile."""
    async with faulty(secure=secure) as f:
        f.provider.extra["flood"] = flood
        times: list[float] = []
        while len(times) < TRIES and (not times or min(times) > AT_ONCE_SECS):
            connection = await f.connect()
            await connection.send(f.question("openai", "openai", "flood", stream=True))
            request = await f.provider.request("flood", len(times) + 1)
            before = -1
            with anyio.fail_after(20):
                while before != (before := len(f.provider.taken)):  # noqa: ASYNC110 - a full socket tells nobody
                    await anyio.sleep(0.1)
            left_at = anyio.current_time()
            await leave(connection, hard=hard)
            with anyio.fail_after(10):
                await request.gone.wait()
            assert request.gone_at is not None
            times.append(request.gone_at - left_at)
        assert min(times) <= AT_ONCE_SECS, times
        await f.settle()


class Wire:
    """A stream of anyio's as the client for HTTP/2 wants it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.send = stream.send
        self.aclose = stream.aclose

    async def receive(self) -> bytes:
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            return b""


async def begin(f: Faulty, client: H2Client, name: str) -> int:
    """A request over HTTP/2."""
    path, body = f.parts("anthropic", "openai", name, door="plain", stream=True)
    stream = client.open(path, ("content-type", "application/json"), method="POST", ended=False)
    await client.upload(stream, body)
    return stream


@pytest.mark.parametrize("phase", PHASES)
async def test_a_stream_of_http2_that_is_reset_closes_its_provider_at_once(phase: str) -> None:
    """And the other streams of its connection go on."""
    async with faulty(secure=True) as f:
        f.provider.extra[phase] = PHASES[phase]
        connection = await f.connect("h2")
        client = await H2Client(Wire(connection)).start()
        client.authority = "127.0.0.1"
        other = await begin(f, client, "bystander")
        await f.provider.request("bystander")
        times: list[float] = []
        while len(times) < TRIES and (not times or min(times) > AT_ONCE_SECS):
            stream = await begin(f, client, phase)
            request = await f.provider.request(phase, len(times) + 1)
            left_at = anyio.current_time()
            client.h2.reset_stream(stream, ErrorCodes.CANCEL)
            await client.flush()
            with anyio.fail_after(10):
                await request.gone.wait()
            assert request.gone_at is not None
            times.append(request.gone_at - left_at)
        assert min(times) <= AT_ONCE_SECS, times
        f.provider.let_go.set()
        with anyio.fail_after(10):
            answer = await client.answer(other)
        assert answer.ended
        assert b"message_stop" in answer.body
        await connection.aclose()
        await f.settle()
