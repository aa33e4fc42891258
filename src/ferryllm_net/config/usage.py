"""The usage hooks of the configuration: their places read, their secrets found, checked together."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .credentials import Credentials
from .hidden_url import read_hidden_url
from .problems import Path as KeyPath
from .problems import Report, nearest
from .usage_schema import Usage, UsageHook
from .usage_settings import HiddenUrl, HookSettings

GROUP = "ferryllm.usage_hooks"
"""Of Python entry points."""
_KINDS = ("url", "command", "entry_point")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""It becomes a part of a file's name."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def resolve_hooks(
    config: Usage, environ: Mapping[str, str], credentials: Credentials, report: Report
) -> tuple[HookSettings, ...]:
    """What `[[usage.hooks]]` means. Faults go to `report`."""
    found: list[HookSettings] = []
    first: dict[str, int] = {}
    for index, hook in enumerate(config.hooks):
        path: KeyPath = ("usage", "hooks", index)
        settings = _hook(hook, index, path, environ, credentials, report)
        if settings is None:
            continue
        if settings.name in first:
            at = (*path, "name")
            report.error(at, f"hooks[{first[settings.name]}] has the same name", "give each hook a name of its own")
        first.setdefault(settings.name, index)
        found.append(settings)
    return tuple(found)


def _hook(
    hook: UsageHook,
    index: int,
    path: KeyPath,
    environ: Mapping[str, str],
    credentials: Credentials,
    report: Report,
) -> HookSettings | None:
    kinds = [kind for kind in _KINDS if getattr(hook, kind)]
    if not all(report.accepted((*path, kind)) for kind in _KINDS):
        return None
    if len(kinds) != 1:
        what = "none of url, command and entry_point" if not kinds else f"{' and '.join(kinds)} in one hook"
        report.error(path, what, "give each hook exactly one of them")
        return None
    (kind,) = kinds
    name = hook.name or f"{kind.replace('_', '-')}-{index + 1}"
    if _NAME.fullmatch(name) is None and report.accepted((*path, "name")):
        report.error((*path, "name"), "expected up to 64 letters, digits and -._", 'as in "billing"')
    for key, owner in (("secret_env", "url"), ("ca_file", "url"), ("env", "command")):
        if getattr(hook, key) and kind != owner:
            report.warn((*path, key), f"not used, because this is a hook of {kind}", "leave it out")
    url = _url(hook, path, environ, credentials, report) if kind == "url" else None
    if kind == "url" and url is None:
        return None
    secret = None
    if kind == "url" and hook.secret_env is not None:
        secret = credentials.secret_of(hook.secret_env, (*path, "secret_env"))
    if kind == "command":
        _check_command(hook, environ, path, report)
    if kind == "entry_point":
        _check_entry_point(hook.entry_point or "", path, report)
    return HookSettings(
        name,
        url,
        secret,
        hook.command,
        hook.env,
        hook.entry_point,
        hook.timeout_secs,
        hook.retries,
        min(hook.batch, hook.queue),
        hook.flush_secs,
        hook.queue,
    )


def _url(
    hook: UsageHook, path: KeyPath, environ: Mapping[str, str], credentials: Credentials, report: Report
) -> HiddenUrl | None:
    url = read_hidden_url(
        hook.url or "",
        (*path, "url"),
        environ,
        report,
        carries="usage travels to",
        example='as in "https://usage.example.com/ferryllm"',
        mend="name the variable of a secret in secret_env",
    )
    if url is None:
        return None
    return msgspec.structs.replace(url, ca_file=_ca_file(hook, url.scheme, path, credentials, report))


def _ca_file(hook: UsageHook, scheme: str, path: KeyPath, credentials: Credentials, report: Report) -> str | None:
    at = (*path, "ca_file")
    if hook.ca_file is None or not report.accepted(at):
        return None
    if scheme != "https":
        report.warn(at, "not used, because the URL is http", "use https, or leave it out")
        return None
    file = credentials.readable(hook.ca_file, at)
    if file is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=str(file))
    except (OSError, ssl.SSLError):
        report.error(at, f"{file} holds no certificate", "expected a PEM file with -----BEGIN CERTIFICATE-----")
        return None
    return str(file)


def _check_command(hook: UsageHook, environ: Mapping[str, str], path: KeyPath, report: Report) -> None:
    import shutil  # with three libraries of compression; few have hooks

    program = hook.command[0]
    at = (*path, "command")
    if not program.strip() or any("\0" in part for part in hook.command):
        report.error(at, "the program has no name, or a part has a NUL", 'as in ["/usr/local/bin/bill", "--stdin"]')
    elif len(hook.command) == 1 and " " in program and not Path(program).exists():
        report.error(at, "one text with spaces, and no shell cuts it", f"write {program.split()!r}".replace("'", '"'))
    elif shutil.which(program, path=environ.get("PATH")) is None:
        shown = f"there is no program {program}" if program.isprintable() else "there is no such program"
        report.error(at, f"{shown}, or it may not be run", "check path and permissions, or install it")
    for name in hook.env:
        if _VARIABLE.fullmatch(name) is None and report.accepted((*path, "env")):
            report.error((*path, "env"), "expected names of environment variables", 'as in ["BILLING_TOKEN"]')


def _check_entry_point(name: str, path: KeyPath, report: Report) -> None:
    """That it is installed: what it is, shows when it is loaded."""
    from importlib.metadata import entry_points

    known = sorted(entry_points(group=GROUP).names)
    if name not in known:
        near = nearest(name, known)
        there = ", ".join(known) or "none"
        report.error(
            (*path, "entry_point"),
            f"no installed package has it in the group {GROUP}; there are: {there}",
            f'did you mean "{near}"?' if near else "install the package that has it",
        )
