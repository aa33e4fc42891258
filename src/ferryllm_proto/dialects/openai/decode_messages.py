"""The ``messages`` of a Chat request into system texts and turns.

A run of tool messages is one user turn of results; otherwise a message is a turn. System and developer messages
before anything else are the request's instructions, later ones stay where they are (translation.md C1 to C5).
"""

from __future__ import annotations

import msgspec

from ... import ids, ir, json, opaque
from ...errors import RemoteProtocolError
from . import reasoning, wire
from .decode_parts import NAME, cache, content, ext

_ROLES = ("assistant", "developer", "function", "system", "tool", "user")

DEVELOPER = ".role"
"""In ``ext``: the client wrote ``developer`` for what is the same as ``system``; a spelling, nothing that is lost."""

# Fields of `wire.Message` that mean something in a role; elsewhere they are unknown fields like any other.
_ASSISTANT_ONLY = (
    "annotations",
    "function_call",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "refusal",
    "tool_calls",
)


class Conversation(msgspec.Struct, frozen=True):
    system: tuple[ir.Text, ...]
    turns: tuple[ir.Turn, ...]


def conversation(raw: wire.Raw, model: str) -> Conversation:
    """Decode ``messages``. ``model`` is whose native reasoning material the history holds."""
    system: list[ir.Text] = []
    turns: list[ir.Turn] = []
    results: list[ir.Part] = []
    legacy_id = ""
    items = json.items(raw, "messages")
    for n, item in enumerate(items):
        path = f"messages[{n}]"
        message, extra = json.decode_known(item, wire.MESSAGE, path)
        role = message.role
        if role not in _ROLES:
            raise json.bad_field(f"{path}.role", f"one of {', '.join(_ROLES)}", json.encode(role[:40]).decode())
        if role in ("tool", "function"):
            results.append(_result(message, item, extra, path, legacy_id))
            continue
        if results:
            turns.append(ir.Turn(ir.Role.USER, tuple(results), path=results[0].path))
            results = []
        if role == "assistant":
            turns.append(_assistant(message, extra, path, model))
            if wire.value(message.function_call) is not None:
                legacy_id = _legacy_id(path)
        elif role == "user":
            turns.append(_plain(ir.Role.USER, message, item, extra, path))
        else:
            if role == "developer":
                extra = {**extra, DEVELOPER: b'"developer"'}
            turn = _plain(ir.Role.SYSTEM, message, item, extra, path)
            if turns or not all(isinstance(part, ir.Text) for part in turn.parts):
                turns.append(turn)
            else:
                system.extend(_instructions(turn))
    if results:
        turns.append(ir.Turn(ir.Role.USER, tuple(results), path=results[0].path))
    return Conversation(tuple(system), tuple(turns))


def _instructions(turn: ir.Turn) -> list[ir.Text]:
    """The texts of a leading system message; what the message itself had is kept on the first of them."""
    texts = [part for part in turn.parts if isinstance(part, ir.Text)]
    if not texts:
        return []
    fields = dict(turn.ext.fields) if turn.ext is not None else {}
    if turn.name is not None:
        fields["name"] = json.encode(turn.name)
    if fields:
        first = texts[0]
        own = first.ext.fields if first.ext is not None else {}
        outer = {n if n == DEVELOPER else f"message.{n}": value for n, value in fields.items()}
        texts[0] = msgspec.structs.replace(first, ext=ir.Ext(NAME, {**own, **outer}))
    return texts


def _misplaced(message: wire.Message, item: wire.Raw, names: tuple[str, ...]) -> dict[str, bytes]:
    """Fields of other roles, as written."""
    if all(getattr(message, name) in (None, wire.ABSENT) for name in names):
        return json.NO_FIELDS
    fields = json.fields(item)
    return {name: bytes(fields[name]) for name in names if name in fields}


def _with_cache(parts: list[ir.Part], mark: ir.CacheMark | None) -> list[ir.Part]:
    """A mark on the message is a mark after its last part."""
    if mark is not None:
        for n in reversed(range(len(parts))):
            part = parts[n]
            if isinstance(part, (ir.Text, ir.Image, ir.Document)):
                parts[n] = msgspec.structs.replace(part, cache=part.cache or mark)
                break
    return parts


def _plain(role: ir.Role, message: wire.Message, item: wire.Raw, extra: dict[str, bytes], path: str) -> ir.Turn:
    parts = _with_cache(content(message.content, f"{path}.content"), cache(message.cache_control, path))
    extra = {**extra, **_misplaced(message, item, (*_ASSISTANT_ONLY, "tool_call_id"))}
    return ir.Turn(role, tuple(parts), name=message.name, path=path, ext=ext(extra))


