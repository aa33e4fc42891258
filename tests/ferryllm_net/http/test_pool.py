"""Reuse, repetition and bounds of the pool against an upstream played by hand, on both backends."""

from __future__ import annotations

import anyio
import pytest

from ferryllm_net.http import (
    Limits,
    Misuse,
    Origin,
    Pool,
    Timeouts,
    Transport,
    UpstreamError,
    UpstreamFault,
)
from support.streams import MemoryTransport
from support.upstream import FULL, OK, ORIGIN, answer, bench, head

pytestmark = pytest.mark.anyio


async def test_request_carries_what_is_ours_and_nothing_that_contradicts_it() -> None:
    seen: list[bytes] = []

    async def reply() -> None:
        far = await b.upstream.accept()
        seen.append(await answer(far, FULL))
        seen.append(await far.receive_until(b"body"))

    async with bench() as b:
        request = head(
            "POST",
            ("Host", "evil"),
            ("content-length", "1"),
            ("Connection", "close"),
            ("transfer-encoding", "chunked"),
            ("x-a", "1"),
        )
        async with await b.ask(request, b"body", reply=reply()) as response:
            await response.read(10)
    lines = seen[0].lower().split(b"\r\n")
    assert lines[0] == b"post /v1/x http/1.1"
    assert sorted(lines[1:-2]) == [
        b"accept-encoding: identity",
        b"content-length: 4",
        b"host: upstream.test:8000",
        b"x-a: 1",
    ]
    assert seen[1] == b"body"


async def test_small_request_is_one_write() -> None:
    ends: list[Transport] = []
    async with bench() as b:
        plain = b.upstream.dial

        async def dial(origin: Origin) -> Transport:
            ends.append(await plain(origin))
            return ends[-1]

        b.pool = Pool(dial=dial)
        await (await b.ask(head("POST"), b"x" * 1000, reply=b.reply(FULL))).aclose()
        assert isinstance(ends[0], MemoryTransport)
        assert len(ends[0].writes) == 1


async def test_injection_is_misuse_before_anything_is_sent() -> None:
    async with bench() as b:
        with pytest.raises(Misuse):
            await b.pool.open(ORIGIN, head("GET", ("x", "a\r\ny: b")))
        assert b.upstream.dialled == 0


async def test_reuse_is_last_in_first_out() -> None:
    async with bench() as b:
        fars = []

        async def reply() -> None:
            fars.append(await b.upstream.accept())
            await answer(fars[-1], FULL)

        first = await b.ask(reply=reply())
        second = await b.ask(reply=reply())
        await first.read(10)
        await second.read(10)
        assert b.pool.idle == 2
        third = await b.ask(reply=answer(fars[1], FULL))
        assert third.reused
        assert not second.reused
        await third.read(10)
        assert b.upstream.dialled == 2


@pytest.mark.parametrize("spoil", ["end", "bytes", "reset"])
async def test_idle_connection_that_ended_or_has_bytes_is_not_used_again(spoil: str) -> None:
    async with bench() as b:
        fars = []

        async def reply() -> None:
            fars.append(await b.upstream.accept())
            await answer(fars[-1], FULL)

        await (await b.ask(reply=reply())).read(10)
        assert b.pool.idle == 1
        if spoil == "end":
            await fars[0].aclose()
        elif spoil == "bytes":
            await fars[0].send(OK + b"content-length: 4\r\n\r\nEVIL")
        else:
            fars[0].reset()
        response = await b.ask(reply=reply())
        assert not response.reused
        assert await response.read(10) == b"ok"
        assert b.upstream.dialled == 2


async def test_uninvited_second_answer_in_the_same_read_closes_the_connection() -> None:
    async with bench() as b:
        response = await b.ask(reply=b.reply(FULL + OK + b"content-length: 4\r\n\r\nEVIL"))
        assert await response.read(10) == b"ok"
        assert b.pool.idle == 0


async def test_reused_connection_that_dies_before_any_byte_is_tried_once_more_on_a_fresh_one() -> None:
    async with bench() as b:
        fars = []

        async def reply() -> None:
            fars.append(await b.upstream.accept())
            await answer(fars[-1], FULL)

        async def die_then_reply() -> None:
            await fars[0].receive_until(b"\r\n\r\n")
            await fars[0].aclose()
            await reply()

        await (await b.ask(reply=reply())).read(10)
        response = await b.ask(head("POST"), b"{}", reply=die_then_reply())
        assert await response.read(10) == b"ok"
        assert b.upstream.dialled == 2


