"""Connecting to an upstream: its addresses side by side, a proxy in between where there is one, TLS.

Apart from the pool, which only wants a transport. Sockets are made here and given to the transport of the running
backend; nothing of anyio's streams is in between.
"""

from __future__ import annotations

import errno
import ipaddress
import itertools
import os
import socket
import ssl
from typing import TypeAlias

import anyio

from .backends import adopt
from .faults import UpstreamError, UpstreamFault
from .origin import TLS, Origin, ssl_context
from .transport import Transport, TransportError
from .tunnel import TunnelFault, connect_http, connect_socks

STAGGER_SECS = 0.25
"""How long an address has before the next one is tried beside it (RFC 8305 section 5)."""

Address: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes] | str]


async def dial(origin: Origin) -> Transport:
    """Connect to ``origin``, through its proxy where it has one, with TLS for https. Raises `UpstreamError` (CONNECT,
    TLS). Waits as long as it takes: the caller has the deadline."""
    proxy, name = origin.proxy, f"upstream {origin.authority}"
    if origin.socket is not None:
        transport = await _reach_unix(origin.socket)
    elif proxy is None:
        transport = await _reach(origin.host, origin.port, name)
    else:
        via = f"proxy {proxy.authority} of {name}"
        transport = await _reach(proxy.host, proxy.port, via)
        try:
            if proxy.scheme == "https":
                transport = await _secure(transport, TLS(), proxy.host, via, http2=False)
            if not proxy.forwards:
                await _tunnel_socks(transport, origin, name, via)
            elif origin.scheme == "https" or origin.http2 == "prior_knowledge":
                await connect_http(transport, origin.host, origin.port, proxy.auth)
        except (TunnelFault, TransportError) as exc:
            await transport.aclose()
            raise UpstreamError(UpstreamFault.CONNECT, f"{via} {_told(exc)}") from exc
        except BaseException:
            await _close(transport)
            raise
    if origin.scheme != "https":
        return transport
    return await _secure(transport, origin.tls, origin.host, name, http2=origin.http2 == "on")


async def _tunnel_socks(transport: Transport, origin: Origin, name: str, via: str) -> None:
    proxy = origin.proxy
    assert proxy is not None
    host = origin.host
    if proxy.scheme == "socks5":
        try:
            host = str((await addresses(host, origin.port))[0][1][0])
        except OSError as exc:
            raise UpstreamError(UpstreamFault.CONNECT, f"{name} cannot be reached: {_why(exc)}") from exc
    await connect_socks(transport, host, origin.port, proxy.auth)


def _told(exc: Exception) -> str:
    return str(exc) if isinstance(exc, TunnelFault) else f"closed the connection: {exc}"


async def _reach(host: str, port: int, name: str) -> Transport:
    try:
        return await adopt(await connect(host, port))
    except OSError as exc:
        raise UpstreamError(UpstreamFault.CONNECT, f"{name} cannot be reached: {_why(exc)}") from exc


async def _reach_unix(path: str) -> Transport:
    try:
        family = getattr(socket, "AF_UNIX", None)
        if family is None:
            raise OSError(errno.EAFNOSUPPORT, "no unix sockets here")
        return await adopt(await _attempt((family, path)))
    except OSError as exc:
        text = f"upstream behind the unix socket {path} cannot be reached: {_why(exc)}"
        raise UpstreamError(UpstreamFault.CONNECT, text) from exc


async def _secure(transport: Transport, tls: TLS, host: str, name: str, *, http2: bool) -> Transport:
    from .tls_transport import secure_client

    try:
        return await secure_client(transport, ssl_context(tls, http2=http2), host)
    except (TransportError, OSError) as exc:
        await _close(transport)
        raise UpstreamError(UpstreamFault.TLS, _why_untrusted(exc, name)) from exc
    except BaseException:
        await _close(transport)
        raise


def _why_untrusted(exc: TransportError | OSError, name: str) -> str:
    cause = exc.__cause__ if isinstance(exc, TransportError) else exc
    if isinstance(cause, ssl.SSLCertVerificationError):
        mend = "give the CA's certificate as ca_file when it is a private one"
        return f"the certificate of {name} is not trusted: {cause.verify_message}; {mend}"
    if isinstance(cause, ssl.SSLError):
        reason = (cause.reason or "unknown error").lower().replace("_", " ")
        return f"TLS with {name} failed: {reason}"
    if cause is exc and isinstance(cause, OSError):
        return f"TLS with {name} failed: {(cause.strerror or 'the CA file cannot be read').lower()}"
    return f"TLS with {name} failed: it closed the connection within the handshake"


async def _close(transport: Transport) -> None:
    with anyio.CancelScope(shield=True):
        await transport.aclose()


def _why(exc: OSError) -> str:
    if isinstance(exc, socket.gaierror):
        return "its name cannot be resolved"
    return os.strerror(exc.errno).lower() if exc.errno else "no address answered"


# --- sockets ---


async def addresses(host: str, port: int) -> list[Address]:
    """Where ``host`` is, in the order to try: families in turn, the resolver's first one first (RFC 8305 section 4).

    Raises OSError.
    """
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        # The resolver would start a thread to say the same.
        family = socket.AF_INET if literal.version == 4 else socket.AF_INET6
        return [(family, (host, port))]
    found: dict[socket.AddressFamily, list[Address]] = {}
    for family, _, _, _, address in await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if family in (socket.AF_INET, socket.AF_INET6):
            found.setdefault(family, []).append((family, address))
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    turns = itertools.zip_longest(*found.values())
    return [address for turn in turns for address in turn if address is not None]


async def connect(host: str, port: int) -> socket.socket:
    """A connected socket: the first address that answers wins, the others are closed. Raises OSError, that of the first
    address when none answers."""
    tried = await addresses(host, port)
    if len(tried) == 1:
        return await _attempt(tried[0])
    winner: list[socket.socket] = []
    errors: dict[int, OSError] = {}
    async with anyio.create_task_group() as group:

        async def attempt(index: int, address: Address, over: anyio.Event) -> None:
            try:
                sock = await _attempt(address)
            except OSError as exc:
                errors[index] = exc
                over.set()
                return
            if winner:  # two in one turn of the loop
                sock.close()
                return
            winner.append(sock)
            group.cancel_scope.cancel()

        for index, address in enumerate(tried):
            over = anyio.Event()
            group.start_soon(attempt, index, address, over)
            with anyio.move_on_after(STAGGER_SECS):
                await over.wait()
    if winner:
        return winner[0]
    raise errors[min(errors)]


async def _attempt(address: Address) -> socket.socket:
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        try:
            sock.connect(address[1])
        except (BlockingIOError, InterruptedError):
            await anyio.wait_writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code)) from None
    except BaseException:
        sock.close()
        raise
    return sock
