"""Serving the mock in a block: the address, the end, and what leaves it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.http import Pool, RequestHead, UpstreamError, parse_url
from ferryllm_net.mock import MockProvider, run_mock, serve_mock
from ferryllm_net.mock.serve import base_url

pytestmark = pytest.mark.anyio


async def health(url: str) -> int:
    async with Pool() as pool, await pool.open(parse_url(url)[0], RequestHead("GET", "/health", [])) as response:
        return response.status


async def test_the_mock_lives_as_long_as_the_block() -> None:
    with anyio.fail_after(10):
        async with serve_mock() as url:
            assert await health(url) == 200
        with pytest.raises(UpstreamError):
            await health(url)


async def test_what_the_block_raises_leaves_as_it_is() -> None:
    with anyio.fail_after(10), pytest.raises(KeyError, match="mine"):
        async with serve_mock():
            raise KeyError("mine")


async def test_running_answers_are_cut_at_the_end_of_the_block() -> None:
    mock = MockProvider()
    body = b'{"model":"m","messages":[{"role":"user","content":"mock: slow_head_ms=1000000"}]}'
    head = RequestHead("POST", "/v1/chat/completions", [("content-type", "application/json")])
    failed: list[UpstreamError] = []

    async def ask(url: str) -> None:
        async with Pool() as pool:
            try:
                await pool.open(parse_url(url)[0], head, body)
            except UpstreamError as exc:
                failed.append(exc)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, serve_mock(mock) as url:
            tasks.start_soon(ask, url)
            await mock.wait_for(1)
    assert len(failed) == 1


async def test_a_cancelled_block_is_cancelled() -> None:
    with anyio.fail_after(10):
        with anyio.CancelScope() as scope:
            async with serve_mock():
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught


async def test_an_address_in_use_is_an_os_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match=r"."):
            async with serve_mock(port=taken.getsockname()[1]):
                pass


async def test_ipv6_addresses_are_in_brackets() -> None:
    assert base_url("::1", 80) == "http://[::1]:80"
    assert base_url("127.0.0.1", 80) == "http://127.0.0.1:80"


ASK = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM)])
async def test_the_first_signal_waits_for_running_answers_and_the_second_does_not(
    signals: tuple[signal.Signals, ...],
) -> None:
    mock, urls, arrived = MockProvider(), list[str](), anyio.Event()
    prompt = "mock: stall=1" if len(signals) > 1 else "pong"
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"%b"}]}' % prompt.encode()

    def started(url: str) -> None:
        urls.append(url)
        arrived.set()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_mock, mock, "127.0.0.1", 0, started)
            await arrived.wait()
            port = int(urls[0].rpartition(":")[2])
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(ASK % (len(body), body))
                assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
                for number in signals:
                    os.kill(os.getpid(), number)
                    await anyio.lowlevel.checkpoint()
                with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while True:
                        await stream.receive()
