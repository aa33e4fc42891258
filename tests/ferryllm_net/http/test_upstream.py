"""Answers of an upstream: framing, cuts, deadlines, cancellation; played by hand, on both backends."""

from __future__ import annotations

import gzip
import random
import zlib

import anyio
import pytest

from ferryllm_net.http import (
    Limits,
    Origin,
    Timeouts,
    Transport,
    UpstreamError,
    UpstreamFault,
)
from support.streams import MemoryTransport
from support.upstream import FULL, OK, ORIGIN, Bench, answer, bench, head

pytestmark = pytest.mark.anyio


ANSWERS = {
    "length": (FULL, False),
    "chunked": (OK + b"transfer-encoding: chunked\r\n\r\n1;x\r\no\r\n1\r\nk\r\n0\r\nx-t: 1\r\n\r\n", False),
    "until close": (OK + b"\r\nok", True),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nok", True),
    "HTTP/1.0 with length": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", False),
    "interim first": (b"HTTP/1.1 103 Early Hints\r\nx: 1\r\n\r\n" * 16 + FULL, False),
    "gzip": (OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"ok"), True),
    "deflate": (OK + b"content-encoding: deflate\r\n\r\n" + zlib.compress(b"ok"), True),
    "identity": (OK + b"content-encoding: identity\r\ncontent-length: 2\r\n\r\nok", False),
}


