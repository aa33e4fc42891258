"""One exchange over wires in memory: two things in one turn of the loop, and a client that does not read meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.http import UpstreamResponse
from support.answers import DONE, ROLE, chunk
from support.grammar import validate
from support.streams import MemoryTransport
from support.wired import SSE_HEAD, Wired, answer, ask, chunked, gone, is_full, nothing_is_left, wired

pytestmark = pytest.mark.anyio
both = pytest.mark.parametrize("usual", [True, False])
"""As a usual request, and by an exchange from its start."""

PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")
LONG = chunk({"content": "y" * 5000})


def just_as_a_pump_ends(
    monkeypatch: pytest.MonkeyPatch, what: Callable[[], None], when: Callable[[], bool] = lambda: True
) -> list[bool]:
    """Do ``what`` once, where a pump has said that it is done and nobody has heard it; then the pump is cancelled, if
    that cancels it. Returns where the times are counted."""
    original, done = UpstreamResponse.pump, list[bool]()

    async def pump(self: UpstreamResponse, feed: Callable[[bytes], bool]) -> bool:
        stopped = await original(self, feed)
        if stopped and not done and when():
            done.append(True)
            what()
            await anyio.lowlevel.checkpoint()
        return stopped

    monkeypatch.setattr(UpstreamResponse, "pump", pump)
    return done


async def begun(w: Wired, capacity: int) -> tuple[MemoryTransport, MemoryTransport, bytes]:
    """A client, its provider in the middle of a plain text, and what the client has read of it."""
    near = await w.begin("/v1/messages", ask(), capacity=capacity)
    far, _, _ = await w.provider()
    data = b""
    for piece in (SSE_HEAD + chunked(ROLE, PONG, end=False), chunked(PONG, end=False), chunked(PONG, end=False)):
        before = data.count(b"pong")
        await far.send(piece)
        while data.count(b"pong") == before:
            data += await near.receive()
        await anyio.wait_all_tasks_blocked()
    return near, far, data


async def body_of(near: MemoryTransport, data: bytes) -> bytes:
    """The whole body of a chunked answer that began with ``data``. Fails when its framing is cut or torn."""
    while not data.endswith(b"\r\n0\r\n\r\n"):
        piece = await near.receive()
        assert piece, "the answer was cut"
        data += piece
    data, body = data.partition(b"\r\n\r\n")[2], b""
    while size := int(data.partition(b"\r\n")[0], 16):
        data = data.partition(b"\r\n")[2]
        assert data[size : size + 2] == b"\r\n"
        body, data = body + data[:size], data[size + 2 :]
    return body


async def test_what_a_cancelled_pump_has_left_is_said_before_the_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wired() as w:
        w.app.usual.none = True
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        done = just_as_a_pump_ends(monkeypatch, lambda: w.run._stop())
        # The end of a block is no plain relay: it is left to the exchange.
        await far.send(SSE_HEAD + chunked(ROLE, PONG, STOP, end=False))
        _, _, body = await answer(near)
        assert done == [True]
        validate("anthropic", body)
        assert body.index(b"message_start") < body.index(b"pong") < body.index(b"message_stop")
        await gone(far)


@both
async def test_a_whole_answer_is_whole_though_the_server_stops_in_that_moment(
    monkeypatch: pytest.MonkeyPatch, usual: bool
) -> None:
    async with wired() as w:
        w.app.usual.none = not usual
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        done = just_as_a_pump_ends(monkeypatch, lambda: w.run._stop())
        await far.send(SSE_HEAD)
        await anyio.wait_all_tasks_blocked()
        await far.send(chunked(ROLE, PONG, STOP, DONE))
        _, _, body = await answer(near)
        assert done == [True]
        assert body.rstrip().endswith(b'{"type":"message_stop"}')
        await w.settle()
        assert w.outcomes == ["ok"]


@both
async def test_a_run_that_is_cancelled_with_its_end_in_hand_is_recorded_once(
    monkeypatch: pytest.MonkeyPatch, usual: bool
) -> None:
    async with wired() as w:
        w.app.usual.none = not usual
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        (connection,) = w.rig.server._open
        done = just_as_a_pump_ends(monkeypatch, connection.kill)
        await far.send(SSE_HEAD)
        await anyio.wait_all_tasks_blocked()
        await far.send(chunked(ROLE, PONG, STOP, DONE))
        data = await near.receive_all()
        assert done == [True]
        assert not data.endswith(b"0\r\n\r\n")
        await nothing_is_left(w, "cancelled", idle=w.app.pool.idle)


@both
@pytest.mark.parametrize("capacity", [300, 3000])
async def test_a_stop_while_the_client_does_not_read_tears_no_frame(capacity: int, usual: bool) -> None:
    async with wired() as w:
        w.app.usual.none = not usual
        near, far, data = await begun(w, capacity)
        run = w.run
        await far.send(chunked(*[LONG] * 3, end=False))
        await anyio.wait_all_tasks_blocked()
        assert is_full(run), "the client has to read first"
        run._stop()
        # More is there to be pumped as soon as the client has taken what was written.
        await far.send(chunked(*[LONG] * 30, end=False))
        await anyio.wait_all_tasks_blocked()
        body = await body_of(near, data)
        validate("anthropic", body)
        assert b"event: error" in body
        assert body.count(b"y" * 5000) == 3
        await gone(far)
        await w.settle()
        assert w.rig.errors == []


@both
@pytest.mark.parametrize("size", [5000, 300_000])
async def test_a_stop_just_as_the_client_stops_reading_tears_no_frame(
    monkeypatch: pytest.MonkeyPatch, size: int, usual: bool
) -> None:
    async with wired() as w:
        w.app.usual.none = not usual
        stop = [lambda: None]
        full = [lambda: False]
        done = just_as_a_pump_ends(monkeypatch, lambda: stop[0](), lambda: full[0]())
        near, far, data = await begun(w, 3000)
        run = w.run
        stop[0], full[0] = run._stop, lambda: is_full(run)
        # The larger one is written in pieces: the last words must not pass them.
        await far.send(chunked(chunk({"content": "y" * size}), end=False))
        await anyio.wait_all_tasks_blocked()
        assert done == [True]
        assert is_full(run)
        body = await body_of(near, data)
        validate("anthropic", body)
        assert body.index(b"y" * size) < body.index(b"event: error")
        await w.settle()
        assert w.rig.errors == []
