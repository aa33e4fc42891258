"""Patterns over names of models, in linear time: globs, and regular expressions without what makes them slow.

Names come from clients, so the engine of `re` must not see them together with a pattern of the configuration: with
``(a+)+b`` forty characters take it hours. Here a pattern becomes an automaton whose states are sets of positions: every
character of the name is read once, whatever the pattern. What an automaton cannot do (references back, looking around)
is refused when the configuration is read.
"""

from __future__ import annotations

from typing import Union

import msgspec

MAX_PATTERN = 512
"""Characters of a pattern; longer ones are better said as several routes."""
MAX_POSITIONS = 1000
"""Of an automaton, repetitions written out: RE2's own limit for a counted repetition is 1000 too."""
MAX_DEPTH = 32
"""Groups within groups; the parser calls itself for each."""
MAX_NAME = 512
"""Characters of a name that patterns are tried on; the longest known name of a model has some 130."""
MAX_KNOWN = 2048
"""Moves between sets of positions that are remembered; beyond it all are forgotten, as RE2 does."""


class PatternError(Exception):
    """A pattern that cannot be used: what is wrong with it, where, and what would do."""


Ranges = tuple[tuple[int, int], ...]
"""Code points, both ends included, in order and apart."""

_TOP = 0x10FFFF
_ANY: Ranges = ((0, _TOP),)
_CLASSES: dict[str, Ranges] = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 13), (32, 32)),
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}


class Chars(msgspec.Struct, frozen=True):
    ranges: Ranges


class Sequence(msgspec.Struct, frozen=True):
    parts: tuple[Node, ...]


class Choice(msgspec.Struct, frozen=True):
    parts: tuple[Node, ...]


class Repeat(msgspec.Struct, frozen=True):
    part: Node
    least: int
    most: int | None


Node = Union[Chars, Sequence, Choice, Repeat]  # noqa: UP007 - used before it is defined

_ANYTHING = Repeat(Chars(_ANY), 0, None)


class Pattern:
    """An automaton made of a tree. Use `glob` or `regex`."""

    def __init__(self, source: str, tree: Node) -> None:
        self.source = source
        self._moves: list[tuple[Ranges, int]] = []
        """Of each position that reads a character: which, and the position behind it."""
        self._forks: dict[int, tuple[int, ...]] = {}
        """Of each position that reads none: where it goes on."""
        self._steps = 0
        self._end = self._new(())
        self._start = self._closure({self._build(tree, self._end)})
        self._known: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def matches(self, name: str) -> bool:
        """Whether the whole of ``name`` fits."""
        if len(name) > MAX_NAME:
            return False
        here, known = self._start, self._known
        for char in name:
            after = known.get((here, char))
            if after is None:
                after = self._after(here, char)
            if not after:
                return False
            here = after
        return self._end in here

    def _after(self, here: frozenset[int], char: str) -> frozenset[int]:
        code = ord(char)
        reached = {
            behind
            for ranges, behind in [self._moves[at] for at in here]
            if any(low <= code <= high for low, high in ranges)
        }
        after = self._closure(reached)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[here, char] = after
        return after

    def _closure(self, positions: set[int]) -> frozenset[int]:
        """``positions`` and what can be reached from them without reading, without the forks themselves."""
        found: set[int] = set()
        seen: set[int] = set()
        waiting = list(positions)
        while waiting:
            at = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            ways = self._forks.get(at)
            if ways is None:
                found.add(at)
            else:
                waiting.extend(ways)
        return frozenset(found)

    def _new(self, ranges: Ranges, behind: int = 0) -> int:
        if len(self._moves) >= MAX_POSITIONS:
            raise self._too_large()
        self._moves.append((ranges, behind))
        return len(self._moves) - 1

    def _too_large(self) -> PatternError:
        return PatternError(
            f"the pattern {self.source!r} is too large: its repetitions written out have more than "
            f"{MAX_POSITIONS} characters; use * or + in place of large numbers"
        )

    def _build(self, node: Node, behind: int) -> int:
        """Positions for ``node`` in front of ``behind``; returns the first."""
        self._steps += 1
        if self._steps > 10 * MAX_POSITIONS:  # repetitions of nothing take no position
            raise self._too_large()
        kind = type(node)
        if kind is Chars:
            return self._new(node.ranges, behind)  # type: ignore[union-attr]  # by its type
        if kind is Sequence:
            for part in reversed(node.parts):  # type: ignore[union-attr]  # by its type
                behind = self._build(part, behind)
            return behind
        if kind is Choice:
            fork = self._new(())
            self._forks[fork] = tuple(self._build(part, behind) for part in node.parts)  # type: ignore[union-attr]  # as above
            return fork
        assert isinstance(node, Repeat)
        start = behind
        if node.most is None:
            start = self._new(())
            self._forks[start] = ()
            self._forks[start] = (self._build(node.part, start), behind)
        else:
            for _ in range(node.most - node.least):
                fork = self._new(())
                self._forks[fork] = (self._build(node.part, start), behind)
                start = fork
        for _ in range(node.least):
            start = self._build(node.part, start)
        return start


