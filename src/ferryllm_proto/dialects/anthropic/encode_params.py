"""Parameters of a Messages request: thinking and effort, structured output, sampling, labels.

What the provider's model does not take is left out and reported; what changes the answer's shape is refused (G5). The
facts about models are in `capabilities`.
"""

from __future__ import annotations

from ... import ids, ir, json
from ...capabilities import Capabilities, Thinking, budget_of, clamp, effort_of
from ...loss import LOGPROBS, Report, wanted_logprobs, wish, wishes
from .encode_blocks import Block
from .schemas import closed_schema
from .wire import NAME

MIN_BUDGET = 1024
"""The API refuses less."""

MAX_USER = 256
"""Characters of ``metadata.user_id`` (API reference)."""


class ParamWriter:
    """Writes the parameters of one request into its body.

    ``own``: a client of this dialect goes to the model it asked for, so everything leaves as it was written.
    """

    def __init__(self, request: ir.Request, model: str, can: Capabilities, report: Report, *, own: bool) -> None:
        self.request = request
        self.model = model
        self.can = can
        # Servers that speak Messages with models of their own take what the first API took.
        self.adaptive = can.thinking in (Thinking.ADAPTIVE, Thinking.BOTH)
        self.report = report
        self.ours = request.dialect == NAME
        self.own = own

    def reasoning(self, body: Block, max_tokens: int) -> None:
        params = self.request.reasoning
        if params is None:
            return
        if self.own:
            _thinking_as_written(body, params)
            return
        path = self.request.wire_name("reasoning")
        thinking = self._thinking(params, max_tokens, path)
        if thinking is not None and thinking["type"] != "disabled":
            reason = self._unable(body, thinking)
            if reason is not None:
                self.report.degraded(path, reason)
                thinking = {"type": "disabled"}
        if thinking is not None:
            body["thinking"] = thinking
        self._effort(body, params, thinking, path)

    def _thinking(self, params: ir.ReasoningParams, max_tokens: int, path: str) -> Block | None:
        off = params.mode is ir.ThinkingMode.OFF or params.effort == "none" or params.budget == 0
        if off and params.mode in (None, ir.ThinkingMode.OFF):
            if self.can.restless:
                self._drop(f"{self.model} can not be told not to think")
                return None
            return None if self.can.thinking is Thinking.NONE else {"type": "disabled"}
        if self.can.thinking is Thinking.NONE:
            self._drop(f"{self.model} does not think aloud")
            return None
        if self.adaptive:
            if self.can.thinking is Thinking.BOTH and params.budget is not None:
                return self._budget(params, max_tokens, path)
            if params.mode is ir.ThinkingMode.BETWEEN_TOOLS:
                return {"type": "between_tools"}
            out: Block = {"type": "adaptive"}
            if params.show is not None:
                out["display"] = "omitted" if params.show == "omitted" else "summarized"
            return out
        if params.mode is None and params.effort is None and params.budget is None:
            self._drop("thoughts can be shown, but nothing asks for them")
            return None
        return self._budget(params, max_tokens, path)

    def _drop(self, why: str) -> None:
        for path in wishes(self.request):
            self.report.dropped(path, why)

    def _budget(self, params: ir.ReasoningParams, max_tokens: int, path: str) -> Block | None:
        budget = params.budget or budget_of(params.effort or "high")
        fitted = max(min(budget, max_tokens - 1), MIN_BUDGET)
        if fitted >= max_tokens:
            self._drop(f"there is no room to think in {max_tokens} tokens")
            return None
        if params.budget is not None and fitted != params.budget:
            self.report.degraded(
                wish(self.request, "budget"), f"the budget is {fitted} tokens: at least 1024 and less than the limit"
            )
        return {"type": "enabled", "budget_tokens": fitted}

    def _unable(self, body: Block, thinking: Block) -> str | None:
        """Why the API would refuse this request with thinking on."""
        choice = body.get("tool_choice")
        if isinstance(choice, dict) and choice["type"] in ("any", "tool"):
            return "thinking is off: the API refuses it together with a forced tool"
        if thinking["type"] == "enabled" and _unthought_loop(body["messages"]):
            return "thinking is off: the turn that called the tools has no signed thoughts of this model"
        return None

    def _effort(self, body: Block, params: ir.ReasoningParams, thinking: Block | None, path: str) -> None:
        effort = params.effort
        if effort is None and params.budget and self.adaptive:
            if thinking is not None and thinking["type"] != "adaptive":
                return
            effort = effort_of(params.budget)
            self.report.degraded(wish(self.request, "budget"), f"{self.model} takes no budget: effort {effort}")
        if effort is None or effort == "none" or params.mode is ir.ThinkingMode.OFF:
            return
        said = clamp(effort, () if self.can.thinking is Thinking.EFFORT else self.can.efforts or ())
        if said is None:
            return  # the budget says it
        if said != effort:
            self.report.degraded(
                wish(self.request, "effort"), f"{self.model} does not know the effort {effort}: {said}"
            )
        body.setdefault("output_config", {})["effort"] = said

    # --- the other parameters ---

    def format(self, body: Block) -> None:
        format_ = self.request.format
        if format_ is None or format_.kind is ir.FormatKind.TEXT:
            return
        path = self.request.wire_name("format")
        if format_.kind is ir.FormatKind.JSON_OBJECT or format_.schema is None:
            raise self.report.refuse(
                path, f"{NAME} has no JSON mode without a schema: give a json_schema, or ask for JSON in the prompt"
            )
        if not self.own and not self.can.structured_output:
            raise self.report.refuse(path, f"{self.model} has no structured output")
        schema, closed = (json.raw(format_.schema), False) if self.ours else closed_schema(format_.schema)
        if closed:
            self.report.degraded(
                self._format_path("schema"),
                "the API wants objects without further members: additionalProperties is false",
            )
        out: Block = {"type": "json_schema", "schema": schema}
        if path == "output_format":
            body[path] = out
        else:
            body.setdefault("output_config", {})["format"] = out
        if format_.name is not None:
            self.report.dropped(self._format_path("name"), f"{NAME} has no names of formats")
        if format_.description is not None:
            self.report.dropped(self._format_path("description"), f"{NAME} describes a format in its schema alone")

    def _format_path(self, member: str) -> str:
        name = f"format.{member}"
        return self.request.names.get(name) or f"{self.request.wire_name('format')}.{member}"

    def sampling(self, body: Block) -> None:
        request, report = self.request, self.report
        values = {
            name: value for name in ("temperature", "top_p", "top_k") if (value := getattr(request, name)) is not None
        }
        if self.own:
            body.update(values)
            return
        thinking = body.get("thinking", {}).get("type") in ("enabled", "adaptive", "between_tools")
        for name, value in values.items():
            if name != "top_k" and value == 1:
                continue  # the default, refused by nobody and needed by nobody
            if not getattr(self.can, name):
                report.dropped(request.wire_name(name), f"{self.model} refuses it")
            elif thinking and not (name == "top_p" and value >= 0.95):
                report.dropped(request.wire_name(name), "it can not be set while the model thinks")
            elif name == "temperature" and value > 1:
                report.degraded(request.wire_name(name), "the highest temperature is 1")
                body[name] = 1
            elif name == "top_p" and "temperature" in body and not self.can.together:
                report.dropped(request.wire_name(name), f"{self.model} refuses it together with a temperature")
            else:
                body[name] = value

    def stop(self, body: Block) -> None:
        if not self.request.stop:
            return
        if not self.own and any(not stop.strip() for stop in self.request.stop):
            raise self.report.refuse(
                self.request.wire_name("stop"), f"{NAME} takes no stop sequence of white space alone"
            )
        if not self.own and not self.can.stop:
            raise self.report.refuse(self.request.wire_name("stop"), f"{self.model} takes no stop sequences")
        body["stop_sequences"] = list(self.request.stop)

    def labels(self, body: Block) -> None:
        request, report = self.request, self.report
        user = request.user if request.user is not None else request.safety_id
        if user is not None:
            if len(user) > MAX_USER and not self.ours:
                name = request.wire_name("user" if request.user is not None else "safety_id")
                report.degraded(name, f"longer than {MAX_USER} characters: sent as a hash")
                user = f"user_{ids.short_hash(user, 32)}"
            body["metadata"] = {"user_id": user}
        if request.user is not None and request.safety_id not in (None, request.user):
            report.dropped(request.wire_name("safety_id"), f"{NAME} has one name for the user")
        tier = request.service_tier
        if tier is None:
            return
        if self.ours or tier == "auto":
            body["service_tier"] = tier
        elif tier == "default":
            body["service_tier"] = "standard_only"
        else:
            report.dropped(request.wire_name("service_tier"), f"{NAME} has no tier {tier}")


