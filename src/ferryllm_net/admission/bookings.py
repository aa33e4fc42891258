"""Places at providers as one process counts them for itself."""

from __future__ import annotations

from ferryllm_proto.actions import Book, GiveBack
from ferryllm_proto.inputs import Booked, BookedUp
from ferryllm_proto.routing.choice import FULL, Booking, closed_by
from ferryllm_proto.routing.limits import Exceeded, Limits


class Bookings:
    """See `Door.book`. ``now`` is seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._limits = Limits()
        self._inside: dict[str, int] = {}
        """Attempts under way, by provider; those without any are not in it."""

    def book(self, book: Book, now: float) -> Booked | BookedUp:
        """A place, if there is one and no limit is in the way."""
        provider, inside = book.provider, self._inside.get(book.provider, 0)
        if book.concurrency is not None and inside >= book.concurrency:
            return BookedUp(FULL)
        charge = self._limits.admit(book.demands, now)
        if type(charge) is Exceeded:
            return BookedUp(closed_by(charge))
        self._inside[provider] = inside + 1
        return Booked(Booking(provider, charge))  # type: ignore[arg-type]  # of a union of two

    def give_back(self, back: GiveBack, now: float) -> None:
        """The attempt is over."""
        provider, charge = back.booking.provider, back.booking.charge
        left = self._inside.pop(provider) - 1
        if left:
            self._inside[provider] = left
        if back.took_place:
            self._limits.settle(charge, back.tokens, now)
        else:
            self._limits.cancel(charge, now)
