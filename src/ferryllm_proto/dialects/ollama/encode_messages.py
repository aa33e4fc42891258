"""System texts and turns as messages of ``/api/chat`` (translation.md B24, A2, A17 to A22).

One message for each turn of the assistant, its calls answered by tool messages right behind it, in their order: older
servers pair by order alone.
"""

from __future__ import annotations

import msgspec

from ... import ir, json, system, tools
from ...arguments import as_object
from . import carrier
from .decode_messages import CONTENT, ID, OWN_FIELD, RESULT_ID, THINKING
from .encode_parts import Content, Scope, mark, path_of
from .wire import NAME

Wire = dict[str, object]

ERROR_PREFIX = "[error] "
"""Before the text of a failed tool call: there is no field for it (A20)."""
CONTINUE = "Continue."
"""The user's words where nobody said any: without messages the server only loads the model."""


_INNER = (".", "function.", OWN_FIELD, "options.")
"""Beginnings of names in ``ext`` that belong elsewhere than into the object itself; "." is a spelling."""


def messages(scope: Scope, lowered: tools.Lowered) -> list[Wire]:
    """All messages of the request."""
    out = _native_system(scope) if scope.native else _system(scope)
    turns = scope.request.turns
    if not scope.native:
        turns = tools.pair_results(turns, scope.report)
    names: dict[str, str] = {}
    for turn in turns:
        if turn.role is ir.Role.ASSISTANT:
            _assistant(turn, scope, lowered, names, out)
        elif turn.role is ir.Role.SYSTEM and not scope.native:
            _reminder(turn, scope, out)
        else:
            _said(turn, scope, lowered, names, out)
    if not scope.native and all(message["role"] == "system" for message in out):
        scope.report.degraded(scope.request.wire_name("turns"), "nobody says anything: a user message was added")
        out.append({"role": "user", "content": CONTINUE})
    return out


def fields_of(ext: ir.Ext | None, within: str = "") -> Wire:
    """Unknown fields to write back into an object, or into the object ``within`` it; no spellings."""
    if ext is None or ext.dialect != NAME:
        return {}
    if within:
        return {n.removeprefix(within): json.raw(v) for n, v in ext.fields.items() if n.startswith(within)}
    return {n: json.raw(v) for n, v in ext.fields.items() if not n.startswith(_INNER)}


def spelled(ext: ir.Ext | None, name: str) -> bytes | None:
    """How a client of this dialect spelled a field, where that was remarkable."""
    return ext.fields.get(name) if ext is not None and ext.dialect == NAME else None


def _turn_losses(turn: ir.Turn, scope: Scope) -> None:
    scope.report.ext(turn.ext, NAME, turn.path)
    if turn.name is not None:
        scope.report.dropped(f"{turn.path}.name", "messages have no author's name here")
    if turn.phase is not None:
        scope.report.dropped(f"{turn.path}.phase", "messages have no phase here")


# --- instructions ----------------------------------------------------------------------------------------


def _system(scope: Scope) -> list[Wire]:
    """One message: the server itself joins system messages like this, and some templates take only the first."""
    texts = []
    for text in system.for_foreign(scope.request, scope.report):
        content = Content(scope)
        content.add(text)
        if content:
            texts.append(content.text)
    return [{"role": "system", "content": "\n\n".join(texts)}] if texts else []


def _native_system(scope: Scope) -> list[Wire]:
    out: list[Wire] = []
    for text in scope.request.system:
        message: Wire = {"role": "system"}
        if spelled(text.ext, CONTENT) is None:
            message["content"] = text.text
        out.append({**message, **fields_of(text.ext, OWN_FIELD)})
    return out


def _reminder(turn: ir.Turn, scope: Scope, out: list[Wire]) -> None:
    """Instructions in the middle as a marked text of the user: templates would move them to the front (A2)."""
    content = _collected(turn, list(turn.parts), scope)
    if not content:
        return
    scope.report.degraded(turn.path, "instructions inside the conversation are sent as a marked text of the user")
    text = f"<system-reminder>\n{content.text}\n</system-reminder>" if content.text else ""
    out.append({"role": "user", "content": text, **_images(content)})


# --- users and results -----------------------------------------------------------------------------------


def _collected(turn: ir.Turn, parts: list[ir.Part], scope: Scope) -> Content:
    _turn_losses(turn, scope)
    content = Content(scope)
    for part in parts:
        content.add(part)
    return content


def _images(content: Content) -> Wire:
    return {"images": content.images} if content.images else {}


def _said(turn: ir.Turn, scope: Scope, lowered: tools.Lowered, names: dict[str, str], out: list[Wire]) -> None:
    rest: list[ir.Part] = []
    results = 0
    for part in turn.parts:
        if isinstance(part, ir.ToolResult):
            results += 1
            out.append(_result(part, turn, scope, lowered, names))
        else:
            rest.append(part)
    content = _collected(turn, rest, scope)
    if content or (scope.native and not results):
        role = "system" if turn.role is ir.Role.SYSTEM else "user"
        out.append({"role": role, **_written(content, turn), **_images(content), **fields_of(turn.ext)})


