"""How one Chat backend differs from another: the columns of the table of vendors (`vendors`).

A `Profile` is what the encoder works with: a vendor's row, narrowed by what the model can do, with the
configuration's own words on top. Reading answers needs none of this: it takes every form from everybody.
"""

from __future__ import annotations

import enum

import msgspec

from ...capabilities import UNKNOWN, Capabilities


class Reasoning(enum.Enum):
    """How a request says how much to think."""

    NONE = "none"
    """Not at all."""
    EFFORT = "reasoning_effort"
    THINKING = "thinking"
    """``thinking: {"type": "enabled"}``, and ``reasoning_effort`` where there are efforts."""
    ENABLE = "enable_thinking"
    """``enable_thinking`` and ``thinking_budget``."""
    OBJECT = "reasoning"
    """``reasoning: {"effort", "max_tokens", "exclude", "enabled"}``."""
    TEMPLATE = "chat_template_kwargs"
    """Variables of the model's own template: ``enable_thinking`` or ``thinking``, by the model's family."""


class Replay(enum.Enum):
    """When the thoughts of earlier turns are sent back."""

    NEVER = "never"
    LOOP = "loop"
    """With turns that called tools."""
    ALWAYS = "always"
    MODEL = "model"
    """`LOOP` where the model refuses a tool loop without its thoughts, else `NEVER`."""


class Later(enum.Enum):
    """What becomes of instructions that do not come first."""

    KEEP = "keep"
    """They stay messages of their own."""
    MERGE = "merge"
    """Instructions that follow each other are one message: templates of open models refuse a second one."""
    USER = "user"
    """They are sent as a marked text of the user."""


class ToolContent(enum.Enum):
    """What the content of a tool message may be."""

    STRING = "string"
    TEXT = "text"
    """A string, or a list of texts."""
    IMAGE = "image"
    """Images in the list as well."""


class CallContent(enum.Enum):
    """The content of an assistant message that only calls tools."""

    NULL = "null"
    EMPTY = "empty"
    ABSENT = "absent"


class ToolIds(enum.Enum):
    """What an id of a tool call may look like."""

    ANY = "any"
    """Up to 40 letters, digits, dashes and underscores: the limit older servers of OpenAI's put on them."""
    MISTRAL = "mistral"
    """Nine letters and digits."""


class Cache(enum.Enum):
    """How a cache breakpoint is said."""

    NONE = "none"
    BREAKPOINT = "prompt_cache_breakpoint"
    MARK = "cache_control"
    """Anthropic's own."""


CHOICES = frozenset({"auto", "none", "required", "tool"})
"""The kinds of ``tool_choice``; ``tool`` is one by name. Not in it: ``allowed``, which few know."""

FORMATS = frozenset({"json_object", "json_schema"})

MEDIA = frozenset({"image", "image_url", "audio", "file"})
"""Parts of a message beside text; ``image_url`` is an image the provider has to fetch."""

KNOBS = frozenset(
    {
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "user",
        "parallel_tool_calls",
        "stream_options",
        "strict",
    }
)
"""Optional fields that servers of this protocol have unless their row says otherwise."""

OPENAI_FIELDS = frozenset(
    {
        "verbosity",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "metadata",
    }
)
"""Fields of OpenAI's own; strict servers refuse them, others ignore them without a word."""


class Profile(msgspec.Struct, frozen=True):
    """The knobs of one backend. The defaults are what every server of this protocol known to us accepts (B18)."""

    max_tokens_field: str = "max_tokens"
    """``max_completion_tokens`` where the old name is refused."""
    system_role: str = "system"
    """``developer`` for OpenAI's reasoning models."""
    later_system: Later = Later.KEEP
    alternate: bool = False
    """Whether messages of one user that follow each other must be one."""
    reasoning: Reasoning = Reasoning.EFFORT
    efforts: tuple[str, ...] = ("low", "medium", "high")
    """The words for an effort, in rising order; ``none`` among them where thinking can be put off with a word."""
    restless: bool = False
    """The model can not be told not to think."""
    replay: Replay = Replay.MODEL
    reasoning_field: str = "reasoning_content"
    """Under which name thoughts are sent back."""
    forced_thinks: bool = True
    """Whether a model may think although a tool is forced on it; otherwise thinking is put off."""
    tools: bool = True
    choices: frozenset[str] = CHOICES
    allowed_tools: bool = False
    """Whether ``tool_choice`` knows subsets; otherwise the other tools are left out."""
    tool_content: ToolContent = ToolContent.TEXT
    call_content: CallContent = CallContent.NULL
    tool_ids: ToolIds = ToolIds.ANY
    fields: frozenset[str] = KNOBS
    """Optional fields it knows, of `KNOBS`, `OPENAI_FIELDS` and ``top_k``."""
    seed_field: str = "seed"
    formats: frozenset[str] = FORMATS
    media: frozenset[str] = MEDIA
    max_stop: int | None = None
    """How many stop sequences it takes; None: no limit is known."""
    cache: Cache = Cache.NONE
    extra: tuple[tuple[str, str], ...] = ()
    """Fields every request gets."""
    model: Capabilities = UNKNOWN


GENERIC = Profile()
"""A server of which nothing is known."""
