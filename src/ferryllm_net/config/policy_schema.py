"""The form of what the configuration says about policies: reasoning, prompt caches, headers, transforms, pages.

A part of `schema`, apart from it because these tables stand by themselves and in routes and providers too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "x_high", "max", "ultracode"]
"""`x_high` is another spelling of `xhigh`."""
ReasoningMode = Literal["preserve", "fill_missing", "cap", "force"]


class Reasoning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much models may think, whatever clients ask for; routes may say it for themselves. `[server]` takes the same
    as `reasoning_policy`, `default_reasoning_effort` and `max_reasoning_effort`. Efforts and their tokens: `none` 0,
    `minimal` 1024, `low` 4096, `medium` 8192, `high` 16384, `xhigh` 32768, `max` and `ultracode` 65536."""

    policy: Annotated[
        ReasoningMode,
        Meta(
            description="`preserve` sends what the client asks for; `fill_missing` speaks for clients that say "
            "nothing; `cap` does that and lowers what is above `max_effort`; `force` sends `default_effort`, else "
            "`max_effort`, else nothing."
        ),
    ] = "fill_missing"
    default_effort: (
        Annotated[Effort, Meta(description="For clients that say nothing; with `force` for all.")] | None
    ) = None
    max_effort: Annotated[Effort, Meta(description="The most that `cap` lets through.")] | None = None


class PromptCache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done so that providers find prompts in their caches. Only requests that are translated are changed,
    unless `same_dialect` is set; what a client said itself always stays."""

    auto_inject_anthropic_cache_control: Annotated[
        bool,
        Meta(
            description="Whether requests to providers of type `anthropic` get breakpoints (`cache_control`) where "
            "the client set none: of the four that the API takes, those that are free."
        ),
    ] = True
    cache_system: Annotated[bool, Meta(description="One behind the system prompt.")] = True
    cache_tools: Annotated[bool, Meta(description="One behind the last tool.")] = True
    cache_last_user_message: Annotated[bool, Meta(description="One in the last message of the user.")] = True
    anthropic_cache_ttl: (
        Annotated[
            Literal["5m", "1h"],
            Meta(description="Lifetime of these breakpoints.", extra={"default": "the provider's, five minutes"}),
        ]
        | None
    ) = None
    openai_prompt_cache_key: Annotated[
        str,
        Meta(
            description="How the `prompt_cache_key` begins that providers who know it get: behind it stands a digest "
            "of model, tools and system prompt. Up to 31 characters; empty sends none."
        ),
    ] = "ferryllm"
    openai_prompt_cache_retention: (
        Annotated[str, Meta(description="`prompt_cache_retention` for the same providers, as in `24h`.")] | None
    ) = None
    relocate_system_prefix_range: (
        Annotated[
            str,
            Meta(
                description="Bytes of the system prompt, `start..end`: the lines that they are in are moved to the end "
                "of the last user message, because they change with every request."
            ),
        ]
        | None
    ) = None
    strip_system_line_prefixes: Annotated[
        tuple[str, ...],
        Meta(
            description="Lines of the system prompt that begin so are dropped. Claude Code's "
            "`x-anthropic-billing-header:` is never sent to other providers, whatever stands here."
        ),
    ] = ()
    same_dialect: Annotated[
        bool,
        Meta(description="Whether all this is also done to requests that would otherwise pass through as they are."),
    ] = False
    debug_log_request_shape: Annotated[
        bool,
        Meta(
            description="Taken, so that older files go on working; the log has a line `prompt cache observation` "
            "whatever it says."
        ),
    ] = True
    log_relocated_system_text: Annotated[
        bool,
        Meta(
            description="The same: prompts are in no line of the log, the number of bytes is. `[request_log]` writes "
            "whole requests."
        ),
    ] = False


class Headers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Headers of requests to providers. Those that frame a message, belong to one connection or hold credentials are
    never taken from clients. A provider's own table stands in place of the common one."""

    mode: Annotated[
        Literal["none", "whitelist", "blacklist", "passthrough"],
        Meta(
            description="Which headers of clients go along beside those that the protocol has for providers: `none`; "
            "with `whitelist` those in `names`, with `blacklist` all others; with `passthrough` all."
        ),
    ] = "none"
    names: Annotated[
        tuple[str, ...],
        Meta(description="For `whitelist` and `blacklist`; a `*` at the end of one stands for any rest."),
    ] = ()
    force: Annotated[dict[str, str], Meta(description="Sent with every request, in place of any other value.")] = {}
    add: Annotated[dict[str, str], Meta(description="Sent where the header is not there.")] = {}
    drop: Annotated[tuple[str, ...], Meta(description="Never sent; as in `names`.")] = ()
    anthropic_beta: Annotated[
        tuple[str, ...], Meta(description="Words that every `anthropic-beta` gets beside the client's.")
    ] = ()
    user_agent: (
        Annotated[
            str,
            Meta(
                description="`User-Agent` for providers; empty sends the gateway's own name.",
                extra={"default": "the client's"},
            ),
        ]
        | None
    ) = None


