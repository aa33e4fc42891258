"""A client's body, of ``/api/chat`` or of the thin ``/api/generate``, to `ir.Request`.

Unknown fields, and documented ones without a place in the representation, go to ``ext``. Nothing but
`RemoteProtocolError` is raised.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ... import ir, json
from ...errors import RemoteProtocolError
from ...json import Raw
from . import decode_messages, wire
from .wire import NAME, given

_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "max_output": "num_predict",
    "stop": "stop",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
"""Fields of `ir.Request` and the options they are."""

NAMES = {
    "turns": "messages",
    "reasoning": "think",
    "effort": "think",
    "budget": "think",
    "show": "think",
    "truncation": "truncate",
    "format.schema": "format",
    ".arguments": "function.arguments",
    ".strict": "function.strict",
    **{field: f"options.{name}" for field, name in _OPTIONS.items()},
}
"""Fields of `ir.Request` and the keys of this dialect."""

GENERATE_NAMES = {**NAMES, "turns": "prompt"}
"""The same for ``/api/generate``; they tell one form from the other."""

NO_LIMIT = ".num_predict"
"""In ``ext``: a number of tokens that means no limit."""
FORMAT = ".format"
"""In ``ext``: a format that asks for nothing."""

LEVELS = ("low", "medium", "high", "max")
"""Words ``think`` may be."""


def decode(body: bytes, path: str | None) -> ir.Request:
    """A body. Raises `RemoteProtocolError` that names the field."""
    return _generate(body) if wire.is_generate(path) else _chat(body)


def _chat(body: bytes) -> ir.Request:
    found, extra = json.decode_known(body, wire.chat_request)
    ext = dict(extra)
    system, turns = decode_messages.messages(found.messages)
    request = ir.Request(
        dialect=NAME, model=_model(found.model), turns=turns, system=system, tools=_tools(found.tools), names=NAMES
    )
    return _with_parameters(request, found, ext)


def _generate(body: bytes) -> ir.Request:
    found, extra = json.decode_known(body, wire.generate_request)
    ext = dict(extra)
    parts = decode_messages.images(found.images, "images")
    if found.prompt:
        parts.append(ir.Text(found.prompt, path="prompt"))
    elif found.prompt is None:
        ext[".prompt"] = b"null"
    system: tuple[ir.Text, ...] = ()
    if found.system:
        system = (ir.Text(found.system, path="system"),)
    elif found.system == "":
        ext[".system"] = b'""'
    request = ir.Request(
        dialect=NAME,
        model=_model(found.model),
        turns=(ir.Turn(ir.Role.USER, tuple(parts), path="prompt"),) if parts else (),
        system=system,
        names=GENERATE_NAMES,
    )
    return _with_parameters(request, found, ext)


def _model(name: str) -> str:
    if not name:
        raise RemoteProtocolError("model is required", param="model", code="missing_required_parameter")
    return name


def _with_parameters(
    request: ir.Request, found: wire.ChatRequest | wire.GenerateRequest, ext: dict[str, bytes]
) -> ir.Request:
    options = _options(found.options, ext)
    request = msgspec.structs.replace(
        request,
        max_output=_limit(options.num_predict, ext),
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        seed=options.seed,
        stop=tuple(options.stop or ()),
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        logprobs=found.logprobs,
        top_logprobs=found.top_logprobs,
        format=_format(found.format, ext),
        reasoning=_think(found.think, ext),
        truncation=None if found.truncate is None else "auto" if found.truncate else "disabled",
        stream=found.stream is not False,
    )
    return msgspec.structs.replace(request, ext=ir.Ext(NAME, ext) if ext else None)


def _options(raw: Raw, ext: dict[str, bytes]) -> wire.Options:
    data = given(raw)
    if data is None:
        return wire.Options()
    options, extra = json.decode_known(data, wire.options, "options")
    ext.update({f"options.{name}": value for name, value in extra.items()})
    return options


def _limit(tokens: int | None, ext: dict[str, bytes]) -> int | None:
    """-1 is no limit and -2 the whole context; the server treats 0 like them."""
    if tokens is None or tokens > 0:
        return tokens
    ext[NO_LIMIT] = b"%d" % tokens
    return None


def _format(raw: Raw, ext: dict[str, bytes]) -> ir.Format | None:
    data = given(raw)
    if data is None:
        return None
    kind = json.kind(data)
    if kind == "object":
        return ir.Format(ir.FormatKind.JSON_SCHEMA, schema=data)
    word = json.decode(data, wire.string, "format") if kind == "string" else None
    if word == "json":
        return ir.Format(ir.FormatKind.JSON_OBJECT)
    if word == "":
        ext[FORMAT] = data
        return None
    raise json.bad_field("format", '"json" or a JSON schema', kind if word is None else repr(word[:40]))


def _think(raw: Raw, ext: Mapping[str, bytes]) -> ir.ReasoningParams | None:
    data = given(raw)
    if data is None:
        return None
    kind = json.kind(data)
    if kind == "boolean":
        on = json.decode(data, wire.boolean, "think")
        return ir.ReasoningParams(ir.ThinkingMode.ON if on else ir.ThinkingMode.OFF)
    word = json.decode(data, wire.string, "think") if kind == "string" else None
    if word in LEVELS:
        return ir.ReasoningParams(effort=word)
    raise json.bad_field("think", f"true, false, {', '.join(LEVELS)}", kind if word is None else repr(word[:40]))


def _tools(raw: Raw) -> tuple[ir.Tool, ...]:
    data = given(raw)
    if data is None:
        return ()
    return tuple(_tool(item, f"tools[{n}]") for n, item in enumerate(json.items(data, "tools")))


def _tool(raw: Raw, path: str) -> ir.Tool:
    tool, extra = json.decode_known(raw, wire.tool, path)
    if tool.type != "function":
        return ir.HostedTool(NAME, tool.type, bytes(raw), path=path)
    where = f"{path}.function"
    function, inner = json.decode_known(decode_messages.needed(tool.function, where), wire.tool_function, where)
    schema = given(function.parameters)
    if schema is not None and json.kind(schema) != "object":
        raise json.bad_field(f"{where}.parameters", "an object", json.kind(schema))
    fields = dict(extra) | {f"function.{name}": value for name, value in inner.items()}
    return ir.Function(
        function.name,
        description=function.description,
        schema=schema,
        path=path,
        ext=ir.Ext(NAME, fields) if fields else None,
    )
