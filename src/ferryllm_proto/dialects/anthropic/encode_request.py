"""`ir.Request` of any dialect to a Messages request.

What a client of this dialect wrote for the model it asked for leaves as it came, unknown fields included. For all
others what the model can do (`capabilities`) decides about sampling, thinking and effort, so that no request fails for
a knob.
"""

from __future__ import annotations

from typing import Any

from ... import capabilities, ir, json, tools
from ...dialect import Headers, ToolRules, UpstreamRequest
from ...loss import Loss, Report
from ...rules import NO_RULES, ProviderRules
from . import encode_turns
from .encode_blocks import Block, BlockWriter
from .encode_params import ParamWriter, drop_knobs, refuse_contracts
from .schemas import object_schema
from .wire import NAME

PATH = "/v1/messages"
COUNT_PATH = "/v1/messages/count_tokens"

TOOL_RULES = ToolRules(
    name_pattern=r"[a-zA-Z0-9_-]{1,128}",
    max_name=128,
    id_prefix="toolu_",
    max_id=256,  # no limit is documented; ours only keeps ids from being used as storage
)

MAX_CACHE_MARKS = 4
"""Breakpoints the API takes in one request (A40)."""

MID_SYSTEM_BETA = "mid-conversation-system"
MID_SYSTEM_VERSION = "2026-10-21"

_CHOICES = {
    ir.ToolChoiceMode.AUTO: "auto",
    ir.ToolChoiceMode.REQUIRED: "any",
    ir.ToolChoiceMode.TOOL: "tool",
    ir.ToolChoiceMode.NONE: "none",
}

_UNCOUNTED = ("max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier")
"""Fields ``count_tokens`` refuses."""


def encode(
    request: ir.Request,
    model: str | None,
    headers: Headers,
    forwarded: tuple[tuple[str, str], ...],
    rules: ProviderRules = NO_RULES,
) -> tuple[UpstreamRequest, list[Loss]]:
    """The request to send. Raises `RemoteProtocolError` for what must not be left out (G5).

    ``forwarded`` are the headers that go along; ``headers`` are the client's, for what they unlock.
    """
    report = Report(request)
    body = json.encode(_Encoding(request, model or request.model, headers, report, rules).body())
    return UpstreamRequest("POST", PATH, "", forwarded, body, request.stream), report.losses


def encode_count(
    request: ir.Request,
    model: str | None,
    headers: Headers,
    forwarded: tuple[tuple[str, str], ...],
    rules: ProviderRules = NO_RULES,
) -> tuple[UpstreamRequest, list[Loss]]:
    """The same conversation as a question for its number of tokens."""
    report = Report(request)
    body = _Encoding(request, model or request.model, headers, report, rules).body()
    counted = {name: value for name, value in body.items() if name not in _UNCOUNTED}
    return UpstreamRequest("POST", COUNT_PATH, "", forwarded, json.encode(counted), False), report.losses


