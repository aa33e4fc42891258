"""What `Transport` promises of reading, of every transport there is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

import anyio
import pytest

from ferryllm_net.http.transport import READ_AHEAD_BYTES, Interrupted, TransportError
from support.pairs import KINDS, TLS, AsyncPair, Collector, Failed, Task, alone, attended, read, settle

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS)]

LARGEST_READ = 256 * 1024


MODES = [pytest.param(attended, id="attended"), pytest.param(alone, id="alone")]
both_ways = pytest.mark.parametrize("ends", MODES)


@both_ways
async def test_bytes_there_and_back_and_the_end(kind: str, ends: Callable[[str], AsyncPair]) -> None:
    async with ends(kind) as (near, far, _):
        await near.send(b"hello")
        assert await read(far, 5) == b"hello"
        await far.send(b"wor")
        await far.send(b"ld")
        assert await read(near, 5) == b"world"
        await far.aclose()
        assert await near.receive() == b""
        assert await near.receive() == b"", "and so it stays"


async def test_what_is_known_of_the_connection(kind: str) -> None:
    async with alone(kind) as (near, far, _):
        assert near.secure == far.secure == (kind in TLS)
        assert near.protocol is None
        assert not near.ragged_end
        if kind == "unix":
            assert near.peer == ("", 0)
        elif kind.startswith("memory"):
            assert near.peer[0] == "192.0.2.1"
        else:
            assert near.peer[0] == far.peer[0] == "127.0.0.1"
            assert near.peer[1] != far.peer[1]


@both_ways
async def test_megabytes_arrive_as_they_were_sent(kind: str, ends: Callable[[str], AsyncPair]) -> None:
    sent = bytes(range(256)) * 12_000
    async with ends(kind) as (near, far, group):
        sending = Task(group, lambda: far.send(sent))
        assert await read(near, len(sent)) == sent
        await sending.wait()
        collector = Collector(len(sent))
        Task(group, lambda: far.send(sent))
        assert await near.pump(collector)
        assert collector.data == sent


@both_ways
async def test_pump_ends_when_its_function_says_so_and_the_rest_waits(
    kind: str, ends: Callable[[str], AsyncPair]
) -> None:
    async with ends(kind) as (near, far, group):
        first = Collector(2)
        pumping = Task(group, lambda: near.pump(first))
        await settle()
        await far.send(b"a")
        await settle()
        assert first.data == b"a"
        await far.send(b"b")
        await far.send(b"c")
        assert await pumping.wait() is True
        assert first.data in (b"ab", b"abc")
        rest = await read(near, 1) if first.data == b"ab" else b""
        assert first.data + rest == b"abc"


@both_ways
async def test_pump_begins_with_what_has_arrived(kind: str, ends: Callable[[str], AsyncPair]) -> None:
    async with ends(kind) as (near, far, _):
        await far.send(b"before")
        await settle()
        collector = Collector(6)
        assert await near.pump(collector)
        assert collector.data == b"before"
        assert collector.reads == 1


@both_ways
async def test_pump_tells_the_end(kind: str, ends: Callable[[str], AsyncPair]) -> None:
    async with ends(kind) as (near, far, group):
        collector = Collector(100)
        pumping = Task(group, lambda: near.pump(collector))
        await far.send(b"short")
        await far.aclose()
        assert await pumping.wait() is False
        assert collector.data == b"short"
        assert await near.pump(collector) is False, "and so it stays"


@both_ways
@pytest.mark.parametrize("early", [True, False])
async def test_what_the_function_raises_comes_out_of_pump(
    kind: str, early: bool, ends: Callable[[str], AsyncPair]
) -> None:
    def fail(data: bytes) -> bool:
        raise Failed

    async with ends(kind) as (near, far, group):
        if early:
            await far.send(b"x")
            await settle()
        pumping = Task(group, lambda: near.pump(fail))
        await settle()
        if not early:
            await far.send(b"x")
        await pumping.wait()
        assert isinstance(pumping.error, Failed)
        await far.send(b"the connection lives")
        assert await read(near, 20) == b"the connection lives"


@both_ways
@pytest.mark.parametrize("raises", [True, False])
async def test_a_function_may_cancel_its_own_pump(kind: str, raises: bool, ends: Callable[[str], AsyncPair]) -> None:
    """What it writes to is gone: that is found there, and takes the run with it."""

    async def pump() -> None:
        with anyio.CancelScope() as scope, contextlib.suppress(Failed):

            def feed(data: bytes) -> bool:
                scope.cancel()
                if raises:
                    raise Failed
                return True

            await near.pump(feed)

    async with ends(kind) as (near, far, group):
        pumping = Task(group, pump)
        await settle()
        await far.send(b"a")
        await pumping.wait()
        await far.send(b"b")
        assert await read(near, 1) == b"b", "the connection goes on, and nothing of it comes later"


@both_ways
async def test_interrupt_ends_a_wait(kind: str, ends: Callable[[str], AsyncPair]) -> None:
    async with ends(kind) as (near, far, group):
        collector = Collector(4)
        for call in (near.receive, lambda: near.pump(collector)):
            waiting = Task(group, call)
            await settle()
            near.interrupt()
            await waiting.wait()
            assert isinstance(waiting.error, Interrupted)
        await far.send(b"x")
        assert await near.receive() == b"x", "one interruption, one wait"


@both_ways
async def test_interrupt_waits_for_the_next_wait(kind: str, ends: Callable[[str], AsyncPair]) -> None:
    async with ends(kind) as (near, far, _):
        near.interrupt()
        near.interrupt()
        with pytest.raises(Interrupted):
            await near.receive()
        near.interrupt()
        with pytest.raises(Interrupted):
            await near.pump(Collector(1))
        await far.send(b"x")
        assert await near.receive() == b"x"


async def test_bytes_that_are_there_come_before_an_interruption(kind: str) -> None:
    async with attended(kind) as (near, far, _):
        await far.send(b"x")
        await settle()
        near.interrupt()
        assert await near.receive() == b"x"
        with pytest.raises(Interrupted):
            await near.receive()


@both_ways
async def test_a_cancelled_read_has_taken_nothing(kind: str, ends: Callable[[str], AsyncPair]) -> None:
    async with ends(kind) as (near, far, group):
        taken = b""
        # Bytes and cancellation at once, in either order.
        for number in range(40):
            collector = Collector(1)
            call = partial(near.pump, collector) if number & 1 else near.receive
            reading = Task(group, call)
            await settle()
            if number & 2:
                reading.scope.cancel()
            await far.send(bytes([number]))
            reading.scope.cancel()
            await reading.wait()
            taken += collector.data
            if isinstance(reading.result, bytes):
                taken += reading.result
            if number % 8 == 7:
                taken += await read(near, number + 1 - len(taken)) if len(taken) <= number else b""
        assert taken == bytes(range(40))


async def test_reading_ahead_is_bounded(kind: str) -> None:
    async with attended(kind) as (near, far, group):
        sending = Task(group, lambda: far.send(bytes(2_000_000)))
        await settle()
        assert not sending.done, "the sender waits"
        first = await near.receive()
        # Of TLS only what is whole: the record behind waits for its rest.
        assert READ_AHEAD_BYTES - 16 * 1024 <= len(first) < READ_AHEAD_BYTES + LARGEST_READ
        await read(near, 2_000_000 - len(first))
        await sending.wait()


@pytest.mark.parametrize("gone", ["closed", "reset"])
async def test_watch_tells_that_the_peer_has_gone(kind: str, gone: str) -> None:
    async with attended(kind) as (near, far, _):
        calls: list[str] = []
        near.watch(lambda: calls.append("end"))
        await far.send(b"unread bytes do not hide it")
        await settle()
        assert not calls
        if gone == "reset":
            far.reset_on_close()
        await far.aclose()
        await settle()
        assert calls == ["end"]
        near.watch(lambda: calls.append("late"))
        assert calls == ["end", "late"], "told at once"
        assert await read(near, 27) == b"unread bytes do not hide it"


async def test_watch_tells_of_an_end_within_a_pump(kind: str) -> None:
    async with attended(kind) as (near, far, group):
        calls: list[str] = []
        near.watch(lambda: calls.append("end"))
        pumping = Task(group, lambda: near.pump(Collector(100)))
        await far.aclose()
        assert await pumping.wait() is False
        assert calls == ["end"]


async def test_our_own_close_is_not_watched(kind: str) -> None:
    async with attended(kind) as (near, _, _):
        near.watch(lambda: pytest.fail("the peer is still there"))
        await near.aclose()
        await settle()


async def test_a_reader_goes_on_when_attend_begins_and_ends(kind: str) -> None:
    async with alone(kind) as (near, far, group):
        reading = Task(group, near.receive)
        await settle()
        attending = Task(group, near.attend)
        await settle()
        await far.send(b"a")
        assert await reading.wait() == b"a"
        reading = Task(group, near.receive)
        await settle()
        attending.scope.cancel()
        await settle()
        await far.send(b"b")
        assert await reading.wait() == b"b"


@both_ways
async def test_a_close_ends_the_waits_of_others(kind: str, ends: Callable[[str], AsyncPair]) -> None:
    async with ends(kind) as (near, _, group):
        reading = Task(group, near.receive)
        await settle()
        await near.aclose()
        await reading.wait()
        assert isinstance(reading.error, TransportError)


@both_ways
async def test_a_reset_is_no_end(kind: str, ends: Callable[[str], AsyncPair]) -> None:
    async with ends(kind) as (near, far, group):
        pumping = Task(group, lambda: near.pump(Collector(1)))
        await settle()
        far.reset_on_close()
        await far.aclose()
        await pumping.wait()
        if kind == "unix":
            assert pumping.result is False, "unix sockets know no reset"
            return
        assert "reset" in str(pumping.error)
        with pytest.raises(TransportError, match="reset"):
            await near.receive()
