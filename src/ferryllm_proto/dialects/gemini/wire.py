"""generateContent's JSON as types: what is read, field by field.

The API takes every key in camelCase and in snake_case (protojson), and clients mix them. Requests are read with the
types of the first half, which forbid unknown fields so that `known` can hand them out; answers with the tolerant types
of the second half, which have the keys that differ in both spellings, because an answer is read chunk by chunk.
Nested objects stay `Raw` and are decoded one level at a time, so that an error names its exact place.

Source: API reference of generateContent (v1beta) and the types of the official SDK (google-genai 3.4).
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from ... import json
from ...json import Raw

NAME = "gemini"
PROVIDER = "gemini"

ABSENT = Raw()
"""Default of raw fields: no bytes."""

Number = int | float
"""Kept apart: 1 stays 1 and 1.0 stays 1.0 (G7)."""

T = TypeVar("T")


def given(raw: Raw) -> bytes | None:
    """The JSON of a raw field; None where it is absent or null."""
    data = bytes(raw)
    return None if not data or data == b"null" else data


_SNAKE = re.compile(r"_+([a-z0-9])")


def camel(name: str) -> str:
    """``thinking_config`` as ``thinkingConfig``; a name in camelCase stays."""
    return _SNAKE.sub(lambda m: m[1].upper(), name) if "_" in name else name


def known(raw: bytes | Raw, decoder: msgspec.json.Decoder[T], path: str = "") -> tuple[T, dict[str, bytes]]:
    """As `json.decode_known`, with known fields in either spelling; unknown ones are handed out as they were written.

    Where a client wrote both spellings of one field the later one counts.
    """
    value, extra = json.decode_known(raw, decoder, path)
    if not extra:
        return value, extra
    struct: type[msgspec.Struct] = decoder.type  # type: ignore[assignment]  # T is a Struct here
    names = set(struct.__struct_encode_fields__)
    if not any(camel(name) in names for name in extra):
        return value, extra
    fields = json.fields(raw, path)
    renamed = {camel(name) if camel(name) in names else name: field for name, field in fields.items()}
    return json.decode_known(json.encode(renamed), decoder, path)


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Base of what clients send."""


# --- requests --------------------------------------------------------------------------------------------


class Request(_Known, frozen=True):
    model: str | None = None
    contents: Raw = ABSENT
    system_instruction: Raw = ABSENT
    tools: Raw = ABSENT
    tool_config: Raw = ABSENT
    generation_config: Raw = ABSENT
    service_tier: Raw = ABSENT
    store: bool | None = None


class CountRequest(_Known, frozen=True):
    """``generate_content_request`` is the whole request to count; else the fields stand beside each other."""

    generate_content_request: Raw = ABSENT


class GenerationConfig(_Known, frozen=True):
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: Number | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    response_schema: Raw = ABSENT
    response_json_schema: Raw = ABSENT
    response_modalities: Raw = ABSENT
    thinking_config: Raw = ABSENT


class ThinkingConfig(_Known, frozen=True):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: Raw = ABSENT


class ToolConfig(_Known, frozen=True):
    function_calling_config: Raw = ABSENT


class FunctionCallingConfig(_Known, frozen=True):
    mode: Raw = ABSENT
    allowed_function_names: list[str] | None = None


class Tool(_Known, frozen=True):
    """One entry of ``tools``: the client's functions, and each hosted tool under its own key."""

    function_declarations: Raw = ABSENT


class FunctionDeclaration(_Known, frozen=True):
    name: str = ""
    description: str | None = None
    parameters: Raw = ABSENT
    parameters_json_schema: Raw = ABSENT


class Content(_Known, frozen=True):
    role: Raw = ABSENT
    parts: Raw = ABSENT


class Part(_Known, frozen=True):
    """One payload and what modifies it."""

    text: Raw = ABSENT
    inline_data: Raw = ABSENT
    file_data: Raw = ABSENT
    function_call: Raw = ABSENT
    function_response: Raw = ABSENT
    executable_code: Raw = ABSENT
    code_execution_result: Raw = ABSENT
    tool_call: Raw = ABSENT
    tool_response: Raw = ABSENT
    thought: bool | None = None
    thought_signature: str | None = None


