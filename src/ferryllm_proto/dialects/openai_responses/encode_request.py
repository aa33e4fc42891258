"""`ir.Request` of any dialect as the body for a Responses provider."""

from __future__ import annotations

from ... import capabilities, ids, ir, json, schemas
from ...capabilities import EFFORTS, Capabilities, Thinking, clamp, effort_of
from ...dialect import ToolRules, UpstreamRequest
from ...errors import RemoteProtocolError
from ...loss import Loss, Report, wanted_logprobs, wish, wishes
from ...rules import NO_RULES, ProviderRules
from ...tools import lower
from . import wire
from .encode_input import InputWriter
from .encode_tools import encode_choice, encode_tools

Wire = dict[str, object]

_SHOW = {"summary": "auto", "concise": "concise", "detailed": "detailed"}

_TIERS = {"standard_only": "default"}
"""Tiers of other dialects by their name here."""
_KNOWN_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})

_DROPPED = ("top_k", "seed", "presence_penalty", "frequency_penalty", "logit_bias")
"""Knobs without a place here (G5)."""

MIN_OUTPUT = 16
"""The least ``max_output_tokens`` may be (API reference)."""

_NOT_BOUND = "only schemas that require all they name bind the answer here: this one guides it"

_MAX_ID = 64
"""Characters of ``user`` and ``safety_identifier``."""


def encode_request(
    request: ir.Request,
    rules: ToolRules,
    model: str | None,
    headers: tuple[tuple[str, str], ...],
    provider: ProviderRules = NO_RULES,
) -> tuple[UpstreamRequest, list[Loss]]:
    """The request for a provider. Raises `RemoteProtocolError` for what must not be left out (G5)."""
    report = Report(request)
    own = request.dialect == wire.NAME
    target = model or request.model
    can = capabilities.of(target, provider)
    lowered = lower(request, rules, wire.NAME, report)
    body: Wire = {"model": target}
    writer = InputWriter(request, lowered, target, report)
    items = writer.write()
    if writer.instructions is not None:
        body["instructions"] = writer.instructions
    if items or not own or not _asks_elsewhere(request):
        body["input"] = items
    top = [tool for tool in lowered.tools if not (own and tool.path.startswith("input["))]
    if top:
        body["tools"] = encode_tools(top, own=own, report=report)
    if lowered.choice is not None:
        body["tool_choice"] = encode_choice(lowered.choice, own=own, tools=lowered.tools)
    if lowered.parallel is not None:
        body["parallel_tool_calls"] = lowered.parallel
    elif own and request.parallel is not None:
        body["parallel_tool_calls"] = request.parallel
    _sampling(body, request, target, can, report)
    _reasoning(body, request, target, can, report)
    text = text_config(request, own=own, report=report)
    if text:
        body["text"] = text
    _identity(body, request, own, report)
    _state(body, request, own)
    if request.stream:
        body["stream"] = True
    _ext(body, request, report)
    upstream = UpstreamRequest("POST", "/v1/responses", "", headers, json.encode(body), request.stream)
    return upstream, report.losses


def _asks_elsewhere(request: ir.Request) -> bool:
    """Whether the prompt is kept by the provider, so that no input is fine."""
    return (request.ext is not None and "prompt" in request.ext.fields) or request.conversation is not None


