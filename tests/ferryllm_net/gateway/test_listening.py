"""From settings to sockets: several at once, systemd's, those of a parent; and what requests on them are."""

from __future__ import annotations

import errno
import os
import pathlib
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import msgspec
import pytest

from ferryllm_net.config import ListenAddress, ListenerSettings, ServerSettings
from ferryllm_net.gateway.listening import Doors, Given, ListenError, open_doors
from ferryllm_net.http import Request, open_listeners
from ferryllm_proto import Gateway
from support.gateways import gateway, settings

LOOPBACK = ListenAddress("127.0.0.1", 0, loopback=True)


def server(*listeners: ListenerSettings | ListenAddress) -> ServerSettings:
    found = tuple(one if isinstance(one, ListenerSettings) else ListenerSettings(one) for one in listeners)
    return msgspec.structs.replace(settings(1).server, listeners=found)


def file(path: pathlib.Path) -> ListenAddress:
    return ListenAddress("", 0, loopback=True, unix=str(path))


@contextmanager
def opened(
    *listeners: ListenerSettings | ListenAddress, given: list[Given] | None = None, shared: bool = False
) -> Iterator[Doors]:
    doors = open_doors(server(*listeners), {}, given, shared=shared)
    try:
        yield doors
    finally:
        doors.close()


