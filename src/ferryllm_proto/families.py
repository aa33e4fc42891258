"""Which of OpenAI's models is of which kind, by name: both of its dialects ask.

Names are as api.openai.com gives them; a name that is none of these is another vendor's, and nothing is known of it.
"""

from __future__ import annotations

import re

from .opaque import family

# "gpt-oss" runs elsewhere and is nobody's reasoning API.
_REASONING = re.compile(r"o[1-9]\d?(?:$|-)|gpt-(?:[5-9]|\d\d)|codex-")
_PLAIN = re.compile(r"(?:chat)?gpt-[34]")


def is_newer(model: str) -> bool:
    """Whether ``model`` is of OpenAI's series with the newer parameter names."""
    return _REASONING.match(family(model)) is not None


def reasons(model: str) -> bool:
    """Whether ``model`` is one of OpenAI's that think; gpt-5-chat is of the series and does not."""
    return is_newer(model) and "-chat" not in model.lower()


def is_plain(model: str) -> bool:
    """Whether ``model`` is one of OpenAI's that do not think: it refuses everything about reasoning."""
    return _PLAIN.match(family(model)) is not None or (is_newer(model) and not reasons(model))
