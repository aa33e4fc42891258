"""What can happen to an `Exchange`: the things its interpreter tells it."""

from __future__ import annotations

from typing import Union

import msgspec

from .responses.kept import KeptResponse
from .routing.balance import Target
from .routing.choice import Booking, Closed
from .routing.keys import Admission, Refusal


class ClientRequest(msgspec.Struct, frozen=True):
    """The head of the client's request. ``target`` is path and query as on the request line."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    fields: dict[str, str] | None = None
    """`policy.access.by_name` of the headers, where the caller has them."""


class ClientBody(msgspec.Struct, frozen=True):
    """The client's body, whole and decompressed."""

    data: bytes


class ClientFault(msgspec.Struct, frozen=True):
    """The client's body could not be read: too large, broken compression, too slow, half. Or nobody is to be asked."""

    status: int
    message: str
    code: str | None = None
    """For programs."""


class ClientLost(msgspec.Struct, frozen=True):
    """The client has gone."""


class Admitted(msgspec.Struct, frozen=True):
    """The request may go on."""

    admission: Admission
    waited: float = 0.0
    """Seconds in the queue."""
    pinned: Target | None = None
    """Where others have its session."""


class Refused(msgspec.Struct, frozen=True):
    """The request may not go on."""

    refusal: Refusal


class Booked(msgspec.Struct, frozen=True):
    """The provider has room for the attempt, and it is taken."""

    booking: Booking


class BookedUp(msgspec.Struct, frozen=True):
    """It has none."""

    closed: Closed
    """Why, and how long at least."""


class Recalled(msgspec.Struct, frozen=True):
    """What the store of responses has of what was looked for."""

    response: KeptResponse | None
    foreign: bool = False
    """There is one of this id, and it belongs to somebody else."""
    items: tuple[tuple[str, bytes], ...] = ()
    """Items behind their ids; those that are not there are not in it."""
    failed: bool = False
    """The store could not be read."""


class Stored(msgspec.Struct, frozen=True):
    """Whether a response is kept now."""

    ok: bool


class UpstreamHead(msgspec.Struct, frozen=True):
    status: int
    headers: tuple[tuple[str, str], ...]


class UpstreamData(msgspec.Struct, frozen=True, gc=False):
    data: bytes


class UpstreamEnd(msgspec.Struct, frozen=True):
    """The provider's answer is complete as far as HTTP can tell."""


class UpstreamLost(msgspec.Struct, frozen=True):
    """No connection, or it broke. ``timeout`` when a limit of the network layer ran out, ``busy`` when all connections
    that the configuration allows were in use for too long."""

    reason: str
    timeout: bool = False
    busy: bool = False


class DeadlinePassed(msgspec.Struct, frozen=True):
    """`Exchange.next_deadline` is now or past."""


class Stopping(msgspec.Struct, frozen=True):
    """The gateway shuts down and will not wait any longer."""


Input = Union[  # noqa: UP007 - a plain alias, readable in one column
    ClientRequest,
    ClientBody,
    ClientFault,
    ClientLost,
    Admitted,
    Refused,
    Booked,
    BookedUp,
    Recalled,
    Stored,
    UpstreamHead,
    UpstreamData,
    UpstreamEnd,
    UpstreamLost,
    DeadlinePassed,
    Stopping,
]
