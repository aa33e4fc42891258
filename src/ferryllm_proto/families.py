"""Whose model a name is, and of which kind: short questions to the table of `capabilities`."""

from __future__ import annotations

from .capabilities import Thinking, known


def is_newer(model: str) -> bool:
    """Whether ``model`` is of OpenAI's series with the newer parameter names."""
    return known(model).newer


def reasons(model: str) -> bool:
    """Whether ``model`` is one of OpenAI's that think; gpt-5-chat is of the series and does not."""
    found = known(model)
    return found.openai and found.reasons


def is_plain(model: str) -> bool:
    """Whether ``model`` is one of OpenAI's that do not think: it refuses everything about reasoning."""
    found = known(model)
    return found.openai and found.thinking is Thinking.NONE


def is_claude(model: str) -> bool:
    """Whether the name is one of Anthropic's."""
    return "claude" in model.lower()
