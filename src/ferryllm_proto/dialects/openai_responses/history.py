"""Conversations that go on: the items of earlier turns put before a request's own, and taken out of both to be kept.

Apart from the decoders because nothing is understood here: items are bytes, kept and put back as they came. What a
kept item means is the decoder's business when it comes back as input (API reference: POST /responses,
``previous_response_id``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from ... import json

PREVIOUS = "previous_response_id"


class _Previous(msgspec.Struct, frozen=True):
    previous_response_id: str | None = None


class _Output(msgspec.Struct, frozen=True):
    output: msgspec.Raw = msgspec.Raw(b"null")


class _Input(msgspec.Struct, frozen=True):
    input: msgspec.Raw = msgspec.Raw(b"null")


_previous_decoder = json.decoder(_Previous)
_output_decoder = json.decoder(_Output)
_input_decoder = json.decoder(_Input)


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
