"""The gateway behind its listener: starting, being told to stop, and what it says of faults."""

from __future__ import annotations

import functools
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import msgspec
import pytest
import trustme

from ferryllm_net.config import ListenerSettings, ServerSettings
from ferryllm_net.config.settings import TLSSettings
from ferryllm_net.gateway import Serving, serve
from ferryllm_net.gateway.app import App
from ferryllm_net.gateway.serve import watch_certificates
from ferryllm_net.http import Certificates, Request, Responder, Server, ServerTLS
from ferryllm_net.telemetry import Log
from ferryllm_proto.grammar import Seen
from support import certificates, grammar
from support.answers import DONE, ROLE, chunk
from support.certificates import Files
from support.gateways import gateway, settings, upstream
from support.planted import PROMPT, leaks
from support.processes import free_port

pytestmark = pytest.mark.anyio

PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")
ASK: dict[str, Any] = {
    "model": "chat-x",
    "max_tokens": 5,
    "stream": True,
    "messages": [{"role": "user", "content": "hi"}],
}


def on_port(server: ServerSettings, port: int) -> ServerSettings:
    address = msgspec.structs.replace(server.listen, port=port)
    return msgspec.structs.replace(server, listeners=(ListenerSettings(address),))


async def test_who_is_told_of_the_port_can_connect_at_once() -> None:
    told: list[str] = []
    log = Log(io.StringIO(), now=lambda: 0.0)

    async def started_and_asked(*, task_status: anyio.abc.TaskStatus[Serving]) -> None:
        await serve(
            settings(1),
            log,
            started=lambda doors: told.extend(doors.texts),
            handle_signals=False,
            task_status=task_status,
        )

    async with anyio.create_task_group() as tasks:
        serving: Serving = await tasks.start(started_and_asked)
        assert told == [f"http://127.0.0.1:{serving.port}"]
        assert serving.app.listening
        stream = await anyio.connect_tcp("127.0.0.1", serving.port)
        await stream.send(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
        await stream.aclose()
        tasks.cancel_scope.cancel()


async def test_an_address_that_is_taken_is_an_oserror_and_leaves_nothing() -> None:
    async with gateway(1) as running:
        taken = settings(1, server="").server
        wanted = msgspec.structs.replace(settings(1), server=on_port(taken, running.port))
        with pytest.raises(OSError, match="in use"):
            await serve(wanted, Log(io.StringIO(), now=lambda: 0.0), handle_signals=False)
        assert (await running.ask("GET", "/health"))[0] == 200


@asynccontextmanager
async def streaming(
    server: ServerSettings | None = None,
) -> AsyncIterator[tuple[Serving, Any, anyio.Event, io.StringIO]]:
    """A gateway that listens to signals, with a client in the middle of a stream."""
    go = anyio.Event()

    async def provider(request: Request, respond: Responder) -> None:
        await request.read()
        await respond.head(200, [("content-type", "text/event-stream")])
        await respond.body(ROLE + PONG)
        await go.wait()
        await respond.end(STOP + DONE)

    out = io.StringIO()
    with anyio.fail_after(30):
        async with upstream(provider) as port, anyio.create_task_group() as tasks:
            wanted = settings(port)
            if server is not None:
                wanted = msgspec.structs.replace(wanted, server=server)

            async def run(*, task_status: anyio.abc.TaskStatus[Serving]) -> None:
                await serve(wanted, Log(out, "trace", now=lambda: 0.0), task_status=task_status)

            serving: Serving = await tasks.start(run)
            stream = await anyio.connect_tcp("127.0.0.1", serving.port)
            data = json.dumps(ASK).encode()
            head = f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(data)}\r\n\r\n"
            await stream.send(head.encode() + data)
            got = b""
            while b"pong" not in got:
                got += await stream.receive()

            async def rest() -> Seen:
                nonlocal got
                try:
                    while True:
                        got += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
                await stream.aclose()
                return grammar.messages(_unchunked(got))

            yield serving, rest, go, out


def _unchunked(data: bytes) -> bytes:
    body, rest = b"", data.partition(b"\r\n\r\n")[2]
    while size := int(rest.partition(b"\r\n")[0], 16):
        rest = rest.partition(b"\r\n")[2]
        body, rest = body + rest[:size], rest[size + 2 :]
    return body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_a_stream_finish_and_ends_the_serving(number: signal.Signals) -> None:
    async with streaming() as (serving, rest, go, out):
        os.kill(os.getpid(), number)
        await serving.server._drain_begun.wait()
        assert serving.app.draining()
        go.set()
        seen = await rest()
        assert (seen.text, seen.ended) == ("pong", True)
    assert f'draining signal="{number.name}" active=1' in out.getvalue()
    assert 'outcome="ok"' in out.getvalue()


async def test_a_second_signal_does_not_wait_any_longer() -> None:
    async with streaming() as (serving, rest, _, out):
        os.kill(os.getpid(), signal.SIGTERM)
        await serving.server._drain_begun.wait()
        os.kill(os.getpid(), signal.SIGINT)
        seen = await rest()
        assert (seen.failed, seen.ended) == (True, False)
    assert "stopping now" in out.getvalue()
    assert out.getvalue().count("request completed") == 1


async def test_the_address_and_the_grace_are_those_of_the_settings() -> None:
    port = free_port()
    server = settings(1).server
    server = msgspec.structs.replace(on_port(server, port), drain_timeout_secs=0.05)
    async with streaming(server) as (serving, rest, _, out):
        assert serving.port == port
        os.kill(os.getpid(), signal.SIGTERM)
        seen = await rest()
        assert (seen.failed, seen.ended) == (True, False)
    assert "deadline_secs=0.05" in out.getvalue()


