"""The parameters of a request for Ollama: ``options``, ``think``, ``format`` and the fields beside them.

Contract fields that cannot be said are refused, tuning knobs dropped with a report (translation.md G5).
"""

from __future__ import annotations

from ... import ir, json
from ...loss import wish, wishes
from ...tokens.estimate import estimate_input
from . import models
from .decode_request import FORMAT, LEVELS, NO_LIMIT
from .encode_parts import Scope
from .wire import NAME

Wire = dict[str, object]

DEFAULT_CONTEXT = 4096
"""Tokens of context a server uses for every model unless it is told otherwise (``OLLAMA_CONTEXT_LENGTH``, a Modelfile,
``options.num_ctx``); servers with much graphics memory take more. What does not fit it leaves out in silence, from the
oldest message on (translation.md B24)."""

_ALWAYS_LEVELS = {"minimal": "low", "xhigh": "high", "max": "high"}
"""Efforts that models with levels have other words for."""


def parameters(scope: Scope) -> Wire:
    """Everything beside model, messages and tools."""
    out: Wire = {}
    _format(scope, out)
    _options(scope, out)
    _think(scope, out)
    _logprobs(scope, out)
    _contract(scope)
    _knobs(scope)
    _truncation(scope, out)
    out["stream"] = scope.request.stream  # true is the default here
    return out


def _options(scope: Scope, out: Wire) -> None:
    request = scope.request
    found: Wire = {}
    for name in ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty"):
        if (value := getattr(request, name)) is not None:
            found[name] = value
    if request.max_output is not None:
        if request.max_output == 0:  # here it means: no limit
            raise scope.report.refuse(request.wire_name("max_output"), "an answer has at least one token here")
        found["num_predict"] = request.max_output
    if request.stop:
        found["stop"] = list(request.stop)
    ext = request.ext.fields if request.ext is not None and request.ext.dialect == NAME else {}
    if NO_LIMIT in ext:
        found["num_predict"] = json.raw(ext[NO_LIMIT])
    found |= {name[8:]: json.raw(value) for name, value in ext.items() if name.startswith("options.")}
    if found:
        out["options"] = found
    _context(scope, "num_ctx" in found)


def _context(scope: Scope, known: bool) -> None:
    """Report an input that the server's default context will not hold.

    The gateway does not choose ``num_ctx`` itself: another value makes the server load the model anew, and its memory
    may not hold it. An estimate within its error of the limit is taken for one that fits.
    """
    if known or scope.native:
        return
    tokens = estimate_input(scope.request)
    if tokens > DEFAULT_CONTEXT:
        scope.report.degraded(
            scope.request.wire_name("turns"),
            f"about {tokens} tokens: where the server's context is the default of {DEFAULT_CONTEXT}, it leaves out the"
            " oldest in silence; raise OLLAMA_CONTEXT_LENGTH there, or num_ctx in the model's Modelfile",
        )


def _think(scope: Scope, out: Wire) -> None:
    params = scope.request.reasoning
    if params is None:
        return
    request, report = scope.request, scope.report
    if scope.native:
        out["think"] = params.effort if params.effort is not None else params.mode is ir.ThinkingMode.ON
        return
    path = request.wire_name("reasoning")
    if params.show not in (None, "omitted"):
        report.dropped(wish(request, "show"), "Ollama shows all that its models think")
    if params.mode is ir.ThinkingMode.BETWEEN_TOOLS:
        report.degraded(path, "Ollama cannot be told when to think")
    off = params.mode is ir.ThinkingMode.OFF or params.effort == "none" or params.budget == 0
    if params.mode is None and params.effort is None and params.budget is None:
        return
    if not models.thinks(scope.model):
        if not off:
            for place in wishes(request):
                report.dropped(place, f"{scope.model} does not think")
        return
    if off:
        out["think"] = False
        return
    out["think"] = _level(scope, params)


def _level(scope: Scope, params: ir.ReasoningParams) -> object:
    """``true``, or how much where the model takes words for it."""
    request, report = scope.request, scope.report
    path = wish(request, "effort" if params.effort is not None else "budget")
    if not models.takes_levels(scope.model):
        if params.effort is not None:
            report.degraded(path, f"{scope.model} thinks or does not: sent as true")
        if params.budget is not None:
            report.dropped(wish(request, "budget"), "Ollama has no budget for thoughts")
        return True
    word = params.effort or _word_for(params.budget)
    if word is None:
        return True
    level = _ALWAYS_LEVELS.get(word, word)
    level = level if level in LEVELS else "medium"
    if level != params.effort:
        report.degraded(path, f"said as think {level}")
    return level


def _word_for(budget: int | None) -> str | None:
    """A budget in tokens as a word (wire.md 7.4)."""
    if budget is None:
        return None
    return "low" if budget < 6144 else "medium" if budget < 14336 else "high"


def _format(scope: Scope, out: Wire) -> None:
    found, request = scope.request.format, scope.request
    if found is None:
        spelled = request.ext.fields.get(FORMAT) if request.ext is not None and scope.native else None
        if spelled is not None:
            out["format"] = json.raw(spelled)
        return
    if found.kind is ir.FormatKind.JSON_OBJECT or (found.kind is ir.FormatKind.JSON_SCHEMA and found.schema is None):
        out["format"] = "json"
    elif found.kind is ir.FormatKind.JSON_SCHEMA and found.schema is not None:
        out["format"] = json.raw(found.schema)
        for name in ("name", "description"):
            if getattr(found, name) is not None:
                path = request.names.get(f"format.{name}") or f"{request.wire_name('format')}.{name}"
                scope.report.dropped(path, f"a schema has no {name} beside it here")


def _logprobs(scope: Scope, out: Wire) -> None:
    request = scope.request
    logprobs, top = request.logprobs, request.top_logprobs
    if not scope.native:
        if "message.output_text.logprobs" in request.include or top:
            logprobs = True
        top = top or None
    if logprobs is not None:
        out["logprobs"] = logprobs
    if top is not None:
        out["top_logprobs"] = top


def _contract(scope: Scope) -> None:
    """Fields without which the answer is not what was asked for (G5)."""
    request, report = scope.request, scope.report
    name = request.wire_name
    if request.n is not None and request.n > 1:
        raise report.refuse(name("n"), "Ollama gives one answer a request")
    if request.previous_id is not None:
        raise report.refuse(name("previous_id"), "Ollama keeps no conversations: send the whole input")
    if request.conversation is not None:
        raise report.refuse(name("conversation"), "Ollama keeps no conversations: send the whole input")
    if request.background:
        raise report.refuse(name("background"), "Ollama does not answer later")


_USUAL = ("auto", "default", "standard_only")
"""Words for the service everybody gets."""


def _knobs(scope: Scope) -> None:
    request, report = scope.request, scope.report
    for field in (
        "logit_bias",
        "verbosity",
        "service_tier",
        "cache_key",
        "cache_retention",
        "metadata",
        "user",
        "safety_id",
    ):
        if getattr(request, field) not in (None, *_USUAL):
            report.dropped(request.wire_name(field), "Ollama has no such parameter")
    if request.store:
        report.dropped(request.wire_name("store"), "Ollama keeps no answers")
    for n, item in enumerate(request.include):
        if item and item != "message.output_text.logprobs":
            report.dropped(f"{request.wire_name('include')}[{n}]", f"Ollama cannot include {item}")


def _truncation(scope: Scope, out: Wire) -> None:
    """Whether an input that is too long may be cut: the same switch under another name."""
    if scope.request.truncation in ("auto", "disabled"):
        out["truncate"] = scope.request.truncation == "auto"
