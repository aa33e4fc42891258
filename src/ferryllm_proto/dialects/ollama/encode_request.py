"""An `ir.Request` of any dialect for a provider of Ollama's API."""

from __future__ import annotations

from ... import ir, json, tools
from ...dialect import ToolRules, UpstreamRequest
from ...loss import Loss, Report
from ...schemas import with_properties
from . import schemas
from .encode_messages import Wire, fields_of, messages
from .encode_params import parameters
from .encode_parts import Content, Scope, mark
from .wire import CHAT_PATH, GENERATE_PATH, NAME

TOOL_RULES = ToolRules()
"""The server takes any name; those of Chat are what its models were trained on."""

_NATIVE_RULES = ToolRules(name_pattern=r"(?s).*", max_id=1 << 20, id_pattern=r"(?s).*")
"""Clients of Ollama name and number as they like; the provider is the judge."""


def encode(request: ir.Request, model: str | None) -> tuple[UpstreamRequest, list[Loss]]:
    """The request to send. Raises `RemoteProtocolError` for what must not be lost and cannot be said (G5)."""
    report = Report(request)
    name = request.model if model is None else model
    scope = Scope(request, name, report)
    report.ext(request.ext, NAME)
    generate = scope.native and request.wire_name("turns") == "prompt"
    body: Wire = {"model": name, **(_prompt(scope) if generate else _conversation(scope)), **parameters(scope)}
    if scope.native:
        _put_back(request.ext, body)
    kind = "application/x-ndjson" if request.stream else "application/json"
    out = (("content-type", "application/json"), ("accept", kind))
    path = GENERATE_PATH if generate else CHAT_PATH
    return UpstreamRequest("POST", path, "", out, json.encode(body), request.stream), report.losses


def _conversation(scope: Scope) -> Wire:
    lowered = tools.lower(scope.request, _NATIVE_RULES if scope.native else TOOL_RULES, NAME, scope.report)
    out: Wire = {"messages": messages(scope, lowered)}
    found = _tools(scope, lowered)
    if found:
        out["tools"] = found
    return out


def _prompt(scope: Scope) -> Wire:
    """The thin form, back to where it came from."""
    content = Content(scope)
    for turn in scope.request.turns:
        for part in turn.parts:
            content.add(part)
    out: Wire = {}
    ext = scope.request.ext.fields if scope.request.ext is not None else {}
    if ".prompt" not in ext:
        out["prompt"] = content.text
    if content.images:
        out["images"] = content.images
    if scope.request.system or ".system" in ext:
        out["system"] = "".join(text.text for text in scope.request.system)
    return out


def _put_back(ext: ir.Ext | None, body: Wire) -> None:
    """Unknown fields of the client's own dialect; those of ``options`` are there already."""
    body.update(fields_of(ext))


def _tools(scope: Scope, lowered: tools.Lowered) -> list[object]:
    """The tools; there is no choice among them to be sent (wire.md 7.3)."""
    request, report = scope.request, scope.report
    found, choice = lowered.tools, lowered.choice
    path = request.wire_name("tool_choice")
    if choice is not None:
        if choice.mode is ir.ToolChoiceMode.NONE:
            return []  # nobody calls what he does not know of
        if choice.required or choice.mode in (ir.ToolChoiceMode.REQUIRED, ir.ToolChoiceMode.TOOL):
            raise report.refuse(path, "Ollama cannot be told to call a tool: leave the choice to the model (auto)")
        if choice.mode is ir.ToolChoiceMode.ALLOWED:
            kept = tuple(tool for tool in found if not isinstance(tool, ir.HostedTool) and tool.name in choice.names)
            if len(kept) < len(found):
                report.degraded(path, "the tools that are not allowed were left out of the list")
            found = kept
    if found and lowered.parallel is False:
        report.dropped(request.wire_name("parallel"), "Ollama cannot be told to make one call at a time")
    return [_tool(tool, scope) for tool in found]


def _tool(tool: ir.Tool, scope: Scope) -> object:
    if isinstance(tool, ir.HostedTool):
        return json.raw(tool.raw)
    assert isinstance(tool, ir.Function)  # freeform tools were lowered to functions
    scope.report.ext(tool.ext, NAME, tool.path)
    mark(tool, scope)
    if tool.strict:
        scope.report.dropped(scope.report.at(tool.path, "strict"), "arguments are not bound to their schema here")
    function: Wire = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    elif not scope.native:
        function["description"] = ""  # the server's templates show it
    if scope.native:
        if tool.schema is not None:
            function["parameters"] = json.raw(tool.schema)
    else:
        schema = schemas.readable(tool.schema)
        if schema != with_properties(tool.schema):
            scope.report.degraded(tool.path, "what the server cannot read of the parameters' schema was left out")
        function["parameters"] = json.raw(schema)
    return {"type": "function", "function": {**function, **fields_of(tool.ext, "function.")}, **fields_of(tool.ext)}
