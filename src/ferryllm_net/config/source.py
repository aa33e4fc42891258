"""Where each key of a TOML document stands: key path -> line.

The TOML reader gives values without places, and a message without a line makes people search. This scanner
reads only as much TOML as finding keys needs, over a text that the real reader has already accepted; on
anything it does not understand it stops and later keys fall back to the line of their table.
"""

from __future__ import annotations

import contextlib
import re

from .problems import Path

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_STRINGS = (
    # Longest opening first; of a closing run of quotes the last three close, the ones before belong to the text.
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?!")', re.DOTALL),
    re.compile(r"'''.*?'''(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


class _Lost(Exception):
    """The text goes on in a way that this scanner does not know."""


class Lines:
    """The index of one document. `line` never fails: it answers with the nearest known ancestor."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted = 0
        self._line = 1
        self._lines: dict[Path, int] = {}
        self._lengths: dict[Path, int] = {}
        with contextlib.suppress(_Lost):  # what was found so far still serves
            self._document()

    def line(self, path: Path) -> int | None:
        """The line of the key at `path`, counted from 1; else of the innermost table around it; else None."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return None

    def _document(self) -> None:
        table: Path = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        line = self._here()
        double = self._text.startswith("[[", self._at)
        self._at += 2 if double else 1
        names = self._dotted_key()
        self._expect("]]" if double else "]")
        path = (*self._resolve(names[:-1]), names[-1])
        if double:
            index = self._lengths.get(path, 0)
            self._lengths[path] = index + 1
            path += (index,)
        else:
            # [providers.extra] below [[providers]] speaks of the latest of them.
            path = self._resolve(names)
        self._define(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._here()
        names = self._dotted_key()
        self._expect("=")
        self._define(table + names, line)
        self._value(table + names)

    def _define(self, path: Path, line: int) -> None:
        """`path` stands at `line`; tables around it that have no line of their own begin there as well."""
        for depth in range(1, len(path)):
            self._lines.setdefault(path[:depth], line)
        self._lines[path] = line

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        opening = self._text[self._at : self._at + 1]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        elif opening in ('"', "'"):
            self._string()
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self._accept("]"):
                return
            place = (*path, index)
            self._lines[place] = self._here()
            self._value(place)
            index += 1
            self._skip(_BLANK)
            if not self._accept(","):
                self._expect("]")
                return

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while True:
            self._skip(_BLANK)
            if self._accept("}"):
                return
            self._pair(path)
            self._skip(_BLANK)
            if not self._accept(","):
                self._expect("}")
                return

    def _dotted_key(self) -> tuple[str, ...]:
        names = []
        while True:
            self._skip(_SPACE)
            names.append(self._key())
            self._skip(_SPACE)
            if not self._accept("."):
                return tuple(names)

    def _key(self) -> str:
        bare = _BARE_KEY.match(self._text, self._at)
        if bare:
            self._at = bare.end()
            return bare.group()
        quoted = self._string()
        inner = quoted[1:-1]
        return inner if quoted[0] == "'" else _ESCAPE.sub(_unescape, inner)

    def _string(self) -> str:
        for pattern in _STRINGS:
            found = pattern.match(self._text, self._at)
            if found:
                self._at = found.end()
                return found.group()
        raise _Lost

    def _resolve(self, names: tuple[str, ...]) -> Path:
        """A header's names as a path: an array of tables on the way means its latest element."""
        path: Path = ()
        for name in names:
            path += (name,)
            if path in self._lengths:
                path += (self._lengths[path] - 1,)
        return path

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()

    def _accept(self, token: str) -> bool:
        if self._text.startswith(token, self._at):
            self._at += len(token)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise _Lost

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line


def _unescape(found: re.Match[str]) -> str:
    short, long, single = found.groups()
    if single is not None:
        return _ESCAPES.get(single, single)
    code = int(short or long, 16)
    return chr(code) if code <= 0x10FFFF else ""
