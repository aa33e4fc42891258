"""The output items of one answer: what arrives of them becomes blocks, once, whatever is missing or said twice.

Deltas and final items tell the same story two times; servers leave out one or the other, number items wrongly or
rename them midway. An item is known by its output index, else by its id, else it is the one that is open; of a final
text only what the deltas did not bring is added (Z11, D3). Whole answers go through the same code, so that they
cannot differ from streams.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ... import ir, json, opaque
from ...errors import RemoteProtocolError
from ...events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    Event,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from . import wire

MAX_ITEMS = 10_000
"""Items of one answer: a thousand times what models give, and still no burden."""
MAX_TEXT = 64 << 20
"""Characters of one answer: as long as an upstream JSON may be (reliability.md, section 5)."""


class _Part(msgspec.Struct, frozen=True):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[msgspec.Raw] | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")


class _Item(msgspec.Struct, frozen=True):
    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"null")
    input: str | None = None
    phase: str | None = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    encrypted_content: str | None = None


_item_decoder = json.decoder(_Item)
_part_decoder = json.decoder(_Part)

_MESSAGE, _REASONING, _FUNCTION, _CUSTOM, _HOSTED = (
    "message",
    "reasoning",
    "function_call",
    "custom_tool_call",
    "",
)
_KNOWN = frozenset({_MESSAGE, _REASONING, _FUNCTION, _CUSTOM})
_NOTHING = (b"null", b"[]")


class _Block:
    """One block given out, with the text it has so far."""

    __slots__ = ("citations", "ix", "kind", "logprobs", "open", "pieces", "summary")

    def __init__(self, ix: int, kind: BlockKind) -> None:
        self.ix = ix
        self.kind = kind
        self.open = True
        self.pieces: list[str] = []
        self.summary: dict[int, list[str]] = {}
        self.citations = 0
        self.logprobs = False


class _Open:
    """One item."""

    __slots__ = ("blocks", "done", "held", "id", "phase", "type")

    def __init__(self, type_: str, id_: str | None, phase: str | None) -> None:
        self.type = type_
        self.id = id_
        self.phase = phase
        self.done = False
        self.blocks: dict[tuple[int, BlockKind], _Block] = {}
        self.held: list[str] = []
        """Arguments that came before the call's name."""


