"""Whose word about the client is believed: trusted proxies, and what their fields say of it.

Pure: addresses and fields to an address. Whoever is not on the list may write what he likes into these fields.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

UNIX = "unix"
"""Among trusted proxies: whoever connects by a socket file."""

# Hops that are looked at, from the nearest on: more is no chain of proxies anybody runs, and a head has room for
# thousands.
_MAX_HOPS = 32

_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
_Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
_Hop: TypeAlias = "tuple[_Address, int] | None"
"""One that a proxy has seen; None where it hides it (RFC 7239 section 6) or says what is no address."""

# RFC 7239 section 4. A quote that does not end comes last, and ends the reading: linear, whatever the field holds.
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",;]+)|([,;])|"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_WITH_PORT = re.compile(r"\[([^\[\]]+)\](?::(\d{1,5}))?|([0-9.]+):(\d{1,5})", re.ASCII)


class TrustedProxies:
    """The list. Raises ValueError for what is neither an address, a network nor "unix"."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._unix = False
        self._networks: list[_Network] = []
        for text in trusted:
            if text == UNIX:
                self._unix = True
            else:
                self._networks.append(ipaddress.ip_network(text, strict=False))

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def trusts(self, address: str) -> bool:
        """Whether a connection from ``address`` ("" is a socket file) comes from one of them."""
        if not address:
            return self._unix
        found = _parsed(address)
        return found is not None and self._has(found)

    def client(
        self, headers: Sequence[tuple[str, str]], peer: tuple[str, int], scheme: str
    ) -> tuple[tuple[str, int], str]:
        """Who sent a request that came from the trusted ``peer``, and by which scheme: the right-most address that is
        none of ours, with port 0 where only the address is told. Where the chain ends or breaks before, the last proxy
        that is known.

        Many proxies set one of the two fields and pass the other as the client sent it: where both are there and
        differ, neither is believed.
        """
        values = [value for name, value in headers if name == "forwarded"]
        others = [value for name, value in headers if name == "x-forwarded-for"]
        protos = [value for name, value in headers if name == "x-forwarded-proto"]
        found, told = peer, _last(protos) or scheme
        if values:
            hops = _forwarded(",".join(values))
            found, by = self._nearest([hop for hop, _ in hops], peer)
            if others and self._nearest(_x_forwarded(others), peer)[0] != found:
                return peer, scheme
            if by >= 0 and not protos:
                told = hops[-1 - by][1] or scheme
        elif others:
            found, _ = self._nearest(_x_forwarded(others), peer)
        return found, told if told in ("http", "https") else scheme

    def _nearest(self, hops: Sequence[_Hop], peer: tuple[str, int]) -> tuple[tuple[str, int], int]:
        """The client by ``hops``, and which from the right it is; -1 for ``peer``."""
        found, by = peer, -1
        for number, hop in enumerate(reversed(hops[-_MAX_HOPS:])):
            if hop is None:
                break
            found, by = (str(hop[0]), hop[1]), number
            if not self._has(hop[0]):
                break
        return found, by

    def _has(self, address: _Address) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)


def _parsed(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _hop(text: str) -> _Hop:
    """An address as these fields write it, with or without a port."""
    port = 0
    split = _WITH_PORT.fullmatch(text)
    if split is not None:
        text, port = split[1] or split[3], int(split[2] or split[4] or 0)
    address = _parsed(text)
    return None if address is None or port > 65535 else (address, port)


def _x_forwarded(values: Sequence[str]) -> list[_Hop]:
    return [_hop(text.strip()) for text in ",".join(values).split(",") if text.strip()]


def _last(values: Sequence[str]) -> str:
    """Of a list that proxies append to, what the nearest has said."""
    return values[-1].rpartition(",")[2].strip().lower() if values else ""


def _forwarded(value: str) -> list[tuple[_Hop, str]]:
    """The elements of Forwarded, each with its scheme; none where a quote does not end."""
    elements: list[tuple[_Hop, str]] = []
    pairs: dict[str, str] = {}
    plain, quoted = "", None
    for token in (*_TOKEN.finditer(value), None):
        if token is not None and token[2]:
            # Behind a quoted value there is nothing but space.
            plain += token[2] if quoted is None or token[2].strip() else ""
            continue
        if token is not None and token[1] is not None:
            plain, quoted = plain if quoted is None else plain + "?", token[1]
            continue
        if token is not None and token[3] is None:
            return []
        name, equals, text = plain.strip().partition("=")
        if quoted is not None and not text:
            text = _ESCAPE.sub(r"\1", quoted)
        elif quoted is not None:
            text = ""
        if name or quoted is not None:
            # What is no pair breaks its element: "for" is then no address.
            pairs.setdefault(name.lower() if equals else "for", text if equals else "")
        plain, quoted = "", None
        if (token is None or token[3] == ",") and pairs:  # a list may have empty elements (RFC 9110 section 5.6.1)
            elements.append((_hop(pairs.get("for", "")), pairs.get("proto", "").lower()))
            pairs = {}
    return elements
