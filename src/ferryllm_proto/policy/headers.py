"""Which of a client's headers go along to a provider, and what the configuration adds, sets and takes out.

What frames a message, what belongs to one connection and what opens a door never goes from a client to a provider,
whatever the configuration says: the names are here, and nothing asks whether they are listed elsewhere.
"""

from __future__ import annotations

import enum
import re

import msgspec

from ..dialect import Headers

BOUND = frozenset(
    {
        # RFC 9110 7.6.1, and what older agents send in its place.
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
        # What the sender of a message says of it by itself.
        "host",
        "content-length",
        "content-encoding",
        "content-type",
        "accept",
        "accept-encoding",
        "expect",
        "max-forwards",
        "via",
    }
)
"""Headers of one hop, and those that the gateway writes from what it sends."""

CREDENTIALS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "proxy-authenticate",
        "x-api-key",
        "x-goog-api-key",
        "api-key",
        "cookie",
        "cookie2",
        "set-cookie",
        "x-amz-security-token",
        "x-csrf-token",
        "x-xsrf-token",
    }
)
"""Headers that open a door; a client's keys open the gateway's."""

NEVER = BOUND | CREDENTIALS

BETA = "anthropic-beta"
"""A list of words that unlock features; of several lists all words count."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""RFC 9110 5.5: no control characters, so no line ends."""


class HeaderMode(enum.Enum):
    """Which of the client's headers go along beside those that its dialect has for providers."""

    NONE = "none"
    WHITELIST = "whitelist"
    """Those that are named."""
    BLACKLIST = "blacklist"
    """All but those that are named."""
    PASSTHROUGH = "passthrough"
    """All."""


class HeaderPolicy(msgspec.Struct, frozen=True):
    """The policy of one provider or route. Names are in lower case; the default changes nothing."""

    mode: HeaderMode = HeaderMode.NONE
    names: tuple[str, ...] = ()
    """For `HeaderMode.WHITELIST` and `HeaderMode.BLACKLIST`; a ``*`` at the end stands for any rest."""
    force: tuple[tuple[str, str], ...] = ()
    """Sent with every request, in place of any other value."""
    add: tuple[tuple[str, str], ...] = ()
    """Sent where the header is not there."""
    drop: tuple[str, ...] = ()
    """Never sent, wherever they come from, but for those that frame the message; as `names`."""
    beta: tuple[str, ...] = ()
    """Words that every ``anthropic-beta`` gets beside those of the client."""
    user_agent: str | None = None
    """What providers see; None is the client's own."""


NO_HEADERS = HeaderPolicy()


def fault(name: str, value: str = "", *, forward: bool = False) -> str | None:
    """Why a header of the configuration can not be used, or None. ``forward``: a client's may be named by it."""
    if _NAME.fullmatch(name) is None:
        return "not the name of a header"
    if name.lower() in BOUND:
        return "this header frames the message: the gateway writes it"
    if name.lower() in CREDENTIALS:
        return "a client's credentials never go to a provider" if forward else "the provider's key is sent in its place"
    if _VALUE.fullmatch(value) is None:
        return "a line end or another control character, or text outside Latin-1, in its value"
    return None


def apply(policy: HeaderPolicy, own: Headers, client: Headers) -> tuple[tuple[str, str], ...]:
    """The headers for a provider: ``own`` are those that the request was made with, ``client`` the client's.

    Later rules win over earlier ones: what the client brings, `add`, `force`, the union of betas, `drop`.
    """
    if policy == NO_HEADERS:
        return tuple(own)
    out = list(own)
    given = {name.lower() for name, _ in out}
    bound = NEVER | _named_by_connection(client)
    if policy.mode is not HeaderMode.NONE:
        out += [
            (lower, value)
            for name, value in client
            if (lower := name.lower()) not in given
            and lower not in bound
            and lower != "user-agent"
            and _chosen(policy, lower)
            and _NAME.fullmatch(lower) is not None
            and _VALUE.fullmatch(value) is not None
        ]
    given = {name.lower() for name, _ in out}
    out += [(name, value) for name, value in policy.add if name not in given]
    forced = {name for name, _ in policy.force}
    out = [pair for pair in out if pair[0].lower() not in forced] + list(policy.force)
    out = _with_betas(policy, out)
    if policy.user_agent:
        out = [pair for pair in out if pair[0].lower() != "user-agent"] + [("user-agent", policy.user_agent)]
    return tuple(pair for pair in out if (name := pair[0].lower()) in BOUND or not _matches(name, policy.drop))


def _chosen(policy: HeaderPolicy, name: str) -> bool:
    if policy.mode is HeaderMode.WHITELIST:
        return _matches(name, policy.names)
    return policy.mode is HeaderMode.PASSTHROUGH or not _matches(name, policy.names)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name == one or (one.endswith("*") and name.startswith(one[:-1])) for one in patterns)


def _named_by_connection(client: Headers) -> frozenset[str]:
    """The headers that the client bound to its own connection (RFC 9110 7.6.1)."""
    values = [value for name, value in client if name.lower() == "connection"]
    return frozenset(word.strip().lower() for value in values for word in value.split(","))


def _with_betas(policy: HeaderPolicy, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """``headers`` with one ``anthropic-beta`` of all their words, in the order they came."""
    lists = [value for name, value in headers if name.lower() == BETA]
    if len(lists) + bool(policy.beta) < 2 and not policy.beta:
        return headers
    words = [word.strip() for value in (*lists, ",".join(policy.beta)) for word in value.split(",")]
    union = ",".join(dict.fromkeys(word for word in words if word))
    rest = [pair for pair in headers if pair[0].lower() != BETA]
    return [*rest, (BETA, union)] if union else rest
