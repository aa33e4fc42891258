"""The notes an `Exchange` makes on its way, and the fields each has: nothing of a prompt, nothing secret.

Apart from it because the log's readers rely on these names, and none of its decisions do.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import ir
from .actions import Attempt, Note
from .policy.prompt_cache import Observation
from .prepare import Prepared
from .routing.breaker import Change, State
from .routing.choice import Closed
from .routing.retry import Step
from .routing.table import Route


def incoming(dialect: str, model: str, *, stream: bool) -> Note:
    """What a client asks for."""
    return Note("incoming request", {"entry": dialect, "model": model, "stream": stream})


def resolved(dialect: str, model: str, route: Route) -> Note:
    """Who will be asked first, and for which model."""
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


def attempt_failed(attempt: Attempt, number: int, error: ir.Error, *, own: bool) -> Note:
    """An attempt is over without content. ``own``: it was the client's own doing, so nobody has to look at it."""
    return Note(
        "upstream request attempt failed",
        {
            "provider": attempt.provider,
            "model": attempt.model,
            "attempt": number,
            "error_kind": error.kind.value,
            "status": attempt.status,
            "latency_ms": round(attempt.latency * 1000),
            "next": attempt.reason,
        },
        level="info" if own else "warn",
    )


def retrying(provider: str, step: Step, attempt: int) -> Note:
    """The same target is asked once more."""
    wait = round(step.wait * 1000)
    return Note(
        "retrying upstream request",
        {"provider": provider, "attempt": attempt, "wait_ms": wait, "reason": step.reason},
    )


def trying_fallback(provider: str, model: str, reason: str, attempt: int) -> Note:
    """Another target is asked."""
    return Note(
        "trying fallback provider", {"provider": provider, "model": model, "attempt": attempt, "reason": reason}
    )


def passed_over(provider: str, closed: Closed) -> Note:
    """A provider has no room, as who counts for many processes says; nothing was sent to it."""
    return Note("provider passed over at its bound", {"provider": provider, "because": closed.why.value})


_MOVED: dict[State, tuple[str, str]] = {
    State.OPEN: ("provider circuit opened", "warn"),
    State.HELD: ("provider circuit opened", "warn"),
    State.PROBING: ("provider circuit half-open after cooldown", "info"),
    State.CLOSED: ("provider circuit closed", "warn"),
}


def circuits(changes: Sequence[Change], now: float) -> list[Note]:
    """Breakers that have moved."""
    out = []
    for change in changes:
        name, level = _MOVED[change.state]
        fields: dict[str, str | int | bool | None] = {"provider": change.provider, "model": change.model}
        if change.state in (State.OPEN, State.HELD):
            fields["because"] = "key" if change.key else "failures" if change.state is State.OPEN else "asked to wait"
            fields["secs"] = round(max(change.until - now, 0.0))
        out.append(Note(name, fields, level=level))
    return out


def half_open(provider: str, model: str) -> Note:
    """One request tries a target that was left alone."""
    return Note(_MOVED[State.PROBING][0], {"provider": provider, "model": model})


def shaped(prepared: Prepared) -> list[Note]:
    """What the route's policies made of a request."""
    out = []
    effort, shape = prepared.reasoning, prepared.shaped
    if effort is not None:
        fields: dict[str, str | int | bool | None] = {
            "requested_reasoning": effort.requested,
            "applied_reasoning": effort.applied,
        }
        out.append(Note("applied reasoning policy", fields))
    if shape.stripped_lines:
        out.append(Note("dropped stripped system line prefixes", {"stripped_lines": shape.stripped_lines}))
    if shape.moved_bytes:
        out.append(Note("relocated dynamic system prefix context", {"moved_bytes": shape.moved_bytes}))
    return out


def cached(dialect: str, model: str | None, found: Observation) -> Note:
    """What the provider's prompt cache did."""
    return Note(
        "prompt cache observation",
        {
            "entry": dialect,
            "model": model,
            "upstream_prompt_tokens": found.prompt_tokens,
            "cached_tokens": found.cached_tokens,
            "cache_creation_input_tokens": found.creation_tokens,
            "cache_hit_ratio": None if found.hit_ratio is None else f"{found.hit_ratio:.3f}",
        },
    )
