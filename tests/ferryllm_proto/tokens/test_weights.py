"""Which weights a model has: by its name as vendors and gateways write it, else by the dialect of its provider."""

from __future__ import annotations

import pytest

from ferryllm_proto.tokens.weights import BY_DIALECT, weights_of


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("vertex-claude", "claude-sonnet-4-5"),
        ("anthropic/claude-opus-4.8", "claude-opus-4-8"),
        ("CLAUDE-OPUS-5", "claude-opus-4-7"),
        ("openai/gpt-4o-2024-08-06", "gpt-4o"),
        ("openai.gpt-oss-120b", "gpt-oss:20b"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama3.2:3b"),
        ("models/gemini-2.5-pro", "gemini-1.5-flash"),
        ("Qwen/Qwen3-32B", "qwen3:4b"),
        ("mistralai/Ministral-3B", "mistral-large-latest"),
    ],
)
def test_vendors_in_front_change_nothing(name: str, same: str) -> None:
    assert weights_of(name) == weights_of(same)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("claude-opus-4-6", "claude-opus-4-7"),
        ("claude-sonnet-4-5", "claude-sonnet-5"),
        ("gpt-4", "gpt-4o"),
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4.1", "gpt-4.1-mini"),
        ("gpt-oss-20b", "gpt-5"),
        ("pixtral-12b", "mistral-small"),
        ("llama-4-scout", "llama-3.1-8b"),
    ],
)
def test_generations_that_count_differently_differ(one: str, other: str) -> None:
    assert weights_of(one) != weights_of(other)


@pytest.mark.parametrize(("dialect", "weights"), sorted(BY_DIALECT.items()))
def test_a_name_that_says_nothing_is_judged_by_its_dialect(dialect: str, weights: object) -> None:
    assert weights_of("my-alias", dialect) is weights
    assert weights_of("my-alias") is weights_of("another", "openai")


def test_any_name_has_weights() -> None:
    for name in ("", "/", "a" * 10_000, "claude", "o1", "\ud800"):
        assert weights_of(name).text > 0