async def test_reused_connection_that_dies_after_a_byte_is_not_repeated() -> None:
    async with bench() as b:
        fars = []

        async def reply() -> None:
            fars.append(await b.upstream.accept())
            await answer(fars[-1], FULL)

        await (await b.ask(reply=reply())).read(10)
        with pytest.raises(UpstreamError) as caught:
            await b.ask(reply=answer(fars[0], b"HTTP/1.1 ", close=True))
        assert caught.value.kind is UpstreamFault.CLOSED
        assert b.upstream.dialled == 1


async def test_fresh_connection_that_dies_is_not_repeated() -> None:
    async with bench() as b:
        with pytest.raises(UpstreamError) as caught:
            await b.ask(reply=b.reply(b"", close=True))
        assert caught.value.kind is UpstreamFault.CLOSED
        assert "upstream.test:8000 closed the connection before any byte" in caught.value.message
        assert b.upstream.dialled == 1


async def test_redirects_are_answers() -> None:
    async with bench() as b:
        data = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://evil/\r\ncontent-length: 0\r\n\r\n"
        response = await b.ask(reply=b.reply(data))
        assert response.status == 307
        assert await response.receive() == b""
        assert b.upstream.dialled == 1


async def test_connect_that_hangs() -> None:
    async def dial(origin: Origin) -> Transport:
        await anyio.sleep_forever()
        raise AssertionError

    with pytest.raises(UpstreamError) as caught:
        await Pool(dial=dial).open(ORIGIN, head(), timeouts=Timeouts(connect_secs=0.01))
    assert caught.value.kind is UpstreamFault.TIMEOUT_CONNECT


async def test_idle_connections_are_bounded_and_expire() -> None:
    async with bench(Limits(pool_idle_per_origin=1, pool_idle_secs=0.0)) as b:
        first = await b.ask(reply=b.reply(FULL))
        second = await b.ask(reply=b.reply(FULL))
        await first.read(10)
        await second.read(10)
        assert b.pool.idle == 1
        third = await b.ask(reply=b.reply(FULL))
        assert not third.reused
        await third.aclose()


async def test_expired_connections_are_closed_while_nothing_runs() -> None:
    async with bench(Limits(pool_idle_secs=0.0, pool_look_secs=0.001)) as b:
        fars = []

        async def reply() -> None:
            fars.append(await b.upstream.accept())
            await answer(fars[-1], FULL)

        await (await b.ask(reply=reply())).read(10)
        assert await fars[0].receive() == b"", "the sweeper has closed it"
        assert b.pool.idle == 0


async def test_idle_connections_that_the_upstream_closed_are_closed_here_too() -> None:
    async with bench(Limits(pool_look_secs=0.001)) as b:
        await (await b.ask(reply=b.reply(FULL, close=True))).read(10)
        with anyio.fail_after(5):
            while b.pool.idle:
                await anyio.wait_all_tasks_blocked()


async def test_closed_pool_keeps_nothing() -> None:
    async with bench() as b:
        response = await b.ask(reply=b.reply(FULL))
        await b.pool.aclose()
        assert await response.read(10) == b"ok"
        assert b.pool.idle == 0


async def test_accept_encoding_of_the_caller_stands() -> None:
    seen: list[bytes] = []

    async def reply() -> None:
        seen.append(await answer(await b.upstream.accept(), FULL))

    async with bench() as b:
        await (await b.ask(head("GET", ("Accept-Encoding", "gzip")), reply=reply())).aclose()
    assert seen[0].lower().count(b"accept-encoding") == 1
    assert b"gzip" in seen[0]


async def test_fresh_idle_connections_survive_the_sweeper() -> None:
    async with bench(Limits(pool_look_secs=0.0)) as b:
        await (await b.ask(reply=b.reply(FULL))).read(10)
        await anyio.wait_all_tasks_blocked()
        await b.pool._expire(anyio.current_time())
        assert b.pool.idle == 1
