"""A Chat client's body into an `ir.Request`."""

from __future__ import annotations

import msgspec

from ... import ir, json
from . import wire
from .decode_messages import conversation
from .decode_parts import NAME, cache, ext

NAMES = {
    "system": "messages",
    "turns": "messages",
    "parallel": "parallel_tool_calls",
    "max_output": "max_completion_tokens",
    "reasoning": "reasoning_effort",
    "format": "response_format",
    "cache_key": "prompt_cache_key",
    "cache_retention": "prompt_cache_retention",
    "safety_id": "safety_identifier",
    "include_usage": "stream_options.include_usage",
    "effort": "reasoning_effort",
    "budget": "reasoning.max_tokens",
    "show": "reasoning.exclude",
    "format.name": "response_format.json_schema.name",
    "format.description": "response_format.json_schema.description",
    "format.strict": "response_format.json_schema.strict",
    "format.schema": "response_format.json_schema.schema",
    ".arguments": "function.arguments",
    ".cache": "prompt_cache_breakpoint",
    ".citations": "^annotations",
    ".detail": "image_url.detail",
    ".opaque": "extra_content",
    ".strict": "function.strict",
    ".title": "file.filename",
}
"""Fields of `ir.Request`, and with a dot of parts and tools, whose key in a Chat body is another one."""

_REASONING_NAMES = {
    "reasoning_effort": {},
    "reasoning": {"reasoning": "reasoning", "effort": "reasoning.effort"},
    "thinking": {"reasoning": "thinking", "budget": "thinking.budget_tokens"},
}
"""What is said otherwise by those who ask for thoughts in the words of OpenRouter, or of DeepSeek."""

_CHOICES = {
    "auto": ir.ToolChoice(ir.ToolChoiceMode.AUTO),
    "none": ir.ToolChoice(ir.ToolChoiceMode.NONE),
    "required": ir.ToolChoice(ir.ToolChoiceMode.REQUIRED),
    # Mistral's word; kept so that it goes back as it came.
    "any": ir.ToolChoice(ir.ToolChoiceMode.REQUIRED, raw=b'"any"'),
}

_FORMATS = {kind.value: kind for kind in ir.FormatKind}


def decode(body: bytes) -> ir.Request:
    """Decode a request. Raises `RemoteProtocolError` that names the field."""
    found, extra = json.decode_known(body, wire.REQUEST)
    names = NAMES
    talk = conversation(found.messages, found.model)
    tools, legacy_tools = _tools(found)
    choice, extra = _chosen(wire.value(found.tool_choice), extra)
    function_call = wire.value(found.function_call)
    if choice is None and function_call is not None:
        choice = _function_call(function_call)
        names = {**names, "tool_choice": "function_call"}
    if legacy_tools:
        names = {**names, "tools": "functions"}
    max_output = found.max_completion_tokens
    if max_output is None:
        max_output = found.max_tokens
        names = {**names, "max_output": "max_tokens"}
    elif found.max_tokens is not None:  # the newer name wins (C7)
        extra = {**extra, "max_tokens": json.encode(found.max_tokens)}
    # Ollama takes 0 for no limit, so it is not refused here: what it means elsewhere is for the encoders to say.
    if max_output is not None and max_output < 0:
        raise json.bad_field(names["max_output"], "1 or more", str(max_output))
    thinking, thinking_name, extra = _reasoning(found, extra)
    if other := _REASONING_NAMES[thinking_name]:
        names = {**names, **other}
    if b'"prompt_cache_breakpoint"' not in body:  # else OpenRouter's word, which OpenAI does not know
        names = {**names, ".cache": "cache_control"}
    format_, extra = _format(wire.value(found.response_format), extra)
    include_usage, extra = _stream_options(wire.value(found.stream_options), extra)
    return ir.Request(
        NAME,
        found.model,
        talk.turns,
        talk.system,
        tools,
        choice,
        parallel=found.parallel_tool_calls,
        max_output=max_output,
        temperature=found.temperature,
        top_p=found.top_p,
        top_k=found.top_k,
        stop=_stop(found.stop),
        seed=found.seed,
        presence_penalty=found.presence_penalty,
        frequency_penalty=found.frequency_penalty,
        logit_bias=_raw(found.logit_bias),
        logprobs=found.logprobs,
        top_logprobs=found.top_logprobs,
        n=found.n,
        reasoning=thinking,
        format=format_,
        verbosity=found.verbosity,
        service_tier=found.service_tier,
        cache_key=found.prompt_cache_key,
        cache_retention=found.prompt_cache_retention,
        metadata=_raw(found.metadata),
        user=found.user,
        safety_id=found.safety_identifier,
        store=found.store,
        stream=bool(found.stream),
        include_usage=include_usage,
        ext=ext(extra),
        names=names,
    )


def _raw(raw: wire.Raw) -> bytes | None:
    return None if wire.value(raw) is None else bytes(raw)