class Items:
    """All items of one answer. Methods append events to ``out``; raise `RemoteProtocolError` at a limit."""

    __slots__ = ("_all", "_by_id", "_by_index", "_next", "_size", "called", "model", "refused")

    def __init__(self) -> None:
        self.model = ""
        self.called = False
        self.refused = False
        self._all: list[_Open] = []
        self._by_index: dict[int, _Open] = {}
        self._by_id: dict[str, _Open] = {}
        self._next = 0
        self._size = 0

    def __len__(self) -> int:
        return len(self._all)

    # --- whole items ---

    def added(self, raw: msgspec.Raw, index: int | None, out: list[Event]) -> None:
        """``response.output_item.added``"""
        item = _decode(raw)
        if item is None:
            return
        known = self._by_index.get(index) if index is not None else self._by_id.get(item.id or "")
        if known is not None and known.id == item.id and (not known.done or (index is not None and item.id)):
            return  # said again
        self._begin(item, raw, index, out)

    def _begin(self, item: _Item, raw: msgspec.Raw, index: int | None, out: list[Event]) -> _Open:
        if len(self._all) >= MAX_ITEMS:
            raise RemoteProtocolError(f"the answer has more than {MAX_ITEMS} items", kind=ir.ErrorKind.UPSTREAM)
        type_ = item.type if item.type in _KNOWN else _HOSTED
        opened = _Open(type_, item.id, item.phase)
        self._register(opened, index)
        if type_ in (_FUNCTION, _CUSTOM) and item.name:
            self._start_call(opened, item, out)
        elif type_ == _HOSTED:
            block = self._block(opened, 0, BlockKind.HOSTED)
            out.append(BlockStart(block.ix, BlockKind.HOSTED, id=item.id, hosted=_hosted(item, raw)))
        return opened

    def _register(self, opened: _Open, index: int | None) -> None:
        self._all.append(opened)
        self._by_index[len(self._all) - 1 if index is None else index] = opened
        if opened.id:
            self._by_id[opened.id] = opened

    def done(self, raw: msgspec.Raw, index: int | None, out: list[Event]) -> None:
        """``response.output_item.done``, or an item of the final answer."""
        item = _decode(raw)
        if item is None:
            return
        type_ = item.type if item.type in _KNOWN else _HOSTED
        opened = self._find(type_, index, item.id)
        if opened is None:
            opened = self._begin(item, raw, index, out)
        self._complete(opened, item, raw, out)

    def _complete(self, opened: _Open, item: _Item, raw: msgspec.Raw, out: list[Event]) -> None:
        if opened.done:
            return
        opened.done = True
        if opened.type == _MESSAGE:
            opened.phase = opened.phase or item.phase
            for n, part in enumerate(item.content or ()):
                self._final_part(opened, n, part, out)
        elif opened.type == _REASONING:
            self._final_reasoning(opened, item, out)
        elif opened.type == _HOSTED:
            block = opened.blocks[(0, BlockKind.HOSTED)]
            block.open = False
            out.append(BlockEnd(block.ix, _hosted(item, raw)))
        else:
            self._final_call(opened, item, out)
        self._close(opened, out)

    def finish(self, output: Sequence[msgspec.Raw], out: list[Event]) -> None:
        """The final answer's items: complete what is open, add what never came, close everything."""
        for n, raw in enumerate(output):
            item = _decode(raw)
            if item is None:
                continue
            type_ = item.type if item.type in _KNOWN else _HOSTED
            opened = self._by_id.get(item.id or "") or self._by_index.get(n)
            if opened is None and len(output) > len(self._all):
                self._complete(self._begin(item, raw, None, out), item, raw, out)
            elif opened is not None and opened.type == type_:
                self._complete(opened, item, raw, out)
        for opened in self._all:
            if opened.type in (_FUNCTION, _CUSTOM) and not opened.blocks:
                raise RemoteProtocolError("the provider sent a tool call without a name", kind=ir.ErrorKind.UPSTREAM)
            self._close(opened, out)

    def _close(self, opened: _Open, out: list[Event]) -> None:
        for block in opened.blocks.values():
            if block.open:
                block.open = False
                out.append(BlockEnd(block.ix))

    # --- which item is meant ---

    def _find(self, type_: str, index: int | None, id_: str | None) -> _Open | None:
        """The open item of ``type_``: by index, by id, or the last one that is open."""
        if index is not None:
            opened = self._by_index.get(index)
            if opened is not None and opened.type == type_:
                return opened
        if id_:
            opened = self._by_id.get(id_)
            if opened is not None and opened.type == type_:
                return opened
        if index is None or not id_:
            for opened in reversed(self._all):
                if opened.type == type_ and not opened.done:
                    return opened
        return None

    def _get(self, type_: str, index: int | None, id_: str | None) -> _Open:
        """As `_find`, or a new item: deltas came without its start (D3)."""
        opened = self._find(type_, index, id_)
        if opened is None:
            if len(self._all) >= MAX_ITEMS:
                raise RemoteProtocolError(f"the answer has more than {MAX_ITEMS} items", kind=ir.ErrorKind.UPSTREAM)
            opened = _Open(type_, id_, None)
            self._register(opened, index)
        return opened

    def _block(self, opened: _Open, index: int, kind: BlockKind) -> _Block:
        block = opened.blocks[(index, kind)] = _Block(self._next, kind)
        self._next += 1
        return block

    def _grow(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_TEXT:
            raise RemoteProtocolError(f"the answer is longer than {MAX_TEXT} characters", kind=ir.ErrorKind.UPSTREAM)

    # --- messages ---

    def text(self, index: int | None, id_: str | None, content: int, text: str, out: list[Event]) -> _Block | None:
        """A fragment of text; empty ones open nothing. Returns the block."""
        return self._say(self._get(_MESSAGE, index, id_), content, BlockKind.TEXT, text, out)

    def refusal(self, index: int | None, id_: str | None, content: int, text: str, out: list[Event]) -> None:
        """A fragment of a refusal."""
        self._say(self._get(_MESSAGE, index, id_), content, BlockKind.REFUSAL, text, out)

    def _say(self, opened: _Open, content: int, kind: BlockKind, text: str, out: list[Event]) -> _Block | None:
        block = opened.blocks.get((content, kind))
        if block is None:
            if not text:
                return None
            block = self._block(opened, content, kind)
            self.refused = self.refused or kind is BlockKind.REFUSAL
            out.append(BlockStart(block.ix, kind, phase=opened.phase))
        if text and block.open:
            self._grow(text)
            block.pieces.append(text)
            out.append(TextDelta(block.ix, text) if kind is BlockKind.TEXT else RefusalDelta(block.ix, text))
        return block

    def logprobs(self, block: _Block, raw: msgspec.Raw, out: list[Event]) -> None:
        """Token probabilities of the fragment just given."""
        if bytes(raw) not in _NOTHING and block.open and json.kind(raw) == "array":
            block.logprobs = True
            out.append(Logprobs(block.ix, bytes(raw)))

    def annotation(self, index: int | None, id_: str | None, content: int, raw: msgspec.Raw, out: list[Event]) -> None:
        """A source of a text; one that comes before its text is taken from the final part."""
        block = self._get(_MESSAGE, index, id_).blocks.get((content, BlockKind.TEXT))
        if block is not None and block.open:
            block.citations += 1
            out.append(Citation(block.ix, wire.NAME, bytes(raw)))

    def part_done(self, index: int | None, id_: str | None, content: int, raw: msgspec.Raw, out: list[Event]) -> None:
        """``response.content_part.done``: the part is whole."""
        try:
            part = json.decode(raw, _part_decoder)
        except RemoteProtocolError:
            return
        if part.type == "reasoning_text":
            return
        opened = self._get(_MESSAGE, index, id_)
        self._final_part(opened, content, part, out)

    def _final_part(self, opened: _Open, content: int, part: _Part, out: list[Event]) -> None:
        refusal = part.type == "refusal"
        kind = BlockKind.REFUSAL if refusal else BlockKind.TEXT
        final = (part.refusal if refusal else part.text) or ""
        block = opened.blocks.get((content, kind))
        rest = final if block is None else _rest(block.pieces, final)
        block = self._say(opened, content, kind, rest, out)
        if block is None or not block.open:
            return
        for raw in (part.annotations or ())[block.citations :]:
            out.append(Citation(block.ix, wire.NAME, bytes(raw)))
        if not block.logprobs and not refusal:
            self.logprobs(block, part.logprobs, out)
        block.open = False
        out.append(BlockEnd(block.ix))

    # --- calls ---

    def arguments(self, custom: bool, index: int | None, id_: str | None, text: str, out: list[Event]) -> None:
        """A fragment of a function's arguments or of a freeform tool's input."""
        opened = self._get(_CUSTOM if custom else _FUNCTION, index, id_)
        block = opened.blocks.get((0, BlockKind.TOOL))
        if block is None:
            opened.held.append(text)  # its name is still to come
            self._grow(text)
        elif text and block.open:
            self._grow(text)
            block.pieces.append(text)
            out.append(ArgsDelta(block.ix, text))

    def arguments_done(self, custom: bool, index: int | None, id_: str | None, text: str, out: list[Event]) -> None:
        """The whole arguments: what no fragment brought is given out."""
        opened = self._get(_CUSTOM if custom else _FUNCTION, index, id_)
        block = opened.blocks.get((0, BlockKind.TOOL))
        rest = _rest(opened.held if block is None else block.pieces, text)
        if rest:
            self.arguments(custom, index, id_, rest, out)

    def _start_call(self, opened: _Open, item: _Item, out: list[Event]) -> _Block:
        block = self._block(opened, 0, BlockKind.TOOL)
        self.called = True
        out.append(
            BlockStart(
                block.ix,
                BlockKind.TOOL,
                id=item.call_id or item.id or None,
                name=item.name,
                namespace=item.namespace,
                tool_kind=ir.ToolKind.CUSTOM if opened.type == _CUSTOM else ir.ToolKind.FUNCTION,
                item_id=item.id,
            )
        )
        held, opened.held = "".join(opened.held), []
        if held:
            block.pieces.append(held)
            out.append(ArgsDelta(block.ix, held))
        return block

    def _final_call(self, opened: _Open, item: _Item, out: list[Event]) -> None:
        block = opened.blocks.get((0, BlockKind.TOOL))
        if block is None:
            if not item.name:
                return  # `finish` reports it
            block = self._start_call(opened, item, out)
        final = item.input if opened.type == _CUSTOM else _arguments(item.arguments)
        rest = _rest(block.pieces, final or "")
        if rest and block.open:
            self._grow(rest)
            block.pieces.append(rest)
            out.append(ArgsDelta(block.ix, rest))

    # --- reasoning ---

    def reasoning(self, index: int | None, id_: str | None, summary: int | None, text: str, out: list[Event]) -> None:
        """A fragment of a summary part, or of the raw chain of thought (``summary`` None)."""
        if text:
            self._reason(self._get(_REASONING, index, id_), summary, text, out)

    def _reason(self, opened: _Open, summary: int | None, text: str, out: list[Event]) -> None:
        block = self._reasoning_block(opened, out)
        if block.open:
            self._grow(text)
            (block.pieces if summary is None else block.summary.setdefault(summary, [])).append(text)
            out.append(ReasoningDelta(block.ix, text, summary))

    def _reasoning_block(self, opened: _Open, out: list[Event]) -> _Block:
        block = opened.blocks.get((0, BlockKind.REASONING))
        if block is None:
            block = self._block(opened, 0, BlockKind.REASONING)
            out.append(BlockStart(block.ix, BlockKind.REASONING, id=opened.id))
        return block

    def reasoning_done(
        self, index: int | None, id_: str | None, summary: int | None, text: str, out: list[Event]
    ) -> None:
        """A whole summary part: what no fragment brought is given out."""
        opened = self._get(_REASONING, index, id_)
        block = opened.blocks.get((0, BlockKind.REASONING))
        pieces = [] if block is None or summary is None else block.summary.get(summary, [])
        rest = _rest(pieces, text)
        if rest:
            self._reason(opened, summary, rest, out)

    def _final_reasoning(self, opened: _Open, item: _Item, out: list[Event]) -> None:
        raw = "".join(part.text or "" for part in item.content or ())
        block = opened.blocks.get((0, BlockKind.REASONING))
        rest = _rest(block.pieces if block is not None else [], raw)
        if rest:
            self._reason(opened, None, rest, out)
        for n, part in enumerate(item.summary or ()):
            block = opened.blocks.get((0, BlockKind.REASONING))
            rest = _rest(block.summary.get(n, []) if block is not None else [], part.text or "")
            if rest:
                self._reason(opened, n, rest, out)
        token = item.encrypted_content
        if not token:
            return
        material = opaque.unwrap(token)
        if material is None:
            if opaque.is_envelope(token):
                return  # damaged
            material = ir.Opaque(wire.PROVIDER, self.model, ir.OpaqueKind.ENCRYPTED, token, item.id)
        out.append(OpaqueDelta(self._reasoning_block(opened, out).ix, material))


def _rest(pieces: list[str], final: str) -> str:
    """What of ``final`` the ``pieces`` have not brought; nothing where they tell another story."""
    if not pieces:
        return final
    seen = "".join(pieces)
    return final[len(seen) :] if final.startswith(seen) else ""


def _arguments(raw: msgspec.Raw) -> str | None:
    """Arguments as text; some servers send the object itself."""
    if wire.is_null(raw):
        return None
    if json.kind(raw) == "string":
        return json.decode(raw, wire.string_decoder)
    return bytes(raw).decode("utf-8", "replace")


def _decode(raw: msgspec.Raw) -> _Item | None:
    """An item; one with fields of unexpected types is of an unknown type, one that is no object is none."""
    try:
        return json.decode(raw, _item_decoder)
    except RemoteProtocolError:
        pass
    try:
        tag = json.decode(raw, wire.tag_decoder)
    except RemoteProtocolError:
        return None
    return _Item(type=f"{tag.type or ''}?")


def _hosted(item: _Item, raw: msgspec.Raw) -> ir.Hosted:
    return ir.Hosted(wire.NAME, item.type.rstrip("?"), bytes(raw))
