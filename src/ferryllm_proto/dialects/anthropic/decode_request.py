"""A Messages client's body to `ir.Request`: everything but the content blocks, which are in `decode_blocks`.

Unknown and unmapped fields go to ``ext``; a field inside an object that has no node of its own (``thinking.x``) is kept
under its dotted name. Nothing but `RemoteProtocolError` is raised.
"""

from __future__ import annotations

from typing import cast

import msgspec

from ... import ir, json, toolsets
from ...errors import RemoteProtocolError
from ...json import Raw
from ...words import place
from . import decode_blocks, decode_written, wire
from .wire import ABSENT, NAME, given

NAMES = {
    "turns": "messages",
    "max_output": "max_tokens",
    "stop": "stop_sequences",
    "format": "output_config.format",
    "reasoning": "thinking",
    "parallel": "tool_choice.disable_parallel_tool_use",
    "user": "metadata.user_id",
    "budget": "thinking.budget_tokens",
    "show": "thinking.display",
    "effort": "output_config.effort",
    "format.schema": "output_config.format.schema",
    ".arguments": "input",
    ".cache": "cache_control",
    ".title": "title",
}
"""Fields of `ir.Request`, and with a dot of parts and tools, and the keys of this dialect."""

NAMES_OLD_FORMAT = {**NAMES, "format": "output_format", "format.schema": "output_format.schema"}
"""The same for clients that still use the beta's key for structured output."""

MAX_MESSAGES = 100_000
"""The API's own limit."""

_ROLES = {"user": ir.Role.USER, "assistant": ir.Role.ASSISTANT, "system": ir.Role.SYSTEM}

_CHOICES = {
    "auto": ir.ToolChoiceMode.AUTO,
    "any": ir.ToolChoiceMode.REQUIRED,
    "tool": ir.ToolChoiceMode.TOOL,
    "none": ir.ToolChoiceMode.NONE,
}

_THINKING = {
    "enabled": ir.ThinkingMode.ON,
    "disabled": ir.ThinkingMode.OFF,
    "adaptive": ir.ThinkingMode.ADAPTIVE,
    "between_tools": ir.ThinkingMode.BETWEEN_TOOLS,
}


def decode(body: bytes, *, counting: bool = False, written: wire.WrittenRequest | None = None) -> ir.Request:
    """A body of ``/v1/messages``, or with ``counting`` of ``/v1/messages/count_tokens``, which has no ``max_tokens``.

    ``written`` is what `read_written` has made of it, for a request whose turns may be a `Written`.
    Raises `RemoteProtocolError` that names the field.
    """
    found = _whole(body, counting=counting) if written is None else _made(written, counting=counting)
    if found is not None:
        return found
    _require_utf8(body)
    message, extra = json.decode_known(body, wire.request)
    ext = dict(extra)
    if not message.model:
        raise json.bad_field("model", "the name of a model", "an empty string")
    if message.max_tokens is None and not counting:
        raise RemoteProtocolError(
            "max_tokens: this field is required", param="max_tokens", code="missing_required_parameter"
        )
    if message.max_tokens is not None and message.max_tokens < 0:
        raise json.bad_field("max_tokens", "0 or more", str(message.max_tokens))
    choice = _tool_choice(message.tool_choice, ext)
    wished = _output(message, ext)
    said = _turns(message.messages, message.model), _system(message.system), _tools(message.tools)
    return _request(message, said, choice, wished, ext)


_Said = tuple[tuple[ir.Turn, ...], tuple[ir.Text, ...], tuple[ir.Tool, ...]]
"""Turns, system texts, tools."""


def _request(
    message: wire.Request,
    said: _Said,
    choice: tuple[ir.ToolChoice | None, bool | None],
    wished: tuple[ir.Format | None, str | None, dict[str, str]],
    ext: dict[str, bytes],
) -> ir.Request:
    turns, system, tools = said
    format_, effort, names = wished
    return ir.Request(
        dialect=NAME,
        model=message.model,
        turns=turns,
        system=system,
        tools=tools,
        tool_choice=choice[0],
        parallel=choice[1],
        max_output=message.max_tokens,
        temperature=message.temperature,
        top_p=message.top_p,
        top_k=message.top_k,
        stop=tuple(message.stop_sequences or ()),
        reasoning=_reasoning(message.thinking, effort, ext),
        format=format_,
        service_tier=message.service_tier,
        user=_user(message.metadata, ext),
        stream=bool(message.stream),
        ext=ir.Ext(NAME, ext) if ext else None,
        names=names,
    )


