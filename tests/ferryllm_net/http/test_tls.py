"""TLS of the server on the loopback: ALPN, versions, clients with certificates, new files."""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
import trustme
from anyio.streams.tls import TLSStream

from ferryllm_net.http import (
    Certificates,
    Limits,
    Request,
    Responder,
    Server,
    ServerTLS,
    StreamTransport,
    TransportError,
    bound_port,
    open_listeners,
    server_context,
)
from support import certificates
from support.certificates import Files, client_context
from support.h2_client import H2Client

pytestmark = pytest.mark.anyio


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return certificates.write(tmp_path)


async def echo(request: Request, respond: Responder) -> None:
    body = await request.read()
    await respond.head(200, [("x-scheme", request.scheme), ("x-version", request.http_version)])
    await respond.body(body)
    await respond.end()


@asynccontextmanager
async def running(context: ssl.SSLContext | None, *, http2: bool = True) -> AsyncIterator[tuple[Server, int]]:
    server = Server(echo, ssl_context=context, http2=http2)
    listeners = open_listeners("127.0.0.1", 0)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            await group.start(server.serve, listeners)
            yield server, bound_port(listeners[0])
            group.cancel_scope.cancel()


async def connect(port: int, context: ssl.SSLContext) -> StreamTransport:
    stream = await anyio.connect_tcp("127.0.0.1", port)
    try:
        return StreamTransport(
            await TLSStream.wrap(
                stream, hostname="127.0.0.1", ssl_context=context, standard_compatible=False, server_side=False
            )
        )
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise


@pytest.mark.parametrize("tls", [True, False])
async def test_a_real_client_speaks_http2(files: Files, tls: bool) -> None:
    context = server_context(ServerTLS(files.cert, files.key)) if tls else None
    body = bytes(range(256)) * 4000
    async with running(context) as (server, port):
        scheme = "https" if tls else "http"
        verify = client_context(files) if tls else ssl.create_default_context()
        async with httpx.AsyncClient(http1=False, http2=True, verify=verify, trust_env=False) as client:

            async def ask() -> None:
                answer = await client.post(f"{scheme}://127.0.0.1:{port}/", content=body)
                assert answer.http_version == "HTTP/2"
                assert answer.headers["x-scheme"] == scheme
                assert answer.content == body

            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(ask)
            assert server.connections == 1


@pytest.mark.parametrize(
    ("offered", "http2", "spoken"),
    [
        (("h2", "http/1.1"), True, "h2"),
        (("http/1.1", "h2"), True, "h2"),
        (("http/1.1",), True, "http/1.1"),
        (("h2", "http/1.1"), False, "http/1.1"),
        ((), True, None),
    ],
)
async def test_the_handshake_decides_the_version(
    files: Files, offered: tuple[str, ...], http2: bool, spoken: str | None
) -> None:
    context = server_context(ServerTLS(files.cert, files.key), http2=http2)
    async with running(context, http2=http2) as (_, port):
        wire = await connect(port, client_context(files, *offered))
        assert wire.protocol == spoken
        if spoken == "h2":
            answer = await (await H2Client(wire).start()).get()
            assert answer.fields["x-version"] == "2"
        else:
            await wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert b"x-version: 1.1" in await wire.receive()
        await wire.aclose()


async def test_without_http2_a_preface_is_no_request() -> None:
    async with running(None, http2=False) as (_, port):
        stream = await anyio.connect_tcp("127.0.0.1", port)
        await stream.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 505")
        await stream.aclose()


def test_old_versions_and_weak_ciphers_are_not_offered(files: Files) -> None:
    context = server_context(ServerTLS(files.cert, files.key))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    names = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"]
    assert names
    assert all(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA" in name) for name in names)
    assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("shown", ["its own", "none", "a stranger's"])
async def test_clients_have_to_show_a_certificate_of_the_authority(files: Files, tmp_path: Path, shown: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    context = server_context(ServerTLS(files.cert, files.key, str(tmp_path / "clients.pem")))
    client = client_context(files, "http/1.1")
    if shown != "none":
        signer = authority if shown == "its own" else trustme.CA()
        signer.issue_cert("client.example").configure_cert(client)
    async with running(context) as (server, port):
        answered = b""
        with contextlib.suppress(OSError, anyio.BrokenResourceError, TransportError):  # as the answer tells
            wire = await connect(port, client)
            try:
                await wire.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                answered = await wire.receive()
            finally:
                await wire.aclose()
        assert answered.startswith(b"HTTP/1.1 200") is (shown == "its own")
        await server.wait_closed()


async def test_new_connections_get_the_new_certificate(files: Files, tmp_path: Path) -> None:
    kept = Certificates(ServerTLS(files.cert, files.key))
    async with running(kept.context) as (server, port):
        old_client = client_context(files, "h2")
        old = await H2Client(await connect(port, old_client)).start()
        await old.get()
        assert not kept.changed()
        renewed = certificates.write(tmp_path)  # of another authority
        os.utime(renewed.cert, ns=(1, 1))
        assert kept.changed()
        server.ssl_context = kept.load()
        assert not kept.changed()
        fresh = await H2Client(await connect(port, client_context(renewed, "h2"))).start()
        assert (await fresh.get()).status == 200
        assert (await old.get()).status == 200, "what is open goes on"
        with pytest.raises((ssl.SSLError, anyio.BrokenResourceError)):
            await connect(port, old_client)
        for client in (old, fresh):
            await client.wire.aclose()


def test_files_that_cannot_be_used_leave_the_old_context(files: Files) -> None:
    kept = Certificates(ServerTLS(files.cert, files.key))
    before = kept.context
    Path(files.cert).write_text("half a fi")
    assert kept.changed()
    with pytest.raises(ssl.SSLError):
        kept.load()
    assert kept.context is before
    assert not kept.changed(), "said once, not every time it is looked at"
    Path(files.cert).unlink()
    assert kept.changed()


async def test_nothing_is_left_to_load_when_clients_come(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first one may come when no file can be opened any more.
    monkeypatch.delitem(sys.modules, "ferryllm_net.http.tls_transport", raising=False)
    monkeypatch.delattr("ferryllm_net.http.tls_transport", raising=False)
    async with running(server_context(ServerTLS(files.cert, files.key))):
        assert "ferryllm_net.http.tls_transport" in sys.modules


async def test_a_client_that_never_says_hello_does_not_hold_the_end(files: Files) -> None:
    limits = Limits(drain_error_secs=0.05, cleanup_secs=0.05)
    server = Server(echo, limits=limits, ssl_context=server_context(ServerTLS(files.cert, files.key)))
    (listener,) = open_listeners("127.0.0.1", 0)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            await group.start(server.serve, [listener])
            async with await anyio.connect_tcp("127.0.0.1", bound_port(listener)) as silent:
                while not server.connections:
                    await anyio.wait_all_tasks_blocked()
                server.start_drain(0)
                with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                    await silent.receive()
