"""An `ir.Request` of any dialect for a Chat Completions provider."""

from __future__ import annotations

from ... import ir, json, schemas, tools
from ...dialect import Headers, ToolRules, UpstreamRequest
from ...loss import Loss, Report
from .decode_parts import NAME
from .encode_messages import messages
from .encode_params import parameters
from .encode_parts import Scope, Wire, fields_of, mark
from .profile import profile

PATH = "/v1/chat/completions"

# 40 characters of an id: the limit older servers of OpenAI's put on calls; fitted ids are shorter anyway.
TOOL_RULES = ToolRules(max_id=40)

# For requests of Chat clients: they name and number as they like, the provider is the judge.
_NATIVE_RULES = ToolRules(custom=True, name_pattern=r"(?s).*", max_id=1 << 20, id_pattern=r"(?s).*")

_FORWARDED = ("openai-beta", "idempotency-key", "openai-organization", "openai-project")
"""Client headers that mean something to the same dialect."""


def encode(request: ir.Request, model: str | None, headers: Headers) -> tuple[UpstreamRequest, list[Loss]]:
    """Encode a request. Raises `RemoteProtocolError` for what must not be lost and cannot be said."""
    report = Report()
    name = request.model if model is None else model
    scope = Scope(request, name, profile(name), report)
    rules = _NATIVE_RULES if scope.native else TOOL_RULES
    lowered = tools.lower(request, rules, NAME, report)
    body: Wire = {"model": name, "messages": messages(scope, lowered)}
    body.update(_tools(scope, lowered))
    body.update(parameters(scope))
    report.ext(request.ext, NAME)
    if request.ext is not None and request.ext.dialect == NAME:
        _put_back(request.ext, body)
    forwarded = tuple((n, v) for n, v in headers if scope.native and n.lower() in _FORWARDED)
    return (
        UpstreamRequest(
            "POST",
            PATH,
            "",
            (
                ("content-type", "application/json"),
                ("accept", "text/event-stream" if request.stream else "application/json"),
                *forwarded,
            ),
            json.encode(body),
            request.stream,
        ),
        report.losses,
    )


def _put_back(ext: ir.Ext, body: Wire) -> None:
    """Unknown fields of the body; those with dots in their name belong into an object of it."""
    body.update(fields_of(ext))
    for name, value in ext.fields.items():
        if not name.startswith("response_format."):
            continue
        place: Wire = body
        *way, last = name.split(".")
        for step in way:
            inner = place.setdefault(step, {})
            assert isinstance(inner, dict)
            place = inner
        place[last] = json.raw(value)


# --- tools -----------------------------------------------------------------------------------------------


def _tools(scope: Scope, lowered: tools.Lowered) -> Wire:
    request = scope.request
    out: Wire = {}
    found = lowered.tools
    choice = lowered.choice
    if scope.native:
        choice = request.tool_choice
    elif choice is not None and choice.mode is ir.ToolChoiceMode.ALLOWED and not scope.profile.allowed_tools:
        found = tuple(t for t in found if not isinstance(t, ir.HostedTool) and t.name in choice.names)
        scope.report.degraded(request.wire_name("tool_choice"), "the tools that are not allowed were left out")
        mode = ir.ToolChoiceMode.REQUIRED if choice.required else ir.ToolChoiceMode.AUTO
        choice = ir.ToolChoice(mode) if found else None
    legacy = [t for t in found if scope.native and t.path.startswith("functions[")]
    modern = [t for t in found if t not in legacy]
    if modern:
        out["tools"] = [_tool(tool, scope) for tool in modern]
    if legacy:
        out["functions"] = [_function(t, scope) for t in legacy if isinstance(t, ir.Function)]
    if choice is not None:
        name = request.wire_name("tool_choice") if scope.native else "tool_choice"
        if scope.native and choice.raw is not None:
            out[name] = json.raw(choice.raw)
        else:
            out[name] = _choice(choice, legacy=name == "function_call")
    if scope.native:
        if request.parallel is not None:
            out["parallel_tool_calls"] = request.parallel
    elif modern and lowered.parallel is False:  # true is the default everywhere and refused by some
        out["parallel_tool_calls"] = False
    return out


def _tool(tool: ir.Tool, scope: Scope) -> object:
    if isinstance(tool, ir.HostedTool):
        return json.raw(tool.raw)
    if isinstance(tool, ir.Custom):
        scope.report.ext(tool.ext, NAME, tool.path)
        return {"type": "custom", "custom": _custom(tool), **fields_of(tool.ext)}
    return {"type": "function", "function": _function(tool, scope), **mark(tool, scope), **fields_of(tool.ext)}


def _function(tool: ir.Function, scope: Scope) -> Wire:
    scope.report.ext(tool.ext, NAME, tool.path)
    out: Wire = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if not scope.native:
        out["parameters"] = json.raw(schemas.with_properties(tool.schema))
    elif tool.schema is not None:
        out["parameters"] = json.raw(tool.schema)
    strict = tool.strict
    if strict and not scope.native and not schemas.is_strict(tool.schema or b"{}"):
        # OpenAI refuses to bind schemas with optional properties or open objects; others do bind them (A36).
        strict = False
        scope.report.degraded(f"{tool.path}.strict", "only schemas that require all they name can be strict here")
    if strict is not None:
        out["strict"] = strict
    inner = "function" if not tool.path.startswith("functions[") else ""
    out.update(fields_of(tool.ext, inner))
    return out


def _custom(tool: ir.Custom) -> Wire:
    out: Wire = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.definition is not None:
        grammar = {"definition": tool.definition, "syntax": tool.syntax or "lark"}
        out["format"] = {"type": "grammar", "grammar": grammar}
    out.update(fields_of(tool.ext, "custom"))
    return out


def _choice(choice: ir.ToolChoice, *, legacy: bool) -> object:
    if choice.mode is ir.ToolChoiceMode.TOOL:
        if legacy:
            return {"name": choice.names[0]}
        return _named(choice.names[0], choice.kind)
    if choice.mode is ir.ToolChoiceMode.ALLOWED:
        mode = "required" if choice.required else "auto"
        tools_ = [_named(name, choice.kind) for name in choice.names]
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools_}}
    return choice.mode.value


def _named(name: str, kind: ir.ToolKind) -> Wire:
    return {"type": kind.value, kind.value: {"name": name}}
