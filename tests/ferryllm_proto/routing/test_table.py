"""Routes: exact, longest prefix, ``*``."""

from __future__ import annotations

import pytest

from ferryllm_proto.routing.table import MatchType, Route, RouteTable

TABLE = RouteTable(
    (
        Route("*", "anything"),
        Route("claude-", "short"),
        Route("claude-opus-", "long", rewrite_model="gpt-5.4"),
        Route("claude-opus-4-6", "exact", MatchType.EXACT),
        Route("claude-opus-4-6[1m]", "variant", MatchType.EXACT),
        Route("claude-", "second"),
        Route("*", "never"),
    )
)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("claude-opus-4-6", "exact"),
        ("claude-opus-4-7", "long"),
        ("claude-haiku-4-5", "short"),
        ("gpt-5.4", "anything"),
        ("", "anything"),
        ("claude-opus-4-6[1m]", "variant"),
        ("claude-opus-4-7[1m]", "long"),
    ],
)
def test_exact_beats_longest_prefix_beats_star_and_file_order_breaks_ties(model: str, provider: str) -> None:
    route = TABLE.resolve(model)
    assert route is not None
    assert route.provider == provider


def test_m3_context_suffix_of_claude_code_is_ignored_for_the_lookup() -> None:
    table = RouteTable((Route("opus", "p", MatchType.EXACT),))
    assert table.resolve("opus[1m]") == table.routes[0]
    assert table.resolve("opus[1M]") == table.routes[0]
    assert table.resolve("opus[x]") is None
    star = RouteTable((Route("*", "any"), Route("opus", "p", MatchType.EXACT)))
    found = star.resolve("opus[1m]")
    assert found is not None
    assert found.provider == "p"


def test_without_a_match_there_is_no_route() -> None:
    assert RouteTable(()).resolve("gpt") is None
    assert RouteTable((Route("claude-", "a"),)).resolve("gpt") is None


def test_names_are_listed_once_in_file_order() -> None:
    assert TABLE.names() == ("*", "claude-", "claude-opus-", "claude-opus-4-6", "claude-opus-4-6[1m]")
