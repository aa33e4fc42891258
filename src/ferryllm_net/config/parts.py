"""Some tables of a configuration without the rest: for commands that work on a store while the gateway runs elsewhere.

Whoever asks for usage or makes a key has the stores' secrets at hand, and often not those of the providers; a file that
is wrong somewhere else does not keep him from it either.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from .formats import FormatFault, read
from .given import Overrides, substitute
from .load import read_failed, read_text
from .problems import Path as KeyPath
from .problems import Report, key_text
from .schema import Config
from .validate import validate


class Parts(msgspec.Struct, frozen=True):
    """A configuration in which the tables that were asked for are checked, and all others are as if nobody had
    written them. Resolve what is needed of it, then call `Report.raise_errors`."""

    config: Config
    report: Report
    base: Path
    """The folder that relative paths count from."""


def load_parts(path: Path | None, environ: Mapping[str, str], tables: Collection[str]) -> Parts:
    """The tables named ``tables`` of the file at ``path``, and of the environment, which goes before it.

    Raises ConfigError where the file can not be read.
    """
    overrides = Overrides(environ)
    document: dict[str, object] = {}
    places = None
    if path is not None:
        try:
            document, places = read(read_text(path), path.name)
        except FormatFault as fault:
            raise read_failed(path, fault.line, str(fault), fault.mend) from None

    def locate(key: KeyPath) -> tuple[str, int | None, str]:
        variable = overrides.variable(key)
        if variable is not None or places is None:
            return "environment", None, variable or key_text(key)
        return str(path), places.line(key), key_text(key)

    report = Report(locate)
    document = substitute({key: value for key, value in document.items() if key in tables}, environ, report)
    document = overrides.apply(document, report)
    config = validate({key: value for key, value in document.items() if key in tables}, report)
    return Parts(config, report, Path.cwd() if path is None else path.absolute().parent)
