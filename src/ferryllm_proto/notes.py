"""The notes an `Exchange` makes on its way, and the fields each has: nothing of a prompt, nothing secret.

Apart from it because the log's readers rely on these names, and none of its decisions do.
"""

from __future__ import annotations

from .actions import Note
from .routing.table import Route


def incoming(dialect: str, model: str, *, stream: bool) -> Note:
    """What a client asks for."""
    return Note("incoming request", {"entry": dialect, "model": model, "stream": stream})


def resolved(dialect: str, model: str, route: Route) -> Note:
    """Who will be asked, and for which model."""
    return Note(
        "resolved route",
        {
            "entry": dialect,
            "display_model": model,
            "backend_model": route.rewrite_model or model,
            "provider": route.provider,
        },
    )


def sending(provider: str, model: str | None, *, stream: bool) -> Note:
    """The request is on its way to ``provider``."""
    return Note("sending chat request", {"provider": provider, "model": model, "stream": stream})


def answered(provider: str, status: int, secs: float) -> Note:
    """A good head came after ``secs`` seconds."""
    return Note("backend response ok", {"provider": provider, "status": status, "latency_ms": round(secs * 1000)})


def failed(provider: str, reason: str) -> Note:
    """``reason`` may say where the provider is: for the log, not for clients, who may be strangers."""
    return Note("provider failed", {"provider": provider, "reason": reason}, level="warn")
