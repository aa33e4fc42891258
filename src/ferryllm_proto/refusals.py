"""The errors the gateway itself makes, in words that help."""

from __future__ import annotations

from . import ir
from .entries import NoEntry
from .inputs import UpstreamLost


def no_entry(method: str, path: str, entry: NoEntry) -> ir.Error:
    """404 or 405 in words that help."""
    if entry.allow:
        return ir.Error(ir.ErrorKind.METHOD, f"{method} is not possible here; use {' or '.join(entry.allow)}")
    return ir.Error(
        ir.ErrorKind.NOT_FOUND,
        "nothing answers at this path; this gateway has /v1/chat/completions, /v1/completions, /v1/responses, "
        "/v1/responses/input_tokens, /v1/responses/compact, /v1/messages, /v1/messages/count_tokens, /v1/embeddings "
        "and /v1/models, Gemini's /v1beta/models/{model}:generateContent, :streamGenerateContent, :countTokens and "
        ":embedContent, and Ollama's "
        "/api/chat, /api/generate, /api/embed, /api/tags, /api/show and /api/version; other paths can be handed to a "
        "provider ([[passthrough]])",
        code="not_found",
    )


def unknown_model(model: str) -> ir.Error:
    """404 for a model no route matches."""
    shown = model if len(model) <= 100 else model[:100] + "..."
    return ir.Error(
        ir.ErrorKind.NOT_FOUND,
        f"model {shown!r} matches no route of this gateway; GET /v1/models lists what it serves",
        param="model",
        code="model_not_found",
    )


def too_large(limit: int) -> ir.Error:
    """413 with the limit."""
    return ir.Error(ir.ErrorKind.TOO_LARGE, f"the body is larger than the limit of {limit} bytes (body_limit_mb)")


_FAULTS = {
    408: ir.ErrorKind.TIMEOUT,
    413: ir.ErrorKind.TOO_LARGE,
    415: ir.ErrorKind.MEDIA_TYPE,
    503: ir.ErrorKind.OVERLOADED,
}


def unread(status: int, message: str, code: str | None = None) -> ir.Error:
    """A body that could not be read, for the reason the server gives."""
    return ir.Error(_FAULTS.get(status, ir.ErrorKind.BAD_REQUEST), message, status=status, code=code)


def lost(provider: str, event: UpstreamLost, *, answering: bool) -> ir.Error:
    """A provider that could not be reached, or ``answering``: was lost in the middle of its answer."""
    if answering:
        message = f"the connection to provider {provider} broke before its answer was complete"
        return ir.Error(ir.ErrorKind.TRUNCATED, message)
    if event.busy:
        return ir.Error(ir.ErrorKind.OVERLOADED, f"all connections to provider {provider} are in use")
    if event.timeout:
        return ir.Error(ir.ErrorKind.TIMEOUT, f"provider {provider} could not be reached in time")
    return ir.Error(ir.ErrorKind.UPSTREAM, f"provider {provider} could not be reached")