def glob(text: str) -> Pattern:
    """``*`` is any characters, ``?`` is one; everything else is itself, brackets too: ``claude-*[1m]``.

    Raises `PatternError` for one that is too long.
    """
    _bound(text)
    parts: list[Node] = []
    for char in text:
        if char == "*":
            parts.append(_ANYTHING)
        else:
            parts.append(Chars(_ANY if char == "?" else ((ord(char), ord(char)),)))
    return Pattern(text, Sequence(tuple(parts)))


def regex(text: str, *, whole: bool = True) -> Pattern:
    """A regular expression in the notation of `re`; ``whole`` has to fit the whole name, otherwise any part of it.

    Known are characters, ``.``, classes, ``\\d \\w \\s`` and their opposites (ASCII), groups, ``|``, the repetitions
    ``* + ? {m,n}``, ``^`` first and ``$`` last, and ``(?i)`` at the beginning. Raises `PatternError` for the rest.
    """
    _bound(text)
    body, fold = (text[4:], True) if text.startswith("(?i)") else (text, False)
    first, last = body.startswith("^"), body.endswith("$") and not body.endswith("\\$")
    parser = _Parser(text, len(text) - len(body) + first, len(text) - last, fold=fold)
    tree = parser.parse()
    if not whole:
        if type(tree) is Choice and (first or last):
            raise PatternError(f"in the pattern {text!r} ^ or $ stand beside |: put the choice in parentheses")
        before: tuple[Node, ...] = () if first else (_ANYTHING,)
        tree = Sequence((*before, tree) if last else (*before, tree, _ANYTHING))
    return Pattern(text, tree)


def _bound(text: str) -> None:
    if len(text) > MAX_PATTERN:
        raise PatternError(f"a pattern of {len(text)} characters is too long: at most {MAX_PATTERN}")


