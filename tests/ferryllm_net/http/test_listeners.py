"""Listening: families, ports, socket files that others left or still use."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferryllm_net.http.listeners import (
    _spelt,
    inherited_listener,
    open_listeners,
    remove_socket_file,
    socket_inode,
    systemd_listeners,
    unix_listener,
)

LOOPBACK = [(socket.AF_INET6, 6, 0, "", ("::1", 0, 0, 0)), (socket.AF_INET, 6, 0, "", ("127.0.0.1", 0))]


@contextmanager
def closing(listeners: list[socket.socket]) -> Iterator[list[socket.socket]]:
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *found: Any) -> None:
    def getaddrinfo(host: object, port: int, **_: object) -> list[Any]:
        return [(family, *rest, (address[0], port, *address[2:])) for family, *rest, address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_a_listener_takes_connections_without_blocking() -> None:
    with closing(open_listeners("127.0.0.1", 0)) as (listener,):
        assert not listener.getblocking()
        with pytest.raises(BlockingIOError):
            listener.accept()
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            accepted.close()
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_families_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, *LOOPBACK, LOOPBACK[0])
    with closing(open_listeners("localhost", 0)) as listeners:
        assert [listener.family for listener in listeners] == [socket.AF_INET6, socket.AF_INET], "each once"
        assert listeners[0].getsockname()[1] == listeners[1].getsockname()[1]
        assert listeners[0].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_addresses_that_are_not_there_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = (socket.AF_INET, 6, 0, "", ("192.0.2.1", 0))
    resolve_to(monkeypatch, absent, LOOPBACK[1])
    with closing(open_listeners("somewhere", 0)) as listeners:
        assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1"]
    resolve_to(monkeypatch, absent)
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1 port 0") as caught:
        open_listeners("somewhere", 0)
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_a_port_in_use_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_listeners("127.0.0.1", 0)) as (listener,):
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1 port {port}: Address already") as caught:
            open_listeners("127.0.0.1", port)
        assert caught.value.errno == errno.EADDRINUSE
        other = (socket.AF_INET, 6, 0, "", ("127.0.0.2", 0))
        resolve_to(monkeypatch, other, LOOPBACK[1])
        with pytest.raises(OSError, match="Address already"):
            open_listeners("localhost", port)


def test_port_0_may_differ_where_no_port_is_free_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    # The same address twice under two names: the second never gets the port of the first.
    again = (socket.AF_INET, 6, 0, "", ("127.1", 0))
    resolve_to(monkeypatch, LOOPBACK[1], again)
    with closing(open_listeners("localhost", 0)) as (one, other):
        assert one.getsockname()[0] == other.getsockname()[0]
        assert one.getsockname()[1] != other.getsockname()[1]


def test_processes_may_share_a_port() -> None:
    with closing(open_listeners("127.0.0.1", 0, reuse_port=True)) as (listener,):
        port = listener.getsockname()[1]
        with closing(open_listeners("127.0.0.1", port, reuse_port=True)) as (other,):
            assert other.getsockname() == listener.getsockname()


def test_all_addresses_of_the_machine() -> None:
    with closing(open_listeners("", 0)) as listeners:
        assert {listener.getsockname()[0] for listener in listeners} <= {"0.0.0.0", "::"}
        assert len({listener.getsockname()[1] for listener in listeners}) == 1


def test_a_name_that_is_none() -> None:
    with pytest.raises(OSError):
        open_listeners("not a name", 0)


def test_a_socket_file_has_its_mode(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway.sock")
    with unix_listener(path, 0o660) as listener, socket.socket(socket.AF_UNIX) as client:
        assert not listener.getblocking()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        client.connect(path)
        accepted, _ = listener.accept()
        accepted.close()
    with unix_listener(str(tmp_path / "other.sock")):
        assert stat.S_IMODE(os.stat(tmp_path / "other.sock").st_mode) == 0o600


def test_a_file_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "gateway.sock")
    unix_listener(path).close()
    assert os.path.exists(path)
    with unix_listener(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


@pytest.mark.parametrize("backlog", [0, 16])
def test_a_live_server_keeps_its_path(tmp_path: Path, backlog: int) -> None:
    path = str(tmp_path / "gateway.sock")
    with unix_listener(path, backlog=backlog) as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(path)  # with no backlog the next one finds it full
        with pytest.raises(OSError, match="another server answers there") as caught:
            unix_listener(path)
        assert caught.value.errno == errno.EADDRINUSE
        accepted, _ = listener.accept()
        accepted.close()


def test_a_file_that_is_no_socket_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(OSError, match="is not a socket"):
        unix_listener(str(path))
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot listen on .*No such file"):
        unix_listener(str(tmp_path / "none" / "gateway.sock"))


def test_without_a_backlog_a_port_is_held_and_takes_nobody() -> None:
    with closing(open_listeners("127.0.0.1", 0, reuse_port=True, backlog=None)) as (held,):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(held.getsockname(), timeout=5)
        port = held.getsockname()[1]
        with closing(open_listeners("127.0.0.1", port, reuse_port=True)) as (listener,):
            socket.create_connection(listener.getsockname(), timeout=5).close()


def test_a_socket_file_is_removed_where_it_is_still_ours(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with closing([unix_listener(path)]):
        ours = socket_inode(path)
    os.rename(path, path + ".old")
    with closing([unix_listener(path)]):
        remove_socket_file(path, ours)
        assert os.path.exists(path), "another server's"
        remove_socket_file(path, socket_inode(path))
        assert not os.path.exists(path)
        remove_socket_file(path, ours)


def test_an_inherited_listener_does_not_block_and_is_not_handed_on() -> None:
    with closing(open_listeners("127.0.0.1", 0)) as (given,):
        copy = os.dup(given.fileno())
        os.set_inheritable(copy, True)
        os.set_blocking(copy, True)
        with closing([inherited_listener(copy)]) as (listener,):
            assert listener.getsockname() == given.getsockname()
            assert not listener.getblocking()
            assert not listener.get_inheritable()


@pytest.mark.parametrize("kind", ["file", "not listening", "datagrams", "closed"])
def test_what_is_no_listener_is_not_inherited(kind: str, tmp_path: Path) -> None:
    if kind == "file":
        descriptor = os.open(tmp_path / "f", os.O_CREAT | os.O_RDWR)
    elif kind == "closed":
        descriptor = 99_999
    else:
        kind_of = socket.SOCK_DGRAM if kind == "datagrams" else socket.SOCK_STREAM
        with socket.socket(type=kind_of) as sock:
            descriptor = sock.detach()
    with pytest.raises(OSError, match=f"cannot listen on descriptor {descriptor}"):
        inherited_listener(descriptor)
    if kind == "file":
        os.close(descriptor)


def test_variables_that_are_not_for_us_are_removed_and_say_nothing() -> None:
    for pid, count in (("1", "2"), (str(os.getpid()), "x"), (str(os.getpid()), ""), ("", "1")):
        environ = {"LISTEN_PID": pid, "LISTEN_FDS": count, "LISTEN_FDNAMES": "a", "OTHER": "1"}
        assert systemd_listeners(environ) == []
        assert environ == {"OTHER": "1"}


def test_a_socket_without_a_name_has_an_empty_one() -> None:
    with closing(open_listeners("127.0.0.1", 0)) as (given,):
        copy = os.dup(given.fileno())
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        ((name, listener),) = systemd_listeners(environ, first=copy)
        assert (name, listener.getsockname()) == ("", given.getsockname())
        listener.close()


@given(st.text(st.sampled_from("a1.-:\u00e4%"), max_size=70))
@example("127.0.0.1")
@example("::1")
@example("localhost.")
@example("a" * 63 + ".b")
@example("a" * 64)
def test_a_host_is_spelt_as_python_would(host: str) -> None:
    spelt = _spelt(host)
    assert spelt == (host if isinstance(spelt, str) else host.encode("idna"))
    assert (
        isinstance(spelt, bytes) or not host or not host.isascii() or not all(0 < len(x) < 64 for x in host.split("."))
    )