_UNREAD = ("thinking", "tool_choice", "metadata", "output_config", "output_format")
"""Fields of the body that are no part of the one pass: they are short, and each has its own rules."""


def read_written(body: bytes) -> wire.WrittenRequest | None:
    """A body without anything unusual, its words left as they are; None for any other, and for what is wrong."""
    try:
        return wire.written_request.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _whole(body: bytes, *, counting: bool) -> ir.Request | None:
    """A body without anything unusual, read in one pass; None for any other, and for what is wrong.

    Level by level, so that errors and unknown fields are found where they are, every byte is read six times: ten times
    the cost of this.
    """
    try:
        message = wire.whole_request.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _made(message, counting=counting)


def _made(message: wire.WholeRequest | wire.WrittenRequest, *, counting: bool) -> ir.Request | None:
    """The request, unless there is something unusual or wrong in what has been left undecoded."""
    try:
        limit = message.max_tokens
        if not message.model or not 0 < len(message.messages) <= MAX_MESSAGES or (limit is None and not counting):
            return None
        if limit is not None and limit < 0:
            return None
        model = message.model
        turns = _whole_turns(message)
        if type(message) is wire.WrittenRequest:
            system = _prompt(bytes(message.system))
        else:
            system = _whole_system(message.system)  # type: ignore[arg-type]  # it is decoded there
        offered = () if message.tools is ABSENT else toolsets.SETS.read(bytes(message.tools), _whole_tools)
        found: _Said = turns, system, offered
        if (
            message.thinking is ABSENT
            and message.tool_choice is ABSENT
            and message.metadata is ABSENT
            and message.output_config is ABSENT
            and message.output_format is ABSENT
        ):
            return ir.Request(
                NAME,
                model,
                turns,
                system,
                offered,
                None,
                None,
                limit,
                message.temperature,
                message.top_p,
                message.top_k,
                tuple(message.stop_sequences) if message.stop_sequences else (),
                service_tier=message.service_tier,
                stream=message.stream is True,
                names=NAMES,
            )
        ext: dict[str, bytes] = {}
        for name in _UNREAD:
            if (raw := getattr(message, name)) is not ABSENT:
                json.check_utf8(bytes(raw), name)
        return _request(message, found, _tool_choice(message.tool_choice, ext), _output(message, ext), ext)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, RemoteProtocolError, KeyError):
        return None


def _prompt(data: bytes) -> tuple[ir.Text, ...]:
    """A system prompt; a long one comes again, and is the same object then."""
    if not data or data == b"null":
        return ()
    if len(data) < toolsets.MIN_PROMPT:
        return _read_prompt(data)
    return toolsets.PROMPTS.read(data, _read_prompt)


def _read_prompt(data: bytes) -> tuple[ir.Text, ...]:
    return _whole_system(wire.prompt.decode(data))


def _whole_system(said: str | list[wire.TextBlock | wire.ImageBlock] | None) -> tuple[ir.Text, ...]:
    if said is None:
        return ()
    if type(said) is list and any(type(one) is not wire.TextBlock for one in said):
        raise json.bad_field("system", "texts", "a block of another type")
    return cast("tuple[ir.Text, ...]", decode_blocks.whole(said, "system", ""))


def _whole_turns(message: wire.WholeRequest | wire.WrittenRequest) -> tuple[ir.Turn, ...]:
    model = message.model
    if isinstance(message, wire.WrittenRequest):  # a `Written` is all that a tuple is to those who read it
        return cast("tuple[ir.Turn, ...]", decode_written.turns(message.messages, _ROLES, model))
    out = []
    for n, one in enumerate(message.messages):
        path = place(n)
        parts = decode_blocks.whole(one.content, path + ".content", model)
        out.append(ir.Turn(_ROLES[one.role], parts, None, None, None, path))  # by name it costs six times as much
    return tuple(out)


