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

    ``flags`` are those of `load_settings`; they count again at every load.
    """

    def __init__(self, path: Path | None, environ: Mapping[str, str], **flags: Any) -> None:
        self.path = path
        self._environ = environ
        self._flags = command_line(**flags)
        self._loaded: Loaded | None = None

    def load(self) -> Settings:
        """Read everything. Raises ConfigError; what was read before then goes on counting for `refresh`."""
        if self.path is None:
            self._loaded = load_environment(self._environ, self._flags)
        else:
            self._loaded = load_file(self.path, self._environ, self._flags)
        return self._loaded.settings

    def refresh(self, current: Settings) -> tuple[Settings, tuple[Problem, ...]]:
        """``current`` with the providers' keys read again, and nothing else; what is wrong with those that could not be
        read, whose providers are as they were. Only after a `load`."""
        assert self._loaded is not None
        found = self._loaded.refresh(current.providers)
        files = (*(one for one in current.files if not one.keys), *(one for one in found.files if one.keys))
        return msgspec.structs.replace(current, providers=found.providers, files=files), found.problems
