"""What a judge of streams says: the form of every dialect's `Grammar`, and the problems it finds.

A grammar reads the bytes a client would get and knows nothing of the encoder that wrote them: it is written from the
protocol and from what the official SDKs insist on (translation.md T10).
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One thing a strict client could not live with."""

    event: int
    """Number of the event, from 0; for framings without events the number of the line or value."""
    rule: str
    """A short name that stays: ``order``, ``index``, ``terminal``, ``field``, ``framing``, ..."""
    message: str
    """What was found and what was expected; never the content of a prompt or an answer."""

    def __str__(self) -> str:
        return f"event {self.event}: {self.rule}: {self.message}"


class Seen(msgspec.Struct):
    """What a stream amounted to: for tests that compare a stream with what was meant."""

    ended: bool = False
    """It has its dialect's normal end."""
    failed: bool = False
    """It has its dialect's error."""
    text: str = ""
    reasoning: str = ""
    tools: list[tuple[str, str]] = []
    """Name and arguments (JSON text) of each call, in order."""
    finish: str | None = None
    usage: dict[str, Any] | None = None


class Grammar(Protocol):
    """Judges one stream. Never raises for what the stream holds; give it bytes in any cut."""

    problems: list[Problem]
    seen: Seen

    def receive_data(self, data: bytes) -> None: ...

    def receive_eof(self) -> None:
        """The stream is over: what is missing becomes a problem."""
