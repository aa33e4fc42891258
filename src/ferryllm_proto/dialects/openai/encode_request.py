"""An `ir.Request` of any dialect for a Chat Completions provider."""

from __future__ import annotations

from collections.abc import Sequence

from ... import ir, json, schemas, tools
from ...dialect import Headers, ToolRules, UpstreamRequest
from ...loss import Loss, Report
from ...rules import NO_RULES, ProviderRules
from ...toolsets import SETS, keep
from ...words import AskWriter, CacheKeys
from . import plain
from .decode_parts import NAME
from .encode_messages import messages
from .encode_params import parameters
from .encode_parts import Scope, Wire, fields_of, mark
from .profile import CHOICES, ToolIds
from .vendors import profile

PATH = "/v1/chat/completions"

# 40 characters of an id: the limit older servers of OpenAI's put on calls; fitted ids are shorter anyway.
TOOL_RULES = ToolRules(max_id=40)

# For requests of Chat clients: they name and number as they like, the provider is the judge.
_NATIVE_RULES = ToolRules(custom=True, name_pattern=r"(?s).*", max_id=1 << 20, id_pattern=r"(?s).*")

_FORWARDED = ("openai-beta", "idempotency-key", "openai-organization", "openai-project")
"""Client headers that mean something to the same dialect."""


_WHOLE = (("content-type", "application/json"), ("accept", "application/json"))
_STREAMED = (("content-type", "application/json"), ("accept", "text/event-stream"))

_MISTRAL_RULES = ToolRules(id_prefix="", max_id=9, id_pattern=r"[A-Za-z0-9]{9}")

_FORCED = frozenset({ir.ToolChoiceMode.REQUIRED, ir.ToolChoiceMode.TOOL})


def encode(
    request: ir.Request, model: str | None, headers: Headers, rules: ProviderRules = NO_RULES
) -> tuple[UpstreamRequest, list[Loss]]:
    """Encode a request. Raises `RemoteProtocolError` for what must not be lost and cannot be said."""
    name = request.model if model is None else model
    kind = profile(name, rules)
    sent: tuple[tuple[str, str], ...] = _STREAMED if request.stream else _WHOLE
    if request.dialect != NAME and (plain_ := plain.request_body(request, name, kind)) is not None:
        return UpstreamRequest("POST", PATH, "", sent, plain_, request.stream), []
    report = Report(request)
    scope = Scope(request, name, kind, report)
    lowered = tools.lower(request, _tool_rules(scope), NAME, report)
    said = messages(scope, lowered)
    body: Wire = {"model": name, "messages": said}
    found, choice = lowered.tools, request.tool_choice
    if not scope.native:
        found, choice = _allowed(scope, lowered) if found or lowered.choice is not None else ((), None)
    if found or choice is not None or request.parallel is not None:
        body.update(_tools(scope, lowered, found, choice))
    forced = choice is not None and choice.mode in _FORCED
    unthought = len(request.turns) > 1 and any(
        "tool_calls" in message and scope.profile.reasoning_field not in message for message in said
    )
    body.update(parameters(scope, forced=forced, unthought=unthought))
    if request.ext is not None:
        shared = shared_with_responses(request, scope)
        _into(body, shared)
        report.ext(request.ext, NAME, known=shared)
        if request.ext.dialect == NAME:
            _put_back(request.ext, body)
    if scope.native:
        sent = (*sent, *((n, v) for n, v in headers if n.lower() in _FORWARDED))
    return UpstreamRequest("POST", PATH, "", sent, json.encode(body), request.stream), report.losses


def ask_writer(model: str, rules: ProviderRules, keys: CacheKeys, *, stream: bool) -> AskWriter | None:
    """As `encode` for questions of words; None where this provider's ``model`` wants more to be looked at."""
    return plain.ask_writer(model, profile(model, rules), keys, PATH, _STREAMED if stream else _WHOLE, stream=stream)


_SHARED = frozenset({"moderation", "prompt_cache_options", "stream_options.include_obfuscation"})
"""What Responses has under the same name and the representation has not."""
_CACHE_OPTIONS = frozenset({"mode", "ttl"})
"""The members of ``prompt_cache_options`` both have."""


def shared_with_responses(request: ir.Request, scope: Scope) -> dict[str, bytes]:
    """Fields of a Responses client that OpenAI's Chat Completions has too."""
    ext = request.ext
    if ext is None or ext.dialect != "openai_responses" or "prompt_cache_key" not in scope.profile.fields:
        return {}
    found = {name: value for name, value in ext.fields.items() if name in _SHARED}
    options = found.get("prompt_cache_options")
    if options is not None and not json.fields(options).keys() <= _CACHE_OPTIONS:
        del found["prompt_cache_options"]
    return found


def _into(body: Wire, fields: dict[str, bytes]) -> None:
    for name, value in fields.items():
        *outer, last = name.split(".")
        place = body
        for step in outer:
            place = place.setdefault(step, {})  # type: ignore[assignment]  # only objects are put there
        place[last] = json.raw(value)


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


def _tool_rules(scope: Scope) -> ToolRules:
    if scope.native:
        return _NATIVE_RULES
    return _MISTRAL_RULES if scope.profile.tool_ids is ToolIds.MISTRAL else TOOL_RULES


