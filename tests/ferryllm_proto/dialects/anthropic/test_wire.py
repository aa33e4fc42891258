"""The wire types: absent, null and present are told apart, and a number keeps its kind."""

from __future__ import annotations

import pytest

from ferryllm_proto import json
from ferryllm_proto.dialects.anthropic import wire


@pytest.mark.parametrize(
    ("body", "wanted"), [(b"{}", None), (b'{"usage":null}', None), (b'{"usage": {"a":1.50}}', b'{"a":1.50}')]
)
def test_raw_fields(body: bytes, wanted: bytes | None) -> None:
    assert wire.given(json.decode(body, wire.answer).usage) == wanted


def test_requests_hand_out_what_they_do_not_know() -> None:
    known, extra = json.decode_known(b'{"type":"enabled","budget_tokens":1,"x":[1.0]}', wire.thinking)
    assert (known.type, known.budget_tokens) == ("enabled", 1)
    assert extra == {"x": b"[1.0]"}


def test_answers_tolerate_what_they_do_not_know() -> None:
    assert json.decode(b'{"type":"text","text":"a","new":1}', wire.block).text == "a"
