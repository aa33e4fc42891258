"""From the listeners of the settings to sockets: opened here, handed over by systemd, or by the parent of workers.

Apart from `serve`, because the parent of workers opens them too and serves nobody.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, MutableMapping, Sequence

import msgspec

from ferryllm_net.config import ListenAddress, ListenerSettings, ServerSettings, Settings
from ferryllm_net.config.listen import is_loopback
from ferryllm_net.http import Listener, bound_port, open_listeners, systemd_listeners, unix_listener
from ferryllm_net.http.listeners import inherited_listener, remove_socket_file, socket_inode

PRIVILEGED = 1024
"""Ports below are for root, unless the system says otherwise (net.ipv4.ip_unprivileged_port_start)."""


class ListenError(OSError):
    """An address cannot be listened on. ``address`` is it as written, ``mend`` what would help."""

    def __init__(self, number: int, reason: str, address: str, mend: str) -> None:
        super().__init__(number, reason)
        self.address = address
        self.mend = mend


class Given(msgspec.Struct, frozen=True):
    """What the parent hands to a worker for one of the settings' listeners."""

    port: int = 0
    """To open with SO_REUSEPORT; 0 where there are descriptors."""
    descriptors: tuple[int, ...] = ()
    """Of sockets that listen already."""


class Bound(msgspec.Struct, frozen=True):
    """One of the settings' listeners with its sockets."""

    settings: ListenerSettings
    """With the address that it has got."""
    sockets: tuple[socket.socket, ...]
    inode: int = 0
    """Of the socket file that was made."""
    number: int = 0
    """Which of the settings' listeners it is; systemd may have several sockets for one."""

    @property
    def text(self) -> str:
        """As banner and log show it: `https://127.0.0.1:3000`, `unix:/run/ferryllm.sock`."""
        scheme = "https" if self.settings.tls else "http"
        address = self.settings.address
        return f"{scheme}://{address}" if address.host else str(address)

    def listeners(self) -> list[Listener]:
        """For `Server.serve`."""
        one = self.settings
        return [Listener(sock, tls=bool(one.tls), proxy_protocol=one.proxy_protocol) for sock in self.sockets]


class Doors:
    """All that a gateway listens on. `close` ends it, also after a server has closed the sockets."""

    def __init__(self, bound: Iterable[Bound] = ()) -> None:
        self.bound = list(bound)

    def listeners(self) -> list[Listener]:
        return [listener for one in self.bound for listener in one.listeners()]

    @property
    def port(self) -> int:
        """Of the first one on TCP, 0 where there is none."""
        return next((one.settings.address.port for one in self.bound if one.settings.address.host), 0)

    @property
    def addresses(self) -> str:
        """For the log."""
        return ", ".join(str(one.settings.address) for one in self.bound)

    @property
    def texts(self) -> tuple[str, ...]:
        """As people paste them."""
        return tuple(one.text for one in self.bound)

    def settled(self, settings: Settings) -> Settings:
        """``settings`` with the addresses that were got."""
        listeners = tuple(one.settings for one in self.bound)
        return msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, listeners=listeners))

    def given(self, count: int) -> list[Given]:
        """What workers get for each of ``count`` listeners, when the parent has opened them ``shared``."""
        gifts: list[Given] = []
        for number in range(count):
            ours = [one for one in self.bound if one.number == number]
            if ours[0].settings.address.systemd is None and ours[0].settings.address.host:
                gifts.append(Given(port=ours[0].settings.address.port))
            else:
                gifts.append(Given(descriptors=tuple(sock.fileno() for one in ours for sock in one.sockets)))
        return gifts

    def close(self) -> None:
        """Close the sockets and remove the socket files that were made here."""
        for one in self.bound:
            for sock in one.sockets:
                sock.close()
            if one.inode and one.settings.address.unix is not None:
                remove_socket_file(one.settings.address.unix, one.inode)


