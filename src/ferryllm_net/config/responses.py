"""Where responses are kept, as `[responses]` says it: checked together, with the path made whole."""

from __future__ import annotations

import os
from pathlib import Path

from .problems import Report
from .schema import Responses
from .settings import ResponsesSettings


def resolve_responses(config: Responses, base: Path, report: Report) -> ResponsesSettings:
    """What `config` means; `base` is the folder that a relative path counts from. Faults go to `report`."""
    path: str | None = None
    if config.store == "sqlite" and report.accepted(("responses", "path")):
        if not (config.path or "").strip():
            report.error(
                ("responses", "path"), "missing: sqlite keeps responses in a file", 'add path = "responses.db"'
            )
        else:
            path = _file(base / str(config.path), report)
    elif config.path is not None and config.store != "sqlite":
        report.warn(("responses", "path"), f'not used, because store is "{config.store}"', 'write store = "sqlite"')
    return ResponsesSettings(config.store, path, config.ttl_secs, config.max_mb * 1024 * 1024)


def _file(path: Path, report: Report) -> str | None:
    folder = path.parent
    try:
        is_folder, is_file, is_there = folder.is_dir(), path.is_file(), path.exists()
    except OSError:
        is_folder = is_file = is_there = False
    if "\0" in str(path):
        report.error(("responses", "path"), "no file can have this name", "name a file")
    elif is_there and not is_file:
        report.error(("responses", "path"), f"{path} is no file", "name a file")
    elif not is_folder:
        report.error(("responses", "path"), f"there is no folder {folder}", "make it, or name another one")
    elif not os.access(path if is_file else folder, os.W_OK):
        report.error(("responses", "path"), f"{path} cannot be written", "check the permissions")
    else:
        return str(path)
    return None
