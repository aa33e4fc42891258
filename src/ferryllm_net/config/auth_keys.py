"""Who may use the gateway, as `[auth]`, `[keys]` and `[admin]` say it: secrets read, names and bounds checked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ferryllm_net.keys.bounds import NAMES, Bounds, is_cost, limits, nanos, quotas
from ferryllm_net.keys.times import parse_date
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import ClientKey, Project
from ferryllm_proto.routing.patterns import PatternError, glob

from .auth_schema import Admin, AuthKey, AuthProject
from .auth_settings import AdminSettings, AuthSettings, KeysSettings
from .credentials import Credentials
from .data_folder import data_folder
from .problems import Path as KeyPath
from .problems import Report, nearest
from .schema import Config
from .secret import Secret
from .service_url import SOURCES

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SOURCES = ("key_env", "key_file", "key_sha256")
_TAKEN = ("fy-", "key_", "env-")
"""How keys, ids of the store and ids of the environment's keys begin."""
MIN_ADMIN_KEY = 20
"""Characters of an admin key: whoever has it makes keys for everything, so it may not be a word."""


def resolve_auth(config: Config, credentials: Credentials, report: Report) -> AuthSettings:
    """The keys that open the gateway, as far as ``config`` has them. Faults go to ``report``."""
    auth = config.auth
    secrets = credentials.client_keys(auth, others=bool(auth.keys) or config.keys.store != "off")
    known: dict[bytes, str] = {}
    for number, secret in enumerate(secrets, 1):
        known[key_digest(secret.reveal())] = f"key {number} of {auth.api_keys_env}"
    if not auth.enabled:
        if auth.keys and report.accepted(("auth", "enabled")):
            report.warn(("auth", "keys"), "not used, because auth.enabled is false", "set auth.enabled = true")
        return AuthSettings(False, secrets)
    projects = _projects(auth.projects, report)
    providers = [provider.name for provider in config.providers if provider.name]
    named = [_key(key, ("auth", "keys", n), credentials, providers, report) for n, key in enumerate(auth.keys)]
    _check_names(("auth", "keys"), [key.name for key in auth.keys], report)
    for n, key in enumerate(named):
        if key is None:
            continue
        if key.digest in known:
            report.error(("auth", "keys", n), f"the same key as {known[key.digest]}", "every key is one client's")
        known.setdefault(key.digest, f'auth.keys[{n}] "{key.name}"')
    return AuthSettings(auth.enabled, secrets, tuple(key for key in named if key is not None), projects)


def resolve_keys(whole: Config, environ: Mapping[str, str], base: Path, report: Report) -> KeysSettings:
    """The store of keys; ``base`` is the folder that relative paths count from."""
    config, at = whole.keys, ("keys", "path")
    if config.store != "off" and not whole.auth.enabled and report.accepted(("auth", "enabled")):
        report.warn(("keys", "store"), "nobody is asked for a key: auth.enabled is false", "set auth.enabled = true")
    if config.store == "postgres" and all(getattr(whole.postgres, name) is None for name in SOURCES):
        report.error(("keys", "store"), "there is no PostgreSQL", 'add [postgres] with its url, or write "sqlite"')
    if config.store != "sqlite":
        if config.path is not None and report.accepted(at):
            report.warn(at, f'not used, because store is "{config.store}"', 'write store = "sqlite"')
        return KeysSettings(config.store)
    if not report.accepted(at):
        return KeysSettings("sqlite")
    if config.path is not None:
        if not config.path.strip():
            report.error(at, "empty", 'name a file, as in path = "keys.db", or leave it out')
            return KeysSettings("sqlite")
        return KeysSettings("sqlite", _file((base / config.path).absolute(), at, report))
    folder = data_folder(environ)
    if folder is None:
        report.error(("keys", "store"), "no folder for its file: HOME is not set", 'add path = "keys.db"')
        return KeysSettings("sqlite")
    return KeysSettings("sqlite", str(folder / "keys.db"))  # the folder is made when the store is opened


def resolve_admin(
    config: Admin, store: str, auth: AuthSettings, credentials: Credentials, report: Report
) -> AdminSettings:
    """The admin API. Its key may not be a client's."""
    if not config.enabled:
        for name in ("key_env", "key_file"):
            if getattr(config, name) is not None and report.accepted(("admin", "enabled")):
                report.warn(("admin", name), "not used, because admin.enabled is false", "set admin.enabled = true")
        return AdminSettings()
    at: KeyPath = ("admin", "key_file" if config.key_file is not None else "key_env")
    key = _secret(config.key_env, config.key_file, ("admin",), credentials, report)
    if key is None:
        if config.key_env is None and config.key_file is None and report.accepted(at):
            report.error(at, "missing, and admin.enabled is true", 'name the variable with its key: key_env = "..."')
        return AdminSettings(enabled=True)
    if len(key.reveal()) < MIN_ADMIN_KEY:
        report.error(at, f"the admin key is shorter than {MIN_ADMIN_KEY} characters", "make it long and random")
    digest = key_digest(key.reveal())
    if digest in {one.digest for one in auth.named} or any(one == key for one in auth.keys):
        report.error(at, "the admin key is a client's key too", "give the admin API a key of its own")
    if store == "off" and report.accepted(("keys", "store")):
        report.error(("admin", "enabled"), "there is no store of keys to work on", 'add store = "sqlite" in [keys]')
    return AdminSettings(enabled=True, digest=digest)


