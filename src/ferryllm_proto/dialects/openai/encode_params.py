"""The parameters of a request for a Chat provider: what its profile knows is sent, the rest is reported.

Contract fields that cannot be said are refused, tuning knobs dropped (translation.md G5).
"""

from __future__ import annotations

from ... import ids, ir, json, schemas
from ...loss import LOGPROBS, wanted_logprobs
from .decode_parts import NAME
from .encode_parts import Scope, Wire, given
from .encode_reasoning import reasoning

_TIERS = {"standard_only": "default"}
"""Anthropic's words for OpenAI's."""

_BINDING = "anthropic"
"""The dialect whose formats always bind."""
NOT_BOUND = "only schemas that require all they name bind the answer here: this one guides it"

_MAX_USER = 128
"""Characters of ``user``: the limit of ``safety_identifier``, its successor."""


def parameters(scope: Scope, *, forced: bool = False, unthought: bool = False) -> Wire:
    """Everything beside model, messages and tools; what is ``forced`` and ``unthought``: see `reasoning`."""
    out: Wire = {} if scope.native else dict(scope.profile.extra)
    request = scope.request
    _limits(scope, out)
    _sampling(scope, out)
    if request.reasoning is not None or forced or unthought:
        reasoning(scope, out, forced=forced, unthought=unthought)
    if request.format is not None:
        _format(scope, out)
    _contract(scope, out)
    _openai_fields(scope, out)
    if request.user is not None:
        _user(scope, out)
    if request.store is not None or request.truncation is not None:
        _state(scope, out)
    if request.stream or request.include_usage is not None:
        _stream(scope, out)
    return out


def _limits(scope: Scope, out: Wire) -> None:
    request = scope.request
    if request.max_output is not None:
        name, most = scope.profile.max_tokens_field, request.max_output
        if scope.native:
            name = request.wire_name("max_output")
        elif most == 0:  # Messages: only fill the cache
            raise scope.report.refuse(request.wire_name("max_output"), "an answer has at least one token here")
        else:
            known = scope.profile.model.max_output_tokens
            if known is not None and most > known:
                most = known
                scope.report.degraded(request.wire_name("max_output"), f"the most {scope.model} takes is {known}")
        out[name] = most
    if request.stop:
        _stop(scope)
        out["stop"] = list(request.stop)


def _stop(scope: Scope) -> None:
    """What an answer stops at is a part of it: refused where it cannot be said (G5)."""
    if scope.native:
        return
    path, limit, found = scope.request.wire_name("stop"), scope.profile.max_stop, len(scope.request.stop)
    if not scope.profile.model.stop:
        raise scope.report.refuse(path, f"{scope.model} takes no stop sequences")
    if limit is not None and found > limit:
        raise scope.report.refuse(path, f"this provider takes {limit} stop sequences, found {found}")


def _sampling(scope: Scope, out: Wire) -> None:
    request, report, model, fields = scope.request, scope.report, scope.profile.model, scope.profile.fields
    if (
        request.temperature is None
        and request.top_p is None
        and request.top_k is None
        and request.seed is None
        and request.presence_penalty is None
        and request.frequency_penalty is None
        and request.logit_bias is None
    ):
        return  # as nearly everybody does
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is None:
            continue
        if scope.native or value == 1:
            out[name] = value
        elif not getattr(model, name):
            report.dropped(request.wire_name(name), f"{scope.model} accepts only 1")
        elif name == "top_p" and "temperature" in out and not model.together:
            report.dropped(request.wire_name(name), f"{scope.model} refuses it together with a temperature")
        else:
            out[name] = value
    if request.top_k is not None:
        if scope.native or ("top_k" in fields and model.top_k):
            out["top_k"] = request.top_k
        else:
            what = "this provider has no top_k" if "top_k" not in fields else f"{scope.model} refuses it"
            report.dropped(request.wire_name("top_k"), what)
    if request.seed is not None:
        if scope.native or "seed" in fields:
            out["seed" if scope.native else scope.profile.seed_field] = request.seed
        else:
            report.dropped(request.wire_name("seed"), "this provider has no seed")
    for name in ("presence_penalty", "frequency_penalty"):
        number = getattr(request, name)
        if number is not None and _knows(scope, name, number):
            out[name] = number
    if request.logit_bias is not None and _knows(scope, "logit_bias", request.logit_bias):
        out["logit_bias"] = json.raw(request.logit_bias)


def _knows(scope: Scope, name: str, value: object) -> bool:
    """Whether a knob of this name can be sent; else it is reported, unless its value is what everybody does."""
    if scope.native:
        return True
    if name in scope.profile.fields and scope.profile.model.penalties:
        return True
    if value not in (0, b"{}"):
        who = "this provider" if name not in scope.profile.fields else scope.model
        scope.report.dropped(scope.request.wire_name(name), f"{who} takes no {name}")
    return False


