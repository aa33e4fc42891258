"""What one request and its answers were, as the log of requests keeps them until the end.

`Watched` stands in front of an `Exchange` and sees what goes in and out: everything that the gateway reads and writes
passes there, so nothing else has to know. Only runs that are written have one; the others are what they always were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ferryllm_net.config.telemetry_schema import Part
from ferryllm_proto import Exchange
from ferryllm_proto.actions import Action, Open, Record, SendBody, SendHead
from ferryllm_proto.inputs import (
    ClientBody,
    ClientFault,
    ClientRequest,
    Input,
    UpstreamData,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.stages import State

MAX_ATTEMPTS = 16
"""Attempts of one request that are told of."""


class Body:
    """The beginning of a body, and how long it was."""

    __slots__ = ("_limit", "_parts", "kept", "total")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.kept = 0
        self.total = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        if self.kept < self._limit:
            data = data[: self._limit - self.kept]
            self._parts.append(data)
            self.kept += len(data)

    @property
    def content(self) -> bytes:
        return b"".join(self._parts)

    @property
    def whole(self) -> bool:
        return self.kept == self.total


class Attempt:
    """What one provider got and sent."""

    __slots__ = ("answer", "body", "head", "headers", "lost", "method", "provider", "target")

    def __init__(self, opened: Open, limit: int, *, asked: bool) -> None:
        request = opened.request
        self.provider = opened.provider
        self.method = request.method
        self.target = f"{request.path}?{request.query}" if request.query else request.path
        self.headers = request.headers
        self.body = Body(limit)
        if asked:
            self.body.add(request.body)
        self.head: UpstreamHead | None = None
        self.lost: str | None = None
        self.answer = Body(limit)


class Capture:
    """One request. ``parts`` are those that are wanted, ``limit`` bytes of each body are kept."""

    def __init__(self, parts: Collection[Part], limit: int) -> None:
        self._limit = limit
        self._wants_client = "client_request" in parts
        self._wants_asked = "upstream_request" in parts
        self._wants_answer = "upstream_answer" in parts
        self._wants_sent = "client_answer" in parts
        self.request: ClientRequest | None = None
        self.body = Body(limit)
        self.fault: ClientFault | None = None
        self.attempts: list[Attempt] = []
        self._current: Attempt | None = None
        self.head: SendHead | None = None
        self.sent = Body(limit)
        self.record: Record | None = None

    def saw(self, event: Input) -> None:
        """Something came in."""
        kind = type(event)
        if kind is UpstreamData:
            assert isinstance(event, UpstreamData)
            self.answered(event.data)
        elif isinstance(event, ClientRequest):
            self.request = event if self._wants_client else None
        elif isinstance(event, ClientBody):
            if self._wants_client:
                self.body.add(event.data)
        elif isinstance(event, ClientFault):
            self.fault = event
        elif isinstance(event, UpstreamHead) and self._current is not None:
            self._current.head = event if self._wants_answer else None
        elif isinstance(event, UpstreamLost) and self._current is not None:
            self._current.lost = event.reason

    def did(self, actions: Sequence[Action]) -> None:
        """Something goes out."""
        for action in actions:
            kind = type(action)
            if kind is SendBody:
                assert isinstance(action, SendBody)
                self.sends(action.data)
            elif isinstance(action, SendHead):
                self.head = action if self._wants_sent else None
            elif isinstance(action, Open):
                self._current = Attempt(action, self._limit, asked=self._wants_asked)
                if len(self.attempts) < MAX_ATTEMPTS:
                    self.attempts.append(self._current)
            elif isinstance(action, Record):
                self.record = action

    def answered(self, data: bytes) -> None:
        """A piece of a provider's answer came."""
        if self._wants_answer and self._current is not None:
            self._current.answer.add(data)

    def sends(self, data: bytes) -> None:
        """A piece of the client's answer goes out."""
        if self._wants_sent:
            self.sent.add(data)

    @property
    def size(self) -> int:
        """Bytes that it holds, about."""
        return self.body.kept + self.sent.kept + sum(one.body.kept + one.answer.kept for one in self.attempts)


class Watched(Exchange):
    """``exchange``, seen by ``capture``; ``done`` is told when its record was made. An `Exchange` for whoever runs it:
    all that it has is asked of the other one."""

    def __init__(self, exchange: Exchange, capture: Capture, done: Callable[[Capture], None]) -> None:
        self._inner = exchange
        self._capture = capture
        self._done: Callable[[Capture], None] | None = done
        self.id = exchange.id

    @property
    def state(self) -> State:  # type: ignore[override] # an attribute there
        return self._inner.state

    def receive(self, event: Input, now: float) -> list[Action]:
        capture = self._capture
        capture.saw(event)
        actions = self._inner.receive(event, now)
        capture.did(actions)
        if capture.record is not None and self._done is not None:
            done, self._done = self._done, None
            done(capture)
        return actions

    def relay(self, data: bytes, now: float) -> bytes | None:
        out = self._inner.relay(data, now)
        if out is not None:  # else the same data comes to `receive`
            self._capture.answered(data)
            if out:
                self._capture.sends(out)
        return out

    def next_deadline(self) -> float | None:
        return self._inner.next_deadline()

    def postpone(self, secs: float) -> None:
        self._inner.postpone(secs)