class Blob(_Known, frozen=True):
    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileData(_Known, frozen=True):
    mime_type: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class FunctionCall(_Known, frozen=True):
    id: str | None = None
    name: str | None = None
    args: Raw = ABSENT


class FunctionResponse(_Known, frozen=True):
    id: str | None = None
    name: str | None = None
    response: Raw = ABSENT
    parts: Raw = ABSENT


request = json.decoder(Request)
count_request = json.decoder(CountRequest)
generation_config = json.decoder(GenerationConfig)
thinking_config = json.decoder(ThinkingConfig)
tool_config = json.decoder(ToolConfig)
function_calling_config = json.decoder(FunctionCallingConfig)
tool = json.decoder(Tool)
function_declaration = json.decoder(FunctionDeclaration)
content = json.decoder(Content)
part = json.decoder(Part)
blob = json.decoder(Blob)
file_data = json.decoder(FileData)
function_call = json.decoder(FunctionCall)
function_response = json.decoder(FunctionResponse)
string = json.decoder(str)


# --- answers ---------------------------------------------------------------------------------------------


class AnswerPart(msgspec.Struct, frozen=True):
    """A part of an answer; wrong types inside it are looked at when it is its turn."""

    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None
    thought_signature: str | None = None
    functionCall: Raw = ABSENT
    function_call: Raw = ABSENT


class AnswerCall(msgspec.Struct, frozen=True):
    id: str | None = None
    name: str | None = None
    args: Raw = ABSENT
    partialArgs: list[Raw] | None = None
    partial_args: list[Raw] | None = None
    willContinue: bool | None = None
    will_continue: bool | None = None


class AnswerContent(msgspec.Struct, frozen=True):
    parts: list[Raw] | None = None


class Candidate(msgspec.Struct, frozen=True):
    index: int | None = None
    content: AnswerContent | None = None
    finishReason: Raw = ABSENT
    finish_reason: Raw = ABSENT
    finishMessage: Raw = ABSENT
    finish_message: Raw = ABSENT
    groundingMetadata: Raw = ABSENT
    grounding_metadata: Raw = ABSENT
    citationMetadata: Raw = ABSENT
    citation_metadata: Raw = ABSENT
    urlContextMetadata: Raw = ABSENT
    url_context_metadata: Raw = ABSENT
    logprobsResult: Raw = ABSENT
    logprobs_result: Raw = ABSENT


class PromptFeedback(msgspec.Struct, frozen=True):
    blockReason: Raw = ABSENT
    block_reason: Raw = ABSENT
    blockReasonMessage: Raw = ABSENT
    block_reason_message: Raw = ABSENT


class Chunk(msgspec.Struct, frozen=True):
    """A whole answer and a chunk of a stream are the same object."""

    candidates: list[Candidate] | None = None
    promptFeedback: PromptFeedback | None = None
    prompt_feedback: PromptFeedback | None = None
    usageMetadata: Raw = ABSENT
    usage_metadata: Raw = ABSENT
    modelVersion: str | None = None
    model_version: str | None = None
    responseId: str | None = None
    response_id: str | None = None
    error: Raw = ABSENT
    response: Raw = ABSENT
    """Some proxies put the whole object under this key."""


class Usage(msgspec.Struct, frozen=True):
    promptTokenCount: int | None = None
    prompt_token_count: int | None = None
    candidatesTokenCount: int | None = None
    candidates_token_count: int | None = None
    thoughtsTokenCount: int | None = None
    thoughts_token_count: int | None = None
    cachedContentTokenCount: int | None = None
    cached_content_token_count: int | None = None
    toolUsePromptTokenCount: int | None = None
    tool_use_prompt_token_count: int | None = None
    totalTokenCount: int | None = None
    total_token_count: int | None = None


answer_part = json.decoder(AnswerPart)
answer_call = json.decoder(AnswerCall)
chunk = json.decoder(Chunk)
usage = json.decoder(Usage)
