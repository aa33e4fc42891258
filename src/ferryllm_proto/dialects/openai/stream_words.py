"""A stream that is there at once and is words and nothing else, read in one pass.

A shortcut past `stream_decoder`, as `plain` is past `response`: what it takes means the same there, and it takes
nothing of which that is not plain to see. `None` is: ask the decoder.
"""

from __future__ import annotations

import msgspec

from ... import ir
from ...sse import objects
from ...words import StreamReply
from . import chunks
from .usage import usage_of

_DONE = b"data: [DONE]\n\n"
_MOST_BYTES = 64 << 10
"""A longer stream did not come at once, or does not cost by its beginning and end."""
_FINISH = {"stop": ir.FinishReason.END, "length": ir.FinishReason.LENGTH}

_decode = chunks.usual.decode
_NOT_USUAL = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def stream_reply(body: bytes) -> StreamReply | None:
    """A whole body of ``text/event-stream`` that is one."""
    if len(body) > _MOST_BYTES or not body.endswith(_DONE):
        return None
    lines = objects(body[: -len(_DONE)])
    if lines is None:
        return None
    first: chunks.UsualChunk | None = None
    texts: list[str] = []
    word: str | None = None
    usage: ir.Usage | None = None
    try:
        for line in lines.split(b"\n"):
            chunk = _decode(line)
            if chunk.choices:
                if word is not None:
                    return None
                if first is None:
                    first = chunk
                choice = chunk.choices[0]
                delta, word = choice.delta, choice.finish_reason
                if delta is not None:
                    if delta.content:
                        texts.append(delta.content)
                    if delta.tool_calls or delta.reasoning_content or delta.reasoning:
                        return None
            elif first is None:
                return None
            if chunk.usage is not None:
                if usage is not None:
                    return None
                usage = usage_of(chunk.usage)
    except _NOT_USUAL:
        return None
    finish = None if word is None else _FINISH.get(word)
    if first is None or finish is None or usage is None or usage.input is None or not texts:
        return None
    return StreamReply(first.id or "", first.model or "", texts, finish, usage)
