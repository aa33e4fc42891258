"""The conversation as Messages wants it (translation.md A2, A5 to A7, B10 to B12).

A client of this dialect that goes to the model it asked for keeps its messages as they are. All others are brought into
shape: user and assistant take turns, results answer calls in the next message and come first in it, no text is empty,
the first word is the user's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ... import ir, tools
from ...loss import Report
from .encode_blocks import Block, BlockWriter

OPENING = "[The conversation begins with the assistant's message.]"
CONTINUE = "Continue."
"""The user's words where the API wants some and the client had none."""

Message = dict[str, Any]


def as_written(turns: tuple[ir.Turn, ...], writer: BlockWriter) -> list[Message]:
    """The client's own messages."""
    messages = []
    for turn in turns:
        message: Message = {"role": turn.role.value}
        plain = writer.plain(turn.parts)
        if plain is not None:
            message["content"] = plain
        elif turn.parts or turn.role is not ir.Role.SYSTEM:
            message["content"] = writer.blocks(turn.parts)
        writer.ext(message, turn.ext, turn.path)
        messages.append(message)
    return messages


def shaped(
    turns: tuple[ir.Turn, ...], writer: BlockWriter, report: Report, *, prefill: bool, mid_system: bool
) -> list[Message]:
    """Messages that alternate and pair.

    ``prefill``: the model goes on with a final assistant message. ``mid_system``: it takes system messages in place.
    """
    for turn in turns:
        _report_turn(turn, report)
    if not mid_system:
        turns = tuple(_reminder(turn, report) if turn.role is ir.Role.SYSTEM else turn for turn in turns)
    messages: list[Message] = []
    for turn in tools.pair_results(turns, report):  # results come first in what it returns (B10)
        turn = _errors(turn, report)
        blocks = writer.blocks(turn.parts)
        plain = writer.plain(turn.parts) if blocks else None
        _append(messages, turn.role.value, blocks, plain, turn, writer)
    _end(messages, turns, report, prefill=prefill)
    if not messages or messages[0]["role"] != "user":
        text = OPENING if messages else CONTINUE
        report.degraded(report.wire_name("turns"), "the API wants a user's message first: one was added")
        messages.insert(0, {"role": "user", "content": text})
    return messages


def _append(
    messages: list[Message], role: str, blocks: list[Block], plain: str | None, turn: ir.Turn, writer: BlockWriter
) -> None:
    """Add a message, or its blocks to the last one where the role is the same."""
    if messages and messages[-1]["role"] == role != "system":
        content = messages[-1]["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        messages[-1]["content"] = content + blocks
        writer.ext(messages[-1], turn.ext, turn.path)
        return
    if not blocks:
        writer.ext({}, turn.ext, turn.path)
        return
    message: Message = {"role": role, "content": plain if plain is not None else blocks}
    writer.ext(message, turn.ext, turn.path)
    messages.append(message)


def _errors(turn: ir.Turn, report: Report) -> ir.Turn:
    """Results that are errors hold nothing but text: what else they hold stands behind all results."""
    parts: list[ir.Part] = []
    moved: list[ir.Part] = []
    for part in turn.parts:
        media = _media(part) if isinstance(part, ir.ToolResult) and part.is_error else []
        if not media:
            parts.append(part)
            continue
        assert isinstance(part, ir.ToolResult)
        for one in media:
            report.degraded(one.path or part.path, "a result that is an error holds only text: sent behind the results")
            moved += (ir.Text(f"[part of the result of tool call {part.id}]"), one)
        parts.append(msgspec.structs.replace(part, parts=tuple(one for one in part.parts if one not in media)))
    if not moved:
        return turn
    behind = next((n for n, one in enumerate(parts) if not isinstance(one, ir.ToolResult)), len(parts))
    return msgspec.structs.replace(turn, parts=(*parts[:behind], *moved, *parts[behind:]))


def _media(result: ir.ToolResult) -> list[ir.Image | ir.Document]:
    return [part for part in result.parts if isinstance(part, (ir.Image, ir.Document))]


def _report_turn(turn: ir.Turn, report: Report) -> None:
    if turn.name is not None:
        report.dropped(f"{turn.path}.name", "messages have no author's name here")
    if turn.phase is not None:
        report.dropped(f"{turn.path}.phase", "messages have no phase here")


def _reminder(turn: ir.Turn, report: Report) -> ir.Turn:
    """Instructions in the middle as a marked text of the user (A2): never the assistant's, never moved."""
    report.degraded(turn.path, "instructions inside the conversation are sent as a marked text of the user")
    parts: list[ir.Part] = []
    for part in turn.parts:
        if isinstance(part, ir.Text):
            if part.text.strip():
                text = f"<system-reminder>\n{part.text}\n</system-reminder>"
                parts.append(msgspec.structs.replace(part, text=text, path=part.path + "[0]"))
        elif isinstance(part, ir.Hosted):
            report.dropped(part.path, "it is only known inside a system message")
        else:
            parts.append(part)
    if turn.ext is not None:
        for name in turn.ext.fields:
            if not name.startswith("."):  # a spelling
                report.dropped(f"{turn.path}.{name}", "it is only known on a system message")
    return ir.Turn(ir.Role.USER, tuple(parts), path=turn.path)


def _end(messages: list[Message], turns: tuple[ir.Turn, ...], report: Report, *, prefill: bool) -> None:
    """A final assistant message: trimmed where the model goes on with it, else answered by the user (B12, C15)."""
    if not messages or messages[-1]["role"] != "assistant":
        return
    path = turns[-1].path or "messages"
    if not prefill:
        report.degraded(path, "this model does not go on with a final assistant message: the user asks it to")
        messages.append({"role": "user", "content": CONTINUE})
        return
    content = messages[-1]["content"]
    if isinstance(content, str):
        trimmed = content.rstrip()
        messages[-1]["content"] = trimmed
    elif content[-1]["type"] == "text":
        content, trimmed = content[-1]["text"], content[-1]["text"].rstrip()
        messages[-1]["content"][-1]["text"] = trimmed
    else:
        return
    if trimmed != content:
        report.degraded(path, "white space at the end of the final assistant message is refused: trimmed")
