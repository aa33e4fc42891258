"""The recorded traffic: real exchanges with model APIs, kept outside the project.

``FERRYLLM_SHARED`` names the folder that holds ``recorded/`` and ``clients/``; without it the folder ``shared`` beside
the checkout is tried. Tests that need it skip, and say so, where it is absent.
"""

from __future__ import annotations

import functools
import os
import pathlib
from typing import Any

import msgspec
import pytest

_FILES = {"openai": "openai_chat"}
"""Files that are not called as their dialect."""
_decoder = msgspec.json.Decoder()


def shared() -> pathlib.Path | None:
    """The folder with the recorded data, or None."""
    given = os.environ.get("FERRYLLM_SHARED")
    folder = pathlib.Path(given) if given else pathlib.Path(__file__).resolve().parents[2].parent / "shared"
    return folder if (folder / "recorded").is_dir() else None


def need() -> pathlib.Path:
    """The folder, or skip the test loudly."""
    folder = shared()
    if folder is None:
        pytest.skip("no recorded traffic: set FERRYLLM_SHARED to the folder that holds recorded/ and clients/")
    return folder


@functools.cache
def cases(dialect: str) -> list[dict[str, Any]]:
    """All recorded exchanges of a dialect of ours; fields as in the data's README."""
    lines = (need() / "recorded" / f"{_FILES.get(dialect, dialect)}.jsonl").read_bytes().splitlines()
    return [_decoder.decode(line) for line in lines]


@functools.cache
def client_requests(name: str) -> list[dict[str, Any]]:
    """Requests of a real client (``claude``, ``codex``, ...): method, path, headers, body."""
    lines = (need() / "clients" / f"{name}.jsonl").read_bytes().splitlines()
    return [_decoder.decode(line) for line in lines]
