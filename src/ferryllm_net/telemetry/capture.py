"""What one request and its answers were, as the log of requests keeps them until the end.

`Watched` stands in front of an `Exchange` and sees what goes in and out: everything that the gateway reads and writes
passes there, so nothing else has to know. Only runs that are written have one; the others are what they always were.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

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

    __slots__ = ("answer", "head", "lost", "opened")

    def __init__(self, opened: Open, limit: int) -> None:
        self.opened = opened
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
        elif isinstance(event, UpstreamHead) and self.attempts:
            self.attempts[-1].head = event
        elif isinstance(event, UpstreamLost) and self.attempts:
            self.attempts[-1].lost = event.reason

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
                if len(self.attempts) < MAX_ATTEMPTS:
                    self.attempts.append(Attempt(self._bounded(action), self._limit))
            elif isinstance(action, Record):
                self.record = action

    def answered(self, data: bytes) -> None:
        """A piece of a provider's answer came."""
        if self._wants_answer and self.attempts:
            self.attempts[-1].answer.add(data)

    def sends(self, data: bytes) -> None:
        """A piece of the client's answer goes out."""
        if self._wants_sent:
            self.sent.add(data)

    def _bounded(self, opened: Open) -> Open:
        """Without the body that nobody wants: it may be 32 MiB, and a second one beside the client's."""
        return opened

    @property
    def size(self) -> int:
        """Bytes that it holds, about."""
        answers = sum(one.answer.kept + min(len(one.opened.request.body), self._limit) for one in self.attempts)
        return self.body.kept + self.sent.kept + answers
