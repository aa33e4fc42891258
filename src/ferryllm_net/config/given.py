"""Texts that came from the environment: references in the file, and variables that stand over its keys.

A text from there has no type yet, so the field it goes to says how it is read; and it may be a secret, so no message
quotes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .problems import Path, Report

PREFIX = "FERRYLLM_"

MAX_DEPTH = 64
"""Tables and arrays within each other that are looked into; no key of the schema stands deeper than eight."""

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")
_KEY = re.compile(r"[A-Z0-9_]+")


class Given(str):
    """A text from the environment."""

    __slots__ = ()


def substitute(document: dict[str, object], environ: Mapping[str, str], report: Report) -> dict[str, object]:
    """``document`` with every ``${NAME}`` and ``${NAME:-default}`` in its texts replaced by what ``environ`` has.

    The default counts where the variable is missing or empty, as in shells; ``$${`` stands for ``${`` itself. What can
    not be replaced goes to ``report``, with file, key and variable, and leaves an empty text.
    """

    def value(found: object, path: Path) -> object:
        if len(path) > MAX_DEPTH:
            return found
        if isinstance(found, str):
            return _text(found, environ, path, report) if "$" in found else found
        if isinstance(found, dict):
            return {key: value(inner, (*path, key)) for key, inner in found.items()}
        if isinstance(found, list):
            return [value(inner, (*path, n)) for n, inner in enumerate(found)]
        return found

    return {key: value(inner, (key,)) for key, inner in document.items()}


def _text(text: str, environ: Mapping[str, str], path: Path, report: Report) -> str:
    taken = False

    def replace(found: re.Match[str]) -> str:
        nonlocal taken
        if found[0] == "$${":
            return "${"
        name, default = found["name"], found["default"]
        if name is None:
            report.error(
                path, "${ without the end of a reference", "write ${NAME} or ${NAME:-default}; $${ is ${ itself"
            )
            return ""
        value = environ.get(name)
        taken = True
        if value is None or (default is not None and not value):
            if default is None:
                report.error(
                    path, f"the environment variable {name} is not set", f"set {name}, or write ${{{name}:-...}}"
                )
            return default or ""
        return value

    new = _REFERENCE.sub(replace, text)
    return Given(new) if taken else new


class Overrides:
    """The variables that stand over keys of the file: ``FERRYLLM_SERVER__LISTEN`` over ``[server] listen``.

    Two underscores stand between the names on the way; a number is the place in an array, counted from 0. A name with
    only one table's worth of words (``FERRYLLM_CONFIG``) is none of them.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values: dict[Path, str] = {}
        self._variables: dict[Path, str] = {}
        for variable in sorted(environ):
            rest = variable.removeprefix(PREFIX)
            if rest == variable or "__" not in rest.strip("_") or _KEY.fullmatch(rest) is None:
                continue
            names = rest.lower().split("__")
            path: Path = tuple(int(name) if name.isdecimal() else name for name in names)
            if all(name != "" for name in names):
                self._values[path] = environ[variable]
                self._variables[path] = variable

    def variable(self, path: Path) -> str | None:
        """The variable that set ``path``, or something in it."""
        if path in self._variables:
            return self._variables[path]
        inner = (variable for at, variable in self._variables.items() if at[: len(path)] == path)
        outer = (variable for at, variable in self._variables.items() if path[: len(at)] == at)
        return next(inner, None) or next(outer, None)

    def apply(self, document: dict[str, object], report: Report) -> dict[str, object]:
        """``document`` with what the variables say. What has no place in it goes to ``report``."""
        result: object = document
        for path, text in self._values.items():
            result = _placed(result, path, 0, Given(text), report)
        assert isinstance(result, dict)
        return result


def _placed(value: object, path: Path, depth: int, text: Given, report: Report) -> object:
    if depth == len(path):
        return text
    part = path[depth]
    if isinstance(part, int):
        old = list(value) if isinstance(value, list) else [] if value is None else None
        if old is None or part > len(old):
            report.error(path, f"no item {part} there", "count from 0, and leave no gap")
            return value
        inner = _placed(old[part] if part < len(old) else None, path, depth + 1, text, report)
        return [*old[:part], inner, *old[part + 1 :]]
    if value is not None and not isinstance(value, dict):
        report.error(path, f"what stands at {path[depth - 1]} is no table", "check the variable's name")
        return value
    table: dict[str, object] = dict(value or {})
    # Names that the configuration's owner chose (models, headers) may have capitals and dashes.
    key = part if part in table else next((name for name in table if _spelled(name) == part), part)
    table[key] = _placed(table.get(key), path, depth + 1, text, report)
    return table


def _spelled(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())
