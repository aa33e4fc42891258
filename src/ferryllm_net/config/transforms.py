"""Transforms of bodies compiled: queries by an RFC 9535 engine, patterns by one whose time is linear.

Both come with the extra ``transforms`` and are loaded only where a configuration has transforms. The standard library's
``re`` is not used: the time it takes can grow exponentially with a text that a client chose, and nothing can stop it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from ferryllm_proto import json
from ferryllm_proto.policy.transforms import (
    Add,
    Drop,
    Find,
    On,
    Replace,
    Step,
    Substitute,
    TransformFault,
    Transforms,
)
from ferryllm_proto.splices import Path

from .policy_schema import Transform
from .problems import Path as KeyPath
from .problems import Report

MAX_FOUND = 10_000
"""Places that one query may find in one body: ten times the messages of the longest recorded conversation."""
MAX_GROWTH = 1 << 20
"""Bytes that one pattern may add to one text: a replacement is a word or a line, not a document."""
MAX_PATTERN_MEMORY = 8 << 20
"""Bytes a compiled pattern may take: RE2's own default."""

_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_LAST_NAME = re.compile(r"(?:\.|\[['\"])([A-Za-z_]\w*)(?:['\"]\])?$")
_PIECES = frozenset(
    {
        "arguments",
        "content",
        "data",
        "delta",
        "input",
        "partial_json",
        "reasoning",
        "reasoning_content",
        "refusal",
        "response",
        "signature",
        "summary",
        "text",
        "thinking",
    }
)
"""Members whose texts arrive in pieces, in one dialect or another."""


