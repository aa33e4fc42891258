"""Which backend is which, by the model's name."""

from __future__ import annotations

import pytest

from ferryllm_proto.dialects.openai.profile import GENERIC, profile


@pytest.mark.parametrize(
    "name", ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.4-mini", "openai/gpt-6", "GPT-5"]
)
def test_a32_reasoning_names_take_max_completion_tokens(name: str) -> None:
    found = profile(name)
    assert (found.max_tokens_name, found.system_role, found.sampling) == ("max_completion_tokens", "developer", False)


@pytest.mark.parametrize("name", ["", "llama-3.3", "gpt-oss-120b", "qwen/qwen3", "olmo-2"])
def test_b18_everything_else_is_generic(name: str) -> None:
    assert profile(name) == GENERIC
    assert GENERIC.max_tokens_name == "max_tokens"


@pytest.mark.parametrize("name", ["deepseek-chat", "moonshotai/kimi-k2-thinking", "xiaomi/mimo-v2"])
def test_a27_models_that_want_their_thoughts_back_in_tool_loops(name: str) -> None:
    assert profile(name).replay_reasoning


def test_older_openai_models_do_not_reason_and_chat_variants_sample() -> None:
    assert profile("gpt-4o").efforts == ()
    assert profile("gpt-4o").max_tokens_name == "max_tokens"
    assert profile("gpt-5-chat-latest").sampling
    assert profile("gpt-5.6").breakpoints
    assert not profile("gpt-5.4").breakpoints
