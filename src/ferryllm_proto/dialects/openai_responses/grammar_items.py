"""The items of a Responses stream as a judge follows them: parts, arguments, and whether the whole is their sum.

Apart from `grammar`, which judges the lifecycle: what is inside an item has rules of its own (Z3 to Z5).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ... import json
from ...judge import joined

NULL = json.Raw(b"null")
MAX_ID = 64
"""Characters of a ``call_id``: the API takes no longer one back."""

Note = Callable[[str, str], None]
"""Takes the rule and the message of a problem."""


class WireEvent(msgspec.Struct, frozen=True):
    """The fields of all events that are looked at."""

    type: str
    sequence_number: int | None = None
    output_index: int | None = None
    item_id: str | None = None
    content_index: int | None = None
    summary_index: int | None = None
    annotation_index: int | None = None
    delta: json.Raw = NULL
    item: json.Raw = NULL
    part: json.Raw = NULL
    response: json.Raw = NULL
    annotation: json.Raw = NULL
    logprobs: json.Raw = NULL
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    message: str | None = None
    code: str | None = None


class _WirePart(msgspec.Struct, frozen=True):
    type: str
    text: str | None = None
    refusal: str | None = None
    annotations: list[json.Raw] | None = None


class WireItem(msgspec.Struct, frozen=True):
    """An item of any type."""

    type: str
    id: str | None = None
    status: str | None = None
    role: str | None = None
    content: list[_WirePart] | None = None
    summary: list[_WirePart] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class _BareItem(msgspec.Struct, frozen=True):
    """An item of a type that is not looked into: its fields have other types there."""

    type: str
    id: str | None = None
    status: str | None = None


KNOWN = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
"""Items with rules. Those of hosted tools come as their server likes."""

event_decoder = json.decoder(WireEvent)
_bare = json.decoder(_BareItem)
_item = json.decoder(WireItem)
_part = json.decoder(_WirePart)
_str = json.decoder(str)

_STATUSES = ("completed", "incomplete")
_TEXT_FIELD = {"output_text": "text", "refusal": "refusal", "summary_text": "text", "reasoning_text": "text"}


def read_item(raw: json.Raw) -> WireItem:
    """The item; of one without rules the head alone. Raises `RemoteProtocolError`."""
    head = json.decode(raw, _bare, "item")
    if head.type in KNOWN:
        return json.decode(raw, _item, "item")
    return WireItem(head.type, head.id, head.status)


class _Part:
    __slots__ = ("annotations", "closed", "kind", "pieces", "whole")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.annotations = 0
        self.whole: str | None = None
        """The text, once its ``done`` has told it."""
        self.closed = False

    @property
    def text(self) -> str:
        return joined(self.pieces)


class Item:
    """One open item."""

    def __init__(self, item: WireItem, note: Note, grow: Callable[[str], bool]) -> None:
        self.item = item
        self._note = note
        self._grow = grow
        self._parts: dict[tuple[str, int], _Part] = {}
        self._args: list[str] = []
        self._args_whole: str | None = None
        self._check_added()

    def _check_added(self) -> None:
        item = self.item
        if not item.id:
            self._note("field", f"item.id of {item.type!r} is missing or empty")
        if item.type in ("message", "function_call") and item.status not in ("in_progress", None):
            self._note("field", "item.status: expected in_progress when it is added")
        if item.type == "message":
            if item.role != "assistant":
                self._note("field", "item.role: expected assistant")
            if item.content != []:
                self._note("field", "item.content: expected [] when it is added (Z3)")
        elif item.type == "reasoning" and item.summary != []:
            self._note("field", "item.summary: expected [] when it is added (Z5)")
        elif item.type in ("function_call", "custom_tool_call"):
            self._check_call(item)
            text = item.arguments if item.type == "function_call" else item.input
            if text != "":
                self._note("field", "item.arguments (or input): expected an empty text when it is added (Z4)")

    def _check_call(self, item: WireItem) -> None:
        if not item.call_id or len(item.call_id) > MAX_ID:
            self._note("field", f"item.call_id: expected 1 to {MAX_ID} characters")
        if not item.name:
            self._note("field", "item.name of a call is missing or empty")

    # --- parts -------------------------------------------------------------------------------------------

    def part_added(self, where: str, index: int, raw: json.Raw) -> None:
        part = json.decode(raw, _part, "part")
        wanted = len([key for key in self._parts if key[0] == where])
        if index != wanted:
            self._note("index", f"{where} part {index} is added, expected {wanted}")
        wrong = part.type not in _TEXT_FIELD or (where == "summary") != (part.type == "summary_text")
        if wrong or (part.type == "reasoning_text") != (self.item.type == "reasoning" and where == "content"):
            self._note("order", f"a part of type {part.type!r} in an item of type {self.item.type!r}")
        elif getattr(part, _TEXT_FIELD[part.type]) != "":
            self._note("field", f"part.{_TEXT_FIELD[part.type]}: expected an empty text when it is added")
        self._parts[where, index] = _Part(part.type)

    def _open(self, where: str, index: int, kind: str, event: str) -> _Part | None:
        part = self._parts.get((where, index))
        if part is None:
            self._note("order", f"{event} before its part was added")
        elif part.closed or (part.whole is not None and not event.endswith("part.done")):
            self._note("order", f"{event} behind the end of its part")
        elif kind and part.kind != kind:
            self._note("order", f"{event} in a part of type {part.kind!r}")
        else:
            return part
        return None

    def delta(self, where: str, index: int, kind: str, event: WireEvent) -> None:
        part = self._open(where, index, kind, event.type)
        text = json.decode(event.delta, _str, "delta")
        if part is not None and self._grow(text):
            part.pieces.append(text)

    def annotated(self, index: int, event: WireEvent) -> None:
        part = self._open("content", index, "output_text", event.type)
        if part is not None:
            if event.annotation_index != part.annotations:
                self._note("index", f"annotation {event.annotation_index}, expected {part.annotations}")
            part.annotations += 1

    def text_done(self, where: str, index: int, kind: str, event: WireEvent) -> None:
        part = self._open(where, index, kind, event.type)
        text = event.refusal if kind == "refusal" else event.text
        if part is None:
            return
        part.whole = text or ""
        if text is None:
            self._note("field", f"{event.type} without its text")
        elif text != part.text:
            self._note("sum", f"the text of {event.type} is not the sum of its deltas")

    def part_done(self, where: str, index: int, event: WireEvent) -> None:
        part = self._open(where, index, "", event.type)
        if part is None:
            return
        part.closed = True
        if part.whole is None:
            self._note("order", f"{event.type} before the text's own done (Z3)")
        self._compare(part, json.decode(event.part, _part, "part"), event.type)

    def _compare(self, part: _Part, told: _WirePart, what: str) -> None:
        if told.type != part.kind:
            self._note("identity", f"the part of {what} has another type than when it was added")
            return
        if getattr(told, _TEXT_FIELD.get(part.kind, "text")) != part.text:
            self._note("sum", f"the part of {what} is not the sum of its deltas")
        if part.kind == "output_text" and (told.annotations is None or len(told.annotations) != part.annotations):
            self._note("sum", f"the annotations of {what} are not those that were added")

    # --- arguments ---------------------------------------------------------------------------------------

    def arguments(self, kind: str, event: WireEvent) -> None:
        if self.item.type != kind or self._args_whole is not None:
            self._note("order", f"{event.type} in an item of type {self.item.type!r}, or behind its done")
        text = json.decode(event.delta, _str, "delta")
        if self._grow(text):
            self._args.append(text)

    def arguments_done(self, kind: str, event: WireEvent) -> None:
        if self.item.type != kind or self._args_whole is not None:
            self._note("order", f"{event.type} in an item of type {self.item.type!r}, or again")
        text = event.arguments if kind == "function_call" else event.input
        self._args_whole = text or ""
        if text is None:
            self._note("field", f"{event.type} without its text")
        elif text != joined(self._args):
            self._note("sum", f"the text of {event.type} is not the sum of its deltas")

    # --- the whole ---------------------------------------------------------------------------------------

    def close(self, item: WireItem) -> None:
        """The item's ``done``."""
        if item.type != self.item.type:
            self._note("identity", "the item has another type than when it was added")
            return
        if item.id != self.item.id:
            self._note("identity", "the item has another id than when it was added")
        if item.type in ("message", "function_call") and item.status not in _STATUSES:
            self._note("field", "item.status: expected completed or incomplete when it is done")
        if item.type == "message":
            self._close_parts("content", item.content)
        elif item.type == "reasoning":
            self._close_parts("summary", item.summary)
            self._close_parts("content", item.content or [])
        elif item.type in ("function_call", "custom_tool_call"):
            self._check_call(item)
            if (item.call_id, item.name) != (self.item.call_id, self.item.name):
                self._note("identity", "the call has another call_id or name than when it was added")
            if self._args_whole is None:
                self._note("order", "the call is done before its arguments are (Z4)")
            if (item.arguments if item.type == "function_call" else item.input) != joined(self._args):
                self._note("sum", "the call's arguments are not the sum of their deltas")

    def _close_parts(self, where: str, told: list[_WirePart] | None) -> None:
        parts = [part for (place, _), part in sorted(self._parts.items()) if place == where]
        if told is None or len(told) != len(parts):
            found = "no list" if told is None else str(len(told))
            self._note("sum", f"item.{where}: expected the {len(parts)} parts that were added, found {found}")
            return
        for part, whole in zip(parts, told, strict=True):
            if not part.closed:
                self._note("order", f"the item is done before its {where} part is")
            self._compare(part, whole, "the item")
