"""How one log entry looks: text and JSON. Pure; nothing a client or a provider says can break out of its value."""

from __future__ import annotations

import enum
import functools
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

Value = str | int | float | bool
"""What a key may hold."""


class Level(enum.IntEnum):
    """How much an entry matters; the higher, the more."""

    TRACE = 5
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40

    @classmethod
    def named(cls, name: str) -> Level:
        """The level called `name` in the configuration. Raises KeyError."""
        return cls[name.upper()]


MAX_VALUE = 1024
"""Longest text that one value takes, in characters; the rest is cut. Model names, the longest values that come
from outside, are below 200 in practice; the number keeps a line within what syslog relays pass on (8 KiB)."""

_BARE = re.compile(r"[A-Za-z0-9._:/@+~-]+")
_BARE_KEYS = frozenset(("model", "display_model", "backend_model", "request_id"))
"""Keys whose texts stand without quotes as long as they are plain words, as in `model=gpt-5.5`; all other
texts are quoted, as in `provider="openai"`. This is how the lines of the reference system read."""

_NAMES = {level: f"{level.name:>5}" for level in Level}
"""Made once: to read the name of a member costs as much as the rest of a line."""
_COLOURS = {Level.TRACE: "35", Level.DEBUG: "34", Level.INFO: "32", Level.WARN: "33", Level.ERROR: "31"}


def text_line(now: float, level: Level, message: str, fields: Mapping[str, Value], *, ansi: bool = False) -> str:
    """`2026-01-31T12:00:00.000Z  INFO message key=value ...`, one line. `now`: seconds since the epoch."""
    return f"{text_begin(now, level, ansi=ansi)} {plain_text(message, fields)}"


def text_begin(now: float, level: Level, *, ansi: bool = False) -> str:
    """Time and level, before the message."""
    name = _NAMES[level]
    stamp = timestamp(now)
    if ansi:
        name = f"\x1b[{_COLOURS[level]}m{name}\x1b[0m"
        stamp = f"\x1b[2m{stamp}\x1b[0m"
    return f"{stamp} {name}"


def pair(key: str, value: Value) -> str:
    """`key=value` as it stands in a line; without a key, a message."""
    return f"{key}={_text_value(key, value)}" if key else _escaped(str(value))


def plain_text(message: str, fields: Mapping[str, Value]) -> str:
    """The message and its `key=value` pairs in their order, without time and level."""
    return " ".join((pair("", message), *(pair(key, value) for key, value in fields.items())))


def json_line(now: float, level: Level, message: str, fields: Mapping[str, Value]) -> str:
    """One JSON object with timestamp, level, message, then the keys of the entry."""
    entry: dict[str, Value] = {"timestamp": timestamp(now), "level": level.name.lower(), "message": _cut(message)}
    entry.update((key, _cut(value) if isinstance(value, str) else value) for key, value in fields.items())
    return plain_json(entry)


def plain_json(entry: Mapping[str, object]) -> str:
    """One JSON object of printable ASCII alone."""
    import json  # many logs are text

    # The stdlib's encoder, not ferryllm_proto's: it writes pure ASCII, so that C1 controls, direction marks and lone
    # surrogates in a model name reach no terminal. DEL is the one control character that it leaves as it is.
    return json.dumps(entry, ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f")


def json_line_of(entry: Mapping[str, object]) -> bytes:
    """The same as a line of a file."""
    return plain_json(entry).encode("ascii") + b"\n"


def timestamp(now: float) -> str:
    """`now`, seconds since the epoch, in UTC with milliseconds: 2026-01-31T12:00:00.000Z."""
    second, millisecond = divmod(milliseconds(now), 1000)
    return f"{_second(second)}.{millisecond:03d}Z"


def milliseconds(now: float) -> int:
    """Whole ones; what binary fractions lack to the next is less than a microsecond and added."""
    return math.floor(now * 1000 + 0.0005)


@functools.lru_cache(maxsize=4)
def _second(second: int) -> str:
    return f"{datetime.fromtimestamp(second, timezone.utc):%Y-%m-%dT%H:%M:%S}"


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` with every one of `secrets` in it as `***`."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, "***")
    return text


def _text_value(key: str, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    if key in _BARE_KEYS and _BARE.fullmatch(value) and len(value) <= MAX_VALUE:
        return value
    return f'"{_escaped(value, quoted=True)}"'


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\u001b"}


def _escaped(text: str, *, quoted: bool = False) -> str:
    text = _cut(text)
    if quoted:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    if text.isprintable():
        return text
    # isprintable is false for controls, line and paragraph separators, direction marks, lone surrogates, unassigned.
    return "".join(char if char.isprintable() else _ESCAPES.get(char, _code(char)) for char in text)


def _code(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "..."
