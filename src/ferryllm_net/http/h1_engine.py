"""HTTP/1.1 in two gears, one engine for each side: our own machine for common messages, h11 behind the
guard for others.

A connection begins in the fast gear. With the first message that the machine does not judge, or from the middle of it,
the other engine goes on for the rest of the connection's life; it is told what has happened in that message.
h11 is loaded with the first such connection.
"""

from __future__ import annotations

import abc
from functools import lru_cache
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
    ResponseHead,
    ServerMachine,
    Shape,
)

from .limits import Limits

if TYPE_CHECKING:
    from . import h11_engine


@lru_cache(maxsize=4)
def head_limits(limits: Limits) -> HeadLimits:
    """What of the limits our machine needs; connections share it. A process has one of them, tests have more."""
    return HeadLimits(limits.request_line_bytes, limits.head_bytes, limits.head_fields)


class _Engine(abc.ABC):
    """What both sides share: each call goes to the gear that is in.

    Whoever has no call to spare may ask the machine's own directions first, where a method answers None for what they
    do not do: in the other gear they do nothing any more.
    """

    __slots__ = ("__weakref__", "_machine", "_slow", "common")

    def __init__(self, machine: ServerMachine | ClientMachine) -> None:
        self._machine = machine
        self._slow: h11_engine.BaseEngine | None = None
        self.common = True
        """The connection is still in the fast gear."""

    def receive_data(self, data: bytes) -> list[Event]:
        if self._slow is not None:
            return self._slow.receive_data(data)
        return self.judged(self._machine.receive_data(data))

    def receive_whole(self, data: bytes) -> tuple[RequestHead | ResponseHead, bytes] | None:
        """`receive_data` of a message like the one before, without events: its head, which is not to be changed, and
        its body; None, and nothing was consumed, where `receive_data` is needed."""
        return self._machine.receive_whole(data)

    def receive_body(self, data: bytes) -> tuple[bytes, bool] | None:
        return (self._slow or self._machine).receive_body(data)

    def receive_eof(self) -> list[Event]:
        return (self._slow or self._machine).receive_eof()  # type: ignore[return-value]  # no NotMine is among them

    def next_message(self) -> list[Event]:
        if self._slow is not None:
            return self._slow.next_message()
        return self.judged(self._machine.next_message())

    def turn(self) -> list[Event] | None:
        """`next_message` where the connection is `reusable`; else None, and nothing has changed."""
        if self._slow is not None:
            return self._slow.turn()
        events = self._machine.turn()
        return None if events is None else self.judged(events)

    def send(self, event: Event) -> bytes:
        if self._slow is None:
            data = self._machine.send(event)
            if data is not None:
                return data
            self.hand_over(b"")
        assert self._slow is not None
        return self._slow.send(event)

    def frame(self, data: bytes) -> bytes:
        return (self._slow or self._machine).frame(data)

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

    def hand_over(self, before: bytes) -> h11_engine.BaseEngine:
        """To the slow gear, which has seen ``before`` of the message already."""
        self._slow = slow = self._make_slow()
        self.common = False
        slow.take_over(before, self._machine.retire())
        return slow

    def judged(self, events: list[Event | NotMine]) -> list[Event]:
        """``events`` of the machine; what the slow gear says to bytes that it does not judge."""
        if events and type(events[-1]) is NotMine:
            left = events.pop()
            assert type(left) is NotMine
            events += self.hand_over(left.before).receive_data(left.data)
        return events  # type: ignore[return-value]  # a NotMine is the last one

    @abc.abstractmethod
    def _make_slow(self) -> h11_engine.BaseEngine:
        """The engine for what the machine leaves."""


class ServerEngine(_Engine):
    """Requests in, responses out."""

    __slots__ = ("_limits", "_server", "machine")

    def __init__(self, limits: Limits) -> None:
        self.machine = ServerMachine(head_limits(limits))
        """Of the fast gear. In the other one its `answer`, `begin` and `finish` are None."""
        super().__init__(self.machine)
        self._limits = limits
        self._server: h11_engine.ServerEngine | None = None

    def _make_slow(self) -> h11_engine.BaseEngine:
        from .h11_engine import ServerEngine as H11ServerEngine

        self._server = H11ServerEngine(self._limits)
        return self._server

    @property
    def shape(self) -> Shape | None:
        """See `ServerMachine.shape`."""
        return self.machine.shape

    def answer(self, status: int, headers: Headers, body: bytes, date: str) -> bytes | None:
        """See `ServerMachine.answer`."""
        return self.machine.answer(status, headers, body, date)

    def begin(self, status: int, headers: Headers, data: bytes, date: str) -> bytes | None:
        """See `ServerMachine.begin`."""
        return self.machine.begin(status, headers, data, date)

    def finish(self, data: bytes) -> bytes | None:
        """See `Writer.finish`."""
        return self.machine.finish(data)

    @property
    def expects_continue(self) -> bool:
        """The client waits for 100 (Continue) before it sends the body. A common request never does."""
        return self._server is not None and self._server.expects_continue

    @property
    def within_head(self) -> bool:
        """Some bytes of the next head have come, not all."""
        return self.machine.within_head if self._server is None else self._server.within_head

    def switch(self, headers: Headers) -> tuple[bytes, bytes]:
        """The head of a 101 (Switching Protocols), and what the client has sent behind its request; HTTP ends here.

        Raises `Misuse` for a request that asked for no switch (RFC 9110 section 7.8) or is not complete.
        """
        if self._server is None:
            raise Misuse("switch() for a request that asked for no other protocol")
        return self._server.switch(headers)


class ClientEngine(_Engine):
    """Requests out, responses in."""

    __slots__ = ("_limits", "machine")

    def __init__(self, limits: Limits) -> None:
        self.machine = ClientMachine(head_limits(limits))
        """Of the fast gear."""
        super().__init__(self.machine)
        self._limits = limits

    def renew(self) -> bool:
        """Begin the next message; False, and nothing has changed, where the connection is not `reusable`, or where
        bytes came behind the answer."""
        slow = self._slow
        if slow is None:
            return self.machine.renew()
        return not slow.held and slow.turn() is not None

    def announce(self, head: RequestHead) -> None:
        """A whole request goes out whose bytes are made elsewhere. To the engine it has no body: the head only says
        what the answer answers, and whom it was asked. Raises `Misuse`."""
        if self._slow is None:
            self.machine.announce(head)
        else:
            self._slow.send(head)
            self._slow.send(END)

    def _make_slow(self) -> h11_engine.BaseEngine:
        from .h11_engine import ClientEngine as H11ClientEngine

        return H11ClientEngine(self._limits)
