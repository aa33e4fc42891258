"""Target: what is sent, what counts as an answer, every way in which there is none, and connections that are kept."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from ferryllm_net.bench.answers import fill, script, stamp
from ferryllm_net.bench.doors import Door, door
from ferryllm_net.bench.meter import Meter
from ferryllm_net.bench.provider import Behaviour
from ferryllm_net.bench.target import Target
from ferryllm_net.http import ServerTLS, server_context
from support import certificates
from support.processes import free_port

from .serving import provider, scripted

pytestmark = pytest.mark.anyio

GOOD = b'{"choices":[{"finish_reason":"stop"}]}'
CLEAR = "http://127.0.0.1"


def whole() -> Door:
    return door("openai", model="m", key="k", stream=False)


def answer(body: bytes = GOOD, status: int = 200, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\n%scontent-length: %d\r\n\r\n%s" % (status, more, len(body), body)


async def sent(target: Target, times: int = 1) -> Meter:
    try:
        for _ in range(times):
            await target.send(0, time.perf_counter_ns())
    finally:
        await target.aclose()
    return target.meter


@pytest.mark.parametrize("dialect", ["openai", "openai_responses", "anthropic", "gemini", "ollama"])
async def test_streams_are_measured(dialect: str) -> None:
    with provider(Behaviour(chunks=4)) as url:
        target = Target(url, door(dialect, model="m", key=None, stream=True), expected=4)
        meter = await sent(target, 5)
    assert (meter.ok, meter.errors, meter.chunks) == (5, {}, 20)
    assert meter.connections == 1
    assert meter.way.count == 20
    assert 0 < meter.way.min <= meter.way.max < meter.latency.max
    assert meter.first_byte.count == meter.latency.count == 5
    assert meter.first_byte.quantile(0.5) <= meter.latency.quantile(0.5)


async def test_many_connections_ask_at_once() -> None:
    with provider(Behaviour(chunks=4, gap_ms=1)) as url:
        target = Target(url, door("openai", model="m", key=None, stream=True), expected=4)
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(target.send, number, time.perf_counter_ns())
        await target.aclose()
    assert (target.meter.ok, target.meter.connections) == (40, 40)


async def test_without_keep_alive_each_request_has_a_connection() -> None:
    with scripted(answer(), answer()) as (url, requests):
        meter = await sent(Target(url, whole(), keep_alive=False), 2)
    assert (meter.ok, meter.connections) == (2, 2)
    assert all(b"\r\nconnection: close\r\n" in request for request in requests)


async def test_a_target_that_closes_is_connected_to_again() -> None:
    close = answer(more=b"connection: close\r\n")
    with scripted(close, close) as (url, _):
        meter = await sent(Target(url, whole()), 2)
    assert (meter.ok, meter.connections) == (2, 2)


@pytest.mark.parametrize(
    ("base", "path"),
    [("", "/v1/chat/completions"), ("/v1", "/v1/chat/completions"), ("/proxy/", "/proxy/v1/chat/completions")],
)
async def test_the_request_is_what_a_client_would_send(base: str, path: str) -> None:
    with scripted(answer()) as (url, requests):
        await sent(Target(url + base, whole()))
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:".encode())
    assert b"\r\nauthorization: Bearer k\r\n" in head
    assert body == whole().body


@pytest.mark.parametrize(
    ("bytes_", "kind"),
    [
        (answer(b'{"error":{}}', 503), "status 503"),
        (answer(b'{"error":{}}'), "not an answer of its dialect"),
        (answer()[:-5], "answer cut"),
        (b"", "connection closed"),
        (b"garbage\r\n\r\n", "not HTTP/1.1"),
    ],
)
async def test_what_is_no_good_answer_is_an_error_of_its_kind(bytes_: bytes, kind: str) -> None:
    with scripted(bytes_, answer()) as (url, _):
        meter = await sent(Target(url, whole()), 2)
    assert (meter.sent, meter.ok, meter.errors) == (2, 1, {kind: 1})
    assert meter.latency.count == 1


async def test_nobody_there_is_connection_refused() -> None:
    meter = await sent(Target(f"{CLEAR}:{free_port()}", whole()))
    assert meter.errors == {"connection refused": 1}


async def test_a_target_that_says_nothing_is_a_timeout() -> None:
    with scripted(b"", close=False) as (url, _):
        meter = await sent(Target(url, whole(), timeout=0.05))
    assert meter.errors == {"timeout": 1}


async def test_tls_against_clear_text_is_an_error_of_tls() -> None:
    with scripted(answer()) as (url, _):
        meter = await sent(Target(url.replace("http:", "https:"), whole()))
    assert meter.errors == {"tls": 1}


async def test_streams_over_tls_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = certificates.write(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", files.ca)
    asked = door("openai", model="m", key=None, stream=True)
    data = b"".join(
        fill(write, [stamp(n + 1) for n in range(3)]) for write in script("openai", stream=True, chunks=3).writes
    )
    context = server_context(ServerTLS(files.cert, files.key))
    with scripted(answer(data), context=context) as (url, _):
        meter = await sent(Target(url.replace("http:", "https:"), asked, expected=3))
    assert (meter.errors, meter.ok, meter.chunks) == ({}, 1, 3)


def test_a_url_that_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="does not begin with http"):
        Target("ftp://127.0.0.1", whole())
