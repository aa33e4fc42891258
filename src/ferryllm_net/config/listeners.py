"""The listeners, whom they believe and what a client may take, as `[server]` says it: checked together."""

from __future__ import annotations

import ipaddress
import re
import sys

from .listen import ListenFault, resolve_listen
from .listener_schema import DEFAULT_LISTEN, Limits, Listener
from .problems import Path as KeyPath
from .problems import Report
from .schema import Config, Server
from .settings import LimitSettings, ListenAddress, ListenerSettings

NOWHERE = ListenerSettings(ListenAddress("", 0, loopback=True))
"""Stands for listeners that were refused, until `raise_errors` ends the matter."""

UNIX = "unix"
"""Among trusted proxies: whoever connects by a socket file."""

_KIB = 1024


def resolve_listeners(server: Server, report: Report) -> tuple[ListenerSettings, ...]:
    """All listeners of `server`, at least one. Faults go to `report`."""
    found: list[tuple[KeyPath, ListenerSettings]] = []
    written = (server.listen,) if isinstance(server.listen, str) else server.listen
    if not written and not server.listeners:
        written = (DEFAULT_LISTEN,)
    for index, text in enumerate(written):
        path: KeyPath = ("server", "listen") if isinstance(server.listen, str) else ("server", "listen", index)
        address = _address(text, path, report)
        if address is not None:
            found.append((path, ListenerSettings(address)))
    for index, table in enumerate(server.listeners):
        path = ("server", "listeners", index)
        listener = _listener(table, path, server, report)
        if listener is not None:
            found.append(((*path, "address"), listener))
    _check_twice(found, report)
    return tuple(listener for _, listener in found) or (NOWHERE,)


def _address(text: str, path: KeyPath, report: Report) -> ListenAddress | None:
    if not report.accepted(path):
        return None
    try:
        address = resolve_listen(text)
    except ListenFault as fault:
        report.error(path, str(fault), fault.mend)
        return None
    if sys.platform == "win32" and (address.unix is not None or address.systemd is not None):
        report.error(path, f"there is no {text.partition(':')[0]} on Windows", 'as in "127.0.0.1:3000"')
        return None
    return address


def _listener(table: Listener, path: KeyPath, server: Server, report: Report) -> ListenerSettings | None:
    address = _address(table.address, (*path, "address"), report)
    if table.tls and server.tls_cert is None and report.accepted((*path, "tls")):
        report.error((*path, "tls"), "there is no tls_cert in [server]", 'add tls_cert = "server.pem"')
    mode = 0o660
    if report.accepted((*path, "unix_mode")):
        if re.fullmatch("0?[0-7]{3}", table.unix_mode):
            mode = int(table.unix_mode, 8)
        else:
            report.error(
                (*path, "unix_mode"), f'expected permissions in octal, found "{table.unix_mode}"', 'as in "0660"'
            )
    if (
        table.proxy_protocol == "required"
        and not server.trusted_proxies
        and report.accepted(("server", "trusted_proxies"))
    ):
        report.error(
            (*path, "proxy_protocol"),
            "nobody may send the header, because there are no trusted_proxies",
            'add trusted_proxies = ["10.0.0.0/8"] to [server]',
        )
    if address is None:
        return None
    return ListenerSettings(address, table.tls, table.proxy_protocol == "required", mode)


def _check_twice(found: list[tuple[KeyPath, ListenerSettings]], report: Report) -> None:
    seen: set[str] = set()
    for path, listener in found:
        text = str(listener.address)
        if text in seen and (listener.address.port or not listener.address.host):
            report.error(path, f'"{text}" is there twice', "remove one of them")
        seen.add(text)


def resolve_trusted(server: Server, report: Report) -> tuple[str, ...]:
    """`trusted_proxies`, each an address, a network or `unix`."""
    trusted = []
    for index, text in enumerate(server.trusted_proxies):
        path: KeyPath = ("server", "trusted_proxies", index)
        if text == UNIX:
            trusted.append(text)
            continue
        try:
            trusted.append(str(ipaddress.ip_network(text, strict=False)))
        except ValueError:
            report.error(
                path,
                f'expected an address or a network, found "{text}"' if text.isprintable() else "no address",
                'as in "10.0.0.0/8", "::1" or "unix"',
            )
    return tuple(trusted)


def resolve_workers(config: Config, report: Report) -> int:
    """How many processes. Faults go to `report`."""
    path: KeyPath = ("server", "workers")
    workers = config.server.workers
    if workers == 1 or not report.accepted(path):
        return 1
    if sys.platform == "win32":
        report.error(path, "several processes cannot share a port on Windows", "leave it out")
    if config.responses.store == "memory":
        report.error(
            path,
            f"{workers} processes do not share a memory, and responses.store is memory",
            'write store = "sqlite" and a path in [responses], or store = "redis", or store = "off"',
        )
    return workers


def resolve_limits(limits: Limits) -> LimitSettings:
    """`[server.limits]` in seconds and bytes."""
    return LimitSettings(
        first_head_secs=limits.first_head_timeout_secs,
        head_secs=limits.head_timeout_secs,
        body_idle_secs=limits.body_timeout_secs,
        write_stall_secs=limits.write_timeout_secs,
        tls_handshake_secs=limits.tls_handshake_timeout_secs,
        head_bytes=limits.header_kb * _KIB,
        head_fields=limits.header_count,
        connections_per_address=limits.connections_per_address,
        h2_streams=limits.h2_streams,
        h2_stream_window_bytes=limits.h2_stream_window_kb * _KIB,
        h2_body_window_bytes=max(limits.h2_body_window_kb, limits.h2_stream_window_kb) * _KIB,
        h2_connection_window_bytes=max(limits.h2_connection_window_kb, limits.h2_stream_window_kb) * _KIB,
    )


def open_to_others(listeners: tuple[ListenerSettings, ...]) -> tuple[ListenerSettings, ...]:
    """Those that other machines reach; of systemd's sockets the start tells."""
    return tuple(one for one in listeners if not one.address.loopback and one.address.systemd is None)
