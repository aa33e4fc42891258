from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.dialects.gemini import cutter
from ferryllm_proto.dialects.gemini.cutter import ArrayCutter
from ferryllm_proto.errors import RemoteProtocolError

DATA = b' [{"a":"]}\\"["} , {"b":[{"c":"\\\\"}]}\n,\r\n{},[1],7,"x"]\n rest {"not":1}'
ELEMENTS = [b'{"a":"]}\\"["}', b'{"b":[{"c":"\\\\"}]}', b"{}", b"[1]"]


def _cut(data: bytes, sizes: list[int]) -> tuple[list[bytes], bytes, ArrayCutter]:
    found = ArrayCutter()
    pieces: list[tuple[bool, bytes]] = []
    at = 0
    for size in [*sizes, len(data)]:
        pieces += found.receive_data(data[at : at + size])
        at += size
    return [piece for is_one, piece in pieces if is_one], b"".join(piece for _, piece in pieces), found


@given(st.lists(st.integers(0, 9), max_size=80))
def test_d2_an_array_may_be_cut_anywhere(sizes: list[int]) -> None:
    elements, out, found = _cut(DATA, sizes)
    assert elements == ELEMENTS
    assert out == DATA
    assert found.closed
    assert not found.inside


@given(st.binary(max_size=60), st.lists(st.integers(0, 9), max_size=20))
def test_g12_the_bytes_stay_whatever_they_are(data: bytes, sizes: list[int]) -> None:
    _, out, found = _cut(b"[" + data, sizes)
    assert out + found.rest() == b"[" + data


@pytest.mark.parametrize(
    ("data", "last"), [(b"[", b"["), (b"[{}", b""), (b"[{}, ", b","), (b'[{},{"', b","), (b"[{}] \n", b"]"), (b"", b"")]
)
def test_it_knows_what_stood_last_between_elements(data: bytes, last: bytes) -> None:
    assert _cut(data, [])[2].last == last


def test_g11_an_element_without_an_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutter, "MAX_EVENT_SIZE", 10)
    found = ArrayCutter()
    with pytest.raises(RemoteProtocolError, match="larger than 10 bytes"):
        found.receive_data(b'[{}, {"aaaaaaaaaaaa')
    assert found.pieces_before_fault == [(False, b"["), (True, b"{}"), (False, b", ")]
