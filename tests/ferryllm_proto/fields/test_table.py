"""Every row of the table is what a translation does (translation.md G3)."""

from __future__ import annotations

import collections

import pytest

from ferryllm_proto import DIALECTS
from ferryllm_proto.fields import BACKENDS, TABLE, Fate, Row
from support.fates import observe

PAIRS = [(entry, backend) for entry in TABLE for backend in BACKENDS if entry in DIALECTS and backend in DIALECTS]


def disagreements(row: Row, backend: str) -> list[str]:
    out = []
    for newer in (False, True):
        seen, said = observe(row, backend, newer=newer), row.fate(backend, newer=newer)
        if seen.fate is not said:
            found = "nothing the table knows" if seen.fate is None else seen.fate.name
            losses = "; ".join(str(loss) for loss in seen.losses)
            which = " (newer models)" if newer else ""
            out.append(
                f"{row.path} {row.when}{which} at {seen.path}: {said.name} in the table, {found} found: {losses}"
            )
    return out


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_g3_every_field_has_the_fate_of_the_table(entry: str, backend: str) -> None:
    assert [line for row in TABLE[entry] for line in disagreements(row, backend)] == []


@pytest.mark.parametrize("entry", TABLE)
def test_the_same_dialect_loses_nothing(entry: str) -> None:
    lossless = {Fate.MAPPED, Fate.IDLE}
    assert [row.path for row in TABLE[entry] if row.fate(entry) not in lossless] == []


@pytest.mark.parametrize("entry", TABLE)
def test_no_row_is_there_twice(entry: str) -> None:
    count = collections.Counter((row.path, row.when) for row in TABLE[entry])
    assert [key for key, number in count.items() if number > 1] == []


def test_every_row_has_a_mark_for_every_backend() -> None:
    for rows in TABLE.values():
        for row in rows:
            for marks in (row.fates, row.newer or row.fates):
                assert len([Fate(mark) for mark in marks]) == len(BACKENDS), row.path


def test_the_table_has_every_dialect() -> None:
    assert set(TABLE) == set(BACKENDS)
    assert set(DIALECTS) <= set(TABLE)
