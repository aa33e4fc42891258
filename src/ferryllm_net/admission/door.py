"""Door: what an interpreter asks when an exchange says `Admit`, and what it tells of the end.

The port between the gateway and whoever counts: one process for itself (`memory`), or many together. What is allowed
and what it costs is decided by ferryllm_proto (`Desk`, `Gate`); a door only keeps the counts and the queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ferryllm_proto.actions import Admit, Book, GiveBack, Settle
    from ferryllm_proto.inputs import Admitted, Booked, BookedUp, Refused
    from ferryllm_proto.routing.gate import GateRules
    from ferryllm_proto.routing.keys import Admission, Desk, KeyBook, KeyLimits
    from ferryllm_proto.routing.quota import Quota


class Door(Protocol):
    """``now`` is seconds of the clock of exchanges (monotonic), ``unix`` Unix seconds.

    An `Admission` is known by identity: `settle` and `leave` get the very object that `enter` answered with. So is a
    `Booking`.
    """

    desk: Desk
    """Keys, and what limits them. An exchange asks it what to estimate; only the door admits by it."""
    shares: bool
    """Whether it counts for many processes. Then it keeps the places of sessions, and is asked about requests that
    nothing limits too; and it is asked about every attempt at a provider with bounds (`book`)."""

    async def enter(self, admit: Admit, now: float, unix: float) -> Admitted | Refused:
        """Let a request in, or say why not. It may wait: for its turn, or for whoever counts.

        A wait may be cancelled (the client left, the gateway stops): then nothing stays taken, neither a place nor a
        charge. Faults of a store are not raised: the configuration says what becomes of requests then.
        """
        ...

    def settle(self, settle: Settle, now: float, unix: float) -> None:
        """The request is over and took so much. Once for each `Admitted`. Never waits, never raises for a store."""
        ...

    def leave(self, admission: Admission, now: float) -> None:
        """The client has its last byte, or is gone: the place is free. Once for each `Admitted`, behind `settle`."""
        ...

    async def book(self, book: Book, now: float) -> Booked | BookedUp:
        """Take a place at a provider for one attempt, or say why not. It waits for whoever counts, never for room.

        A wait may be cancelled: then nothing stays taken. Faults of a store are not raised: the configuration says what
        becomes of attempts then.
        """
        ...

    def give_back(self, back: GiveBack, now: float) -> None:
        """The attempt is over and took so much. Once for each `Booked`. Never waits, never raises for a store."""
        ...

    def restore(self, owner: str, quota: Quota, used: int, unix: float) -> None:
        """What the ledger knows to be used of ``quota``; ``owner`` is ``key/<id>`` or ``project/<name>``."""
        ...

    def change(self, book: KeyBook, own: KeyLimits, each: KeyLimits, rules: GateRules, now: float) -> None:
        """Other keys and limits from now on: of the gateway, of every key without its own, of the places. What was used
        stays used; nobody inside and nobody who waits is turned away for it."""
        ...

    def sweep(self, now: float) -> None:
        """Turn away who waited too long. Called several times a second while requests are under way."""
        ...

    @property
    def inside(self) -> int:
        """Requests that have a place, of this process."""
        ...

    @property
    def waiting(self) -> int:
        """Requests in the queue, of this process."""
        ...

    async def aclose(self) -> None:
        """Send what is still to be told, and let go."""
        ...
