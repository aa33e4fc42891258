"""Messages of a client to system texts and turns (translation.md N6).

Calls and results have no ids here, or lose them on their way through a client: calls are numbered by their place, and
results find them by id, by the tool's name, else in order. What only tells how a client wrote a thing stands in ``ext``
under a name that begins with a dot.
"""

from __future__ import annotations

import re

from ... import ids, ir, json
from ...errors import RemoteProtocolError
from ...json import Raw
from . import carrier, wire
from .wire import NAME, given

MAX_MESSAGES = 100_000
"""As many as any provider takes."""

ID = ".id"
"""In ``ext`` of a call: the client gave none, or an empty one."""
RESULT_ID = ".tool_call_id"
"""In ``ext`` of a result: the id as the client wrote it, where it is not the call's."""
CONTENT = ".content"
"""In ``ext`` of a turn: content that was null or absent."""
THINKING = ".thinking"
"""In ``ext`` of a turn: thinking that was empty."""
OWN_FIELD = "message."
"""Begins the names of a message's fields in ``ext`` of the system text that it became."""

# What base64 of the usual kinds of images begins with: the wire does not say what an image is.
_MAGIC = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("Qk", "image/bmp"),
)
_DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]{1,40});base64,", flags=re.IGNORECASE)

_Written = tuple[wire.Message, dict[str, bytes], str]
"""A message, its unknown fields, its path."""


class _Open:
    """Calls that wait for their results."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, str]] = []

    def add(self, calls: list[ir.ToolCall]) -> None:
        self._calls = [(call.id, call.name) for call in calls]

    def match(self, id_: str | None, name: str | None) -> str | None:
        """The id of the call that a result answers; None when nothing waits for it."""
        found = next((call for call in self._calls if id_ and call[0] == id_), None)
        if found is None and not id_:
            found = next((call for call in self._calls if name and call[1] == name), None)
        if found is None and not id_ and not name and self._calls:
            found = self._calls[0]
        if found is None:
            return None
        self._calls.remove(found)
        return found[0]


def messages(raw: Raw) -> tuple[tuple[ir.Text, ...], tuple[ir.Turn, ...]]:
    """The leading system texts, and the turns. No messages at all are two empty tuples."""
    data = given(raw)
    if data is None:
        return (), ()
    items = json.items(data, "messages")
    if len(items) > MAX_MESSAGES:
        raise json.bad_field("messages", f"at most {MAX_MESSAGES} messages", str(len(items)))
    system: list[ir.Text] = []
    turns: list[ir.Turn] = []
    waiting = _Open()
    for n, item in enumerate(items):
        path = f"messages[{n}]"
        message, extra = json.decode_known(item, wire.message, path)
        role = message.role.lower()  # as the server does
        written = message, dict(extra), path
        if role == "system" and not turns and given(message.images) is None:
            system.append(_system(written))
        elif role in ("system", "user"):
            turns.append(_said(written, ir.Role.SYSTEM if role == "system" else ir.Role.USER))
        elif role == "assistant":
            turns.append(_assistant(written, n, waiting))
        elif role == "tool":
            turns.append(_result(written, n, waiting))
        else:
            raise json.bad_field(f"{path}.role", "system, user, assistant or tool", repr(message.role[:40]))
    return tuple(system), tuple(turns)


def _ext(fields: dict[str, bytes]) -> ir.Ext | None:
    return ir.Ext(NAME, fields) if fields else None


def _system(written: _Written) -> ir.Text:
    message, fields, path = written
    _strange(message, fields, "thinking", "tool_calls", "tool_name", "tool_call_id")
    own = {OWN_FIELD + name: value for name, value in fields.items()}
    if message.content is None:
        own[CONTENT] = b"null"
    return ir.Text(message.content or "", path=f"{path}.content", ext=_ext(own))


def _said(written: _Written, role: ir.Role) -> ir.Turn:
    message, fields, path = written
    _strange(message, fields, "thinking", "tool_calls", "tool_name", "tool_call_id")
    return ir.Turn(role, _content(message, fields, path), path=path, ext=_ext(fields))


def _strange(message: wire.Message, fields: dict[str, bytes], *names: str) -> None:
    """Fields that mean nothing in a message of this role: kept, not understood."""
    for name in names:
        value = getattr(message, name)
        data = given(value) if isinstance(value, Raw) else None if value is None else json.encode(value)
        if data is not None:
            fields[name] = data


def _content(message: wire.Message, fields: dict[str, bytes], path: str) -> tuple[ir.Part, ...]:
    """Images, then the text: that is where the server's templates put them."""
    parts: list[ir.Part] = images(message.images, f"{path}.images")
    if message.content:
        parts.append(ir.Text(message.content, path=f"{path}.content"))
    elif message.content is None:
        fields[CONTENT] = b"null"
    return tuple(parts)


