"""What is known of one provider beyond its dialect: its vendor, and what its models can do.

Data alone. The configuration makes one `ProviderRules` for each provider; encoders of requests read it.
"""

from __future__ import annotations

import msgspec


class ModelRule(msgspec.Struct, frozen=True):
    """What the configuration says of the models whose name begins with ``match``; None leaves what is known."""

    match: str
    """The beginning of a model's name; "" is every model."""


class ProviderRules(msgspec.Struct, frozen=True):
    """What an encoder of requests has to know of the provider."""

    vendor: str = ""
    """A name of the table of vendors; "" is not known: the model's name decides."""
    models: tuple[ModelRule, ...] = ()
    """The configuration's own words about models; they win over the table of capabilities."""


NO_RULES = ProviderRules()
