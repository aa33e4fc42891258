"""The Messages API's JSON as types: what is read, field by field.

Nested objects stay `Raw` and are decoded one level at a time, so that an unknown field is found where it is and an
error names its exact place. What must keep its spelling (schemas, tool inputs, citations) is never more than `Raw`. The
types of requests forbid unknown fields only so that `json.decode_known` can hand them out; answers are read with the
tolerant types below, because a provider may add fields at any time.

Source: API reference of Messages, versions 2023-06-01 and 2026-10-21, and the types of the official SDK.
"""

from __future__ import annotations

import msgspec

from ... import json, written
from ...json import Raw

NAME = "anthropic"
PROVIDER = "anthropic"

ABSENT = Raw()
"""Default of raw fields: no bytes."""

Number = int | float
"""Kept apart: 1 stays 1 and 1.0 stays 1.0 (G7)."""


def given(raw: Raw) -> bytes | None:
    """The JSON of a raw field; None where it is absent or null."""
    data = bytes(raw)
    return None if not data or data == b"null" else data


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what clients send."""


class Tagged(msgspec.Struct, frozen=True):
    """The least of a block: its type."""

    type: str


# --- requests --------------------------------------------------------------------------------------------


class Request(_Known, frozen=True):
    model: str
    messages: Raw
    max_tokens: int | None = None
    system: Raw = ABSENT
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_k: int | None = None
    thinking: Raw = ABSENT
    tool_choice: Raw = ABSENT
    tools: Raw = ABSENT
    metadata: Raw = ABSENT
    output_config: Raw = ABSENT
    output_format: Raw = ABSENT
    service_tier: str | None = None


class Thinking(_Known, frozen=True):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class OutputConfig(_Known, frozen=True):
    effort: str | None = None
    format: Raw = ABSENT


class OutputFormat(_Known, frozen=True):
    type: str
    schema: Raw = ABSENT


class Metadata(_Known, frozen=True):
    user_id: str | None = None


class ToolChoice(_Known, frozen=True):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Tool(_Known, frozen=True):
    """A tool the client runs, described by the client."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = ABSENT
    strict: bool | None = None
    cache_control: Raw = ABSENT


class ToolHead(msgspec.Struct, frozen=True):
    """What tells a client's tool from one with a schema of Anthropic's."""

    type: str | None = None
    name: str | None = None


class CacheControl(_Known, frozen=True):
    type: str = "ephemeral"
    ttl: str | None = None


class Message(_Known, frozen=True):
    role: str
    content: Raw = ABSENT


class TextBlock(_Known, frozen=True, tag="text"):
    text: str
    citations: Raw = ABSENT
    cache_control: Raw = ABSENT


class ImageBlock(_Known, frozen=True, tag="image"):
    source: Raw
    cache_control: Raw = ABSENT


class DocumentBlock(_Known, frozen=True, tag="document"):
    source: Raw
    title: str | None = None
    context: str | None = None
    citations: Raw = ABSENT
    cache_control: Raw = ABSENT


class DocumentCitations(_Known, frozen=True):
    enabled: bool | None = None