def images(raw: Raw, path: str) -> list[ir.Part]:
    """Base64 texts as images."""
    data = given(raw)
    if data is None:
        return []
    return [_image(text, f"{path}[{n}]") for n, text in enumerate(_strings(data, path))]


def _strings(data: bytes, path: str) -> list[str]:
    return json.decode(data, wire.strings, path)


def _image(data: str, path: str) -> ir.Image:
    match = _DATA_URL.match(data)
    if match is not None:  # the server refuses it; other providers need not
        return ir.Image(ir.Source(ir.SourceKind.BASE64, data[match.end() :], match[1].lower()), path=path)
    kind = next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
    return ir.Image(ir.Source(ir.SourceKind.BASE64, data, kind), path=path)


# --- calls and results -----------------------------------------------------------------------------------


def _assistant(written: _Written, n: int, waiting: _Open) -> ir.Turn:
    message, fields, path = written
    _strange(message, fields, "tool_name", "tool_call_id")
    calls = _calls(message.tool_calls, n, f"{path}.tool_calls")
    thinking = message.thinking
    if thinking == "":
        fields[THINKING] = b'""'
    thoughts = carrier.read(thinking or "", len(calls), f"{path}.thinking")
    parts: list[ir.Part] = [*thoughts.first, *_content(message, fields, path)]
    for number, call in enumerate(calls):
        parts.extend(thoughts.calls.get(number, ()))
        parts.append(call)
    if calls:
        waiting.add(calls)
    return ir.Turn(ir.Role.ASSISTANT, tuple(parts), path=path, ext=_ext(fields))


def _calls(raw: Raw, n: int, path: str) -> list[ir.ToolCall]:
    data = given(raw)
    if data is None:
        return []
    return [_call(item, n, m, f"{path}[{m}]") for m, item in enumerate(json.items(data, path))]


def _call(raw: Raw, n: int, m: int, path: str) -> ir.ToolCall:
    call, extra = json.decode_known(raw, wire.call, path)
    function, inner = json.decode_known(
        needed(call.function, f"{path}.function"), wire.call_function, f"{path}.function"
    )
    arguments = given(function.arguments)
    if arguments is not None and json.kind(arguments) != "object":
        raise json.bad_field(f"{path}.function.arguments", "an object", json.kind(arguments))
    # The place of a call in the answer and its type say nothing that its place in the list does not.
    fields = {(f".{name}" if name == "type" else name): value for name, value in extra.items()}
    fields |= {(".index" if name == "index" else f"function.{name}"): value for name, value in inner.items()}
    if not call.id:
        fields[ID] = json.encode(call.id)
    id_ = call.id or ids.mint("call_", 0, f"{n}/{m}/{function.name}")
    text = "" if arguments is None else arguments.decode()
    return ir.ToolCall(id_, function.name, text, path=path, ext=_ext(fields))


def needed(raw: Raw, path: str) -> bytes:
    """A value that has to be there."""
    data = given(raw)
    if data is None:
        raise RemoteProtocolError(f"{path}: this field is required", param=path, code="missing_required_parameter")
    return data


def _result(written: _Written, n: int, waiting: _Open) -> ir.Turn:
    message, fields, path = written
    _strange(message, fields, "thinking", "tool_calls")
    parts = _content(message, fields, path)
    given_id = message.tool_call_id
    id_ = waiting.match(given_id, message.tool_name) or given_id or ids.mint("call_", 0, f"{n}/result")
    spelled = {} if given_id == id_ else {RESULT_ID: json.encode(given_id)}
    result = ir.ToolResult(id_, parts, name=message.tool_name, path=path, ext=_ext(spelled))
    return ir.Turn(ir.Role.USER, (result,), path=path, ext=_ext(fields))