def _sampling(body: Wire, request: ir.Request, model: str, can: Capabilities, report: Report) -> None:
    if request.n is not None and request.n != 1:
        raise report.refuse(request.wire_name("n"), "a Responses provider gives one answer")
    if request.stop:
        raise report.refuse(request.wire_name("stop"), "a Responses provider has no stop sequences")
    for field in _DROPPED:
        value = getattr(request, field)
        if value is not None and not (field.endswith("penalty") and value == 0):  # 0 is what everybody does
            report.dropped(request.wire_name(field), "a Responses provider has no such parameter")
    own = request.dialect == wire.NAME
    if request.max_output is not None:
        body["max_output_tokens"] = request.max_output
        if request.max_output < MIN_OUTPUT and not own:
            if request.max_output == 0:  # Messages: only fill the cache
                raise report.refuse(request.wire_name("max_output"), "an answer has at least one token here")
            body["max_output_tokens"] = MIN_OUTPUT
            report.degraded(request.wire_name("max_output"), f"the least a Responses provider takes is {MIN_OUTPUT}")
        elif can.max_output_tokens is not None and request.max_output > can.max_output_tokens and not own:
            body["max_output_tokens"] = can.max_output_tokens
            report.degraded(request.wire_name("max_output"), f"the most {model} takes is {can.max_output_tokens}")
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is None:
            continue
        if own or getattr(can, name):
            body[name] = value
        elif value != 1:  # 1 is the default: not to send it loses nothing
            report.dropped(request.wire_name(name), f"{model} refuses it")
    if (request.top_logprobs or request.logprobs) and not own and not can.logprobs:
        raise report.refuse(wanted_logprobs(request), f"{model} gives no probabilities")
    if request.top_logprobs is not None and (own or request.top_logprobs):
        body["top_logprobs"] = request.top_logprobs


def _reasoning(body: Wire, request: ir.Request, model: str, can: Capabilities, report: Report) -> None:
    own = request.dialect == wire.NAME
    include = [item for item in request.include if item] if own else []
    if request.logprobs and wire.LOGPROBS not in include:
        include.append(wire.LOGPROBS)
    params = request.reasoning
    if params is not None and not own and can.thinking is Thinking.NONE:
        if params.mode is not ir.ThinkingMode.OFF and params.effort != "none":
            for path in wishes(request):
                report.dropped(path, f"{model} does not reason")
        params = None
    if params is not None:
        out: Wire = {}
        effort = params.effort
        if params.mode is ir.ThinkingMode.OFF:
            effort = "none"
        elif effort is None and params.budget is not None:
            effort = effort_of(params.budget)
        if params.budget is not None and effort != "none":
            report.degraded(wish(request, "budget"), f"a budget is not taken here: effort {effort}")
        if effort is not None and not own and effort not in EFFORTS:
            report.dropped(wish(request, "effort"), f"there is no effort {effort!r:.40} here")
            effort = None
        if effort is not None and not own:
            effort = _fitted(effort, can, request, model, report)
        if effort is not None:
            out["effort"] = effort
        wants = params.mode not in (None, ir.ThinkingMode.OFF)
        show = _SHOW.get(params.show or "") or ("auto" if wants and params.show is None else None)
        if (show is not None and effort != "none") or (own and show is not None):
            out["summary"] = show
        body["reasoning"] = out
        if not own and effort != "none" and wire.ENCRYPTED not in include:
            include.append(wire.ENCRYPTED)  # nothing is stored, so the next turn has to bring it
    if include:
        body["include"] = include


def _fitted(effort: str, can: Capabilities, request: ir.Request, model: str, report: Report) -> str | None:
    """``effort`` in the words the model takes; None where it takes none."""
    if can.efforts is None:
        return effort
    said = clamp(effort, can.efforts)
    if said is None and can.restless and can.efforts:
        said = can.efforts[0]  # the least there is
    if said is None:
        report.dropped(wish(request, "effort"), f"{model} can not be told how much to think")
    elif said != effort:
        report.degraded(wish(request, "effort"), f"{model} does not know the effort {effort}: {said}")
    return said


def text_config(request: ir.Request, *, own: bool, report: Report | None = None) -> Wire:
    """The members of ``text``; none where the client asked for nothing."""
    out: Wire = {}
    form = request.format
    if form is not None:
        shape: Wire = {"type": form.kind.value}
        if form.kind is ir.FormatKind.JSON_SCHEMA:
            shape["name"] = form.name or "response"
            if form.description is not None:
                shape["description"] = form.description
            shape["schema"] = json.raw(form.schema or b"{}")
            strict = form.strict
            if strict is None and not own:
                # Messages formats always bind; Chat's bind only when asked. Strict refuses schemas that are not.
                binding = request.dialect == "anthropic"
                strict = binding and schemas.is_strict(form.schema or b"{}")
                if binding and not strict and report is not None:
                    report.degraded(request.wire_name("format.schema"), _NOT_BOUND)
            if strict is not None:
                shape["strict"] = strict
        out["format"] = shape
    if request.verbosity is not None:
        out["verbosity"] = request.verbosity
    return out


