"""The parameters of a request: ``generationConfig`` and what other dialects have and this one has not."""

from __future__ import annotations

from typing import Any

from ... import capabilities, ir, json
from ...capabilities import Capabilities, Thinking
from ...loss import LOGPROBS, Report, wanted_logprobs, wish, wishes
from . import models, schemas
from .encode_parts import Block
from .wire import NAME

MAX_STOP = 5
"""Stop sequences the API takes."""
MAX_TEMPERATURE = 2

DYNAMIC = -1
"""``thinkingBudget`` of a model that shall decide by itself."""


class ParamWriter:
    """Writes ``generationConfig`` of one request.

    ``own``: a client of this dialect goes to the model it asked for, so everything leaves as it was written.
    """

    def __init__(self, request: ir.Request, model: str, able: Capabilities, report: Report, *, own: bool) -> None:
        self.request = request
        self.model = model
        self.able = able
        self.report = report
        self.ours = request.dialect == NAME
        self.own = own

    def config(self) -> Block:
        out: Block = {}
        self._sampling(out)
        self._limits(out)
        self._logprobs(out)
        self._format(out)
        self._thinking(out)
        return out

    def _sampling(self, out: Block) -> None:
        request, report = self.request, self.report
        temperature = request.temperature
        if temperature is not None:
            if not self.own and not self.able.temperature and temperature != 1:
                report.dropped(request.wire_name("temperature"), f"{self.model} refuses it")
            elif not self.own and temperature > MAX_TEMPERATURE:
                report.degraded(request.wire_name("temperature"), f"the highest temperature is {MAX_TEMPERATURE}")
                out["temperature"] = MAX_TEMPERATURE
            else:
                out["temperature"] = temperature
        for field, key in (("top_p", "topP"), ("top_k", "topK")):
            value = getattr(request, field)
            if value is None:
                continue
            if not self.own and not getattr(self.able, field):
                report.dropped(request.wire_name(field), f"{self.model} refuses it")
            else:
                out[key] = value
        for field, key in (("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty")):
            value = getattr(request, field)
            if value is None or (not self.ours and value == 0):  # 0 is what everybody does
                continue
            if not self.own and not self.able.penalties:
                report.dropped(request.wire_name(field), f"{self.model} has no penalties")
            else:
                out[key] = value
        if request.seed is not None:
            seed = request.seed
            if not self.own and not -(2**31) <= seed < 2**31:
                report.degraded(request.wire_name("seed"), "a seed has 32 bits here: the lowest are sent")
                seed = seed % 2**31
            out["seed"] = seed

    def _limits(self, out: Block) -> None:
        request = self.request
        if request.max_output is not None:
            limit = request.max_output
            if not self.ours and limit == 0:  # elsewhere 0 means: fill the cache and say nothing
                raise self.report.refuse(request.wire_name("max_output"), "an answer has at least one token")
            most = self.able.max_output_tokens
            if not self.own and most is not None and limit > most:
                self.report.degraded(
                    request.wire_name("max_output"), f"{self.model} answers with {most} tokens at most"
                )
                limit = most
            out["maxOutputTokens"] = limit
        if request.stop:
            if not self.own and len(request.stop) > MAX_STOP:
                raise self.report.refuse(request.wire_name("stop"), f"{NAME} takes {MAX_STOP} stop sequences at most")
            out["stopSequences"] = list(request.stop)
        if request.n is not None:
            if not self.ours and request.n > 1:
                raise self.report.refuse(request.wire_name("n"), "only one of several answers can be translated")
            if self.ours:
                out["candidateCount"] = request.n

    def _logprobs(self, out: Block) -> None:
        request = self.request
        if request.logprobs is None and request.top_logprobs is None:
            return
        wanted = bool(request.logprobs or request.top_logprobs)
        if wanted and not self.own and not self.able.logprobs:
            raise self.report.refuse(wanted_logprobs(request), f"{self.model} has no token probabilities")
        if request.logprobs is not None and (wanted or self.ours):
            out["responseLogprobs"] = request.logprobs
        elif request.top_logprobs and not self.ours:
            out["responseLogprobs"] = True
        if request.top_logprobs is not None and (request.top_logprobs or self.ours):
            out["logprobs"] = request.top_logprobs

    def _format(self, out: Block) -> None:
        format_ = self.request.format
        if format_ is None:
            return
        path = self.request.wire_name("format")
        if format_.kind is ir.FormatKind.TEXT:
            if self.ours:
                out["responseMimeType"] = "text/plain"
            return
        out["responseMimeType"] = "application/json"
        if format_.kind is ir.FormatKind.JSON_OBJECT or format_.schema is None:
            return
        if not self.own and not self.able.structured_output:
            raise self.report.refuse(path, f"{self.model} has no structured output")
        out.update(self._schema(format_.schema, path))
        for name in ("name", "description"):
            if getattr(format_, name) is not None:
                place = self.request.names.get(f"format.{name}") or f"{path}.{name}"
                self.report.dropped(place, f"{NAME} has no {name} of a format")

    def _schema(self, schema: bytes, path: str) -> Block:
        if self.ours:
            return {"responseJsonSchema": json.raw(schema)}
        if models.reads_json_schema(self.model):
            return {"responseJsonSchema": json.raw(schemas.cleaned(schema, self._removed(path)))}
        narrowed = schemas.narrowed(schema, self._removed(path))
        if narrowed is None:
            raise self.report.refuse(path, f"{self.model} takes no schema of objects without members")
        return {"responseSchema": json.raw(narrowed)}

    def _removed(self, path: str) -> schemas.Removed:
        at = self.request.names.get("format.schema") or f"{path}.schema"

        def removed(place: str, reason: str) -> None:
            self.report.dropped(f"{at}.{place}", reason)

        return removed

    # --- thinking (wire.md 7.4) ---

    def _thinking(self, out: Block) -> None:
        params = self.request.reasoning
        if params is None:
            return
        config = _as_written(params) if self.own else self._translated(params)
        if config or self.own:
            out["thinkingConfig"] = config

    def _translated(self, params: ir.ReasoningParams) -> Block:
        path = self.request.wire_name("reasoning")
        off = params.mode is ir.ThinkingMode.OFF or params.effort == "none" or params.budget == 0
        style = self.able.thinking
        if style is None:  # an unknown name is newer than this file, or no Gemini at all
            style = Thinking.EFFORT if models.is_gemini(self.model) else Thinking.NONE
        if style is Thinking.NONE:
            if not off:
                for place in wishes(self.request):
                    self.report.dropped(place, f"{self.model} does not think aloud")
            return {}
        config: Block = {}
        if style is Thinking.EFFORT:
            self._level(params, off, path, config)
        else:
            self._budget(params, off, path, config)
        shown = params.show != "omitted" if params.show is not None else params.mode in _SHOWN and not off
        if params.show is not None or shown:
            config["includeThoughts"] = shown
        if params.show not in (None, "summary", "omitted"):
            self.report.degraded(wish(self.request, "show"), f"{NAME} has one kind of summaries")
        return config

    def _level(self, params: ir.ReasoningParams, off: bool, path: str, config: Block) -> None:
        efforts = self.able.efforts or ("minimal", "low", "medium", "high")
        effort = params.effort
        if off:
            config["thinkingLevel"] = efforts[0].upper()
            self.report.degraded(path, f"{self.model} always thinks: level {efforts[0]}")
            return
        if effort is None and params.budget is not None:
            effort = capabilities.effort_of(params.budget)
            self.report.degraded(wish(self.request, "budget"), f"{self.model} takes no budget: level {effort}")
        elif params.budget is not None:
            self.report.dropped(wish(self.request, "budget"), f"{self.model} takes no budget: the effort counts")
        if effort is None:
            return
        said = capabilities.clamp(effort, efforts) or efforts[-1]
        if said != effort and params.effort is not None:
            self.report.degraded(
                wish(self.request, "effort"), f"{self.model} does not know the effort {effort}: {said}"
            )
        config["thinkingLevel"] = said.upper()

    def _budget(self, params: ir.ReasoningParams, off: bool, path: str, config: Block) -> None:
        least, most = self.able.budgets or (1, 24_576)
        if off:
            config["thinkingBudget"] = least if self.able.restless else 0
            if self.able.restless:
                self.report.degraded(path, f"{self.model} always thinks: a budget of {least} tokens")
            return
        budget = params.budget
        if budget is None and params.effort is not None:
            budget = min(capabilities.budget_of(params.effort), most)
        if budget is None:
            if params.mode is not None:
                config["thinkingBudget"] = DYNAMIC
            return
        fitted = max(least, min(budget, most))
        if params.budget is not None and fitted != params.budget:
            self.report.degraded(wish(self.request, "budget"), f"{self.model} thinks with {least} to {most} tokens")
        config["thinkingBudget"] = fitted


