"""Sockets that listen, on TCP and on unix paths: plain ones, for `backends.accept`.

Apart from the server, which takes them from anywhere: systemd, another process, a test.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import MutableMapping, Sequence

import msgspec

BACKLOG = 1024
"""Connections that wait for `accept`; Linux cuts it at net.core.somaxconn (4,096). nginx asks for 511, Go for the
maximum."""
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_PORT_TRIES = 16
# The address is not there, or its family is not: another one of the same name may do.
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


SYSTEMD_FIRST = 3
"""Where the descriptors that systemd hands over begin (sd_listen_fds(3))."""


class Listener(msgspec.Struct, frozen=True):
    """A socket that listens, and what its connections begin with."""

    socket: socket.socket
    tls: bool = False
    proxy_protocol: bool = False
    """With a header of the PROXY protocol, before TLS; from trusted proxies alone."""


def _spelt(host: str) -> str | bytes:
    """``host`` as `socket.getaddrinfo` is to get it, as in `ferryllm_net.config.listen`."""
    if host.isascii() and all(0 < len(label) < 64 for label in host.split(".")):
        return host.encode("ascii")
    return host


def open_listeners(
    host: str, port: int, *, reuse_port: bool = False, backlog: int | None = BACKLOG
) -> list[socket.socket]:
    """Non-blocking listeners for every address of ``host`` ("" is all of the machine), IPv6 apart from IPv4.

    Port 0 takes a free one, the same for all addresses where there is one. ``reuse_port`` lets several processes share
    the port; without a ``backlog`` it is only held, for those who come later. Addresses that the machine does not have
    are left out, unless there is no other. Raises OSError, which names the address.
    """
    found = socket.getaddrinfo(_spelt(host) or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # The order stays; /etc/hosts may name one address twice.
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found if family in _FAMILIES))
    for _ in range(_PORT_TRIES if port == 0 and len(addresses) > 1 else 0):
        # The port that the first address got may be taken on the second.
        with contextlib.suppress(OSError):
            return _open_all(addresses, reuse_port, backlog, one_port=True)
    return _open_all(addresses, reuse_port, backlog, one_port=False)


def _open_all(
    addresses: Sequence[tuple[int, tuple[object, ...]]], reuse_port: bool, backlog: int | None, *, one_port: bool
) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in addresses:
            if one_port and listeners:
                address = (address[0], listeners[0].getsockname()[1], *address[2:])
            try:
                listeners.append(_open(family, address, reuse_port, backlog))
            except OSError as exc:
                if exc.errno not in _ABSENT:
                    raise
                absent = exc
        if absent is not None and not listeners:
            raise absent
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _open(family: int, address: tuple[object, ...], reuse_port: bool, backlog: int | None) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # On Windows it would let another program take the port over.
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own, whose clients have addresses of IPv4.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address)
        if backlog is not None:
            listener.listen(backlog)
    except OSError as exc:
        listener.close()
        raise OSError(exc.errno, f"cannot listen on {address[0]} port {address[1]}: {exc.strerror}") from exc
    return listener


def unix_listener(path: str, mode: int = 0o600, *, backlog: int = BACKLOG) -> socket.socket:
    """A non-blocking listener on a socket file with the permissions ``mode``.

    A file that a dead server has left is replaced. Raises OSError where something else has the path: a server that
    answers, or a file that is no socket.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EEXIST, f"cannot listen on {path}: the file is there and is not a socket")
        if _is_live(path):
            raise OSError(errno.EADDRINUSE, f"cannot listen on {path}: another server answers there")
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.bind(path)
        # Before listen: until then nobody can connect, whatever the umask has left open.
        os.chmod(path, mode)
        listener.listen(backlog)
    except OSError as exc:
        listener.close()
        raise OSError(exc.errno, f"cannot listen on {path}: {exc.strerror or exc}") from exc
    return listener


def remove_socket_file(path: str, inode: int) -> None:
    """Remove the socket file of a listener that has closed, unless another server has put its own there since.

    ``inode`` is `socket_inode` of it when it was made.
    """
    with contextlib.suppress(OSError):
        if socket_inode(path) == inode:
            os.unlink(path)


def socket_inode(path: str) -> int:
    """What tells one socket file from the next at the same path. Raises OSError."""
    return os.stat(path).st_ino


def systemd_listeners(
    environ: MutableMapping[str, str], *, first: int = SYSTEMD_FIRST
) -> list[tuple[str, socket.socket]]:
    """The sockets that systemd has opened for this process, each with its name (FileDescriptorName=, "" for none).

    The variables are removed, and the descriptors closed on exec: no child shall take them for its own. Empty where
    there are none. Raises OSError for what is no listening stream socket.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    found: list[tuple[str, socket.socket]] = []
    for number in range(int(count)):
        found.append((names[number] if number < len(names) else "", inherited_listener(first + number)))
    return found


def inherited_listener(descriptor: int) -> socket.socket:
    """A listener that another process has opened and handed over. Raises OSError."""
    try:
        listener = socket.socket(fileno=descriptor)
    except OSError as exc:
        raise OSError(exc.errno, f"cannot listen on descriptor {descriptor}: {exc.strerror}") from exc
    listening = getattr(socket, "SO_ACCEPTCONN", None)
    if listener.type != socket.SOCK_STREAM or (listening and not listener.getsockopt(socket.SOL_SOCKET, listening)):
        listener.close()
        raise OSError(errno.EINVAL, f"cannot listen on descriptor {descriptor}: it is no listening stream socket")
    listener.set_inheritable(False)
    listener.setblocking(False)
    return listener


def _is_live(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True  # its backlog is full
        except OSError as exc:
            raise OSError(exc.errno, f"cannot listen on {path}: {exc.strerror}, it may be in use") from exc
    return True