def _projects(found: Sequence[AuthProject], report: Report) -> tuple[Project, ...]:
    _check_names(("auth", "projects"), [project.name for project in found], report)
    out = []
    for project in found:
        own = _bounds(project)
        out.append(Project(project.name, limits(own), quotas(own)))
    return tuple(out)


def _key(
    found: AuthKey, path: KeyPath, credentials: Credentials, providers: Sequence[str], report: Report
) -> ClientKey | None:
    own = _bounds(found)
    digest = _digest(found, path, credentials, report)
    for n, model in enumerate(found.models):
        try:
            glob(model)
        except PatternError as exc:
            report.error((*path, "models", n), str(exc), "see the patterns of routes")
    for n, provider in enumerate(found.providers):
        if provider not in providers:
            near = nearest(provider, providers)
            mend = f'did you mean "{near}"?' if near else "name one of [[providers]]"
            report.error((*path, "providers", n), f'no provider is called "{provider}"', mend)
    expires = None
    if found.expires is not None and report.accepted((*path, "expires")):
        try:
            expires = parse_date(found.expires)
        except ValueError as exc:
            report.error((*path, "expires"), str(exc))
    if digest is None:
        return None
    return ClientKey(
        found.name,
        digest,
        found.name,
        found.user,
        found.project,
        found.models,
        found.providers,
        limits(own),
        quotas(own),
        found.unpriced,
        expires,
    )


def _digest(found: AuthKey, path: KeyPath, credentials: Credentials, report: Report) -> bytes | None:
    named = [name for name in _SOURCES if getattr(found, name) is not None]
    if len(named) != 1:
        if not all(report.accepted((*path, name)) for name in _SOURCES):
            return None
        what = f"{' and '.join(named)} are set" if named else "no source of the key"
        report.error((*path, *named[1:2]), f"{what}, expected one of {', '.join(_SOURCES)}", "keep one of them")
        return None
    if found.key_sha256 is not None:
        if not report.accepted((*path, "key_sha256")):
            return None
        if _SHA256.fullmatch(found.key_sha256.strip()) is None:
            # Not quoted: it may be the key itself.
            report.error((*path, "key_sha256"), "expected 64 hex digits", "printf %s KEY | sha256sum makes them")
            return None
        return bytes.fromhex(found.key_sha256.strip())
    secret = _secret(found.key_env, found.key_file, path, credentials, report)
    return None if secret is None else key_digest(secret.reveal())


def _secret(
    variable: str | None, file: str | None, path: KeyPath, credentials: Credentials, report: Report
) -> Secret | None:
    if variable is not None and file is not None:
        report.error((*path, "key_file"), "key_env and key_file are set, expected one source of the key", "keep one")
        return None
    return credentials.key_of(variable, file, path)


def _bounds(found: AuthKey | AuthProject) -> Bounds:
    given = {name: getattr(found, name, None) for name in NAMES}
    return Bounds(
        **{
            # More decimals than nano-dollars have mean nothing.
            name: nanos(name, f"{value:.9f}") if is_cost(name) else value
            for name, value in given.items()
            if value is not None
        }
    )


def _check_names(path: KeyPath, names: Iterable[str], report: Report) -> None:
    first: dict[str, int] = {}
    for n, name in enumerate(names):
        at = (*path, n, "name")
        if not report.accepted(at):
            continue
        if not name or name != name.strip() or len(name) > 100 or not name.isprintable():
            report.error(at, "expected 1 to 100 characters without spaces around them", "give it a name of its own")
        elif name.startswith(_TAKEN):
            report.error(at, f"begins as keys and ids do ({', '.join(_TAKEN)})", "name it otherwise")
        elif name in first:
            report.error(at, f'a second one called "{name}"; the first is number {first[name]}', "name it otherwise")
        first.setdefault(name, n)


def _file(path: Path, at: KeyPath, report: Report) -> str | None:
    folder = path.parent
    try:
        is_folder, is_file, is_there = folder.is_dir(), path.is_file(), path.exists()
    except (OSError, ValueError):  # ValueError: a NUL in the path
        is_folder = is_file = is_there = False
    if "\0" in str(path):
        report.error(at, "no file can have this name", "name a file")
    elif is_there and not is_file:
        report.error(at, f"{path} is no file", "name a file")
    elif not is_folder:
        report.error(at, f"there is no folder {folder}", "make it, or name another one")
    elif not os.access(path if is_file else folder, os.W_OK):
        report.error(at, f"{path} cannot be written", "check the permissions")
    else:
        return str(path)
    return None
