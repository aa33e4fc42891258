"""What a server does with one request, step by step."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Send(msgspec.Struct, frozen=True):
    """One write."""

    data: bytes


class Drip(msgspec.Struct, frozen=True):
    """Many writes of ``size`` bytes with ``secs`` between them."""

    data: bytes
    size: int = 1
    secs: float = 0.0


class Hold(msgspec.Struct, frozen=True):
    """``data`` again and again, until the test lets go."""

    data: bytes
    secs: float


class Close(msgspec.Struct, frozen=True):
    """End of the connection (FIN)."""


class Reset(msgspec.Struct, frozen=True):
    """End of the connection (RST)."""


class Stall(msgspec.Struct, frozen=True):
    """Nothing more, until the other side goes."""


class Race(msgspec.Struct, frozen=True):
    """When the next request comes over this connection, close without a word."""


Step: TypeAlias = Send | Drip | Hold | Close | Reset | Stall | Race
"""Without an end among them the connection waits for its next request."""