def test_every_listener_is_opened_and_told_by_what_it_got(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    with opened(LOOPBACK, ListenerSettings(file(path), unix_mode=0o640)) as doors:
        assert doors.texts == (f"http://127.0.0.1:{doors.port}", f"unix:{path}")
        assert doors.port > 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert [one.tls for one in doors.listeners()] == [False, False]
        got = doors.settled(settings(1)).server
        assert [str(one.address) for one in got.listeners] == [f"127.0.0.1:{doors.port}", f"unix:{path}"]
    assert not path.exists()


def test_a_socket_file_of_the_next_server_stays(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    doors = open_doors(server(file(path)), {})
    path.rename(tmp_path / "old")
    with opened(file(path)):
        doors.close()
        assert path.exists()


def test_what_fails_leaves_nothing_open(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = msgspec.structs.replace(LOOPBACK, port=other.getsockname()[1])
        with pytest.raises(ListenError) as caught:
            open_doors(server(file(path), taken), {})
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.address == str(taken)
    assert not path.exists()


def test_a_fault_names_the_address_and_the_mend(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> list[socket.socket]:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("ferryllm_net.gateway.listening.open_listeners", denied)
    monkeypatch.setattr("ferryllm_net.gateway.listening.unix_listener", denied)
    with pytest.raises(ListenError) as caught:
        open_doors(server(msgspec.structs.replace(LOOPBACK, port=443)), {})
    assert caught.value.address == "127.0.0.1:443"
    assert "below 1024 are for root" in caught.value.mend
    with pytest.raises(ListenError) as caught:
        open_doors(server(file(tmp_path / "s")), {})
    assert caught.value.mend == f"check the permissions of {tmp_path}"


def test_a_socket_file_in_use_is_a_fault(tmp_path: pathlib.Path) -> None:
    with opened(file(tmp_path / "s")), pytest.raises(ListenError) as caught:
        open_doors(server(file(tmp_path / "s")), {})
    assert caught.value.errno == errno.EADDRINUSE


# --- systemd ---


@contextmanager
def handed(*names: str, pid: int | None = None) -> Iterator[tuple[dict[str, str], list[socket.socket]]]:
    """What systemd gives: a socket for each name, at descriptors in a row."""
    socks = [open_listeners("127.0.0.1", 0)[0] for _ in names]
    kept = [os.dup(sock.fileno()) for sock in socks]
    first = max(kept) + 40
    for number, sock in enumerate(socks):
        os.dup2(sock.fileno(), first + number)
    environ = {
        "LISTEN_PID": str(os.getpid() if pid is None else pid),
        "LISTEN_FDS": str(len(names)),
        "LISTEN_FDNAMES": ":".join(names),
        "FIRST": str(first),
    }
    try:
        yield environ, socks
    finally:
        for descriptor in kept:
            os.close(descriptor)
        for number in range(len(names)):
            try:
                os.close(first + number)
            except OSError:
                continue
        for sock in socks:
            sock.close()


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptor 3 is somebody else's here."""
    from ferryllm_net.http import systemd_listeners

    monkeypatch.setattr(
        "ferryllm_net.gateway.listening.systemd_listeners",
        lambda environ: systemd_listeners(environ, first=int(environ["FIRST"])) if "FIRST" in environ else [],
    )


SYSTEMD = ListenAddress("", 0, loopback=False, systemd="")


@pytest.mark.usefixtures("first")
def test_sockets_of_systemd_are_listened_on_and_the_variables_are_gone() -> None:
    with handed("a", "b") as (environ, socks):
        ports = [sock.getsockname()[1] for sock in socks]
        doors = open_doors(server(SYSTEMD), environ)
        assert doors.texts == tuple(f"http://127.0.0.1:{port}" for port in ports)
        assert set(environ) == {"FIRST"}
        assert all(one.settings.address.loopback for one in doors.bound), "seen by the socket itself"
        assert not any(sock.get_inheritable() for one in doors.bound for sock in one.sockets)
        doors.close()


@pytest.mark.usefixtures("first")
def test_sockets_of_systemd_are_taken_by_their_names() -> None:
    with handed("web", "admin", "web") as (environ, socks):
        doors = open_doors(server(msgspec.structs.replace(SYSTEMD, systemd="web")), environ)
        assert [one.settings.address.port for one in doors.bound] == [socks[n].getsockname()[1] for n in (0, 2)]
        doors.close()
    with handed("admin") as (environ, _), pytest.raises(ListenError, match='called "web", only "admin"'):
        open_doors(server(msgspec.structs.replace(SYSTEMD, systemd="web")), environ)


@pytest.mark.usefixtures("first")
def test_sockets_of_another_process_are_not_ours() -> None:
    with handed("a", pid=1) as (environ, _), pytest.raises(ListenError, match="handed over no socket") as caught:
        open_doors(server(SYSTEMD), environ)
    assert "start the .socket unit" in caught.value.mend


# --- workers ---


def test_a_shared_port_is_held_without_taking_connections(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    with opened(LOOPBACK, file(path), shared=True) as held:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", held.port), timeout=5)
        given = held.given(2)
        assert given[0] == Given(port=held.port)
        copies = [os.dup(descriptor) for descriptor in given[1].descriptors]
        gifts = [given[0], Given(descriptors=tuple(copies))]
        with opened(LOOPBACK, file(path), given=gifts) as one, opened(LOOPBACK, given=gifts[:1]) as two:
            assert one.port == two.port == held.port
            socket.create_connection(("127.0.0.1", held.port), timeout=5).close()
            assert one.texts == held.texts
        assert path.exists(), "it is the parent's"
    assert not path.exists()


def test_a_worker_whose_configuration_has_changed_since_says_so() -> None:
    with pytest.raises(ListenError, match="other listeners than at the start") as caught:
        open_doors(server(LOOPBACK, LOOPBACK), {}, [Given(port=1)])
    assert "restart" in caught.value.mend


def test_a_port_that_another_gateway_shares_with_its_workers_is_in_use() -> None:
    with opened(LOOPBACK, shared=True) as held, opened(LOOPBACK, given=held.given(1)):
        wanted = msgspec.structs.replace(LOOPBACK, port=held.port)
        with pytest.raises(ListenError) as caught:
            open_doors(server(wanted), {}, shared=True)
        assert caught.value.errno == errno.EADDRINUSE


# --- a gateway on several ---


@pytest.mark.anyio
async def test_listeners_of_tables_stand_beside_the_others(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    table = f'[[server.listeners]]\naddress = "unix:{path}"\n'
    with anyio.fail_after(20):
        async with gateway(1, more=table) as running:
            assert (await running.ask("GET", "/healthz"))[2] == b"ok"
            stream = await anyio.connect_unix(path)
            await stream.send(b"GET /v1/models HTTP/1.1\r\nhost: public.example\r\n\r\n")
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 "), "a proxy there may pass any Host"
            await stream.aclose()
            other = await running.connect()
            await other.send(b"GET /v1/models HTTP/1.1\r\nhost: public.example\r\n\r\n")
            assert (await other.receive()).startswith(b"HTTP/1.1 403 ")
            await other.aclose()
            assert f"unix:{path}" in running.log
        assert not path.exists()


@pytest.mark.anyio
async def test_the_client_is_whom_a_trusted_proxy_names(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    with anyio.fail_after(20):
        async with gateway(1, server='trusted_proxies = ["127.0.0.1"]') as running:
            find = running.app.gateway_for

            def spy(request: Request) -> Gateway:
                seen.append(request.peer)
                return find(request)

            monkeypatch.setattr(running.app, "gateway_for", spy)
            for _ in range(2):
                await running.ask("GET", "/v1/models", headers={"x-forwarded-for": "192.0.2.1"})
    assert set(seen) == {("192.0.2.1", 0)}


@pytest.mark.anyio
async def test_a_name_in_a_forwarded_field_does_not_open_loopbacks_door() -> None:
    with anyio.fail_after(20):
        async with gateway(1, server='trusted_proxies = ["127.0.0.1"]') as running:
            for client in (b"127.0.0.1", b"::1", b"unknown", b""):
                stream = await running.connect()
                fields = b"x-forwarded-for: %b\r\nforwarded: for=%b\r\n" % (client, client)
                await stream.send(b"GET /v1/models HTTP/1.1\r\nhost: evil.example\r\n" + fields + b"\r\n")
                assert (await stream.receive()).startswith(b"HTTP/1.1 403 ")
                await stream.aclose()