_SHOWN = (ir.ThinkingMode.ON, ir.ThinkingMode.ADAPTIVE, ir.ThinkingMode.BETWEEN_TOOLS)
"""Modes whose clients get the thoughts to see unless they say otherwise."""


def _as_written(params: ir.ReasoningParams) -> Block:
    config: Block = {}
    if params.show is not None:
        config["includeThoughts"] = params.show != "omitted"
    if params.budget is not None:
        config["thinkingBudget"] = params.budget
    elif params.mode is ir.ThinkingMode.ADAPTIVE:
        config["thinkingBudget"] = DYNAMIC
    if params.effort is not None:
        config["thinkingLevel"] = params.effort.upper()
    return config


# --- what has no place here ------------------------------------------------------------------------------


def refuse_contracts(request: ir.Request, report: Report) -> None:
    """Fields without which the answer is not what was asked for (G5)."""
    name = request.wire_name
    if request.previous_id is not None:
        raise report.refuse(name("previous_id"), f"{NAME} keeps no conversations: send the whole input")
    if request.conversation is not None:
        raise report.refuse(name("conversation"), f"{NAME} keeps no conversations: send the whole input")
    if request.background:
        raise report.refuse(name("background"), f"{NAME} does not answer later")


def drop_knobs(request: ir.Request, report: Report, *, tools: bool) -> None:
    """Fields that only tune: left out and reported."""
    for field in ("logit_bias", "verbosity", "cache_key", "cache_retention", "metadata", "user", "safety_id"):
        if getattr(request, field) is not None:
            report.dropped(request.wire_name(field), f"{NAME} has no such parameter")
    if request.store:
        report.dropped(request.wire_name("store"), f"{NAME} keeps no answers")
    if request.truncation not in (None, "disabled"):
        report.dropped(request.wire_name("truncation"), f"{NAME} does not cut the input")
    if request.parallel is False and tools:
        report.dropped(request.wire_name("parallel"), f"{NAME} can not be told to call one tool at a time")
    for n, item in enumerate(request.include):
        if item not in ("", LOGPROBS, "reasoning.encrypted_content"):  # signatures always come
            report.dropped(f"{request.wire_name('include')}[{n}]", f"{NAME} cannot include {item}")


def tier(request: ir.Request, report: Report, *, ours: bool) -> Any:
    """``serviceTier``; None where there is none to send."""
    found = request.service_tier
    if found is None:
        return None
    if ours:
        return {"default": "standard", "auto": "unspecified"}.get(found, found)
    if found in ("auto", "default"):
        return None
    if found in ("flex", "priority"):
        return found
    report.dropped(request.wire_name("service_tier"), f"{NAME} has no tier {found}")
    return None
