"""A bounded dict."""

from __future__ import annotations

from ferryllm_proto.routing.recent import Recent


def test_what_was_used_longest_ago_makes_room() -> None:
    known: Recent[str, int] = Recent(2)
    known.put("a", 1)
    known.put("b", 2)
    assert known.get("a") == 1
    known.put("c", 3)
    assert list(known) == ["a", "c"]
    assert known.get("b") is None


def test_a_peek_is_no_use_and_a_put_is() -> None:
    known: Recent[str, int] = Recent(2)
    known.put("a", 1)
    known.put("b", 2)
    assert known.peek("a") == 1
    known.put("b", 4)
    known.put("c", 3)
    assert list(known) == ["b", "c"]
    assert known.peek("b") == 4


def test_dropping_what_is_not_there_is_nothing() -> None:
    known: Recent[str, int] = Recent(2)
    known.put("a", 1)
    known.drop("x")
    known.drop("a")
    assert len(known) == 0
