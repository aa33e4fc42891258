"""The listen address: what the text says, and whether this machine can listen there."""

from __future__ import annotations

import ipaddress
import os
import re
import socket

from .settings import ListenAddress

_FORM = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[\w.-]+)):(?P<port>\d{1,5})", re.ASCII)


MAX_UNIX = 103
"""Bytes of a socket's path: sun_path of macOS has 104 with its end, that of Linux 108."""


class ListenFault(ValueError):
    """The address cannot be used; `mend` says what would help."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def resolve_listen(text: str) -> ListenAddress:
    """The address in `text`, checked as far as it can be without taking the port.

    The host is resolved and a socket is bound to it on a free port, which asks nothing of any network for
    addresses and for names in the hosts file. `check-config` and `serve` both call this.

    Raises ListenFault.
    """
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    if text == "systemd" or text.startswith("systemd:"):
        return ListenAddress("", 0, loopback=False, systemd=text.partition(":")[2])
    host, port = parse_listen(text)
    try:
        found = socket.getaddrinfo(_spelt(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not a host name"
        raise ListenFault(
            f'the host "{host}" of "{text}" cannot be resolved: {reason}',
            "use an address of this machine, such as 127.0.0.1 or 0.0.0.0",
        ) from None
    addresses = list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))
    # A name such as localhost may stand for an IPv6 address on a machine that has none: one that works is enough.
    reasons = [reason for reason in (_bind_fault(family, address) for family, address in addresses) if reason]
    if len(reasons) == len(addresses):
        raise ListenFault(
            f'nothing can listen on "{text}": {reasons[0]}',
            "use an address of this machine, such as 127.0.0.1 or 0.0.0.0",
        )
    return ListenAddress(host, port, loopback=all(is_loopback(address) for _, address in addresses))


def _spelt(host: str) -> str | bytes:
    """``host`` as `socket.getaddrinfo` is to get it. What it would do to plain ASCII is done here: the codec that it
    loads for that brings the tables of Unicode (0.4 MiB), which stay."""
    if host.isascii() and all(0 < len(label) < 64 for label in host.split(".")):
        return host.encode("ascii")
    return host


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of `host:port`, `name:port` or `[v6]:port`. Raises ListenFault."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ListenFault(f'expected "host:port", found {_shown(text)}', _mend(text))
    port = int(found["port"])
    if port > 65535:
        raise ListenFault(f'the port of "{text}" is above 65535', "use a port from 1 to 65535, or 0 for a free one")
    if found["v6"] is not None:
        try:
            ipaddress.IPv6Address(found["v6"])
        except ValueError:
            raise ListenFault(
                f'"{found["v6"]}" is not an IPv6 address', "brackets are for IPv6 addresses, as in [::1]:3000"
            ) from None
        return found["v6"], port
    return found["host"], port


def _unix(path: str) -> ListenAddress:
    """A socket file; only this machine can reach it, and of that only whom its permissions let."""
    if not path.startswith("/"):
        raise ListenFault(
            f'expected the absolute path of a socket file behind "unix:", found {_shown(path)}',
            'as in "unix:/run/ferryllm/ferryllm.sock"',
        )
    if len(os.fsencode(path)) > MAX_UNIX or "\0" in path:
        raise ListenFault(f"the path of a socket has at most {MAX_UNIX} bytes", "choose a shorter one")
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise ListenFault(f"there is no folder {folder}", "make it, or name another one")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ListenFault(f"no file can be made in {folder}", "check its permissions, or name another one")
    return ListenAddress("", 0, loopback=True, unix=path)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`, an address or the name localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _bind_fault(family: int, address: str) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as fault:
        return fault.strerror or "the address cannot be bound"
    return None


def _shown(text: str) -> str:
    return f'"{text}"' if text.isprintable() and len(text) <= 80 else "something else"


def _mend(text: str) -> str:
    if text.isdecimal():
        return f'write "127.0.0.1:{text}" for this machine alone, "0.0.0.0:{text}" for every network'
    if re.fullmatch(r"\*?:\d+", text):
        port = text.rpartition(":")[2]
        return f'write "127.0.0.1:{port}" for this machine alone, "0.0.0.0:{port}" for every network'
    if "://" in text:
        rest = text.partition("://")[2].rstrip("/")
        return f'write "{rest}", without the scheme' if _FORM.fullmatch(rest) else "without a scheme and a path"
    if text.count(":") > 1 and "[" not in text:
        return "write an IPv6 address in brackets, as in [::1]:3000"
    if text and ":" not in text:
        return f'add a port, as in "{text}:3000"' if text.isprintable() else ""
    return 'as in "127.0.0.1:3000"'