def open_doors(
    server: ServerSettings,
    environ: MutableMapping[str, str],
    given: Sequence[Given] | None = None,
    *,
    shared: bool = False,
) -> Doors:
    """Listen where ``server`` says. systemd's sockets are those that ``environ`` tells of (its variables are removed);
    a worker gets everything from its parent, ``given`` for each listener. ``shared``: for the parent itself; ports are
    only held then (SO_REUSEPORT), and connections wait for the workers.

    Raises `ListenError`; nothing is open then.
    """
    if given is not None and len(given) != len(server.listeners):
        # A worker that is started again reads the configuration again.
        reason = "the configuration has other listeners than at the start"
        raise ListenError(errno.EINVAL, reason, str(server.listen), "restart the gateway to use them")
    handed = systemd_listeners(environ) if given is None else []
    doors = Doors()
    try:
        for number, listener in enumerate(server.listeners):
            for one in _open(listener, handed, None if given is None else given[number], shared):
                doors.bound.append(_settled(one, server.tls is not None, number))
    except BaseException:
        doors.close()
        raise
    finally:
        taken = {sock for one in doors.bound for sock in one.sockets}
        for _, sock in handed:
            if sock not in taken:
                sock.close()
    return doors


def _open(
    listener: ListenerSettings, handed: Sequence[tuple[str, socket.socket]], given: Given | None, shared: bool
) -> list[Bound]:
    address = listener.address
    inode = 0
    try:
        if given is not None and given.descriptors:
            sockets = [inherited_listener(descriptor) for descriptor in given.descriptors]
        elif address.systemd is not None:
            sockets = [sock for name, sock in handed if address.systemd in ("", name)]
            if not sockets:
                raise _none_handed(address, [name for name, _ in handed])
        elif address.unix is not None:
            sockets = [unix_listener(address.unix, listener.unix_mode)]
            inode = socket_inode(address.unix)
        elif given is not None:
            sockets = open_listeners(address.host, given.port, reuse_port=True)
        elif shared:
            sockets = _hold(address)
        else:
            sockets = open_listeners(address.host, address.port)
    except ListenError:
        raise
    except OSError as exc:
        raise _said(exc, address) from exc
    if address.systemd is not None:
        return [Bound(_named(listener, sock), (sock,)) for sock in sockets]
    if address.host:
        got = msgspec.structs.replace(address, port=bound_port(sockets[0]))
        listener = msgspec.structs.replace(listener, address=got)
    return [Bound(listener, tuple(sockets), inode)]


def _settled(bound: Bound, certified: bool, number: int) -> Bound:
    listener = bound.settings
    if listener.tls is None:
        listener = msgspec.structs.replace(listener, tls=certified and listener.address.unix is None)
    return msgspec.structs.replace(bound, settings=listener, number=number)


def _named(listener: ListenerSettings, sock: socket.socket) -> ListenerSettings:
    """What a socket of systemd listens on."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        host = str(name[0])
        address = msgspec.structs.replace(listener.address, host=host, port=int(name[1]), loopback=is_loopback(host))
    else:
        path = os.fsdecode(name) if isinstance(name, bytes) else str(name)
        address = msgspec.structs.replace(listener.address, loopback=True, unix=path)
    return msgspec.structs.replace(listener, address=address)


def _none_handed(address: ListenAddress, names: Sequence[str]) -> ListenError:
    if names and address.systemd:
        known = ", ".join(f'"{name}"' for name in names)
        reason = f'systemd has handed over no socket called "{address.systemd}", only {known}'
    else:
        reason = "systemd has handed over no socket"
    mend = "start the .socket unit, or listen on host:port"
    return ListenError(errno.EBADF, reason, str(address), mend)


def _said(exc: OSError, address: ListenAddress) -> ListenError:
    number = exc.errno or errno.EIO
    mend = "choose another one with --listen"
    if number == errno.EACCES and 0 < address.port < PRIVILEGED:
        mend = (
            f"ports below {PRIVILEGED} are for root: choose another one, let systemd open it (--listen systemd), or "
            "give the program CAP_NET_BIND_SERVICE"
        )
    elif number == errno.EACCES and address.unix is not None:
        mend = f"check the permissions of {os.path.dirname(address.unix)}"
    elif number == errno.EADDRNOTAVAIL:
        mend = "use an address of this machine, such as 127.0.0.1 or 0.0.0.0"
    return ListenError(number, os.strerror(number), str(address), mend)


def _hold(address: ListenAddress) -> list[socket.socket]:
    """Sockets that hold the port of ``address`` for workers, and take no connection themselves. Raises OSError."""
    # Alone first: with SO_REUSEPORT at once a second gateway would share the port of the first, and nobody would know.
    alone = open_listeners(address.host, address.port)
    port = bound_port(alone[0])
    for sock in alone:
        sock.close()
    return open_listeners(address.host, port, reuse_port=True, backlog=None)
