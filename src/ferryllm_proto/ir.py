"""The internal representation: nouns only, to and from which every dialect is translated.

- order of parts is kept; nothing is merged here;
- tool arguments are the raw JSON text the model or the client wrote (a freeform tool's are its raw input);
- schemas and other carried JSON are ``bytes`` in the client's own key order and spelling;
- material only its provider can read is an `Opaque` and names who minted it;
- what a dialect has and the representation has not lies in ``ext`` and goes back to that dialect alone;
- ``path`` is where the client wrote a thing (``messages[2].content[0]``), so that a loss can name it;
- absent is ``None``, never a default that means something else.
"""

from __future__ import annotations

import enum
from typing import Union

import msgspec


class Struct(msgspec.Struct, frozen=True):
    """Base of all values of the representation."""


class Ext(Struct, frozen=True):
    """Fields one dialect has and the representation has not."""

    dialect: str
    fields: dict[str, bytes]
    """Field name to its JSON value, as the peer wrote it."""


# --- opaque material -------------------------------------------------------------------------------------


class OpaqueKind(enum.Enum):
    SIGNATURE = "signature"
    """Anthropic: proof over a thinking block's text."""
    REDACTED = "redacted"
    """Anthropic: an encrypted thinking block (``redacted_thinking.data``)."""
    ENCRYPTED = "encrypted"
    """Responses: ``reasoning.encrypted_content``."""
    THOUGHT_SIGNATURE = "thought_signature"
    """Gemini: on the part that follows the thought."""
    DETAILS = "details"
    """OpenRouter and its like: one ``reasoning_details`` object, as JSON text."""


class Opaque(Struct, frozen=True, gc=False):
    """Bytes only the provider that minted them can use; carried, never read."""

    provider: str
    """Who minted it: ``anthropic``, ``openai``, ``gemini``, ``openrouter``."""
    model: str
    """The model that minted it, or "" when the client did not say."""
    kind: OpaqueKind
    data: str
    id: str | None = None
    """The item id it belongs to, where the provider has one (Responses ``rs_...``)."""


# --- parts -----------------------------------------------------------------------------------------------


class CacheMark(Struct, frozen=True, gc=False):
    """A prompt cache breakpoint after this part."""

    ttl: str | None = None
    """``5m``, ``1h``, ``30m``, ``12h``; None is the provider's default."""


class SourceKind(enum.Enum):
    BASE64 = "base64"
    URL = "url"
    FILE_ID = "file_id"
    TEXT = "text"


class Source(Struct, frozen=True, gc=False):
    """Where the bytes of an image, document or sound are."""

    kind: SourceKind
    data: str
    """Base64 text without a ``data:`` prefix, the URL, the file id, or the text itself."""
    media_type: str | None = None


class Text(Struct, frozen=True):
    text: str
    citations: tuple[bytes, ...] = ()
    """Each one the JSON object of the dialect in ``citations_dialect``."""
    citations_dialect: str = ""
    phase: str | None = None
    """Responses: ``commentary`` or ``final_answer``, of the message this text is in."""
    cache: CacheMark | None = None
    path: str = ""
    ext: Ext | None = None


class Image(Struct, frozen=True):
    source: Source
    detail: str | None = None
    cache: CacheMark | None = None
    path: str = ""
    ext: Ext | None = None


class Document(Struct, frozen=True):
    """A file: PDF, text or any other."""

    source: Source
    name: str | None = None
    context: str | None = None
    citations: bool | None = None
    cache: CacheMark | None = None
    path: str = ""
    ext: Ext | None = None


class Audio(Struct, frozen=True):
    source: Source
    format: str | None = None
    path: str = ""
    ext: Ext | None = None


class Reasoning(Struct, frozen=True):
    """What the model thought: raw text, summaries, and the proof to send back."""

    text: str = ""
    summary: tuple[str, ...] = ()
    opaque: tuple[Opaque, ...] = ()
    id: str | None = None
    path: str = ""
    ext: Ext | None = None


class Refusal(Struct, frozen=True):
    text: str
    path: str = ""


class ToolKind(enum.Enum):
    FUNCTION = "function"
    """Arguments are a JSON object."""
    CUSTOM = "custom"
    """Arguments are free text."""


class ToolCall(Struct, frozen=True):
    id: str
    name: str
    arguments: str
    """Raw JSON text for a function ("" when the model sent nothing), raw text for a custom tool."""
    kind: ToolKind = ToolKind.FUNCTION
    namespace: str | None = None
    item_id: str | None = None
    """Responses has two ids: this is the item's (``fc_...``), `id` is the call's."""
    opaque: tuple[Opaque, ...] = ()
    cache: CacheMark | None = None
    path: str = ""
    ext: Ext | None = None


