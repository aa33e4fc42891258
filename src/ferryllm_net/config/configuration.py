"""One configuration that is read again while the gateway runs: the whole of it, or the providers' keys alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .load import Loaded, command_line, load_environment, load_file
from .problems import Problem
from .settings import Settings


class Configuration:
    """Where settings come from. ``path`` None: the environment alone, which does not change while a process lives.

    ``flags`` are those of `load_settings`; they count again at every load. ``text`` is what the first load takes in
    place of what the file holds then: a worker begins with what its parent serves.
    """

    def __init__(self, path: Path | None, environ: Mapping[str, str], *, text: str | None = None, **flags: Any) -> None:
        self.path = path
        self._given = text
        self._environ = environ
        self._flags = command_line(**flags)
        self._loaded: Loaded | None = None

    def load(self) -> Settings:
        """Read everything. Raises ConfigError; what was read before then goes on counting for `refresh`."""
        if self.path is None:
            self._loaded = load_environment(self._environ, self._flags)
        else:
            given, self._given = self._given, None
            self._loaded = load_file(self.path, self._environ, self._flags, given)
        return self._loaded.settings

    @property
    def text(self) -> str | None:
        """The file as it was when it was last loaded well; None where there is none."""
        return None if self._loaded is None else self._loaded.text

    def refresh(self, current: Settings) -> tuple[Settings, tuple[Problem, ...]]:
        """``current`` with the providers' keys read again, and nothing else; what is wrong with those that could not be
        read, whose providers are as they were. Only after a `load`."""
        assert self._loaded is not None
        found = self._loaded.refresh(current.providers)
        files = (*(one for one in current.files if not one.keys), *(one for one in found.files if one.keys))
        return msgspec.structs.replace(current, providers=found.providers, files=files), found.problems
