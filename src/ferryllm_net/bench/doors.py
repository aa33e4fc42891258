"""Doors: the request that is sent to each dialect's entry, and by what its answers are known to be whole; pure.

One neutral conversation, written out by the encoder of the dialect that is measured, once before the run.
"""

from __future__ import annotations

import random
import re

import msgspec

from ferryllm_proto import DIALECTS, ir, json

ALIASES = {"responses": "openai_responses", "chat": "openai", "messages": "anthropic"}
"""Short names of dialects on the command line."""
KEY_HEADERS = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
"""Where a dialect's clients put their key; the others use ``authorization``."""

TURN_BYTES = 1_500
"""About the size of one turn of a long conversation: a piece of a file, a command's output."""
_TALK = """
def class return import self async await for if else elif try except with as None True False request response stream
token model message content tool result error timeout buffer parser state the a of to and in is that it was with be by
on not this are or from src/app.py README.md naïve façade 你好 — … "quoted" \\path\\x
"""
_WORDS = tuple(_TALK.split())


class Door(msgspec.Struct, frozen=True):
    """How to ask at one entry, and what its answer must hold."""

    dialect: str
    stream: bool
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    marks: tuple[re.Pattern[bytes], ...]
    """All of them stand in a whole answer."""
    event: bytes
    """Stands once in each event of a stream."""


_WHOLE = {
    "openai": rb'"finish_reason"\s*:\s*"',
    "openai_responses": rb'"status"\s*:\s*"(?:completed|incomplete)"',
    "anthropic": rb'"stop_reason"\s*:\s*"',
    "gemini": rb'"finishReason"\s*:\s*"',
    "ollama": rb'"done"\s*:\s*true',
}
_STREAM_ENDS = {
    "openai": rb"data: ?\[DONE\]",
    "openai_responses": rb'"type"\s*:\s*"response\.(?:completed|incomplete)"',
    "anthropic": rb'"type"\s*:\s*"message_stop"',
}
LONGEST_MARK = 64
"""Bytes that no mark reaches, blanks included: what has to be kept of one read for the next."""


def resolve(name: str) -> str:
    """The dialect a name or an alias means. Raises KeyError."""
    name = ALIASES.get(name, name)
    return DIALECTS[name].name


def door(
    dialect: str, *, model: str, key: str | None, stream: bool, body_kb: float = 0, seed: int = 1, prompt: str = ""
) -> Door:
    """The door of ``dialect``; the body has about ``body_kb`` times 1,000 bytes (0: a few words)."""
    machine = DIALECTS[dialect]
    request = conversation(dialect, model, body_kb, seed, prompt)
    request = msgspec.structs.replace(request, stream=stream, include_usage=True if stream else None)
    sent = machine.encode_request(request)[0]
    path = sent.path + (f"?{sent.query}" if sent.query else "")
    headers = [pair for pair in sent.headers if pair[0] != "accept"]
    if key is not None:
        name = KEY_HEADERS.get(dialect)
        headers.append((name, key) if name else ("authorization", f"Bearer {key}"))
    marks = [_WHOLE[dialect]]
    if stream:
        marks += [mark for mark in (_STREAM_ENDS.get(dialect),) if mark is not None]
    return Door(
        dialect=dialect,
        stream=stream,
        path=path,
        headers=tuple(headers),
        body=sent.body,
        marks=tuple(re.compile(mark) for mark in marks),
        event=b"data:" if machine.sse else b"\n",
    )


def conversation(dialect: str, model: str, body_kb: float, seed: int, prompt: str = "") -> ir.Request:
    """A coding agent's conversation of about that size: system text, tools, and turns of call and result."""
    question = ir.Turn(ir.Role.USER, (ir.Text(prompt or "Reply with one short word."),))
    size = int(body_kb * 1000)
    if size < TURN_BYTES:
        return ir.Request(dialect=dialect, model=model, turns=(question,))
    chance = random.Random(seed)
    tools = tuple(_tool(n, chance, size) for n in range(1 + size // 10_000 if size < 390_000 else 40))
    system = _text(chance, size // 10)
    left = size - len(system) - sum(len(tool.schema or b"") + len(tool.description or "") for tool in tools)
    turns = []
    for n in range(max(1, left // TURN_BYTES)):
        arguments = json.encode({"path": f"/src/module_{n}.py", "text": _text(chance, TURN_BYTES // 5)}).decode()
        call = ir.ToolCall(f"toolu_{n:06d}", tools[n % len(tools)].name, arguments)
        said = ir.Text(_text(chance, TURN_BYTES // 10))
        result = ir.ToolResult(call.id, (ir.Text(_text(chance, TURN_BYTES // 2)),), name=call.name)
        turns += [ir.Turn(ir.Role.ASSISTANT, (said, call)), ir.Turn(ir.Role.USER, (result,))]
    start = ir.Turn(ir.Role.USER, (ir.Text("Fix the failing test, please."),))
    return ir.Request(
        dialect=dialect,
        model=model,
        system=(ir.Text(system),),
        tools=tools,
        turns=(start, *turns, ir.Turn(ir.Role.ASSISTANT, (ir.Text("Done."),)), question),
    )


def _tool(number: int, chance: random.Random, size: int) -> ir.Function:
    properties = {"path": {"type": "string"}, "text": {"type": "string", "description": _text(chance, 90)}}
    schema = {"type": "object", "properties": properties, "required": ["path"]}
    description = _text(chance, max(60, min(1400, size // 250)))
    return ir.Function(f"tool_{number}", description, json.encode(schema))


def _text(chance: random.Random, size: int) -> str:
    words: list[str] = []
    while size > 0:
        words.append(chance.choice(_WORDS))
        size -= len(words[-1]) + 1
    return " ".join(words)
