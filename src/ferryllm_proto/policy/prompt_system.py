"""System prompts for the sake of caches: lines that change with every request taken out, or taken to the end.

A provider finds the beginning of a prompt in its cache only where not a byte of it has changed. Programs put notes at
the very beginning that do change (an account, a date, a branch of git); here such lines are dropped by how they begin,
or moved behind everything else by where they stand.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Parted(msgspec.Struct, frozen=True):
    """System texts in what stays and what goes."""

    kept: tuple[str, ...]
    """As many as there were; "" where nothing is left of one."""
    moved: str = ""
    """What has to be said at the end."""
    stripped: int = 0
    """Lines that were dropped."""


def part(texts: Sequence[str], prefixes: Sequence[str], span: tuple[int, int] | None) -> Parted:
    """``texts`` without lines that begin with one of ``prefixes``, and with the lines in ``span`` set apart.

    ``span`` is start and end, in bytes of UTF-8, of the texts put in a row with a line end between them, after the
    dropping; every line of which a byte lies in it is moved, whole.
    """
    kept, stripped = list(texts), 0
    if prefixes:
        for n, text in enumerate(kept):
            lines = text.split("\n")
            # Indentation does not hide a line.
            left = [line for line in lines if not line.lstrip().startswith(tuple(prefixes))]
            stripped += len(lines) - len(left)
            kept[n] = "\n".join(left)
    if span is None:
        return Parted(tuple(kept), "", stripped)
    moved: list[str] = []
    at = 0
    for n, text in enumerate(kept):
        left = []
        for line in text.split("\n"):
            end = at + len(line.encode("utf-8", "surrogatepass")) + 1  # with its line end
            (moved if at < span[1] and end > span[0] else left).append(line)
            at = end
        kept[n] = "\n".join(left)
    return Parted(tuple(kept), "\n".join(moved), stripped)