def _assistant(message: wire.Message, extra: dict[str, bytes], path: str, model: str) -> ir.Turn:
    parts: list[ir.Part] = []
    text, key = message.reasoning_content, "reasoning_content"
    if not text:
        text, key = message.reasoning, "reasoning"
    for name in ("reasoning_content", "reasoning"):
        found = getattr(message, name)
        if found is not None and (name != key or not found):
            # An empty string means something to DeepSeek, and the same text twice means nothing more: a spelling.
            repeated = not found or found == text
            extra = {**extra, f".{name}" if repeated else name: json.encode(found)}
    details = [bytes(raw) for raw in message.reasoning_details or ()]
    parts.extend(reasoning.parts(details, text, f"{path}.{key}", model, path))
    said = _with_cache(content(message.content, f"{path}.content"), cache(message.cache_control, path))
    if message.annotations:
        said, extra = _annotated(said, message.annotations, extra)
    parts.extend(said)
    if message.refusal is not None:
        parts.append(ir.Refusal(message.refusal, f"{path}.refusal"))
    for n, raw in enumerate(message.tool_calls or ()):
        reasoning.carried(parts, _call(raw, f"{path}.tool_calls[{n}]", model))
    if (legacy := wire.value(message.function_call)) is not None:
        at = f"{path}.function_call"
        call, call_extra = json.decode_known(legacy, wire.FUNCTION_CALL, at)
        parts.append(
            ir.ToolCall(_legacy_id(path), call.name, _arguments(call.arguments, at), path=at, ext=ext(call_extra))
        )
    if message.tool_call_id is not None:
        extra = {**extra, "tool_call_id": json.encode(message.tool_call_id)}
    return ir.Turn(ir.Role.ASSISTANT, tuple(parts), name=message.name, path=path, ext=ext(extra))


def _annotated(
    parts: list[ir.Part], annotations: list[wire.Raw], extra: dict[str, bytes]
) -> tuple[list[ir.Part], dict[str, bytes]]:
    """Citations belong to the text; without one they are kept with the message."""
    raws = tuple(bytes(raw) for raw in annotations)
    for n in reversed(range(len(parts))):
        part = parts[n]
        if isinstance(part, ir.Text):
            parts[n] = msgspec.structs.replace(part, citations=raws, citations_dialect=NAME)
            return parts, extra
    return parts, {**extra, "annotations": b"[%b]" % b",".join(raws)}


def _legacy_id(path: str) -> str:
    """``function_call`` has no id: call and result get the same one."""
    return ids.mint("call_", 0, f"{path}.function_call")


def _arguments(raw: wire.Raw, path: str) -> str:
    """A JSON string by the book; an object where a client forgot to make it one."""
    kind = json.kind(raw)
    if kind in ("nothing", "null"):
        return ""
    if kind == "string":
        return json.decode(raw, wire.STRING, f"{path}.arguments")
    if kind == "object":
        json.fields(raw, f"{path}.arguments")
        return bytes(raw).decode("utf-8", "replace")
    raise json.bad_field(f"{path}.arguments", "a string of JSON", kind)


def _call(raw: wire.Raw, path: str, model: str) -> ir.ToolCall:
    call, extra = json.decode_known(raw, wire.TOOL_CALL, path)
    proofs, extra = _signature(wire.value(call.extra_content), extra, model)
    mark = cache(call.cache_control, path)
    id_ = call.id or ids.mint("call_", 0, path)
    if (raw_custom := wire.value(call.custom)) is not None:
        at = f"{path}.custom"
        custom, inner = json.decode_known(raw_custom, wire.CUSTOM_CALL, at)
        return ir.ToolCall(
            id_,
            custom.name,
            custom.input or "",
            ir.ToolKind.CUSTOM,
            opaque=proofs,
            cache=mark,
            path=path,
            ext=ext(extra, inner, "custom"),
        )
    raw_function = wire.value(call.function)
    if raw_function is None:
        raise json.bad_field(path, "a function or a custom call", "neither")
    at = f"{path}.function"
    function, inner = json.decode_known(raw_function, wire.FUNCTION_CALL, at)
    arguments = _arguments(function.arguments, at)
    return ir.ToolCall(
        id_, function.name, arguments, opaque=proofs, cache=mark, path=path, ext=ext(extra, inner, "function")
    )


class _Google(msgspec.Struct, frozen=True):
    thought_signature: str | None = None


class _ExtraContent(msgspec.Struct, frozen=True):
    google: _Google | None = None


_extra_content = json.decoder(_ExtraContent)


def signature(raw: wire.Raw, model: str) -> ir.Opaque | None:
    """The thought signature in a tool call's ``extra_content``; Gemini's own Chat endpoint carries it there."""
    try:
        google = json.decode(raw, _extra_content).google
    except RemoteProtocolError:
        return None
    if google is None or not google.thought_signature:
        return None
    return ir.Opaque("gemini", model, ir.OpaqueKind.THOUGHT_SIGNATURE, google.thought_signature)


def _signature(
    raw: wire.Raw | None, extra: dict[str, bytes], model: str
) -> tuple[tuple[ir.Opaque, ...], dict[str, bytes]]:
    if raw is None:
        return (), extra
    found = signature(raw, model)
    if found is None:
        return (), {**extra, "extra_content": bytes(raw)}
    return (found,), extra


def _result(message: wire.Message, item: wire.Raw, extra: dict[str, bytes], path: str, legacy_id: str) -> ir.ToolResult:
    if message.role == "function":
        id_ = legacy_id or ids.mint("call_", 0, path)
    elif message.tool_call_id:
        id_ = opaque.uncarry(message.tool_call_id)[0]
    else:
        raise json.bad_field(f"{path}.tool_call_id", "the id of the call this message answers", "nothing")
    extra = {**extra, **_misplaced(message, item, _ASSISTANT_ONLY)}
    return ir.ToolResult(
        id_,
        tuple(content(message.content, f"{path}.content")),
        name=message.name,
        cache=cache(message.cache_control, path),
        path=path,
        ext=ext(extra),
    )
