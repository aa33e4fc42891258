"""What settings become: the snapshot of exchanges, and when the door is asked at all."""

from __future__ import annotations

import msgspec
import pytest

from ferryllm_net.config import Secret
from ferryllm_net.gateway import building
from ferryllm_proto.routing.keys import ClientKey, KeyBook, KeyLimits, Project
from ferryllm_proto.routing.quota import Period, Quota, Unit
from support.gateways import settings
from support.planted import PROVIDER_KEY

DAY = Quota(Unit.REQUESTS, Period.DAY, 5)
AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"\n'


@pytest.mark.parametrize(
    "more",
    [
        "[limits]\nrequests_per_minute = 1",
        "[limits]\nmax_concurrency = 1",
        AUTH + "[limits.key]\nmax_concurrency = 1",
    ],
)
def test_whatever_limits_somebody_has_the_door_asked(more: str) -> None:
    assert building.gateway(settings(1, more=more)).admits


def test_without_limits_nobody_asks() -> None:
    assert not building.gateway(settings(1)).admits
    assert not building.gateway(settings(1, more=AUTH)).admits, "keys alone are no limits"


@pytest.mark.parametrize(
    "book",
    [
        KeyBook([ClientKey("k", b"d", quotas=(DAY,))]),
        KeyBook([ClientKey("k", b"d", limits=KeyLimits(concurrency=1))]),
        KeyBook([ClientKey("k", b"d")], [Project("p", quotas=(DAY,))]),
    ],
)
def test_the_limits_of_one_key_have_the_door_asked(book: KeyBook) -> None:
    assert building.gateway(settings(1, more=AUTH), book).admits


def test_places_of_sessions_that_others_know_are_asked_for() -> None:
    assert building.gateway(settings(1), shares=True).admits
    assert not building.gateway(settings(1, more="[affinity]\nenabled = false"), shares=True).admits


def test_a_providers_key_has_a_name_that_says_nothing_of_it() -> None:
    (provider, *_) = settings(1).providers
    name = building.key_id(provider)
    assert name
    assert name not in PROVIDER_KEY
    other = msgspec.structs.replace(provider, api_key=Secret("sk-another-key"))
    assert building.key_id(other) != name
    assert building.key_id(msgspec.structs.replace(provider, api_key=None)) == ""
