"""The words of HTTP/1.1: what is received, what is sent, what is asked of nobody here.

Apart from the machine, because engines of other making (h11, HTTP/2) speak them too. Fields are pairs of str: names in
lower case when received, values latin-1.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

Headers: TypeAlias = list[tuple[str, str]]


class Misuse(Exception):
    """We asked for what is not possible now, or for what would not be one well-formed message: a bug of the caller.

    Its own class and no `LocalProtocolError`: that one tells of the dialects' machines.
    """


class RequestHead(msgspec.Struct, frozen=True):
    """Method, target as it stands on the wire, fields in their order. Not to be changed by whoever gets one: its
    connection may know it again."""

    method: str
    target: str
    headers: Headers
    http_version: str = "1.1"


class ResponseHead(msgspec.Struct, frozen=True):
    """Status and fields of a final answer. Not to be changed either."""

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


class EndOfMessage(msgspec.Struct, frozen=True):
    """The message is complete. Received trailers are checked, and those that may not be any are left out."""

    trailers: Headers = []


class Fault(msgspec.Struct, frozen=True, gc=False):
    """The peer broke the protocol; the last event. ``status`` is what a server answers with."""

    status: int
    message: str


Event: TypeAlias = RequestHead | ResponseHead | InformationalHead | Body | EndOfMessage | Fault


class NotMine(msgspec.Struct, frozen=True):
    """The fast machine does not judge what comes; the last event it gives.

    Whoever judges instead reads ``before`` first and drops its events: they have been given. Then it reads ``data``.
    """

    before: bytes
    data: bytes


class Sent(msgspec.Struct, frozen=True):
    """What has been sent of the current message, for whoever goes on."""

    head: RequestHead | ResponseHead | None
    size: int
    """Bytes of a body of fixed length; 0 for a chunked one, where nobody counts them."""
    ended: bool


class HeadLimits(msgspec.Struct, frozen=True):
    """Bounds of a head, in bytes and fields. What is larger is not the fast machine's to judge."""

    request_line_bytes: int
    head_bytes: int
    head_fields: int


END = EndOfMessage()
"""The end of a message without trailers, which is nearly every one."""