def _stop(value: str | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _stream_options(raw: wire.Raw | None, extra: dict[str, bytes]) -> tuple[bool | None, dict[str, bytes]]:
    if raw is None:
        return None, extra
    options, unknown = json.decode_known(raw, wire.STREAM_OPTIONS, "stream_options")
    if unknown:
        extra = {**extra, **{f"stream_options.{name}": value for name, value in unknown.items()}}
    return options.include_usage, extra


def _tools(found: wire.Request) -> tuple[tuple[ir.Tool, ...], bool]:
    """The tools; and whether they are only of the old ``functions`` kind."""
    tools = [_tool(raw, f"tools[{n}]") for n, raw in enumerate(found.tools or ())]
    functions = [_function(raw, f"functions[{n}]") for n, raw in enumerate(found.functions or ())]
    return (*tools, *functions), bool(functions) and not tools


def _tool(raw: wire.Raw, path: str) -> ir.Tool:
    head = json.decode(raw, wire.TOOL_CHOICE, path)
    type_ = head.type or "function"  # absent in requests of some SDKs; every server takes it for a function
    if type_ == "function":
        tool, extra = json.decode_known(raw, wire.TOOL, path)
        function = wire.value(tool.function)
        if function is None:
            raise json.bad_field(f"{path}.function", "the function's definition", "nothing")
        found = _function(function, f"{path}.function", within="function", extra=extra, outer=path)
        return msgspec.structs.replace(found, cache=cache(tool.cache_control, path))
    if type_ == "custom":
        tool, extra = json.decode_known(raw, wire.TOOL, path)
        custom = wire.value(tool.custom)
        if custom is None:
            raise json.bad_field(f"{path}.custom", "the tool's definition", "nothing")
        return _custom(custom, path, extra)
    return ir.HostedTool(NAME, type_, bytes(raw), path=path)


def _function(
    raw: wire.Raw,
    path: str,
    *,
    within: str = "",
    extra: dict[str, bytes] = json.NO_FIELDS,
    outer: str = "",
) -> ir.Function:
    found, inner = json.decode_known(raw, wire.FUNCTION_TOOL, path)
    return ir.Function(
        found.name,
        found.description,
        _raw(found.parameters),
        found.strict,
        path=outer or path,
        ext=ext(extra, inner, within) if within else ext(inner),
    )


def _custom(raw: wire.Raw, path: str, extra: dict[str, bytes]) -> ir.Custom:
    found, inner = json.decode_known(raw, wire.CUSTOM_TOOL, f"{path}.custom")
    syntax = definition = None
    if (raw_format := wire.value(found.format)) is not None:
        at = f"{path}.custom.format"
        format_ = json.decode(raw_format, wire.CUSTOM_FORMAT, at)
        known = json.fields(raw_format, at).keys() <= {"type", "grammar"}
        if format_.type == "grammar":
            raw_grammar = wire.value(format_.grammar)
            if raw_grammar is None:
                raise json.bad_field(f"{at}.grammar", "a grammar", "nothing")
            grammar = json.decode(raw_grammar, wire.GRAMMAR, f"{at}.grammar")
            syntax, definition = grammar.syntax, grammar.definition
            known = known and json.fields(raw_grammar).keys() <= {"syntax", "definition"}
        if format_.type not in ("grammar", "text") or not known:
            inner = {**inner, "format": bytes(raw_format)}
    return ir.Custom(found.name, found.description, syntax, definition, path=path, ext=ext(extra, inner, "custom"))


_CHOICE_FIELDS = frozenset({"type", "function", "custom", "allowed_tools"})


def _chosen(raw: wire.Raw | None, extra: dict[str, bytes]) -> tuple[ir.ToolChoice | None, dict[str, bytes]]:
    """The choice; one with more in it than the representation holds is kept whole, and what it is goes to ``extra``."""
    choice = _choice(raw)
    if choice is None or raw is None or choice.mode is not ir.ToolChoiceMode.TOOL:
        return choice, extra
    fields = json.fields(raw)
    unknown = {f"tool_choice.{name}": bytes(fields[name]) for name in fields.keys() - _CHOICE_FIELDS}
    for kind in ("function", "custom"):
        inner = json.fields(fields[kind]) if wire.value(fields.get(kind, wire.ABSENT)) is not None else {}
        unknown |= {f"tool_choice.{kind}.{name}": bytes(inner[name]) for name in inner.keys() - {"name"}}
    if not unknown:
        return choice, extra
    return msgspec.structs.replace(choice, raw=bytes(raw)), {**extra, **dict(sorted(unknown.items()))}


def _choice(raw: wire.Raw | None) -> ir.ToolChoice | None:
    if raw is None:
        return None
    path = "tool_choice"
    kind = json.kind(raw)
    if kind == "string":
        word = json.decode(raw, wire.STRING, path)
        choice = _CHOICES.get(word)
        if choice is None:
            raise json.bad_field(path, "none, auto, required or an object", json.encode(word[:40]).decode())
        return choice
    if kind != "object":
        raise json.bad_field(path, "a string or an object", kind)
    found = json.decode(raw, wire.TOOL_CHOICE, path)
    if (function := wire.value(found.function)) is not None:
        return _one(function, f"{path}.function", ir.ToolKind.FUNCTION)
    if (custom := wire.value(found.custom)) is not None:
        return _one(custom, f"{path}.custom", ir.ToolKind.CUSTOM)
    if (allowed := wire.value(found.allowed_tools)) is not None:
        return _allowed(allowed, f"{path}.allowed_tools", bytes(raw))
    return ir.ToolChoice(ir.ToolChoiceMode.HOSTED, raw=bytes(raw))


def _one(raw: wire.Raw, path: str, kind: ir.ToolKind) -> ir.ToolChoice:
    return ir.ToolChoice(ir.ToolChoiceMode.TOOL, (json.decode(raw, wire.NAMED, path).name,), kind=kind)


def _allowed(raw: wire.Raw, path: str, whole: bytes) -> ir.ToolChoice:
    found = json.decode(raw, wire.ALLOWED_TOOLS, path)
    names = []
    for n, item in enumerate(found.tools):
        at = f"{path}.tools[{n}]"
        tool = json.decode(item, wire.TOOL_CHOICE, at)
        named = wire.value(tool.function) or wire.value(tool.custom)
        if named is None:
            raise json.bad_field(at, "a function or a custom tool", "neither")
        names.append(json.decode(named, wire.NAMED, at).name)
    return ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, tuple(names), found.mode == "required", raw=whole)


