"""The way of a request: from the client's body to what the provider gets.

Apart from `translate`, because asking what would become of a request needs no answer to follow.
"""

from __future__ import annotations

import msgspec

from . import capabilities, ir, json
from .dialect import Dialect, Headers, UpstreamRequest
from .errors import RemoteProtocolError
from .lenient import encode
from .loss import Disposition, Loss, LossPolicy, StrictRefusal
from .opaque import is_marked
from .policy import headers as header_policy
from .policy import prompt_cache, reasoning, transforms
from .policy.headers import NO_HEADERS
from .policy.prompt_cache import NO_PROMPT_CACHE, NOTHING, Shaped
from .policy.reasoning import PRESERVE, Applied
from .policy.route import NO_POLICIES, RoutePolicies
from .policy.transforms import NO_TRANSFORMS
from .rules import NO_RULES, ProviderRules

_MODEL = b'"model"'
_BACKSLASH = ord("\\")
_REPORT = LossPolicy.REPORT


class Target(msgspec.Struct, frozen=True):
    """Who gets a request."""

    backend: Dialect
    model: str | None = None
    """The provider's name of the model; None is the client's own."""
    rules: ProviderRules = NO_RULES
    policy: LossPolicy = LossPolicy.REPORT
    policies: RoutePolicies = NO_POLICIES


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
    reasoning: Applied | None = None
    """What the reasoning policy made of the client's wish; None where there is no policy."""
    shaped: Shaped = NOTHING
    """What was done for the provider's prompt cache."""
    quiet: bool = False
    """Whether an answer that passes through may tell its usage although the client did not ask for it."""


def prepare(
    entry: Dialect,
    target: Target,
    body: bytes,
    *,
    headers: Headers = (),
    path: str | None = None,
    peeked: tuple[str, bool] | None = None,
) -> Prepared:
    """What ``target`` gets for a client's ``body``; ``peeked`` is what `Dialect.peek` has found in it, None: not asked.

    Raises `RemoteProtocolError` when the request is refused.
    """
    backend, policies = target.backend, target.policies
    if policies.transforms is not NO_TRANSFORMS and policies.transforms.request:
        body, peeked = transforms.apply(policies.transforms.request, body), None
    if entry.name == backend.name:
        if not body.isascii():
            json.check_utf8(body)
        model, stream = entry.peek(body, path) if peeked is None else peeked
        if _BACKSLASH in body or body.count(_MODEL) > 1:  # an escape may hide a letter of a key
            json.once(body, "model")  # providers differ in which of two they read: one would get round the routes
        # Where a provider of another dialect was asked before, its material stays here and our own is unwrapped.
        marks = backend.foreign_marks
        if not is_marked(body) and not (marks and any(mark in body for mark in marks)):
            named = target.model if target.model != model else None
            upstream = backend.pass_request(body, stream=stream, model=named, headers=headers, path=path)
            prepared = Prepared(upstream, model, stream, None)
            if (
                policies.reasoning is PRESERVE
                and policies.headers is NO_HEADERS
                and not policies.prompt_cache.same_dialect
                and not (stream and policies.usage)
            ):
                return prepared
            return _spliced(prepared, target, headers)
    if backend.takes_written:
        request = entry.decode_written(_checked(entry, body), headers=headers, path=path, peeked=peeked)
        _require_model(entry, request, named=target.model is not None)
    else:
        request = understand(entry, body, headers=headers, path=path, named=target.model is not None)
    asked, applied, shaped, rules = request, None, NOTHING, target.rules
    if policies.reasoning is not PRESERVE and not policies.reasoning.idle:
        can = capabilities.of(target.model or request.model, rules)
        asked, applied = reasoning.apply(policies.reasoning, asked, can)
    cache = policies.prompt_cache
    if cache is not NO_PROMPT_CACHE and (cache.same_dialect or entry.name != backend.name):
        asked, shaped = prompt_cache.apply(cache, asked, backend.name, target.model or request.model, rules)
    policy, named = target.policy, target.model
    if policy is _REPORT:  # what it refuses is refused, what it leaves out is left out
        upstream, losses = backend.encode_request(asked, model=named, headers=headers, rules=rules)
    else:
        upstream, losses = encode(backend, asked, policy=policy, model=named, headers=headers, rules=rules)
    if policies.headers is not NO_HEADERS:
        upstream = _with_headers(upstream, target, headers)
    stream = request.stream
    quiet = stream and not request.include_usage  # encoders of requests ask always (U6)
    return Prepared(upstream, request.model, stream, request, tuple(losses), applied, shaped, quiet)


def _spliced(prepared: Prepared, target: Target, headers: Headers) -> Prepared:
    """``prepared``, whose bytes pass through, with what the route's policies change in them."""
    policies, dialect = target.policies, target.backend.name
    upstream, model = prepared.upstream, target.model or prepared.model
    body, applied, shaped, quiet = upstream.body, None, NOTHING, False
    if policies.reasoning is not PRESERVE and not policies.reasoning.idle:
        from .policy import reasoning_fields  # what few routes do is loaded by the first of them

        body, applied = reasoning_fields.splice(policies.reasoning, dialect, body, model=model, rules=target.rules)
    if policies.prompt_cache.same_dialect:
        from .policy import prompt_fields

        body, shaped = prompt_fields.splice(policies.prompt_cache, dialect, body, model=model, rules=target.rules)
    if policies.usage and prepared.stream:
        from .policy import stream_usage

        body, quiet = stream_usage.splice(dialect, body, model=model, rules=target.rules)
    if body is not upstream.body:
        upstream = msgspec.structs.replace(upstream, body=body)
    upstream = _with_headers(upstream, target, headers)
    if upstream is prepared.upstream and applied is None and shaped is NOTHING and not quiet:
        return prepared
    return msgspec.structs.replace(prepared, upstream=upstream, reasoning=applied, shaped=shaped, quiet=quiet)


def _with_headers(upstream: UpstreamRequest, target: Target, client: Headers) -> UpstreamRequest:
    policy = target.policies.headers
    if policy is NO_HEADERS:
        return upstream
    return msgspec.structs.replace(upstream, headers=header_policy.apply(policy, upstream.headers, client))


def understand(
    entry: Dialect, body: bytes, *, headers: Headers = (), path: str | None = None, named: bool = False
) -> ir.Request:
    """The client's body as a request. ``named``: the provider's name of the model is known, so where the path says the
    model, it may be missing with the path. Raises `RemoteProtocolError`."""
    request = entry.decode_request(_checked(entry, body), headers=headers, path=path)
    _require_model(entry, request, named=named)
    return request


def _checked(entry: Dialect, body: bytes) -> bytes:
    if not entry.checks_utf8:
        json.check_utf8(body)  # what is carried undecoded (schemas, unknown fields) is looked at by nobody else
    return body


def _require_model(entry: Dialect, request: ir.Request, *, named: bool) -> None:
    if request.model:
        return
    if entry.model_in_body:
        raise RemoteProtocolError("model: this field is required", param="model", code="missing_required_parameter")
    if not named:
        what = "the path has to name the model, as in /v1beta/models/MODEL:generateContent"
        raise RemoteProtocolError(what, param="model", code="missing_required_parameter")


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
