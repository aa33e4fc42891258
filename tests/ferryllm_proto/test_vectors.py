"""Numbers of vectors: as the provider wrote them, and in base64 exactly where a client asks for it."""

from __future__ import annotations

import base64
import json
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import RemoteProtocolError
from ferryllm_proto.vectors import EmbedRequest, from_base64, to_base64, vector

floats = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


def test_base64_is_little_endian_floats_of_four_bytes() -> None:
    assert base64.b64decode(to_base64(b"[1, -2.5, 1e-3]", "x")) == struct.pack("<3f", 1, -2.5, 1e-3)


@given(floats)
def test_floats_of_32_bits_survive_both_ways(numbers: list[float]) -> None:
    text = json.dumps(numbers).encode()
    assert json.loads(from_base64(to_base64(text, "x"), "x")) == numbers


def test_numbers_are_not_rounded() -> None:
    raw = b"[0.0123456789012345678901234567890, 1E-5 ,-0.0]"
    assert vector(msgspec.Raw(raw), "x") == raw


def test_a_provider_may_write_base64() -> None:
    assert json.loads(vector(msgspec.Raw(b'"%b"' % to_base64(b"[0.5,2]", "x").encode()), "x")) == [0.5, 2.0]


@pytest.mark.parametrize("raw", [b"5", b"null", b"{}", b'["a"]', b'"***"', b'"YWJj"', b"[[1]]", b'"\xc3\xa9"'])
def test_what_is_no_vector_is_refused_with_its_place(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"data\[0\]"):
        vector(msgspec.Raw(raw), "data[0]")


def test_a_number_too_large_for_base64_is_said() -> None:
    with pytest.raises(RemoteProtocolError, match="32 bits"):
        to_base64(b"[1e300]", "data[0]")


def test_fields_are_named_as_the_client_wrote_them() -> None:
    request = EmbedRequest("gemini", "m", (), names={"task": "taskType"})
    assert (request.wire_name("task"), request.wire_name("title")) == ("taskType", "title")
