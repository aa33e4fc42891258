"""Which of OpenAI's models is of which kind."""

from __future__ import annotations

import pytest

from ferryllm_proto import families


@pytest.mark.parametrize("name", ["o1", "o3-mini", "gpt-5", "openai/GPT-5.4-2026-03-05", "gpt-10", "codex-mini-latest"])
def test_models_that_think(name: str) -> None:
    assert (families.reasons(name), families.is_plain(name), families.is_newer(name)) == (True, False, True)


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-3.5-turbo", "chatgpt-4o-latest", "gpt-5-chat-latest"])
def test_models_that_do_not(name: str) -> None:
    assert (families.reasons(name), families.is_plain(name)) == (False, True)


@pytest.mark.parametrize(("name", "ours"), [("anthropic/Claude-next", True), ("claudia", False), ("gpt-5", False)])
def test_claude(name: str, ours: bool) -> None:
    assert families.is_claude(name) is ours


@pytest.mark.parametrize("name", ["", "gpt-oss-120b", "olmo-2", "claude-opus-4-8", "o", "deepseek-chat"])
def test_nothing_is_known_of_others(name: str) -> None:
    assert (families.reasons(name), families.is_plain(name)) == (False, False)
