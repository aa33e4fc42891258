"""Tools and the choice among them as the wire has them; also the echo of them in answers."""

from __future__ import annotations

from collections.abc import Iterable

from ... import ir, json, schemas
from ...loss import Report
from . import wire

Wire = dict[str, object]

_MODES = {
    ir.ToolChoiceMode.AUTO: "auto",
    ir.ToolChoiceMode.NONE: "none",
    ir.ToolChoiceMode.REQUIRED: "required",
}


def encode_tools(tools: Iterable[ir.Tool], *, own: bool, report: Report) -> list[object]:
    """``tools`` as a list; neighbours of one namespace become one ``namespace`` tool again (R6).

    ``own`` says that a client of this dialect wrote them: then what was absent stays absent.
    """
    out: list[object] = []
    group: list[object] = []
    open_: tuple[str, str | None, str] | None = None
    for tool in tools:
        if isinstance(tool, ir.HostedTool):
            out.append(json.raw(tool.raw))
            open_ = None
            continue
        wired = _tool(tool, own=own, report=report)
        if tool.namespace is None:
            out.append(wired)
            open_ = None
            continue
        # Two namespaces of one name next to each other are two; the path tells.
        key = (tool.namespace, tool.namespace_description, tool.path.rpartition(".tools[")[0])
        if key != open_:
            group, open_ = [], key
            space: Wire = {"type": "namespace", "name": tool.namespace}
            if tool.namespace_description is not None:
                space["description"] = tool.namespace_description
            space["tools"] = group
            out.append(space)
        group.append(wired)
    return out


def _tool(tool: ir.Function | ir.Custom, *, own: bool, report: Report) -> Wire:
    out = _function(tool, own, report) if isinstance(tool, ir.Function) else _custom(tool)
    if isinstance(tool, ir.Function) and tool.cache is not None:
        report.dropped(report.at(tool.path, "cache"), "this provider caches prompt prefixes by itself")
    if tool.ext is not None:
        if tool.ext.dialect == wire.NAME:
            out.update((k.removeprefix("."), json.raw(v)) for k, v in tool.ext.fields.items())
        report.ext(tool.ext, wire.NAME, tool.path)
    return out


def _function(tool: ir.Function, own: bool, report: Report) -> Wire:
    out: Wire = {"type": "function", "name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if not own:
        out["parameters"] = json.raw(schemas.with_properties(tool.schema))
    elif tool.schema is not None:
        out["parameters"] = json.raw(tool.schema)
    if own:
        if tool.strict is not None:
            out["strict"] = tool.strict
        return out
    # Absent means strict here and not strict everywhere else; what cannot be bound is refused (A36).
    out["strict"] = bool(tool.strict) and schemas.is_strict(tool.schema or b"{}")
    if tool.strict and not out["strict"]:
        report.degraded(report.at(tool.path, "strict"), "only schemas that require all they name can be strict here")
    return out


def _custom(tool: ir.Custom) -> Wire:
    out: Wire = {"type": "custom", "name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.definition is not None:
        out["format"] = {"type": "grammar", "syntax": tool.syntax or "lark", "definition": tool.definition}
    return out


def encode_choice(choice: ir.ToolChoice, *, own: bool, tools: Iterable[ir.Tool] = ()) -> object:
    """``tool_choice`` as a word or an object; ``tools`` tell of which kind the allowed ones are."""
    if choice.mode in _MODES:
        return _MODES[choice.mode]
    if choice.raw is not None and (own or choice.mode is ir.ToolChoiceMode.HOSTED):
        return json.raw(choice.raw)
    type_ = "custom" if choice.kind is ir.ToolKind.CUSTOM else "function"
    if choice.mode is ir.ToolChoiceMode.TOOL:
        out: Wire = {"type": type_, "name": choice.names[0]}
        if choice.namespace is not None:
            out["namespace"] = choice.namespace
        return out
    custom = {tool.name for tool in tools if isinstance(tool, ir.Custom)}
    return {
        "type": "allowed_tools",
        "mode": "required" if choice.required else "auto",
        "tools": [{"type": "custom" if name in custom else "function", "name": name} for name in choice.names],
    }
