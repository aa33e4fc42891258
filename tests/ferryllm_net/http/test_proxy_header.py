"""Headers of the PROXY protocol: both versions, each cut, and what is none."""

from __future__ import annotations

import socket
import struct

import pytest

from ferryllm_net.http.proxy_header import MAX_HEADER, ProxyHeader, ProxyHeaderError, read_proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, addresses: bytes, version: int = 2) -> bytes:
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack("!H", len(addresses)) + addresses


def inet(client: str, port: int, server: str = "10.0.0.1") -> bytes:
    return socket.inet_aton(client) + socket.inet_aton(server) + struct.pack("!HH", port, 443)


def inet6(client: str, port: int) -> bytes:
    return socket.inet_pton(socket.AF_INET6, client) + bytes(16) + struct.pack("!HH", port, 443)


GOOD: list[tuple[bytes, tuple[str, int] | None]] = [
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n", ("192.0.2.7", 56324)),
    (b"PROXY TCP6 2001:DB8:0::7 ::1 0 65535\r\n", ("2001:db8::7", 0)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    (v2(1, 0x11, inet("192.0.2.7", 56324)), ("192.0.2.7", 56324)),
    (v2(1, 0x21, inet6("2001:db8::7", 9)), ("2001:db8::7", 9)),
    (v2(1, 0x11, inet("192.0.2.7", 1) + b"\x04\0\x03abc" + bytes(200)), ("192.0.2.7", 1)),
    (v2(0, 0x11, inet("192.0.2.7", 1)), None),
    (v2(0, 0x00, b""), None),
    (v2(1, 0x00, b"whatever"), None),
    (v2(1, 0x31, bytes(216)), None),
    (v2(1, 0x12, inet("192.0.2.7", 1)), None),
]


@pytest.mark.parametrize(("data", "client"), GOOD)
def test_a_header_names_the_client_and_where_the_connection_begins(data: bytes, client: tuple[str, int] | None) -> None:
    for behind in (b"", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01"):
        assert read_proxy_header(data + behind) == ProxyHeader(len(data), client)


@pytest.mark.parametrize("data", [data for data, _ in GOOD])
def test_a_cut_header_asks_for_more(data: bytes) -> None:
    for size in range(len(data)):
        assert read_proxy_header(data[:size]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXYTCP4",
        b"proxy TCP4",
        b"PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n",
        b"PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 -1 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1  2\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 \u0661 2\r\n".encode(),
        b"PROXY UNKNOWN" + bytes(95),
        SIGNATURE[:8] + b"xx",
        v2(1, 0x11, inet("192.0.2.7", 1), version=1),
        v2(2, 0x11, inet("192.0.2.7", 1)),
        v2(1, 0x11, bytes(11)),
        v2(1, 0x21, bytes(35)),
        v2(1, 0x11, bytes(MAX_HEADER)),
        v2(0, 0x00, b"")[:14] + b"\xff\xff",
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        read_proxy_header(data)


def test_no_more_bytes_are_ever_asked_for_than_are_read_at_once() -> None:
    """The server looks at `MAX_HEADER` bytes: with so many there is always an answer."""
    for data in (b"PROXY TCP4 " + b"1" * MAX_HEADER, b"PROXY UNKNOWN" + b" " * MAX_HEADER):
        with pytest.raises(ProxyHeaderError):
            read_proxy_header(data[:MAX_HEADER])
    whole = v2(1, 0x11, inet("192.0.2.7", 1) + bytes(MAX_HEADER - 16 - 12))
    assert len(whole) == MAX_HEADER
    assert read_proxy_header(whole) == ProxyHeader(MAX_HEADER, ("192.0.2.7", 1))
