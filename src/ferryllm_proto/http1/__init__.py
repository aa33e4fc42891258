"""HTTP/1.1 for messages that are common, strictly and fast; what is not common is left to others (`NotMine`).

Start with `ServerMachine` and `ClientMachine`. Nothing here refuses a message: a machine takes what RFC 9112 plainly
allows, and whoever drives it has another reader for the rest.
"""

from __future__ import annotations

from .encode import NOT_IN_TRAILERS, check_trailers
from .events import (
    END,
    Body,
    EndOfMessage,
    Event,
    Fault,
    Headers,
    HeadLimits,
    InformationalHead,
    Misuse,
    NotMine,
    RequestHead,
    ResponseHead,
    Sent,
)
from .machine import ClientMachine, ServerMachine
from .reasons import REASONS
from .repeats import Shape

__all__ = [
    "END",
    "NOT_IN_TRAILERS",
    "REASONS",
    "Body",
    "ClientMachine",
    "EndOfMessage",
    "Event",
    "Fault",
    "HeadLimits",
    "Headers",
    "InformationalHead",
    "Misuse",
    "NotMine",
    "RequestHead",
    "ResponseHead",
    "Sent",
    "ServerMachine",
    "Shape",
    "check_trailers",
]
