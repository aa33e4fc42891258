"""The reference of the ledger's columns, from the fields of `Row` and `Try`."""

from __future__ import annotations

import ast
import inspect
import pathlib

from ferryllm_net.ledger import row

_HEAD = """\
# Columns of the ledger

One row is one request. The table is `requests` in a file of SQLite and `ferryllm_requests` in PostgreSQL; rows that
usage hooks get have the same names. NULL is unknown, or there was none: a count that nobody told is never 0.
[The ledger](../howto/ledger.md) says how to keep one. This page is made from the code by `python docs/generate.py`.

| column | type | may be NULL | meaning |
| --- | --- | --- | --- |
"""
_TRIES = """
## `tries`

A JSON list of the attempts, at most the last {most}, in their order. Members that say nothing are left out.

| member | type | meaning |
| --- | --- | --- |
"""
_TYPES = {"str": "text", "int": "integer", "float": "real", "bool": "truth value"}
_PLAIN = {
    "entry": "The protocol of the client: `openai`, `anthropic` and so on.",
    "operation": "What was asked for: `generate`, `count_tokens`, `embed` and so on.",
    "user": "Of the key.",
    "project": "Of the key.",
    "stream": "Whether the client asked for a stream.",
    "attempts": "At providers, all of them.",
    "error_kind": "One of the [kinds](errors.md).",
    "error_code": "The code that the client got, or that the provider gave.",
    "cache_read_tokens": "Input that a prompt cache had.",
    "cache_write_tokens": "Input that was put into a prompt cache.",
    "reasoning_tokens": "Output that was thought and not said.",
    "applied_effort": "What a policy made of it.",
    "provider": "Whom it was.",
    "model": "As it was asked for there.",
    "status": "Of the provider's answer.",
    "waited_ms": "Since the failure before.",
    "latency_ms": "To the first content, or to the failure.",
}
"""What needs no words in the code."""


def page() -> str:
    """The page as Markdown."""
    lines = [
        f"| `{name}` | {kind} | {'yes' if optional else ''} | {words} |"
        for name, kind, optional, words in _fields("Row")
    ]
    tries = [f"| `{name}` | {kind} | {words} |" for name, kind, _, words in _fields("Try")]
    return _HEAD + "\n".join(lines) + "\n" + _TRIES.format(most=row.MAX_TRIES) + "\n".join(tries) + "\n"


def _fields(struct: str) -> list[tuple[str, str, bool, str]]:
    """Name, type, whether it may be None, and words of each field."""
    tree = ast.parse(pathlib.Path(inspect.getfile(row)).read_text())
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == struct)
    out = []
    for node, after in zip(found.body, [*found.body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        kind, _, none = ast.unparse(node.annotation).partition(" | ")
        words = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            words = (
                " ".join(str(after.value.value).split())
                .replace("``", "`")
                .replace("None where", "NULL where")
                .replace("see `Try`", "see below")
            )
        out.append((node.target.id, _TYPES[kind], bool(none), words or _PLAIN[node.target.id]))
    return out
