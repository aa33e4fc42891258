"""The registry. Adding a dialect is one folder and one line here."""

from __future__ import annotations

from ..dialect import Dialect
from .anthropic import DIALECT as ANTHROPIC
from .gemini import DIALECT as GEMINI
from .ollama import DIALECT as OLLAMA
from .openai import DIALECT as OPENAI
from .openai_responses import DIALECT as OPENAI_RESPONSES

DIALECTS: dict[str, Dialect] = {d.name: d for d in (OPENAI, OPENAI_RESPONSES, ANTHROPIC, GEMINI, OLLAMA)}
"""All dialects by the name they have in configuration, logs and on the command line."""
