"""A Gemini client's body to `ir.Request`: everything but the parts (`decode_parts`) and settings (`decode_config`).

The model and whether a stream is wanted are in the path. Nothing but `RemoteProtocolError` is raised.
"""

from __future__ import annotations

import re

import msgspec

from ... import ir, json
from ...errors import RemoteProtocolError
from . import decode_config, paths, wire
from .decode_parts import ContentReader, part_list
from .wire import NAME, given

NAMES = {
    "turns": "contents",
    "system": "systemInstruction",
    "tool_choice": "toolConfig.functionCallingConfig",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "n": "generationConfig.candidateCount",
    "max_output": "generationConfig.maxOutputTokens",
    "stop": "generationConfig.stopSequences",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "seed": "generationConfig.seed",
    "reasoning": "generationConfig.thinkingConfig",
    "effort": "generationConfig.thinkingConfig.thinkingLevel",
    "budget": "generationConfig.thinkingConfig.thinkingBudget",
    "show": "generationConfig.thinkingConfig.includeThoughts",
    "format": "generationConfig.responseJsonSchema",
    "service_tier": "serviceTier",
    ".arguments": "functionCall.args",
    ".is_error": "functionResponse.response",
    ".opaque": "thoughtSignature",
}
"""Fields of `ir.Request` and the keys of this dialect."""

NAMES_SNAKE = {field: re.sub(r"(?<=[a-z])([A-Z])", lambda m: f"_{m[1].lower()}", key) for field, key in NAMES.items()}
"""The same for clients that write snake_case."""

TIERS = {"standard": "default", "unspecified": "auto"}
"""Service tiers that have another name in the representation, which has OpenAI's."""


def decode(body: bytes, path: str | None) -> ir.Request:
    """A body of ``:generateContent`` or ``:streamGenerateContent``. Raises `RemoteProtocolError` that names the field.

    ``path`` says the model and the stream; without it the model is the body's, or "".
    """
    json.check_utf8(body)
    return _decode(body, paths.read(path), "")


def decode_count(body: bytes, path: str | None) -> ir.Request:
    """A body of ``:countTokens``: the fields of a request, or a whole request under one key."""
    json.check_utf8(body)
    asked = paths.read(path)
    found, _ = wire.known(body, wire.count_request)
    inner = given(found.generate_content_request)
    if inner is None:
        return _decode(body, asked, "")
    return _decode(inner, asked, "generateContentRequest.")


def _decode(body: bytes, asked: paths.Asked, prefix: str) -> ir.Request:
    message, extra = wire.known(body, wire.request, prefix.rstrip("."))
    ext = dict(extra)
    model = asked.model or paths.plain_name(message.model or "")
    contents = given(message.contents)
    if contents is None:
        raise RemoteProtocolError(
            f"{prefix}contents: this field is required", param="contents", code="missing_required_parameter"
        )
    config = decode_config.generation(message.generation_config, ext, f"{prefix}generationConfig")
    choice = decode_config.choice(message.tool_config, ext, f"{prefix}toolConfig")
    return ir.Request(
        dialect=NAME,
        model=model,
        turns=ContentReader(model).turns(contents, f"{prefix}contents"),
        system=_system(message.system_instruction, ext, f"{prefix}systemInstruction"),
        tools=_tools(message, ext, f"{prefix}tools"),
        tool_choice=choice,
        service_tier=_tier(message.service_tier, ext),
        store=message.store,
        stream=asked.stream,
        ext=ir.Ext(NAME, ext) if ext else None,
        names=_names(NAMES_SNAKE if b'"generation_config"' in body else NAMES, config.format, ext),
        **msgspec.structs.asdict(config),
    )


def _names(names: dict[str, str], format_: ir.Format | None, ext: dict[str, bytes]) -> dict[str, str]:
    """``names`` with the one of three fields that says the form of the answer."""
    if format_ is None:
        return names
    if format_.schema is None:
        key = names["format"].replace("responseJsonSchema", "responseMimeType")
        key = key.replace("response_json_schema", "response_mime_type")
    elif ".generationConfig.responseSchema" in ext:
        key = names["format"].replace("JsonSchema", "Schema").replace("json_schema", "schema")
    else:
        key = names["format"]
    return {**names, "format": key, "format.schema": key}


def _tools(message: wire.Request, ext: dict[str, bytes], path: str) -> tuple[ir.Tool, ...]:
    data = given(message.tools)
    if data is not None and b"".join(data.split()) == b"[]":
        ext[".tools"] = b"[]"
    return decode_config.tools(message.tools, path)


def _tier(raw: json.Raw, ext: dict[str, bytes]) -> str | None:
    data = given(raw)
    if data is None:
        return None
    if json.kind(data) != "string":
        ext["serviceTier"] = data
        return None
    word = json.decode(data, wire.string, "serviceTier")
    lower = word.lower().removeprefix("service_tier_")
    if lower != word:
        ext[".serviceTier"] = data
    return TIERS.get(lower, lower)


def _system(raw: json.Raw, ext: dict[str, bytes], path: str) -> tuple[ir.Text, ...]:
    """Texts of ``systemInstruction``; a plain string counts as one."""
    data = given(raw)
    if data is None:
        return ()
    if json.kind(data) == "string":
        ext[".systemInstruction"] = b"true"
        return (ir.Text(json.decode(data, wire.string, path), path=path),)
    content, extra = wire.known(data, wire.content, path)
    for name, value in extra.items():
        ext[f"systemInstruction.{name}"] = value
    role = given(content.role)
    if role is not None:
        ext[".systemInstruction.role"] = role  # means nothing here
    texts: list[ir.Text] = []
    for n, item in enumerate(part_list(content.parts, f"{path}.parts")):
        at = f"{path}.parts[{n}]"
        part, more = wire.known(item, wire.part, at)
        text = given(part.text)
        if text is None:
            raise json.bad_field(at, "a text", "a part of another kind")
        fields = dict(more)
        if part.thought is False:  # as some clients write on every part
            fields[".thought"] = b"false"
        said = json.decode(text, wire.string, f"{at}.text")
        texts.append(ir.Text(said, path=at, ext=ir.Ext(NAME, fields) if fields else None))
    if not texts:
        ext[".systemInstruction.parts"] = bytes(content.parts) or b"[]"
    return tuple(texts)
