"""Keys that list models: under which names a request gets in."""

from __future__ import annotations

import msgspec
import pytest

from ferryllm_proto import Route, RouteTable
from ferryllm_proto.actions import Admit, Open
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import ClientKey, KeyBook
from ferryllm_proto.routing.table import MatchType
from support.driver import GATEWAY, Driver, only

KEY = ClientKey("mine", key_digest("secret"), models=("claude-opus", "gpt-?"))
ROUTES = RouteTable(
    (
        Route("claude-opus[2m]", "chat", match_type=MatchType.EXACT, rewrite_model="dear"),
        Route("claude-opus", "chat", match_type=MatchType.EXACT, rewrite_model="opus"),
        Route("gpt-5-20250101", "chat", match_type=MatchType.EXACT, rewrite_model="old"),
        Route("*", "chat"),
    )
)


def asked(model: str, *, admits: bool = False) -> Driver:
    gateway = msgspec.structs.replace(GATEWAY, routes=ROUTES, keys=KeyBook((KEY,)), admits=admits)
    driver = Driver(gateway)
    driver.ask(("x-api-key", "secret"), model=model)
    return driver


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus",
        "claude-opus[1m]",
        "claude-opus-20260131",
        "claude-opus-2026-01-31",
        "claude-opus-20260131[1m]",
        "gpt-5",
        "gpt-5[1m]",
    ],
)
def test_a_listed_name_stands_for_its_other_forms_where_they_go_its_way(model: str) -> None:
    assert len(only(asked(model).actions, Open)) == 1
    (admit,) = only(asked(model, admits=True).actions, Admit)
    assert admit.ask.model in ("claude-opus", "gpt-5"), "the desk looks again, and at what is on the list"


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus[2m]",
        "gpt-5-20250101",
        "claude-opus-mini",
        "claude-opus[1m]x",
        "claude-opus-99990131",
        "claude-sonnet[1m]",
        "claude-opus--ferryllm-1[1m]",
        "[1m]",
        "gpt-5.4[1m]",
    ],
)
def test_no_list_opens_a_route_or_a_model_that_it_does_not_name(model: str) -> None:
    driver = asked(model)
    assert driver.status == 403
    assert only(driver.actions, Open) == []
