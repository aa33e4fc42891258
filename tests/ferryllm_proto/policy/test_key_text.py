"""The text of a key: how it looks, and that slips in it are told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.policy.key_text import LENGTH, is_mistyped, key_text, shown

KEY = key_text(0x1234_5678_9ABC_DEF0 << 180)


@given(st.integers(0, 2**256 - 1))
def test_every_key_has_one_form_and_is_its_own_proof(secret: int) -> None:
    text = key_text(secret)
    assert re.fullmatch("fy-[0-9A-Za-z]{49}", text)
    assert len(text) == LENGTH
    assert not is_mistyped(text)


def test_different_secrets_are_different_keys() -> None:
    assert len({key_text(secret)[:-6] for secret in (0, 1, 61, 62, 2**256 - 1)}) == 5


@given(st.integers(0, LENGTH - 1), st.sampled_from("0aZ-é"))
def test_a_changed_character_is_told(place: int, char: str) -> None:
    text = KEY[:place] + char + KEY[place + 1 :]
    assert is_mistyped(text) == (text != KEY and text.startswith("fy-"))


@pytest.mark.parametrize("text", [KEY[:-1], KEY + "0", KEY[:3], KEY[:10] + KEY[11:] + "x", "fy-\ud800"])
def test_a_key_cut_short_or_too_long_is_told(text: str) -> None:
    assert is_mistyped(text)


@pytest.mark.parametrize("text", ["", "sk-ant-1", "any", "Fy-" + KEY[3:]])
def test_keys_of_others_are_none_of_ours(text: str) -> None:
    assert not is_mistyped(text)


def test_what_is_shown_is_too_little_to_use() -> None:
    assert shown(KEY) == KEY[:7]
