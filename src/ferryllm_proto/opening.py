"""The beginning of a good answer, until it shows what the answer is: one value, a stream, or neither (S10, T4).

Apart from `translate` because proxies and servers send anything with status 200: the words of what is no answer belong
into the error a client gets.
"""

from __future__ import annotations

import enum
import re

import msgspec

from . import ir, json
from .dialect import Dialect, Headers
from .error_text import page
from .errors import RemoteProtocolError

BLANK = b" \t\r\n\xef\xbb\xbf"
"""What may come before an answer and says nothing; the last three are a BOM (S9)."""
EVENTS = (b"data:", b"event:")
"""What an answer begins with that is events and nothing else, in every dialect."""
MAX_UNDECIDED = 16 << 10
"""Bytes of an answer that are held because its form does not show yet; then it is one value."""
MAX_PAGE = 32 << 10
"""Bytes of a page that are read: `error_text.page` looks at no more."""
MAX_SHOWN = 300
"""Characters of what came instead of an answer that a client is shown."""

_GZIP = b"\x1f\x8b"
_SOME_EVENTS = re.compile(rb"(?:data|event|id|retry)\s*:|:|[{\[]")
_BEGINNINGS = (b"data:", b"event:", b"id:", b"retry:")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffd]")
_MARKUP = re.compile(rb"<(?:!doctype|html|head|body|title|h1)\b", re.IGNORECASE)

_FAULTS = frozenset({ir.ErrorKind.UPSTREAM, ir.ErrorKind.TRUNCATED})


class Form(enum.Enum):
    UNKNOWN = "unknown"
    """More bytes are needed."""
    WHOLE = "whole"
    STREAM = "stream"
    PAGE = "page"
    """Nothing of any protocol."""
    EMPTY = "empty"


_UNKNOWN, _WHOLE, _STREAM = Form.UNKNOWN, Form.WHOLE, Form.STREAM  # as in `translate`: reading them is dear
_PAGE, _EMPTY = Form.PAGE, Form.EMPTY


class Opening:
    """Takes the first bytes of one answer. ``backend`` is the provider's dialect, ``stream`` what was asked for."""

    __slots__ = ("_backend", "_headers", "_known", "_pieces", "_size", "_status", "_stream")

    def __init__(self, backend: Dialect, status: int, headers: Headers, *, stream: bool) -> None:
        self._backend = backend
        self._status = status
        self._headers = headers
        self._stream = stream
        self._pieces: list[bytes] = []
        self._size = 0
        self._known = b""
        """The bytes so far, from the first that says something on."""

    def take(self) -> bytes:
        """The bytes so far, blanks before them included, without a BOM: it is no part of any answer."""
        data, self._pieces = b"".join(self._pieces).removeprefix(b"\xef\xbb\xbf"), []
        self._known = self._known[:MAX_PAGE]
        return data

    def receive_data(self, data: bytes) -> Form:
        """What the answer is, as far as ``data`` and what came before it show."""
        self._pieces.append(data)
        self._size += len(data)
        if not self._known and not data.lstrip(BLANK):
            if self._size > MAX_UNDECIDED:  # nobody misses blanks, and they could go on for ever
                self._pieces = []
            return _UNKNOWN
        self._known = self._known + data if self._known else b"".join(self._pieces).lstrip(BLANK)
        first = self._known[:1]
        if first == b"<":
            return _PAGE if len(self._known) > MAX_PAGE else _UNKNOWN
        if first == _GZIP[:1] and self._known.startswith(_GZIP):
            return _PAGE
        whole = self._backend.is_whole(self._known, stream=self._stream, headers=self._headers)
        if whole is None:
            return _UNKNOWN if self._size <= MAX_UNDECIDED else _WHOLE
        return _WHOLE if whole else _STREAM

    def receive_eof(self) -> Form:
        """What the answer was, where its end came before its form showed."""
        if not self._known:
            return _EMPTY
        return _PAGE if self._known[:1] == b"<" else _WHOLE

    def fault(self) -> ir.Error:
        """The error that an answer without an answer is."""
        if not self._known:
            return ir.Error(ir.ErrorKind.UPSTREAM, "the provider sent an empty answer")
        what = f"the provider answered with status {self._status} and {described(self._known)} instead of an answer"
        return ir.Error(ir.ErrorKind.UPSTREAM, what)

    def explain(self, error: ir.Error) -> ir.Error:
        """``error``, with the words that came where they are of no protocol at all."""
        if error.dialect is not None or error.kind not in _FAULTS or not self._known or _SOME_EVENTS.match(self._known):
            return error
        if any(word.startswith(self._known) for word in _BEGINNINGS):
            return error  # the first read was too short to say that
        said = error.message if self._known[:1] == b"<" else f"{error.message}: it sent {described(self._known)}"
        return msgspec.structs.replace(error, message=said)


def described(body: bytes) -> str:
    """What came where an answer was expected, in a few words for the client; keys and hosts are not shown."""
    if body.startswith(_GZIP):
        return "gzip bytes without saying so (content-encoding)"
    kind = "an HTML page" if _MARKUP.search(body[:MAX_PAGE]) else "markup" if body[:1] == b"<" else "text"
    words = page(body)
    if len(_UNPRINTABLE.findall(words)) > len(words) // 10:
        return "bytes that are no text"
    if not words:
        return kind
    return f"{kind} ({words if len(words) <= MAX_SHOWN else words[: MAX_SHOWN - 3] + '...'})"


def unwrapped(body: bytes) -> bytes:
    """``body`` without the array around it: proxies of Google's put their errors into one, whatever was asked for."""
    if body[:1] != b"[" or b'"error"' not in body:
        return body
    try:
        found = json.items(body)
    except RemoteProtocolError:
        return body
    return bytes(found[0]) if found else body


def broken(body: bytes) -> ir.Error | None:
    """What is wrong with a whole answer that passes through: None where it is one JSON object and nothing else."""
    try:
        json.fields(body.lstrip(BLANK))
    except RemoteProtocolError as exc:
        return ir.Error(ir.ErrorKind.UPSTREAM, f"the provider's answer could not be read: {exc.error.message}")
    return None