def _identity(body: Wire, request: ir.Request, own: bool, report: Report) -> None:
    for name, value in (("user", request.user), ("safety_identifier", request.safety_id)):
        if value is not None:
            # Claude Code's id is JSON and long (A37): the same short one stands for it in every request.
            fits = own or len(value) <= _MAX_ID
            body[name] = value if fits else f"user_{ids.short_hash(value, 24)}"
            if not fits:
                report.degraded(request.wire_name("user" if name == "user" else "safety_id"), "shortened to a hash")
    if request.metadata is not None:
        if own or _fits_metadata(request.metadata):
            body["metadata"] = json.raw(request.metadata)
        else:
            report.dropped("metadata", "only 16 strings of at most 512 characters fit here")
    if request.service_tier is not None:
        tier = _TIERS.get(request.service_tier, request.service_tier)
        if own or tier in _KNOWN_TIERS:
            body["service_tier"] = tier
        else:
            report.dropped(request.wire_name("service_tier"), f"there is no tier {tier!r:.40} here")
    if request.cache_key is not None:
        body["prompt_cache_key"] = request.cache_key
    if request.cache_retention is not None:
        body["prompt_cache_retention"] = request.cache_retention


def _fits_metadata(metadata: bytes) -> bool:
    try:
        value = json.loads(metadata)
    except RemoteProtocolError:
        return False
    return (
        isinstance(value, dict)
        and len(value) <= 16
        and all(isinstance(v, str) and len(v) <= 512 and len(k) <= 64 for k, v in value.items())
    )


def _state(body: Wire, request: ir.Request, own: bool) -> None:
    if request.store is not None:
        body["store"] = request.store
    elif not own:
        body["store"] = False  # the provider's default is to keep everything, which no other dialect's client expects
    if request.previous_id is not None:
        body["previous_response_id"] = request.previous_id
    if request.conversation is not None:
        body["conversation"] = json.raw(request.conversation)
    if request.background is not None:
        body["background"] = request.background
    if request.truncation is not None:
        body["truncation"] = request.truncation


_SHARED = frozenset({"moderation", "prompt_cache_options", "stream_options.include_obfuscation"})
"""What OpenAI's Chat Completions has under the same name and the representation has not."""


def shared_with_chat(ext: ir.Ext) -> dict[str, bytes]:
    """Fields of a Chat client that Responses has too."""
    return {name: raw for name, raw in ext.fields.items() if ext.dialect == "openai" and name in _SHARED}


def _ext(body: Wire, request: ir.Request, report: Report) -> None:
    ext = request.ext
    if ext is None:
        return
    if ext.dialect != wire.NAME:
        shared = shared_with_chat(ext)
        for name, raw in shared.items():
            *outer, last = name.split(".")
            place_ = body
            for step in outer:
                place_ = place_.setdefault(step, {})  # type: ignore[assignment]  # only objects are put there
            place_[last] = json.raw(raw)
        report.ext(ext, wire.NAME, known=shared)
        return
    for name, raw in ext.fields.items():
        if name.startswith((".", "input[", "tool_choice.")):
            continue  # an item's, written with it; or in the choice's own bytes
        place, rest = body, name
        for head in ("reasoning.", "stream_options.", "text.format.", "text."):
            if name.startswith(head):
                rest = name[len(head) :]
                for key in head.rstrip(".").split("."):
                    inner = place.setdefault(key, {})
                    assert isinstance(inner, dict)
                    place = inner
                break
        place[rest] = json.raw(raw)