class _Encoding:
    """One request being written."""

    def __init__(self, request: ir.Request, model: str, headers: Headers, report: Report, rules: ProviderRules) -> None:
        self.request = request
        self.model = model
        self.report = report
        self.can = capabilities.of(model, rules)
        self.ours = request.dialect == NAME
        self.own = self.ours and model == request.model
        self.lowered = tools.lower(request, TOOL_RULES, NAME, report)
        self.writer = BlockWriter(request, model, self.lowered, report, own=self.own)
        self.mid_system = self.ours and (self.can.mid_system or _unlocks_mid_system(headers))

    def body(self) -> Block:
        request = self.request
        if not self.ours:
            refuse_contracts(request, self.report)
            drop_knobs(request, self.report)
        body: Block = {"model": self.model}
        if request.max_output == 0 and not self.ours:  # here 0 means: fill the cache and say nothing
            raise self.report.refuse(request.wire_name("max_output"), "an answer has at least one token")
        max_tokens = self._max_tokens()
        body["max_tokens"] = max_tokens
        if request.stream:
            body["stream"] = True
        if request.system:
            body["system"] = self._system()
        if self.lowered.tools:
            body["tools"] = [self._tool(tool) for tool in self.lowered.tools]
        if self.own and (self.mid_system or all(turn.role is not ir.Role.SYSTEM for turn in request.turns)):
            body["messages"] = encode_turns.as_written(request.turns, self.writer)
        else:
            body["messages"] = encode_turns.shaped(
                request.turns,
                self.writer,
                self.report,
                prefill=self.can.prefill,
                mid_system=self.mid_system,
            )
        self._tool_choice(body)
        if not self.own:
            self._missing_tools(body)
        params = ParamWriter(request, self.model, self.can, self.report, own=self.own)
        params.reasoning(body, max_tokens)
        params.format(body)
        params.sampling(body)
        params.stop(body)
        params.labels(body)
        self._ext(body)
        if not self.own:
            self._limit_cache_marks(body)
        return body

    def _max_tokens(self) -> int:
        """The limit the API wants in every request: the client's, within the model's; else the model's usual (C7)."""
        asked, most = self.request.max_output, self.can.max_output_tokens
        if asked is None:
            return self.can.default_max_tokens
        if self.own or most is None or asked <= most:
            return asked
        self.report.degraded(self.request.wire_name("max_output"), f"the most {self.model} takes is {most}")
        return most

    # --- system and tools ---

    def _system(self) -> Any:
        system = self.request.system
        plain = self.writer.plain(system)
        if plain is not None and (plain.strip() or self.own):
            return plain
        return self.writer.blocks(system)

    def _tool(self, tool: ir.Tool) -> Any:
        if isinstance(tool, ir.HostedTool):
            return json.raw(tool.raw)
        assert isinstance(tool, ir.Function)  # freeform tools were lowered to functions
        out: Block = {"name": tool.name}
        if tool.description is not None:
            out["description"] = tool.description
        if tool.schema is not None or not self.ours:
            out["input_schema"] = json.raw(tool.schema) if self.ours and tool.schema else object_schema(tool.schema)
        if tool.strict is not None and (tool.strict or self.ours):
            if self.own or self.can.structured_output:
                out["strict"] = tool.strict
            else:
                self.report.dropped(self.report.at(tool.path, "strict"), f"{self.model} has no strict tools")
        self.writer.cache(out, tool.cache, tool.path)
        self.writer.ext(out, tool.ext, tool.path)
        return out

    def _tool_choice(self, body: Block) -> None:
        choice, parallel = self.lowered.choice, self.lowered.parallel
        if choice is None:
            if self.ours and self.request.tool_choice is not None:
                choice, parallel = self.request.tool_choice, self.request.parallel
            elif parallel is False:
                choice = ir.ToolChoice(ir.ToolChoiceMode.AUTO)
            else:
                return
        if choice.mode is ir.ToolChoiceMode.HOSTED:
            body["tool_choice"] = json.raw(choice.raw or b'{"type":"auto"}')
            return
        if choice.mode is ir.ToolChoiceMode.ALLOWED:
            choice = self._allowed(body, choice)
        out: Block = {"type": _CHOICES[choice.mode]}
        if choice.mode is ir.ToolChoiceMode.TOOL:
            out["name"] = choice.names[0]
        if parallel is not None and (self.ours or (not parallel and choice.mode is not ir.ToolChoiceMode.NONE)):
            out["disable_parallel_tool_use"] = not parallel
        body["tool_choice"] = out

    def _missing_tools(self, body: Block) -> None:
        """Calls in the history want tools in the list (B15): their names, and that none may be called."""
        if "tools" in body:
            return
        blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
        names = dict.fromkeys(block["name"] for block in blocks if block["type"] == "tool_use")
        if names:
            body["tools"] = [{"name": name, "input_schema": object_schema(None)} for name in names]
            body["tool_choice"] = {"type": "none"}
            self.report.degraded("tools", "the API wants the tools of earlier calls: listed, and none may be called")

    def _allowed(self, body: Block, choice: ir.ToolChoice) -> ir.ToolChoice:
        """A subset: the other tools are left out of the list (wire.md 7.3)."""
        path = self.request.wire_name("tool_choice")
        kept = [item for item, tool in zip(body["tools"], self.lowered.tools, strict=True) if tool.name in choice.names]
        if not kept:
            raise self.report.refuse(path, "none of the allowed tools is in the list of tools")
        if len(kept) < len(body["tools"]):
            self.report.degraded(path, "the tools that are not allowed were left out of the list")
        body["tools"] = kept
        return ir.ToolChoice(ir.ToolChoiceMode.REQUIRED if choice.required else ir.ToolChoiceMode.AUTO)

    # --- the rest ---

    def _ext(self, body: Block) -> None:
        ext = self.request.ext
        if ext is None:
            return
        if ext.dialect != NAME:
            self.report.ext(ext, NAME)
            return
        for name, value in ext.fields.items():
            outer, dot, inner = name.rpartition(".")
            target = body
            for step in outer.split(".") if dot else ():
                target = target.setdefault(step, {})
            target[inner] = json.raw(value)

    def _limit_cache_marks(self, body: Block) -> None:
        """Keep the last breakpoints: each covers all that is before it (A40)."""
        marked = [block for block in _cacheable(body) if "cache_control" in block]
        free = MAX_CACHE_MARKS - ("cache_control" in body)
        for block in marked[: max(0, len(marked) - free)]:
            del block["cache_control"]
            self.report.dropped("cache_control", f"the API takes {MAX_CACHE_MARKS} breakpoints: the last stay")


# --- pieces ----------------------------------------------------------------------------------------------


def _cacheable(body: Block) -> list[Block]:
    """Every object that may hold a breakpoint, in the order the cache is built."""
    out = [tool for tool in body.get("tools", []) if isinstance(tool, dict)]
    system = body.get("system")
    if isinstance(system, list):
        out.extend(system)
    for message in body["messages"]:
        if isinstance(message["content"], list):
            for block in message["content"]:
                inner = block.get("content")
                if isinstance(inner, list):
                    out.extend(inner)
                out.append(block)
    return out


def _unlocks_mid_system(headers: Headers) -> bool:
    """Whether the client's headers allow system messages inside the conversation."""
    for name, value in headers:
        lower = name.lower()
        if lower == "anthropic-beta" and MID_SYSTEM_BETA in value:
            return True
        if lower == "anthropic-version" and value >= MID_SYSTEM_VERSION:
            return True
    return False
