"""``generationConfig`` and ``toolConfig`` of a request.

What has no place in the representation is kept in ``ext`` under its dotted name; a name that begins with a dot only
reproduces a spelling.
"""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...json import Raw
from . import schemas, wire
from .wire import NAME, Number, given

LEVELS = ("minimal", "low", "medium", "high", "xhigh")
"""Words of ``thinkingLevel``, which are those for effort."""

_JSON = "application/json"

_MODES = {
    "AUTO": ir.ToolChoiceMode.AUTO,
    "ANY": ir.ToolChoiceMode.REQUIRED,
    "NONE": ir.ToolChoiceMode.NONE,
    "VALIDATED": ir.ToolChoiceMode.AUTO,
    "MODE_UNSPECIFIED": ir.ToolChoiceMode.AUTO,
}
_MODE_NUMBERS = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
_LEVEL_NUMBERS = ("", "LOW", "HIGH", "MEDIUM", "MINIMAL", "XHIGH")


class Config(msgspec.Struct, frozen=True):
    """What ``generationConfig`` says."""

    temperature: Number | None = None
    top_p: Number | None = None
    top_k: int | None = None
    n: int | None = None
    max_output: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool | None = None
    top_logprobs: int | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    seed: int | None = None
    reasoning: ir.ReasoningParams | None = None
    format: ir.Format | None = None


def generation(raw: Raw, fields: dict[str, bytes], path: str) -> Config:
    """``generationConfig``; ``fields`` gets what is no part of the result. ``path`` names it in errors."""
    data = given(raw)
    if data is None:
        return Config()
    if json.kind(data) != "object":
        raise json.bad_field(path, "an object", json.kind(data))
    config, extra = wire.known(data, wire.generation_config, path)
    if b"".join(data.split()) == b"{}":
        fields[".generationConfig"] = b"{}"
    for name, value in extra.items():
        fields[f"generationConfig.{name}"] = value
    modalities = given(config.response_modalities)
    if modalities is not None:
        # Text is what everybody answers with.
        plain = b"".join(modalities.split()).upper() in (b'["TEXT"]', b"[]", b"[1]")
        fields[("." if plain else "") + "generationConfig.responseModalities"] = modalities
    top_k = config.top_k
    if isinstance(top_k, float):
        if not top_k.is_integer():
            raise json.bad_field(f"{path}.topK", "a whole number", str(top_k))
        top_k = int(top_k)
    if config.max_output_tokens is not None and config.max_output_tokens < 0:
        raise json.bad_field(f"{path}.maxOutputTokens", "1 or more", str(config.max_output_tokens))
    if config.stop_sequences == []:
        fields[".generationConfig.stopSequences"] = b"[]"
    return Config(
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=top_k,
        n=config.candidate_count,
        max_output=config.max_output_tokens,
        stop=tuple(config.stop_sequences or ()),
        logprobs=config.response_logprobs,
        top_logprobs=config.logprobs,
        presence_penalty=config.presence_penalty,
        frequency_penalty=config.frequency_penalty,
        seed=config.seed,
        reasoning=_thinking(config.thinking_config, fields, f"{path}.thinkingConfig"),
        format=_format(config, fields, path),
    )


def _thinking(raw: Raw, fields: dict[str, bytes], path: str) -> ir.ReasoningParams | None:
    data = given(raw)
    if data is None:
        return None
    config, extra = wire.known(data, wire.thinking_config, path)
    for name, value in extra.items():
        fields[f"generationConfig.thinkingConfig.{name}"] = value
    effort = _level(config.thinking_level, fields, path)
    budget, mode = config.thinking_budget, None
    if budget is not None:
        if budget < -1:
            raise json.bad_field(f"{path}.thinkingBudget", "-1 or more", str(budget))
        mode = {0: ir.ThinkingMode.OFF, -1: ir.ThinkingMode.ADAPTIVE}.get(budget)
        budget = None if budget == -1 else budget
    show = None if config.include_thoughts is None else "summary" if config.include_thoughts else "omitted"
    return ir.ReasoningParams(mode, effort=effort, budget=budget, show=show)


def _level(raw: Raw, fields: dict[str, bytes], path: str) -> str | None:
    data = given(raw)
    if data is None:
        return None
    word = _word(data, _LEVEL_NUMBERS, f"{path}.thinkingLevel")
    level = word.lower()
    if level not in LEVELS:
        fields["generationConfig.thinkingConfig.thinkingLevel"] = data
        return None
    if data != json.encode_str(level.upper()):
        fields[".generationConfig.thinkingConfig.thinkingLevel"] = data
    return level


def _word(data: bytes, numbers: tuple[str, ...], path: str) -> str:
    """A value of an enum by its name, or by its number where a client asked for those."""
    if json.kind(data) == "number":
        number = json.loads(data, path)
        if isinstance(number, int) and 0 <= number < len(numbers):
            return numbers[number]
        raise json.bad_field(path, "a value of the enum", str(number)[:20])
    return json.decode(data, wire.string, path)


