"""The engine seam: an HTTP connection as bytes in, events out; events in, bytes out.

Nothing here knows h11. The events are the same for servers and clients and stand in `ferryllm_proto.http1`, so that
several engines (h11, HTTP/2, our own HTTP/1.1) can stand behind the same connection code.
"""

from __future__ import annotations

from typing import Protocol

from ferryllm_proto.http1 import (
    END,
    Body,
    EndOfMessage,
    Event,
    Fault,
    Headers,
    InformationalHead,
    Misuse,
    RequestHead,
    ResponseHead,
)

__all__ = [
    "END",
    "Body",
    "EndOfMessage",
    "Engine",
    "Event",
    "Fault",
    "Headers",
    "InformationalHead",
    "Misuse",
    "RequestHead",
    "ResponseHead",
]


class Engine(Protocol):
    """One side of one connection, one message at a time."""

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes of the peer. Events never go beyond the end of the current message: bytes of the next one are
        held until `next_message`. Never raises for what the peer sent: a `Fault` is the last event."""
        ...

    def receive_body(self, data: bytes) -> tuple[bytes, bool] | None:
        """`receive_data` without events, for the common case that ``data`` is of the body of the current message:
        payload, maybe empty, and whether the message ended with it. None: nothing was consumed, call `receive_data`
        with the same bytes."""
        ...

    def receive_eof(self) -> list[Event]:
        """The peer ended its direction: the end of a close-delimited body, a `Fault` within a message, nothing
        between messages. Idempotent."""
        ...

    def send(self, event: Event) -> bytes:
        """Bytes to write for one event. Raises `Misuse` for what is not possible
        now or would not be one well-formed message (a line break in a value, more bytes than content-length)."""
        ...

    def frame(self, data: bytes) -> bytes:
        """`send` of a `Body` with ``data``, without the event. Raises `Misuse` as it does."""
        ...

    def next_message(self) -> list[Event]:
        """Begin the next message; call only when `reusable`. Answers with the events of bytes held so far."""
        ...

    @property
    def reusable(self) -> bool:
        """Both messages are complete and both sides keep the connection."""
        ...

    @property
    def held(self) -> int:
        """Bytes that came after the end of the current message."""
        ...
