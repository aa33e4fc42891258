"""The wire of the Responses API: the request's objects as msgspec types, and the words both halves share.

Apart from the machines because both directions decode with them. Nested values stay raw and are decoded one by one,
so that an unknown field is found, and an error named, at every level (API reference: POST /responses).
"""

from __future__ import annotations

import msgspec

from ... import ir, json

NAME = "openai_responses"
PROVIDER = "openai"

Raw = msgspec.Raw
Number = int | float
"""Without it ``1`` would leave as ``1.0`` (translation.md G7)."""


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what `json.decode_known` reads."""


class Body(_Known, frozen=True):
    model: str
    input: Raw = Raw(b"null")
    instructions: str | None = None
    tools: Raw = Raw(b"null")
    tool_choice: Raw = Raw(b"null")
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: Number | None = None
    top_p: Number | None = None
    top_logprobs: int | None = None
    reasoning: Raw = Raw(b"null")
    text: Raw = Raw(b"null")
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    metadata: Raw = Raw(b"null")
    user: str | None = None
    safety_identifier: str | None = None
    previous_response_id: str | None = None
    conversation: Raw = Raw(b"null")
    store: bool | None = None
    background: bool | None = None
    truncation: str | None = None
    include: list[str] | None = None
    stream: bool | None = None


class Reasoning(_Known, frozen=True):
    effort: str | None = None
    summary: str | None = None


class TextConfig(_Known, frozen=True):
    format: Raw = Raw(b"null")
    verbosity: str | None = None


class Format(_Known, frozen=True):
    type: str
    name: str | None = None
    schema: Raw = Raw(b"null")
    strict: bool | None = None
    description: str | None = None


# --- input items -----------------------------------------------------------------------------------------


class Tag(msgspec.Struct, frozen=True):
    """What decides how an object is read: its type, or for an item without one its role."""

    type: str | None = None
    role: str | None = None


class Message(_Known, frozen=True):
    role: str
    content: Raw = Raw(b"null")
    type: str | None = None
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class FunctionCall(_Known, frozen=True):
    call_id: str
    name: str
    type: str
    arguments: str = ""
    id: str | None = None
    status: str | None = None
    namespace: str | None = None


class CustomToolCall(_Known, frozen=True):
    call_id: str
    name: str
    type: str
    input: str = ""
    id: str | None = None
    status: str | None = None
    namespace: str | None = None


class CallOutput(_Known, frozen=True):
    """``function_call_output`` and ``custom_tool_call_output``."""

    call_id: str
    type: str
    output: Raw = Raw(b"null")
    id: str | None = None
    status: str | None = None
    name: str | None = None
    namespace: str | None = None
    """Repeats the call's."""


class ReasoningItem(_Known, frozen=True):
    type: str
    id: str | None = None
    summary: Raw = Raw(b"null")
    content: Raw = Raw(b"null")
    encrypted_content: str | None = None
    status: str | None = None


class AdditionalTools(_Known, frozen=True):
    type: str
    tools: Raw = Raw(b"null")
    role: str | None = None
    id: str | None = None


# --- content parts ---------------------------------------------------------------------------------------


class TextPart(_Known, frozen=True):
    """``input_text``, ``output_text``, ``summary_text`` and ``reasoning_text``."""

    type: str
    text: str
    prompt_cache_breakpoint: Raw = Raw(b"null")
    annotations: Raw = Raw(b"null")


class RefusalPart(_Known, frozen=True):
    type: str
    refusal: str


class ImagePart(_Known, frozen=True):
    type: str
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: Raw = Raw(b"null")


class FilePart(_Known, frozen=True):
    type: str
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: Raw = Raw(b"null")


class AudioData(_Known, frozen=True):
    data: str
    format: str | None = None


class AudioPart(_Known, frozen=True):
    type: str
    input_audio: AudioData


class Breakpoint(msgspec.Struct, frozen=True):
    mode: str | None = None
    ttl: str | None = None


# --- tools -----------------------------------------------------------------------------------------------


