"""The fuzzers' targets over their corpus: every seed, and every input that was once found to break one."""

from __future__ import annotations

import pathlib
import random
import subprocess
import sys

import pytest

FUZZ = pathlib.Path(__file__).resolve().parents[2] / "fuzz"
sys.path.insert(0, str(FUZZ))

import loop  # type: ignore[import-not-found]  # noqa: E402 - in fuzz/, which is no package
import seeds  # type: ignore[import-not-found]  # noqa: E402 - the same
from targets import TARGETS  # type: ignore[import-not-found]  # noqa: E402 - the same

CORPUS = FUZZ / "corpus"


def corpus(name: str) -> list[pathlib.Path]:
    return sorted((CORPUS / name).iterdir())


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert all(corpus(name) for name in TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_over_its_corpus(name: str) -> None:
    for file in corpus(name):
        TARGETS[name](file.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_over_its_seeds_and_a_few_changes(name: str) -> None:
    inputs = seeds.seeds(name)
    rng = random.Random(f"1 {name}")
    for data in [*inputs, b"", b"\x00", *(loop.changed(rng, inputs) for _ in range(20))]:
        TARGETS[name](data)


def test_changes_are_those_of_the_seed() -> None:
    first, second = (loop.changed(random.Random(4), [b"abc" * 20, b"{}"]) for _ in range(2))
    assert first == second
    assert len(loop.changed(random.Random(4), [b"x" * 10**6])) <= loop.MAX_LENGTH


def test_the_loop_reports_what_breaks(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_(data: bytes) -> None:
        raise ValueError("broken")

    monkeypatch.setitem(TARGETS, "sse", break_)
    monkeypatch.setattr(sys, "argv", ["loop.py", "sse", "5", "1", str(tmp_path)])
    assert loop.main() == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_the_loop_runs_as_a_program(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(FUZZ / "loop.py"), "ndjson", "0.2", "1", str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("executions ")
    assert not list(tmp_path.iterdir())
