"""The way of a request: from the client's body to what the provider gets.

Apart from `translate`, because asking what would become of a request needs no answer to follow.
"""

from __future__ import annotations

import msgspec

from . import ir, json
from .dialect import Dialect, Headers, UpstreamRequest
from .errors import RemoteProtocolError
from .lenient import encode
from .loss import Disposition, Loss, LossPolicy, StrictRefusal
from .opaque import is_marked
from .rules import NO_RULES, ProviderRules


class Target(msgspec.Struct, frozen=True):
    """Who gets a request."""

    backend: Dialect
    model: str | None = None
    """The provider's name of the model; None is the client's own."""
    rules: ProviderRules = NO_RULES
    policy: LossPolicy = LossPolicy.REPORT


class Prepared(msgspec.Struct, frozen=True):
    """A request that can be sent."""

    upstream: UpstreamRequest
    model: str
    """The client's name of the model."""
    stream: bool
    """Whether the client asked for a stream."""
    request: ir.Request | None
    """The request as it was understood; None where its bytes pass through."""
    losses: tuple[Loss, ...] = ()


def prepare(entry: Dialect, target: Target, body: bytes, *, headers: Headers = (), path: str | None = None) -> Prepared:
    """What ``target`` gets for a client's ``body``. Raises `RemoteProtocolError` when the request is refused."""
    backend = target.backend
    if entry.name == backend.name:
        json.check_utf8(body)
        model, stream = entry.peek(body, path)
        json.once(body, "model")  # providers differ in which of two they read: one would get round the routes
        # Where a provider of another dialect was asked before, its material stays here and our own is unwrapped.
        marks = backend.foreign_marks
        if not is_marked(body) and not (marks and any(mark in body for mark in marks)):
            named = target.model if target.model != model else None
            upstream = backend.pass_request(body, stream=stream, model=named, headers=headers, path=path)
            return Prepared(upstream, model, stream, None)
    request = understand(entry, body, headers=headers, path=path, named=target.model is not None)
    upstream, losses = encode(
        backend, request, policy=target.policy, model=target.model, headers=headers, rules=target.rules
    )
    return Prepared(upstream, request.model, request.stream, request, tuple(losses))


def understand(
    entry: Dialect, body: bytes, *, headers: Headers = (), path: str | None = None, named: bool = False
) -> ir.Request:
    """The client's body as a request. ``named``: the provider's name of the model is known, so where the path says the
    model, it may be missing with the path. Raises `RemoteProtocolError`."""
    if not entry.checks_utf8:
        json.check_utf8(body)  # what is carried undecoded (schemas, unknown fields) is looked at by nobody else
    request = entry.decode_request(body, headers=headers, path=path)
    if not request.model and not entry.model_in_body and not named:
        what = "the path has to name the model, as in /v1beta/models/MODEL:generateContent"
        raise RemoteProtocolError(what, param="model", code="missing_required_parameter")
    if not request.model and entry.model_in_body:
        raise RemoteProtocolError("model: this field is required", param="model", code="missing_required_parameter")
    return request


def refusal(exc: RemoteProtocolError) -> tuple[Loss, ...]:
    """What a refused request has lost: the field it was refused for, or all that a strict route would have lost."""
    if isinstance(exc, StrictRefusal):
        return tuple(
            Loss(loss.path, Disposition.REFUSED, f"it would be {loss.disposition.value}: {loss.reason}")
            for loss in exc.losses
        )
    if exc.error.code == "unsupported_parameter" and exc.error.param:
        return (Loss(exc.error.param, Disposition.REFUSED, exc.error.message),)
    return ()
