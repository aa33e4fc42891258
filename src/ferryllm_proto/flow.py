"""The answer to a usual request that comes in more than one read: what an `Exchange` does with each, in one step.

What only a usual answer needs is here. Where it stops being usual (an error, an end too soon, a deadline) the exchange
that `Opened.exchange` makes goes on from where this stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .answering import with_ids
from .conversation import late_losses
from .dialect import Headers
from .exchange import GOODBYE_SECS, Exchange, resumed
from .inputs import UpstreamHead
from .routing.choice import Routing
from .translate import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from .routing.keys import Desk
    from .usual import Opened

_STREAM, _DONE, _FAILED = State.STREAM, State.DONE, State.FAILED


class Flow:
    """A usual answer under way, from the provider's good head on.

    Parameters: ``opened`` is the request, ``head`` what its provider has begun with, ``now`` the seconds of an
    exchange's clock, ``routing`` what the requests of a process share.
    """

    __slots__ = (
        "_goodbye_secs", "_idle_secs", "_opened", "_routing", "_talk", "first_byte", "hold_at", "idle_at", "over",
        "ping_at", "sent", "taken", "upstream_head",
    )  # fmt: skip

    def __init__(self, opened: Opened, head: UpstreamHead, now: float, routing: Routing) -> None:
        self._opened = opened
        self.upstream_head = head
        self._routing = routing
        self._talk = talk = opened.talk
        self._idle_secs = secs = opened.way.provider.idle_secs
        self._goodbye_secs = min(secs, GOODBYE_SECS)
        self.idle_at = now + secs
        talk.receive_response_head(head.status, head.headers)
        # Until there is content an error could still be a status, for as long as a client may wait for a head (T7).
        self.hold_at = now + opened.kind.usual.gateway.hold_secs if talk.stream else None
        self.ping_at: float | None = None
        self.first_byte: float | None = None
        """When the client's head was decided."""
        self.sent = 0
        """Bytes of the body."""
        self.over = False
        """The answer is complete, and good."""
        self.taken: bytes | None = None
        """What came of a read, or of the end, that an exchange has to go on with."""

    def receive(self, data: bytes, now: float) -> bytes | None:
        """What to send for bytes of the provider, perhaps none; before the first ones goes `head`, and behind them the
        end where it is `over`. None is: not as usual, an exchange has to receive these bytes."""
        talk = self._talk
        out = talk.receive_data(data)
        state = talk.state
        if state is _DONE or state is _FAILED:
            return self._end(out, now)
        self.idle_at = now + (self._idle_secs if talk.finish_reason is None else self._goodbye_secs)
        if self.first_byte is None:
            if not out:
                return out
            if talk.error is not None or self._routing.health.troubled:
                self.taken = out
                return None
            self.first_byte, self.hold_at = now, None
            if talk.stream and state is _STREAM:
                self.ping_at = now + self._opened.kind.usual.gateway.ping_secs
            self._opened.forget()
        elif out and self.ping_at is not None:
            self.ping_at = now + self._opened.kind.usual.gateway.ping_secs
        self.sent += len(out)
        return out

    def receive_end(self, now: float) -> bytes | None:
        """The same for the end of the provider's message."""
        return self._end(self._talk.receive_eof(), now)

    def _end(self, out: bytes, now: float) -> bytes | None:
        talk = self._talk
        if (
            talk.state is not _DONE
            or talk.error is not None
            or talk.cut
            or (self.first_byte is None and self._routing.health.troubled)
            or late_losses(talk)
        ):
            self.taken = out
            return None
        self.taken = out  # in case it does not get out
        self.over = True
        return out

    @property
    def head(self) -> tuple[int, Headers]:
        """Status and fields of the client's answer."""
        head = self._talk.head
        assert head is not None
        return head.status, with_ids(head.headers, self._opened.kind.entry.dialect, self._opened.id)

    def next_deadline(self) -> float:
        """When an exchange has to go on, if nothing else happens: there is more than one reason, and it knows them."""
        at = self.idle_at
        for other in (self.hold_at, self.ping_at, self._opened.total_at):
            if other is not None and other < at:
                at = other
        return at

    def postpone(self, secs: float) -> None:
        """As `Exchange.postpone`."""
        self.idle_at += secs

    def exchange(self, routing: Routing, desk: Desk | None, chance: Callable[[], float]) -> Exchange:
        """The exchange as it stands in the middle of the answer."""
        return resumed(self._opened, routing, desk, chance, self)
