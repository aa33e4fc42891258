"""What a generated answer means, apart from any protocol: made here, written by a wire, found again by a grammar.

All chance comes from the one `random.Random` that is passed around: the same seed gives the same streams.
"""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec

END, LENGTH, STOP, TOOL, FILTER = "end", "length", "stop", "tool", "filter"


class Prose(msgspec.Struct):
    text: str
    refusal: bool = False
    cited: bool = False
    """A source of the text comes with it, where the protocol has any."""


class Thought(msgspec.Struct):
    text: str
    seal: str | None = None
    """The proof that goes with it; a thought of a seal alone is hidden."""


class Call(msgspec.Struct):
    id: str | None
    name: str
    args: str
    """JSON text, or nothing; cut short where the answer was."""
    rewritten: bool = False
    """The wire wrote them as a value: how they were spelt is gone."""


class Foreign(msgspec.Struct):
    """A block only its own protocol has: a search the provider ran."""


Block = Prose | Thought | Call | Foreign


class Counts(msgspec.Struct, frozen=True):
    """Tokens; ``input`` is everything, ``cached`` the part of it that was read from a cache."""

    input: int
    cached: int
    output: int
    reasoning: int


class Meant(msgspec.Struct):
    blocks: list[Block]
    finish: str
    usage: Counts | None

    @property
    def calls(self) -> list[Call]:
        return [block for block in self.blocks if isinstance(block, Call)]

    def prose(self, *, refusals: bool) -> str:
        return "".join(
            block.text for block in self.blocks if isinstance(block, Prose) and (refusals or not block.refusal)
        )

    @property
    def thoughts(self) -> str:
        return "".join(block.text for block in self.blocks if isinstance(block, Thought))


class Can(msgspec.Struct, frozen=True):
    """What a protocol's answers can say."""

    refusals: bool = False
    filter: bool = True
    stop: bool = False
    seals: bool = True
    foreign: bool = False
    cut_calls: bool = True
    """A call can be cut short: its arguments are text."""
    ids: bool = True
    late_thoughts: bool = True


class Written(msgspec.Struct):
    """A stream as its provider sends it."""

    events: list[bytes]
    enough: int
    """With that many events all is said (T2): before, the end of the bytes is a truncation."""
    exact_thoughts: bool = True
    """Thoughts come in one part each; between parts translators put a blank line."""


_ATOMS = (
    *("a", "the", " ", "\n", "Hello", "x" * 40, "1", "0.70"),
    *("é", "日本", "😀", "\u2028", "\ufeff", "\u0000", "\u007f", "\ud83d", "\ude00"),
    *('"', "\\", "\\n", "{", "}", "data: ", "\n\n", "[DONE]", "</s>", "<think>", "event: x", "\r", "\t", "null"),
)
_NAMES = ("f", "get_weather", "a-b", "mcp__srv__tool", "N" * 64)
_KEYS = ("a", "b", "city", "é", "x y", "")


def words(rng: random.Random, most: int = 6) -> str:
    """A text of at least one character, hard to frame, hard to cut."""
    text = "".join(rng.choices(_ATOMS, k=rng.randint(1, most)))
    return text or "a"


def split(rng: random.Random, text: str, most: int = 4) -> list[str]:
    """``text`` in pieces, none of them empty."""
    if len(text) < 2 or rng.random() < 0.3:
        return [text] if text else []
    cuts = sorted({rng.randrange(1, len(text)) for _ in range(rng.randint(1, most))})
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def make(rng: random.Random, can: Can) -> Meant:
    """An answer within what a protocol can say."""
    blocks = [_block(rng, can) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 5)))]
    if not can.late_thoughts:
        blocks.sort(key=lambda block: not isinstance(block, Thought))
    _distinguish(rng, blocks)
    calls = [block for block in blocks if isinstance(block, Call)]
    finish = rng.choice((END, END, LENGTH, STOP if can.stop else END, FILTER if can.filter else END))
    if any(isinstance(block, Prose) and block.refusal for block in blocks):
        finish = END
    elif calls and finish != LENGTH:
        finish = TOOL
    if finish == LENGTH and calls and blocks[-1] is calls[-1] and can.cut_calls and len(calls[-1].args) > 1:
        calls[-1].args = calls[-1].args[: rng.randrange(1, len(calls[-1].args))]
    return Meant(blocks, finish, _counts(rng, blocks) if rng.random() < 0.9 else None)


def _block(rng: random.Random, can: Can) -> Block:
    kind = rng.random()
    if kind < 0.4:
        return Prose(words(rng, 12), cited=rng.random() < 0.15)
    if kind < 0.75:
        id_ = rng.choice((None, "", "call_", "toolu_01", "functions.f:", "c" * 66)) if can.ids else None
        return Call(id_ and f"{id_}{rng.randrange(10_000)}", rng.choice(_NAMES), arguments(rng))
    if kind < 0.93:
        seal = rng.choice((None, None, "c2VhbA==", "EqQB" + "x" * 90)) if can.seals else None
        return Thought(words(rng, 8), seal)
    if kind < 0.96 and can.refusals:
        return Prose(words(rng), refusal=True)
    return Foreign() if can.foreign else Prose("plain")


def _distinguish(rng: random.Random, blocks: list[Block]) -> None:
    """Most answers name every call differently; some servers do not."""
    seen: set[str] = set()
    for block in blocks:
        if isinstance(block, Call) and block.id:
            if block.id in seen and rng.random() < 0.9:
                block.id += "x"
            seen.add(block.id)


def _counts(rng: random.Random, blocks: list[Block]) -> Counts:
    cached = rng.choice((0, 0, 5, 1000))
    told = any(isinstance(block, (Prose, Call)) for block in blocks)
    thought = any(isinstance(block, Thought) for block in blocks)
    # Output that was counted but never came is an error (T5).
    output = rng.randint(1, 5000) if told or thought else 0
    reasoning = rng.randint(0, output) if thought else 0
    return Counts(cached + rng.randint(1, 9000), cached, output, reasoning)


def arguments(rng: random.Random) -> str:
    """Arguments as models write them: any spacing, any escapes, nothing for a call without them."""
    kind = rng.random()
    if kind < 0.15:
        return rng.choice(("", "{}"))
    value = {key: _value(rng, 2) for key in rng.sample(_KEYS, k=rng.randint(1, 3))}
    separators = rng.choice(((",", ":"), (", ", ": ")))
    ascii_ = rng.random() < 0.5
    text = json.dumps(value, ensure_ascii=ascii_, separators=separators)
    return json.dumps(value, separators=separators) if any("\ud800" <= c <= "\udfff" for c in text) else text


def _value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(8 if depth else 6)
    if kind == 0:
        return words(rng, 3)
    if kind < 6:
        return (None, True, 0, -17, 0.5, 12345678901234567)[kind]
    if kind == 6:
        return [_value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return {key: _value(rng, depth - 1) for key in rng.sample(_KEYS, k=rng.randint(0, 2))}


def dumps(rng: random.Random, value: Any) -> bytes:
    """JSON as this or that server writes it; lone surrogates as escapes."""
    style = rng.randrange(3)
    if style == 0:
        return json.dumps(value, separators=(",", ":")).encode()
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":") if style == 1 else None)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()
