"""The listener's certificate: whether its files are there, and whether they fit together."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from .credentials import Credentials, open_to_all
from .problems import Path as KeyPath
from .problems import Report
from .schema import Server
from .settings import TLSSettings

_CERT: KeyPath = ("server", "tls_cert")
_KEY: KeyPath = ("server", "tls_key")
_CLIENT_CA: KeyPath = ("server", "tls_client_ca")


def resolve_tls(server: Server, credentials: Credentials, report: Report) -> TLSSettings | None:
    """The files of `[server]`, read once to see that they can be used; None for clear text, or after a report."""
    cert = _file(server.tls_cert, _CERT, credentials, report)
    key = _file(server.tls_key, _KEY, credentials, report)
    client_ca = _file(server.tls_client_ca, _CLIENT_CA, credentials, report)
    if server.tls_cert is None:
        for path, written in ((_KEY, server.tls_key), (_CLIENT_CA, server.tls_client_ca)):
            if written is not None:
                report.error(path, "there is no tls_cert", 'add tls_cert = "server.pem", or leave it out')
        return None
    if server.tls_key is None and report.accepted(_KEY):
        report.error(_KEY, "missing, and there is a tls_cert", 'add tls_key = "server.key"')
    if client_ca is not None:
        _check_authorities(client_ca, report)
    if cert is None or key is None:
        return None
    _check_pair(cert, key, report)
    if open_to_all(os.stat(key).st_mode):
        report.warn(_KEY, f"every user of this machine can read {key}", f"chmod 600 {key}")
    return TLSSettings(str(cert), str(key), None if client_ca is None else str(client_ca))


def _file(text: str | None, path: KeyPath, credentials: Credentials, report: Report) -> Path | None:
    return None if text is None or not report.accepted(path) else credentials.readable(text, path)


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def _check_authorities(file: Path, report: Report) -> None:
    try:
        _context().load_verify_locations(cafile=str(file))
    except (OSError, ssl.SSLError):
        report.error(_CLIENT_CA, f"{file} holds no certificate", _EXPECTED_CERT)


def _check_pair(cert: Path, key: Path, report: Report) -> None:
    """OpenSSL's own words do not say which of the two files it means, so each is looked at first."""
    try:
        _context().load_verify_locations(cafile=str(cert))
    except (OSError, ssl.SSLError):
        report.error(_CERT, f"{cert} holds no certificate", _EXPECTED_CERT)
        return
    content = key.read_bytes()[:MAX_KEY]
    if b"-----BEGIN " not in content or b"PRIVATE KEY-----" not in content:
        report.error(_KEY, f"{key} holds no key", "expected a PEM file with -----BEGIN PRIVATE KEY-----")
        return
    if b"ENCRYPTED" in content:
        report.error(_KEY, f"{key} is locked with a password", f"openssl pkey -in {key} -out a file without one")
        return
    try:
        # The same call that the server makes, so that both say the same of the same files.
        _context().load_cert_chain(str(cert), str(key), password="")
    except (OSError, ssl.SSLError, ValueError):
        report.error(
            _KEY, f"{key} is not the key of the first certificate in {cert}", "name the two that belong together"
        )


MAX_KEY = 1 << 20
"""Bytes of a key file that are looked at; a key of 16,384 bits is 13 kB."""

_EXPECTED_CERT = "expected a PEM file with -----BEGIN CERTIFICATE-----"
