"""The user's data folder, as each platform has it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ferryllm_net.config.data_folder import data_folder, make_folder


@pytest.mark.parametrize(
    ("environ", "platform", "folder"),
    [
        ({"HOME": "/h"}, "linux", "/h/.local/share/ferryllm"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/d"}, "linux", "/d/ferryllm"),
        ({"HOME": "/h", "XDG_DATA_HOME": "d"}, "linux", "/h/.local/share/ferryllm"),
        ({"HOME": "/h", "STATE_DIRECTORY": "/var/lib/ferryllm:/var/lib/b"}, "linux", "/var/lib/ferryllm"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Application Support/ferryllm"),
        ({"LOCALAPPDATA": "/l", "HOME": "/h"}, "win32", "/l/ferryllm"),
        ({}, "win32", None),
        ({}, "linux", None),
        ({"HOME": "h"}, "linux", None),
    ],
)
def test_folders(environ: dict[str, str], platform: str, folder: str | None) -> None:
    assert data_folder(environ, platform) == (None if folder is None else Path(folder))


def test_a_folder_is_made_for_its_owner(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
