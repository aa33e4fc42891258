"""The form of `[prices]`. Apart from `schema` because most configurations take the prices as they are published."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

PriceAs = Annotated[
    str,
    Meta(
        description="Whose prices hold there, by a name of the price list, as in `anthropic`, `openai`, `openrouter`.",
        extra={"default": "told by `base_url`; for other hosts prices are unknown"},
    ),
]


def _dollars(description: str, default: str = "unknown") -> Meta:
    return Meta(
        ge=0,
        le=1_000_000,
        description=description,
        extra={"unit": "dollars a million tokens", "default": default},
    )


class ModelPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one model costs, in place of what the lists say of it. Amounts are numbers or, for those who want to be sure
    of every digit, texts: `0.15` or `"0.15"`."""

    model: Annotated[
        str,
        Meta(
            description="Name by which the provider is asked; with `*` at its end, the beginning of names, and `*` "
            "alone, where `provider` is named, all of them. A name also stands for the same with a date behind it."
        ),
    ]
    provider: (
        Annotated[
            str,
            Meta(
                description="Where this price holds: the name of a provider of this file, or of a seller as "
                "`price_as` has it.",
                extra={"default": "everywhere"},
            ),
        ]
        | None
    ) = None
    input: Annotated[float, _dollars("Input that no cache was used for.")] | str | None = None
    output: Annotated[float, _dollars("Output.")] | str | None = None
    cache_read: Annotated[float, _dollars("Input read from the provider's cache.", "as `input`")] | str | None = None
    cache_write: Annotated[float, _dollars("Input written to it.", "as `input`")] | str | None = None
    cache_write_1h: (
        Annotated[float, _dollars("Input written to it for an hour.", "as `cache_write` where that is not said either")]
        | str
        | None
    ) = None
    reasoning: Annotated[float, _dollars("Output that is reasoning.", "as `output`")] | str | None = None
    request: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=1_000_000,
                description="Each request, beside its tokens.",
                extra={"unit": "dollars", "default": "nothing"},
            ),
        ]
        | str
        | None
    ) = None


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What models cost, for the ledger, budgets and routes that balance by cost. The list is that of the package
    `genai-prices` (`pip install "ferryllm[prices]"`), or a file; nothing is ever fetched. Where no price is known, the
    cost is unknown and never 0."""

    file: (
        Annotated[
            str,
            Meta(
                description="A list in place of the package's: JSON of `genai-prices` or of LiteLLM "
                "(`model_prices_and_context_window.json`). A relative path counts from the configuration file.",
                extra={"default": "the package's"},
            ),
        ]
        | None
    ) = None
    models: tuple[ModelPrice, ...] = ()