def _format(scope: Scope, out: Wire) -> None:
    found = scope.request.format
    if found is None or (found.kind is ir.FormatKind.TEXT and not scope.native):
        return
    if not scope.native and found.kind.value not in scope.profile.formats:
        raise scope.report.refuse(
            scope.request.wire_name("format"), f"this provider has no response_format {found.kind.value}"
        )
    out["response_format"] = wire = {"type": found.kind.value}
    if found.kind is not ir.FormatKind.JSON_SCHEMA:
        return
    strict, name = found.strict, found.name
    if not scope.native:
        name = name or "response"
        if strict is None and found.schema is not None:
            # Strict mode refuses schemas with optional properties or open objects; without it they are a hint (A36).
            strict = schemas.is_strict(found.schema)
            if not strict and scope.request.dialect == _BINDING:
                scope.report.degraded(scope.request.wire_name("format.schema"), NOT_BOUND)
    schema: Wire = {"name": name, "description": found.description}
    schema["schema"] = None if found.schema is None else json.raw(found.schema)
    schema["strict"] = strict
    wire["json_schema"] = given(schema)  # type: ignore[assignment]  # the other value is a string


def _contract(scope: Scope, out: Wire) -> None:
    request = scope.request
    if request.n is not None:
        if request.n > 1 and not scope.native:
            raise scope.report.refuse(request.wire_name("n"), "only one answer can be translated")
        if scope.native:
            out["n"] = request.n
    if request.top_logprobs is not None and (scope.native or request.top_logprobs):
        out["top_logprobs"] = request.top_logprobs
    logprobs = request.logprobs if scope.native or request.logprobs else None
    if not scope.native and logprobs is None and request.top_logprobs:
        logprobs = True
    for n, wish in enumerate(request.include):
        if wish == LOGPROBS:
            logprobs = True
        elif wish:
            scope.report.dropped(f"{request.wire_name('include')}[{n}]", f"Chat Completions cannot include {wish}")
    if logprobs is not None:
        if not scope.native and not ("logprobs" in scope.profile.fields and scope.profile.model.logprobs):
            raise scope.report.refuse(wanted_logprobs(request), f"{scope.model} gives no probabilities here")
        out["logprobs"] = logprobs
    for field in ("previous_id", "conversation"):
        if getattr(request, field) is not None:
            raise scope.report.refuse(request.wire_name(field), "not supported by this route: send the whole input")
    if request.background:
        raise scope.report.refuse(request.wire_name("background"), "not supported by this route")


def _openai_fields(scope: Scope, out: Wire) -> None:
    request = scope.request
    found = (
        ("verbosity", "verbosity", request.verbosity),
        ("service_tier", "service_tier", request.service_tier),
        ("cache_key", "prompt_cache_key", request.cache_key),
        ("cache_retention", "prompt_cache_retention", request.cache_retention),
        ("safety_id", "safety_identifier", request.safety_id),
    )
    for field, name, value in found:
        if value is None:
            continue
        if scope.native:
            out[name] = value
        elif name in scope.profile.fields:
            out[name] = _TIERS.get(value, value) if field == "service_tier" else value
        else:
            scope.report.dropped(request.wire_name(field), "not every Chat provider knows it")
    if request.metadata is not None:
        if scope.native or ("metadata" in scope.profile.fields and request.dialect == "openai_responses"):
            out["metadata"] = json.raw(request.metadata)
        else:
            scope.report.dropped(request.wire_name("metadata"), "not every Chat provider knows it")


def _user(scope: Scope, out: Wire) -> None:
    user = scope.request.user
    if user is None:
        return
    if not scope.native and "user" not in scope.profile.fields:
        scope.report.dropped(scope.request.wire_name("user"), "this provider wants no name of the user")
        return
    if len(user) > _MAX_USER and not scope.native:
        scope.report.degraded(scope.request.wire_name("user"), f"longer than {_MAX_USER} characters: sent as a hash")
        user = "user_" + ids.short_hash(user, 32)
    out["user"] = user


def _state(scope: Scope, out: Wire) -> None:
    request = scope.request
    if request.store is not None and scope.native:
        out["store"] = request.store
    elif request.store:
        scope.report.dropped(request.wire_name("store"), "answers are not stored")
    if request.truncation not in (None, "disabled"):
        scope.report.dropped(request.wire_name("truncation"), "Chat Completions does not shorten the input")


def _stream(scope: Scope, out: Wire) -> None:
    request = scope.request
    if not request.stream:
        if request.include_usage is not None and scope.native:
            out["stream_options"] = {"include_usage": request.include_usage}
        return
    out["stream"] = True
    if not scope.native and "stream_options" not in scope.profile.fields:
        return  # it counts without being asked
    # Always asked for: the gateway counts; the client gets the chunk only when it asked itself (U6).
    options: Wire = {"include_usage": True}
    if request.ext is not None and request.ext.dialect == NAME:
        start = "stream_options."
        options |= {n[len(start) :]: json.raw(v) for n, v in request.ext.fields.items() if n.startswith(start)}
    out["stream_options"] = options