def _written(content: Content, turn: ir.Turn) -> Wire:
    return {} if spelled(turn.ext, CONTENT) is not None and not content.text else {"content": content.text}


def _result(found: ir.ToolResult, turn: ir.Turn, scope: Scope, lowered: tools.Lowered, names: dict[str, str]) -> Wire:
    result = lowered.result(found)
    scope.report.ext(found.ext, NAME, path_of(found))
    mark(found, scope)
    content = Content(scope)
    for part in found.parts:
        content.add(part)
    text = content.text
    if found.is_error:
        if found.path:  # else it is a placeholder of ours
            place = scope.report.at(found.path, "is_error")
            scope.report.degraded(place, "there is no such field here: the text says it")
        text = ERROR_PREFIX + text
    message: Wire = {"role": "tool"}
    if not scope.native:
        name = names.get(found.id) or found.name
        message |= {"content": text, **_images(content)}
        return {**message, **({"tool_name": name} if name else {}), "tool_call_id": result.id}
    message |= {**_written(content, turn), **_images(content)}
    if found.name is not None:
        message["tool_name"] = found.name
    id_ = spelled(found.ext, RESULT_ID)
    if id_ is None:
        message["tool_call_id"] = found.id
    elif id_ != b"null":
        message["tool_call_id"] = json.raw(id_)
    return {**message, **fields_of(turn.ext)}


# --- the assistant ---------------------------------------------------------------------------------------


def _assistant(turn: ir.Turn, scope: Scope, lowered: tools.Lowered, names: dict[str, str], out: list[Wire]) -> None:
    thoughts = [part for part in turn.parts if isinstance(part, ir.Reasoning)]
    calls = [part for part in turn.parts if isinstance(part, ir.ToolCall)]
    rest: list[ir.Part] = [part for part in turn.parts if not isinstance(part, (ir.Reasoning, ir.ToolCall))]
    _order(turn, scope)
    content = _collected(turn, rest, scope)
    thinking = _thinking(thoughts, scope)
    message: Wire = {"role": "assistant", **_written(content, turn)}
    if thinking or spelled(turn.ext, THINKING) is not None:
        message["thinking"] = thinking
    message |= _images(content)
    if calls:
        message["tool_calls"] = [_call(call, scope, lowered, names) for call in calls]
    message |= fields_of(turn.ext)
    if content or thinking or calls or scope.native:
        out.append(message)


def _order(turn: ir.Turn, scope: Scope) -> None:
    """Report text behind a call: a message has all text before all calls (G8)."""
    called = False
    for part in turn.parts:
        if isinstance(part, ir.ToolCall):
            called = True
        elif called and isinstance(part, ir.Text) and part.text:
            scope.report.degraded(path_of(part), "all text of a message stands before its tool calls here")


def _thinking(found: list[ir.Reasoning], scope: Scope) -> str:
    """The model's own earlier thoughts; templates decide which of them they show it.

    Thoughts with a proof are another provider's: they stay with it (wire.md 7.4).
    """
    said: list[str] = []
    for thought in found:
        if thought.opaque and not scope.native:
            scope.report.dropped(path_of(thought), "thoughts of another provider mean something to it alone")
            continue
        if thought.opaque:
            scope.report.dropped(path_of(thought), "its proof means something only to the provider that made it")
        scope.report.ext(thought.ext, NAME, path_of(thought))
        said.append(carrier.words(thought))
    return "".join(said)


def _call(found: ir.ToolCall, scope: Scope, lowered: tools.Lowered, names: dict[str, str]) -> Wire:
    call = lowered.call(found)
    names[found.id] = call.name
    scope.report.ext(found.ext, NAME, path_of(found))
    mark(found, scope)
    if found.opaque:
        scope.report.dropped(
            scope.report.at(path_of(found), "opaque"), "its proof means something only to the provider that made it"
        )
    out: Wire = {}
    if spelled(found.ext, ID) is None:
        out["id"] = call.id
    elif spelled(found.ext, ID) != b"null":
        out["id"] = ""
    type_, index = spelled(found.ext, ".type"), spelled(found.ext, ".index")
    if type_ is not None:
        out["type"] = json.raw(type_)
    function: Wire = {"name": call.name, "arguments": _arguments(call, scope)}
    if index is not None:
        function["index"] = json.raw(index)
    return {**out, "function": {**function, **fields_of(found.ext, "function.")}, **fields_of(found.ext)}


def _arguments(call: ir.ToolCall, scope: Scope) -> msgspec.Raw:
    """An object; a call that was cut off in the middle of its JSON is shown as what it was (wire.md 7.3)."""
    found, whole = as_object(call.arguments)
    if not whole:
        path = scope.report.at(path_of(call), "arguments")
        scope.report.degraded(path, "arguments are an object here: what is none is sent as the text in one")
    return json.raw(found)
