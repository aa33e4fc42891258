"""From what is kept to what the machines know."""

from __future__ import annotations

from ferryllm_net.keys.bounds import Bounds
from ferryllm_net.keys.stored import (
    KeyText,
    State,
    StoredKey,
    StoredProject,
    Terms,
    TermsReader,
    client_keys,
    in_order,
    project,
)
from ferryllm_proto.routing.keys import ClientKey, KeyLimits, Project
from ferryllm_proto.routing.quota import Period, Quota, Unit

NEW, OLD = KeyText(b"n", "fy-n", 2.0), KeyText(b"o", "fy-o", 3.0, 50.0)
KEY = StoredKey("key_1", "ci", 1.0, Terms("ada", "web", ("m*",), ("p",), Bounds(2, daily_tokens=7), True), (NEW, OLD))


def test_each_text_is_a_key_of_the_same_id_and_terms() -> None:
    quota = (Quota(Unit.TOKENS, Period.DAY, 7),)
    one, other = client_keys(KEY)
    assert one == ClientKey("key_1", b"n", "ci", "ada", "web", ("m*",), ("p",), KeyLimits(2), quota, True, lasting=True)
    assert (other.id, other.digest, other.expires) == ("key_1", b"o", 50.0)


def test_the_earlier_end_counts() -> None:
    ends = [one.expires for one in client_keys(StoredKey("k", "k", 0, Terms(), (NEW, OLD), expires=20.0))]
    assert ends == [20.0, 20.0]
    ends = [one.expires for one in client_keys(StoredKey("k", "k", 0, Terms(), (NEW, OLD), expires=90.0, revoked=9.0))]
    assert ends == [90.0, 50.0]


def test_states() -> None:
    key = StoredKey("k", "k", 0, Terms(), (), expires=10.0, revoked=5.0)
    assert [key.state(now) for now in (4.9, 5.0, 10.0)] == [State.ACTIVE, State.REVOKED, State.REVOKED]
    assert StoredKey("k", "k", 0, Terms(), (), expires=10.0).state(10.0) is State.EXPIRED


def test_the_text_without_an_end_comes_first() -> None:
    older = KeyText(b"x", "fy-x", 1.0, 60.0)
    assert in_order([older, OLD, NEW]) == (NEW, OLD, older)


def test_equal_terms_are_one_in_memory() -> None:
    reader = TermsReader()
    assert reader.read('{"user":"a"}') is reader.read('{"user":"a"}')
    assert reader.read("{}") == Terms()


def test_a_project_has_limits_and_quotas() -> None:
    quota = Quota(Unit.COST, Period.MONTH, 5)
    assert project(StoredProject("web", 0, Bounds(monthly_cost=5))) == Project("web", KeyLimits(), (quota,))
