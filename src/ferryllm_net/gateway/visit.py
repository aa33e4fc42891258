"""Visits: what one request has to give back at the door, for itself and for an attempt at a provider."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from ferryllm_net.admission import Door
from ferryllm_proto.actions import Action, Admit, GiveBack, Settle
from ferryllm_proto.inputs import Admitted, Refused
from ferryllm_proto.routing.choice import Booking
from ferryllm_proto.routing.keys import Admission

if TYPE_CHECKING:
    from .app import App


async def enter(app: App, admit: Admit, address: str) -> Admitted | Refused:
    """Ask the door to let a request of ``address`` in; it may let wait."""
    if not admit.flow:  # without keys clients are told apart by where they are
        admit = msgspec.structs.replace(admit, flow=f"@{address}")
    found = await app.door.enter(admit, app.clock(), time.time())
    if admit.ask.input_tokens:
        app.metrics.count("estimated_prompt_tokens", admit.ask.input_tokens)
    return found


class Visit:
    """Begun with an `Admitted`. Settled once and left once, however the request ends."""

    __slots__ = ("_admission", "_door", "_settled")

    def __init__(self, door: Door, admission: Admission) -> None:
        self._door = door
        self._admission = admission
        self._settled = False

    def settle(self, action: Settle, now: float, unix: float) -> None:
        """The exchange is over; told again it does nothing."""
        if not self._settled:
            self._settled = True
            self._door.settle(action, now, unix)

    def leave(self, due: Settle | None, now: float, unix: float) -> None:
        """The client has everything, or is gone. ``due`` is what the exchange had to say and could not; None where a
        fault of ours took its end away: then the estimate counts."""
        self.settle(due or Settle(self._admission, None, None, took_place=True), now, unix)
        self._door.leave(self._admission, now)


class Stay:
    """An attempt's place at a provider. Begun with a `Booked`, given back once, however the attempt ends."""

    __slots__ = ("_door", "_due")

    def __init__(self, door: Door, booking: Booking) -> None:
        self._door = door
        self._due = GiveBack(booking, None, took_place=True)
        """Where a fault of ours takes the exchange's own word away the estimate counts."""

    def heed(self, actions: Iterable[Action]) -> None:
        """Know what the exchange says of the attempt's end, whatever becomes of the actions before it."""
        for action in actions:
            if isinstance(action, GiveBack):
                self._due = action

    def leave(self, now: float) -> None:
        """The attempt is over."""
        self._door.give_back(self._due, now)