class ToolResult(Struct, frozen=True):
    id: str
    """The id of the call it answers."""
    parts: tuple[Part, ...] = ()
    name: str | None = None
    is_error: bool | None = None
    kind: ToolKind = ToolKind.FUNCTION
    cache: CacheMark | None = None
    path: str = ""
    ext: Ext | None = None


class Hosted(Struct, frozen=True):
    """A block only its own dialect knows: server tool calls and results, compaction, unknown types."""

    dialect: str
    type: str
    raw: bytes
    """The block's JSON object."""
    path: str = ""


Part = Union[Text, Image, Document, Audio, Reasoning, Refusal, ToolCall, ToolResult, Hosted]  # noqa: UP007 - read by msgspec


class Role(enum.Enum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    """Instructions in the middle of a conversation; the leading ones are `Request.system`."""


class Turn(Struct, frozen=True):
    role: Role
    parts: tuple[Part, ...]
    phase: str | None = None
    """Responses: ``commentary`` or ``final_answer``."""
    id: str | None = None
    name: str | None = None
    path: str = ""
    ext: Ext | None = None


# --- tools -----------------------------------------------------------------------------------------------


class Function(Struct, frozen=True):
    name: str
    description: str | None = None
    schema: bytes | None = None
    """The parameters' JSON schema, in the client's own spelling; None when the client gave none."""
    strict: bool | None = None
    namespace: str | None = None
    namespace_description: str | None = None
    cache: CacheMark | None = None
    path: str = ""
    ext: Ext | None = None


class Custom(Struct, frozen=True):
    """A freeform tool: its input is text, maybe bound by a grammar."""

    name: str
    description: str | None = None
    syntax: str | None = None
    """``lark`` or ``regex``; None is free text."""
    definition: str | None = None
    namespace: str | None = None
    namespace_description: str | None = None
    path: str = ""
    ext: Ext | None = None


class HostedTool(Struct, frozen=True):
    """A tool the provider runs itself; ``inner`` are the client's own in it (a namespace of both)."""

    dialect: str
    type: str
    raw: bytes
    name: str | None = None
    path: str = ""
    inner: tuple[Function | Custom, ...] = ()


Tool = Union[Function, Custom, HostedTool]  # noqa: UP007 - as above


class ToolChoiceMode(enum.Enum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    TOOL = "tool"
    """One tool, by name."""
    ALLOWED = "allowed"
    """A subset, by names; `ToolChoice.required` says whether one must be called."""
    HOSTED = "hosted"
    """A tool the provider runs; the dialect's own object is in ``raw``."""


class ToolChoice(Struct, frozen=True):
    mode: ToolChoiceMode
    names: tuple[str, ...] = ()
    required: bool = False
    kind: ToolKind = ToolKind.FUNCTION
    namespace: str | None = None
    raw: bytes | None = None


# --- parameters ------------------------------------------------------------------------------------------


class ThinkingMode(enum.Enum):
    OFF = "off"
    ON = "on"
    ADAPTIVE = "adaptive"
    BETWEEN_TOOLS = "between_tools"


class ReasoningParams(Struct, frozen=True, gc=False):
    """How much the model shall think, and what of it the client sees."""

    mode: ThinkingMode | None = None
    effort: str | None = None
    """none, minimal, low, medium, high, xhigh, max."""
    budget: int | None = None
    """Tokens."""
    show: str | None = None
    """``summary`` (auto), ``concise``, ``detailed``, ``omitted``; None is the provider's default."""


class FormatKind(enum.Enum):
    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


class Format(Struct, frozen=True):
    kind: FormatKind
    name: str | None = None
    schema: bytes | None = None
    strict: bool | None = None
    description: str | None = None


class Request(Struct, frozen=True):
    """One request for one answer; ``names`` maps fields to the client's own keys: use `Request.wire_name`."""

    dialect: str
    """Who wrote it: the entry's dialect."""
    model: str
    turns: tuple[Turn, ...] = ()
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel: bool | None = None
    max_output: int | None = None
    """Tokens."""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: bytes | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    reasoning: ReasoningParams | None = None
    format: Format | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    cache_key: str | None = None
    cache_retention: str | None = None
    metadata: bytes | None = None
    user: str | None = None
    safety_id: str | None = None
    previous_id: str | None = None
    conversation: bytes | None = None
    store: bool | None = None
    background: bool | None = None
    truncation: str | None = None
    include: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool | None = None
    ext: Ext | None = None
    names: dict[str, str] = {}

    def wire_name(self, field: str) -> str:
        """The key under which the client wrote ``field``."""
        return self.names.get(field, field)


# --- answers ---------------------------------------------------------------------------------------------


class Usage(Struct, frozen=True, gc=False):
    """Token counts; None is unknown and stays unknown.

    All wire forms derive from this (U1): ``input`` is what no cache was read or written for, ``output`` is all output.
    """

    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    """All cache writes together."""
    cache_write_1h: int | None = None
    """The part of ``cache_write`` that lives an hour."""
    output: int | None = None
    reasoning: int | None = None
    server_tools: dict[str, int] | None = None
    """Calls of server tools by the provider's name of the counter."""

    @property
    def input_total(self) -> int | None:
        """Input with everything cached, as Chat and Responses count it."""
        if self.input is None:
            return None
        return self.input + (self.cache_read or 0) + (self.cache_write or 0)

    def merge(self, later: Usage) -> Usage:
        """Counters of ``later`` replace ours; what it does not know stays (U4)."""
        tools = later.server_tools
        if self.server_tools:
            tools = self.server_tools if tools is None else self.server_tools | tools
        # Field by field, because some providers count with every chunk of a stream.
        return Usage(
            self.input if later.input is None else later.input,
            self.cache_read if later.cache_read is None else later.cache_read,
            self.cache_write if later.cache_write is None else later.cache_write,
            self.cache_write_1h if later.cache_write_1h is None else later.cache_write_1h,
            self.output if later.output is None else later.output,
            self.reasoning if later.reasoning is None else later.reasoning,
            tools,
        )


class FinishReason(enum.Enum):
    END = "end"
    LENGTH = "length"
    CONTEXT = "context"
    """The context window is full."""
    STOP = "stop"
    """A stop sequence of the client."""
    TOOL_USE = "tool_use"
    PAUSE = "pause"
    REFUSAL = "refusal"
    """Refused by the model or filtered."""
    MALFORMED_TOOL = "malformed_tool"
    ERROR = "error"


class Response(Struct, frozen=True):
    id: str
    model: str
    parts: tuple[Part, ...] = ()
    finish: FinishReason = FinishReason.END
    stop_sequence: str | None = None
    finish_details: bytes | None = None
    """The dialect's own object about the finish (Anthropic ``stop_details``)."""
    created: int | None = None
    """Unix seconds."""
    usage: Usage | None = None
    logprobs: bytes | None = None
    ext: Ext | None = None
    unplaced: tuple[str, ...] = ()
    """What its provider said beside it and nothing here holds, by name (`events.Raw`): lost to other dialects."""


class ErrorKind(enum.Enum):
    """What went wrong, in the classes every dialect can tell apart (wire.md 7.9)."""

    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    AUTHENTICATION = "authentication"
    BILLING = "billing"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    METHOD = "method"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    MEDIA_TYPE = "media_type"
    RATE_LIMIT = "rate_limit"
    SERVER = "server"
    UPSTREAM = "upstream"
    """The provider's fault: unreachable, or it broke its protocol."""
    TRUNCATED = "truncated"
    """The provider's stream ended before its end."""
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"


STATUS: dict[ErrorKind, int] = {
    ErrorKind.BAD_REQUEST: 400,
    ErrorKind.CONTEXT_LENGTH: 400,
    ErrorKind.AUTHENTICATION: 401,
    ErrorKind.BILLING: 402,
    ErrorKind.PERMISSION: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.METHOD: 405,
    ErrorKind.CONFLICT: 409,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.MEDIA_TYPE: 415,
    ErrorKind.RATE_LIMIT: 429,
    ErrorKind.SERVER: 500,
    ErrorKind.UPSTREAM: 502,
    ErrorKind.TRUNCATED: 502,
    ErrorKind.OVERLOADED: 503,
    ErrorKind.TIMEOUT: 504,
}
"""The HTTP status of an error that brings none of its own. Not in it: nothing, every kind has one."""


class Error(Struct, frozen=True):
    """An error as data: whose and what, so that each dialect can say it in its own words."""

    kind: ErrorKind
    message: str
    status: int | None = None
    """The upstream's HTTP status, where there was one."""
    code: str | None = None
    type: str | None = None
    """The upstream's own word for it."""
    param: str | None = None
    retry_after: float | None = None
    """Seconds."""
    dialect: str | None = None
    """Whose words ``type``, ``code`` and ``raw`` are."""
    raw: bytes | None = None
    """The upstream's body, for the client of the same dialect."""

    @property
    def http_status(self) -> int:
        """The status to answer with."""
        return STATUS[self.kind] if self.status is None else self.status


class Model(Struct, frozen=True, gc=False):
    """One entry of a models list."""

    id: str
    owner: str = "ferryllm"
    created: int = 0
    """Unix seconds."""
    display_name: str | None = None
