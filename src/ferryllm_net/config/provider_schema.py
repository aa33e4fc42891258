"""The form of what the configuration says about one provider's ways and its models: a part of `schema`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Vendor = Literal[
    "openai",
    "azure",
    "openrouter",
    "deepseek",
    "groq",
    "mistral",
    "xai",
    "qwen",
    "moonshot",
    "zai",
    "together",
    "fireworks",
    "perplexity",
    "vllm",
    "sglang",
    "llamacpp",
    "lmstudio",
    "ollama",
    "gemini",
    "generic",
]
"""The rows of the openai dialect's table of vendors."""

ProxyUrl = Annotated[
    str,
    Meta(
        description="URL of the proxy through which the provider is reached: `http`, `https`, `socks5` (names are "
        "resolved here) or `socks5h` (there), with user and password where it asks for them; or `off`.",
        extra={"default": "the variables `https_proxy`, `http_proxy`, `all_proxy`, `no_proxy`", "secret": True},
    ),
]
Http2 = Annotated[
    bool,
    Meta(
        description="Whether HTTP/2 is offered to the provider; over `http` it is spoken without asking. HTTP/1.1 "
        "costs half as much for each request, so this is for providers that allow few connections."
    ),
]
MaxConnections = Annotated[
    int,
    Meta(
        ge=1,
        le=100_000,
        description="Connections to the provider at once; requests beyond that wait for their turn, for 30 seconds.",
        extra={"default": "no limit"},
    ),
]

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

MAX_TOKENS = 10_000_000
"""Upper bound of a number of tokens in this file: ten times the largest window there is."""


Taken = Annotated[bool, Meta(description="Whether this field is taken.", extra={"default": "the vendor's"})]
Takes = Annotated[bool, Meta(description="Whether it takes this parameter.", extra={"default": "as known"})]


class Quirks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a provider of type `openai` differs from its vendor, for requests that are translated. What is left out
    is as in the table of vendors ([vendors](vendors.md))."""

    max_tokens_field: (
        Annotated[
            Literal["max_tokens", "max_completion_tokens"],
            Meta(description="Name of the limit of an answer.", extra={"default": "the vendor's"}),
        ]
        | None
    ) = None
    reasoning: (
        Annotated[
            Literal["none", "reasoning_effort", "thinking", "enable_thinking", "reasoning", "chat_template_kwargs"],
            Meta(description="The field that says how much to think.", extra={"default": "the vendor's"}),
        ]
        | None
    ) = None
    replay_reasoning: (
        Annotated[
            Literal["never", "loop", "always"],
            Meta(
                description="When earlier thoughts are sent back: never, with turns that called tools, or always.",
                extra={"default": "the vendor's"},
            ),
        ]
        | None
    ) = None
    reasoning_field: (
        Annotated[
            Literal["reasoning_content", "reasoning"],
            Meta(description="Where they are sent back.", extra={"default": "the vendor's"}),
        ]
        | None
    ) = None
    system_role: (
        Annotated[
            Literal["system", "developer"],
            Meta(description="Role of instructions.", extra={"default": "the vendor's and the model's"}),
        ]
        | None
    ) = None
    later_system: (
        Annotated[
            Literal["keep", "merge", "user"],
            Meta(
                description="Instructions that do not come first: kept as messages of their own, merged where they "
                "follow each other, or sent as a marked text of the user.",
                extra={"default": "the vendor's"},
            ),
        ]
        | None
    ) = None
    tool_content: (
        Annotated[
            Literal["string", "text", "image"],
            Meta(
                description="What a tool message may hold: one string, a list of texts, or images too.",
                extra={"default": "the vendor's"},
            ),
        ]
        | None
    ) = None
    tool_id: (
        Annotated[
            Literal["any", "mistral"],
            Meta(
                description="Form of the ids of tool calls; `mistral` is nine letters and digits.",
                extra={"default": "the vendor's"},
            ),
        ]
        | None
    ) = None
    parallel_tool_calls: Taken | None = None
    stream_options: Taken | None = None
    strict: (
        Annotated[bool, Meta(description="Whether functions may be `strict`.", extra={"default": "the vendor's"})]
        | None
    ) = None
    images: (
        Annotated[bool, Meta(description="Whether messages may hold images.", extra={"default": "the vendor's"})] | None
    ) = None
    json_schema: (
        Annotated[
            bool,
            Meta(description="Whether `response_format` may be a schema.", extra={"default": "the vendor's"}),
        ]
        | None
    ) = None


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What some models of a provider can do, where the table of models ([vendors](vendors.md)) is silent or wrong. Of
    several that match, the longest `match` has the last word on each key."""

    match: Annotated[
        str,
        Meta(description="Beginning of the name that the provider is asked for, or `*` for every model."),
    ]
    temperature: Takes | None = None
    top_p: Takes | None = None
    top_k: Takes | None = None
    stop: (
        Annotated[bool, Meta(description="Whether it takes stop sequences.", extra={"default": "as known"})] | None
    ) = None
    thinking: (
        Annotated[
            Literal["none", "budget", "effort", "adaptive", "both"],
            Meta(
                description="How it is told how much to think: not at all, by a number of tokens, by a word, or "
                "(Claude) adaptive, alone or beside a number.",
                extra={"default": "as known"},
            ),
        ]
        | None
    ) = None
    efforts: (
        Annotated[
            tuple[Effort, ...],
            Meta(
                description="The words for an effort that it takes; another one becomes the next lower.",
                extra={"default": "as known"},
            ),
        ]
        | None
    ) = None
    default_max_tokens: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_TOKENS,
                description="Limit of an answer where the protocol requires one and the client named none.",
                extra={"unit": "tokens", "default": "as known, else 8192"},
            ),
        ]
        | None
    ) = None
    max_output_tokens: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=MAX_TOKENS,
                description="The highest limit it takes; a higher one is lowered.",
                extra={"unit": "tokens", "default": "as known"},
            ),
        ]
        | None
    ) = None
    prefill: (
        Annotated[
            bool, Meta(description="Whether it goes on with a final assistant message.", extra={"default": "as known"})
        ]
        | None
    ) = None
    structured_output: (
        Annotated[
            bool,
            Meta(
                description="Whether it takes a schema for its answer (providers of type `anthropic`).",
                extra={"default": "as known"},
            ),
        ]
        | None
    ) = None
