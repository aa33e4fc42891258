"""The messages of a long body as turns that keep their words as they were written.

Apart from `decode_blocks`, whose parts these become where somebody asks for them or where a message is not plain.
"""

from __future__ import annotations

from ... import ir, json
from ...written import Call, Result, Said, Written
from . import decode_blocks, wire
from .wire import ABSENT

_QUOTE = ord('"')
_BRACE = ord("{")
_EMPTY = 2
"""Bytes of a JSON string without a character."""
_JOINED = 1 << 16
"""Bytes that are looked at together: to look at each of many short ones costs more than to copy them."""
_LONG = 1 << 12
"""Bytes of a value that costs less where it is."""

_MARKS = {
    form % (b"" if ttl is None else life % ttl.encode()): ir.CacheMark(ttl)
    for form, life in ((b'{"type":"ephemeral"%b}', b',"ttl":"%b"'), (b'{"type": "ephemeral"%b}', b', "ttl": "%b"'))
    for ttl in (None, "5m", "1h")
}
"""Breakpoints as they are usually written."""

_USER, _ASSISTANT = ir.Role.USER, ir.Role.ASSISTANT
# Names of this module: each is looked up for every block.
_Text, _Call, _Result = wire.WrittenText, wire.WrittenCall, wire.WrittenResult


def turns(messages: list[wire.WrittenMessage], roles: dict[str, ir.Role], model: str) -> Written:
    """The turns of ``messages``; ``model`` is the one the client talks to.

    Raises what `decode_blocks.whole` and a decoder raise, for what is no content; KeyError for a role that is none.
    """
    out: list[Said | ir.Turn] = []
    seen: list[memoryview] = []
    for message in messages:
        role, content = message.role, message.content
        said = None
        if content and type(content) is list:
            if role == "assistant":
                said = _assistant(content, seen)
            elif role == "user":
                said = _user(content, seen)
        if said is None:
            out.append(_whole(len(out), roles[role], content, model))
        else:
            out.append(said)
    _check_utf8(seen)  # a decoder looks at what it makes strings of, and at nothing else
    return Written(out, _turn)


def _assistant(blocks: list[wire.WrittenBlock], seen: list[memoryview]) -> Said | None:
    """The turn, where it is plain; what it passes on unread goes to ``seen``."""
    text = None
    calls: list[Call] = []
    for block in blocks:
        if type(block) is _Call:
            arguments = block.arguments
            if block.cache_control is not ABSENT or arguments is ABSENT:
                return None
            view = memoryview(arguments)
            if view[0] != _BRACE:
                return None
            calls.append(block)
        elif type(block) is _Text and text is None and not calls:
            if block.cache_control is not ABSENT or block.citations is not ABSENT:
                return None
            text = block.text
            view = memoryview(text)
            if view[0] != _QUOTE or len(view) <= _EMPTY:
                return None
        else:
            return None
        seen.append(view)
    return Said(_ASSISTANT, text, calls)


def _user(blocks: list[wire.WrittenBlock], seen: list[memoryview]) -> Said | None:
    text = mark = None
    results: list[Result] = []
    for block in blocks:
        if mark is not None:  # it is not behind all that is said
            return None
        if type(block) is _Result:
            content = block.content
            if block.is_error or text is not None or content is ABSENT:
                return None
            if block.cache_control is not ABSENT and (mark := _MARKS.get(bytes(block.cache_control))) is None:
                return None
            view = memoryview(content)
            if view[0] != _QUOTE:
                return None
            results.append(block)
        elif type(block) is _Text and text is None and block.citations is ABSENT:
            text = block.text
            if block.cache_control is not ABSENT and (mark := _MARKS.get(bytes(block.cache_control))) is None:
                return None
            view = memoryview(text)
            if view[0] != _QUOTE or len(view) <= _EMPTY:
                return None
        else:
            return None
        seen.append(view)
    return Said(_USER, text, (), results, mark)


def _check_utf8(values: list[memoryview]) -> None:
    """Raises `RemoteProtocolError`. The values are JSON, so each begins and ends with a character of ASCII, and what is
    right for them together is right for each."""
    if sum(map(len, values)) <= _JOINED:
        json.check_utf8(b"".join(values), "messages")
        return
    few: list[memoryview] = []
    size = 0
    for value in values:
        if len(value) > _LONG:
            json.check_utf8(value, "messages")
            continue
        few.append(value)
        size += len(value)
        if size > _JOINED:
            json.check_utf8(b"".join(few), "messages")
            few, size = [], 0
    json.check_utf8(b"".join(few), "messages")


def _whole(n: int, role: ir.Role, content: str | list[wire.WrittenBlock], model: str) -> ir.Turn:
    """A turn of which somebody has to look at every part."""
    path = f"messages[{n}]"
    known = content if isinstance(content, str) else [_read(block) for block in content]
    return ir.Turn(role, decode_blocks.whole(known, f"{path}.content", model), path=path)


def _read(block: wire.WrittenBlock) -> wire.WholeBlock:
    """The block with its texts as strings."""
    if isinstance(block, wire.WrittenText):
        text = wire.string.decode(block.text)
        return wire.TextBlock(text=text, citations=block.citations, cache_control=block.cache_control)
    if isinstance(block, wire.WrittenCall):
        return wire.ToolUseBlock(id=block.id, name=block.name, input=block.arguments, cache_control=block.cache_control)
    if isinstance(block, wire.WrittenResult):
        found = None if block.content is ABSENT else wire.result_content.decode(block.content)
        return wire.WholeResult(
            tool_use_id=block.id, content=found, is_error=block.is_error, cache_control=block.cache_control
        )
    return block


def _turn(n: int, said: Said) -> ir.Turn:
    """What `decode_blocks` makes of the same message."""
    at, last = f"messages[{n}]", len(said.results) - (said.text is None)
    parts: list[ir.Part] = []
    for result in said.results:
        path, mark = f"{at}.content[{len(parts)}]", said.mark if len(parts) == last else None
        text = ir.Text(wire.string.decode(result.content), path=f"{path}.content")
        parts.append(ir.ToolResult(result.id, (text,), is_error=result.is_error, cache=mark, path=path))
    if said.text is not None:
        words = wire.string.decode(said.text)
        parts.append(ir.Text(words, cache=said.mark, path=f"{at}.content[{len(parts)}]"))
    for call in said.calls:
        arguments = bytes(call.arguments).decode()
        parts.append(ir.ToolCall(call.id, call.name, arguments, path=f"{at}.content[{len(parts)}]"))
    return ir.Turn(said.role, tuple(parts), path=at)