class Transform(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change of bodies; of several each sees what the ones before it made, and those of a route come after the
    common ones. Needs the extra `transforms`. Bodies that are changed no longer pass through byte by byte."""

    type: Annotated[
        Literal["drop", "add", "regex"],
        Meta(
            description="`drop` takes out what `path` finds; `add` puts `value` in as the member `name` of each "
            "object, or as the last item of each array; `regex` replaces in texts."
        ),
    ]
    on: Annotated[
        tuple[Literal["request", "response", "stream"], ...],
        Meta(description="Which bodies: of requests, of whole answers, of each event of a stream."),
    ] = ("request",)
    path: (
        Annotated[
            str,
            Meta(
                description="JSONPath (RFC 9535) of what is changed, in the client's own protocol.",
                extra={"default": "for `regex` every text"},
            ),
        ]
        | None
    ) = None
    name: Annotated[str, Meta(description="For `add`: the member.")] | None = None
    value: Annotated[Any, Meta(description="For `add`: the value, of any type.", extra={"default": "none"})] | None = (
        None
    )
    replace: Annotated[bool, Meta(description="For `add`: whether a member that is there is replaced.")] | None = None
    pattern: (
        Annotated[
            str,
            Meta(
                description="For `regex`: the pattern, in RE2's syntax, whose time is linear. Not for texts of a "
                "stream, which come in pieces."
            ),
        ]
        | None
    ) = None
    replacement: (
        Annotated[
            str,
            Meta(
                description=r"For `regex`: what stands in its place, with `\1` for a group.", extra={"default": '`""`'}
            ),
        ]
        | None
    ) = None


class Cors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which web pages may use the gateway from a browser; without origins none may."""

    allow_origins: Annotated[
        tuple[str, ...],
        Meta(description="As in `https://app.example.com`, `https://*.example.com`, or `*` for every page."),
    ] = ()
    allow_methods: Annotated[tuple[str, ...], Meta(description="Methods that pages may use.")] = (
        "GET",
        "HEAD",
        "POST",
        "DELETE",
    )
    allow_headers: Annotated[
        tuple[str, ...],
        Meta(description="Headers that pages may send.", extra={"default": "all"}),
    ] = ()
    expose_headers: Annotated[tuple[str, ...], Meta(description="Headers of answers that pages may read.")] = (
        "x-request-id",
        "request-id",
        "retry-after",
        "x-ferryllm-loss",
    )
    allow_credentials: Annotated[
        bool, Meta(description="Whether pages may send cookies along; not with the origin `*`.")
    ] = False
    max_age_secs: Annotated[
        int,
        Meta(ge=0, le=86_400, description="How long browsers may remember the permission.", extra={"unit": "seconds"}),
    ] = 600


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model, by its name: in short for a provider and an exact route. In place of `NAME` stands the model's name,
    between quotes where it has dots."""

    backend_type: Annotated[
        Literal["openai", "openai_responses", "anthropic", "gemini", "ollama"],
        Meta(description="The protocol that the provider speaks."),
    ]
    endpoint: Annotated[str, Meta(description="Where it is, as `base_url` of a provider.")]
    api_key: Annotated[str, Meta(description="The key; best as `${NAME}`.", extra={"secret": True})] | None = None
    api_key_env: Annotated[str, Meta(description="Name of the environment variable that holds the key.")] | None = None
    model: Annotated[str, Meta(description="Name of the model there.", extra={"default": "the client's"})] | None = None
    timeout_seconds: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=86_400,
                description="As `request_timeout_secs` of a provider.",
                extra={"unit": "seconds", "default": "that of `[server]`"},
            ),
        ]
        | None
    ) = None
    retry: (
        Annotated[
            int,
            Meta(ge=0, le=100, description="Further attempts when one fails.", extra={"default": "that of `[server]`"}),
        ]
        | None
    ) = None
    ssl_verify: Annotated[bool, Meta(description="Whether the provider's certificate is checked.")] = True
    headers: Annotated[dict[str, str], Meta(description="Headers of every request to it.")] = {}
    transforms: tuple[Transform, ...] = ()
