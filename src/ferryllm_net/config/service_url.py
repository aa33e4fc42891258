"""Where the URL of a service of the gateway's own (Redis, PostgreSQL) comes from: itself, a variable or a file.

It may hold a password, so it is treated as a key is: no message quotes it.
"""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from .problems import Path as KeyPath
from .problems import Report

MAX_BYTES = 4096
"""Most that is read of a file; URLs are below 1 KiB, and a larger file is some other file."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SOURCES = ("url_env", "url_file", "url")


def read_url(
    table: str, given: Mapping[str, str | None], environ: Mapping[str, str], base: Path, report: Report
) -> tuple[str, KeyPath] | None:
    """The URL, and the key it came by; None when there is none, or when a fault was reported.

    ``given`` has what stands in ``[table]`` under `SOURCES`; ``base`` is the folder that a relative path counts from.
    """
    named = [name for name in SOURCES if given.get(name) is not None]
    if not named or not all(report.accepted((table, name)) for name in named):
        return None
    if len(named) > 1:
        report.error((table, named[1]), f"{' and '.join(named)} are set, expected one source of the URL", "keep one")
        return None
    path: KeyPath = (table, named[0])
    value = given[named[0]] or ""
    if named[0] == "url_env":
        text = _variable(value, path, environ, report)
    elif named[0] == "url_file":
        text = _file(value, path, environ, base, report)
    else:
        text = value
    if text is None:
        return None
    if not text.strip():
        report.error(path, "empty", "give a URL, or leave the line out")
        return None
    return text.strip(), path


def _variable(name: str, path: KeyPath, environ: Mapping[str, str], report: Report) -> str | None:
    if _VARIABLE.fullmatch(name) is None:
        # Not quoted: the most frequent reason is that the URL itself stands here.
        report.error(path, "expected the name of an environment variable", "put the URL in a variable and name it here")
        return None
    if name not in environ:
        report.error(path, f"the environment variable {name} is not set", f"set {name} to the URL")
        return None
    return environ[name]


def _file(name: str, path: KeyPath, environ: Mapping[str, str], base: Path, report: Report) -> str | None:
    home = environ.get("HOME") or environ.get("USERPROFILE")
    try:
        file = Path(home, name[2:]) if name.startswith("~/") and home else (base / name).absolute()
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        mode = file.stat().st_mode
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as fault:  # ValueError: a NUL in the path, or no UTF-8
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else "no text, or no path"
        report.error(path, f"the file cannot be read: {reason}", "check the path and its permissions")
        return None
    if len(content) > MAX_BYTES:
        report.error(path, f"the file is larger than {MAX_BYTES} bytes", "the file holds the URL alone")
        return None
    if sys.platform != "win32" and mode & stat.S_IROTH:
        report.warn(path, f"every user of this machine can read {file}", f"chmod 600 {file}")
    return text
