"""Who sells at an address: the names by which price lists (`price_data`, `litellm_prices`) know the providers.

Data alone. The same model costs differently elsewhere, so an address that is not here has no prices until the
configuration says whose hold there (``price_as``): a server of one's own costs something else than tokens.
"""

from __future__ import annotations

OWN = "@"
"""What stands before the name of a provider of the configuration, so that none is taken for a seller of that name."""

SELLERS: dict[str, tuple[str, ...]] = {
    "anthropic": ("api.anthropic.com",),
    "aws": ("*.amazonaws.com",),
    "azure": (
        "*.openai.azure.com",
        "*.services.ai.azure.com",
        "*.models.ai.azure.com",
        "*.cognitiveservices.azure.com",
    ),
    "cerebras": ("api.cerebras.ai",),
    "cohere": ("api.cohere.com", "api.cohere.ai"),
    "deepseek": ("api.deepseek.com",),
    "fireworks": ("api.fireworks.ai",),
    "google": ("*.googleapis.com",),
    "groq": ("api.groq.com",),
    "minimax": ("api.minimax.io", "api.minimaxi.com"),
    "mistral": ("api.mistral.ai",),
    "moonshotai": ("api.moonshot.ai", "api.moonshot.cn"),
    "novita": ("api.novita.ai",),
    "openai": ("api.openai.com", "*.api.openai.com"),
    "openrouter": ("openrouter.ai", "*.openrouter.ai"),
    "perplexity": ("api.perplexity.ai",),
    "together": ("api.together.xyz", "api.together.ai"),
    "x-ai": ("api.x.ai", "*.api.x.ai"),
    "zai": ("api.z.ai",),
    "zhipuai": ("open.bigmodel.cn",),
}
"""Sellers and their hosts: a name, or ``*.name`` for everything below it."""


def seller_at(host: str) -> str | None:
    """Who sells at ``host``; None where nobody is known to."""
    lower = host.lower().rstrip(".")
    for seller, hosts in SELLERS.items():
        for known in hosts:
            if lower == known or (known.startswith("*.") and lower.endswith(known[1:])):
                return seller
    return None


def sellers_of(provider: str, host: str, price_as: str | None = None) -> tuple[str, ...]:
    """By which names the prices of a provider are looked for, the most telling first (`PriceTable.find`).

    ``provider`` is its name in the configuration, ``price_as`` whose prices it says hold.
    """
    seller = price_as or seller_at(host)
    return (OWN + provider,) if seller is None else (OWN + provider, seller)
