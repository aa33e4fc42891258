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
        "_began_at", "_heard_at", "_opened", "_receive", "_routing", "_said_at", "_state", "_talk", "first_byte",
        "over", "sent", "taken", "upstream_head",
    )  # fmt: skip

    def __init__(self, opened: Opened, head: UpstreamHead, now: float, routing: Routing) -> None:
        self._opened = opened
        self.upstream_head = head
        self._routing = routing
        self._talk = talk = opened.conversation()
        talk.receive_response_head(head.status, head.headers)
        self._receive = talk.receive_data
        self._began_at = self._heard_at = self._said_at = now
        """When it began, when the provider said something last, and when something was sent to the client."""
        self._state: State | None = None
        """That of the conversation while its answer flows."""
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
        talk, out = self._talk, self._receive(data)
        self._heard_at = now
        if talk.state is self._state:  # the usual read
            if out:
                self._said_at = now
                self.sent += len(out)
            return out
        state = talk.state
        if state is _DONE or state is _FAILED:
            return self._end(out)
        if not out and talk.head is None:
            return out
        # A head without a byte behind it is for an exchange.
        if not out or talk.error is not None or self._routing.health.troubled:
            self.taken = out
            return None
        self.first_byte = self._said_at = now
        self._state = state
        self.sent += len(out)
        self._opened.forget()
        return out

    def receive_end(self) -> bytes | None:
        """The same for the end of the provider's message."""
        return self._end(self._talk.receive_eof())

    def _end(self, out: bytes) -> bytes | None:
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

    # Times are looked at ten times a second and not with each read, so that is where they are made.

    @property
    def idle_at(self) -> float:
        """When the provider has been silent for too long."""
        secs = self._opened.way.provider.idle_secs
        return self._heard_at + (secs if self._talk.finish_reason is None else min(secs, GOODBYE_SECS))

    @property
    def hold_at(self) -> float | None:
        """Until there is content an error could still be a status, for as long as a client may wait for a head (T7)."""
        if self.first_byte is not None or not self._talk.stream:
            return None
        return self._began_at + self._opened.kind.usual.gateway.hold_secs

    @property
    def ping_at(self) -> float | None:
        """When the client has to see a sign of life."""
        if self.first_byte is None or self._state is not _STREAM or not self._talk.stream:
            return None
        return self._said_at + self._opened.kind.usual.gateway.ping_secs

    def next_deadline(self) -> float:
        """When an exchange has to go on, if nothing else happens: there is more than one reason, and it knows them."""
        at = self.idle_at
        for other in (self.hold_at, self.ping_at, self._opened.total_at):
            if other is not None and other < at:
                at = other
        return at

    def postpone(self, secs: float) -> None:
        """As `Exchange.postpone`."""
        self._heard_at += secs

    def exchange(self, routing: Routing, desk: Desk | None, chance: Callable[[], float]) -> Exchange:
        """The exchange as it stands in the middle of the answer."""
        return resumed(self._opened, routing, desk, chance, self)
