"""What stands before HTTP on a listener: PROXY headers, trusted proxies, TLS that clear text meets, several at once."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.streams.tls
import pytest

from ferryllm_net.http import (
    Limits,
    Listener,
    Request,
    Responder,
    Server,
    ServerTLS,
    TrustedProxies,
    bound_port,
    open_listeners,
    server_context,
    unix_listener,
)
from support import certificates

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2 = SIGNATURE + b"\x21\x11" + struct.pack("!H", 12) + socket.inet_aton("192.0.2.7") + bytes(4) + b"\x12\x34\0\x50"
LOCAL = SIGNATURE + b"\x20\x00\0\0"


async def who(request: Request, respond: Responder) -> None:
    via = "" if request.via is None else request.via[0]
    await respond.complete(200, [], f"<{request.peer[0]} {request.peer[1]} {request.scheme} via {via}>".encode())


@asynccontextmanager
async def serving(
    *listeners: Listener,
    trusted: Sequence[str] = (),
    context: ssl.SSLContext | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Server]:
    server = Server(who, trusted=TrustedProxies(trusted), ssl_context=context, limits=limits)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            await group.start(server.serve, listeners)
            yield server
            group.cancel_scope.cancel()


def listener(*, tls: bool = False, proxy_protocol: bool = False) -> tuple[Listener, int]:
    (sock,) = open_listeners("127.0.0.1", 0)
    return Listener(sock, tls=tls, proxy_protocol=proxy_protocol), bound_port(sock)


async def read_all(stream: anyio.abc.ByteReceiveStream) -> bytes:
    data = b""
    try:
        while True:
            data += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return data


async def ask(port: int, *sent: bytes) -> bytes:
    """Everything that comes back on a connection whose requests end it."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        for piece in sent:
            await stream.send(piece)
            await anyio.lowlevel.checkpoint()
        return await read_all(stream)


CLOSE = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n", V2])
async def test_the_client_is_whom_the_proxy_header_names(header: bytes) -> None:
    door, port = listener(proxy_protocol=True)
    async with serving(door, trusted=["127.0.0.1"]):
        assert b"<192.0.2.7 4660 http via 127.0.0.1>" in await ask(port, header + CLOSE)
        assert b"<192.0.2.7 4660 http via 127.0.0.1>" in await ask(port, header, CLOSE)
        single = [header[at : at + 1] for at in range(len(header))]
        assert b"<192.0.2.7 4660 http via 127.0.0.1>" in await ask(port, *single, CLOSE)


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", LOCAL])
async def test_a_proxy_that_speaks_for_itself_is_the_client(header: bytes) -> None:
    door, port = listener(proxy_protocol=True)
    async with serving(door, trusted=["127.0.0.1"]):
        assert b"<127.0.0.1 " in await ask(port, header + CLOSE)


async def test_a_connection_without_the_header_is_closed_unanswered(caplog: pytest.LogCaptureFixture) -> None:
    door, port = listener(proxy_protocol=True)
    async with serving(door, trusted=["127.0.0.1"]) as server:
        assert await ask(port, CLOSE) == b""
        assert "no header of the PROXY protocol" in caplog.text
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"PROXY TCP4 192.")
            await stream.send_eof()
            assert await read_all(stream) == b""
        assert b"<192.0.2.7 " in await ask(port, V2 + CLOSE), "the others are served"
        assert server.connections == 0


async def test_a_header_that_does_not_come_ends_at_its_deadline() -> None:
    door, port = listener(proxy_protocol=True)
    async with serving(door, trusted=["127.0.0.1"], limits=Limits(head_secs=0.02)):
        assert await ask(port, b"PROXY TCP4 ") == b""


async def test_who_is_no_trusted_proxy_can_not_name_a_client() -> None:
    door, port = listener(proxy_protocol=True)
    async with serving(door, trusted=["10.0.0.0/8"]):
        assert await ask(port, V2 + CLOSE) == b""


