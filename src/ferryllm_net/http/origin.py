"""Where an upstream is and how its TLS is checked; the contexts made for that."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import msgspec


class TLS(msgspec.Struct, frozen=True):
    """How the certificate of an upstream is checked."""

    verify: bool = True
    """False only by the operator's explicit wish for one provider; the program warns at each start."""
    ca_file: str | None = None
    """PEM file of a private CA, used instead of the system's."""


class Origin(msgspec.Struct, frozen=True):
    """One upstream address; connections are shared by everything that has the same."""

    scheme: str
    host: str
    port: int
    tls: TLS = TLS()

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


_contexts: dict[TLS, ssl.SSLContext] = {}


def ssl_context(tls: TLS) -> ssl.SSLContext:
    """The one context for these settings: making it costs 17 ms, and sessions live in it.

    Raises OSError for a CA file that cannot be read or holds no certificate.
    """
    context = _contexts.get(tls)
    if context is None:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.set_alpn_protocols(["http/1.1"])
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        _contexts[tls] = context
    return context
