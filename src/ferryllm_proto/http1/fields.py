"""Header fields: which ones decide over framing and connection, and how a line of a head is read.

Lines that clients repeat with every request are remembered, so that a head costs a look into a dict for each of its
lines. None that may carry a secret is: see `_REPEATED`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

# What a field means for its message; bits, so that a head can be asked for all of them at once.
HOST = 1
LENGTH = 2
CODING = 4
CONNECTION = 8
CLOSE = 16
"""With CONNECTION: it says close."""
ODD = 32
"""Not for the fast machine."""

Entry: TypeAlias = tuple[tuple[str, str], int]
"""A field, name in lower case, and its bits."""

NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# RFC 3986 host and port, without the comma of sub-delims: a list of hosts is what a joined duplicate looks like.
_HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+;=\-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH_DIGITS = 18

_REPEATED = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "accept-ranges",
        "anthropic-beta",
        "anthropic-version",
        "cache-control",
        "connection",
        "content-type",
        "date",
        "host",
        "keep-alive",
        "openai-beta",
        "openai-version",
        "server",
        "strict-transport-security",
        "transfer-encoding",
        "user-agent",
        "vary",
        "via",
        "x-app",
        "x-content-type-options",
    }
)
"""Fields whose lines are the same from message to message and are no secret; x-stainless-... of the SDKs as well."""
_MOST_LINES = 1024
"""Remembered lines; when it is full all are forgotten. 100 kinds of clients with 10 lines each."""
_LONGEST_LINE = 256
"""Longer lines are not remembered: 1,024 of them would be a way to hold memory."""
_MOST_NAMES = 2048

_Known: TypeAlias = tuple[str, Callable[[str], int] | None, bool]
"""A name in lower case, what reads the bits of its value, and whether its lines are remembered."""

_names: dict[str, _Known] = {}
"""Valid names as they came."""
_lines: dict[str, Entry] = {}
recall = _lines.get
"""The entry of a remembered line, or None: then `read_line`."""


def lower_name(name: str) -> str | None:
    """The name in lower case, None when it is no token (RFC 9110 section 5.1)."""
    known = _names.get(name) or _know(name)
    return None if known is None else known[0]


def _know(name: str) -> _Known | None:
    if NAME.fullmatch(name) is None:
        return None
    lower = name.lower()
    known = lower, _BITS.get(lower), lower in _REPEATED or lower.startswith("x-stainless-")
    if len(name) <= _LONGEST_LINE:
        if len(_names) >= _MOST_NAMES:
            _names.clear()
        _names[name] = known
    return known


def read_line(line: str) -> Entry | None:
    """A field line without its CRLF; None for every line that is not the plain ``name: value`` (RFC 9112 section 5).

    Folded lines, tabs, controls and bytes above 127 are for others to judge.
    """
    name, colon, value = line.partition(":")
    known = _names.get(name) or _know(name)
    if known is None or not colon or not (value.isascii() and value.isprintable()):
        return None
    key, read, repeats = known
    value = value.strip(" ")
    if read is None:
        entry = ((key, value), 0)
    else:
        bits = read(value)
        # Names of codings are of any case (RFC 9112 section 7); readers of the field get the one they know.
        entry = ((key, "chunked" if bits == CODING else value), bits)
    if repeats and len(line) <= _LONGEST_LINE:
        if len(_lines) >= _MOST_LINES:
            _lines.clear()
        _lines[line] = entry
    return entry


def _host(value: str) -> int:
    return HOST if _HOST.fullmatch(value) is not None else ODD


def _length(value: str) -> int:
    return LENGTH if value.isdigit() and len(value) <= _LENGTH_DIGITS else ODD


def _coding(value: str) -> int:
    return CODING if value.lower() == "chunked" else ODD


def _connection(value: str) -> int:
    value = value.lower()
    if value == "keep-alive":
        return CONNECTION
    return CONNECTION | CLOSE if value == "close" else ODD


def _odd(value: str) -> int:
    return ODD


_BITS = {
    "host": _host,
    "content-length": _length,
    "transfer-encoding": _coding,
    "connection": _connection,
    "upgrade": _odd,
    "expect": _odd,
}
