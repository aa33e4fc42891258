"""A configuration's text as a document and the lines of its keys, in the three forms it may have.

TOML unless the file's name ends in ``.yaml``, ``.yml`` or ``.json``. All three give the same values to the same schema;
a key that is there twice is a fault in each.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import PurePath
from typing import Any, Protocol

from ferryllm_proto import RemoteProtocolError, json
from ferryllm_proto.splices import items, members, span

from .problems import Path
from .source import Lines

MAX_NODES = 200_000
"""Values of a YAML document, with those that aliases repeat: a few lines can stand for more than a memory holds."""


class Places(Protocol):
    """Where the keys of a document stand."""

    def line(self, path: Path) -> int | None:
        """The line of the key at ``path``, counted from 1; else of the innermost table around it; else None."""


class FormatFault(ValueError):
    """The text is not of its form. ``line`` counts from 1; the message quotes no value."""

    def __init__(self, message: str, line: int | None = None, mend: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.mend = mend


def read(text: str, name: str) -> tuple[dict[str, object], Places]:
    """The document in ``text``, the content of a file called ``name``. Raises `FormatFault`."""
    suffix = PurePath(name).suffix.lower()
    if suffix == ".json":
        return _json(text)
    if suffix in (".yaml", ".yml"):
        return _yaml(text)
    return _toml(text), Lines(text)


def toml(text: str) -> dict[str, object]:
    """The document in ``text``. Raises `tomli.TOMLDecodeError`, ValueError and RecursionError as `tomli.loads` does.

    Python's own reader, where there is one, reads what has no fault: it is tomli's of some time ago, and half a MiB
    smaller. What a fault is, and where, is tomli's to say.
    """
    if sys.version_info >= (3, 11):
        import tomllib

        with contextlib.suppress(ValueError, RecursionError):
            return tomllib.loads(text)
    import tomli

    return tomli.loads(text)


def _toml(text: str) -> dict[str, object]:
    try:
        return toml(text)
    except ValueError as fault:
        import tomli

        if not isinstance(fault, tomli.TOMLDecodeError):
            # The interpreter's own bound on the digits of a whole number (sys.set_int_max_str_digits).
            raise FormatFault("not TOML: a number has too many digits", mend="no key takes such a number") from None
        # The reader's words name a character or a key, never a value.
        raise FormatFault(f"not TOML: {fault.msg}, at column {fault.colno}", fault.lineno) from None
    except RecursionError:
        raise FormatFault("not TOML: nested too deeply", mend="no key of this file needs nesting") from None


class _Marked:
    """Lines by path, as a reader found them."""

    def __init__(self, lines: dict[Path, int]) -> None:
        self._lines = lines

    def line(self, path: Path) -> int | None:
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return None


# --- JSON ------------------------------------------------------------------------------------------------


def _json(text: str) -> tuple[dict[str, object], Places]:
    data = text.encode()
    try:
        document = json.loads(data)
    except RemoteProtocolError as fault:
        reason = fault.error.message.removeprefix("the body is not valid JSON: ")
        raise _json_fault(text) or FormatFault(f"not JSON: {reason}") from None
    if not isinstance(document, dict):
        raise FormatFault("not a configuration: expected an object", 1, "write { ... } around the keys")
    lines: dict[Path, int] = {}
    _note(data, *span(data), (), lines)
    return document, _Marked(lines)


def _json_fault(text: str) -> FormatFault | None:
    """Where ``text`` is no JSON, in the words of the reader that knows; None where that one takes it."""
    import json as standard  # ours is faster and does not say where

    try:
        standard.loads(text)
    except standard.JSONDecodeError as fault:
        what = fault.msg[:1].lower() + fault.msg[1:]  # it names what was expected and quotes nothing
        return FormatFault(f"not JSON: {what}, at column {fault.colno}", fault.lineno)
    except (ValueError, RecursionError):
        return None
    return None


def _note(data: bytes, start: int, end: int, path: Path, lines: dict[Path, int]) -> None:
    opening = data[start : start + 1]
    if opening == b"{":
        seen: set[str] = set()
        for name, key, value, behind in members(data, start, end):
            line = data.count(b"\n", 0, key) + 1
            if name in seen:
                raise FormatFault(f'not JSON: the key "{name}" is there twice', line, "keep one of them")
            seen.add(name)
            inner = (*path, name)
            lines[inner] = line
            _note(data, value, behind, inner, lines)
    elif opening == b"[":
        for n, (first, behind) in enumerate(items(data, start, end)):
            place = (*path, n)
            lines[place] = data.count(b"\n", 0, first) + 1
            _note(data, first, behind, place, lines)


# --- YAML ------------------------------------------------------------------------------------------------


def _yaml(text: str) -> tuple[dict[str, object], Places]:
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]  # its types are a package of their own
    except ImportError:
        raise FormatFault("YAML needs a package that is not there", mend="install ferryllm[yaml]") from None
    loader: Any = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        lines: dict[Path, int] = {}
        document = _Builder(loader, lines).value(root, ()) if root is not None else {}
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise FormatFault(f"not YAML: {fault.problem or fault.context}", mark.line + 1 if mark else None) from None
    except yaml.YAMLError:
        raise FormatFault("not YAML: a character that it does not allow") from None
    except RecursionError:
        raise FormatFault("not YAML: nested too deeply", mend="no key of this file needs nesting") from None
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(document, dict):
        raise FormatFault("not a configuration: expected a mapping", 1, "write key: value")
    return document, _Marked(lines)


class _Builder:
    """Nodes to values, with the lines of their keys, so that no tag makes anything but plain values."""

    def __init__(self, loader: Any, lines: dict[Path, int]) -> None:
        self._loader = loader
        self._lines = lines
        self._count = 0

    def value(self, node: Any, path: Path) -> object:
        self._count += 1
        if self._count > MAX_NODES:
            raise FormatFault(f"not a configuration: more than {MAX_NODES} values", mend="use fewer aliases")
        if node.id == "mapping":
            return self._mapping(node, path)
        if node.id == "sequence":
            found = []
            for n, item in enumerate(node.value):
                place = (*path, n)
                self._lines[place] = item.start_mark.line + 1
                found.append(self.value(item, place))
            return found
        return self._loader.construct_object(node)

    def _mapping(self, node: Any, path: Path) -> dict[str, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.id != "scalar":
                raise FormatFault("not a configuration: a key that is no text", key.start_mark.line + 1)
            if key.value in seen:
                what = f'not YAML: the key "{key.value}" is there twice'
                raise FormatFault(what, key.start_mark.line + 1, "keep one of them")
            seen.add(key.value)
        self._loader.flatten_mapping(node)  # what << brings stands before the mapping's own, which wins
        found: dict[str, object] = {}
        for key, value in node.value:
            place = (*path, key.value)
            self._lines[place] = key.start_mark.line + 1
            found[key.value] = self.value(value, place)
        return found
