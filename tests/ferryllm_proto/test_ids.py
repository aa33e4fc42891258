from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ids
from ferryllm_proto.ids import IdRules

RULES = IdRules("call_", 40)
SHORT = IdRules("", 9, r"[a-zA-Z0-9]{9}")


def test_g9_a_minted_id_depends_on_its_arguments_alone() -> None:
    assert ids.mint("msg_", 7, 3) == ids.mint("msg_", 7, 3)
    others = {ids.mint("msg_", 7, 3), ids.mint("msg_", 8, 3), ids.mint("msg_", 7, 4), ids.mint("toolu_", 7, 3)}
    assert len({other.removeprefix("msg_").removeprefix("toolu_") for other in others}) == 4


def test_g9_a_minted_id_is_the_same_in_every_release() -> None:
    # Written down: what a client has stored must be minted again after an update.
    assert ids.mint("call_", 0) == "call_624083537925ec4bfd78b611"
    assert ids.short_hash("a") == "Dhp9Oi1p"


@given(st.integers(0, (1 << 96) - 1), st.integers(0, (1 << 96) - 1))
def test_g9_answers_of_two_seeds_have_two_ids(one: int, two: int) -> None:
    assert (ids.own("msg_", one) == ids.own("msg_", two)) is (one == two)


@pytest.mark.parametrize("seed", [0, 1, 1 << 63, (1 << 96) - 1, 1 << 200, -1])
def test_the_id_of_an_answer_has_24_letters(seed: int) -> None:
    assert re.fullmatch(r"msg_[0-9a-f]{24}", ids.own("msg_", seed))


@pytest.mark.parametrize("length", [1, 8, 24, 40])
def test_the_length_is_as_asked(length: int) -> None:
    assert re.fullmatch(rf"x_[0-9A-Za-z]{{{length}}}", ids.mint("x_", 1, length=length))
    assert re.fullmatch(rf"[0-9A-Za-z]{{{length}}}", ids.short_hash("text", length))


def test_lone_surrogates_are_only_text_to_hash() -> None:
    assert ids.mint("x", 1, "\ud83d") != ids.mint("x", 1, "\ud83e")
    assert ids.short_hash("\ud83d") != ids.short_hash("\ud83e")


@pytest.mark.parametrize("id_", ["call_1", "toolu_01A-b_c", "a", "x" * 40])
def test_a14_an_id_that_fits_is_kept(id_: str) -> None:
    assert ids.fit(id_, RULES) == id_


@pytest.mark.parametrize("id_", ["", "x" * 41, "a.b", "a b", "é", "a\n", "functions.bash:0", "\ud83d"])
@pytest.mark.parametrize("rules", [RULES, SHORT])
def test_a14_an_id_that_does_not_fit_becomes_one_that_does(id_: str, rules: IdRules) -> None:
    out = ids.fit(id_, rules)
    assert re.fullmatch(rules.pattern, out)
    assert len(out) <= rules.max_length
    assert out.startswith(rules.prefix)
    assert ids.fit(id_, rules) == out
    assert ids.fit(out, rules) == out


@given(st.text(max_size=60), st.text(max_size=60))
def test_a14_two_ids_never_become_one(one: str, two: str) -> None:
    assert (ids.fit(one, RULES) == ids.fit(two, RULES)) is (one == two)


def test_a14_ids_equal_in_their_first_characters_stay_apart() -> None:
    assert ids.fit("x" * 50 + "1", RULES) != ids.fit("x" * 50 + "2", RULES)


@given(st.lists(st.text("aZ9_- ä\n", max_size=5) | st.sampled_from(["a" * 40, "a" * 41]), max_size=4))
def test_ids_that_fit_together_fit_each(found: list[str]) -> None:
    rules = IdRules("call_", 40)
    assert ids.fit_as_they_are(found, rules) == all(ids.fit(id_, rules) == id_ for id_ in found)
    narrow = IdRules("", 9, "[A-Za-z0-9]{9}")
    assert not ids.fit_as_they_are(found, narrow) or all(ids.fit(id_, narrow) == id_ for id_ in found)
