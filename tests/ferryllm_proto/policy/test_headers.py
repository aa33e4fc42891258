"""Headers from client to provider."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.policy.headers import CREDENTIALS, NEVER, HeaderMode, HeaderPolicy, apply, fault

_OWN = (("content-type", "application/json"), ("anthropic-beta", "a,b"))
_CLIENT = (
    ("Authorization", "Bearer secret"),
    ("X-Trace", "1"),
    ("x-team", "blue"),
    ("Connection", "close, X-Hop"),
    ("x-hop", "1"),
    ("User-Agent", "agent/1"),
    ("Cookie", "a=b"),
    ("Content-Type", "text/plain"),
)


def test_the_default_changes_nothing() -> None:
    assert apply(HeaderPolicy(), _OWN, _CLIENT) == _OWN


@pytest.mark.parametrize(
    ("mode", "names", "brought"),
    [
        (HeaderMode.WHITELIST, ("x-tr*",), {"x-trace"}),
        (HeaderMode.WHITELIST, ("authorization", "cookie", "host"), set()),
        (HeaderMode.BLACKLIST, ("x-trace",), {"x-team"}),
        (HeaderMode.PASSTHROUGH, (), {"x-trace", "x-team"}),
    ],
)
def test_chosen_headers_go_along_and_never_those_that_open_a_door_or_belong_to_a_hop(
    mode: HeaderMode, names: tuple[str, ...], brought: set[str]
) -> None:
    out = apply(HeaderPolicy(mode, names), _OWN, _CLIENT)
    assert out[:2] == _OWN
    assert {name for name, _ in out[2:]} == brought


def test_add_speaks_last_force_wins_and_drop_takes_out() -> None:
    policy = HeaderPolicy(
        HeaderMode.PASSTHROUGH,
        add=(("x-team", "red"), ("x-new", "1")),
        force=(("x-trace", "9"),),
        drop=("x-hop*", "content-*"),
    )
    out = dict(apply(policy, _OWN, _CLIENT))
    assert out == {
        "content-type": "application/json",
        "anthropic-beta": "a,b",
        "x-team": "blue",
        "x-new": "1",
        "x-trace": "9",
    }


def test_betas_are_a_union_in_one_header() -> None:
    policy = HeaderPolicy(beta=("b", "c"))
    assert apply(policy, _OWN, ())[-1] == ("anthropic-beta", "a,b,c")
    assert apply(policy, (), ()) == (("anthropic-beta", "b,c"),)
    several = (("anthropic-beta", "a"), ("Anthropic-Beta", "b, a"))
    assert apply(HeaderPolicy(add=(("x", "1"),)), several, ()) == (("x", "1"), ("anthropic-beta", "a,b"))


def test_the_user_agent_is_the_configurations_where_it_names_one() -> None:
    assert apply(HeaderPolicy(user_agent="mine/2"), (("User-Agent", "a"),), ()) == (("user-agent", "mine/2"),)
    assert apply(HeaderPolicy(HeaderMode.PASSTHROUGH), (), (("User-Agent", "agent/1"),)) == ()


def test_what_the_configuration_can_not_say() -> None:
    assert fault("x-ok", "fine") is None
    for name, value in (("x y", ""), ("", ""), ("host", "a"), ("authorization", "b"), ("x", "a\r\nb"), ("x", "€")):
        assert fault(name, value) is not None
    assert "client's credentials" in str(fault("cookie", forward=True))


_NAMES = st.sampled_from([*sorted(NEVER), "x-a", "x-b", "user-agent", "X-API-Key", "bad name"])
_HEADERS = st.lists(st.tuples(_NAMES, st.text(max_size=5)), max_size=6)


@given(_HEADERS, st.sampled_from(HeaderMode), st.lists(_NAMES, max_size=3).map(tuple))
def test_no_policy_forwards_credentials_or_control_characters(
    client: list[tuple[str, str]], mode: HeaderMode, names: tuple[str, ...]
) -> None:
    for name, value in apply(HeaderPolicy(mode, names, drop=("x-none",)), (), client):
        assert name not in CREDENTIALS | NEVER
        assert " " not in name
        assert not any(ord(char) < 32 and char != "\t" for char in value)