def _function_call(raw: wire.Raw) -> ir.ToolChoice | None:
    """The old ``function_call``: a word or ``{"name"}``."""
    if json.kind(raw) == "string":
        return _choice(raw)
    return _one(raw, "function_call", ir.ToolKind.FUNCTION)


def _reasoning(found: wire.Request, extra: dict[str, bytes]) -> tuple[ir.ReasoningParams | None, str, dict[str, bytes]]:
    """The one form of the wish to think, its name, and the rest.

    OpenAI's word comes first, then OpenRouter's object, then that of DeepSeek and z.ai. A second form beside the
    first is kept for the same dialect.
    """
    forms: list[tuple[str, ir.ReasoningParams]] = []
    if found.reasoning_effort is not None:
        forms.append(("reasoning_effort", ir.ReasoningParams(effort=found.reasoning_effort)))
    if (openrouter := wire.value(found.reasoning)) is not None:
        params = _openrouter(openrouter)
        if params is None or forms:
            extra = {**extra, "reasoning": bytes(openrouter)}
        else:
            forms.append(("reasoning", params))
    if (deepseek := wire.value(found.thinking)) is not None:
        params = _thinking(deepseek)
        if params is None or forms:
            extra = {**extra, "thinking": bytes(deepseek)}
        else:
            forms.append(("thinking", params))
    if not forms:
        return None, NAMES["reasoning"], extra
    return forms[0][1], forms[0][0], extra


def _openrouter(raw: wire.Raw) -> ir.ReasoningParams | None:
    found, unknown = json.decode_known(raw, wire.OPENROUTER_REASONING, "reasoning")
    if unknown:
        return None
    mode = None if found.enabled is None else ir.ThinkingMode.ON if found.enabled else ir.ThinkingMode.OFF
    show = None if found.exclude is None else "omitted" if found.exclude else "summary"
    return ir.ReasoningParams(mode, found.effort, found.max_tokens, show)


def _thinking(raw: wire.Raw) -> ir.ReasoningParams | None:
    found, unknown = json.decode_known(raw, wire.THINKING, "thinking")
    modes = {"enabled": ir.ThinkingMode.ON, "disabled": ir.ThinkingMode.OFF}
    if unknown or found.type is None or found.type not in modes:
        return None
    return ir.ReasoningParams(modes[found.type], budget=found.budget_tokens)


def _format(raw: wire.Raw | None, extra: dict[str, bytes]) -> tuple[ir.Format | None, dict[str, bytes]]:
    if raw is None:
        return None, extra
    path = "response_format"
    found, unknown = json.decode_known(raw, wire.RESPONSE_FORMAT, path)
    if found.type not in _FORMATS:
        # llama.cpp's grammar and the like: a contract only the same dialect can keep.
        return None, {**extra, path: bytes(raw)}
    if unknown:
        extra = {**extra, **{f"{path}.{name}": value for name, value in unknown.items()}}
    raw_schema = wire.value(found.json_schema)
    if raw_schema is None:
        return ir.Format(_FORMATS[found.type]), extra
    at = f"{path}.json_schema"
    schema, inner = json.decode_known(raw_schema, wire.JSON_SCHEMA, at)
    if inner:
        extra = {**extra, **{f"{at}.{name}": value for name, value in inner.items()}}
    return ir.Format(_FORMATS[found.type], schema.name, _raw(schema.schema), schema.strict, schema.description), extra
