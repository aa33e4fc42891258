"""URLs of http and https that may hold a secret in path or query. No message quotes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from .listen import is_loopback
from .problems import Path as KeyPath
from .problems import Report
from .proxy import resolve_proxy
from .secret import Secret
from .usage_settings import HiddenUrl

_VISIBLE = re.compile(r"[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
MIN_KEY = 16
"""Characters of a part of a path from which on it may be a key: services' have 20 and more."""


def read_hidden_url(
    text: str, at: KeyPath, environ: Mapping[str, str], report: Report, *, carries: str, example: str, mend: str
) -> HiddenUrl | None:
    """The URL ``text``, which stands at ``at``; None after a report.

    ``carries`` begins the warning where it is not encrypted, before the name of the host; ``example`` shows such a URL;
    ``mend`` is for one with a password in it.
    """
    text = text.strip()
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError:
        report.error(at, "not a URL", example)
        return None
    if _VISIBLE.fullmatch(text) is None or split.scheme not in ("http", "https"):
        report.error(at, "expected a URL of http or https", example)
        return None
    if split.username is not None or split.password is not None or split.fragment:
        report.error(at, "a name, a password or a fragment in the URL", mend)
        return None
    if not split.hostname or _HOST.fullmatch(split.hostname) is None or port == 0:
        report.error(at, "no host in the URL, or port 0", example)
        return None
    if split.scheme == "http" and not is_loopback(split.hostname):
        report.warn(at, f"{carries} {split.hostname} unencrypted", "use https")
    target, hidden = split.path or "/", None
    if split.query or any(len(part) >= MIN_KEY for part in target.split("/")):
        target, hidden = "/", Secret(target + (f"?{split.query}" if split.query else ""))
    port = port or (443 if split.scheme == "https" else 80)
    proxy = resolve_proxy(None, split.scheme, split.hostname, port, environ, at[:-1], report)
    return HiddenUrl("https" if split.scheme == "https" else "http", split.hostname, port, target, hidden, None, proxy)