# --- pieces ----------------------------------------------------------------------------------------------


def _unthought_loop(messages: list[Block]) -> bool:
    """Whether the last assistant message calls tools and does not begin with a thought."""
    for message in reversed(messages):
        if message["role"] == "assistant":
            blocks = message["content"] if isinstance(message["content"], list) else []
            calls = any(block["type"] == "tool_use" for block in blocks)
            return calls and blocks[0]["type"] not in ("thinking", "redacted_thinking")
    return False


def _thinking_as_written(body: Block, params: ir.ReasoningParams) -> None:
    modes = {ir.ThinkingMode.ON: "enabled", ir.ThinkingMode.OFF: "disabled"}
    if params.mode is not None:
        thinking: Block = {"type": modes.get(params.mode, params.mode.value)}
        if params.budget is not None:
            thinking["budget_tokens"] = params.budget
        if params.show is not None:
            thinking["display"] = "summarized" if params.show == "summary" else params.show
        body["thinking"] = thinking
    if params.effort is not None:
        body.setdefault("output_config", {})["effort"] = params.effort


def refuse_contracts(request: ir.Request, report: Report) -> None:
    """Fields without which the answer is not what was asked for (G5)."""
    name = request.wire_name
    if request.n is not None and request.n > 1:
        raise report.refuse(name("n"), f"{NAME} gives one answer a request")
    if request.logprobs or request.top_logprobs or LOGPROBS in request.include:
        raise report.refuse(wanted_logprobs(request), f"{NAME} has no token probabilities")
    if request.previous_id is not None:
        raise report.refuse(name("previous_id"), f"{NAME} keeps no conversations: send the whole input")
    if request.conversation is not None:
        raise report.refuse(name("conversation"), f"{NAME} keeps no conversations: send the whole input")
    if request.background:
        raise report.refuse(name("background"), f"{NAME} does not answer later")


def drop_knobs(request: ir.Request, report: Report) -> None:
    """Fields that only tune: left out and reported."""
    for field in ("seed", "logit_bias", "verbosity", "cache_key", "cache_retention", "metadata"):
        if getattr(request, field) is not None:
            report.dropped(request.wire_name(field), f"{NAME} has no such parameter")
    for field in ("presence_penalty", "frequency_penalty"):
        if getattr(request, field):  # 0 is what everybody does
            report.dropped(request.wire_name(field), f"{NAME} has no penalties")
    if request.store:
        report.dropped(request.wire_name("store"), f"{NAME} keeps no answers")
    if request.truncation not in (None, "disabled"):
        report.dropped(request.wire_name("truncation"), f"{NAME} does not cut the input")
    for n, item in enumerate(request.include):
        if item and item != "reasoning.encrypted_content":  # signatures always come
            report.dropped(f"{request.wire_name('include')}[{n}]", f"{NAME} cannot include {item}")
