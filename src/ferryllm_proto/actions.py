"""What an `Exchange` tells its interpreter to do, and the record it leaves."""

from __future__ import annotations

import enum
from typing import Union

import msgspec

from . import ir
from .dialect import UpstreamRequest
from .loss import Loss
from .policy.prompt_cache import Observation
from .responses.kept import KeptResponse
from .routing.balance import Target
from .routing.choice import Booking
from .routing.keys import Admission, Ask, ClientKey
from .routing.limits import Demand
from .routing.pricing import Cost


class ReadBody(msgspec.Struct, frozen=True):
    """Read the client's body, at most ``limit`` bytes decompressed; answer with `ClientBody` or `ClientFault`."""

    limit: int


class Admit(msgspec.Struct, frozen=True):
    """Ask whether the request may go on; answer with `Admitted` or `Refused`. It may wait for its turn.

    Whoever leaves before the answer gives back what was taken: there is no `Settle` then.
    """

    key: ClientKey | None
    ask: Ask
    flow: str
    """Whose turn it is at the gate: the key's id; "" with keys off."""
    session: bytes | None = None
    """What stands for its session, where sessions have places (`affinity.session_of`)."""
    concurrency: int | None = None
    """How many requests of the key may be under way."""


class Pause(msgspec.Struct, frozen=True):
    """Nothing is to be done before ``until``, on the exchange's clock: `Exchange.next_deadline` says the same."""

    until: float
    reason: str
    attempt: int
    """The number of the attempt that failed."""


class Settle(msgspec.Struct, frozen=True):
    """The request is over. Directly before `Record`, once, and only where there was an `Admitted`. Not answered."""

    admission: Admission
    tokens: int | None
    """What it took; None is unknown: then the estimate counts."""
    cost: int | None
    """Nano-dollars; None is unknown."""
    took_place: bool
    """Whether a provider was asked; else everything is given back."""
    session: bytes | None = None
    target: Target | None = None
    """Where ``session`` is now; None: its place, if it had one, did not answer."""


class Book(msgspec.Struct, frozen=True):
    """Ask whether a provider has room for an attempt, where its bounds are counted for many processes
    (`Gateway.shares_bounds`); answer with `Booked` or `BookedUp`. It does not wait for room.

    Whoever leaves before the answer gives back what was taken: there is no `GiveBack` then.
    """

    provider: str
    demands: tuple[Demand, ...]
    """What it wants of the provider's limits in a time."""
    concurrency: int | None
    """How many requests may be under way there; None is: no bound."""


class GiveBack(msgspec.Struct, frozen=True):
    """The attempt is over. Once for each `Booked`, before the next `Open`, or before `Settle` and `Record`. Not
    answered."""

    booking: Booking
    tokens: int | None
    """What it took; None is unknown: then the estimate counts."""
    took_place: bool
    """Whether the provider was asked; else everything is given back."""


class Open(msgspec.Struct, frozen=True):
    """Send a request to a provider; answer with `UpstreamHead` or `UpstreamLost`."""

    provider: str
    request: UpstreamRequest
    attempt: int


class Recall(msgspec.Struct, frozen=True):
    """Look for a kept response, for items of kept responses, or both; answer with `Recalled`."""

    id: str | None
    """Of a response."""
    owner: str
    items: tuple[str, ...] = ()
    """Ids of items, whose responses are not known."""


class Keep(msgspec.Struct, frozen=True):
    """Keep a response; answer with `Stored`. The client gets the end of its answer only afterwards: what it was told
    to be kept survives whatever happens to the process."""

    response: KeptResponse
    ids: tuple[str, ...] = ()
    """What its items can be found by, in their order."""


class Point(msgspec.Struct, frozen=True):
    """Keep where a response is that a provider keeps. Not answered: a failure is a line in the log."""

    response: KeptResponse


class Abort(msgspec.Struct, frozen=True):
    """Close the provider's connection now: what still comes from it is not wanted."""


class Release(msgspec.Struct, frozen=True):
    """The provider has said all that matters: keep its connection for others if its message ends at once."""


class SendHead(msgspec.Struct, frozen=True):
    """Begin the client's answer."""

    status: int
    headers: tuple[tuple[str, str], ...]


class SendBody(msgspec.Struct, frozen=True, gc=False):
    data: bytes


class Finish(msgspec.Struct, frozen=True):
    """End the client's answer well."""

    trailers: tuple[tuple[str, str], ...] = ()
    """Fields behind the body, where its framing has room for any. They say nothing the answer needs: RFC 9110 section
    6.5.1 lets whoever is between drop them."""


class Cut(msgspec.Struct, frozen=True):
    """Break the client's connection, so that half an answer is not taken for a whole one."""


class Note(msgspec.Struct, frozen=True):
    """A line for the log. ``name`` is its message in words; fields that are None are left out.

    Without `Gateway.notes` only those of a ``level`` above info are made.
    """

    name: str
    fields: dict[str, str | int | bool | None]
    level: str = "info"


class Outcome(enum.Enum):
    OK = "ok"
    ERROR = "error"
    TRUNCATED = "truncated"
    CANCELLED = "cancelled"


class Attempt(msgspec.Struct, frozen=True):
    """One attempt at a provider, when it is over. Times are seconds."""

    provider: str
    model: str
    """What the provider was asked for."""
    outcome: str
    """``ok``, or the `Fault` it ended with, in its words; ``cancelled`` when the client left."""
    status: int | None
    """Of the provider's answer; None: there was none."""
    waited: float
    """Between the failure before and this one's beginning."""
    latency: float
    """To the first content, or to the failure."""
    reason: str = ""
    """Why another one followed, or none."""


class Record(msgspec.Struct, frozen=True):
    """What is known of the exchange when it is over. The last action of every exchange, exactly once.

    Times are seconds; None is unknown.
    """

    id: str
    entry: str
    operation: str
    outcome: Outcome
    status: int | None
    latency: float
    first_byte: float | None
    model: str | None
    backend_model: str | None
    upstream_model: str | None
    provider: str | None
    stream: bool | None
    usage: ir.Usage | None
    finish: ir.FinishReason | None
    losses: tuple[Loss, ...]
    error: ir.Error | None
    attempts: int
    sent: int = 0
    """Bytes of the answer's body, as the client gets them."""
    created: float = 0.0
    """Unix seconds, when the request came."""
    key: ClientKey | None = None
    """Whose request it was, where keys are known."""
    route: str | None = None
    """The route's ``match``: a name of the configuration and not of the client."""
    tries: tuple[Attempt, ...] = ()
    """The attempts in their order."""
    cost: Cost | None = None
    """Nano-dollars; None where no prices are known at all."""
    refused: str | None = None
    """Why it was turned away at the desk, in the word of `Refusal.reason`, ``busy`` at the gate."""
    queued: float | None = None
    """How long it waited to be let in."""
    requested_effort: str | None = None
    """The client's reasoning effort, where a policy looked at it."""
    applied_effort: str | None = None
    cache: Observation | None = None
    """What the provider's prompt cache did."""
    counted_tokens: int | None = None
    """What limits and quotas counted: what it took, where that is unknown what was estimated. None: nobody counted."""
    counted_cost: int | None = None
    """The same in nano-dollars."""


Action = Union[  # noqa: UP007 - as above
    ReadBody,
    Admit,
    Book,
    Open,
    Pause,
    Recall,
    Keep,
    Point,
    Abort,
    Release,
    SendHead,
    SendBody,
    Finish,
    Cut,
    Note,
    GiveBack,
    Settle,
    Record,
]
