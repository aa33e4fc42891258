"""The input of a freeform tool out of the JSON arguments of the function that stands in for it.

A provider without freeform tools gets ``apply_patch`` as a function with one string ``input``; its model answers
``{"input": "*** Begin Patch..."}`` in fragments. `FreeformInput` reads the string as it grows, so the client sees the
patch stream. Arguments of any other shape are kept until the end and given as they are best understood.
"""

from __future__ import annotations

import enum
import re

from . import json
from .errors import RemoteProtocolError
from .ir import ErrorKind

MAX_OTHER = 16 << 20
"""Characters of arguments in another shape, which have to be kept until their end: as large as one event may be."""

_MAX_HEAD = 256
"""Characters before the string begins; models that stumble write white space without end."""

_UNIT = len(r"\ud83d")

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_HEAD_SO_FAR = re.compile(r'\s*(?:\{\s*(?:"(?:i(?:n(?:p(?:u(?:t(?:"\s*(?::\s*)?)?)?)?)?)?)?)?)?')
_BODY = re.compile(r'[^"\\]*(?:\\(?:u[0-9a-fA-F]{4}|[^u]|u(?![0-9a-fA-F]{0,3}\Z))[^"\\]*)*')
"""The string as far as its escapes are whole. An escape of the model's own making (``\\d``, ``\\uzz``) is whole too."""
_ESCAPE = re.compile(
    r"\\(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<unit>[0-9a-fA-F]{4})|(?P<char>.))",
    re.DOTALL,
)
_CHARS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}
_HIGH = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class _State(enum.Enum):
    HEAD = "head"
    STRING = "string"
    REST = "rest"
    """Behind the string: nothing of it matters."""
    OTHER = "other"
    """Not the shape we asked for: kept until the end."""


class FreeformInput:
    """Fragments of JSON arguments in, fragments of plain input out."""

    def __init__(self) -> None:
        self._state = _State.HEAD
        self._held = ""
        self._other: list[str] = []
        self._size = 0

    def receive(self, fragment: str) -> str:
        """Input that is now certain. Raises `RemoteProtocolError` when more than `MAX_OTHER` would have to be kept."""
        if self._state is _State.REST:
            return ""
        if self._state is _State.OTHER:
            self._keep(fragment)
            return ""
        self._held += fragment
        if self._state is _State.HEAD:
            head = _HEAD.match(self._held)
            if head is not None:
                self._state, self._held = _State.STRING, self._held[head.end() :]
            elif len(self._held) > _MAX_HEAD or _HEAD_SO_FAR.fullmatch(self._held) is None:
                self._state = _State.OTHER
                self._keep(self._held)
                self._held = ""
        return self._string() if self._state is _State.STRING else ""

    def _keep(self, fragment: str) -> None:
        self._other.append(fragment)
        self._size += len(fragment)
        if self._size > MAX_OTHER:
            raise RemoteProtocolError(
                f"the arguments of a tool call are longer than {MAX_OTHER} characters", kind=ErrorKind.UPSTREAM
            )

    def _string(self) -> str:
        match = _BODY.match(self._held)
        assert match is not None
        end = match.end()
        closed = self._held[end : end + 1] == '"'
        if not closed and _ends_high(self._held[:end]):
            end -= _UNIT  # the first half of a pair waits for the other half
        body, self._held = self._held[:end], self._held[end:]
        if closed:
            self._state, self._held = _State.REST, ""
        return _unescaped(body)

    def end(self) -> str:
        """What is left when the arguments are over.

        A string cut by the token limit ends where it was cut: half an escape, and half a head, is nothing.
        """
        held = "".join(self._other)
        self._held, self._other, self._state = "", [], _State.REST
        return _understood(held)


def _ends_high(body: str) -> bool:
    """Whether the last escape of ``body`` ends it and is the first half of a surrogate pair."""
    if _HIGH.fullmatch(body[-_UNIT:]) is None:
        return False
    before = body[:-_UNIT]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0  # an odd one escapes the backslash


def _unescaped(body: str) -> str:
    """The text of a JSON string's inside.

    Not a decoder's work: models write raw line breaks and escapes that JSON does not have (``\\d`` of a pattern) into
    strings; a strict decoder would refuse the whole patch, and what comes out must not depend on the fragments.
    """
    return _ESCAPE.sub(_character, body) if "\\" in body else body


def _character(match: re.Match[str]) -> str:
    char = match["char"]
    if char is not None:
        return _CHARS.get(char, match[0])
    if match["unit"] is not None:
        unit = int(match["unit"], 16)
        return json.stand_in(unit) if 0xD800 <= unit <= 0xDFFF else chr(unit)
    return chr(0x10000 + ((int(match["high"], 16) - 0xD800) << 10) + int(match["low"], 16) - 0xDC00)


def _understood(held: str) -> str:
    """Whole arguments of another shape."""
    if not held.strip():
        return ""
    fence = _FENCE.match(held)
    if fence is not None:
        held = fence[1]
    value = _loads(held)
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        if isinstance(only := value.get("input"), str):
            return only
        if len(value) == 1 and isinstance(only := next(iter(value.values())), str):
            return only
        if not value:
            return ""
    return held


def _loads(text: str) -> object:
    """The JSON value ``text`` is, raw line ends in its strings allowed; None when it is none."""
    try:
        return json.loads(text)
    except RemoteProtocolError:
        pass
    mended = _STRING.sub(lambda m: m[0].replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t"), text)
    try:
        return json.loads(mended)
    except RemoteProtocolError:
        return None
