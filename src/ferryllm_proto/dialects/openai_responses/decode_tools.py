"""Tools and the choice among them: functions, freeform tools, namespaces, what the provider runs itself."""

from __future__ import annotations

import msgspec

from ... import ir, json
from . import wire
from .wire import Raw


def decode_tools(tools: Raw, path: str) -> list[ir.Tool]:
    """A list of tools, namespaces taken apart (R6); null is no tools."""
    if wire.is_null(tools):
        return []
    out: list[ir.Tool] = []
    for n, tool in enumerate(json.items(tools, path)):
        at = f"{path}[{n}]"
        if json.decode(tool, wire.tag_decoder, at).type == "namespace":
            out.extend(_namespace(tool, at))
        else:
            out.append(decode_tool(tool, at))
    return out


def decode_tool(tool: Raw, path: str) -> ir.Function | ir.Custom | ir.HostedTool:
    """One tool that is no namespace."""
    type_ = json.decode(tool, wire.tag_decoder, path).type
    if type_ == "function":
        return _function(tool, path)
    if type_ == "custom":
        return _custom(tool, path)
    if type_ is None:
        raise json.bad_field(f"{path}.type", "the type of the tool", "nothing")
    name = json.decode(tool, wire.named_tool_decoder, path).name
    return ir.HostedTool(wire.NAME, type_, bytes(tool), name, path)


def _function(tool: Raw, path: str) -> ir.Function:
    known, extra = json.decode_known(tool, wire.function_tool_decoder, path)
    if known.strict is None:
        extra = {**extra, ".strict": b"null"}
    return ir.Function(
        known.name,
        known.description,
        None if wire.is_null(known.parameters) else _schema(known.parameters, f"{path}.parameters"),
        None if known.strict is msgspec.UNSET else known.strict,
        path=path,
        ext=wire.ext(extra),
    )


def _schema(schema: Raw, path: str) -> bytes:
    if json.kind(schema) != "object":
        raise json.bad_field(path, "a JSON schema object", json.kind(schema))
    return bytes(schema)


def _custom(tool: Raw, path: str) -> ir.Custom:
    known, extra = json.decode_known(tool, wire.custom_tool_decoder, path)
    syntax = definition = None
    if not wire.is_null(known.format):
        form = json.decode(known.format, wire.custom_format_decoder, f"{path}.format")
        if not json.fields(known.format).keys() <= {"type", "syntax", "definition"}:
            extra = {**extra, "format": bytes(known.format)}
        if form.type == "grammar":
            syntax, definition = form.syntax or "lark", form.definition or ""
        else:
            extra = {**extra, ".format": bytes(known.format)}
    return ir.Custom(known.name, known.description, syntax, definition, path=path, ext=wire.ext(extra))


def _namespace(tool: Raw, path: str) -> list[ir.Tool]:
    known, extra = json.decode_known(tool, wire.namespace_decoder, path)
    children: list[ir.Function | ir.Custom] = []
    items = [] if wire.is_null(known.tools) else json.items(known.tools, f"{path}.tools")
    for n, item in enumerate(items):
        child = decode_tool(item, f"{path}.tools[{n}]")
        if isinstance(child, ir.HostedTool):
            continue
        children.append(msgspec.structs.replace(child, namespace=known.name, namespace_description=known.description))
    if extra or not children or len(children) != len(items):
        # A namespace that holds more than callable tools, or fields of its own, can not be taken apart and rebuilt.
        return [ir.HostedTool(wire.NAME, "namespace", bytes(tool), known.name, path, tuple(children))]
    return list(children)


_MODES = {
    "auto": ir.ToolChoiceMode.AUTO,
    "none": ir.ToolChoiceMode.NONE,
    "required": ir.ToolChoiceMode.REQUIRED,
}


_CHOICE_FIELDS = frozenset({"type", "name", "namespace"})


def decode_choice(choice: Raw, ext: dict[str, bytes]) -> ir.ToolChoice | None:
    """``tool_choice``: a word or an object. What is unknown of it goes to ``ext``."""
    kind = json.kind(choice)
    if kind == "null":
        return None
    if kind == "string":
        word = json.decode(choice, wire.string_decoder, "tool_choice")
        if word not in _MODES:
            raise json.bad_field("tool_choice", "auto, none, required or an object", f"{word!r}")
        return ir.ToolChoice(_MODES[word])
    known = json.decode(choice, wire.choice_decoder, "tool_choice")
    if known.type in ("function", "custom") and known.name is not None:
        tool_kind = ir.ToolKind.CUSTOM if known.type == "custom" else ir.ToolKind.FUNCTION
        fields = json.fields(choice)
        unknown = sorted(fields.keys() - _CHOICE_FIELDS)
        ext.update((f"tool_choice.{name}", bytes(fields[name])) for name in unknown)
        raw = bytes(choice) if unknown else None
        return ir.ToolChoice(ir.ToolChoiceMode.TOOL, (known.name,), kind=tool_kind, namespace=known.namespace, raw=raw)
    if known.type == "allowed_tools":
        names = tuple(tool.name or tool.type for tool in known.tools)  # hosted ones have a type alone
        return ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, names, required=known.mode == "required", raw=bytes(choice))
    return ir.ToolChoice(ir.ToolChoiceMode.HOSTED, raw=bytes(choice))
