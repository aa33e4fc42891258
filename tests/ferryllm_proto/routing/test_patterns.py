"""Patterns: the same answers as `re`, in linear time, and refusals that say what is wrong."""

from __future__ import annotations

import contextlib
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.routing.patterns import MAX_KNOWN, MAX_NAME, PatternError, glob, regex


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("claude-*", "claude-opus", True),
        ("claude-*", "claude-", True),
        ("claude-*", "my-claude-opus", False),
        ("*-mini", "gpt-5.4-mini", True),
        ("*-mini", "gpt-5.4-mini-2", False),
        ("gpt-?", "gpt-5", True),
        ("gpt-?", "gpt-55", False),
        ("gpt-?", "gpt-", False),
        ("*[1m]", "claude-opus[1m]", True),
        ("*[1m]", "claude-opus1", False),
        ("a.c", "abc", False),
        ("*a*b*", "xxaxxbxx", True),
        ("*", "", True),
    ],
)
def test_globs_know_star_and_question_mark_alone(pattern: str, name: str, fits: bool) -> None:
    assert glob(pattern).matches(name) is fits


@pytest.mark.parametrize(
    "pattern",
    [
        "gpt-(4o|5)(-mini)?",
        "^claude-.*$",
        "[a-c]+",
        "[^a-c]{2,3}",
        "a{2}b{0,1}c{1,}",
        r"\w+-\d+\.\d",
        r"\S*\s?\D",
        "(?:a|b)*c",
        "(|a)b",
        "a||b",
        "[]a]b",
        "[a-]+",
        r"[\d.]+",
        r"a\$",
        "(?i)gPt-[a-c]",
        "((a*)*)*b",
        ".",
        "",
        r"[\w-]+",
    ],
)
def test_regular_expressions_mean_what_they_mean_elsewhere(pattern: str) -> None:
    mine, theirs = regex(pattern), re.compile(pattern, re.ASCII | re.DOTALL)
    names = ["", "a", "b", "ab", "aab", "aac", "ac", "c", "gpt-4o", "gpt-5-mini", "GPT-B", "gpt-d", "claude-x", "]b"]
    names += ["x-1.5", "a-", "a$", "xyz", "1.2", "aabccc", " ", "x y", "\n", "abca", "aaab"]
    for name in names:
        assert mine.matches(name) == (theirs.fullmatch(name) is not None), name


_ATOM = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\d", "-"])
_TREE = st.recursive(
    _ATOM,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=6,
)


@given(_TREE, st.lists(st.text("abc-1", max_size=6), max_size=8))
def test_any_pattern_answers_as_re_does(pattern: str, names: list[str]) -> None:
    mine, theirs = regex(pattern), re.compile(pattern, re.ASCII | re.DOTALL)
    anywhere = regex(pattern, whole=False)
    for name in names:
        assert mine.matches(name) == (theirs.fullmatch(name) is not None)
        assert anywhere.matches(name) == (theirs.search(name) is not None)


@given(st.text("ab*?[", max_size=6), st.text("ab[", max_size=8))
def test_any_glob_answers_as_its_translation_does(pattern: str, name: str) -> None:
    theirs = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    assert glob(pattern).matches(name) == (re.fullmatch(theirs, name) is not None)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(.*)*x", "(a*)*b", "(a|aa)+$", ".*.*.*.*.*x"])
def test_what_takes_others_for_ever_reads_every_character_once(pattern: str) -> None:
    machine = regex(pattern)
    looks = 0
    step = machine._after

    def counted(here: frozenset[int], char: str) -> frozenset[int]:
        nonlocal looks
        looks += 1
        return step(here, char)

    machine._after = counted  # type: ignore[method-assign]  # to count
    assert machine.matches("a" * MAX_NAME) is (pattern == "(a|aa)+$")
    assert looks <= 10  # all others are remembered moves


def test_names_longer_than_any_model_fit_nothing() -> None:
    assert glob("*").matches("a" * MAX_NAME)
    assert not glob("*").matches("a" * (MAX_NAME + 1))


def test_what_is_remembered_is_bounded() -> None:
    machine = regex("[^x]+")
    for code in range(0x4E00, 0x4E00 + MAX_KNOWN + 100):
        assert machine.matches(chr(code))
    assert len(machine._known) <= MAX_KNOWN


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(a)\\1", "refers back"),
        ("(?=a)b", "(?:"),
        ("(?!a)b", "(?:"),
        ("(?P<x>a)", "(?:"),
        (r"\bword", "no words"),
        ("a*?", "one repetition behind another"),
        ("a**", "one repetition behind another"),
        ("*a", "nothing to repeat"),
        ("(a", ") is missing"),
        ("a)", ") without ("),
        ("[a", "] is missing"),
        ("[z-a]", "lower character"),
        (r"[\d-z]", "lower character"),
        ("a{3,2}", "below its beginning"),
        ("a{x}", "repetition"),
        ("a^b", "very beginning"),
        ("a$b", "very beginning"),
        ("a\\", "not known"),
        ("(" * 40 + ")" * 40, "groups within each other"),
        ("a" * 600, "too long"),
        ("(a{100}){100}", "too large"),
        ("((){9999}){9999}", "too large"),
    ],
)
def test_what_cannot_be_done_is_refused_at_load_with_the_reason(pattern: str, said: str) -> None:
    with pytest.raises(PatternError) as caught:
        regex(pattern)
    assert said in str(caught.value)


def test_anchors_beside_a_choice_are_refused_where_they_would_mean_something_else() -> None:
    with pytest.raises(PatternError, match="parentheses"):
        regex("^a|b", whole=False)
    assert regex("^(a|b)", whole=False).matches("bx")
    assert not regex("^(a|b)", whole=False).matches("xb")


@given(st.text(string.printable, max_size=30))
def test_any_text_is_a_pattern_or_a_pattern_error(text: str) -> None:
    with contextlib.suppress(PatternError):
        assert regex(text).matches("claude-opus-4-6") in (True, False)
