"""The metrics there are: names, types, labels and meaning, as literal tables.

Apart from what counts and what renders, because the reference page is made from these tables, and because other rooms
look here which events they may count.

Labels take values of a bounded set: entries, providers and routes of the configuration, words of the code, ids of keys
up to `MAX_KEYS`. Nothing that a client writes is ever one.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Kind(enum.Enum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Family(NamedTuple):
    """One metric. A counter's ``name`` is without the ``_total`` that the text format puts behind it."""

    name: str
    kind: Kind
    words: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, without the last one, which is infinite."""

    @property
    def shown(self) -> str:
        """The name as the text format has it."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


MAX_KEYS = 1000
"""Keys with series of their own where ``[metrics] keys`` is set; the rest count together. Prometheus' own advice is to
keep a metric's series below some hundreds; a gateway of a company has so many keys."""
MAX_SERIES = 20_000
"""Series of one process, by far more than any configuration makes: a bound for one that is reloaded again and again."""

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
"""Latencies: providers begin after a tenth of a second at best, and answers of models that think take ten minutes."""
WAITS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Waiting in the queue: it is measured against its limit, a minute at most by default."""
RATES = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 120.0, 200.0, 400.0, 800.0, 1600.0)
"""Output tokens a second: a laptop's model has 5, the fastest services have 2,000."""

_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

REQUESTS = Family(
    "ferryllm_requests",
    _C,
    "Requests by the dialect of the client, the provider that answered and the outcome.",
    ("entry", "provider", "outcome"),
)
RESPONSES = Family("ferryllm_responses", _C, "Answers by the status that clients got; 0 is none.", ("entry", "status"))
ROUTES = Family(
    "ferryllm_route_requests", _C, "Requests by the route of the configuration.", ("route", "provider", "outcome")
)
LATENCY = Family(
    "ferryllm_request_latency_seconds",
    _H,
    "From a request's arrival to the last byte of its answer.",
    ("entry", "provider"),
    SECONDS,
)
FIRST_TOKEN = Family(
    "ferryllm_time_to_first_token_seconds",
    _H,
    "From a request's arrival to the first byte of its streamed answer, which leaves with the first content.",
    ("entry", "provider"),
    SECONDS,
)
TOKEN_RATE = Family(
    "ferryllm_output_tokens_per_second",
    _H,
    "Output tokens of a stream in the time from its first byte to its last one.",
    ("provider",),
    RATES,
)
QUEUE_WAIT = Family(
    "ferryllm_queue_wait_seconds", _H, "How long requests that were admitted waited to be let in.", (), WAITS
)
ATTEMPTS = Family(
    "ferryllm_attempts",
    _C,
    "Attempts at providers by how they ended: `ok`, `cancelled`, or the fault.",
    ("provider", "outcome"),
)
ATTEMPT_LATENCY = Family(
    "ferryllm_attempt_latency_seconds",
    _H,
    "From the beginning of an attempt to its first content, or to its failure.",
    ("provider",),
    SECONDS,
)
RETRIES = Family("ferryllm_retries", _C, "Attempts at a model of a provider that had just failed.", ("provider",))
FALLBACKS = Family(
    "ferryllm_fallbacks", _C, "Attempts at another provider or model than the one that had failed.", ("provider",)
)
LOSSES = Family(
    "ferryllm_losses",
    _C,
    "Fields of requests and answers that a translation degraded, dropped or refused.",
    ("entry", "provider", "disposition"),
)
REFUSED = Family(
    "ferryllm_refused",
    _C,
    "Requests that were turned away before a provider was asked: `key`, `revoked`, `expired`, `browser`, `model`, "
    "`provider`, `quota`, `limit`, `busy`.",
    ("reason",),
)
TOKENS = Family(
    "ferryllm_tokens",
    _C,
    "Tokens as providers counted them. `input` is without those of caches; `reasoning` is a part of `output`.",
    ("provider", "kind"),
)
UNCOUNTED = Family(
    "ferryllm_requests_without_usage",
    _C,
    "Good answers of models whose tokens are not known, because the provider did not say.",
    ("provider",),
)
CACHE_PROMPT = Family(
    "ferryllm_cache_prompt_tokens",
    _C,
    "Input tokens, with those of caches, of answers whose provider told what its prompt cache did.",
    ("provider",),
)
COST = Family("ferryllm_cost_dollars", _C, "What answers cost, where it is known.", ("provider",))
UNPRICED = Family(
    "ferryllm_requests_without_cost", _C, "Requests whose cost is not known or only in part.", ("provider",)
)
KEY_REQUESTS = Family(
    "ferryllm_key_requests", _C, "Requests by the id of the client's key; only with `keys`.", ("key", "outcome")
)
KEY_TOKENS = Family(
    "ferryllm_key_tokens",
    _C,
    "Tokens, all input and all output, by the id of the key; only with `keys`.",
    ("key", "kind"),
)
KEY_COST = Family("ferryllm_key_cost_dollars", _C, "Cost by the id of the key; only with `keys`.", ("key",))

