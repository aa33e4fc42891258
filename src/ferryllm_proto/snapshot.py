"""What an exchange is given to decide with: one snapshot of the configuration, as data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .entries import Forward
from .policy.access import AccessRules
from .policy.headers import NO_HEADERS, HeaderPolicy
from .routing.affinity import AffinityRules
from .routing.keys import KeyBook
from .routing.pricing import PriceTable
from .routing.retry import RetryRules
from .routing.table import RouteTable
from .rules import NO_RULES, ProviderRules


class Provider(msgspec.Struct, frozen=True):
    """A provider as far as decisions go. Times are seconds."""

    name: str
    dialect: str
    first_byte_secs: float = 300.0
    """From sending the request to the head of a streamed answer: thinking models are silent for minutes."""
    request_secs: float = 600.0
    """From sending the request to the head of a whole answer."""
    idle_secs: float = 120.0
    """Between two reads of an answer."""
    total_secs: float | None = None
    """Of the whole answer; a healthy stream may live for long, so by default there is none."""
    keeps_responses: bool = True
    """Whether a provider of ``openai_responses`` keeps responses itself; else the gateway does."""
    rules: ProviderRules = NO_RULES
    """What is known of its vendor and its models."""
    headers: HeaderPolicy = NO_HEADERS
    """Which headers of clients it gets, and which of the configuration's."""
    key_id: str = ""
    """A name of its key that says nothing of it: what is held against a key is forgotten when another one comes."""
    sellers: tuple[str, ...] = ()
    """By which names its prices are found, the most telling first (`pricing.PriceTable.find`)."""


NO_RETRY = RetryRules()


class Gateway(msgspec.Struct, frozen=True):
    """One snapshot of the configuration; an exchange keeps the one it began with."""

    routes: RouteTable
    providers: dict[str, Provider]
    access: AccessRules = AccessRules()
    body_limit: int = 32 << 20
    """Bytes of a request's body, decompressed; Anthropic's own limit."""
    hold_secs: float = 1.0
    """How long a good head of a stream waits for the first content (T7)."""
    forwards: tuple[Forward, ...] = ()
    """Paths that go to a provider as they are."""
    keeps_responses: bool = False
    """Whether there is a store of responses: without one `Recall`, `Keep` and `Point` are never asked for."""
    ping_secs: float = 15.0
    """After how much silence a translated stream gets a sign of life; Claude Code warns after 20 s (S16)."""
    notes: bool = True
    """Whether anybody reads the `Note` of what goes as it should: those of faults are made in any case."""
    keys: KeyBook | None = None
    """The keys of clients; None switches keys off."""
    admits: bool = False
    """Whether anything limits requests (limits, quotas, the gate, shared sessions): without it nobody is asked."""
    shares_bounds: bool = False
    """Whether bounds of providers are counted for many processes: then each attempt at such a provider is asked for."""
    hints: bool = False
    """Whether clients may name a provider (`hints`); the routes have to know the providers then."""
    records: bool = False
    """Whether a row is kept of every request: then no client is told of an end before its row is."""
    retry: RetryRules = NO_RETRY
    """For routes without rules of their own."""
    retries: Mapping[str, RetryRules] | None = None
    """And of these for single providers."""
    affinity: AffinityRules | None = None
    """For routes without rules of their own; None: sessions have no place."""
    prices: PriceTable | None = None
    """None: nobody wants to know what anything costs."""
    assumed_output: int = 1024
    """Tokens of an answer to a request that names no bound, as far as limits and budgets go."""
