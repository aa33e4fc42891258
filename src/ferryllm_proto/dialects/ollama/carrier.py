"""Opaque material in ``thinking``: the only field of a message that Ollama's clients keep and send back.

The Python client drops ids and every field it does not know, so an answer that calls tools brings its proofs as last
lines of its thinking, each in an envelope (`ferryllm_proto.opaque`) between brackets::

    [ferry1.<payload>.<check>@1:0-42.aB3x]

``@1``: it stands directly before the message's second call (without it: before the text). ``0-42.aB3x``: the characters
of the thinking it is the proof of, and a hash of them; a signature over words the client has changed is worth nothing.
"""

from __future__ import annotations

import re

import msgspec

from ... import ids, ir, opaque

_TOKEN = re.compile(
    r"\n?\[(?P<token>ferry1\.[A-Za-z0-9_.-]*)(?:@(?P<call>\d{1,4}))?"
    r"(?::(?P<start>\d{1,9})-(?P<end>\d{1,9})\.(?P<hash>[0-9A-Za-z]{4}))?\]",
    flags=re.ASCII,
)

MARK = b"[ferry1."
"""In every body that brings such a line."""

_OF_TEXT = frozenset({ir.OpaqueKind.SIGNATURE})
"""Proofs over the words they came with."""


def words(thought: ir.Reasoning) -> str:
    """What a client is shown of a thought."""
    if not thought.summary:
        return thought.text
    return "\n\n".join([*([thought.text] if thought.text else []), *thought.summary])


# --- to a client -----------------------------------------------------------------------------------------


class Proofs:
    """The material of one answer, until a call takes it along.

    Tell it what the answer is made of, in order: `thought`, `text`, `call`; `take` gives what belongs to a call.
    """

    def __init__(self) -> None:
        self._length = 0
        """Characters of thinking so far, without any of ours."""
        self._loose: list[tuple[str, str]] = []
        """Envelope and span of the proofs behind which nothing has come yet."""
        self._settled: list[str] = []

    def thought(self, words: str, found: list[ir.Opaque]) -> None:
        """A thought is complete."""
        start, self._length = self._length, self._length + len(words)
        span = f":{start}-{self._length}.{ids.short_hash(words, 4)}"
        self._loose.extend((opaque.wrap(one), span) for one in found)

    def text(self) -> None:
        """Text begins."""
        self._settled.extend(f"[{token}{span}]" for token, span in self._loose)
        self._loose = []

    def call(self, index: int) -> None:
        """Call ``index`` of the answer begins."""
        self._settled.extend(f"[{token}@{index}{span}]" for token, span in self._loose)
        self._loose = []

    def take(self, index: int, own: list[ir.Opaque]) -> str:
        """The lines that go with call ``index``, whose ``own`` material is the last; "" without any."""
        lines, self._settled = self._settled, []
        lines.extend(f"[{opaque.wrap(one)}@{index}]" for one in own)
        return "".join("\n" + line for line in lines)

    @property
    def left(self) -> bool:
        """Whether there is material that no call has taken: it is lost."""
        return bool(self._loose or self._settled)


# --- from a client ---------------------------------------------------------------------------------------


class Thoughts(msgspec.Struct, frozen=True):
    """The thinking of one message, taken apart."""

    first: tuple[ir.Reasoning, ...] = ()
    """What stands before the text."""
    calls: dict[int, tuple[ir.Reasoning, ...]] = {}
    """What stands directly before a call, by its number."""


class _Found(msgspec.Struct, frozen=True):
    call: int | None
    span: tuple[int, int] | None
    material: ir.Opaque | None
    """None: an envelope that was damaged."""


def read(thinking: str, calls: int, path: str) -> Thoughts:
    """``thinking`` of an assistant message with so many ``calls``."""
    if "[" + opaque.PREFIX not in thinking:
        return Thoughts((ir.Reasoning(thinking, path=path),) if thinking else ())
    text = _TOKEN.sub("", thinking)
    found = [_found(match, text, calls) for match in _TOKEN.finditer(thinking)]
    first: list[ir.Reasoning] = []
    before: dict[int, list[ir.Reasoning]] = {}
    at = 0
    while found:
        one = found.pop(0)
        material = [one.material]
        words_ = ""
        if one.span is not None and one.span[0] >= at:
            start, end = one.span
            if start > at:  # words without a proof
                first.append(ir.Reasoning(text[at:start], path=path))
            words_, at = text[start:end], end
            while words_ and found and (found[0].call, found[0].span) == (one.call, one.span):
                material.append(found.pop(0).material)
        thought = _thought(words_, tuple(m for m in material if m is not None), path)
        if thought is not None:
            (first if one.call is None else before.setdefault(one.call, [])).append(thought)
    if at < len(text):
        first.append(ir.Reasoning(text[at:], path=path))
    return Thoughts(tuple(first), {call: tuple(thoughts) for call, thoughts in before.items()})


def _found(match: re.Match[str], text: str, calls: int) -> _Found:
    call = None if match["call"] is None or int(match["call"]) >= calls else int(match["call"])
    material = opaque.unwrap(match["token"])
    if match["start"] is None:
        return _Found(call, None, material)
    start, end = int(match["start"]), int(match["end"])
    if start > end or end > len(text) or ids.short_hash(text[start:end], 4) != match["hash"]:
        return _Found(call, None, None if material is not None and material.kind in _OF_TEXT else material)
    return _Found(call, (start, end), material)


def _thought(text: str, material: tuple[ir.Opaque, ...], path: str) -> ir.Reasoning | None:
    """The text of an OpenAI reasoning item is its summary, and goes back as one."""
    if not text and not material:
        return None
    if material and material[0].kind is ir.OpaqueKind.ENCRYPTED:
        return ir.Reasoning(summary=(text,) if text else (), opaque=material, id=material[0].id, path=path)
    return ir.Reasoning(text, opaque=material, path=path)
