"""The table of fields: what becomes of every documented field of a request at every kind of provider.

Data, and read by nobody on the way of a request: the encoders decide, and a test proves each row by a translation. A
second test holds the table against the types of the official SDKs, so that a field they add has to be decided here
(translation.md G3). The documentation's page of compatibility and `ferryllm explain` read it.
"""

from __future__ import annotations

from . import anthropic, anthropic_content, gemini, ollama, openai, openai_responses, openai_responses_input
from .row import BACKENDS, Fate, Place, Row, steps

__all__ = ["BACKENDS", "TABLE", "Fate", "Place", "Row", "steps"]

TABLE: dict[str, tuple[Row, ...]] = {
    "openai": openai.FIELDS,
    "openai_responses": (*openai_responses.FIELDS, *openai_responses_input.FIELDS),
    "anthropic": (*anthropic.FIELDS, *anthropic_content.FIELDS),
    "gemini": gemini.FIELDS,
    "ollama": ollama.FIELDS,
}
"""The rows of each client dialect, in the order of the page."""