class SourceObject(msgspec.Struct, frozen=True):
    """Source of an image or a document; which fields count depends on ``type``."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: Raw = ABSENT


class ThinkingBlock(_Known, frozen=True, tag="thinking"):
    thinking: str
    signature: str | None = None


class RedactedBlock(_Known, frozen=True, tag="redacted_thinking"):
    data: str


class ToolUseBlock(_Known, frozen=True, tag="tool_use"):
    id: str
    name: str
    input: Raw = ABSENT
    cache_control: Raw = ABSENT


class ToolResultBlock(_Known, frozen=True, tag="tool_result"):
    tool_use_id: str
    content: Raw = ABSENT
    is_error: bool | None = None
    cache_control: Raw = ABSENT


# --- the same in one pass --------------------------------------------------------------------------------


class WholeResult(ToolResultBlock, frozen=True, tag="tool_result"):
    content: str | list[TextBlock | ImageBlock] | None = None  # type: ignore[assignment]  # decoded where it is Raw above


WholeBlock = TextBlock | ImageBlock | ThinkingBlock | RedactedBlock | ToolUseBlock | WholeResult


class WholeMessage(_Known, frozen=True):
    role: str
    content: str | list[WholeBlock]


class WholeRequest(Request, frozen=True, kw_only=True):
    """A body without anything unusual: blocks and fields as coding agents send them.

    Whatever else there is makes the decoding fail, so that nothing is passed over: the types above are for that.
    """

    messages: list[WholeMessage]  # type: ignore[assignment]  # decoded where it is Raw above
    # Of one kind alone the tag could be missing: then msgspec asks for none.
    system: str | list[TextBlock | ImageBlock] | None = None  # type: ignore[assignment]  # the same


# --- the same with words as they were written ------------------------------------------------------------


class WrittenText(written.Words, frozen=True, gc=False, forbid_unknown_fields=True, tag="text"):
    citations: Raw = ABSENT
    cache_control: Raw = ABSENT


class WrittenCall(written.Call, frozen=True, gc=False, forbid_unknown_fields=True, tag="tool_use"):
    arguments: Raw = msgspec.field(default=ABSENT, name="input")
    cache_control: Raw = ABSENT


class WrittenResult(written.Result, frozen=True, gc=False, forbid_unknown_fields=True, tag="tool_result"):
    id: str = msgspec.field(name="tool_use_id")
    content: Raw = ABSENT
    cache_control: Raw = ABSENT


WrittenBlock = WrittenText | ImageBlock | ThinkingBlock | RedactedBlock | WrittenCall | WrittenResult


class WrittenMessage(_Known, frozen=True):
    role: str
    content: str | list[WrittenBlock]


class WrittenRequest(Request, frozen=True, kw_only=True):
    """As `WholeRequest`; whether what stays undecoded is what it has to be, is for `decode_written` to look."""

    messages: list[WrittenMessage]  # type: ignore[assignment]  # decoded where it is Raw above


# --- answers ---------------------------------------------------------------------------------------------


class CacheCreation(msgspec.Struct, frozen=True):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(msgspec.Struct, frozen=True):
    thinking_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: dict[str, int | None] | None = None


class Answer(msgspec.Struct, frozen=True):
    """A whole message; every field may be missing, vendors differ."""

    id: str | None = None
    type: str | None = None
    model: str | None = None
    content: Raw = ABSENT
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT
    container: Raw = ABSENT
    context_management: Raw = ABSENT


class Block(msgspec.Struct, frozen=True):
    """Any content block of an answer."""

    type: str = ""
    text: str | None = None
    citations: Raw = ABSENT
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT


class ErrorBody(msgspec.Struct, frozen=True):
    type: str | None = None
    message: str | None = None


# --- stream events ---------------------------------------------------------------------------------------


class Delta(msgspec.Struct, frozen=True):
    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: Raw = ABSENT
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = ABSENT


class StreamEvent(msgspec.Struct, frozen=True):
    """One ``data:`` of the stream, decoded in one pass."""

    type: str = ""
    index: int | None = None
    delta: Delta | None = None
    content_block: Raw = ABSENT
    message: Raw = ABSENT
    usage: Raw = ABSENT
    error: Raw = ABSENT


tagged = json.decoder(Tagged)
request = json.decoder(Request)
whole_request = json.decoder(WholeRequest)
written_request = json.decoder(WrittenRequest)
result_content: msgspec.json.Decoder[str | list[TextBlock | ImageBlock] | None] = msgspec.json.Decoder(
    str | list[TextBlock | ImageBlock] | None
)
prompt = result_content
"""Of a system prompt the same may be in one pass."""
thinking = json.decoder(Thinking)
output_config = json.decoder(OutputConfig)
output_format = json.decoder(OutputFormat)
metadata = json.decoder(Metadata)
tool_choice = json.decoder(ToolChoice)
tool = json.decoder(Tool)
tools = json.decoder(list[Tool])
tool_head = json.decoder(ToolHead)
cache_control = json.decoder(CacheControl)
message = json.decoder(Message)
text_block = json.decoder(TextBlock)
image_block = json.decoder(ImageBlock)
document_block = json.decoder(DocumentBlock)
document_citations = json.decoder(DocumentCitations)
source = json.decoder(SourceObject)
thinking_block = json.decoder(ThinkingBlock)
redacted_block = json.decoder(RedactedBlock)
tool_use_block = json.decoder(ToolUseBlock)
tool_result_block = json.decoder(ToolResultBlock)
string = json.decoder(str)
usage = json.decoder(Usage)
answer = json.decoder(Answer)
block = json.decoder(Block)
error_body = json.decoder(ErrorBody)
stream_event = json.decoder(StreamEvent)
