"""Judging streams in tests: the grammar of each dialect over the exact bytes a client would get.

The machines are the dialects' own `Dialect.grammar`, taken from the registry. A stream that only stops is no problem
here: tests say themselves whether it had to end.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

import msgspec

from ferryllm_proto import DIALECTS
from ferryllm_proto.grammar import Problem, Seen

CUT = "cut"
"""The rule of the problem that a stream stops before its end."""

_STAND_IN = re.compile("[\U0010f800-\U0010ffff]")


def judge(dialect: str, data: bytes, cuts: Iterable[int] = (), path: str | None = None) -> tuple[list[Problem], Seen]:
    """The problems of a stream that is fed in pieces, and what it amounted to."""
    grammar = DIALECTS[dialect].grammar(path)
    for start, end in itertools.pairwise([0, *sorted(cuts), len(data)]):
        grammar.receive_data(data[start:end])
    grammar.receive_eof()
    return grammar.problems, _plain(grammar.seen)


def validate(dialect: str, data: bytes, path: str | None = None) -> Seen:
    """What ``data`` amounted to. Raises AssertionError for the first thing a strict client could not live with."""
    problems, seen = judge(dialect, data, path=path)
    wrong = [problem for problem in problems if problem.rule != CUT]
    assert not wrong, f"{dialect}: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
    return seen


def chat(data: bytes) -> Seen:
    return validate("openai", data)


def messages(data: bytes) -> Seen:
    return validate("anthropic", data)


def responses(data: bytes) -> Seen:
    return validate("openai_responses", data)


def frames(data: bytes) -> list[tuple[str, str]]:
    """Event name and data of each event of a stream whose lines end with LF."""
    text = data.decode()
    assert not text or text.endswith("\n\n"), "the stream does not end with a blank line"
    out = []
    for block in text.split("\n\n")[:-1]:
        event, lines = "", []
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                continue
            assert name in ("event", "data"), f"unexpected line {line[:60]!r}"
            if name == "event":
                event = value
            else:
                lines.append(value)
        if lines or event:
            assert len(lines) == 1, f"one data line an event, found {len(lines)}"
            out.append((event, lines[0]))
    return out


def _plain(seen: Seen) -> Seen:
    """``seen`` with lone surrogates for what stands for them inside proto (json.py)."""
    tools = [(name, surrogates(arguments)) for name, arguments in seen.tools]
    return msgspec.structs.replace(seen, text=surrogates(seen.text), reasoning=surrogates(seen.reasoning), tools=tools)


def surrogates(text: str) -> str:
    """``text`` as Python's own JSON reader gives it; a pair whose halves came apart is one character again."""
    if _STAND_IN.search(text) is None:
        return text
    return _STAND_IN.sub(lambda match: chr(ord(match[0]) - 0x10F800 + 0xD800), text)
