"""What is known of one provider beyond its dialect: its vendor, and what its models can do.

Data alone. The configuration makes one `ProviderRules` for each provider; encoders of requests read it. What a vendor
does when nothing is said here stands in the dialect's table of vendors, what a model can do in `capabilities`.
"""

from __future__ import annotations

import msgspec


class Quirks(msgspec.Struct, frozen=True, cache_hash=True):
    """Where a provider differs from the row of its vendor; None leaves what the row says."""

    max_tokens_field: str | None = None
    """``max_tokens`` or ``max_completion_tokens``."""
    reasoning: str | None = None
    """How a request says how much to think: a value of the dialect's ``Reasoning``."""
    replay_reasoning: str | None = None
    """When earlier thoughts are sent back: ``never``, ``loop`` (with turns that called tools), ``always``."""
    reasoning_field: str | None = None
    """Under which name they are sent back: ``reasoning_content`` or ``reasoning``."""
    system_role: str | None = None
    """``system`` or ``developer``."""
    later_system: str | None = None
    """Instructions after the first message: ``keep``, ``merge`` or ``user``."""
    tool_content: str | None = None
    """What a tool message may hold: ``string``, ``text`` (text parts) or ``image`` (text and image parts)."""
    tool_id: str | None = None
    """``any``, or ``mistral``: nine letters and digits."""
    parallel_tool_calls: bool | None = None
    stream_options: bool | None = None
    strict: bool | None = None
    """Whether functions may say ``strict``."""
    images: bool | None = None
    """Whether messages may hold images."""
    json_schema: bool | None = None
    """Whether ``response_format`` may be a schema."""


class ModelRule(msgspec.Struct, frozen=True):
    """What the configuration says of the models whose name begins with ``match``; None leaves what is known."""

    match: str
    """The beginning of a model's name, with or without the vendor before its slash; "" is every model."""
    temperature: bool | None = None
    top_p: bool | None = None
    top_k: bool | None = None
    stop: bool | None = None
    thinking: str | None = None
    """A value of `capabilities.Thinking`."""
    efforts: tuple[str, ...] | None = None
    default_max_tokens: int | None = None
    """Tokens."""
    max_output_tokens: int | None = None
    """Tokens."""
    prefill: bool | None = None
    structured_output: bool | None = None


NO_QUIRKS = Quirks()


class ProviderRules(msgspec.Struct, frozen=True, cache_hash=True):
    """What an encoder of requests has to know of the provider."""

    vendor: str = ""
    """A name of the table of vendors; "" is not known: the model's name decides."""
    models: tuple[ModelRule, ...] = ()
    """The configuration's own words about models; they win over the table of capabilities."""
    quirks: Quirks = NO_QUIRKS
    """The configuration's own words about the provider; they win over the table of vendors."""


NO_RULES = ProviderRules()
