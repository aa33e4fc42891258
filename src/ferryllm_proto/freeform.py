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

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_HEAD_SO_FAR = re.compile(r'\s*(?:\{\s*(?:"(?:i(?:n(?:p(?:u(?:t(?:"\s*(?::\s*)?)?)?)?)?)?)?)?)?')
_BODY = re.compile(r'(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*', re.DOTALL)
_HIGH = re.compile(r"(?:^|[^\\])((?:\\\\)*)\\u[dD][89abAB][0-9a-fA-F]{2}$")
_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\n(.*?)\n?```\s*\Z", re.DOTALL)


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
        self._given = False

    def receive(self, fragment: str) -> str:
        """Input that is now certain."""
        if self._state is _State.REST:
            return ""
        self._held += fragment
        if self._state is _State.HEAD:
            head = _HEAD.match(self._held)
            if head is not None:
                self._state, self._held = _State.STRING, self._held[head.end() :]
            elif _HEAD_SO_FAR.fullmatch(self._held) is None:
                self._state = _State.OTHER
        return self._string() if self._state is _State.STRING else ""

    def _string(self) -> str:
        match = _BODY.match(self._held)
        assert match is not None
        end = match.end()
        body = self._held[:end]
        closed = self._held[end : end + 1] == '"'
        if not closed:
            high = _HIGH.search(body)  # half of a pair: the other half comes with the next fragment
            if high is not None:
                end -= 6
                body = self._held[:end]
        self._held = self._held[end:]
        if closed:
            self._state, self._held = _State.REST, ""
        return self._decoded(body)

    def _decoded(self, body: str) -> str:
        if not body:
            return ""
        if "\\" not in body and body.isprintable():
            return body
        # Models write raw line breaks into JSON strings; a strict decoder would refuse the whole patch.
        escaped = body.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
        try:
            value = json.loads(f'"{escaped}"')
        except RemoteProtocolError:
            return body
        return str(value)

    def end(self) -> str:
        """What is left when the arguments are over."""
        held, self._held = self._held, ""
        if self._state in (_State.REST, _State.STRING):
            # A string cut by the token limit ends where it was cut.
            return self._decoded(held.rstrip("\\")) if self._state is _State.STRING and "\\u" not in held else ""
        if not held.strip():
            return ""
        try:
            value = json.loads(held)
        except RemoteProtocolError:
            fence = _FENCE.match(held)
            return fence[1] if fence else held
        if isinstance(value, str):
            return value
        if isinstance(value, dict) and len(value) == 1 and isinstance(only := next(iter(value.values())), str):
            return only
        if isinstance(value, dict) and isinstance(only := value.get("input"), str):
            return only
        return held
