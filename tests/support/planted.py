"""Secrets that tests plant, and the check that none of them comes out anywhere."""

from __future__ import annotations

# No eight letters in a row that any message has of its own.
PROVIDER_KEY = "sk-q7Zx9KvTgB2mWnRd4711xQ"
CLIENT_KEY = "fk-Jw3LpY8hUcE5sAo0815yVb"
PROMPT = "purplewalrusjuggles77lanterns"
TOOL_CONTENT = "yellowsubmarinehums42kazoos"

SECRETS = (PROVIDER_KEY, CLIENT_KEY, PROMPT, TOOL_CONTENT)

SHORTEST = 8
"""A piece of a secret of this length is a leak too: the reference system logged the first 8 characters of keys."""


def leaks(text: str, secrets: tuple[str, ...] = SECRETS) -> list[str]:
    """The pieces of `secrets` that stand in `text`. A test asserts that there are none."""
    pieces = (
        secret[start : start + SHORTEST] for secret in secrets for start in range(max(1, len(secret) - SHORTEST + 1))
    )
    return [piece for piece in pieces if piece in text]
