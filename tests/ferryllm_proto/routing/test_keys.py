"""Keys: who may do what, how much, until when, and what is said to those who may not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ferryllm_proto import ir
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import (
    Admission,
    Ask,
    ClientKey,
    Desk,
    KeyBook,
    KeyLimits,
    Project,
    Refusal,
    invalid,
    may_answer,
    provider_refusal,
)
from ferryllm_proto.routing.limits import Meter
from ferryllm_proto.routing.quota import Period, Quota, Unit

NOON = 1_795_262_400.0
"""2026-11-21T12:00:00Z."""
ASK = Ask("gpt-5.4", 100, 400, 1_000_000)


def key(name: str = "k1", **fields: Any) -> ClientKey:
    return msgspec.structs.replace(ClientKey(name, key_digest(f"fk-{name}")), **fields)


def desk(*keys: ClientKey, own: KeyLimits = KeyLimits(), each: KeyLimits = KeyLimits()) -> Desk:  # noqa: B008 - a value
    return Desk(KeyBook(keys), own, each)


def refused(found: Admission | Refusal) -> Refusal:
    assert isinstance(found, Refusal)
    return found


def admitted(found: Admission | Refusal) -> Admission:
    assert isinstance(found, Admission)
    return found


def test_keys_are_found_by_their_digest_alone() -> None:
    book = KeyBook([key("a"), key("b")])
    found = book.find(key_digest("fk-b"))
    assert found is not None
    assert found.id == "b"
    assert book.find(key_digest("fk-c")) is None
    assert book.find(b"") is None
    assert (len(book), [one.id for one in book]) == (2, ["a", "b"])


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"expires": NOON}, "expired", "expired on 2026-11-21T12:00:00Z"),
        ({"revoked": NOON - 1}, "revoked", "revoked on 2026-11-21T11:59:59Z"),
    ],
)
def test_a_key_that_is_over_is_a_401_that_says_since_when(fields: dict[str, Any], reason: str, said: str) -> None:
    over = key(**fields)
    found = refused(desk(over).admit(over, ASK, 0.0, NOON))
    assert (found.reason, found.error.http_status) == (reason, 401)
    assert said in found.error.message
    assert invalid(over, NOON - 2) is None


def test_a_model_outside_the_list_is_a_403_that_names_the_list() -> None:
    mine = key(models=("gpt-*", "claude-opus-4-6"))
    place = desk(mine)
    for model in ("gpt-5.4", "claude-opus-4-6"):
        admitted(place.admit(mine, msgspec.structs.replace(ASK, model=model), 0.0, NOON))
    found = refused(place.admit(mine, msgspec.structs.replace(ASK, model="claude-opus-4-6x"), 0.0, NOON))
    assert (found.reason, found.error.http_status, found.error.param) == ("model", 403, "model")
    assert found.error.message.endswith("it may use gpt-*, claude-opus-4-6")
    many = key(models=tuple(f"m{n}" for n in range(7)))
    found = refused(desk(many).admit(many, ASK, 0.0, NOON))
    assert found.error.message.endswith("m4 and 2 more")
    long = refused(place.admit(mine, msgspec.structs.replace(ASK, model="x" * 500), 0.0, NOON))
    assert len(long.error.message) < 250


def test_what_clients_append_to_a_name_opens_no_other_model() -> None:
    mine = key(models=("*haiku*",))
    place = desk(mine)
    for model in ("claude-haiku", "claude-haiku--ferryllm-1"):
        admitted(place.admit(mine, msgspec.structs.replace(ASK, model=model), 0.0, NOON))
    for model in ("claude-opus--ferryllm-haiku", "claude-opus"):
        assert refused(place.admit(mine, msgspec.structs.replace(ASK, model=model), 0.0, NOON)).reason == "model"


def test_providers_outside_the_list_do_not_answer() -> None:
    mine = key(providers=("a", "c"))
    assert may_answer(mine, ("a", "b", "c")) == ("a", "c")
    assert may_answer(key(), ("a", "b")) == ("a", "b")
    assert may_answer(None, ("a", "b")) == ("a", "b")
    assert provider_refusal().error.kind is ir.ErrorKind.PERMISSION


def test_limits_of_the_key_go_before_the_common_ones_and_the_gateway_has_its_own() -> None:
    mine, plain = key("a", limits=KeyLimits(requests_per_minute=2)), key("b")
    place = desk(mine, plain, own=KeyLimits(requests_per_minute=4), each=KeyLimits(requests_per_minute=1))
    for _ in range(2):
        admitted(place.admit(mine, ASK, 0.0, NOON))
    found = refused(place.admit(mine, ASK, 0.0, NOON))
    assert (found.reason, found.error.http_status, found.error.retry_after) == ("limit", 429, 30.0)
    assert found.error.message.startswith("this key has reached its limit of 2 requests a minute")
    assert found.standings[Meter.REQUESTS].remaining == 0
    admitted(place.admit(plain, ASK, 0.0, NOON))
    refused(place.admit(plain, ASK, 0.0, NOON))
    admitted(place.admit(None, ASK, 0.0, NOON))
    found = refused(place.admit(None, ASK, 0.0, NOON))
    assert found.error.message.startswith("the gateway has reached its limit of 4")


def test_what_a_limit_refuses_is_not_set_aside_in_the_quota_nor_the_other_way() -> None:
    quota = Quota(Unit.TOKENS, Period.DAY, 1000)
    mine = key(limits=KeyLimits(requests_per_minute=10, tokens_per_minute=500), quotas=(quota,))
    place = desk(mine)
    first = admitted(place.admit(mine, ASK, 0.0, NOON))
    assert refused(place.admit(mine, ASK, 0.0, NOON)).reason == "limit"
    place.settle(first, 500, 0, 0.0)
    admitted(place.admit(mine, ASK, 60.0, NOON))
    assert refused(place.admit(mine, ASK, 120.0, NOON)).reason == "quota"
    # Three requests were refused or made; two were charged.
    later = place.limits.standings(place.demands(mine, ASK), 60.0)
    assert later[Meter.REQUESTS].remaining == 9


def test_an_admission_shows_what_is_left_and_its_end_corrects_it() -> None:
    mine = key(limits=KeyLimits(requests_per_minute=10, tokens_per_minute=1000))
    place = desk(mine)
    found = admitted(place.admit(mine, ASK, 0.0, NOON))
    assert found.standings[Meter.TOKENS].remaining == 500
    place.settle(found, 100, None, 0.0)
    found = admitted(place.admit(mine, ASK, 0.0, NOON))
    assert found.standings[Meter.TOKENS].remaining == 400
    place.cancel(found, 0.0)
    found = admitted(place.admit(mine, ASK, 0.0, NOON))
    assert found.standings[Meter.TOKENS].remaining == 400
    assert found.standings[Meter.REQUESTS].remaining == 8


def test_a_project_shares_one_budget_and_one_limit_among_its_keys() -> None:
    one, two = key("a", project="team"), key("b", project="team")
    team = Project("team", KeyLimits(requests_per_minute=3), (Quota(Unit.COST, Period.MONTH, 2_500_000),))
    place = Desk(KeyBook([one, two], [team]))
    admitted(place.admit(one, ASK, 0.0, NOON))
    admitted(place.admit(two, ASK, 0.0, NOON))
    found = refused(place.admit(one, ASK, 0.0, NOON))
    assert found.reason == "quota"
    assert found.error.message.startswith("this key's project has used up its budget")
    free = msgspec.structs.replace(ASK, cost=0)
    admitted(place.admit(two, free, 0.0, NOON))
    assert "project has reached its limit" in refused(place.admit(two, free, 0.0, NOON)).error.message


def test_a_budget_refuses_what_has_no_price_unless_the_key_may() -> None:
    budget = (Quota(Unit.COST, Period.DAY, 10),)
    ask = msgspec.structs.replace(ASK, cost=None)
    strict, lax = key("a", quotas=budget), key("b", quotas=budget, unpriced=True)
    place = desk(strict, lax)
    assert "no price" in refused(place.admit(strict, ask, 0.0, NOON)).error.message
    admitted(place.admit(lax, ask, 0.0, NOON))


def test_other_keys_and_limits_keep_what_was_used() -> None:
    quota = Quota(Unit.REQUESTS, Period.DAY, 2)
    mine, other = key("a", quotas=(quota,)), key("b", quotas=(quota,))
    place = desk(mine, other)
    place.settle(admitted(place.admit(mine, ASK, 0.0, NOON)), 1, 1, 0.0)
    place.settle(admitted(place.admit(other, ASK, 0.0, NOON)), 1, 1, 0.0)
    place.change(KeyBook([mine]), KeyLimits(), KeyLimits())
    assert place.accounts.used("key/a", quota, NOON) == 1
    assert place.accounts.used("key/b", quota, NOON) == 0


def test_concurrency_is_the_keys_own_or_the_common_one() -> None:
    place = desk(each=KeyLimits(concurrency=5))
    assert place.concurrency(None) is None
    assert place.concurrency(key()) == 5
    assert place.concurrency(key(limits=KeyLimits(concurrency=2))) == 2
    assert desk().concurrency(key()) is None


def test_no_error_shows_a_key_or_its_digest() -> None:
    quota = Quota(Unit.TOKENS, Period.DAY, 1)
    for fields in (
        {"expires": 0.0},
        {"revoked": 0.0},
        {"models": ("x",)},
        {"quotas": (quota,)},
        {"limits": KeyLimits(tokens_per_minute=1)},
    ):
        mine = key(**fields)
        message = refused(desk(mine).admit(mine, ASK, 0.0, NOON)).error.message
        assert "fk-" not in message
        assert mine.digest.hex() not in message