class FunctionTool(_Known, frozen=True):
    type: str
    name: str
    description: str | None = None
    parameters: Raw = Raw(b"null")
    strict: bool | msgspec.UnsetType | None = msgspec.UNSET
    """Null is "do not", absent is the provider's default, which is to be strict."""


class CustomTool(_Known, frozen=True):
    type: str
    name: str
    description: str | None = None
    format: Raw = Raw(b"null")


class CustomFormat(msgspec.Struct, frozen=True):
    type: str
    syntax: str | None = None
    definition: str | None = None


class NamespaceTool(_Known, frozen=True):
    type: str
    name: str
    tools: Raw = Raw(b"null")
    description: str | None = None


class NamedTool(msgspec.Struct, frozen=True):
    name: str | None = None


class Choice(msgspec.Struct, frozen=True):
    type: str
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[Choice] = []


body_decoder = json.decoder(Body)
reasoning_decoder = json.decoder(Reasoning)
text_decoder = json.decoder(TextConfig)
format_decoder = json.decoder(Format)
tag_decoder = json.decoder(Tag)
message_decoder = json.decoder(Message)
function_call_decoder = json.decoder(FunctionCall)
custom_call_decoder = json.decoder(CustomToolCall)
output_decoder = json.decoder(CallOutput)
reasoning_item_decoder = json.decoder(ReasoningItem)
additional_tools_decoder = json.decoder(AdditionalTools)
text_part_decoder = json.decoder(TextPart)
refusal_part_decoder = json.decoder(RefusalPart)
image_part_decoder = json.decoder(ImagePart)
file_part_decoder = json.decoder(FilePart)
audio_part_decoder = json.decoder(AudioPart)
breakpoint_decoder = json.decoder(Breakpoint)
function_tool_decoder = json.decoder(FunctionTool)
custom_tool_decoder = json.decoder(CustomTool)
custom_format_decoder = json.decoder(CustomFormat)
namespace_decoder = json.decoder(NamespaceTool)
named_tool_decoder = json.decoder(NamedTool)
choice_decoder = json.decoder(Choice)
string_decoder = json.decoder(str)

NAMES: dict[str, str] = {
    "turns": "input",
    "system": "instructions",
    "parallel": "parallel_tool_calls",
    "max_output": "max_output_tokens",
    "format": "text.format",
    "verbosity": "text.verbosity",
    "cache_key": "prompt_cache_key",
    "cache_retention": "prompt_cache_retention",
    "safety_id": "safety_identifier",
    "previous_id": "previous_response_id",
    "reasoning": "reasoning.effort",
    "effort": "reasoning.effort",
    "show": "reasoning.summary",
    ".cache": "prompt_cache_breakpoint",
    ".citations": "annotations",
    ".opaque": "encrypted_content",
    ".phase": "^phase",
    ".title": "filename",
}
"""Fields of `ir.Request`, and with a dot of parts and tools, whose wire key differs."""

LOGPROBS = "message.output_text.logprobs"
"""The ``include`` value that asks for token probabilities."""
ENCRYPTED = "reasoning.encrypted_content"
"""The ``include`` value that asks for reasoning that can be sent back."""

RESULT_ITEMS = frozenset(
    {
        "local_shell_call_output",
        "shell_call_output",
        "apply_patch_call_output",
        "computer_call_output",
        "tool_search_output",
        "mcp_approval_response",
    }
)
"""Items the client made in answer to a call; every other unknown item is on the assistant's side."""

SUMMARY_SHOW = {"auto": "summary", "concise": "concise", "detailed": "detailed"}
"""``reasoning.summary`` to `ir.ReasoningParams.show`."""


def is_null(raw: Raw | bytes) -> bool:
    """Absent and null mean the same on this wire, but for `FunctionTool.strict`."""
    return bytes(raw) == b"null"


def ext(fields: dict[str, bytes]) -> ir.Ext | None:
    """``fields`` as an extension of this dialect, or None when there are none."""
    return ir.Ext(NAME, fields) if fields else None