_Tools = tuple[ir.Tool, ...]


def _allowed(scope: Scope, lowered: tools.Lowered) -> tuple[_Tools, ir.ToolChoice | None]:
    """The tools and the choice as this provider takes them.

    To force a tool is a contract: said in another way or refused (G5).
    """
    request, report, profile_ = scope.request, scope.report, scope.profile
    found, choice = lowered.tools, lowered.choice
    path = request.wire_name("tool_choice")
    if not profile_.tools:
        if choice is not None and (choice.mode in _FORCED or choice.required):
            raise report.refuse(path, "this provider has no tools")
        for tool in found:
            report.dropped(tool.path or "tools", "this provider has no tools")
        return (), None
    if choice is not None and choice.mode is ir.ToolChoiceMode.ALLOWED and not profile_.allowed_tools:
        found = _only(found, choice.names)
        report.degraded(path, "the tools that are not allowed were left out")
        mode = ir.ToolChoiceMode.REQUIRED if choice.required else ir.ToolChoiceMode.AUTO
        choice = ir.ToolChoice(mode) if found else None
    if choice is None or choice.mode.value in profile_.choices or choice.mode.value not in CHOICES:
        return found, choice
    if choice.mode is ir.ToolChoiceMode.NONE:
        report.degraded(path, "this provider cannot be told to call none: the tools were left out")
        return (), None
    if choice.mode is ir.ToolChoiceMode.TOOL and "required" in profile_.choices:
        report.degraded(path, "the other tools were left out, and one has to be called")
        return _only(found, choice.names), ir.ToolChoice(ir.ToolChoiceMode.REQUIRED)
    if choice.mode is ir.ToolChoiceMode.REQUIRED and "tool" in profile_.choices and len(found) == 1:
        only = found[0]
        if isinstance(only, ir.Function):
            return found, ir.ToolChoice(ir.ToolChoiceMode.TOOL, (only.name,))
    raise report.refuse(path, "this provider cannot be made to call a tool")


def _only(found: _Tools, names: tuple[str, ...]) -> _Tools:
    return tuple(tool for tool in found if not isinstance(tool, ir.HostedTool) and tool.name in names)


def _tools(scope: Scope, lowered: tools.Lowered, found: _Tools, choice: ir.ToolChoice | None) -> Wire:
    request = scope.request
    out: Wire = {}
    legacy: list[ir.Tool] = []
    modern: Sequence[ir.Tool] = found
    if scope.native:
        legacy = [t for t in found if t.path.startswith("functions[")]
        modern = [t for t in found if t not in legacy]
    if modern:
        out["tools"] = _modern(modern, scope, lowered)
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
        if "parallel_tool_calls" in scope.profile.fields:
            out["parallel_tool_calls"] = False
        else:
            scope.report.dropped(request.wire_name("parallel"), "this provider calls as many tools as it likes")
    return out


def _modern(found: Sequence[ir.Tool], scope: Scope, lowered: tools.Lowered) -> object:
    """The list as it is written; for clients of other dialects, who send no other fields, once for each such list."""
    kept = SETS.derived(scope.request.tools) if found is lowered.tools and not scope.native else None
    key = ("chat", lowered.table.rules, scope.profile.cache.value, "strict" in scope.profile.fields)
    if kept is not None and (known := kept.get(key)) is not None:
        return known
    told = len(scope.report.losses)
    written = [_tool(tool, scope) for tool in found]
    if kept is None or len(scope.report.losses) != told:
        return written
    out = json.raw(json.encode(written))
    keep(kept, key, out)
    return out


def _tool(tool: ir.Tool, scope: Scope) -> object:
    if isinstance(tool, ir.HostedTool):
        return json.raw(tool.raw)
    if isinstance(tool, ir.Custom):
        scope.report.ext(tool.ext, NAME, tool.path)
        return {"type": "custom", "custom": _custom(tool), **fields_of(tool.ext)}
    wire: Wire = {"type": "function", "function": _function(tool, scope)}
    if tool.cache is not None or tool.ext is not None:
        wire |= {**mark(tool, scope), **fields_of(tool.ext)}
    return wire


def _function(tool: ir.Function, scope: Scope) -> Wire:
    if tool.ext is not None:
        scope.report.ext(tool.ext, NAME, tool.path)
    out: Wire = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if not scope.native:
        out["parameters"] = json.raw(schemas.with_properties(tool.schema))
    elif tool.schema is not None:
        out["parameters"] = json.raw(tool.schema)
    strict = tool.strict
    if not scope.native and "strict" not in scope.profile.fields:
        if strict:
            scope.report.dropped(
                scope.report.at(tool.path, "strict"), "this provider binds no arguments to their schema"
            )
        strict = None
    if strict and not scope.native and not schemas.is_strict(tool.schema or b"{}"):
        # OpenAI refuses to bind schemas with optional properties or open objects; others do bind them (A36).
        strict = False
        scope.report.degraded(
            scope.report.at(tool.path, "strict"), "only schemas that require all they name can be strict here"
        )
    if strict is not None:
        out["strict"] = strict
    if tool.ext is not None:
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
