"""The reference of limits and deadlines, from the fields of the HTTP layer's `Limits` and `Timeouts`."""

from __future__ import annotations

import ast
import inspect
import pathlib

from ferryllm_net.http import limits

_HEAD = """\
# Limits and deadlines

Every buffer of the network layer has a bound and every wait has an end. Each number has a precedent: what other servers
and clients do, or an attack that it stops. Those that depend on a place and its users are keys of the
[configuration](configuration.md) (`[server]`, `[server.limits]`, `[[providers]]`); the others are parameters of
`ferryllm_net.http.Limits` for programs that embed it. How they are tested is told in
[reliability](../explanation/reliability.md). This page is made from the code by `python docs/generate.py`.

## Of one server or one pool

"""

_TIMEOUTS = """
## Of one exchange with a provider

The configuration gives its own values for each provider; these hold where a program gives none.

"""

_UNITS = (("_bytes_per_sec", "bytes a second"), ("_secs", "s"), ("_bytes", "bytes"))


def page() -> str:
    """The page as Markdown."""
    return _HEAD + _table(limits.Limits) + _TIMEOUTS + _table(limits.Timeouts)


def _table(struct: type[limits.Limits] | type[limits.Timeouts]) -> str:
    values, words = struct(), _words(struct.__name__)
    lines = ["| limit | default | why |", "| --- | --- | --- |"]
    for name in struct.__struct_fields__:
        shown = _value(name, getattr(values, name))
        lines.append(f"| `{name}` | {shown} | {words.get(name, '')} |")
    return "\n".join(lines) + "\n"


def _value(name: str, value: float | None) -> str:
    if value is None:
        return "no limit"
    unit = next((unit for end, unit in _UNITS if name.endswith(end)), "")
    if unit == "bytes" and value >= limits.KIB and value % limits.KIB == 0:
        return f"{value // limits.MIB} MiB" if value % limits.MIB == 0 else f"{value // limits.KIB} KiB"
    return f"{value:,g} {unit}".rstrip()


def _words(name: str) -> dict[str, str]:
    """What stands below each field in the source."""
    tree = ast.parse(pathlib.Path(inspect.getfile(limits)).read_text())
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    words = {}
    for field, below in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            assert isinstance(below.value, ast.Constant)
            words[field.target.id] = " ".join(str(below.value.value).split()).replace("|", "\\|")
    return words
