"""Answers: what the measured gateway's provider sends, prepared once; pure.

The dialect's own encoder writes the bytes. In a stream each delta of text carries ``@<Unix nanoseconds>;``, the time at
which it was sent: the load generator takes it from its own clock and has the delta's way.
"""

from __future__ import annotations

import re

import msgspec

from ferryllm_net.mock.directives import Directives
from ferryllm_net.mock.script import plan
from ferryllm_proto import DIALECTS, Answer
from ferryllm_proto.accumulate import Accumulator

from .doors import door

DIGITS = 19
"""Of Unix time in nanoseconds, until 2286."""
STAMP = re.compile(rb"@(\d{19});")
STAMP_BYTES = DIGITS + 2
FILLER = " and so on"
"""What a delta says besides: real ones are a word or two."""

Piece = bytes | int
"""Bytes as they are, or the number of the delta whose stamp stands here."""


class Write(msgspec.Struct, frozen=True):
    """Bytes that are sent at once."""

    pieces: tuple[Piece, ...]
    paced: bool
    """A delta of text, with its pause before it."""


class Script(msgspec.Struct, frozen=True):
    """One answer of one dialect."""

    content_type: str
    writes: tuple[Write, ...]
    chunks: int
    """Deltas of text; a whole answer has none."""


def script(dialect: str, *, stream: bool, chunks: int) -> Script:
    """The answer of a provider that speaks ``dialect``, in ``chunks`` deltas."""
    machine = DIALECTS[dialect]
    asked = door(dialect, model="demo", key=None, stream=stream)
    request = machine.decode_request(asked.body, path=asked.path)
    text = "".join(f"@{n:0{DIGITS}d};{FILLER}" for n in range(chunks if stream else 1))
    steps = plan(request, Directives(text=text, chunks=chunks if stream else 1)).steps
    answer = Answer(created=1_790_000_000, seed=1, request=request, path=asked.path)
    if not stream:
        whole = Accumulator()
        for step in steps:
            whole.send(step.event)
        body = machine.encode_response(whole.response(), answer)
        return Script("application/json", (Write((body,), False),), 0)
    encoder = machine.stream_encoder(answer)
    writes: list[Write] = []
    seen = -1
    for step in steps:
        data = encoder.send(step.event)
        if not data:
            continue
        pieces = _pieces(data)
        newest = max((piece for piece in pieces if isinstance(piece, int)), default=-1)
        # Whoever repeats the text at the end repeats the stamps too: only a new one is a delta.
        writes.append(Write(pieces, newest > seen))
        seen = max(seen, newest)
    return Script(machine.stream_type(asked.path), tuple(writes), chunks)


def _pieces(data: bytes) -> tuple[Piece, ...]:
    parts = STAMP.split(data)
    found: list[Piece] = []
    for place, part in enumerate(parts):
        if place % 2:
            found.append(int(part))
        elif part:
            found.append(part)
    return tuple(found)


def fill(write: Write, stamps: list[bytes]) -> bytes:
    """The bytes of ``write`` with the ``stamps`` of its deltas."""
    return b"".join([piece if isinstance(piece, bytes) else stamps[piece] for piece in write.pieces])


def stamp(nanoseconds: int) -> bytes:
    """How a delta says when it was sent."""
    return b"@%019d;" % nanoseconds
