"""What `Transport` promises of writing and of the close, of every transport there is."""

from __future__ import annotations

import re

import anyio.lowlevel
import pytest

from ferryllm_net.http.transport import Interrupted, TransportError
from support.pairs import KINDS, TLS, Collector, Task, alone, attended, read, settle

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS)]

MOST = 4_000_000
"""More than the sockets of `pair` keep."""


async def test_write_tells_whether_all_of_it_is_taken(kind: str) -> None:
    async with alone(kind) as (near, far, group):
        piece = bytes(range(256)) * 256
        written = 0
        # anyio's stream on asyncio reads without a bound before its first receive.
        await near.send(b".")
        assert await far.receive() == b"."
        # Where the peer's loop reads ahead a drain may end some times.
        for _ in range(50):
            while written < MOST:
                written += len(piece)
                if not near.write(piece):
                    break
            draining = Task(group, near.drain)
            await settle()
            if not draining.done:
                break
        assert written < MOST, "somebody has to say stop"
        assert not draining.done
        collector = Collector(written)
        assert await far.pump(collector)
        assert collector.data == piece * (written // len(piece))
        await draining.wait()
        assert draining.error is None


async def test_a_peer_that_does_not_read_stops_the_sender(kind: str) -> None:
    async with alone(kind) as (near, far, group):
        sending = Task(group, lambda: near.send(bytes(MOST // 2)))
        await settle()
        assert not sending.done
        await read(far, MOST // 2)
        await sending.wait()
        assert sending.error is None


async def test_writes_come_in_order_with_a_drain_under_way(kind: str) -> None:
    """As an answer to KeyUpdate does, which the reader writes."""
    async with alone(kind) as (near, far, group):
        block = bytes(MOST // 2)
        near.write(block)
        draining = Task(group, near.drain)
        await settle()
        assert not draining.done
        assert not near.write(b"behind")
        collector = Collector(len(block) + 6)
        assert await far.pump(collector)
        await draining.wait()
        assert draining.error is None
        assert collector.data.endswith(b"\0behind")


async def test_small_writes_are_taken_at_once(kind: str) -> None:
    async with alone(kind) as (near, far, _):
        if not near.write(b"a"):
            assert kind.startswith("stream")
        await near.drain()
        await near.drain()
        await near.send(b"b")
        assert await read(far, 2) == b"ab"


async def test_nothing_is_written_for_nothing(kind: str) -> None:
    async with alone(kind) as (near, far, _):
        assert near.write(b"")
        await near.send(b"")
        await near.send(b"x")
        assert await far.receive() == b"x"


async def test_interrupt_ends_a_drain(kind: str) -> None:
    async with alone(kind) as (near, _, group):
        near.write(bytes(MOST // 2))
        draining = Task(group, near.drain)
        await settle()
        near.interrupt()
        await draining.wait()
        assert isinstance(draining.error, Interrupted)
        assert not draining.scope.cancel_called


async def test_interrupt_ends_both_waits(kind: str) -> None:
    async with alone(kind) as (near, far, group):
        near.write(bytes(MOST // 2))
        waits = [Task(group, near.drain), Task(group, near.receive)]
        await settle()
        near.interrupt()
        for wait in waits:
            await wait.wait()
            assert isinstance(wait.error, Interrupted)
        if kind == "stream-tlsstream":
            return  # anyio's does not live on after a write that was broken off
        await far.send(b"x")
        assert await near.receive() == b"x"


async def test_a_drain_can_be_cancelled(kind: str) -> None:
    async with alone(kind) as (near, _, group):
        near.write(bytes(MOST // 2))
        draining = Task(group, near.drain)
        await settle()
        draining.scope.cancel()
        await draining.wait()
        assert draining.error is None
        await near.aclose()


async def test_one_direction_does_not_disturb_the_other(kind: str) -> None:
    async with attended(kind) as (near, far, group):
        block = bytes(range(256)) * 20_000
        Task(group, lambda: near.send(block))
        Task(group, lambda: far.send(block))
        reading = Task(group, lambda: read(near, len(block)))
        collector = Collector(len(block))
        assert await far.pump(collector)
        assert collector.data == block == await reading.wait()


async def test_many_sends_let_others_run(kind: str) -> None:
    async with alone(kind) as (near, _, group):
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        counting = Task(group, count)
        for _ in range(100):
            await near.send(b"x")
        assert turns >= 4
        counting.scope.cancel()


async def test_half_close_lets_the_other_direction_live(kind: str) -> None:
    async with attended(kind) as (near, far, _):
        ends: list[bool] = []
        near.watch(lambda: ends.append(True))
        await far.send(b"last")
        await far.send_eof()
        await far.send_eof()
        if kind in TLS:
            await far.send(b" words")
            assert await read(near, 10) == b"last words", "there is no half-close in TLS"
            assert not ends
            return
        assert await read(near, 4) == b"last"
        assert await near.receive() == b""
        assert ends == [True], "which counts as leaving"
        await near.send(b"still")
        assert await read(far, 5) == b"still"


async def test_quiet_until_bytes_come(kind: str) -> None:
    async with alone(kind) as (near, far, _):
        assert near.is_quiet()
        await far.send(b"uninvited")
        await settle()
        assert not near.is_quiet()
        assert await near.receive() == b"uninvited"
        assert near.is_quiet()


@pytest.mark.parametrize("cut", [True, False])
async def test_quiet_until_the_peer_has_gone(kind: str, cut: bool) -> None:
    async with alone(kind) as (near, far, _):
        assert near.is_quiet()
        if cut:
            far.reset_on_close()
        await far.aclose()
        await settle()
        assert not near.is_quiet()


async def test_a_peer_that_has_gone_takes_nothing(kind: str) -> None:
    async with alone(kind) as (near, far, group):
        far.reset_on_close()
        await far.aclose()
        await settle()
        # A system may tell of a write that failed only with the next one.
        for _ in range(3):
            sending = Task(group, lambda: near.send(b"x" * 100_000))
            await sending.wait()
        assert re.search("reset|pipe|closed", str(sending.error))


async def test_after_the_close_nothing_works_and_nothing_breaks(kind: str) -> None:
    async with alone(kind) as (near, _, _):
        near.interrupt()
        await near.aclose()
        await near.aclose()
        for call in (near.receive, lambda: near.pump(Collector(1)), lambda: near.send(b"x")):
            with pytest.raises(TransportError):
                await call()
        with pytest.raises(TransportError):
            near.write(b"x")
        assert not near.is_quiet()
        near.interrupt()
        near.reset_on_close()
        await near.send_eof()
        await near.attend()


async def test_a_close_ends_a_drain(kind: str) -> None:
    async with alone(kind) as (near, _, group):
        near.write(bytes(MOST // 2))
        draining = Task(group, near.drain)
        await settle()
        await near.aclose()
        await draining.wait()
        assert isinstance(draining.error, TransportError)


async def test_a_reset_ends_a_drain(kind: str) -> None:
    async with alone(kind) as (near, far, group):
        near.write(bytes(MOST // 2))
        draining = Task(group, near.drain)
        await settle()
        far.reset_on_close()
        await far.aclose()
        await draining.wait()
        assert isinstance(draining.error, TransportError)


async def test_a_close_works_within_a_cancelled_scope(kind: str) -> None:
    async with alone(kind) as (near, far, group):
        closing = Task(group, near.aclose)
        closing.scope.cancel()
        await closing.wait()
        with pytest.raises(TransportError):
            near.write(b"x")
        assert await far.receive() == b""


async def test_a_reset_that_a_write_has_heard_of_is_no_end(kind: str) -> None:
    """The system tells of a reset once: whoever reads must not take what is left for a message that has ended."""
    if kind not in ("native", "loop"):
        pytest.skip("of sockets that are ours")
    async with alone(kind) as (near, far, group):
        near.write(bytes(MOST // 2))
        draining = Task(group, near.drain)
        await settle()
        far.reset_on_close()
        await far.aclose()
        await draining.wait()
        assert isinstance(draining.error, TransportError)
        with pytest.raises(TransportError, match="reset"):
            await near.receive()
    async with alone("native") as (near, far, group):
        far.reset_on_close()
        await far.aclose()
        with pytest.raises(TransportError, match="reset"):  # nobody has read yet
            near.write(b"x")
        with pytest.raises(TransportError, match="reset"):
            await near.receive()


async def test_what_is_kept_comes_before_our_end(kind: str) -> None:
    if kind not in ("native", "unix", "loop"):
        pytest.skip("of sockets that are ours")
    async with alone(kind) as (near, far, group):
        block = bytes(range(256)) * (MOST // 256)
        near.write(block)
        await near.send_eof()
        draining = Task(group, near.drain)
        collector = Collector(len(block) + 1)
        assert await far.pump(collector) is False
        assert collector.data == block
        await draining.wait()
        assert draining.error is None
