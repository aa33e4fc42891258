"""The TLS of a server: one context for all its connections, made anew when its files change."""

from __future__ import annotations

import os
import ssl

import msgspec

# RFC 9113 section 9.2.2 forbids everything else of TLS 1.2 to HTTP/2; TLS 1.3 has its own.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ServerTLS(msgspec.Struct, frozen=True):
    """The files of a server's TLS, as absolute paths."""

    cert: str
    """PEM: the certificate, then those between it and the root."""
    key: str
    """PEM, not encrypted."""
    client_ca: str | None = None
    """PEM: authorities one of which must have signed the certificate that every client has to show."""


def server_context(tls: ServerTLS, *, http2: bool = True) -> ssl.SSLContext:
    """A context of TLS 1.2 and 1.3, which offers HTTP/2 (ALPN h2) when ``http2``, and HTTP/1.1.

    Raises OSError for files that cannot be read, ssl.SSLError (an OSError) for what they hold.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    # Renegotiation costs us more than the client (CVE-2011-1473); HTTP/2 forbids it and compression.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # An empty password, or OpenSSL would ask for one on the terminal.
    context.load_cert_chain(tls.cert, tls.key, password="")
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cafile=tls.client_ca)
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    return context


class Certificates:
    """The context that is valid now, and whether its files have changed since."""

    def __init__(self, tls: ServerTLS, *, http2: bool = True) -> None:
        self._tls = tls
        self._http2 = http2
        self._seen = self._look()
        self.context = server_context(tls, http2=http2)

    def changed(self) -> bool:
        """Whether a file is another one than at the last `load`, which a failed one also is: said once."""
        return self._look() != self._seen

    def load(self) -> ssl.SSLContext:
        """Read the files again. Raises OSError; the context stays then what it was."""
        self._seen = self._look()
        self.context = server_context(self._tls, http2=self._http2)
        return self.context

    def _look(self) -> tuple[object, ...]:
        found: list[object] = []
        for path in (self._tls.cert, self._tls.key, self._tls.client_ca):
            if path is not None:
                try:
                    seen = os.stat(path)
                except OSError:
                    found.append(None)
                else:
                    found.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
        return tuple(found)
