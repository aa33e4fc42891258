"""Heads and trailers as bytes: checked, so that nothing in a field can become a second field or a second message."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TypeAlias

from .events import Headers, Misuse
from .fields import NAME
from .heads import CHUNKED
from .reasons import REASONS

_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_NOT_IN_TARGET = re.compile(r"[^\x21-\x7e]")
_LENGTH = re.compile(r"[0-9]{1,18}")

_PLAIN = 0
_HOST = 1
_LENGTH_FIELD = 2
_CODING = 3
_CONNECTION = 4
_SWITCHING = 5
_KINDS = {
    "host": _HOST,
    "content-length": _LENGTH_FIELD,
    "transfer-encoding": _CODING,
    "connection": _CONNECTION,
    "upgrade": _SWITCHING,
    "expect": _SWITCHING,
}
_MOST_NAMES = 2048
"""Remembered names of sent fields; when it is full all are forgotten. Relays pass on those of their clients."""
_LONGEST_NAME = 64

_kinds: dict[str, int] = {}
"""Valid names and what they mean for the message."""
_plain: set[str] = set()
"""Those of them that mean nothing for it, without date."""
_status_lines = {status: f"HTTP/1.1 {status} {phrase}" for status, phrase in REASONS.items()}

NOT_IN_TRAILERS = frozenset(
    {
        *("transfer-encoding", "content-length", "connection", "upgrade", "trailer", "keep-alive", "proxy-connection"),
        *("host", "cache-control", "expect", "max-forwards", "pragma", "range", "te"),
        *("authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "cookie", "set-cookie"),
        *("content-encoding", "content-type", "content-range", "age", "date", "expires", "location", "retry-after"),
        *("vary", "warning"),
    }
)
"""RFC 9110 section 6.5.1: fields of framing, routing, authentication and content, which come too late there."""

Encoded: TypeAlias = tuple[bytes, int, bool]
"""A head; the length of the body that it announces or `CHUNKED`; whether it says that the connection ends."""


def _kind(name: str) -> int:
    """What a name means that is not remembered. Raises `Misuse` for what is no name."""
    if NAME.fullmatch(name) is None:
        raise Misuse(f"{name!r} is not a header name")
    lower = name.lower()
    kind = _KINDS.get(lower, _PLAIN)
    if len(name) <= _LONGEST_NAME:
        if len(_kinds) >= _MOST_NAMES:
            _kinds.clear()
            _plain.clear()
        _kinds[name] = kind
        if kind == _PLAIN and lower != "date":
            _plain.add(name)
    return kind


def _joined(lines: list[str]) -> bytes:
    """The bytes of a head whose lines are good."""
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1")


def _checked(lines: list[str], headers: Headers) -> bool:
    """Whether all lines are good as they are; False when they have to be built with care. Raises `Misuse`."""
    text = "".join(lines)
    if text.isascii() and text.isprintable():
        return True
    for name, value in headers:
        if _NOT_IN_VALUE.search(value) is not None:
            raise Misuse(f"the value of header {name!r} holds a control or non-latin-1 character")
    return False


def _tidy(headers: Headers) -> Headers:
    """Values without the tabs and spaces around them: a tab is the one control that a value may hold, within it."""
    return [(name, value.strip(" \t")) for name, value in headers]


def _length(value: str, before: str | None) -> str:
    value = value.strip(" \t")
    if _LENGTH.fullmatch(value) is None:
        raise Misuse("content-length is not a number of at most 18 digits")
    if before is not None and before != value:
        raise Misuse("content-length fields that contradict each other")
    return value


def _tokens(headers: Headers, name: str) -> list[str]:
    return [token.strip() for key, value in headers if key.lower() == name for token in value.split(",")]


def encode_response(status: int, headers: Headers, method: str, keep: bool) -> Encoded:
    """The head of a final answer to a request of ``method`` in HTTP/1.1.

    Without a content-length the body is chunked; ``keep`` False adds ``connection: close``. Raises `Misuse`.
    """
    line = _status_lines.get(status)
    if line is None:
        if not 200 <= status <= 999:
            raise Misuse(f"{status} is not the status of an answer")
        line = f"HTTP/1.1 {status} "
    elif status < 200:
        raise Misuse(f"{status} is not the status of an answer")
    lines = [line]
    length: str | None = None
    coded = connected = False
    kinds = _kinds.get
    for pair in headers:
        kind = kinds(pair[0])
        if kind is None:
            kind = _kind(pair[0])
        if kind and kind != _HOST and kind != _SWITCHING:
            if kind == _LENGTH_FIELD:
                repeated = length is not None
                length = _length(pair[1], length)
                if repeated:
                    continue
            elif kind == _CODING:
                _only_chunked(pair[1], coded)
                coded = True
                continue
            else:
                connected = True
                continue
        lines.append(": ".join(pair))
    bodyless = status == 204 or status == 304
    if coded and (length is not None or bodyless):
        raise Misuse("transfer-encoding in an answer that has a content-length or no body")
    if length is None and not bodyless:
        lines.append("transfer-encoding: chunked")
    closes = not keep
    if connected or closes:
        tokens = _tokens(headers, "connection")
        if closes or "close" in [token.lower() for token in tokens]:
            closes = True
            tokens = [*(token for token in tokens if token.lower() not in ("keep-alive", "close")), "close"]
        lines.append("connection: " + ", ".join(tokens))
    if not _checked(lines, headers) and (tidy := _tidy(headers)) != headers:
        return encode_response(status, tidy, method, keep)
    if bodyless or method == "HEAD":
        return _joined(lines), 0, closes
    return _joined(lines), CHUNKED if length is None else int(length), closes


# All of them C: no code of Python runs for a field that was sent before.
_NAME_OF = itemgetter(0)
_VALUE_OF = itemgetter(1)
_LINE_OF = ": ".join
_BREAK = "\r\n"
_WHOLE = {status: line for status, line in _status_lines.items() if status >= 200 and status not in (204, 304)}


def encode_whole(status: int, headers: Headers, length: int, date: str) -> bytes | None:
    """`encode_response` of ``headers`` with a content-length of ``length`` and ``date``, on a connection that stays;
    None for a status or field that wants a closer look there. Raises `Misuse`.

    ``date`` is the server's own and not checked.
    """
    line = _WHOLE.get(status)
    if line is None or not headers:
        return None
    if not _plain.issuperset(map(_NAME_OF, headers)):
        for pair in headers:
            _kind(pair[0])
        if not _plain.issuperset(map(_NAME_OF, headers)):
            return None
    values = "".join(map(_VALUE_OF, headers))
    if not (values.isascii() and values.isprintable()):
        return None
    fields = _BREAK.join(map(_LINE_OF, headers))
    return f"{line}\r\n{fields}\r\ncontent-length: {length}\r\ndate: {date}\r\n\r\n".encode("ascii")


def encode_informational(status: int, headers: Headers) -> bytes:
    """A 1xx head other than 101, which no common request asks for (RFC 9110 section 15.2). Raises `Misuse`."""
    if not 100 <= status <= 199 or status == 101:
        raise Misuse(f"{status} is not the status of an interim answer here")
    lines = [_status_lines.get(status) or f"HTTP/1.1 {status} "]
    for pair in headers:
        kind = _kind(pair[0])
        if kind in (_LENGTH_FIELD, _CODING):
            raise Misuse("an interim answer has no body")
        lines.append(": ".join(pair))
    _checked(lines, headers)
    return _joined(lines)


def encode_request(method: str, target: str, headers: Headers) -> Encoded | None:
    """The head of a request in HTTP/1.1, Host first (RFC 9110 section 7.2); None for what is not common: CONNECT, a
    wish for another protocol, an expectation. Raises `Misuse`."""
    if NAME.fullmatch(method) is None:
        raise Misuse("the method is not a token")
    if not target or _NOT_IN_TARGET.search(target) is not None:
        raise Misuse("the request target holds a character that is not visible ASCII")
    lines = [f"{method} {target} HTTP/1.1"]
    length: str | None = None
    coded = connected = False
    common = True
    hosts = 0
    kinds = _kinds.get
    for pair in headers:
        kind = kinds(pair[0])
        if kind is None:
            kind = _kind(pair[0])
        if kind:
            if kind == _HOST:
                hosts += 1
                lines.insert(1, ": ".join(pair))
                continue
            if kind == _LENGTH_FIELD:
                repeated = length is not None
                length = _length(pair[1], length)
                if repeated:
                    continue
            elif kind == _CODING:
                _only_chunked(pair[1], coded)
                coded = True
            elif kind == _CONNECTION:
                connected = True
            else:
                common = False
        lines.append(": ".join(pair))
    if hosts != 1:
        raise Misuse(f"{hosts} host fields, expected one")
    if coded and length is not None:
        raise Misuse("content-length and transfer-encoding in one message")
    if not _checked(lines, headers) and (tidy := _tidy(headers)) != headers:
        return encode_request(method, target, tidy)
    if not common or method == "CONNECT":
        return None
    closes = connected and "close" in [token.lower() for token in _tokens(headers, "connection")]
    return _joined(lines), CHUNKED if coded else int(length or 0), closes


def _only_chunked(value: str, again: bool) -> None:
    if again or value.strip(" \t").lower() != "chunked":
        raise Misuse("transfer-encoding is not one 'chunked'")


def encode_trailers(trailers: Headers) -> bytes:
    """The last chunk and the fields behind it (RFC 9112 section 7.1.2). Raises `Misuse`."""
    check_trailers(trailers)
    lines = ["0"]
    for pair in _tidy(trailers):
        lines.append(": ".join(pair))
    _checked(lines, trailers)
    return _joined(lines)


def check_trailers(trailers: Headers) -> None:
    """Raises `Misuse` for a field that is none or must not come behind the body."""
    for name, _ in trailers:
        _kind(name)
        if name.lower() in NOT_IN_TRAILERS:
            raise Misuse(f"{name!r} must not be a trailer")
