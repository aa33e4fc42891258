"""`[redis]`: its URL in parts, with the password apart, and the rules for when it is away."""

from __future__ import annotations

import importlib.util
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from .limits_schema import KeyLimits
from .listen import is_loopback
from .problems import Path as KeyPath
from .problems import Report
from .redis_schema import Redis
from .redis_settings import PORT, RedisSettings
from .schema import Config
from .secret import Secret
from .service_url import SOURCES, read_url

_EXAMPLE = 'as in "redis://127.0.0.1:6379/0"'
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
_LIMIT = re.compile(r"(?:\w+_per_minute|max_concurrency|(?:daily|monthly|total)_\w+)$")
"""Fields of keys and projects that limit them."""
MAX_SOCKET_BYTES = 103
"""Longest path of a unix socket: 107 on Linux, 103 on macOS and the BSDs."""


def resolve_redis(config: Config, environ: Mapping[str, str], base: Path, report: Report) -> RedisSettings | None:
    """What ``[redis]`` means, and what of the rest wants it; None where there is no Redis."""
    redis = config.redis
    found = read_url("redis", {name: getattr(redis, name) for name in SOURCES}, environ, base, report)
    if found is None:
        if all(getattr(redis, name) is None for name in SOURCES):
            _check_without(config, report)
        return None
    text, path = found
    parts = _parse(text, path, report)
    if importlib.util.find_spec("coredis") is None:
        report.error(("redis",), "the package coredis is not installed", 'pip install "ferryllm[redis]"')
    if parts is None:
        return None
    return msgspec.structs.replace(
        parts,
        ca_file=_ca_file(redis, parts.tls, base, report),
        prefix=redis.prefix,
        on_failure=redis.on_failure,
        expected_replicas=redis.expected_replicas or config.server.workers,
        deadline_secs=redis.deadline_ms / 1000,
        lease_secs=redis.lease_secs,
    )


def _check_without(config: Config, report: Report) -> None:
    if config.redis != Redis():
        report.warn(("redis",), "not used, because it has no url", "add url, url_env or url_file")
    if config.responses.store == "redis" and report.accepted(("responses", "store")):
        report.error(("responses", "store"), "redis, and there is no [redis]", 'add url = "redis://..." in [redis]')
    workers, path = config.server.workers, ("server", "workers")
    if workers > 1 and _limited(config) and report.accepted(path):
        report.warn(
            path,
            f"each of {workers} processes counts limits, quotas and budgets for itself: together they let through "
            f"{workers} times as much",
            "add [redis], where they count together",
        )


def _limited(config: Config) -> bool:
    """Whether anything limits requests, as far as the configuration tells: keys of a store may."""
    limits = config.limits
    own = (limits.requests_per_minute, limits.tokens_per_minute, limits.max_concurrency)
    if own != (None, None, None) or limits.key != KeyLimits():
        return True
    if any(
        (one.requests_per_minute, one.tokens_per_minute, one.max_concurrency) != (None, None, None)
        for one in config.providers
    ):
        return True
    if not config.auth.enabled:
        return False
    owners = (*config.auth.keys, *config.auth.projects)
    return config.keys.store != "off" or any(
        getattr(owner, field) is not None
        for owner in owners
        for field in owner.__struct_fields__
        if _LIMIT.match(field)
    )


def _parse(text: str, path: KeyPath, report: Report) -> RedisSettings | None:
    # No message quotes the text: it may hold a password.
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError:
        report.error(path, "not a URL", _EXAMPLE)
        return None
    if split.scheme not in ("redis", "rediss", "unix"):
        report.error(path, "expected a URL of redis, rediss or unix", _EXAMPLE)
        return None
    if split.query or split.fragment:
        report.error(path, "a query or a fragment in the URL", "the number of the database is its path, as in /0")
        return None
    username = unquote(split.username) if split.username else None
    password = Secret(unquote(split.password)) if split.password else None
    if split.scheme == "unix":
        return _socket(split, username, password, path, report)
    if not split.hostname or _HOST.fullmatch(split.hostname) is None:
        report.error(path, "no host in the URL", _EXAMPLE)
        return None
    number = split.path.strip("/")
    if port == 0 or (number and not (number.isdecimal() and number.isascii() and len(number) < 6)):
        report.error(path, "port 0, or a path that is not the number of a database", _EXAMPLE)
        return None
    tls = split.scheme == "rediss"
    if password is not None and not tls and not is_loopback(split.hostname):
        report.warn(path, f"the password travels to {split.hostname} unencrypted", "use rediss")
    return RedisSettings(
        split.hostname, port or PORT, db=int(number or 0), username=username, password=password, tls=tls
    )


def _socket(
    split: SplitResult, username: str | None, password: Secret | None, path: KeyPath, report: Report
) -> RedisSettings | None:
    socket = unquote(split.path)
    if not socket.startswith("/") or len(socket.encode()) > MAX_SOCKET_BYTES or "\0" in socket:
        mend = 'as in "unix:///run/redis/redis.sock"'
        report.error(path, f"expected the absolute path of a socket, of {MAX_SOCKET_BYTES} bytes at most", mend)
        return None
    return RedisSettings("", socket=socket, username=username, password=password)


def _ca_file(config: Redis, tls: bool, base: Path, report: Report) -> str | None:
    path: KeyPath = ("redis", "ca_file")
    if config.ca_file is None or not report.accepted(path):
        return None
    if not tls:
        report.warn(path, "not used, because the URL is not rediss", "use rediss, or leave it out")
        return None
    try:
        file = (base / config.ca_file).absolute()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=str(file))
    except (OSError, ValueError):  # ssl.SSLError is an OSError; ValueError: a NUL in the path
        report.error(path, "a file that cannot be read, or holds no certificate", "expected a PEM file")
        return None
    return str(file)
