"""What models can do, by their names, and the models list."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import DIALECT, models
from ferryllm_proto.dialects.anthropic.models import ThinkingStyle


@pytest.mark.parametrize(
    ("name", "thinking", "sampling", "prefill"),
    [
        ("claude-3-5-sonnet-20241022", ThinkingStyle.NONE, True, True),
        ("claude-3-opus-20240229", ThinkingStyle.NONE, True, True),
        ("claude-3-7-sonnet-latest", ThinkingStyle.BUDGET, True, True),
        ("claude-opus-4-20250514", ThinkingStyle.BUDGET, True, True),
        ("claude-opus-4-0", ThinkingStyle.BUDGET, True, True),
        ("anthropic/claude-sonnet-4.5", ThinkingStyle.BUDGET, True, True),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", ThinkingStyle.BUDGET, True, True),
        ("claude-opus-4-6", ThinkingStyle.ADAPTIVE, True, False),
        ("claude-opus-4-7", ThinkingStyle.ADAPTIVE, False, False),
        ("claude-mythos-preview", ThinkingStyle.ADAPTIVE, False, False),
        ("claude-opus-4-8", ThinkingStyle.ADAPTIVE, False, False),
        ("claude-fable-5-2", ThinkingStyle.ADAPTIVE, False, False),
        ("claude-opus-5[1m]", ThinkingStyle.ADAPTIVE, False, False),
        ("claude-next", ThinkingStyle.ADAPTIVE, False, False),
        ("qwen3:8b", ThinkingStyle.BUDGET, True, True),
    ],
)
def test_families(name: str, thinking: ThinkingStyle, sampling: bool, prefill: bool) -> None:
    found = models.profile(name)
    assert (found.thinking, found.sampling, found.prefill) == (thinking, sampling, prefill)


@pytest.mark.parametrize(
    ("effort", "allowed", "said"),
    [
        ("high", ("low", "high"), "high"),
        ("xhigh", ("low", "medium", "high", "max"), "high"),
        ("minimal", ("low", "medium"), "low"),
        ("ultra", ("low", "medium", "high", "xhigh"), "high"),
        ("low", (), None),
    ],
)
def test_efforts_are_clamped_downwards(effort: str, allowed: tuple[str, ...], said: str | None) -> None:
    assert models.clamp_effort(effort, allowed) == said


def test_a35_budgets_and_efforts_are_monotone_and_agree() -> None:
    budgets = list(models.BUDGETS.values())
    assert budgets == sorted(budgets)
    for effort in ("low", "medium", "high", "xhigh"):
        assert models.effort_of(models.BUDGETS[effort]) == effort
    assert models.effort_of(10**6) == "xhigh"


def test_m4_the_list_has_anthropics_shape() -> None:
    listed = json.loads(DIALECT.encode_models([ir.Model("a", created=86400, display_name="A"), ir.Model("b")]))
    assert listed == {
        "data": [
            {
                "type": "model",
                "id": "a",
                "display_name": "A",
                "created_at": "1970-01-02T00:00:00Z",
                "lifecycle": "active",
            },
            {
                "type": "model",
                "id": "b",
                "display_name": "b",
                "created_at": "1970-01-01T00:00:00Z",
                "lifecycle": "active",
            },
        ],
        "has_more": False,
        "first_id": "a",
        "last_id": "b",
    }
    assert json.loads(DIALECT.encode_models([]))["first_id"] is None
    assert json.loads(DIALECT.encode_model(ir.Model("a")))["id"] == "a"
