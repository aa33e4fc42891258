"""`[metrics]`, `[audit]` and `[request_log]`, checked: their files can be written, their rules are compiled."""

from __future__ import annotations

import os
from pathlib import Path

from ferryllm_proto.policy.transforms import Find, Substitute

from .problems import Path as KeyPath
from .problems import Report
from .telemetry_schema import Audit, Metrics, Redact, RequestLog
from .telemetry_settings import FileSettings, MetricsSettings, RequestLogSettings

_MIB = 1 << 20


def resolve_metrics(config: Metrics, report: Report) -> MetricsSettings:
    """What ``config`` means."""
    if config.public and not config.enabled and report.accepted(("metrics", "public")):
        report.warn(("metrics", "public"), "not used, because metrics.enabled is false", "set enabled = true")
    return MetricsSettings(config.enabled, config.public, config.keys)


def resolve_audit(config: Audit, base: Path, report: Report) -> FileSettings | None:
    """None where there is no audit log."""
    if config.path is None:
        _warn_unused("audit", config, Audit(), report)
        return None
    path = _file(config.path, ("audit", "path"), base, report)
    if path is None:
        return None
    return FileSettings(path, None if config.max_mb is None else config.max_mb * _MIB, config.keep_files)


def resolve_request_log(config: RequestLog, base: Path, report: Report) -> RequestLogSettings | None:
    """None where there is no log of requests."""
    if config.path is None:
        _warn_unused("request_log", config, RequestLog(), report)
        return None
    paths: list[tuple[Find, str]] = []
    patterns: list[Substitute] = []
    for index, one in enumerate(config.redact):
        _rule(one, ("request_log", "redact", index), paths, patterns, report)
    if not config.parts and report.accepted(("request_log", "parts")):
        report.warn(
            ("request_log", "parts"), "empty: lines tell no more than the log does", "name some, or leave it out"
        )
    path = _file(config.path, ("request_log", "path"), base, report)
    if path is None:
        return None
    return RequestLogSettings(
        FileSettings(path, config.max_mb * _MIB, config.keep_files),
        config.sample,
        config.errors_only,
        frozenset(config.parts),
        config.max_body_kb * 1024,
        frozenset(name.strip().lower() for name in config.redact_headers),
        tuple(paths),
        tuple(patterns),
    )


def _rule(one: Redact, at: KeyPath, paths: list[tuple[Find, str]], patterns: list[Substitute], report: Report) -> None:
    if not report.accepted(at):
        return
    if (one.path is None) == (one.pattern is None):
        report.error(at, "expected either path or pattern", 'as in path = "$.messages[*].content"')
        return
    from .transforms import compile_pattern, compile_query  # and with it, engines that most gateways never need

    if one.path is not None:
        find = compile_query(one.path, (*at, "path"), report)
        if find is not None:
            paths.append((find, one.replacement))
    elif one.pattern is not None:
        substitute = compile_pattern(one.pattern, one.replacement, at, report)
        if substitute is not None:
            patterns.append(substitute)


def _warn_unused(table: str, found: object, default: object, report: Report) -> None:
    if found != default:
        report.warn((table,), "not used, because it has no path", f'add path = "{table}.jsonl"')


def _file(text: str, at: KeyPath, base: Path, report: Report) -> str | None:
    """The whole path, where a file can be appended to there; else None, after a report."""
    if not report.accepted(at):
        return None
    path = base / text
    if not text.strip() or "\0" in text:
        report.error(at, "no file can have this name", "name a file")
        return None
    try:
        folder, there, regular = path.parent.is_dir(), path.exists(), path.is_file()
    except OSError:
        folder = there = regular = False
    if not folder:
        report.error(at, f"there is no folder {path.parent}", "make it, or name another one")
    elif there and not regular:
        report.error(at, f"{path} is no file", "name a file")
    elif not os.access(path if there else path.parent, os.W_OK):
        report.error(at, f"{path} cannot be written", "check the permissions")
    else:
        return str(path.absolute())
    return None
