"""The table of HTTP/1.1 messages: both gears give each row's verdict, however its bytes are cut."""

from __future__ import annotations

import re

import pytest

from ferryllm_net.http import h1_engine, h11_engine
from support import http1_requests, http1_responses
from support.http1_rows import LIMITS, Row, judge_requests, judge_response, pieces

REQUESTS = {f"{group}: {row.name}": row for group, rows in http1_requests.GROUPS.items() for row in rows}
RESPONSES = {f"{group}: {row.name}": row for group, rows in http1_responses.GROUPS.items() for row in rows}

_WHOLE_CUTS = 700
"""Above this many bytes a row is not cut at every offset; none is so long."""


def _cuts(row: Row) -> list[list[int]]:
    """Whole, byte by byte, and in two at every offset."""
    size = len(row.data)
    return [[], list(range(1, size)), *([at] for at in range(1, size))]


def _check(row: Row, make: type[h1_engine.ServerEngine] | type[h11_engine.ServerEngine], cuts: list[int]) -> bool:
    engine = make(LIMITS)
    verdict, fields = judge_requests(engine, pieces(row.data, cuts), row.eof)
    assert verdict == row.verdict, f"cut at {cuts}"
    assert not row.fields or [pair for pair in fields[0] if pair in row.fields] == row.fields
    return isinstance(engine, h1_engine.ServerEngine) and engine.common


def _check_response(
    row: Row, make: type[h1_engine.ClientEngine] | type[h11_engine.ClientEngine], cuts: list[int]
) -> bool:
    engine = make(LIMITS)
    verdict, fields = judge_response(engine, row.method, pieces(row.data, cuts), row.eof)
    assert verdict == row.verdict, f"cut at {cuts}"
    assert not row.fields or [pair for pair in fields[0] if pair in row.fields] == row.fields
    return isinstance(engine, h1_engine.ClientEngine) and engine.common


def test_the_table_is_large_and_each_row_names_its_section() -> None:
    assert len(REQUESTS) + len(RESPONSES) >= 300
    for groups in (http1_requests.GROUPS, http1_responses.GROUPS):
        rows = [row for group in groups.values() for row in group]
        assert len({(row.data, row.eof, row.method) for row in rows}) == len(rows), "a row stands twice"
        for row in rows:
            assert re.fullmatch(r"(9110|9112|9113|6585) [0-9]+(\.[0-9]+)*", row.section), row.name
            assert len(row.data) <= _WHOLE_CUTS, row.name


@pytest.mark.parametrize("row", REQUESTS.values(), ids=REQUESTS)
def test_requests_in_the_fast_gear(row: Row) -> None:
    common = {_check(row, h1_engine.ServerEngine, cuts) for cuts in _cuts(row)}
    # A fault by an early end is the one thing that the machine tells by itself.
    if row.common or row.verdict.refused is None:
        assert common == {row.common}, "the gear is not the one that the row names"


@pytest.mark.parametrize("row", REQUESTS.values(), ids=REQUESTS)
def test_requests_behind_the_guard(row: Row) -> None:
    for cuts in _cuts(row):
        _check(row, h11_engine.ServerEngine, cuts)


@pytest.mark.parametrize("row", RESPONSES.values(), ids=RESPONSES)
def test_responses_in_the_fast_gear(row: Row) -> None:
    common = {_check_response(row, h1_engine.ClientEngine, cuts) for cuts in _cuts(row)}
    if row.common or row.verdict.refused is None:
        assert common == {row.common}, "the gear is not the one that the row names"


@pytest.mark.parametrize("row", RESPONSES.values(), ids=RESPONSES)
def test_responses_behind_the_guard(row: Row) -> None:
    for cuts in _cuts(row):
        _check_response(row, h11_engine.ClientEngine, cuts)


_LIKE = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
"""What nearly all rows with a length differ from in one place."""
_LIKE_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize("row", REQUESTS.values(), ids=REQUESTS)
def test_requests_behind_good_ones_on_their_connection(row: Row) -> None:
    for before in ([_LIKE], [_LIKE, _LIKE], [row.data] if row.common and _stays(row) else [_LIKE]):
        for cuts in ([], [len(row.data) // 2]):
            engine = h1_engine.ServerEngine(LIMITS)
            first, _ = judge_requests(engine, before, False)
            assert first.refused is None
            verdict, fields = judge_requests(engine, pieces(row.data, cuts), row.eof)
            assert verdict == row.verdict
            assert not row.fields or [pair for pair in fields[0] if pair in row.fields] == row.fields


def _stays(row: Row) -> bool:
    """The connection can be used behind the row's bytes, all of which were whole messages."""
    verdict = row.verdict
    return (
        not row.eof and not verdict.pending and verdict.refused is None and all(one.stays for one in verdict.messages)
    )


@pytest.mark.parametrize("row", RESPONSES.values(), ids=RESPONSES)
def test_responses_behind_good_ones_on_their_connection(row: Row) -> None:
    firsts = [(_LIKE_ANSWER, "GET"), (_LIKE_ANSWER, row.method if row.method != "HEAD" else "GET")]
    if row.common and _stays(row) and row.verdict.messages:
        firsts.append((row.data, row.method))
    for first, method in firsts:
        engine = h1_engine.ClientEngine(LIMITS)
        for _ in range(2):
            before, _ = judge_response(engine, method, [first], False)
            assert before.messages
            if not engine.renew():
                return  # bytes behind the answer: no other one follows
        verdict, fields = judge_response(engine, row.method, [row.data], row.eof)
        assert verdict == row.verdict
        assert not row.fields or [pair for pair in fields[0] if pair in row.fields] == row.fields
