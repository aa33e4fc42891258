"""HTTP/1.1 in two gears, one engine for each side: our own machine for common messages, h11 behind the
guard for others.

A connection begins in the fast gear. With the first message that the machine does not judge, or from the middle of it,
the other engine goes on for the rest of the connection's life; it is told what has happened in that message.
h11 is loaded with the first such connection.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING

from ferryllm_proto.http1 import (
    END,
    ClientMachine,
    Event,
    Headers,
    HeadLimits,
    Misuse,
    NotMine,
    RequestHead,
    ServerMachine,
    Shape,
)

from .limits import Limits

if TYPE_CHECKING:
    from . import h11_engine


def head_limits(limits: Limits) -> HeadLimits:
    """What of the limits our machine needs."""
    return HeadLimits(limits.request_line_bytes, limits.head_bytes, limits.head_fields)


class _Engine(abc.ABC):
    """What both sides share. `frame` and `receive_body` are those of the gear itself, because they run for every chunk:
    take them from the engine for each call, or at least anew behind each `receive_data`."""

    def __init__(self, machine: ServerMachine | ClientMachine) -> None:
        self._machine = machine
        self._slow: h11_engine.BaseEngine | None = None
        self.frame = machine.frame
        self.receive_body = machine.receive_body

    def receive_data(self, data: bytes) -> list[Event]:
        if self._slow is not None:
            return self._slow.receive_data(data)
        events = self._machine.receive_data(data)
        if events and type(events[-1]) is NotMine:
            return self._judged(events)
        return events  # type: ignore[return-value]  # the one place where a NotMine stands is the last

    def receive_eof(self) -> list[Event]:
        if self._slow is not None:
            return self._slow.receive_eof()
        return self._judged(self._machine.receive_eof())

    def next_message(self) -> list[Event]:
        if self._slow is not None:
            return self._slow.next_message()
        return self._judged(self._machine.next_message())

    def turn(self) -> list[Event] | None:
        """`next_message` where the connection is `reusable`; else None, and nothing has changed."""
        if self._slow is not None:
            return self._slow.turn()
        events = self._machine.turn()
        return self._judged(events) if events else events  # type: ignore[return-value]  # there is none in it

    def send(self, event: Event) -> bytes:
        if self._slow is None:
            data = self._machine.send(event)
            if data is not None:
                return data
            self._hand_over(b"")
        assert self._slow is not None
        return self._slow.send(event)

    @property
    def reusable(self) -> bool:
        return (self._slow or self._machine).reusable

    @property
    def held(self) -> int:
        return (self._slow or self._machine).held

    @property
    def ended(self) -> bool:
        """`receive_eof` has been called within or after a message."""
        return (self._slow or self._machine).ended

    @property
    def common(self) -> bool:
        """The connection is still in the fast gear."""
        return self._slow is None

    def _judged(self, events: list[Event | NotMine]) -> list[Event]:
        """The events, with what the slow gear says to the bytes that the machine does not judge."""
        if not events or type(events[-1]) is not NotMine:
            # The one place where a NotMine stands is the last.
            return events  # type: ignore[return-value]
        last = events.pop()
        assert type(last) is NotMine
        slow = self._hand_over(last.before)
        return [*events, *slow.receive_data(last.data)]  # type: ignore[list-item] # as above

    def _hand_over(self, before: bytes) -> h11_engine.BaseEngine:
        self._slow = slow = self._make_slow()
        slow.take_over(before, self._machine.retire())
        self.frame, self.receive_body = slow.frame, slow.receive_body
        return slow

    @abc.abstractmethod
    def _make_slow(self) -> h11_engine.BaseEngine:
        """The engine for what the machine leaves."""


def _no_answer(status: int, headers: Headers, body: bytes, date: str) -> None:
    """`ServerMachine.answer` in the other gear: one step after the other."""


class ServerEngine(_Engine):
    """Requests in, responses out."""

    _machine: ServerMachine

    def __init__(self, limits: Limits) -> None:
        super().__init__(ServerMachine(head_limits(limits)))
        self._limits = limits
        self._server: h11_engine.ServerEngine | None = None
        self.answer: Callable[[int, Headers, bytes, str], bytes | None] = self._machine.answer
        """See `ServerMachine.answer`."""

    def _make_slow(self) -> h11_engine.BaseEngine:
        from .h11_engine import ServerEngine as H11ServerEngine

        self.answer = _no_answer
        self._server = H11ServerEngine(self._limits)
        return self._server

    @property
    def shape(self) -> Shape | None:
        """See `ServerMachine.shape`."""
        return self._machine.shape if self._slow is None else None

    @property
    def expects_continue(self) -> bool:
        """The client waits for 100 (Continue) before it sends the body. A common request never does."""
        return self._server is not None and self._server.expects_continue

    @property
    def within_head(self) -> bool:
        """Some bytes of the next head have come, not all."""
        return self._machine.within_head if self._server is None else self._server.within_head

    def switch(self, headers: Headers) -> tuple[bytes, bytes]:
        """The head of a 101 (Switching Protocols), and what the client has sent behind its request; HTTP ends here.

        Raises `Misuse` for a request that asked for no switch (RFC 9110 section 7.8) or is not complete.
        """
        if self._server is None:
            raise Misuse("switch() for a request that asked for no other protocol")
        return self._server.switch(headers)


class ClientEngine(_Engine):
    """Requests out, responses in."""

    _machine: ClientMachine

    def __init__(self, limits: Limits) -> None:
        super().__init__(ClientMachine(head_limits(limits)))
        self._limits = limits

    def renew(self) -> bool:
        """Begin the next message; False, and nothing has changed, where the connection is not `reusable`, or where
        bytes came behind the answer."""
        slow = self._slow
        if slow is None:
            return self._machine.renew()
        return not slow.held and slow.turn() is not None

    def announce(self, head: RequestHead) -> None:
        """A whole request goes out whose bytes are made elsewhere. To the engine it has no body: ``head`` only says
        what the answer answers, and whom it was asked. Raises `Misuse`."""
        if self._slow is None:
            self._machine.announce(head)
        else:
            self._slow.send(head)
            self._slow.send(END)

    def _make_slow(self) -> h11_engine.BaseEngine:
        from .h11_engine import ClientEngine as H11ClientEngine

        return H11ClientEngine(self._limits)
