"""The way through a proxy: CONNECT of HTTP (RFC 9110 section 9.3.6) and SOCKS5 (RFC 1928, RFC 1929).

Apart from dialling, because these are two small protocols of their own, spoken before anything of the upstream is.
"""

from __future__ import annotations

import ipaddress
import re

from .limits import KIB
from .origin import ProxyAuth
from .transport import Transport

_HEAD_BYTES = 64 * KIB
"""Of a proxy's answer; the same that upstreams have."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?\r\n")
_INTERIM = 16

_SOCKS_ERRORS = {
    1: "a general failure",
    2: "not allowed by its rules",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the connection was refused",
    6: "the time to live expired",
    7: "CONNECT is not supported",
    8: "this kind of address is not supported",
}
_SOCKS_ADDRESS_BYTES = {1: 4, 4: 16}


class TunnelFault(Exception):
    """The proxy did not make the connection; the text says what it did, behind its name."""


async def connect_http(transport: Transport, host: str, port: int, auth: ProxyAuth | None) -> None:
    """Ask an HTTP proxy for a tunnel. Raises `TunnelFault`, `TransportError`."""
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {name} HTTP/1.1", f"host: {name}"]
    if auth is not None:
        lines.append(f"proxy-authorization: {auth.basic()}")
    await transport.send("\r\n".join([*lines, "", ""]).encode("ascii"))
    data = bytearray()
    for _ in range(_INTERIM):
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > _HEAD_BYTES:
                raise TunnelFault(f"answered CONNECT with a head larger than {_HEAD_BYTES} bytes")
            data += await _some(transport)
        match = _STATUS_LINE.match(data)
        if match is None:
            raise TunnelFault("does not speak HTTP/1.1")
        status = int(match[1])
        del data[: end + 4]
        if status == 407:
            mend = (
                "check the user and the password of the proxy" if auth else "give the proxy's URL a user and a password"
            )
            raise TunnelFault(f"asks for credentials (407): {mend}")
        if status >= 300:
            raise TunnelFault(f"refused the connection with status {status}")
        if status >= 200:
            # The upstream waits for us to begin: bytes here are nobody's honest answer.
            if data:
                raise TunnelFault("sent bytes behind its answer to CONNECT")
            return
    raise TunnelFault(f"sent more than {_INTERIM} interim (1xx) answers")


async def connect_socks(transport: Transport, host: str, port: int, auth: ProxyAuth | None) -> None:
    """Ask a SOCKS5 proxy for a connection to a name or an address. Raises `TunnelFault`, `TransportError`."""
    reader = _Exact(transport)
    await transport.send(b"\x05\x02\x00\x02" if auth is not None else b"\x05\x01\x00")
    version, method = await reader.take(2)
    if version != 5:
        raise TunnelFault("does not speak SOCKS5")
    if method == 2 and auth is not None:
        user, password = auth.user.encode(), auth.password.encode()
        await transport.send(b"\x01%c%b%c%b" % (len(user), user, len(password), password))
        _, status = await reader.take(2)
        if status:
            raise TunnelFault("refused the user or the password")
    elif method != 0:
        raise TunnelFault("refused the user or the password" if auth else "asks for a user and a password")
    await transport.send(b"\x05\x01\x00" + _socks_address(host) + port.to_bytes(2, "big"))
    version, reply, _, kind = await reader.take(4)
    if version != 5:
        raise TunnelFault("does not speak SOCKS5")
    if reply:
        raise TunnelFault(f"refused the connection: {_SOCKS_ERRORS.get(reply, f'error {reply}')}")
    # The address it is bound to, which nobody needs.
    size = (await reader.take(1))[0] if kind == 3 else _SOCKS_ADDRESS_BYTES.get(kind)
    if size is None:
        raise TunnelFault("does not speak SOCKS5")
    await reader.take(size + 2)
    if reader.held:
        raise TunnelFault("sent bytes behind its answer")


def _socks_address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.encode("idna") if not host.isascii() else host.encode("ascii")
        if len(name) > 255:
            raise TunnelFault("takes names of at most 255 bytes") from None
        return b"\x03%c%b" % (len(name), name)
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


class _Exact:
    """Reads numbers of bytes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._data = b""

    @property
    def held(self) -> int:
        return len(self._data)

    async def take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._data += await _some(self._transport)
        taken, self._data = self._data[:size], self._data[size:]
        return taken


async def _some(transport: Transport) -> bytes:
    data = await transport.receive()
    if not data:
        raise TunnelFault("closed the connection before its answer")
    return data
