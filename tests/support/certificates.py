"""Certificates of an authority made for one test, as the files a server is given."""

from __future__ import annotations

import ssl
from pathlib import Path

import msgspec
import trustme


class Files(msgspec.Struct):
    """Paths."""

    ca: str
    cert: str
    key: str


def write(folder: Path, ca: trustme.CA | None = None, *, host: str = "127.0.0.1") -> Files:
    """A certificate for ``host``, its key and its authority in ``folder``; files that are there are replaced."""
    ca = ca or trustme.CA()
    issued = ca.issue_cert(host)
    files = Files(*(str(folder / name) for name in ("ca.pem", "server.pem", "server.key")))
    ca.cert_pem.write_to_path(files.ca)
    Path(files.cert).write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(files.key)
    Path(files.key).chmod(0o600)
    return files


def client_context(files: Files, *alpn: str) -> ssl.SSLContext:
    """A client that trusts the authority and offers ``alpn``."""
    context = ssl.create_default_context(cafile=files.ca)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
