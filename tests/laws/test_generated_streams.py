"""Streams by chance, as providers of every protocol write them, through the translator to clients of every protocol.

What is judged and compared is in `support.wires.trial`; a failure names its seed and number, and this runs it again::

    FERRYLLM_SEED=7 FERRYLLM_STREAM=1234 pytest tests/laws/test_generated_streams.py
"""

from __future__ import annotations

import os
import random
import time

import pytest

from ferryllm_proto import DIALECTS
from ferryllm_proto.grammar import Seen
from support import grammar
from support.wires import WIRES, trial
from support.wires.meaning import Call, Counts, Meant, Prose, make

SEED = int(os.environ.get("FERRYLLM_SEED", "20261121"))
STREAMS = 8_000
"""Streams of the default run."""
DEEP_STREAMS = 500_000

_LEFT_OUT = {name for name in DIALECTS if name not in WIRES}


def run_until(streams: int, capsys: pytest.CaptureFixture[str]) -> trial.Tally:
    """Numbers from 0 on, until there were that many streams."""
    tally, number, begun = trial.Tally(), 0, time.monotonic()
    only = os.environ.get("FERRYLLM_STREAM")
    if only is not None:
        trial.run(SEED, int(only), tally)
        return tally
    while tally.streams < streams:
        trial.run(SEED, number, tally)
        number += 1
    with capsys.disabled():
        print(f"\ngenerated streams, seed {SEED}: {tally}, {time.monotonic() - begun:.0f} s")  # noqa: T201 - a figure
    return tally


def test_every_dialect_has_a_wire() -> None:
    assert not _LEFT_OUT, "a dialect without a writer of its provider's streams in tests/support/wires"


def test_generated_streams_reach_every_client_whole_or_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    run_until(STREAMS, capsys)


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_many_generated_streams_reach_every_client_whole_or_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    if os.environ.get("FERRYLLM_STREAM") is None:
        assert run_until(DEEP_STREAMS, capsys).streams >= 100_000


# --- the trial itself can fail ---------------------------------------------------------------------------

TEXT = Meant([Prose("one"), Prose("two")], "end", Counts(5, 0, 2, 0))
CALLS = Meant([Call("a", "f", '{"x":1}'), Call("b", "g", '{"y":2}')], "tool", Counts(5, 0, 2, 0))


def seen(meant: Meant, entry: str) -> tuple[str, Seen]:
    backend = next(name for name in trial.NAMES if name != entry)
    data = b"".join(WIRES[backend].write(random.Random(1), meant).events)
    return backend, grammar.validate(entry, trial.feed(trial.ask(entry, backend), data, []), trial.ASK[entry][1])


@pytest.mark.parametrize("entry", trial.NAMES)
@pytest.mark.parametrize(
    ("told", "meant"),
    [
        (TEXT, Meant([Prose("one")], "end", TEXT.usage)),
        (TEXT, Meant([Prose("two"), Prose("one")], "end", TEXT.usage)),
        (TEXT, Meant(TEXT.blocks, "length", TEXT.usage)),
        (TEXT, Meant(TEXT.blocks, "end", Counts(5, 0, 3, 0))),
        (TEXT, Meant(TEXT.blocks, "end", Counts(4, 0, 2, 0))),
        (CALLS, Meant(CALLS.blocks[:1], "tool", CALLS.usage)),
        (CALLS, Meant(CALLS.blocks[::-1], "tool", CALLS.usage)),
        (CALLS, Meant([Call("a", "f", '{"x":2}'), Call("b", "g", '{"y":1}')], "tool", CALLS.usage)),
    ],
)
def test_another_answer_than_the_one_meant_is_noticed(entry: str, told: Meant, meant: Meant) -> None:
    backend, found = seen(told, entry)
    trial.compare(entry, backend, told, found)
    with pytest.raises(AssertionError):
        trial.compare(entry, backend, meant, found)


@pytest.mark.parametrize("name", trial.NAMES)
def test_equal_seeds_make_equal_streams(name: str) -> None:
    wire = WIRES[name]
    first, second = (wire.write(rng, make(rng, wire.can)).events for rng in (random.Random(3), random.Random(3)))
    assert first == second
