"""The engine seam: an HTTP connection as bytes in, events out; events in, bytes out.

Nothing here knows h11. The events are the same for servers and clients, so that another engine (HTTP/2, a faster
HTTP/1.1) can stand behind the same connection code. Fields are pairs of str: names in lower case, values latin-1.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec

Headers: TypeAlias = list[tuple[str, str]]


class Misuse(Exception):
    """We asked for what is not possible now, or for what would not be one well-formed message: a bug of the caller.

    Its own class, so that HTTP depends on nothing of ferryllm_proto.
    """


class RequestHead(msgspec.Struct, frozen=True):
    """Method, target as it stands on the wire, fields in their order."""

    method: str
    target: str
    headers: Headers
    http_version: str = "1.1"


class ResponseHead(msgspec.Struct, frozen=True):
    """Status and fields of a final answer."""

    status: int
    headers: Headers
    http_version: str = "1.1"


class InformationalHead(msgspec.Struct, frozen=True):
    """A 1xx head; the final one is still to come."""

    status: int
    headers: Headers


class Body(msgspec.Struct, frozen=True, gc=False):
    """Some bytes of the body, framing removed."""

    data: bytes


class EndOfMessage(msgspec.Struct, frozen=True, gc=False):
    """The message is complete. Trailers that come are checked and dropped by the engine: nobody here needs them."""

    trailers: Headers = []
    """Ours: an engine leaves them out where the message is not framed for any (RFC 9112 section 7.1.2)."""


class Fault(msgspec.Struct, frozen=True, gc=False):
    """The peer broke the protocol; the last event. ``status`` is what a server answers with."""

    status: int
    message: str


Event: TypeAlias = RequestHead | ResponseHead | InformationalHead | Body | EndOfMessage | Fault


class Engine(Protocol):
    """One side of one connection, one message at a time."""

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes of the peer. Events never go beyond the end of the current message: bytes of the next one are
        held until `next_message`. Never raises for what the peer sent: a `Fault` is the last event."""
        ...

    def receive_eof(self) -> list[Event]:
        """The peer ended its direction: the end of a close-delimited body, a `Fault` within a message, nothing
        between messages. Idempotent."""
        ...

    def send(self, event: Event) -> bytes:
        """Bytes to write for one event. Raises `Misuse` for what is not possible
        now or would not be one well-formed message (a line break in a value, more bytes than content-length)."""
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
