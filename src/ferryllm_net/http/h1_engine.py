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
    """What both sides share. Methods that run for every message or chunk are those of the gear itself: take them from
    the engine for each call."""

    def __init__(self, machine: ServerMachine | ClientMachine) -> None:
        self._machine = machine
        self._slow: h11_engine.BaseEngine | None = None
        self.common = True
        """The connection is still in the fast gear."""
        machine.judge_by(self._judge)
        # No NotMine is among the events, since `_judge` takes its place.
        self.receive_whole = machine.receive_whole
        """`receive_data` of a message like the one before, without events: its head and its body; None, and nothing was
        consumed, where `receive_data` is needed."""
        self.receive_data: Callable[[bytes], list[Event]] = machine.receive_data  # type: ignore[assignment]
        self.turn: Callable[[], list[Event] | None] = machine.turn  # type: ignore[assignment]
        """`next_message` where the connection is `reusable`; else None, and nothing has changed."""
        self.frame = machine.frame
        self.receive_body = machine.receive_body

    def receive_eof(self) -> list[Event]:
        return (self._slow or self._machine).receive_eof()  # type: ignore[return-value]  # as above

    def next_message(self) -> list[Event]:
        return (self._slow or self._machine).next_message()  # type: ignore[return-value]  # as above

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

    def _judge(self, left: NotMine) -> list[Event | NotMine]:
        """What the slow gear says to bytes that the machine does not judge."""
        return [*self._hand_over(left.before).receive_data(left.data)]

    def _hand_over(self, before: bytes) -> h11_engine.BaseEngine:
        self._slow = slow = self._make_slow()
        self.common = False
        slow.take_over(before, self._machine.retire())
        self.receive_whole, self.receive_data, self.turn = _never_whole, slow.receive_data, slow.turn
        self.frame, self.receive_body = slow.frame, slow.receive_body
        return slow

    @abc.abstractmethod
    def _make_slow(self) -> h11_engine.BaseEngine:
        """The engine for what the machine leaves."""


def _never_whole(data: bytes) -> None:
    """`receive_whole` in the other gear."""


def _no_answer(status: int, headers: Headers, body: bytes, date: str) -> None:
    """`ServerMachine.answer` in the other gear: one step after the other."""


class ServerEngine(_Engine):
    """Requests in, responses out."""

    def __init__(self, limits: Limits) -> None:
        machine = ServerMachine(head_limits(limits))
        super().__init__(machine)
        self._limits = limits
        self._requests = machine.requests
        self._server: h11_engine.ServerEngine | None = None
        self.answer: Callable[[int, Headers, bytes, str], bytes | None] = machine.answer
        """See `ServerMachine.answer`."""

    def _make_slow(self) -> h11_engine.BaseEngine:
        from .h11_engine import ServerEngine as H11ServerEngine

        self.answer = _no_answer
        self._server = H11ServerEngine(self._limits)
        return self._server

    @property
    def shape(self) -> Shape | None:
        """See `ServerMachine.shape`."""
        return self._requests.shape

    @property
    def expects_continue(self) -> bool:
        """The client waits for 100 (Continue) before it sends the body. A common request never does."""
        return self._server is not None and self._server.expects_continue

    @property
    def within_head(self) -> bool:
        """Some bytes of the next head have come, not all."""
        return self._requests.within_head if self._server is None else self._server.within_head

    def switch(self, headers: Headers) -> tuple[bytes, bytes]:
        """The head of a 101 (Switching Protocols), and what the client has sent behind its request; HTTP ends here.

        Raises `Misuse` for a request that asked for no switch (RFC 9110 section 7.8) or is not complete.
        """
        if self._server is None:
            raise Misuse("switch() for a request that asked for no other protocol")
        return self._server.switch(headers)


class ClientEngine(_Engine):
    """Requests out, responses in."""

    def __init__(self, limits: Limits) -> None:
        machine = ClientMachine(head_limits(limits))
        super().__init__(machine)
        self._limits = limits
        self.renew: Callable[[], bool] = machine.renew
        """Begin the next message; False, and nothing has changed, where the connection is not `reusable`, or where
        bytes came behind the answer."""
        self.announce: Callable[[RequestHead], None] = machine.announce
        """A whole request goes out whose bytes are made elsewhere. To the engine it has no body: the head only says
        what the answer answers, and whom it was asked. Raises `Misuse`."""

    def _renew(self) -> bool:
        slow = self._slow
        assert slow is not None
        return not slow.held and slow.turn() is not None

    def _announce(self, head: RequestHead) -> None:
        self.send(head)
        self.send(END)

    def _make_slow(self) -> h11_engine.BaseEngine:
        from .h11_engine import ClientEngine as H11ClientEngine

        self.renew, self.announce = self._renew, self._announce
        return H11ClientEngine(self._limits)
