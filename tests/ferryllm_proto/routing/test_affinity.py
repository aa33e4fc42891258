"""Affinity: what tells a session, and where it stays."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from ferryllm_proto import json
from ferryllm_proto.routing.affinity import AffinityRules, Marks, Pins, marks_of, session_of, settle_on
from ferryllm_proto.routing.balance import Target

RULES = AffinityRules()
A, B = Target("a"), Target("b", "other")


def test_a_header_goes_before_the_body_and_the_cache_key_before_the_beginning() -> None:
    whole = Marks("s", "k", b"o")
    header = [("X-Session-Id", "h")]
    seen = [
        session_of(RULES, "me", header, whole),
        session_of(RULES, "me", [], whole),
        session_of(RULES, "me", [], Marks(None, "k", b"o")),
        session_of(RULES, "me", [], Marks(None, None, b"o")),
    ]
    assert None not in seen
    assert len(set(seen)) == 4
    assert session_of(RULES, "me", header, Marks()) == seen[0]
    assert session_of(RULES, "me", [], Marks()) is None


def test_a_session_belongs_to_its_client_key() -> None:
    assert session_of(RULES, "me", [], Marks("s")) != session_of(RULES, "you", [], Marks("s"))
    # Lengths keep owner and value apart, and the sources from each other.
    assert session_of(RULES, "a/1", [], Marks("s")) != session_of(RULES, "a", [], Marks("1/s"))
    assert session_of(RULES, "me", [], Marks("s")) != session_of(RULES, "me", [], Marks(None, "s"))


def test_the_beginning_counts_only_where_the_rules_say_so() -> None:
    assert session_of(AffinityRules(opening=False), "me", [], Marks(None, None, b"o")) is None
    assert session_of(AffinityRules(headers=("x-mine",)), "me", [("x-session-id", "1")], Marks()) is None


def turn(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (
            {"system": "be kind", "messages": [turn("user", "hi")]},
            {"system": "be kind", "messages": [turn("user", "hi"), turn("assistant", "yes"), turn("user", "go")]},
        ),
        (
            {"messages": [turn("system", "be kind"), turn("user", "hi")]},
            {"messages": [turn("system", "be kind"), turn("user", "hi"), turn("assistant", "yes")]},
        ),
        (
            {"instructions": "be kind", "input": [turn("user", "hi")]},
            {"instructions": "be kind", "input": [turn("user", "hi"), turn("assistant", "yes")], "stream": True},
        ),
        (
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": []}]},
        ),
    ],
)
def test_a_conversation_that_goes_on_has_the_same_beginning(first: object, later: object) -> None:
    one, two = marks_of(json.encode(first)), marks_of(json.encode(later))
    assert one.opening == two.opening
    assert one.opening is not None


def test_other_first_words_are_another_beginning() -> None:
    one = marks_of(json.encode({"messages": [turn("system", "be kind"), turn("user", "hi")]}))
    two = marks_of(json.encode({"messages": [turn("system", "be kind"), turn("user", "ho")]}))
    assert one.opening != two.opening
    assert marks_of(json.encode({"input": "hi"})).opening != marks_of(json.encode({"input": "ho"})).opening


UUID = "61743f67-fbe4-4829-81eb-0f55bb02fbd1"


@pytest.mark.parametrize(
    ("body", "session", "cache_key"),
    [
        ({"metadata": {"user_id": f"user_abc_account__session_{UUID}"}}, UUID, None),
        ({"metadata": {"user_id": json.encode({"device_id": "x", "session_id": UUID}).decode()}}, UUID, None),
        ({"metadata": {"user_id": "somebody"}}, None, None),
        ({"metadata": {"user_id": 7}}, None, None),
        ({"metadata": [1]}, None, None),
        ({"conversation": "conv_12345678"}, "conv_12345678", None),
        ({"conversation": {"id": "conv_12345678"}}, None, None),
        ({"prompt_cache_key": "k"}, None, "k"),
        ({"prompt_cache_key": ""}, None, None),
        ({"prompt_cache_key": 5}, None, None),
    ],
)
def test_the_body_tells_its_session_and_cache_key(body: object, session: str | None, cache_key: str | None) -> None:
    marks = marks_of(json.encode(body))
    assert (marks.session, marks.cache_key) == (session, cache_key)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"messages": 5}', b'{"messages": [5, {}]}', b"{}"])
def test_a_body_that_cannot_be_read_tells_nothing_bad(body: bytes) -> None:
    marks = marks_of(body)
    assert marks.session is None
    assert marks.cache_key is None


def test_a_session_stays_until_its_time_is_up_and_every_answer_renews_it() -> None:
    pins = Pins()
    pins.pin(b"s", A, 0, 10)
    assert pins.find(b"s", 9.9) == A
    pins.pin(b"s", A, 9.9, 10)
    assert pins.find(b"s", 19) == A
    assert pins.find(b"s", 19.9) is None
    assert len(pins) == 0


def test_a_failure_unpins_and_the_next_answer_pins_again() -> None:
    pins = Pins()
    pins.pin(b"s", A, 0, 10)
    pins.unpin(b"s", B)
    assert pins.find(b"s", 1) == A
    pins.unpin(b"s", A)
    assert pins.find(b"s", 1) is None
    pins.pin(b"s", B, 1, 10)
    # A late failure of another request at the old place moves nobody.
    pins.unpin(b"s", A)
    assert pins.find(b"s", 2) == B


def test_pins_are_bounded_and_the_session_asked_longest_ago_goes() -> None:
    pins = Pins(2)
    pins.pin(b"1", A, 0, 10)
    pins.pin(b"2", A, 0, 10)
    pins.find(b"1", 1)
    pins.pin(b"3", A, 1, 10)
    assert [pins.find(name, 1) for name in (b"1", b"2", b"3")] == [A, None, A]


def test_replicas_agree_on_the_place_of_a_session_and_weights_are_shares() -> None:
    targets = [Target("a", weight=3), Target("b", weight=1)]
    chance = random.Random(1)
    counts = Counter(settle_on(chance.randbytes(32), targets) for _ in range(4000))
    assert 2800 < counts[0] < 3200


def test_one_target_less_moves_only_its_own_sessions() -> None:
    chance = random.Random(2)
    targets = [Target("a"), Target("b"), Target("c", "m")]
    for _ in range(300):
        session = chance.randbytes(32)
        before = targets[settle_on(session, targets)]
        after = targets[:2][settle_on(session, targets[:2])]
        assert after == before or before == targets[2]
