"""Conversations that go on: the items of earlier turns put before a request's own or in the place of references to
them, and taken out of both to be kept.

Apart from the decoders because nothing is understood here: items are bytes, kept and put back as they came. What a
kept item means is the decoder's business when it comes back as input (API reference: POST /responses,
``previous_response_id``, ``item_reference``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ... import ids, json
from . import wire

PREVIOUS = "previous_response_id"
REFERENCE = "item_reference"

_BARE = re.compile(rb'\{\s*"id"\s*:\s*"[^"]*"\s*(?:,\s*"type"\s*:\s*null\s*)?\}')
"""A reference may leave out its type (API reference: ``ItemReferenceParam``)."""


class _Previous(msgspec.Struct, frozen=True):
    previous_response_id: str | None = None


class _Output(msgspec.Struct, frozen=True):
    output: msgspec.Raw = msgspec.Raw(b"null")


class _Input(msgspec.Struct, frozen=True):
    input: msgspec.Raw = msgspec.Raw(b"null")


class _Item(msgspec.Struct, frozen=True):
    """What makes an item a reference, or lets it be referred to."""

    id: msgspec.Raw = msgspec.Raw(b"null")
    type: msgspec.Raw = msgspec.Raw(b"null")


_previous_decoder = json.decoder(_Previous)
_output_decoder = json.decoder(_Output)
_input_decoder = json.decoder(_Input)
_item_decoder = json.decoder(_Item)


def previous_id(body: bytes) -> str | None:
    """The response a request goes on from. Raises `RemoteProtocolError` for a body that is no such request."""
    return json.decode(body, _previous_decoder).previous_response_id


def resume(body: bytes, items: Iterable[bytes]) -> bytes:
    """``body`` as the request it stands for: ``items`` before its own input, ``previous_response_id`` gone.

    ``items`` are JSON objects and go in as they are. ``instructions`` stay the request's own: those of earlier turns
    do not carry over (API reference). Raises `RemoteProtocolError` for an ``input`` that is neither text nor a list.
    """
    fields = json.fields(body)
    fields.pop(PREVIOUS, None)
    own = _items_of(fields.get("input"))
    fields["input"] = json.raw(b"[%b]" % b",".join([*items, *own]))
    return json.encode(fields)


def input_items(body: bytes) -> tuple[bytes, ...]:
    """The items of a request's own input; a string is the message it stands for. Raises `RemoteProtocolError`."""
    return tuple(_items_of(json.decode(body, _input_decoder).input))


def references(body: bytes) -> dict[str, int]:
    """The ids of the items that a request's input refers to, and the first place of each.

    Raises `RemoteProtocolError`.
    """
    if REFERENCE.encode() not in body and _BARE.search(body) is None:
        return {}  # nearly always: the items are not looked at one by one for it
    value = json.decode(body, _input_decoder).input
    found: dict[str, int] = {}
    for place, item in enumerate(json.items(value, "input") if json.kind(value) == "array" else ()):
        id_ = _referred(item)
        if id_ is not None:
            found.setdefault(id_, place)
    return found


def put_back(body: bytes, found: Mapping[str, bytes]) -> bytes:
    """``body`` with the items ``found``, by their ids, in the place of references to them; others stay.

    An item that is empty leaves the place empty. Raises `RemoteProtocolError` for an ``input`` that is no list.
    """
    fields = json.fields(body)
    own = json.items(fields["input"], "input")
    items = [found.get(_referred(item) or "", json.encode(item)) for item in own]
    fields["input"] = json.raw(b"[%b]" % b",".join(filter(None, items)))
    return json.encode(fields)


def _referred(item: msgspec.Raw) -> str | None:
    """The id of the item that ``item`` stands for; None where it stands for itself."""
    if json.kind(item) != "object":
        return None
    tag = json.decode(item, _item_decoder)
    if bytes(tag.type) != b'"item_reference"' and not json.fields(item).keys() <= {"id", "type"}:
        return None
    return json.decode(tag.id, wire.string_decoder) if json.kind(tag.id) == "string" else None


def item_ids(items: Iterable[bytes]) -> tuple[str, ...]:
    """By which ids ``items`` can be referred to: those that `listed` shows."""
    return tuple([_id_of(item, n) for n, item in enumerate(items)])


def _id_of(item: bytes, place: int) -> str:
    tag = json.decode(item, _item_decoder)
    if json.kind(tag.id) == "string":
        return json.decode(tag.id, wire.string_decoder)
    type_ = json.decode(item, wire.tag_decoder).type
    return _minted(item, type_ or "message", place)


def output_items(response: bytes) -> tuple[bytes, ...]:
    """The output items of a response object; none of what is no such object."""
    raw = json.decode(response, _output_decoder).output
    return tuple(json.encode(item) for item in json.items(raw, "output")) if json.kind(raw) == "array" else ()


def _items_of(value: msgspec.Raw | None) -> Sequence[bytes]:
    if value is None:
        return ()
    kind = json.kind(value)
    if kind in ("null", "nothing"):
        return ()
    if kind == "string":
        text = json.encode(value).strip()
        return (b'{"type":"message","role":"user","content":[{"type":"input_text","text":%b}]}' % text,)
    if kind != "array":
        raise json.bad_field("input", "a string or a list of items", kind)
    # Not their bytes: lone surrogates have to get their escapes back (see `json`).
    return [json.encode(item) for item in json.items(value, "input")]


def listed(items: Iterable[bytes]) -> list[bytes]:
    """``items`` as a client that asks for them wants them: each with an id and a type, texts as parts.

    The form of the list is the API's own (GET /responses/{id}/input_items); an item that has all of it stays as it is.
    """
    return [_listed(item, n) for n, item in enumerate(items)]


def _listed(item: bytes, place: int) -> bytes:
    fields = json.fields(item)
    tag = json.decode(item, wire.tag_decoder)
    type_ = tag.type or "message"
    has_id = json.kind(fields.get("id", b"null")) == "string"
    message = type_ == "message"
    plain = message and json.kind(fields.get("content", b"null")) == "string"
    if has_id and tag.type is not None and not plain and (not message or "status" in fields):
        return item
    out: dict[str, object] = {"id": json.raw(fields["id"]) if has_id else _minted(item, type_, place), "type": type_}
    if message:
        out["status"] = "completed"
    out.update((name, value) for name, value in fields.items() if name not in ("id", "type"))
    if plain:
        part = "output_text" if tag.role == "assistant" else "input_text"
        content: dict[str, object] = {"type": part, "text": json.raw(fields["content"])}
        if tag.role == "assistant":
            content["annotations"] = []
        out["content"] = [content]
    return json.encode(out)


def _minted(item: bytes, type_: str, place: int) -> str:
    """An id for an item that came without: the same one whenever it is asked for."""
    prefix = _PREFIXES.get(type_, "item_")
    return prefix + ids.short_hash(f"{place}/{item.decode('utf-8', 'replace')}", 24)


_PREFIXES = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "reasoning": "rs_",
    "compaction": "cmp_",
}
