"""Through which proxy a provider is reached: its own key, else what the environment says.

The variables are those of curl: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in either case, the lower one
first. As with Go's programs, this machine itself is never reached through them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from .listen import is_loopback
from .problems import Path as KeyPath
from .problems import Report
from .proxy_settings import ProxyScheme, ProxySettings
from .secret import Secret

_PORTS: dict[str, int] = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_SCHEMES: dict[str, ProxyScheme] = {"http": "http", "https": "https", "socks5": "socks5", "socks5h": "socks5h"}
_LONGEST = 255
"""Of a user or a password, in bytes: what SOCKS5 can say (RFC 1929)."""
_MEND = 'as in "http://proxy.example:3128" or "socks5h://127.0.0.1:1080"'


class ProxyFault(ValueError):
    """The text is no proxy. Its words never quote it: it may hold a password."""


def parse_proxy(text: str) -> ProxySettings:
    """The proxy that ``text`` names; without a scheme it is an HTTP one. Raises `ProxyFault`."""
    url = text.strip()
    if "://" not in url:
        url = "http://" + url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ProxyFault("its host or its port is malformed") from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        raise ProxyFault("expected the scheme http, https, socks5 or socks5h")
    if not parts.hostname or not parts.hostname.isascii() or " " in parts.hostname:
        raise ProxyFault("it has no host")
    if parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
        raise ProxyFault("expected scheme, host and port alone")
    user = password = None
    if parts.username:
        user, password = Secret(unquote(parts.username)), Secret(unquote(parts.password or ""))
        for part in (user, password):
            if len(part.reveal().encode()) > _LONGEST or not part.reveal().isprintable():
                raise ProxyFault(f"the user or the password is longer than {_LONGEST} bytes or not printable")
        if ":" in user.reveal():
            raise ProxyFault("the user holds a colon, which no proxy can tell from the password (RFC 7617)")
    return ProxySettings(scheme, parts.hostname, port or _PORTS[scheme], user, password)


def resolve_proxy(
    written: str | None,
    scheme: str,
    host: str,
    port: int,
    environ: Mapping[str, str],
    path: KeyPath,
    report: Report,
) -> ProxySettings | None:
    """The proxy of a provider at ``host``; None when it is reached directly. ``written`` is its key ``proxy``."""
    path = (*path, "proxy")
    if not report.accepted(path):
        return None
    if written is not None:
        if written.strip().lower() == "off":
            return None
        try:
            return parse_proxy(written)
        except ProxyFault as fault:
            report.error(path, f"not the URL of a proxy: {fault}", f'{_MEND}, or "off" for none')
            return None
    if is_loopback(host) or _excluded(host, port, _variable(environ, "no_proxy")[1]):
        return None
    for name in (f"{scheme}_proxy", "all_proxy"):
        variable, text = _variable(environ, name)
        if text:
            try:
                return parse_proxy(text)
            except ProxyFault as fault:
                report.error(path, f"{variable} is not the URL of a proxy: {fault}", f'{_MEND}, or write proxy = "off"')
                return None
    return None


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable that counts, and its text."""
    for spelling in (name, name.upper()):
        if text := environ.get(spelling, "").strip():
            return spelling, text
    return name, ""


def _excluded(host: str, port: int, text: str) -> bool:
    """Whether `no_proxy` names ``host``: itself, a domain above it, a network (CIDR), each with or without a port, or
    everything (`*`)."""
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    for item in text.lower().replace(",", " ").split():
        name, of = item, ""
        if item.count(":") == 1 or item.startswith("["):
            name, _, of = item.rpartition(":") if not item.endswith("]") else (item, "", "")
        if of and of != str(port):
            continue
        if _names(name.strip("[]"), host, address):
            return True
    return False


def _names(name: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if name == "*":
        return True
    if address is not None:
        try:
            return address in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith("." + name))
