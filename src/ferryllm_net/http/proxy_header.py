"""The header of the PROXY protocol, versions 1 and 2: who the client of a connection is, told by a proxy before it.

Pure: bytes to a value (HAProxy's proxy-protocol.txt, sections 2.1 and 2.2). Apart from the server, which alone knows
whom to believe.
"""

from __future__ import annotations

import socket

import msgspec

MAX_V1 = 107
"""Bytes of the longest header of version 1 (section 2.1)."""
MAX_V2 = 16 + 520
"""Of version 2: the section asks receivers for 216 bytes of addresses at least; HAProxy's own additions (ALPN, TLS, the
certificate's name) fit into 304 more, what one segment of 536 bytes carries."""
MAX_HEADER = MAX_V2

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1 = b"PROXY "
_LOCAL, _PROXY = 0, 1
# Family and protocol of version 2 -> address family; the rest (datagrams, unix sockets) name nobody we could count.
_FAMILIES = {0x11: socket.AF_INET, 0x21: socket.AF_INET6}
_V2_BYTES = {socket.AF_INET: 12, socket.AF_INET6: 36}


class ProxyHeaderError(ValueError):
    """The bytes are no header."""


class ProxyHeader(msgspec.Struct, frozen=True):
    """A complete header."""

    size: int
    """Its bytes: the connection's own begin behind them."""
    client: tuple[str, int] | None = None
    """Address and port; None where the proxy speaks for itself (LOCAL, a check of health) or of no TCP connection: the
    peer of the connection stands then (sections 2.1 and 2.2)."""


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """The header at the beginning of ``data``; None where more bytes are needed. Raises `ProxyHeaderError` as soon as
    they can not become one."""
    if data[:1] == _SIGNATURE[:1]:
        return _read_v2(data)
    return _read_v1(data)


def _read_v1(data: bytes) -> ProxyHeader | None:
    if not data.startswith(_V1) and not _V1.startswith(data):
        raise ProxyHeaderError("no header of the PROXY protocol")
    end = data.find(b"\r\n", 0, MAX_V1)
    if end < 0:
        if len(data) >= MAX_V1:
            raise ProxyHeaderError(f"a PROXY line of more than {MAX_V1} bytes")
        return None
    try:
        words = data[:end].decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise ProxyHeaderError("a PROXY line that is not ASCII") from None
    if words[1] == "UNKNOWN":
        # What follows on the line is to be ignored (section 2.1).
        return ProxyHeader(end + 2)
    family = {"TCP4": socket.AF_INET, "TCP6": socket.AF_INET6}.get(words[1])
    if family is None or len(words) != 6:
        raise ProxyHeaderError("a PROXY line without family, two addresses and two ports")
    address = _address(family, words[2])
    _address(family, words[3])
    port = _port(words[4])
    _port(words[5])
    return ProxyHeader(end + 2, (address, port))


def _address(family: int, text: str) -> str:
    try:
        # There and back: one way of writing each address, so that limits count it once.
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except OSError:
        raise ProxyHeaderError("a PROXY line with an address that is none") from None


def _port(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or (text[0] == "0" and text != "0") or len(text) > 5:
        raise ProxyHeaderError("a PROXY line with a port that is none")
    port = int(text)
    if port > 65535:
        raise ProxyHeaderError("a PROXY line with a port above 65535")
    return port


def _read_v2(data: bytes) -> ProxyHeader | None:
    if data[:12] != _SIGNATURE[: len(data)]:
        raise ProxyHeaderError("no header of the PROXY protocol")
    if len(data) < 16:
        return None
    version, command = data[12] >> 4, data[12] & 0x0F
    if version != 2 or command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("a PROXY header of an unknown version or command")
    length = int.from_bytes(data[14:16], "big")
    size = 16 + length
    if size > MAX_V2:
        raise ProxyHeaderError(f"a PROXY header of more than {MAX_V2} bytes")
    family = _FAMILIES.get(data[13])
    if command == _PROXY and family is not None and length < _V2_BYTES[family]:
        raise ProxyHeaderError("a PROXY header too short for its addresses")
    if len(data) < size:
        return None
    if command == _LOCAL or family is None:
        return ProxyHeader(size)
    wide = 4 if family == socket.AF_INET else 16
    address = socket.inet_ntop(family, data[16 : 16 + wide])
    port = int.from_bytes(data[16 + 2 * wide : 18 + 2 * wide], "big")
    return ProxyHeader(size, (address, port))
