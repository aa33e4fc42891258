"""The wire types of Chat Completions requests: what a client writes, level by level.

They are apart because both halves read them and because they know nothing: no methods, no defaults that mean
something. Nested objects stay raw, so that each one is decoded with its own path and its unknown fields are found.
Null and absent are the same thing here; recorded clients send null for anything they did not set.
"""

from __future__ import annotations

import msgspec

from ... import json

Raw = json.Raw
Number = int | float
ABSENT = Raw()
"""A raw field that is not there; `value` reads it."""


def value(raw: Raw) -> Raw | None:
    """A raw field, or None where it is absent or null."""
    return None if bytes(raw) in (b"", b"null") else raw


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body. Fields that are not here (vendors', and those without a place in the representation) go to ``ext``."""

    model: str
    messages: Raw
    frequency_penalty: Number | None = None
    function_call: Raw = ABSENT
    functions: list[Raw] | None = None
    logit_bias: Raw = ABSENT
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    metadata: Raw = ABSENT
    n: int | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: Number | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning: Raw = ABSENT
    reasoning_effort: str | None = None
    response_format: Raw = ABSENT
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: str | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: Raw = ABSENT
    temperature: Number | None = None
    thinking: Raw = ABSENT
    tool_choice: Raw = ABSENT
    tools: list[Raw] | None = None
    top_k: int | None = None
    top_logprobs: int | None = None
    top_p: Number | None = None
    user: str | None = None
    verbosity: str | None = None


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    include_usage: bool | None = None


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Any role: which field means something is the role's affair."""

    role: str
    annotations: list[Raw] | None = None
    cache_control: Raw = ABSENT
    content: Raw = ABSENT
    function_call: Raw = ABSENT
    name: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Raw] | None = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[Raw] | None = None


class PartType(msgspec.Struct, frozen=True):
    type: str


class TextPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    text: str
    cache_control: Raw = ABSENT
    prompt_cache_breakpoint: Raw = ABSENT


class RefusalPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    refusal: str


class ImagePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    image_url: Raw
    cache_control: Raw = ABSENT
    prompt_cache_breakpoint: Raw = ABSENT


class ImageUrl(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    detail: str | None = None


class AudioPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    input_audio: Raw


class InputAudio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: str
    format: str | None = None


class FilePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    file: Raw
    cache_control: Raw = ABSENT
    prompt_cache_breakpoint: Raw = ABSENT


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class ThinkingPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mistral: the chain of thought inside the content."""

    type: str
    thinking: list[Raw]


class Cache(msgspec.Struct, frozen=True):
    """``cache_control`` of OpenRouter and its like, ``prompt_cache_breakpoint`` of OpenAI."""

    ttl: str | None = None


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str | None = None
    type: str | None = None
    function: Raw = ABSENT
    custom: Raw = ABSENT
    cache_control: Raw = ABSENT
    extra_content: Raw = ABSENT
    index: Raw = ABSENT
    """Clients that store stream deltas send it back; it says nothing."""


class FunctionCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: Raw = ABSENT


class CustomCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    input: str | None = None


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str | None = None
    function: Raw = ABSENT
    custom: Raw = ABSENT
    cache_control: Raw = ABSENT


class FunctionTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class CustomTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    format: Raw = ABSENT


class CustomFormat(msgspec.Struct, frozen=True):
    type: str
    grammar: Raw = ABSENT


class Grammar(msgspec.Struct, frozen=True):
    definition: str
    syntax: str


class ToolChoice(msgspec.Struct, frozen=True):
    type: str | None = None
    function: Raw = ABSENT
    custom: Raw = ABSENT
    allowed_tools: Raw = ABSENT


class Named(msgspec.Struct, frozen=True):
    name: str


class AllowedTools(msgspec.Struct, frozen=True):
    mode: str
    tools: list[Raw]


class ResponseFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    json_schema: Raw = ABSENT


class JsonSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str | None = None
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


class OpenRouterReasoning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """OpenRouter's ``reasoning`` object."""

    effort: str | None = None
    max_tokens: int | None = None
    exclude: bool | None = None
    enabled: bool | None = None


class Thinking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``thinking`` of DeepSeek, z.ai, Moonshot."""

    type: str | None = None
    budget_tokens: int | None = None


REQUEST = json.decoder(Request)
STREAM_OPTIONS = json.decoder(StreamOptions)
MESSAGE = json.decoder(Message)
PART_TYPE = json.decoder(PartType)
TEXT_PART = json.decoder(TextPart)
REFUSAL_PART = json.decoder(RefusalPart)
IMAGE_PART = json.decoder(ImagePart)
IMAGE_URL = json.decoder(ImageUrl)
AUDIO_PART = json.decoder(AudioPart)
INPUT_AUDIO = json.decoder(InputAudio)
FILE_PART = json.decoder(FilePart)
FILE = json.decoder(File)
THINKING_PART = json.decoder(ThinkingPart)
CACHE = json.decoder(Cache)
TOOL_CALL = json.decoder(ToolCall)
FUNCTION_CALL = json.decoder(FunctionCall)
CUSTOM_CALL = json.decoder(CustomCall)
TOOL = json.decoder(Tool)
FUNCTION_TOOL = json.decoder(FunctionTool)
CUSTOM_TOOL = json.decoder(CustomTool)
CUSTOM_FORMAT = json.decoder(CustomFormat)
GRAMMAR = json.decoder(Grammar)
TOOL_CHOICE = json.decoder(ToolChoice)
NAMED = json.decoder(Named)
ALLOWED_TOOLS = json.decoder(AllowedTools)
RESPONSE_FORMAT = json.decoder(ResponseFormat)
JSON_SCHEMA = json.decoder(JsonSchema)
OPENROUTER_REASONING = json.decoder(OpenRouterReasoning)
THINKING = json.decoder(Thinking)
STRING = json.decoder(str)
