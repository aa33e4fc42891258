"""What a letter, a word, a tool or a picture costs, by family of models: the data of the estimate of tokens.

Every family was fitted to the providers' own counts in recorded traffic (docs/explanation/token-counts.md has the
errors that remain). They differ most in what they add that no client sees: the frame of a message, the instructions in
front of tools, how much of a JSON schema is written out. Names are matched as vendors and gateways write them.
"""

from __future__ import annotations

import enum
import functools
import re

import msgspec


class Cut(enum.Enum):
    """How a picture becomes tokens."""

    PATCHES = "patches"
    """Squares of `Picture.side` pixels, each one ``each`` tokens."""
    TILES = "tiles"
    """The shorter side scaled down to 768, then squares of `Picture.side` pixels, and ``base`` once."""


class Picture(msgspec.Struct, frozen=True):
    """The price of a picture."""

    cut: Cut
    side: int
    each: float
    base: float = 0.0
    most: float = 1600.0
    """Tokens of the largest picture, after the provider's own scaling."""
    unknown: float = 800.0
    """Tokens where the size can not be seen: a URL, a file id."""


class Weights(msgspec.Struct, frozen=True):
    """Tokens for what a request is made of."""

    text: float = 0.97
    """Scale of `estimate.text_cost`, which is fitted to the tokenizers of 2024 and later."""
    json: float = 0.9
    """Scale of the JSON of schemas and arguments: providers write it their own, often shorter way."""
    format: float = 0.5
    """The same of the schema an answer is bound to."""
    request: float = 5.0
    turn: float = 4.0
    """The frame of a message."""
    tools: float = 20.0
    """The instructions that are added once when a request has tools."""
    tool: float = 5.0
    call: float = 10.0
    """The frame of a call or a result."""
    bound: float = 5.0
    """What is added when the answer is bound to a schema."""
    reasoning: float = 0.5
    """How much of the thoughts in the history counts: some providers drop them."""
    sealed: float = 0.1
    """Tokens for a character of encrypted thoughts."""
    cited: float = 0.0
    """What is added when documents shall be cited."""
    page: float = 800.0
    """A page of a PDF, read as text and as a picture."""
    sound: float = 10.0
    """A second of sound."""
    picture: Picture = Picture(Cut.PATCHES, 28, 1.0, base=10)


_CLAUDE = Weights(
    json=0.97,
    format=2.1,
    request=7.0,
    turn=1.8,
    tools=497.0,
    tool=6.7,
    call=25.0,
    reasoning=1.0,
    sealed=0.05,
    cited=580.0,
    page=2100.0,
    picture=Picture(Cut.PATCHES, 28, 1.0, base=10, most=1600, unknown=1000),
)
_GPT = Weights(
    text=0.96,
    json=0.35,
    format=0.44,
    request=3.0,
    turn=4.3,
    tools=13.0,
    tool=1.0,
    call=6.5,
    reasoning=0.2,
    sealed=0.07,
    picture=Picture(Cut.TILES, 512, 140, base=70, most=770, unknown=630),
)
_GEMINI = Weights(
    text=0.97,
    json=0.55,
    format=0.0,
    request=1.0,
    turn=0.6,
    tools=2.0,
    tool=4.0,
    call=5.0,
    bound=1.0,
    reasoning=0.1,
    sealed=0.12,
    page=258.0,
    sound=32.0,
    picture=Picture(Cut.TILES, 768, 258, most=2580, unknown=258),
)
_QWEN = Weights(
    text=0.89, json=0.83, format=0.0, request=4.5, turn=6.6, tools=79.0, tool=20.0, call=40.0, reasoning=0.1,
    picture=Picture(Cut.PATCHES, 28, 1.0, most=1280, unknown=400),
)  # fmt: skip

_replace = msgspec.structs.replace

