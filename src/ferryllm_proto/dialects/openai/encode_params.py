"""The parameters of a request for a Chat provider: what its profile knows is sent, the rest is reported.

Contract fields that cannot be said are refused, tuning knobs dropped (translation.md G5).
"""

from __future__ import annotations

from ... import ids, ir, json, schemas
from .decode_parts import NAME
from .encode_parts import Scope, Wire
from .profile import EFFORTS

# Budget in tokens below which an effort is meant (wire.md 7.4); max is never guessed.
_BUDGETS = ((2048, "minimal"), (6144, "low"), (14336, "medium"), (28672, "high"))

_TIERS = {"standard_only": "default"}
"""Anthropic's words for OpenAI's."""

_BINDING = "anthropic"
"""The dialect whose formats always bind."""
NOT_BOUND = "only schemas that require all they name bind the answer here: this one guides it"

_MAX_USER = 128
"""Characters of ``user``: the limit of ``safety_identifier``, its successor."""


def parameters(scope: Scope) -> Wire:
    """Everything beside model, messages and tools."""
    out: Wire = {}
    _limits(scope, out)
    _sampling(scope, out)
    _reasoning(scope, out)
    _format(scope, out)
    _contract(scope, out)
    _openai_fields(scope, out)
    _user(scope, out)
    _state(scope, out)
    _stream(scope, out)
    return out


def _limits(scope: Scope, out: Wire) -> None:
    request = scope.request
    if request.max_output is not None:
        name = request.wire_name("max_output") if scope.native else scope.profile.max_tokens_name
        if not scope.native and request.max_output == 0:  # Messages: only fill the cache
            raise scope.report.refuse(request.wire_name("max_output"), "an answer has at least one token here")
        out[name] = request.max_output
    if request.stop:
        limit = scope.profile.max_stop
        if not scope.native and limit is not None and len(request.stop) > limit:
            raise scope.report.refuse(
                request.wire_name("stop"), f"this provider takes {limit} stop sequences, found {len(request.stop)}"
            )
        out["stop"] = list(request.stop)


def _sampling(scope: Scope, out: Wire) -> None:
    request, report = scope.request, scope.report
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is None:
            continue
        if scope.native or scope.profile.sampling or value == 1:
            out[name] = value
        else:
            report.dropped(request.wire_name(name), f"{scope.model} accepts only 1")
    if request.top_k is not None:
        if scope.native:
            out["top_k"] = request.top_k
        else:
            report.dropped(request.wire_name("top_k"), "Chat Completions has no top_k")
    for name in ("seed", "presence_penalty", "frequency_penalty"):
        if (number := getattr(request, name)) is not None:
            out[name] = number
    if request.logit_bias is not None:
        out["logit_bias"] = json.raw(request.logit_bias)


def _reasoning(scope: Scope, out: Wire) -> None:
    params = scope.request.reasoning
    if params is None:
        return
    name = scope.request.wire_name("reasoning")
    if scope.native:
        out[name] = _native_reasoning(name, params)
        return
    if params.show not in (None, "omitted"):
        scope.report.dropped(scope.request.wire_name("show"), "Chat shows what the provider shows of its reasoning")
    if params.mode is ir.ThinkingMode.BETWEEN_TOOLS:
        scope.report.degraded(name, "Chat cannot say when to think")
    effort = _wanted(params)
    if effort is None:
        return
    if not scope.profile.efforts:
        if effort != "none":
            scope.report.dropped(name, f"{scope.model} does not reason")
        return
    sent = _nearest(effort, scope.profile.efforts)
    if sent is None:
        scope.report.dropped(name, "this provider cannot be told not to think")
        return
    if sent != params.effort:
        scope.report.degraded(name, f"said as reasoning_effort {sent}")
    if params.budget is not None and params.effort is not None and effort != "none":
        scope.report.degraded(scope.request.wire_name("budget"), f"a budget is not taken here: effort {sent}")
    out["reasoning_effort"] = sent


def _native_reasoning(name: str, params: ir.ReasoningParams) -> object:
    if name == "reasoning_effort":
        return params.effort
    on = None if params.mode is None else params.mode is ir.ThinkingMode.ON
    if name == "thinking":
        return _given({"type": "enabled" if on else "disabled", "budget_tokens": params.budget})
    hidden = None if params.show is None else params.show == "omitted"
    return _given({"effort": params.effort, "max_tokens": params.budget, "exclude": hidden, "enabled": on})


def _given(fields: Wire) -> Wire:
    return {name: value for name, value in fields.items() if value is not None}


def _wanted(params: ir.ReasoningParams) -> str | None:
    """The effort a client asked for in any of its ways; None leaves it to the model."""
    if params.mode is ir.ThinkingMode.OFF:
        return "none"
    if params.effort is not None:
        return params.effort
    if params.budget is None:
        return None
    if params.budget <= 0:
        return "none"
    return next((effort for limit, effort in _BUDGETS if params.budget < limit), "xhigh")


def _nearest(effort: str, known: tuple[str, ...]) -> str | None:
    """The word a provider knows for ``effort``; None where it must think and shall not."""
    if effort in known or effort not in EFFORTS:
        return effort
    if effort == "none":
        return None
    return min(known, key=lambda word: abs(EFFORTS.index(word) - EFFORTS.index(effort)))


def _format(scope: Scope, out: Wire) -> None:
    found = scope.request.format
    if found is None or (found.kind is ir.FormatKind.TEXT and not scope.native):
        return
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
                scope.report.degraded(scope.request.wire_name("format"), NOT_BOUND)
    schema: Wire = {"name": name, "description": found.description}
    schema["schema"] = None if found.schema is None else json.raw(found.schema)
    schema["strict"] = strict
    wire["json_schema"] = _given(schema)  # type: ignore[assignment]  # the other value is a string


def _contract(scope: Scope, out: Wire) -> None:
    request = scope.request
    if request.n is not None:
        if request.n > 1 and not scope.native:
            raise scope.report.refuse(request.wire_name("n"), "only one answer can be translated")
        if scope.native:
            out["n"] = request.n
    if request.top_logprobs is not None and (scope.native or request.top_logprobs):
        out["top_logprobs"] = request.top_logprobs
    logprobs = request.logprobs
    if not scope.native and logprobs is None and request.top_logprobs:
        logprobs = True
    for wish in request.include:
        if wish == "message.output_text.logprobs":
            logprobs = True
        else:
            scope.report.dropped(f"{request.wire_name('include')}.{wish}", "Chat Completions cannot include it")
    if logprobs is not None:
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
        elif scope.profile.openai_fields:
            out[name] = _TIERS.get(value, value) if field == "service_tier" else value
        else:
            scope.report.dropped(request.wire_name(field), "not every Chat provider knows it")
    if request.metadata is not None:
        if scope.native or (scope.profile.openai_fields and request.dialect == "openai_responses"):
            out["metadata"] = json.raw(request.metadata)
        else:
            scope.report.dropped(request.wire_name("metadata"), "not every Chat provider knows it")


def _user(scope: Scope, out: Wire) -> None:
    user = scope.request.user
    if user is None:
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
    # Always asked for: the gateway counts; the client gets the chunk only when it asked itself (U6).
    options: Wire = {"include_usage": True}
    if request.ext is not None and request.ext.dialect == NAME:
        start = "stream_options."
        options |= {n[len(start) :]: json.raw(v) for n, v in request.ext.fields.items() if n.startswith(start)}
    out["stream_options"] = options
