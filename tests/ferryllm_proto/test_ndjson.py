"""Lines out of bytes, whatever the cuts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.ndjson import LineDecoder

DATA = b'\xef\xbb\xbf{"a":1}\r\n\n  {"b":"\xe2\x98\x83\xe2\x80\xa8"}\n\t\n{"c":"\xff"}\nend'
LINES = [b'{"a":1}', b'{"b":"\xe2\x98\x83\xe2\x80\xa8"}', b'{"c":"\xef\xbf\xbd"}', b"end"]


def run(pieces: list[bytes]) -> list[bytes]:
    decoder = LineDecoder()
    out = [line for piece in pieces for line in decoder.receive_data(piece)]
    out += decoder.receive_eof()
    assert decoder.receive_eof() == []
    return out


def test_lines_without_ends_blanks_and_bom() -> None:
    assert run([DATA]) == LINES


@given(st.lists(st.integers(0, len(DATA)), max_size=len(DATA)))
def test_s3_every_cut_gives_the_same_lines(places: list[int]) -> None:
    marks = [0, *sorted(places), len(DATA)]
    assert run([DATA[a:b] for a, b in itertools.pairwise(marks)]) == LINES


def test_s3_byte_by_byte() -> None:
    assert run([DATA[at : at + 1] for at in range(len(DATA))]) == LINES


def test_nothing_is_no_line() -> None:
    assert run([]) == run([b""]) == run([b"\n\r\n "]) == []


@pytest.mark.parametrize("step", [1, 4, 100])
def test_g11_a_long_line_is_a_fault_and_the_last_thing(step: int) -> None:
    decoder = LineDecoder(max_line=10)
    data = b"good\n" + b"x" * 11
    got: list[bytes] = []

    def feed() -> None:
        for at in range(0, len(data), step):
            got.extend(decoder.receive_data(data[at : at + step]))

    with pytest.raises(RemoteProtocolError, match="longer than 10 bytes") as caught:
        feed()
    assert caught.value.error.kind is ir.ErrorKind.UPSTREAM
    assert got + decoder.lines_before_fault == [b"good"]
    assert decoder.receive_data(b"more\n") == []
    assert decoder.receive_eof() == []


def test_g11_a_long_line_that_ends_is_one_too() -> None:
    decoder = LineDecoder(max_line=10)
    with pytest.raises(RemoteProtocolError):
        decoder.receive_data(b"a\n" + b"x" * 11 + b"\nb\n")
    assert decoder.lines_before_fault == [b"a"]
    assert LineDecoder(max_line=10).receive_data(b"x" * 10 + b"\n") == [b"x" * 10]