CUT = {
    "length": (OK + b"content-length: 5\r\n\r\nok", b"ok", UpstreamFault.CLOSED),
    "last chunk missing": (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n", b"ok", UpstreamFault.CLOSED),
    "bad chunk": (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n", b"ok", UpstreamFault.PROTOCOL),
    "no gzip": (OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nok", b"", UpstreamFault.PROTOCOL),
    "cut gzip": (OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"ok")[:-2], b"ok", UpstreamFault.PROTOCOL),
}


BAD_HEADS = {
    "no HTTP": b"SSH-2.0-x\r\n\r\n",
    "large head": OK + b"x: " + b"a" * 70_000,
    "101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "17 interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17,
    "CL and TE": OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
    "unknown coding": OK + b"content-encoding: sdch\r\ncontent-length: 2\r\n\r\nok",
}


async def _hold(b: Bench, data: bytes) -> None:
    await answer(await b.upstream.accept(), data)


@pytest.mark.parametrize(("data", "close"), ANSWERS.values(), ids=ANSWERS)
async def test_answers_in_each_framing(data: bytes, close: bool) -> None:
    async with bench() as b:
        response = await b.ask(reply=b.reply(data, close=close))
        assert response.status == 200
        assert await response.read(100) == b"ok"
        assert response.ended
        assert await response.receive() == b""
        await response.aclose()
        if response.header("content-encoding") is not None:
            assert response.header("content-encoding") == "identity"
        keeps = not close and response.http_version == "1.1"
        assert b.pool.idle == (1 if keeps else 0)


async def test_body_comes_as_it_is_read_and_the_connection_is_free_with_the_last_byte() -> None:
    fars: list[MemoryTransport] = []

    async def reply() -> None:
        fars.append(await b.upstream.accept())
        await answer(fars[0], OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n")

    async with bench() as b:
        response = await b.ask(reply=reply())
        assert await response.receive() == b"ab"
        assert not response.ended
        assert b.pool.idle == 0
        await fars[0].send(b"1\r\nc\r\n0\r\n\r\n")
        assert await response.receive() == b"c"
        assert response.ended
        assert b.pool.idle == 1


@pytest.mark.parametrize(("data", "good", "kind"), CUT.values(), ids=CUT)
async def test_cut_and_broken_bodies_are_errors_after_the_good_bytes(
    data: bytes, good: bytes, kind: UpstreamFault
) -> None:
    async with bench() as b:
        response = await b.ask(reply=b.reply(data, close=True))
        if good:
            assert await response.receive() == good
        with pytest.raises(UpstreamError) as caught:
            await response.receive()
        assert caught.value.kind is kind
        assert not response.ended
        assert b.pool.idle == 0
        with pytest.raises(UpstreamError):
            await response.receive()


@pytest.mark.parametrize("data", BAD_HEADS.values(), ids=BAD_HEADS)
async def test_heads_that_break_the_protocol(data: bytes) -> None:
    async with bench() as b:
        with pytest.raises(UpstreamError) as caught:
            await b.ask(reply=b.reply(data))
        assert caught.value.kind is UpstreamFault.PROTOCOL
        assert b.pool.idle == 0


async def test_end_within_the_head_is_a_close() -> None:
    async with bench() as b:
        with pytest.raises(UpstreamError) as caught:
            await b.ask(reply=b.reply(b"HTTP/1.1 200 O", close=True))
        assert caught.value.kind is UpstreamFault.CLOSED


async def test_head_request_has_no_body() -> None:
    async with bench() as b:
        response = await b.ask(head("HEAD"), reply=b.reply(OK + b"content-length: 5\r\ncontent-encoding: gzip\r\n\r\n"))
        assert response.header("content-length") == "5"
        assert await response.receive() == b""
        assert b.pool.idle == 1


async def test_answer_to_a_request_that_was_not_read_to_its_end_is_heard() -> None:
    async def reply() -> None:
        far = await b.upstream.accept()
        await far.receive_until(b"\r\n\r\n")
        await far.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await far.aclose()

    async with bench(capacity=100_000) as b:
        response = await b.ask(head("POST"), b"x" * 400_000, reply=reply())
        assert response.status == 413
        assert await response.receive() == b""
        assert b.pool.idle == 0


async def test_answer_above_the_limit_is_an_error() -> None:
    async with bench() as b:
        response = await b.ask(reply=b.reply(OK + b"content-length: 30\r\n\r\n" + b"x" * 20))
        with pytest.raises(UpstreamError, match="larger than 10 bytes"):
            await response.read(10)
        assert b.pool.idle == 0


async def test_coded_answer_is_read_in_bounded_pieces() -> None:
    async with bench() as b:
        plain = random.Random(1).randbytes(20_000) * 100
        data = gzip.compress(plain)
        response = await b.ask(
            reply=b.reply(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
        )
        sizes = []
        while piece := await response.receive():
            sizes.append(len(piece))
        assert sum(sizes) == len(plain)
        assert max(sizes) <= 256 * 1024
        assert b.pool.idle == 1


@pytest.mark.parametrize("way", ["receive", "pump"])
async def test_coded_answer_that_swells_beyond_reason_is_an_error(way: str) -> None:
    async with bench() as b:
        data = gzip.compress(b"\0" * 5_000_000)
        response = await b.ask(
            reply=b.reply(OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(data) + data)
        )
        with pytest.raises(UpstreamError, match="more than 200 times its size") as caught:
            await (response.read(5_000_000) if way == "receive" else response.pump(lambda piece: False))
        assert caught.value.kind is UpstreamFault.PROTOCOL
        assert b.pool.idle == 0


@pytest.mark.parametrize(
    ("timeouts", "kind"),
    [
        (Timeouts(head_secs=0.01), UpstreamFault.TIMEOUT_HEAD),
        (Timeouts(total_secs=0.01), UpstreamFault.TIMEOUT_TOTAL),
    ],
)
async def test_silence_before_the_head(timeouts: Timeouts, kind: UpstreamFault) -> None:
    async with bench() as b:
        with pytest.raises(UpstreamError) as caught:
            await b.ask(reply=_hold(b, b""), timeouts=timeouts)
        assert caught.value.kind is kind


@pytest.mark.parametrize(
    ("timeouts", "kind"),
    [
        (Timeouts(idle_secs=0.1), UpstreamFault.TIMEOUT_IDLE),
        (Timeouts(total_secs=0.2), UpstreamFault.TIMEOUT_TOTAL),
    ],
)
async def test_silence_within_the_body(timeouts: Timeouts, kind: UpstreamFault) -> None:
    async with bench() as b:
        response = await b.ask(reply=_hold(b, OK + b"content-length: 3\r\n\r\nok"), timeouts=timeouts)
        assert await response.receive() == b"ok"
        with pytest.raises(UpstreamError) as caught:
            await response.receive()
        assert caught.value.kind is kind


async def test_upstream_that_takes_nothing() -> None:
    async with bench(capacity=10) as b:
        with pytest.raises(UpstreamError) as caught:
            await b.pool.open(ORIGIN, head(), timeouts=Timeouts(idle_secs=0.01))
        assert caught.value.kind is UpstreamFault.TIMEOUT_HEAD


@pytest.mark.parametrize("data", [b"", OK, OK + b"content-length: 5\r\n\r\nok"], ids=["head", "in head", "body"])
async def test_cancelled_exchange_closes_its_connection(data: bytes) -> None:
    ended = anyio.Event()

    async def reply() -> None:
        far = await b.upstream.accept()
        await answer(far, data)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.fail_after(5):
            assert await far.receive() == b""
        ended.set()

    async with bench() as b:
        async with anyio.create_task_group() as group:
            group.start_soon(reply)
            async with await b.pool.open(ORIGIN, head()) as response:
                await response.read(100)
        assert ended.is_set()
        assert b.pool.idle == 0


async def test_answer_left_unread_is_not_reused() -> None:
    async with bench() as b:
        async with await b.ask(reply=b.reply(FULL)) as response:
            assert response.status == 200
        assert b.pool.idle == 0
        with pytest.raises(UpstreamError):
            await response.receive()


@pytest.mark.parametrize("step", [1, 3, 50])
async def test_a_wait_that_is_broken_off_takes_nothing_and_the_next_one_goes_on(step: int) -> None:
    data = OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"
    start = len(OK) + len(b"transfer-encoding: chunked\r\n\r\n")
    async with bench() as b:
        ends: list[MemoryTransport] = []

        async def reply() -> None:
            ends.append(await b.upstream.accept())
            await answer(ends[0], data[:start])

        response = await b.ask(reply=reply())
        got = b""
        for at in range(start, len(data), step):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await response.receive()
            assert scope.cancelled_caught
            await ends[0].send(data[at : at + step])
            with anyio.move_on_after(0.01):
                got += await response.receive()
        while piece := await response.receive():
            got += piece
        assert got == b"hello, world"
        assert response.ended
        assert b.pool.idle == 1, "and the connection serves again"


@pytest.mark.parametrize("size", [0, 1, 9_999, 10_000, 10_001, 40_000, 45_000])
async def test_body_of_any_size_arrives_behind_its_head(size: int) -> None:
    body = random.Random(size).randbytes(size)
    got: list[bytes] = []

    async def reply() -> None:
        far = await b.upstream.accept()
        got.append(await far.receive_until(b"\r\n\r\n"))
        while sum(map(len, got[1:])) < size:
            got.append(await far.receive())
        await far.send(FULL)

    async with bench(Limits(write_piece_bytes=10_000), capacity=42_000) as b:
        response = await b.ask(head("POST"), body, reply=reply())
        assert await response.read(10) == b"ok"
        assert b"content-length: %d\r\n" % size in got[0]
        assert b"".join(got[1:]) == body
        assert b.pool.idle == 1


async def test_refusal_of_a_large_body_is_heard_while_it_is_sent() -> None:
    async def reply() -> None:
        far = await b.upstream.accept()
        await far.receive_until(b"\r\n\r\n")
        await far.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")

    async with bench(capacity=50_000) as b:
        response = await b.ask(head("POST"), b"x" * 400_000, reply=reply())
        assert response.status == 413
        assert await response.read(10) == b"no"
        assert b.pool.idle == 0, "half a request is on its way"


async def test_answer_that_begins_early_does_not_cut_the_request() -> None:
    got: list[bytes] = []

    async def reply() -> None:
        far = await b.upstream.accept()
        await far.receive_until(b"\r\n\r\n")
        await far.send(OK + b"content-length: 2\r\n\r\no")
        size = 0
        while size < 400_000:
            got.append(await far.receive())
            size += len(got[-1])
        await far.send(b"k")

    async with bench(capacity=50_000) as b:
        response = await b.ask(head("POST"), b"x" * 400_000, reply=reply())
        assert await response.read(10) == b"ok"
        assert b"".join(got) == b"x" * 400_000
        assert b.pool.idle == 1


async def test_upload_that_stalls_half_way_is_late_and_one_that_goes_on_is_not() -> None:
    async def reply() -> None:
        far = await b.upstream.accept()
        await far.receive_until(b"\r\n\r\n")
        for _ in range(20):
            await far.receive(15_000)
            for one in list(b.pool._running):
                # As if nearly all of the time had gone by at each step.
                one.sweep(anyio.current_time() + 0.9)

    async with bench(Limits(write_piece_bytes=10_000), capacity=20_000) as b:
        with pytest.raises(UpstreamError, match="did not take the request for 1 s") as caught:
            await b.ask(head("POST"), b"x" * 600_000, reply=reply(), timeouts=Timeouts(idle_secs=1))
        assert caught.value.kind is UpstreamFault.TIMEOUT_HEAD
        assert b.pool.active == 0


@pytest.mark.parametrize("when", ["sending", "waiting"])
async def test_cancelled_upload_leaves_nothing_behind(when: str) -> None:
    async with bench(capacity=50_000) as b:
        async with anyio.create_task_group() as group:
            group.start_soon(b.pool.open, ORIGIN, head("POST"), b"x" * (400_000 if when == "sending" else 10))
            far = await b.upstream.accept()
            await anyio.wait_all_tasks_blocked()
            assert b.pool.active == 1
            group.cancel_scope.cancel()
        assert b.pool.active == b.pool.idle == 0
        with anyio.fail_after(5):
            while await far.receive():
                pass


async def test_a_body_that_only_the_end_delimits_needs_the_end_that_tls_says() -> None:
    async with bench() as b:

        async def reply() -> None:
            await answer(await b.upstream.accept(), OK + b"\r\nok", close=True)

        plain = b.upstream.dial

        async def dial(origin: Origin) -> Transport:
            near = await plain(origin)
            assert isinstance(near, MemoryTransport)
            near.ragged_end = True
            return near

        b.pool._dial = dial
        response = await b.ask(reply=reply())
        assert await response.receive() == b"ok"
        with pytest.raises(UpstreamError, match="without the TLS alert") as caught:
            await response.receive()
        assert caught.value.kind is UpstreamFault.CLOSED


async def test_upload_that_stalls_after_an_early_answer_is_late() -> None:
    async def reply() -> None:
        far = await b.upstream.accept()
        await far.receive_until(b"\r\n\r\n")
        await far.send(OK + b"content-length: 2\r\n\r\no")

    async with bench(Limits(pool_sweep_secs=0.005), capacity=50_000) as b:
        with pytest.raises(UpstreamError, match="did not take the request"):
            await b.ask(head("POST"), b"x" * 400_000, reply=reply(), timeouts=Timeouts(idle_secs=0.02))
        assert b.pool.active == b.pool.idle == 0
