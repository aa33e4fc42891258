"""Visit: one request behind the door, and what it has to give back there."""

from __future__ import annotations

from ferryllm_net.admission import Door
from ferryllm_proto.actions import Settle
from ferryllm_proto.routing.keys import Admission


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
