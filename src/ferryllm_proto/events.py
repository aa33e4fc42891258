"""The stream events: what a decoder says happened and what an encoder is told to write.

Grammar: ``Start (BlockStart (deltas)* BlockEnd | UsageUpdate | Ping | Raw)* Finish UsageUpdate* End``, or any prefix
of it followed by ``StreamFailed``. Exactly one of ``End`` and ``StreamFailed`` comes last. Blocks may overlap (Chat
interleaves parallel tool calls); that one block is open at a time is a property of some encoders, see
`ferryllm_proto.sequence`. ``ix`` names a block, is unique in its stream and counts from 0 in order of starts.
"""

from __future__ import annotations

import enum
from typing import Union

import msgspec

from . import ir


class Start(msgspec.Struct, frozen=True):
    """The answer begins. Once, first."""

    id: str
    model: str
    created: int | None = None
    """Unix seconds."""
    usage: ir.Usage | None = None


class BlockKind(enum.Enum):
    TEXT = "text"
    REASONING = "reasoning"
    TOOL = "tool"
    REFUSAL = "refusal"
    HOSTED = "hosted"
    """Whole in `BlockStart.hosted`, or replaced by the one in `BlockEnd.hosted`."""


class BlockStart(msgspec.Struct, frozen=True):
    ix: int
    kind: BlockKind
    id: str | None = None
    """Tool: the call's id (may be "" or None when the upstream has none). Reasoning: its item id."""
    name: str | None = None
    namespace: str | None = None
    tool_kind: ir.ToolKind = ir.ToolKind.FUNCTION
    item_id: str | None = None
    phase: str | None = None
    hosted: ir.Hosted | None = None


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    ix: int
    text: str


class RefusalDelta(msgspec.Struct, frozen=True, gc=False):
    ix: int
    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    ix: int
    text: str
    summary: int | None = None
    """Index of the summary part this belongs to; None is the raw chain of thought."""


class ArgsDelta(msgspec.Struct, frozen=True, gc=False):
    """A fragment of a tool call's arguments (JSON text) or of a custom tool's input (plain text)."""

    ix: int
    text: str


class OpaqueDelta(msgspec.Struct, frozen=True):
    """Material to send back; on a reasoning block or on a tool call."""

    ix: int
    opaque: ir.Opaque


class Citation(msgspec.Struct, frozen=True):
    """A source of the open text block: the JSON object in the words of ``dialect``."""

    ix: int
    dialect: str
    raw: bytes


class Logprobs(msgspec.Struct, frozen=True):
    """Token probabilities of the open text block: a JSON array of Chat's ``content`` logprobs."""

    ix: int
    raw: bytes


class BlockEnd(msgspec.Struct, frozen=True):
    ix: int
    hosted: ir.Hosted | None = None


class UsageUpdate(msgspec.Struct, frozen=True):
    """Cumulative: known counters replace the earlier ones."""

    usage: ir.Usage


class Finish(msgspec.Struct, frozen=True):
    """Why the model stopped. Once; ``usage`` may still follow."""

    reason: ir.FinishReason
    stop_sequence: str | None = None
    details: bytes | None = None


class End(msgspec.Struct, frozen=True, gc=False):
    """The stream is complete. Last."""


class StreamFailed(msgspec.Struct, frozen=True):
    """The stream broke, was cut or reported an error. Last; nothing that looks like a normal end may follow."""

    error: ir.Error


class Ping(msgspec.Struct, frozen=True, gc=False):
    """Sign of life without content."""


class Raw(msgspec.Struct, frozen=True):
    """An event only its own dialect knows; written only towards the same dialect, otherwise reported."""

    dialect: str
    event: str
    data: bytes


Event = Union[  # noqa: UP007 - a plain alias, readable in one column
    Start,
    BlockStart,
    TextDelta,
    RefusalDelta,
    ReasoningDelta,
    ArgsDelta,
    OpaqueDelta,
    Citation,
    Logprobs,
    BlockEnd,
    UsageUpdate,
    Finish,
    End,
    StreamFailed,
    Ping,
    Raw,
]

PREAMBLE: frozenset[type] = frozenset({Start, Ping, UsageUpdate, BlockStart, Logprobs, Finish})
"""Events that show a client nothing yet: while there were only these, an answer can still become an error (T7)."""