def _format(config: wire.GenerationConfig, fields: dict[str, bytes], path: str) -> ir.Format | None:
    mime = config.response_mime_type
    own, plain = given(config.response_schema), given(config.response_json_schema)
    for name, schema in (("responseSchema", own), ("responseJsonSchema", plain)):
        if schema is not None and json.kind(schema) not in ("object", "boolean"):
            raise json.bad_field(f"{path}.{name}", "a schema", json.kind(schema))
    if mime not in (None, _JSON, "text/plain"):
        # An enum's word or another form of text: only this dialect can ask for it.
        fields["generationConfig.responseMimeType"] = json.encode_str(mime)
    elif mime is None and (own is not None or plain is not None):
        fields[".generationConfig.responseMimeType"] = b"null"
    if own is not None and plain is not None:
        fields[".generationConfig.responseSchema"] = own
    elif own is not None:
        fields[".generationConfig.responseSchema"] = own
        plain = schemas.to_json_schema(own)
    if plain is not None:
        return ir.Format(ir.FormatKind.JSON_SCHEMA, schema=plain)
    if mime == _JSON:
        return ir.Format(ir.FormatKind.JSON_OBJECT)
    return ir.Format(ir.FormatKind.TEXT) if mime == "text/plain" else None


def choice(raw: Raw, fields: dict[str, bytes], path: str) -> ir.ToolChoice | None:
    """``toolConfig``."""
    data = given(raw)
    if data is None:
        return None
    config, extra = wire.known(data, wire.tool_config, path)
    for name, value in extra.items():
        fields[f"toolConfig.{name}"] = value
    inner = given(config.function_calling_config)
    if inner is None:
        if not extra:
            fields[".toolConfig"] = b"{}"
        return None
    at = f"{path}.functionCallingConfig"
    calling, more = wire.known(inner, wire.function_calling_config, at)
    for name, value in more.items():
        fields[f"toolConfig.functionCallingConfig.{name}"] = value
    mode = given(calling.mode)
    word = _word(mode, _MODE_NUMBERS, f"{at}.mode") if mode is not None else "AUTO"
    found = _MODES.get(word.upper())
    if found is None:
        raise json.bad_field(f"{at}.mode", "AUTO, ANY, NONE or VALIDATED", repr(word[:40]))
    names = tuple(calling.allowed_function_names or ())
    # The representation knows three of the modes, in capitals: any other spelling goes back as it came.
    plain = mode in (b'"AUTO"', b'"ANY"', b'"NONE"') and (found is ir.ToolChoiceMode.REQUIRED or not names)
    plain = plain and calling.allowed_function_names != []
    required = found is ir.ToolChoiceMode.REQUIRED
    kept = None if plain else inner
    if not names or found is ir.ToolChoiceMode.NONE:
        return ir.ToolChoice(found, raw=kept)
    if required and len(names) == 1:
        return ir.ToolChoice(ir.ToolChoiceMode.TOOL, names, raw=kept)
    return ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, names, required=required, raw=kept)


def tools(raw: Raw, path: str) -> tuple[ir.Tool, ...]:
    """``tools``: the functions of all entries, and every hosted tool by its key."""
    data = given(raw)
    if data is None:
        return ()
    if json.kind(data) == "object":  # one entry that is no list: servers take it
        return tuple(_tool(json.raw(data), f"{path}[0]"))
    if json.kind(data) != "array":
        raise json.bad_field(path, "an array of tools", json.kind(data))
    return tuple(tool for n, item in enumerate(json.items(data, path)) for tool in _tool(item, f"{path}[{n}]"))


def _tool(raw: Raw, path: str) -> list[ir.Tool]:
    entry, extra = wire.known(raw, wire.tool, path)
    out: list[ir.Tool] = []
    functions = given(entry.function_declarations)
    if functions is not None:
        at = f"{path}.functionDeclarations"
        if json.kind(functions) == "object":
            functions = b"[%b]" % functions
        if json.kind(functions) != "array":
            raise json.bad_field(at, "an array of functions", json.kind(functions))
        out.extend(_function(item, f"{at}[{n}]") for n, item in enumerate(json.items(functions, at)))
    for name, value in extra.items():
        if value != b"null":
            type_ = wire.camel(name)
            out.append(ir.HostedTool(NAME, type_, json.encode({type_: json.raw(value)}), path=f"{path}.{name}"))
    return out


def _function(raw: Raw, path: str) -> ir.Function:
    found, extra = wire.known(raw, wire.function_declaration, path)
    if not found.name:
        raise json.bad_field(f"{path}.name", "the name of a function", "nothing")
    fields = dict(extra)
    own, schema = given(found.parameters), given(found.parameters_json_schema)
    for name, value in (("parameters", own), ("parametersJsonSchema", schema)):
        if value is not None and json.kind(value) != "object":
            raise json.bad_field(f"{path}.{name}", "an object", json.kind(value))
    if own is not None:
        fields[".parameters"] = own
        if schema is None:
            schema = schemas.to_json_schema(own)
        else:
            fields[".both"] = b"true"
    return ir.Function(found.name, found.description, schema, path=path, ext=ir.Ext(NAME, fields) if fields else None)