def _require_utf8(body: bytes) -> None:
    """Raw fields are never looked into, so the bytes have to be right before they are carried on."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        raise RemoteProtocolError(f"the JSON is not valid UTF-8 (byte {exc.start})", code="invalid_json") from None


# --- the conversation ------------------------------------------------------------------------------------


def _turns(raw: Raw, model: str) -> tuple[ir.Turn, ...]:
    items = json.items(raw, "messages")
    if not items:
        raise json.bad_field("messages", "at least one message", "an empty array")
    if len(items) > MAX_MESSAGES:
        raise json.bad_field("messages", f"at most {MAX_MESSAGES} messages", str(len(items)))
    return tuple(_turn(item, f"messages[{n}]", model) for n, item in enumerate(items))


def _turn(raw: Raw, path: str, model: str) -> ir.Turn:
    message, extra = json.decode_known(raw, wire.message, path)
    role = _ROLES.get(message.role)
    if role is None:
        raise json.bad_field(f"{path}.role", "user, assistant or system", repr(message.role[:40]))
    content = given(message.content)
    if content is None and role is not ir.Role.SYSTEM:  # a system message may carry settings alone (A3)
        raise RemoteProtocolError(
            f"{path}.content: this field is required", param=f"{path}.content", code="missing_required_parameter"
        )
    parts = decode_blocks.content(content, f"{path}.content", model) if content is not None else ()
    return ir.Turn(role, parts, path=path, ext=ir.Ext(NAME, extra) if extra else None)


def _system(raw: Raw) -> tuple[ir.Text, ...]:
    data = given(raw)
    if data is None:
        return ()
    out: list[ir.Text] = []
    for part in decode_blocks.content(data, "system", ""):
        if not isinstance(part, ir.Text):
            raise json.bad_field(part.path, "a text block", "a block of another type")
        out.append(part)
    return tuple(out)


# --- tools -----------------------------------------------------------------------------------------------


def _tools(raw: Raw) -> tuple[ir.Tool, ...]:
    data = given(raw)
    if data is None:
        return ()
    return tuple(_tool(item, f"tools[{n}]") for n, item in enumerate(json.items(data, "tools")))


def _tool(raw: Raw, path: str) -> ir.Tool:
    head = json.decode(raw, wire.tool_head, path)
    if head.type is not None and head.type != "custom":
        return ir.HostedTool(NAME, head.type, bytes(raw), name=head.name, path=path)
    tool, extra = json.decode_known(raw, wire.tool, path)
    return _function(tool, given(tool.input_schema), dict(extra), path)


def _whole_tools(data: bytes) -> tuple[ir.Tool, ...]:
    if data == b"null":
        return ()
    return tuple([_whole_tool(tool, f"tools[{n}]") for n, tool in enumerate(wire.tools.decode(data))])


def _whole_tool(tool: wire.Tool, path: str) -> ir.Tool:
    if tool.type is not None and tool.type != "custom":
        raise json.bad_field(f"{path}.type", "a tool of the client", "a tool of the provider")
    schema = given(tool.input_schema)
    if schema is not None:
        json.check_utf8(schema, path)
    if tool.cache_control is not ABSENT:
        json.check_utf8(bytes(tool.cache_control), path)
    return _function(tool, schema, {}, path)


def _function(tool: wire.Tool, schema: bytes | None, fields: dict[str, bytes], path: str) -> ir.Tool:
    if schema is not None and not schema.startswith(b"{") and json.kind(schema) != "object":
        raise json.bad_field(f"{path}.input_schema", "an object", f"{json.kind(schema)}")
    cache = None
    if tool.cache_control is not ABSENT:
        cache = decode_blocks.cache_mark(tool.cache_control, f"{path}.cache_control", fields)
    return ir.Function(
        tool.name,
        description=tool.description,
        schema=schema,
        strict=tool.strict,
        cache=cache,
        path=path,
        ext=ir.Ext(NAME, fields) if fields else None,
    )


def _tool_choice(raw: Raw, ext: dict[str, bytes]) -> tuple[ir.ToolChoice | None, bool | None]:
    data = given(raw)
    if data is None:
        return None, None
    choice, extra = json.decode_known(data, wire.tool_choice, "tool_choice")
    mode = _CHOICES.get(choice.type)
    if mode is None:  # a kind this file does not know goes back to its own dialect as it is
        return ir.ToolChoice(ir.ToolChoiceMode.HOSTED, raw=data), None
    _keep(extra, "tool_choice", ext)
    parallel = None if choice.disable_parallel_tool_use is None else not choice.disable_parallel_tool_use
    if mode is ir.ToolChoiceMode.TOOL:
        if not choice.name:
            raise json.bad_field("tool_choice.name", "the name of a tool", "nothing")
        return ir.ToolChoice(mode, (choice.name,)), parallel
    return ir.ToolChoice(mode), parallel


# --- parameters ------------------------------------------------------------------------------------------


def _reasoning(raw: Raw, effort: str | None, ext: dict[str, bytes]) -> ir.ReasoningParams | None:
    data = given(raw)
    if data is None:
        return None if effort is None else ir.ReasoningParams(effort=effort)
    thinking, extra = json.decode_known(data, wire.thinking, "thinking")
    mode = _THINKING.get(thinking.type)
    if mode is None:
        ext["thinking"] = data
        return None if effort is None else ir.ReasoningParams(effort=effort)
    if thinking.budget_tokens is not None and thinking.budget_tokens < 0:
        raise json.bad_field("thinking.budget_tokens", "1024 or more", str(thinking.budget_tokens))
    _keep(extra, "thinking", ext)
    show = "summary" if thinking.display == "summarized" else thinking.display
    return ir.ReasoningParams(mode, effort=effort, budget=thinking.budget_tokens, show=show)


def _output(message: wire.Request, ext: dict[str, bytes]) -> tuple[ir.Format | None, str | None, dict[str, str]]:
    """Structured output and effort: in ``output_config`` today, in ``output_format`` for clients of the beta."""
    format_, effort, names = None, None, NAMES
    data = given(message.output_config)
    if data is not None:
        config, extra = json.decode_known(data, wire.output_config, "output_config")
        effort = config.effort
        _keep(extra, "output_config", ext)
        format_ = _format(given(config.format), "output_config.format", ext)
    old = given(message.output_format)
    if old is not None:
        if format_ is not None:
            raise json.bad_field("output_format", "nothing beside output_config.format", "both")
        format_, names = _format(old, "output_format", ext), NAMES_OLD_FORMAT
    return format_, effort, names


def _format(data: bytes | None, path: str, ext: dict[str, bytes]) -> ir.Format | None:
    if data is None:
        return None
    format_, extra = json.decode_known(data, wire.output_format, path)
    if format_.type != "json_schema":
        raise json.bad_field(f"{path}.type", "json_schema", repr(format_.type[:40]))
    schema = given(format_.schema)
    if schema is None or json.kind(schema) != "object":
        raise json.bad_field(f"{path}.schema", "an object", json.kind(schema or b""))
    _keep(extra, path, ext)
    return ir.Format(ir.FormatKind.JSON_SCHEMA, schema=schema)


def _user(raw: Raw, ext: dict[str, bytes]) -> str | None:
    data = given(raw)
    if data is None:
        return None
    metadata, extra = json.decode_known(data, wire.metadata, "metadata")
    _keep(extra, "metadata", ext)
    return metadata.user_id


def _keep(extra: dict[str, bytes], path: str, ext: dict[str, bytes]) -> None:
    for name, value in extra.items():
        ext[f"{path}.{name}"] = value


class _Count(msgspec.Struct, frozen=True):
    input_tokens: int


_count = json.decoder(_Count)


def decode_count(body: bytes) -> int:
    """The number in a provider's answer to ``count_tokens``."""
    return json.decode(body, _count).input_tokens


def encode_count(input_tokens: int) -> bytes:
    """The answer to ``count_tokens``."""
    return b'{"input_tokens":%d}' % input_tokens
