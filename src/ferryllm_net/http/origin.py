"""Where an upstream is, how it is reached and how its TLS is checked; the contexts made for that."""

from __future__ import annotations

import base64
import ssl
from typing import Literal
from urllib.parse import urlsplit

import msgspec


class TLS(msgspec.Struct, frozen=True, cache_hash=True):
    """How the certificate of an upstream is checked."""

    verify: bool = True
    """False only by the operator's explicit wish for one provider; the program warns at each start."""
    ca_file: str | None = None
    """PEM file of a private CA, used instead of the system's."""


class ProxyAuth(msgspec.Struct, frozen=True):
    """Who we are to a proxy. Its text shows neither."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "***"

    def basic(self) -> str:
        """The value of Proxy-Authorization (RFC 7617). A secret."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


class Proxy(msgspec.Struct, frozen=True):
    """What stands between us and an upstream."""

    scheme: Literal["http", "https", "socks5", "socks5h"]
    """`https`: TLS to the proxy itself. `socks5h`: the proxy resolves the upstream's name, `socks5`: we do."""
    host: str
    port: int
    auth: ProxyAuth | None = None

    @property
    def forwards(self) -> bool:
        """It takes requests for http URLs as they are, without a tunnel."""
        return self.scheme in ("http", "https")

    @property
    def authority(self) -> str:
        """Host and port, for messages: never with credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Origin(msgspec.Struct, frozen=True, cache_hash=True):
    """One upstream address; connections are shared by everything that has the same."""

    scheme: str
    host: str
    port: int
    tls: TLS = TLS()
    proxy: Proxy | None = None
    """None: reached directly. The environment is looked at by whoever makes origins, never here."""
    http2: Literal["off", "on", "prior_knowledge"] = "off"
    """`on`: offered in the TLS handshake. `prior_knowledge`: spoken in clear text without asking."""
    max_connections: int = 0
    """At once, in use and idle; 0 for no limit."""
    socket: str | None = None
    """Path of a unix socket that is connected to in place of host and port, and of a proxy."""

    @property
    def authority(self) -> str:
        """Value of the Host field: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"


def parse_url(url: str, tls: TLS | None = None) -> tuple[Origin, str]:
    """The origin of a base URL and its path without a slash at the end.

    Raises ValueError, whose text never repeats the URL: it may hold credentials.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("the URL does not begin with http:// or https://")
    if not parts.hostname:
        raise ValueError("the URL has no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL holds credentials; give the key by api_key_env instead")
    if parts.query or parts.fragment:
        raise ValueError("a base URL has no query and no fragment")
    port = parts.port if parts.port is not None else (443 if parts.scheme == "https" else 80)
    return Origin(parts.scheme, parts.hostname, port, tls or TLS()), parts.path.rstrip("/")


_contexts: dict[tuple[TLS, bool], ssl.SSLContext] = {}


def ssl_context(tls: TLS, *, http2: bool = False) -> ssl.SSLContext:
    """The one context for these settings: making it costs 17 ms, and sessions live in it. ``http2`` is offered (ALPN
    h2) where it is wanted.

    Raises OSError for a CA file that cannot be read or holds no certificate.
    """
    context = _contexts.get((tls, http2))
    if context is None:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        _contexts[tls, http2] = context
    return context
