"""Ids: minted from a seed and a position, fitted into what a dialect allows.

Nothing here is random: the same request and the same answer give the same ids (translation.md G9), and a foreign id
maps to the same fitted id in a call and in its result, in this turn and in the next (A14).
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Collection

import msgspec

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@functools.cache
def _pairs() -> tuple[str, ...]:
    """Two digits at once, the lower first: long division is what a hash costs. Made by the first who needs them, since
    they take 220 KiB."""
    return tuple(low + high for high in _ALPHABET for low in _ALPHABET)


def _base62(digest: bytes, length: int) -> str:
    number = int.from_bytes(digest, "big")
    out, pairs = [], _pairs()
    for _ in range((length + 1) // 2):
        number, rest = divmod(number, 3844)
        out.append(pairs[rest])
    return "".join(out)[:length]


def mint(prefix: str, seed: int, position: int | str = 0, *, length: int = 24) -> str:
    """A new id: ``prefix`` and ``length`` characters (at most 64) that depend on ``seed``, ``prefix`` and ``position``
    alone.

    Sixteen of the letters dialects allow are enough here, and cost a tenth: every answer has an id.
    """
    return prefix + hashlib.sha256(f"{seed}/{prefix}/{position}".encode("utf-8", "surrogatepass")).hexdigest()[:length]


FRESH = (1 << 96) - 1
"""The bits of a seed that are an answer's own id."""


def own(prefix: str, seed: int) -> str:
    """The id of an answer itself, of which a ``seed`` makes one: ``prefix`` and 24 letters that are the seed's 96 bits.

    A hash of them is no better, and cost a tenth of translating a small answer.
    """
    # Bytes of its own kind: a format costs twice as much.
    return prefix + (seed & FRESH).to_bytes(12, "big").hex()


def short_hash(text: str, length: int = 8) -> str:
    """``length`` characters of [0-9A-Za-z] that stand for ``text``."""
    return _base62(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), length)


class IdRules(msgspec.Struct, frozen=True):
    """What a dialect accepts as a tool call's id."""

    prefix: str
    """Of fitted and minted ids: ``call_``, ``toolu_``."""
    max_length: int
    pattern: str = r"[A-Za-z0-9_-]+"


pattern = functools.lru_cache(maxsize=64)(re.compile)
"""A compiled pattern: the rules of the dialects are a dozen, and the cache of `re` costs ten times as much to ask."""


_CHARACTERS = IdRules("", 0).pattern


def fit_as_they_are(ids_: Collection[str], rules: IdRules) -> bool:
    """Whether `fit` changes none of these; False may also mean that it has to be asked for each."""
    if rules.pattern != _CHARACTERS or not all(ids_):
        return False
    return max(map(len, ids_), default=0) <= rules.max_length and (
        not ids_ or pattern(_CHARACTERS).fullmatch("".join(ids_)) is not None
    )


def fit(id_: str, rules: IdRules) -> str:
    """``id_`` where the rules allow it, else the prefix and a hash of it: never cut, so never the same for two."""
    if len(id_) <= rules.max_length and pattern(rules.pattern).fullmatch(id_):
        return id_
    return rules.prefix + short_hash(id_, min(24, rules.max_length - len(rules.prefix)))
