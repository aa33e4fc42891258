"""`[postgres]`: its URL, checked, with a name for messages that has no password in it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .listen import is_loopback
from .postgres_schema import Postgres
from .postgres_settings import PostgresSettings
from .problems import Path as KeyPath
from .problems import Report
from .secret import Secret
from .service_url import SOURCES, read_url

_EXAMPLE = 'as in "postgresql://user:password@127.0.0.1:5432/ferryllm"'


def resolve_postgres(
    config: Postgres, environ: Mapping[str, str], base: Path, report: Report, *, trio: bool = False
) -> PostgresSettings | None:
    """What ``config`` means; None where there is no PostgreSQL. ``trio``: whether the gateway runs on it."""
    found = read_url("postgres", {name: getattr(config, name) for name in SOURCES}, environ, base, report)
    if found is None:
        if all(getattr(config, name) is None for name in SOURCES) and config != Postgres():
            report.warn(("postgres",), "not used, because it has no url", "add url, url_env or url_file")
        return None
    for package, wanted in (("asyncpg", True), ("trio_asyncio", trio)):
        if wanted and importlib.util.find_spec(package) is None:
            name = package.replace("_", "-")
            report.error(("postgres",), f"the package {name} is not installed", 'pip install "ferryllm[postgres]"')
    text, path = found
    place = _place(text, path, report)
    return None if place is None else PostgresSettings(Secret(text), place, config.pool, config.prepared)


def _place(text: str, path: KeyPath, report: Report) -> str | None:
    # No message quotes the text: it may hold a password.
    try:
        split = urlsplit(text)
        query = parse_qs(split.query)
        hosts = split.netloc.rpartition("@")[2] or ",".join(query.get("host", []))
        one = split.hostname if "," not in hosts else None
    except ValueError:
        report.error(path, "not a URL", _EXAMPLE)
        return None
    if split.scheme not in ("postgresql", "postgres"):
        report.error(path, "expected a URL of postgresql", _EXAMPLE)
        return None
    if not split.path.strip("/") and "dbname" not in query:
        report.error(path, "no database in the URL", _EXAMPLE)
        return None
    if not hosts or not hosts.isprintable():
        report.error(path, "no host in the URL", f'{_EXAMPLE}; a unix socket as "postgresql:///ferryllm?host=/run/..."')
        return None
    if one and split.password and not is_loopback(one) and query.get("sslmode", ["prefer"])[-1] in _WITHOUT_PROOF:
        report.warn(path, f"the password may travel to {one} unencrypted", "add ?sslmode=verify-full")
    return f"{hosts}/{split.path.strip('/') or query['dbname'][-1]}"


_WITHOUT_PROOF = ("disable", "allow", "prefer")
"""Values of sslmode that do without TLS where the server has none (libpq, "SSL Support")."""
