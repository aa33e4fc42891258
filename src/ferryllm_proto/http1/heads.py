"""Heads that are common: read strictly, or not at all.

A head is whatever stands before the first empty line. None as an answer is no verdict: somebody else reads it then.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TypeAlias

from .events import Headers, RequestHead, ResponseHead
from .fields import CLOSE, CODING, HOST, LENGTH, ODD, Entry, read_line, recall

CHUNKED = -1
UNTIL_CLOSE = -2

RequestRead: TypeAlias = tuple[RequestHead, int, bool]
"""The head; the length of its body or `CHUNKED`; whether the connection ends with this message."""
ResponseRead: TypeAlias = tuple[ResponseHead, int, bool]
"""The same, or `UNTIL_CLOSE`."""

# CONNECT and TRACE are refused, others are rare: all of them elsewhere.
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_MOST_LINES = 512
"""Remembered first lines; when it is full all are forgotten. The paths of five dialects are about 60."""
_LONGEST_LINE = 128

_request_lines: dict[str, tuple[str, str]] = {}
_statuses: dict[str, int] = {}


def _request_line(line: str) -> tuple[str, str] | None:
    """Method and target in origin-form (RFC 9112 sections 3 and 3.2.1)."""
    method, _, rest = line.partition(" ")
    target, _, version = rest.partition(" ")
    if (
        version != "HTTP/1.1"
        or method not in _METHODS
        or target[:1] != "/"
        or "#" in target
        or not (target.isascii() and target.isprintable())
    ):
        return None
    found = (method, target)
    # A query may hold a key.
    if len(line) <= _LONGEST_LINE and "?" not in line:
        if len(_request_lines) >= _MOST_LINES:
            _request_lines.clear()
        _request_lines[line] = found
    return found


def _status(line: str) -> int | None:
    """The status of a final answer (RFC 9112 section 4)."""
    if line[:9] != "HTTP/1.1 " or not (line.isascii() and line.isprintable()):
        return None
    digits, space = line[9:12], line[12:13]
    if len(digits) != 3 or not digits.isdigit() or space not in ("", " ") or not "2" <= digits[0] <= "5":
        return None
    if len(line) <= _LONGEST_LINE:
        if len(_statuses) >= _MOST_LINES:
            _statuses.clear()
        _statuses[line] = int(digits)
    return int(digits)


_MOST_KNOWN = 16
"""Lines that one connection remembers; when they are more it begins again. Keys, lengths, ids: a few of each."""
_LONGEST_KNOWN = 512
"""A longer line is not remembered: with it a connection would keep 8 KiB of them."""


def _read_anew(line: str, known: dict[str, Entry]) -> Entry | None:
    entry = read_line(line)
    if entry is not None and len(line) <= _LONGEST_KNOWN:
        if len(known) >= _MOST_KNOWN:
            known.clear()
        known[line] = entry
    return entry


# Of an entry, by C: most heads are lines that are remembered, and no code of Python runs for those.
_PAIR_OF = itemgetter(0)
_BITS_OF = itemgetter(1)


def _read_fields(lines: list[str], known: dict[str, Entry] | None, length: int) -> tuple[Headers, int, int] | None:
    """The fields of a head, all their bits, and its content-length or else ``length``; None where one is not common."""
    found = [*map(recall, lines)]
    while None in found:
        at = found.index(None)
        line = lines[at]
        entry = read_line(line) if known is None else known.get(line) or _read_anew(line, known)
        if entry is None:
            return None
        found[at] = entry
    entries: list[Entry] = found  # type: ignore[assignment]  # none of them is None now
    seen = 0
    for pair, bits in filter(_BITS_OF, entries):
        # A second one, whatever it says, is for others to judge.
        if bits & (seen | ODD):
            return None
        seen |= bits
        if bits == LENGTH:
            length = int(pair[1])
    if seen & CODING:
        if seen & LENGTH:
            return None
        length = CHUNKED
    return [*map(_PAIR_OF, entries)], seen, length


def read_request(
    text: str, most_fields: int, longest_line: int, known: dict[str, Entry] | None = None
) -> RequestRead | None:
    """The head of a request, without its last CRLF CRLF, decoded as latin-1. ``known`` are lines of the connection that
    are remembered nowhere else: what is read is added."""
    lines = text.split("\r\n")
    line = lines[0]
    first = _request_lines.get(line) or _request_line(line)
    if first is None or len(lines) > most_fields + 1 or len(line) > longest_line:
        return None
    del lines[0]
    fields = _read_fields(lines, known, 0)
    if fields is None:
        return None
    headers, seen, length = fields
    if not seen & HOST:
        return None
    return RequestHead(first[0], first[1], headers), length, seen & CLOSE != 0


def read_response(text: str, most_fields: int, longest_line: int, method: str) -> ResponseRead | None:
    """The head of a final answer to a request of ``method``, without its last CRLF CRLF, decoded as latin-1."""
    lines = text.split("\r\n")
    line = lines[0]
    status = _statuses.get(line) or _status(line)
    if status is None or len(lines) > most_fields + 1 or len(line) > longest_line:
        return None
    del lines[0]
    fields = _read_fields(lines, None, UNTIL_CLOSE)
    if fields is None:
        return None
    headers, seen, length = fields
    # RFC 9112 section 6.3, rule 1: whatever the fields say, these have no body.
    if status == 204 or status == 304 or method == "HEAD":
        length = 0
    return ResponseHead(status, headers), length, seen & CLOSE != 0