_FAMILIES: tuple[tuple[str, Weights], ...] = (
    # From Claude Opus 4.7 on the same text is cut into more tokens.
    (
        r"claude-(?:opus-4[-.][789]|(?:opus|sonnet|haiku|mythos|fable)-[5-9])",
        _replace(_CLAUDE, text=1.43, json=1.34, tools=620.0, picture=_replace(_CLAUDE.picture, most=4784.0)),
    ),
    (r"claude", _CLAUDE),
    (
        r"gpt-oss",
        Weights(text=0.99, json=0.46, format=0.7, request=61.6, turn=6.2, tools=16.5, tool=7.0, call=15.0),
    ),
    (
        r"gpt-4o-mini",
        _replace(_GPT, picture=Picture(Cut.TILES, 512, 5667, base=2833, most=48_169, unknown=25_501)),
    ),
    (
        r"gpt-4o|gpt-4\.1$|gpt-4\.1-20|gpt-4\.5|chatgpt-4o",
        _replace(_GPT, picture=Picture(Cut.TILES, 512, 170, base=85, most=1445, unknown=765)),
    ),
    (r"o[13](?:$|-(?!mini))", _replace(_GPT, picture=Picture(Cut.TILES, 512, 150, base=75, most=1275, unknown=675))),
    (
        r"(?:gpt-[4-9].*|o\d-)(?:mini|nano)|gpt-5[-.]?\d?-codex",
        _replace(_GPT, picture=Picture(Cut.PATCHES, 32, 1.62, most=2489, unknown=700)),
    ),
    (
        r"(?:chat)?gpt-(?:3|4(?:$|-))",
        _replace(_GPT, text=0.9, json=0.34, format=0.7, request=3.8, turn=4.6, tools=17.0, tool=7.5, call=8.0),
    ),
    (r"gpt|chatgpt|o\d|codex|computer-use", _GPT),
    (
        r"gemini-[3-9]",
        _replace(_GEMINI, page=540.0, picture=Picture(Cut.TILES, 4096, 1090, most=1090, unknown=1090)),
    ),
    (
        r"gemini-2\.0",
        _replace(_GEMINI, picture=Picture(Cut.TILES, 768, 258, base=1032, most=2580, unknown=1290)),
    ),
    (r"gemini|gemma|learnlm", _GEMINI),
    (
        r"pixtral",
        Weights(
            text=0.88, json=1.1, format=0.0, request=5.2, turn=6.4, tools=2.5, tool=5.8, call=1.5,
            picture=Picture(Cut.PATCHES, 16, 1.04, most=4096),
        ),
    ),
    (
        r"(?:mi|mini|magi|codes|devs|vox)stral|mixtral|open-mistral|labs-",
        Weights(
            text=0.88, json=1.1, format=0.0, request=5.2, turn=6.4, tools=2.5, tool=5.8, call=1.5, sound=75.0,
            picture=Picture(Cut.PATCHES, 28, 1.04, most=3025),
        ),
    ),
    (
        r"llama-?4",
        Weights(
            text=1.1, json=0.9, format=0.0, request=30.0, turn=4.5, tools=560.0, tool=10.0, call=7.0,
            picture=Picture(Cut.TILES, 336, 145, base=640, most=3000, unknown=900),
        ),
    ),
    (
        r"(?:meta-)?llama",
        Weights(text=1.1, json=0.9, format=0.0, request=30.0, turn=4.5, tools=115.0, tool=10.0, call=7.0),
    ),
    (r"qwen|qwq|qvq", _QWEN),
    (
        r"deepseek",
        Weights(text=0.94, json=0.84, format=0.7, request=3.0, turn=3.4, tools=222.0, tool=8.2, call=24.0,
                reasoning=1.0),
    ),
    (
        r"grok",
        Weights(text=0.77, json=0.63, format=0.7, request=162.7, turn=2.7, tools=74.0, tool=8.0, call=31.8,
                reasoning=0.13, sealed=0.16, picture=Picture(Cut.TILES, 448, 256, most=1792, unknown=512)),
    ),
    (r"glm", Weights(text=0.84, json=0.84, format=0.0, request=5.3, turn=3.1, tools=93.0, tool=8.4, call=9.1)),
    (r"kimi|moonshot", Weights(text=0.87, json=0.74, request=3.9, turn=3.9, tools=15.2, tool=7.6, call=17.4)),
    (r"sonar|pplx", Weights(text=0.87, request=1.1, turn=1.5)),
)  # fmt: skip
"""The first pattern that is found at the beginning of a name counts. Not in it: whoever has too few recorded counts to
say anything of; they get the weights of most."""

_OTHERS = Weights()

_PATTERNS = tuple((re.compile(pattern), weights) for pattern, weights in _FAMILIES)

BY_DIALECT: dict[str, Weights] = {
    "anthropic": _CLAUDE,
    "openai_responses": _GPT,
    "gemini": _GEMINI,
}
"""For models whose name says nothing, by the dialect of their provider: the two that many vendors speak are missing."""

_MAX_NAME = 200
"""Characters of a name that are looked at: longer ones are no names."""


def weights_of(model: str, dialect: str = "") -> Weights:
    """The weights of ``model``, a name with or without vendors in front, behind a provider of ``dialect``."""
    return _kept(model[-_MAX_NAME:], dialect)


@functools.lru_cache(maxsize=256)
def _kept(model: str, dialect: str) -> Weights:
    name = model.lower().rpartition("/")[2]
    for separator in ("anthropic.", "openai.", "meta.", "mistral.", "qwen.", "deepseek."):  # Bedrock's names
        name = name.rpartition(separator)[2] if separator in name else name
    for pattern, weights in _PATTERNS:
        if pattern.match(name):
            return weights
    for pattern, weights in _PATTERNS[:2]:  # "vertex-claude", "my-claude": nobody else is called so
        if pattern.search(name):
            return weights
    return BY_DIALECT.get(dialect, _OTHERS)
