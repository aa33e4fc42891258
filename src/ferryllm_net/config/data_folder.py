"""Where the gateway keeps its own files when the configuration names no place: the user's data folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def data_folder(environ: Mapping[str, str], platform: str = sys.platform) -> Path | None:
    """The folder for files of this gateway, whether or not it is there; None where the environment tells of none.

    ``STATE_DIRECTORY`` is systemd's (systemd.exec(5), StateDirectory=); of several the first counts. Then the place of
    the platform, as the XDG base directory specification, Apple and Microsoft have it.
    """
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if state and Path(state).is_absolute():
        return Path(state)
    data = environ.get("XDG_DATA_HOME", "")
    if data and Path(data).is_absolute():  # the XDG specification: relative ones are ignored
        return Path(data, "ferryllm")
    if platform == "win32":
        local = environ.get("LOCALAPPDATA") or environ.get("APPDATA")
        return Path(local, "ferryllm") if local else None
    home = environ.get("HOME")
    if not home or not Path(home).is_absolute():
        return None
    if platform == "darwin":
        return Path(home, "Library", "Application Support", "ferryllm")
    return Path(home, ".local", "share", "ferryllm")


def make_folder(folder: Path) -> None:
    """Make ``folder`` and what is missing above it, open to its owner alone. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