class _Parser:
    """Reads ``text`` from ``at`` to ``end`` by recursive descent."""

    def __init__(self, text: str, at: int, end: int, *, fold: bool) -> None:
        self._text, self._at, self._end, self._fold = text, at, end, fold
        self._depth = 0

    def parse(self) -> Node:
        tree = self._choice()
        if self._at < self._end:
            raise self._wrong(") without (")
        return tree

    def _wrong(self, what: str) -> PatternError:
        return PatternError(f"in the pattern {self._text!r} at character {self._at + 1}: {what}")

    def _peek(self) -> str:
        return self._text[self._at] if self._at < self._end else ""

    def _choice(self) -> Node:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeats(self._atom()))
        return Sequence(tuple(parts))

    def _repeats(self, part: Node) -> Node:
        bounds = self._bounds()
        if bounds is None:
            return part
        if self._peek() in ("*", "+", "?") and self._peek():
            # *? and *+ choose among ways to match; whether there is one is all that is asked here, but people who
            # write them expect something.
            raise self._wrong("one repetition behind another; put the inner one in parentheses")
        return Repeat(part, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        char = self._peek()
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if char in simple:
            self._at += 1
            return simple[char]
        if char != "{":
            return None
        close = self._text.find("}", self._at, self._end)
        least, comma, most = self._text[self._at + 1 : close].partition(",")
        if close < 0 or not _is_number(least or "0") or not _is_number(most or "0") or not (least or most):
            raise self._wrong("{ must begin a repetition as in {2} or {2,5}; write \\{ for the character")
        low = int(least or "0")
        high = low if not comma else int(most) if most else None
        if high is not None and high < low:
            raise self._wrong(f"the repetition ends below its beginning: {{{low},{high}}}")
        self._at = close + 1
        return low, high

    def _atom(self) -> Node:
        char = self._peek()
        if char == "(":
            return self._group()
        if char == "[":
            return Chars(self._set())
        if char == "\\":
            return Chars(self._escape())
        if char in ("*", "+", "?", "{"):
            raise self._wrong(f"{char} has nothing to repeat; write \\{char} for the character")
        if char in ("^", "$"):
            raise self._wrong(f"{char} is known at the very beginning or end only; write \\{char} for the character")
        self._at += 1
        return Chars(_ANY if char == "." else self._one(char))

    def _one(self, char: str) -> Ranges:
        codes = {ord(char)}
        if self._fold:
            codes |= {ord(other) for other in (char.lower(), char.upper()) if len(other) == 1}
        return tuple((code, code) for code in sorted(codes))

    def _group(self) -> Node:
        self._at += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} groups within each other")
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise self._wrong("of the groups with (? only (?: is known, and (?i) at the very beginning")
            self._at += 2
        inner = self._choice()
        if self._peek() != ")":
            raise self._wrong("a group is not closed: ) is missing")
        self._at += 1
        self._depth -= 1
        return inner

    def _escape(self) -> Ranges:
        char = self._text[self._at + 1] if self._at + 1 < self._end else ""
        if char.lower() in _CLASSES and char:
            found = _CLASSES[char.lower()]
            ranges = _opposite(found) if char.isupper() else found
        elif char in _CONTROLS:
            ranges = self._one(_CONTROLS[char])
        elif char and not char.isalnum():
            ranges = self._one(char)
        else:
            raise self._wrong(f"\\{char} is not known: a name has no words or lines, and nothing refers back")
        self._at += 2
        return ranges

    def _set(self) -> Ranges:
        start = self._at
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        found: list[tuple[int, int]] = []
        empty = True
        while empty or self._peek() != "]":
            empty = False
            if not self._peek():
                self._at = start
                raise self._wrong("[ is not closed: ] is missing")
            low = self._member()
            if self._text[self._at : self._at + 1] == "-" and self._text[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                high = self._member() if self._peek() else ()
                if len(low) != 1 or len(high) != 1 or low[0][0] > high[0][1] or low[0][0] != low[0][1]:
                    raise self._wrong("a range in [] must go from a lower character to a higher one")
                found.extend(self._folded((low[0][0], high[0][1])))
            else:
                found.extend(pair for one in low for pair in self._folded(one))
        self._at += 1
        ranges = _joined(found)
        return _opposite(ranges) if negated else ranges

    def _member(self) -> Ranges:
        if self._peek() == "\\":
            fold, self._fold = self._fold, False
            ranges = self._escape()
            self._fold = fold
            return ranges
        char = self._peek()
        self._at += 1
        return ((ord(char), ord(char)),)

    def _folded(self, one: tuple[int, int]) -> Ranges:
        """With ``(?i)`` also the other case, of ASCII: that is what names are written in."""
        if not self._fold:
            return (one,)
        low, high = one
        lower = (max(low, 65) + 32, min(high, 90) + 32)
        upper = (max(low, 97) - 32, min(high, 122) - 32)
        return (one, *[pair for pair in (lower, upper) if pair[0] <= pair[1]])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _joined(ranges: list[tuple[int, int]]) -> Ranges:
    out: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


def _opposite(ranges: Ranges) -> Ranges:
    out: list[tuple[int, int]] = []
    at = 0
    for low, high in ranges:
        if low > at:
            out.append((at, low - 1))
        at = high + 1
    if at <= _TOP:
        out.append((at, _TOP))
    return tuple(out)