async def test_signals_are_given_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with streaming() as (_, rest, go, _):
        go.set()
        os.kill(os.getpid(), signal.SIGTERM)
        await rest()
    assert signal.getsignal(signal.SIGTERM) == before


async def test_a_fault_of_ours_is_logged_by_place_and_never_by_content(monkeypatch: pytest.MonkeyPatch) -> None:
    async def faulty(self: App, request: Request, respond: Responder) -> None:
        raise ValueError(f"{(await request.read()).decode()}")

    monkeypatch.setattr(App, "handle", faulty)
    async with gateway(1) as running:
        status, _, body = await running.ask("POST", "/v1/messages", {"prompt": PROMPT})
        assert status == 500
        assert leaks(body.decode()) == []
        assert 'request handler failed error="ValueError" where="test_serve.py:' in running.log
        assert leaks(running.log) == []
        assert (await running.ask("POST", "/v1/messages", {}))[0] == 500, "the process lives"


async def test_closing_frees_the_port_and_the_pool() -> None:
    async with gateway(1) as running:
        port, pool = running.port, running.app.pool
    assert pool.idle == 0
    with pytest.raises(OSError, match=r".*"):
        await anyio.connect_tcp("127.0.0.1", port)


async def test_a_client_hears_of_a_missing_provider_in_its_dialect_and_the_log_where() -> None:
    async with gateway(1) as running:
        running.app.gateway = msgspec.structs.replace(running.app.gateway, providers={})
        status, _, body = await running.ask("POST", "/v1/messages", {**ASK, "system": PROMPT})
        assert (status, json.loads(body)["type"]) == (500, "error")
        await running.logged('error="KeyError" where="asking.py:')
        assert leaks(running.log) == []
        assert isinstance(running.server, Server)


# --- TLS ---


@asynccontextmanager
async def secured(
    folder: Path, *, http2: bool = True, client_ca: str | None = None
) -> AsyncIterator[tuple[Serving, Files, io.StringIO]]:
    """A gateway with a certificate, which watches signals."""
    files = certificates.write(folder)
    out = io.StringIO()
    tls = TLSSettings(files.cert, files.key, client_ca)
    server = msgspec.structs.replace(settings(1).server, tls=tls, http2=http2)
    wanted = msgspec.structs.replace(settings(1), server=server)

    async def run(*, task_status: anyio.abc.TaskStatus[Serving]) -> None:
        await serve(wanted, Log(out, "trace", now=lambda: 0.0), task_status=task_status)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            yield await tasks.start(run), files, out
            tasks.cancel_scope.cancel()


async def version(port: int, files: Files) -> str:
    """What httpx, which trusts ``files``, speaks with the gateway."""
    verify = certificates.client_context(files)
    async with httpx.AsyncClient(http2=True, verify=verify, trust_env=False) as client:
        answer = await client.get(f"https://127.0.0.1:{port}/healthz")
        assert answer.text == "ok"
        return answer.http_version


async def test_a_gateway_with_a_certificate_speaks_http2_over_tls(tmp_path: Path) -> None:
    async with secured(tmp_path) as (serving, files, _):
        assert await version(serving.port, files) == "HTTP/2"


async def test_http2_is_spoken_only_where_it_is_wanted(tmp_path: Path) -> None:
    async with secured(tmp_path, http2=False) as (serving, files, _):
        assert await version(serving.port, files) == "HTTP/1.1"


async def test_clients_show_a_certificate_where_one_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "clients").mkdir()
    clients = trustme.CA()
    ca = certificates.write(tmp_path / "clients", clients).ca
    async with secured(tmp_path, client_ca=ca) as (serving, files, _):
        with pytest.raises(httpx.TransportError):
            await version(serving.port, files)
        shown = certificates.client_context(files)
        clients.issue_cert("client.example").configure_cert(shown)
        async with httpx.AsyncClient(http2=True, verify=shown, trust_env=False) as client:
            assert (await client.get(f"https://127.0.0.1:{serving.port}/healthz")).text == "ok"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of Unix")
async def test_sighup_renews_the_certificate_and_a_broken_one_leaves_the_old(tmp_path: Path) -> None:
    async with secured(tmp_path) as (serving, _, out):
        renewed = certificates.write(tmp_path)
        os.kill(os.getpid(), signal.SIGHUP)
        while "tls certificate renewed" not in out.getvalue():
            await anyio.lowlevel.checkpoint()
        assert await version(serving.port, renewed) == "HTTP/2"
        (tmp_path / "server.pem").write_text("half a fi")
        os.kill(os.getpid(), signal.SIGHUP)
        while "tls certificate not renewed" not in out.getvalue():
            await anyio.lowlevel.checkpoint()
        assert await version(serving.port, renewed) == "HTTP/2"


async def test_files_that_change_renew_the_certificate(tmp_path: Path) -> None:
    kept = Certificates(ServerTLS(*_files(certificates.write(tmp_path))))
    server, out, before = Server(nothing), io.StringIO(), kept.context
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(functools.partial(watch_certificates, kept, server, Log(out, now=lambda: 0.0), every=0.01))
            certificates.write(tmp_path)
            while server.ssl_context is None:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert server.ssl_context is kept.context is not before
    assert out.getvalue().count("tls certificate renewed") >= 1


async def nothing(request: Request, respond: Responder) -> None:
    await respond.complete(204, [], b"")


def _files(files: Files) -> tuple[str, str]:
    return files.cert, files.key