class _Refused(Exception):
    """A transform can not be compiled: which of its keys, why, and what to do."""

    def __init__(self, key: str, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.mend = mend


def compile_transforms(found: Sequence[Transform], path: KeyPath, report: Report) -> Transforms:
    """``found``, which stand at ``path``, in the order of the file. Faults go to ``report``."""
    steps: dict[On, list[Step]] = {on: [] for on in On}
    for index, one in enumerate(found):
        try:
            step = _compiled(one)
        except _Refused as fault:
            report.error((*path, index, fault.key), str(fault), fault.mend)
            continue
        for on in one.on:
            steps[On(on)].append(step)
    return Transforms(*(tuple(steps[on]) for on in (On.REQUEST, On.RESPONSE, On.STREAM)))


def _compiled(one: Transform) -> Step:
    for key, needed in _KEYS[one.type].items():
        if needed and getattr(one, key) is None:
            raise _Refused(key, f'missing, and type is "{one.type}"')
    for key in ("path", "name", "value", "pattern", "replacement"):
        if key not in _KEYS[one.type] and getattr(one, key) is not None:
            raise _Refused(key, f'not used by type "{one.type}"', "leave it out")
    if not one.on:
        raise _Refused("on", "empty", 'name "request", "response" or "stream"')
    find = None if one.path is None else _query(one.path)
    if one.type == "regex":
        assert one.pattern is not None
        if "stream" in one.on:
            _check_stream(one.path)
        return Replace(_pattern(one.pattern, one.replacement or ""), find)
    assert find is not None
    if one.type == "drop":
        if one.path in ("$", "$..*"):
            raise _Refused("path", "drops the whole body", "name what shall be dropped")
        return Drop(find)
    try:
        value = json.encode(one.value)
    except (TypeError, ValueError):
        raise _Refused("value", "no value of JSON") from None
    return Add(find, value, one.name, bool(one.replace))


_KEYS: dict[str, dict[str, bool]] = {
    "drop": {"path": True},
    "add": {"path": True, "value": True, "name": False},
    "regex": {"pattern": True, "replacement": False, "path": False},
}
"""The keys of each type, and whether it needs them."""


def _check_stream(path: str | None) -> None:
    """Refuse a pattern that would be matched against pieces of a text."""
    why = "the text of a stream comes in pieces, and a pattern would miss what two of them hold together"
    mend = 'take "stream" out of on, or name in path a member that comes whole, as in $.model'
    if path is None:
        raise _Refused("on", why, mend)
    last = _LAST_NAME.search(path)
    if last is None or last[1] in _PIECES:
        raise _Refused("path", why, mend)


# --- queries ---------------------------------------------------------------------------------------------


def _query(text: str) -> Find:
    """A JSONPath query (RFC 9535) as what finds its places."""
    try:
        import jsonpath
    except ImportError:
        raise _Refused("path", "JSONPath needs a package that is not there", "install ferryllm[transforms]") from None
    if _QUOTED.sub("", text).count("..") > 1:
        # One look at everything is linear; a look at everything below everything is not.
        raise _Refused("path", "more than one .. in a query", "say the rest of the path")
    environment = jsonpath.JSONPathEnvironment(strict=True)
    environment.function_extensions |= {"match": _regexp(full=True), "search": _regexp(full=False)}
    try:
        compiled = environment.compile(text)
    except jsonpath.JSONPathError as fault:
        # The first line; behind it the query is drawn again.
        reason = str(fault).partition("\n")[0]
        raise _Refused(
            "path", f"no JSONPath: {reason}", "as RFC 9535 writes it: $.metadata, $.messages[*].name"
        ) from None

    def find(value: Any) -> Sequence[Path]:
        try:
            places: list[Path] = [match.parts for match in itertools.islice(compiled.finditer(value), MAX_FOUND + 1)]
        except (jsonpath.JSONPathError, RecursionError):
            raise TransformFault("the body is nested too deeply for a query") from None
        if len(places) > MAX_FOUND:
            raise TransformFault(f"a query found more than {MAX_FOUND} places")
        return places

    return find


def _regexp(*, full: bool) -> Any:
    """The functions ``match`` and ``search`` of queries, in linear time."""
    from jsonpath.function_extensions import ExpressionType, FilterFunction

    class Regexp(FilterFunction):  # type: ignore[misc,unused-ignore]  # the package has no types on every version
        arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - as its base class has it
        return_type = ExpressionType.LOGICAL

        def __call__(self, value: object, pattern: object) -> bool:
            if not isinstance(value, str) or not isinstance(pattern, str):
                return False
            try:
                compiled = _engine(pattern)
            except ValueError:
                return False  # as RFC 9535 2.4.6 wants it
            return bool(compiled.fullmatch(value) if full else compiled.search(value))

    return Regexp()


# --- patterns --------------------------------------------------------------------------------------------


def _pattern(pattern: str, replacement: str) -> Substitute:
    try:
        compiled = _engine(pattern)
    except ValueError as fault:
        raise _Refused(
            "pattern", f"no regular expression: {fault}", "RE2 knows no lookaround and no backreferences"
        ) from None
    groups = compiled.groups
    for found in re.finditer(r"\\(\\|\d|.|$)", replacement, re.DOTALL):
        if found[1].isdigit() and int(found[1]) > groups:
            raise _Refused("replacement", f"\\{found[1]} is no group of the pattern, which has {groups}")
        if not found[1].isdigit() and found[1] != "\\":
            raise _Refused("replacement", "a backslash stands before a group's number or a backslash", r"write \\")
    if compiled.search("") is not None:
        raise _Refused("pattern", "matches a text of no length, so everywhere", "use + in place of *")

    def substitute(text: str) -> str:
        new: str = compiled.sub(replacement, text)
        if len(new) > len(text) + MAX_GROWTH:
            raise TransformFault(f"a text grew by more than {MAX_GROWTH} characters")
        return new

    return substitute


def _engine(pattern: str) -> Any:
    """``pattern`` compiled. Raises ValueError with a reason that quotes at most a part of it."""
    try:
        import re2  # type: ignore[import-untyped,unused-ignore]  # it has no types
    except ImportError:
        raise _Refused("pattern", "patterns need a package that is not there", "install ferryllm[transforms]") from None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_PATTERN_MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as fault:
        reason = fault.args[0] if fault.args else ""
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None


# --- for others ------------------------------------------------------------------------------------------


def compile_query(text: str, path: KeyPath, report: Report) -> Find | None:
    """A JSONPath query that stands at ``path``; None after a report."""
    try:
        return _query(text)
    except _Refused as fault:
        report.error(path, str(fault), fault.mend)
    return None


def compile_pattern(pattern: str, replacement: str, path: KeyPath, report: Report) -> Substitute | None:
    """``pattern`` and ``replacement`` of the table at ``path``; None after a report."""
    try:
        return _pattern(pattern, replacement)
    except _Refused as fault:
        report.error((*path, fault.key), str(fault), fault.mend)
    return None
