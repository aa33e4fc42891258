"""Answers as they are handed out: the same body by `receive` and by `pump`, however it was cut on its way."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.http import Interrupted, Limits, Timeouts, UpstreamError, UpstreamFault, UpstreamResponse
from support.h2_server import OK as H2_OK
from support.h2_server import H2Peer
from support.streams import MemoryTransport
from support.upstream import FULL, OK, ORIGIN, Fed, answer, bench, head

CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
BODIES = {
    "chunks": (CHUNKED + b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nx-sum: 1\r\n\r\n", b"abcdefgh", False),
    "length": (OK + b"content-length: 8\r\n\r\nabcdefgh", b"abcdefgh", False),
    "until close": (OK + b"\r\nabcdefgh", b"abcdefgh", True),
    "empty chunks": (CHUNKED + b"0\r\n\r\n", b"", False),
    "gzip": (
        OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(gzip.compress(b"abc" * 9, mtime=0)),
        b"abc" * 9,
        False,
    ),
    "deflate until close": (OK + b"content-encoding: deflate\r\n\r\n" + zlib.compress(b"abc" * 9), b"abc" * 9, True),
}
BODIES["gzip"] = (BODIES["gzip"][0] + gzip.compress(b"abc" * 9, mtime=0), b"abc" * 9, False)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    ends = sorted({cut % len(data) for cut in cuts} | {len(data)})
    start = 0
    for end in ends:
        if data[start:end]:
            yield data[start:end]
        start = end


async def collect(response: UpstreamResponse, ways: str) -> bytes:
    """The body, by the ways named one after the other: r receives once, p pumps all, s pumps until the first bytes, w
    takes the rest where it is whole."""
    got: list[bytes] = []

    def all_of_it(data: bytes) -> bool:
        assert data
        got.append(data)
        return False

    def one(data: bytes) -> bool:
        got.append(data)
        return True

    turn = 0
    while True:
        way = ways[min(turn, len(ways) - 1)]
        turn += 1
        if way == "r":
            data = await response.receive()
            if not data:
                break
            got.append(data)
        elif way == "w":
            rest = response.whole()
            if rest is not None:
                got.append(rest)
                break
            ways += "r"
        elif way == "p":
            assert await response.pump(all_of_it) is False
            break
        else:
            before = len(got)
            if not await response.pump(one):
                assert len(got) == before
                break
            assert len(got) == before + 1, "nothing is fed after True"
    assert response.ended
    assert response.whole() == await response.receive() == b""
    assert await response.pump(all_of_it) is False
    return b"".join(got)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(
    name=st.sampled_from(sorted(BODIES)),
    cuts=st.lists(st.integers(0, 10_000), max_size=8),
    ways=st.text("rpsw", min_size=1, max_size=6),
)
def test_any_cut_and_any_way_of_reading_give_the_same_body(backend: str, name: str, cuts: list[int], ways: str) -> None:
    data, body, close = BODIES[name]

    async def run() -> None:
        async with bench() as b:

            async def reply() -> None:
                far = await b.upstream.accept()
                await far.receive_until(b"\r\n\r\n")
                for piece in pieces(data, cuts):
                    await far.send(piece)
                    await anyio.lowlevel.checkpoint()
                if close:
                    await far.send_eof()

            async with anyio.create_task_group() as group:
                group.start_soon(reply)
                response = await b.pool.open(ORIGIN, head())
                assert await collect(response, ways) == body
                assert response.trailers == ([("x-sum", "1")] if name == "chunks" else [])
            assert b.pool.idle == (0 if close else 1)

    anyio.run(run, backend=backend)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (b"connection: x-hop, keep-alive\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nx-end: 2\r\n", ["x-end"]),
        (b"proxy-connection: close\r\nte: trailers\r\ntrailer: x\r\nupgrade: h2c\r\nx-end: 2\r\n", ["x-end"]),
        (b"connection: keep-alive\r\nx-hop: 1\r\n", ["x-hop"]),
    ],
)
async def test_fields_of_one_connection_are_not_handed_on(fields: bytes, kept: list[str]) -> None:
    async with bench() as b:
        response = await b.ask(reply=b.reply(OK + fields + b"content-length: 2\r\n\r\nok"))
        assert [name for name, _ in response.headers if name != "content-length"] == kept
        assert await response.read(5) == b"ok"
        assert b.pool.idle == 1


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["receive", "pump"])
async def test_a_wait_that_is_interrupted_goes_on_where_it_was(way: str) -> None:
    async with bench() as b:
        fars: list[MemoryTransport] = []

        async def reply() -> None:
            fars.append(await b.upstream.accept())
            await answer(fars[0], CHUNKED + b"1\r\n")

        response = await b.ask(reply=reply())
        got = Fed(stop=True)

        async def wait() -> None:
            if way == "receive":
                got(await response.receive())
            else:
                await response.pump(got)

        async with anyio.create_task_group() as group:

            async def interrupted() -> None:
                with pytest.raises(Interrupted):
                    await wait()

            group.start_soon(interrupted)
            await anyio.wait_all_tasks_blocked()
            response.interrupt()
        assert not got.pieces
        await fars[0].send(b"a\r\n0\r\n\r\n")
        await wait()
        assert got.pieces == [b"a"]
        assert response.ended


@pytest.mark.anyio
async def test_what_the_function_raises_comes_out_and_closes_the_answer() -> None:
    class Broken(Exception):
        pass

    def feed(data: bytes) -> bool:
        raise Broken

    async with bench() as b:
        response = await b.ask(reply=b.reply(FULL))
        with pytest.raises(Broken):
            await response.pump(feed)
        assert b.pool.idle == b.pool.active == 0
        with pytest.raises(UpstreamError):
            await response.receive()


@pytest.mark.anyio
async def test_silence_within_a_pump_is_late_and_a_client_that_reads_slowly_is_not() -> None:
    async with bench(Limits(pool_sweep_secs=0.01)) as b:
        fars: list[MemoryTransport] = []

        async def reply() -> None:
            fars.append(await b.upstream.accept())
            await answer(fars[0], CHUNKED + b"1\r\na\r\n")

        response = await b.ask(reply=reply(), timeouts=Timeouts(idle_secs=0.03))
        assert await response.pump(lambda data: True)
        for one in list(b.pool._running):
            one.sweep(anyio.current_time() + 1000)  # the time of the client, which nobody counts
        with pytest.raises(UpstreamError, match=r"sent no byte of its answer for 0\.03 s") as caught:
            await response.pump(lambda data: False)
        assert caught.value.kind is UpstreamFault.TIMEOUT_IDLE


@pytest.mark.anyio
async def test_bytes_before_a_cut_are_fed_before_it_is_told() -> None:
    async with bench() as b:
        got = Fed()
        response = await b.ask(reply=b.reply(CHUNKED + b"2\r\nab\r\nzz\r\n", close=True))
        with pytest.raises(UpstreamError) as caught:
            await response.pump(got)
        assert caught.value.kind is UpstreamFault.PROTOCOL
        assert got.pieces == [b"ab"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("wire", "body"),
    [(FULL, b"ok"), (OK + b"content-length: 0\r\n\r\n", b""), (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", b"ok")],
)
async def test_an_answer_that_is_there_is_taken_without_waiting(wire: bytes, body: bytes) -> None:
    async with bench() as b:
        response = await b.ask(reply=b.reply(wire))
        assert b.pool.used == 1
        assert response.whole() == body
        assert (response.ended, b.pool.idle, b.pool.used) == (True, 1, 0)
        assert response.whole() == b""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("wire", "limits"),
    [
        (OK + b"content-length: 2\r\nconnection: close\r\n\r\nok", Limits()),
        (FULL + b"HTTP/1.1", Limits()),
        (FULL, Limits(pool_idle_per_origin=0)),
        (CHUNKED + b"2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n", Limits()),
    ],
)
async def test_what_takes_more_than_the_bytes_is_read_as_ever(wire: bytes, limits: Limits) -> None:
    async with bench(limits) as b:
        response = await b.ask(reply=b.reply(wire))
        assert response.whole() is response.whole() is None
        assert b.pool.used == 1
        assert await response.read(5) == b"ok"
        assert bool(response.trailers) is (b"x-sum" in wire)
        assert (b.pool.idle, b.pool.used) == (1 if response.trailers else 0, 0)


@pytest.mark.anyio
async def test_an_answer_that_was_closed_or_is_not_there_is_not_whole() -> None:
    async with bench() as b:
        response = await b.ask(reply=b.reply(OK + b"content-length: 3\r\n\r\nok"))
        assert response.whole() is None
        await response.aclose()
        assert response.whole() is None
        response = await b.ask(reply=b.reply(FULL))
        assert not await response.pump(Fed())
        assert response.whole() == b""


@pytest.mark.anyio
async def test_an_answer_of_a_shared_connection_is_whole_with_its_last_frame() -> None:
    async with bench() as b:
        responses: list[UpstreamResponse] = []

        async def ask() -> None:
            responses.append(await b.pool.open(msgspec.structs.replace(ORIGIN, http2="prior_knowledge"), head()))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            peer = await H2Peer(await b.upstream.accept()).start()
            stream = await peer.request()
            peer.h2.send_headers(stream, H2_OK)
            peer.h2.send_data(stream, b"o")
            await peer.flush()
        await anyio.wait_all_tasks_blocked()
        assert responses[0].whole() is None
        peer.h2.send_data(stream, b"k")
        peer.h2.send_headers(stream, [("x-sum", "1")], end_stream=True)
        await peer.flush()
        await anyio.wait_all_tasks_blocked()
        assert (responses[0].whole(), responses[0].trailers) == (b"ok", [("x-sum", "1")])
        assert (b.pool.active, b.pool.idle) == (0, 1)
