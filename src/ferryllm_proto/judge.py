"""What the judges of all Server-Sent Event streams share: cutting bytes into events strictly, and noting problems.

Apart from `sse`, which forgives whatever real providers send: a judge tells what a strict client could not live with.
It is written from WHATWG HTML section 9.2 and from the decoders of the official SDKs, not from our encoders.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from . import json
from .errors import RemoteProtocolError
from .grammar import Problem, Seen

MAX_EVENT = 128 << 20
"""Bytes of one event that are looked at: the last event of a Responses stream repeats an answer of `MAX_CONTENT`."""

MAX_CONTENT = 64 << 20
"""Characters of an answer that are kept for comparisons: as much as one answer may have (reliability.md, section 5)."""

MAX_PROBLEMS = 1000
"""Problems that are kept: who has a thousand needs no more of them."""

MAX_BLOCKS = 100_000
"""Blocks, items, calls and parts that are kept apart in one stream."""

PROMISE = "promise"
"""The rule of problems that break no protocol, but what ferryllm promises beyond it (usage complete, one word for one
thing). Streams of providers need not keep these."""

_T = TypeVar("_T")

# What stands for the halves of a character inside proto, see `json`.
_PAIR = re.compile("[\U0010f800-\U0010fbff][\U0010fc00-\U0010ffff]")


def joined(pieces: Iterable[str]) -> str:
    """The text of its deltas: tokenizers cut characters, and two halves that meet are the character again."""
    text = "".join(pieces)
    return text if text.isascii() else _PAIR.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    high, low = (ord(half) - 0x10F800 for half in match[0])
    return chr(0x10000 + (high << 10) + (low - 0x400))


class Judge(abc.ABC):
    """Base of the grammars of SSE streams. Subclasses implement `_event` and `_end`."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.seen = Seen(tools=[])
        self.events = 0
        """Events so far."""
        self._tail = bytearray()
        self._after_cr = False
        self._name: str | None = None
        self._data: list[bytes] = []
        self._size = 0
        self._huge = False
        """The event is too large to be looked at."""
        self._has_line = False
        """Whether the event has a line."""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._kept = 0

    # --- input -------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Bytes of the stream, in any cut."""
        if self._after_cr and data:
            self._after_cr = False
            data = data[1:] if data[:1] == b"\n" else data
        if b"\r" in data:
            self._after_cr = data[-1:] == b"\r"
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, newline, rest = data.partition(b"\n")
        if not newline:
            self._keep(first)
            return
        if self._tail or self._huge:
            self._keep(first)
            first = bytes(self._tail)
            self._tail.clear()
        *lines, tail = rest.split(b"\n")
        self._line(first)
        for line in lines:
            self._line(line)
        self._keep(tail)

    def receive_eof(self) -> None:
        """The stream is over. Idempotent in its problems only if called once."""
        if self._tail or self._has_line:
            self._problem("framing", "the last event has no blank line behind it: clients drop it")
            self._line(bytes(self._tail))
            self._tail.clear()
            self._line(b"")
        self.seen.text, self.seen.reasoning = joined(self._text), joined(self._reasoning)
        self._end()

    def _keep(self, piece: bytes) -> None:
        if len(self._tail) + self._size + len(piece) > MAX_EVENT:
            self._huge = True
            self._tail.clear()
        elif not self._huge:
            self._tail += piece

    # --- lines -------------------------------------------------------------------------------------------

    def _line(self, line: bytes) -> None:
        if line[:6] == b"data: ":
            self._has_line = True
            self._add(line[6:])
        elif line[:7] == b"event: ":
            self._has_line = True
            self._named(line[7:])
        elif not line:
            self._dispatch()
        elif line[:1] != b":":
            self._other(line)

    def _named(self, value: bytes) -> None:
        try:
            self._name = value.decode()
        except UnicodeDecodeError:
            self._name = value.decode("utf-8", "replace")
            self._problem("framing", "the event's name is not UTF-8")

    def _other(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        self._has_line = True
        if field == b"data":
            self._add(value)
        elif field == b"event":
            self._named(value)
        elif field not in (b"id", b"retry"):
            self._problem("framing", "a line that is no field of an event; expected event:, data: or a comment")

    def _add(self, value: bytes) -> None:
        self._size += len(value)
        if self._size > MAX_EVENT:
            self._huge = True
        else:
            self._data.append(value)

    def _dispatch(self) -> None:
        if not self._has_line and not self._huge:
            return
        name, data, huge = self._name, self._data, self._huge
        self._name, self._data, self._size, self._has_line, self._huge = None, [], 0, False, False
        if huge:
            self._problem("framing", f"an event of more than {MAX_EVENT} bytes, which was not looked at")
        elif not data:
            self._problem("framing", "an event without data: SDKs try to read it as JSON")
        else:
            if len(data) > 1:
                self._problem("framing", f"an event of {len(data)} data lines; expected one (S14)")
            self._judge(name, data[0] if len(data) == 1 else b"\n".join(data))
        self.events += 1

    def _judge(self, name: str | None, data: bytes) -> None:
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError:
                self._problem("framing", "the data is not UTF-8")
                data = data.decode("utf-8", "replace").encode()
        self._event(name, data)

    # --- for subclasses ----------------------------------------------------------------------------------

    @abc.abstractmethod
    def _event(self, name: str | None, data: bytes) -> None:
        """One event; ``name`` is None where it has no ``event:`` line."""

    @abc.abstractmethod
    def _end(self) -> None:
        """The stream is over."""

    def _problem(self, rule: str, message: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(self.events, rule, message))

    def _read(self, data: bytes, decoder: msgspec.json.Decoder[_T]) -> _T | None:
        """``data`` as the decoder's type; None, and a problem, where it is not."""
        try:
            return json.decode(data, decoder)
        except RemoteProtocolError as exc:
            self._problem("json" if exc.error.code == "invalid_json" else "field", exc.error.message)
            return None

    def _grow(self, text: str) -> bool:
        """Whether ``text`` may be kept."""
        self._kept += len(text)
        return self._kept <= MAX_CONTENT

    def _same(self, one: bytes | msgspec.Raw, other: bytes | msgspec.Raw) -> bool:
        """Whether two JSON values are equal, however they are written."""
        if bytes(one) == bytes(other):
            return True
        try:
            return bool(json.loads(one) == json.loads(other))
        except RemoteProtocolError:
            return False
