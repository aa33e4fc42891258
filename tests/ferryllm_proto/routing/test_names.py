"""What clients write behind the name of a model, and the names that are left without it."""

from __future__ import annotations

import pytest

from ferryllm_proto.routing.names import plainer


@pytest.mark.parametrize(
    ("model", "plain"),
    [
        ("claude-opus", []),
        ("claude-opus[1m]", ["claude-opus"]),
        ("claude-opus-20260131", ["claude-opus"]),
        ("claude-opus-2026-01-31", ["claude-opus"]),
        ("claude-opus-20260131[1m]", ["claude-opus-20260131", "claude-opus"]),
        ("claude-opus--ferryllm-1", ["claude-opus"]),
        ("[1m]", []),
        ("--ferryllm-1", []),
        ("gpt-4-1106-preview", []),
    ],
)
def test_one_thing_less_at_a_time(model: str, plain: list[str]) -> None:
    assert plainer(model) == plain
