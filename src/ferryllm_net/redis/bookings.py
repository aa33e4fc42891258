"""Places at providers for many processes: what one of them takes of a provider's bounds, the others know of.

The script is the one that lets requests in, without quotas and without a queue: an attempt that finds no room goes to
another provider at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import anyio

from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_proto.actions import Book, GiveBack
from ferryllm_proto.inputs import Booked, BookedUp
from ferryllm_proto.routing.choice import FULL, Booking, closed_by
from ferryllm_proto.routing.keys import Ask
from ferryllm_proto.routing.limits import Charge

from .asking import Full, Lease, Limited, Question, Yes, read, written
from .degraded import Degraded
from .later import Held, Later
from .link import Link, RedisAwayError, RedisError
from .names import Names
from .scripts import script

_NO_ASK = Ask("", 0, 0)
"""What a request wants is in its demands already."""


class RedisBooking(Booking, frozen=True):
    """See `Booking`; what is charged stands in Redis."""

    held: Held
    local: Booking | None = None
    """What it was charged in this process, while Redis was away."""


class RedisBookings:
    """See `Door.book`. ``process`` is a name that no other process has, ``record_ms`` how long Redis remembers what an
    attempt was charged after it last heard of it, ``failed`` is told when Redis could not be asked."""

    def __init__(
        self,
        settings: RedisSettings,
        link: Link,
        later: Later,
        degraded: Degraded,
        process: str,
        record_ms: int,
        failed: Callable[[], None],
    ) -> None:
        self._link = link
        self._later = later
        self._degraded = degraded
        self._names = Names(settings.prefix)
        self._script = script("buckets", "admit")
        self._lease_ms = round(settings.lease_secs * 1000)
        self._record_ms = record_ms
        self._failed = failed
        self._ids = (f"{process}-at-{number}" for number in itertools.count())

    async def book(self, book: Book, now: float) -> Booked | BookedUp:
        """A place for as long as the process lives, if there is one and no limit is in the way."""
        provider = book.provider
        leases = () if book.concurrency is None else (Lease(f"provider/{provider}", book.concurrency),)
        question = Question(book.demands, (), leases, _NO_ASK)
        id_ = next(self._ids)
        held = Held(id_, tuple(self._names.leases(lease.scope) for lease in leases), bool(book.demands))
        keys, arguments = written(question, self._names, id_, self._lease_ms, self._record_ms, None)
        begun = anyio.current_time()
        try:
            answer = read(question, await self._link.call(self._script, keys, arguments))
        except RedisError as exc:
            if isinstance(exc, RedisAwayError) and exc.sent:
                self._undo(held)
            self._failed()
            # Others were counted meanwhile: buckets would take an older time for a clock that went back.
            return await self._without(book, id_, now + anyio.current_time() - begun)
        except anyio.get_cancelled_exc_class():
            self._undo(held)
            raise
        if type(answer) is Full:
            return BookedUp(FULL)
        if type(answer) is Limited:
            return BookedUp(closed_by(answer.exceeded))
        assert type(answer) is Yes
        self._later.hold(held)
        return Booked(RedisBooking(provider, _NO_CHARGE, held))

    def give_back(self, back: GiveBack, now: float) -> None:
        """The attempt is over."""
        booking = back.booking
        assert type(booking) is RedisBooking
        if booking.local is not None:
            self._degraded.give_back(back, booking.local, now)
        if booking.held.recorded:
            record = self._names.record(booking.held.id)
            self._later.settle(record, back.took_place, back.tokens, None, (), 0.0)
        self._later.free(booking.held)

    async def _without(self, book: Book, id_: str, now: float) -> Booked | BookedUp:
        """Redis can not be asked."""
        bare = RedisBooking(book.provider, _NO_CHARGE, Held(id_, (), False))
        found = await self._degraded.book(book, now)
        if found is None:
            return Booked(bare)
        if type(found) is Booked:
            return Booked(RedisBooking(book.provider, _NO_CHARGE, bare.held, found.booking))
        return found

    def _undo(self, held: Held) -> None:
        """Nobody knows whether it was let in: whatever was taken is given back."""
        if held.recorded:
            self._later.settle(self._names.record(held.id), False, 0, 0, (), 0.0)
        self._later.free(held)


_NO_CHARGE = Charge(())