OBSERVED = (
    REQUESTS,
    RESPONSES,
    ROUTES,
    LATENCY,
    FIRST_TOKEN,
    TOKEN_RATE,
    QUEUE_WAIT,
    ATTEMPTS,
    ATTEMPT_LATENCY,
    RETRIES,
    FALLBACKS,
    LOSSES,
    REFUSED,
    TOKENS,
    UNCOUNTED,
    CACHE_PROMPT,
    COST,
    UNPRICED,
    KEY_REQUESTS,
    KEY_TOKENS,
    KEY_COST,
)
"""What the records of requests are counted in."""

EVENTS: dict[str, Family] = {
    family.name.removeprefix("ferryllm_"): family
    for family in (
        Family(
            "ferryllm_ledger_failures",
            _C,
            "Answers that ended before their row was durable: `late` or `failed`.",
            ("kind",),
        ),
        Family("ferryllm_hook_deliveries", _C, "Usage hooks by how their call ended.", ("hook", "outcome")),
        Family("ferryllm_hook_rows", _C, "Rows for usage hooks, delivered and dropped.", ("hook", "outcome")),
        Family(
            "ferryllm_redis_failures", _C, "Questions to Redis that were not answered, by what was asked.", ("kind",)
        ),
        Family("ferryllm_store_failures", _C, "Failures of the stores of responses and keys.", ("store",)),
        Family(
            "ferryllm_reloads",
            _C,
            "Configurations, keys and certificates that were read again, by what came of it.",
            ("what", "outcome"),
        ),
        Family(
            "ferryllm_estimated_prompt_tokens",
            _C,
            "Input tokens as they were estimated, of requests that a limit, a quota or a balance by cost counted "
            "before they were sent.",
        ),
        Family("ferryllm_log_lost", _C, "Entries that a log could not take.", ("log",)),
    )
}
"""What other rooms count with `Metrics.count`, by its name there. Values of their labels are words of the code or names
of the configuration."""

REQUESTS_OK = Family(
    "ferryllm_requests_ok", _C, "Requests that were answered well to their end.", ("entry", "provider")
)
REQUESTS_ERROR = Family(
    "ferryllm_requests_error",
    _C,
    "Requests that failed or whose answer was cut; those that clients left are not among them.",
    ("entry", "provider"),
)
UPSTREAM_ERRORS = Family("ferryllm_upstream_errors", _C, "Attempts at providers that failed.", ("provider",))
LATENCY_MICROS = Family(
    "ferryllm_request_latency_micros", _C, "The sum of all latencies, in microseconds.", ("entry", "provider")
)
PROMPT = Family("ferryllm_upstream_prompt_tokens", _C, "All input tokens, with those of caches.", ("provider",))
CACHED = Family("ferryllm_prompt_cached_tokens", _C, "Input tokens that came from prompt caches.", ("provider",))
CACHE_CREATION = Family(
    "ferryllm_prompt_cache_creation_tokens", _C, "Input tokens that were written to prompt caches.", ("provider",)
)
CACHE_READ = Family(
    "ferryllm_prompt_cache_read_tokens", _C, "The same as ferryllm_prompt_cached_tokens.", ("provider",)
)
HIT_RATIO = Family(
    "ferryllm_prompt_cache_hit_ratio",
    _G,
    "ferryllm_prompt_cached_tokens by ferryllm_cache_prompt_tokens, since the start: 0 to 1.",
    ("provider",),
)
DERIVED = (
    REQUESTS_OK,
    REQUESTS_ERROR,
    UPSTREAM_ERRORS,
    LATENCY_MICROS,
    PROMPT,
    CACHED,
    CACHE_CREATION,
    CACHE_READ,
    HIT_RATIO,
)
"""What is computed from the others when somebody reads."""

OPEN_CONNECTIONS = Family("ferryllm_open_connections", _G, "Connections of clients, that of the scrape included.")
EXCHANGES = Family("ferryllm_exchanges_running", _G, "Requests that are being answered.")
STREAMS = Family("ferryllm_streams_running", _G, "Of these, those whose provider has begun to answer.")
UPSTREAM_CONNECTIONS = Family(
    "ferryllm_upstream_connections", _G, "Connections to providers, in use or kept for reuse.", ("state",)
)
TASKS = Family("ferryllm_tasks", _G, "Tasks of the event loop.")
QUEUED = Family("ferryllm_requests_waiting", _G, "Requests that wait to be let in.")
BREAKERS = Family(
    "ferryllm_breaker_open",
    _G,
    "Providers, models and keys that are left alone, or tried by one request: in how many processes. `model` is one "
    "that the configuration names, `other`, or empty where it is the provider or its key.",
    ("provider", "model", "state"),
)
LEDGER_ROWS = Family(
    "ferryllm_ledger_rows",
    _G,
    "Rows of the ledger that are not written yet, and those that were given up since the start.",
    ("state",),
)
WORKERS = Family("ferryllm_workers", _G, "Processes whose gauges are in this answer.")
BUILD = Family("ferryllm_build_info", _G, "1 for each process of a version.", ("version", "python"))
GAUGES = (
    OPEN_CONNECTIONS,
    EXCHANGES,
    STREAMS,
    UPSTREAM_CONNECTIONS,
    TASKS,
    QUEUED,
    BREAKERS,
    LEDGER_ROWS,
    WORKERS,
    BUILD,
)
"""What is true at the moment; of several processes the sum."""

ALL = (*OBSERVED, *EVENTS.values(), *DERIVED, *GAUGES)