async def test_the_header_where_none_is_expected_is_no_request() -> None:
    door, port = listener()
    async with serving(door, trusted=["127.0.0.1"]):
        assert (await ask(port, b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n" + CLOSE)).startswith(b"HTTP/1.1 400 ")


async def test_the_header_stands_before_tls(tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    door, port = listener(tls=True, proxy_protocol=True)
    context = server_context(ServerTLS(files.cert, files.key))
    async with (
        serving(door, trusted=["127.0.0.1"], context=context),
        await anyio.connect_tcp("127.0.0.1", port) as stream,
    ):
        await stream.send(V2)
        tls = await anyio.streams.tls.TLSStream.wrap(
            stream, hostname="127.0.0.1", ssl_context=certificates.client_context(files), standard_compatible=False
        )
        await tls.send(CLOSE)
        assert b"<192.0.2.7 4660 https via 127.0.0.1>" in await read_all(tls)


async def test_connections_are_counted_for_the_client_and_never_as_loopback() -> None:
    door, port = listener(proxy_protocol=True)
    named = V2.replace(socket.inet_aton("192.0.2.7"), socket.inet_aton("127.0.0.1"))
    async with serving(door, trusted=["127.0.0.1"], limits=Limits(connections_per_address=1)):
        for header, other in ((V2, named), (named, V2)):
            async with await anyio.connect_tcp("127.0.0.1", port) as first:
                await first.send(header + GET)
                assert b"200" in await first.receive()
                assert await ask(port, header + CLOSE) == b"", "one too many of this client"
                assert b"200" in await ask(port, other + CLOSE), "another client's first"


async def test_trusted_proxies_and_loopback_are_not_counted() -> None:
    door, port = listener()
    async with (
        serving(door, limits=Limits(connections_per_address=1)),
        await anyio.connect_tcp("127.0.0.1", port) as first,
    ):
        await first.send(GET)
        assert b"200" in await first.receive()
        assert b"200" in await ask(port, CLOSE)


FORWARDED = CLOSE[:-2] + b"x-forwarded-for: 6.6.6.6, 192.0.2.9\r\nx-forwarded-proto: https\r\n\r\n"


async def test_fields_of_a_trusted_proxy_name_client_and_scheme_on_every_request() -> None:
    door, port = listener()
    async with serving(door, trusted=["127.0.0.1"]):
        answer = await ask(port, GET + FORWARDED)
        assert b"<127.0.0.1 " in answer
        assert b"<192.0.2.9 0 https via 127.0.0.1>" in answer


async def test_fields_of_anybody_else_are_fields_like_others() -> None:
    door, port = listener()
    async with serving(door, trusted=["10.0.0.0/8"]):
        answer = await ask(port, FORWARDED)
        assert b"<127.0.0.1 " in answer
        assert b" http via >" in answer


async def test_a_forwarded_loopback_address_is_seen_to_be_somebodys_word() -> None:
    door, port = listener()
    async with serving(door, trusted=["127.0.0.1"]):
        answer = await ask(port, CLOSE[:-2] + b"x-forwarded-for: ::1\r\n\r\n")
        assert b"<::1 0 http via 127.0.0.1>" in answer


async def test_a_loopback_address_in_a_proxy_header_is_somebodys_word_too() -> None:
    door, port = listener(proxy_protocol=True)
    async with serving(door, trusted=["127.0.0.1"]):
        named = V2.replace(socket.inet_aton("192.0.2.7"), socket.inet_aton("127.0.0.1"))
        assert b"<127.0.0.1 4660 http via 127.0.0.1>" in await ask(port, named + CLOSE)


async def test_a_client_behind_two_kinds_of_proxies_is_found() -> None:
    """One that speaks the PROXY protocol in front of one that writes fields."""
    door, port = listener(proxy_protocol=True)
    async with serving(door, trusted=["127.0.0.1", "192.0.2.7"]):
        assert b"<192.0.2.9 0 https via 127.0.0.1>" in await ask(port, V2 + FORWARDED)
    door, port = listener(proxy_protocol=True)
    async with serving(door, trusted=["127.0.0.1"]):
        assert b"<192.0.2.7 4660 http via 127.0.0.1>" in await ask(port, V2 + FORWARDED)


async def test_a_socket_file_is_a_trusted_proxy_where_it_is_named(tmp_path: Path) -> None:
    for trusted, client in ((["unix"], b"<192.0.2.9 0 https via >"), (["0.0.0.0/0", "::/0"], b"< 0 http via >")):
        path = str(tmp_path / "s")
        async with (
            serving(Listener(unix_listener(path)), trusted=trusted),
            await anyio.connect_unix(path) as stream,
        ):
            await stream.send(FORWARDED)
            assert client in await read_all(stream)


async def test_http2_streams_are_read_the_same_way(tmp_path: Path) -> None:
    import httpx

    files = certificates.write(tmp_path)
    door, port = listener(tls=True)
    context = server_context(ServerTLS(files.cert, files.key))
    async with serving(door, trusted=["127.0.0.1"], context=context):
        verify = certificates.client_context(files)
        async with httpx.AsyncClient(http2=True, verify=verify, trust_env=False) as client:
            answer = await client.get(f"https://127.0.0.1:{port}/", headers={"forwarded": "for=192.0.2.9"})
    assert answer.http_version == "HTTP/2"
    assert answer.text == "<192.0.2.9 0 https via 127.0.0.1>"


async def test_listeners_with_and_without_tls_stand_beside_each_other(tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    secure, secure_port = listener(tls=True)
    clear, clear_port = listener()
    context = server_context(ServerTLS(files.cert, files.key))
    async with serving(secure, clear, context=context):
        assert b" http via >" in await ask(clear_port, CLOSE)
        stream = await anyio.connect_tcp(
            "127.0.0.1", secure_port, ssl_context=certificates.client_context(files), tls_standard_compatible=False
        )
        async with stream:
            await stream.send(CLOSE)
            assert b" https via >" in await read_all(stream)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
async def test_clear_text_on_a_port_of_tls_is_told_so_in_clear_text(tmp_path: Path, method: str) -> None:
    files = certificates.write(tmp_path)
    door, port = listener(tls=True)
    context = server_context(ServerTLS(files.cert, files.key))
    async with serving(door, context=context):
        body = b"x" * 100_000
        head = f"{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(head + body)
            await stream.send_eof()
            answer = await read_all(stream)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"this port speaks TLS: use https" in answer


async def test_what_is_neither_tls_nor_http_is_told_nothing_in_clear_text(tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    door, port = listener(tls=True)
    async with serving(door, context=server_context(ServerTLS(files.cert, files.key))):
        assert b"HTTP" not in await ask(port, b"\0\1\2garbage that is no record\r\n\r\n")


async def test_a_server_without_connections_never_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep = anyio.sleep

    async def counted(delay: float) -> None:
        slept.append(delay)
        await sleep(delay)

    monkeypatch.setattr("ferryllm_net.http.server.anyio.sleep", counted)
    door, port = listener()
    async with serving(door, limits=Limits(sweep_secs=0.001)) as server:
        await anyio.wait_all_tasks_blocked()
        assert slept == []
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(GET)
            assert b"200" in await stream.receive()
            while len(slept) < 3:
                await anyio.lowlevel.checkpoint()
        while server.connections or server._quiet is None:
            await anyio.lowlevel.checkpoint()
        before = len(slept)
        await anyio.wait_all_tasks_blocked()
        assert len(slept) == before


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET, SIGNATURE[:4]])
async def test_a_server_that_is_cancelled_ends_what_it_has_accepted(sent: bytes) -> None:
    held = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        held.set()
        await anyio.sleep_forever()

    found, port = listener(proxy_protocol=sent == SIGNATURE[:4])
    server = Server(handler, trusted=TrustedProxies(["127.0.0.1"]))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            await group.start(server.serve, [found])
            stream = await anyio.connect_tcp("127.0.0.1", port)
            if sent:
                await stream.send(sent)
            if sent == GET:
                await held.wait()
            while not server.connections:  # nobody tells of it
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert not server.connections
        assert await read_all(stream) == b""
        await stream.aclose()
