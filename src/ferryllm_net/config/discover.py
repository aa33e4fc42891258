"""Which configuration file is used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

NAMES = ("ferryllm.toml", "ferryllm.yaml", "ferryllm.yml", "ferryllm.json")
"""The first that is there counts."""


def find_config(
    explicit: str | None, environ: Mapping[str, str], cwd: Path, platform: str = sys.platform
) -> Path | None:
    """The configuration file to use, or None when there is none.

    `explicit` (from --config), then FERRYLLM_CONFIG, whether or not the file exists: whoever names a file wants
    that one. Then the first that exists of `cwd`/ferryllm.toml (.yaml, .yml, .json) and those in the user's
    configuration folders.
    """
    named = explicit or environ.get("FERRYLLM_CONFIG")
    if named:
        return Path(named)
    for name in NAMES:
        local = cwd / name
        if _exists(local):
            # As the user would write it: messages show this path.
            return Path(name) if cwd == Path.cwd() else local
    return next(filter(_exists, _user_files(environ, platform)), None)


def _user_files(environ: Mapping[str, str], platform: str) -> list[Path]:
    folders = []
    if environ.get("XDG_CONFIG_HOME"):
        folders.append(Path(environ["XDG_CONFIG_HOME"]))
    elif environ.get("HOME"):
        folders.append(Path(environ["HOME"], ".config"))
    if platform == "darwin" and environ.get("HOME"):
        folders.append(Path(environ["HOME"], "Library", "Application Support"))
    if platform == "win32" and environ.get("APPDATA"):
        folders.append(Path(environ["APPDATA"]))
    # The XDG specification: "All paths [...] must be absolute. [...] relative [...] ignore it."
    return [folder / "ferryllm" / name for folder in folders if folder.is_absolute() for name in NAMES]


def _exists(file: Path) -> bool:
    try:
        return file.is_file()
    except (OSError, ValueError):
        return False
