"""What is packed comes back byte for byte, and nothing else comes back at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.stores.packing import packed, unpacked


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_texts_come_back(items: list[bytes]) -> None:
    assert unpacked(packed(tuple(items))) == tuple(items)


@pytest.mark.parametrize("data", [b"x", b"1", b"1:", b"2:a", b":a", b"-1:a", b"1:ab", b"9" * 30 + b":a"])
def test_what_was_not_packed_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"length|short|not found"):
        unpacked(data)
