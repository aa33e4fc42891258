"""The items of an answer as a client of this dialect sees them come into being (Z2 to Z5).

One class for each kind of item; each writes its own events through `EventWriter` and ends with the whole item, which
the final response object repeats. `stream_encoder` decides which item is open.
"""

from __future__ import annotations

import abc

from ... import ir, json, opaque
from ...errors import RemoteProtocolError
from . import wire

MAX_ANSWER = 64 << 20
"""Characters of one answer: it is held whole, for the last event repeats all of it."""


class EventWriter:
    """Numbers and frames events; holds what the answer has grown to."""

    __slots__ = ("_size", "number")

    def __init__(self) -> None:
        self.number = 0
        self._size = 0

    def write(self, type_: bytes, members: bytes) -> bytes:
        """One event: its ``event:`` line, type and number, then ``members``."""
        number = self.number
        self.number = number + 1
        return b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n' % (type_, type_, number, members)

    def grow(self, text: str) -> None:
        """Raises `RemoteProtocolError` when the answer is too long to be held."""
        self._size += len(text)
        if self._size > MAX_ANSWER:
            raise RemoteProtocolError(f"the answer is longer than {MAX_ANSWER} characters", kind=ir.ErrorKind.UPSTREAM)


class Item(abc.ABC):
    """An open item: its place, its id, and how it is finished."""

    def __init__(self, writer: EventWriter, index: int, id_: str) -> None:
        self.writer = writer
        self.index = index
        self.id = json.encode_str(id_)
        self.final = b""
        """The whole item, once it is closed."""
        self._at = b'"item_id":%b,"output_index":%d' % (self.id, index)

    def _added(self, item: bytes) -> bytes:
        return self.writer.write(b"response.output_item.added", b'"output_index":%d,"item":%b' % (self.index, item))

    def _done(self, item: bytes) -> bytes:
        self.final = item
        return self.writer.write(b"response.output_item.done", b'"output_index":%d,"item":%b' % (self.index, item))

    @abc.abstractmethod
    def close(self, status: bytes) -> bytes:
        """The item is over; ``status`` is completed or incomplete."""


class MessageItem(Item):
    """A message; text and refusals are its parts."""

    def __init__(self, writer: EventWriter, index: int, id_: str, phase: str | None) -> None:
        super().__init__(writer, index, id_)
        self.phase = phase
        self._parts: list[bytes] = []
        self._text: list[str] = []
        self._annotations: list[bytes] = []
        self._logprobs: list[bytes] = []
        self._refusal = False
        self._head = b""

    def open(self) -> bytes:
        return self._added(self._item(b"in_progress"))

    def _item(self, status: bytes) -> bytes:
        phase = b',"phase":%b' % json.encode_str(self.phase) if self.phase is not None else b""
        return b'{"id":%b,"type":"message","status":"%b","content":[%b],"role":"assistant"%b}' % (
            self.id,
            status,
            b",".join(self._parts),
            phase,
        )

    def begin_part(self, *, refusal: bool) -> bytes:
        self._refusal = refusal
        self._text, self._annotations, self._logprobs = [], [], []
        self._head = b'%b,"content_index":%d' % (self._at, len(self._parts))
        return self.writer.write(b"response.content_part.added", b'%b,"part":%b' % (self._head, self._part(b'""')))

    def _part(self, text: bytes) -> bytes:
        if self._refusal:
            return b'{"type":"refusal","refusal":%b}' % text
        return b'{"type":"output_text","annotations":[%b],"logprobs":[%b],"text":%b}' % (
            b",".join(self._annotations),
            b",".join(self._logprobs),
            text,
        )

    def delta(self, text: str) -> bytes:
        self._text.append(text)
        self.writer.grow(text)
        if self._refusal:
            return self.writer.write(b"response.refusal.delta", b'%b,"delta":%b' % (self._head, json.encode_str(text)))
        return self.writer.write(
            b"response.output_text.delta", b'%b,"delta":%b,"logprobs":[]' % (self._head, json.encode_str(text))
        )

    def annotate(self, annotation: bytes) -> bytes:
        """A source of the open text, in this dialect's words."""
        members = b'%b,"annotation_index":%d,"annotation":%b' % (self._head, len(self._annotations), annotation)
        self._annotations.append(annotation)
        return self.writer.write(b"response.output_text.annotation.added", members)

    def keep_logprobs(self, array: bytes) -> None:
        """Token probabilities come after their text, so they go into the final part."""
        inner = _with_bytes(array).strip()[1:-1].strip()
        if inner:
            self._logprobs.append(inner)

    @property
    def length(self) -> int:
        """Characters of the open part."""
        return sum(map(len, self._text))

    def end_part(self) -> bytes:
        text = json.encode_str("".join(self._text))
        part = self._part(text)
        self._parts.append(part)
        if self._refusal:
            done = self.writer.write(b"response.refusal.done", b'%b,"refusal":%b' % (self._head, text))
        else:
            done = self.writer.write(
                b"response.output_text.done",
                b'%b,"text":%b,"logprobs":[%b]' % (self._head, text, b",".join(self._logprobs)),
            )
        return done + self.writer.write(b"response.content_part.done", b'%b,"part":%b' % (self._head, part))

    def close(self, status: bytes) -> bytes:
        return self._done(self._item(status))


def _with_bytes(array: bytes) -> bytes:
    """Token probabilities with the ``bytes`` of every token: Chat may leave them out, this dialect's types do not."""
    try:
        entries = json.loads(array)
        for entry in [inner for outer in entries for inner in (outer, *(outer.get("top_logprobs") or ()))]:
            if entry.get("bytes") is None:
                entry["bytes"] = list(entry["token"].encode("utf-8", "replace"))
    except (RemoteProtocolError, AttributeError, KeyError, TypeError):
        return array  # not what it says it is; passed as it came
    return json.encode(entries)


class ReasoningItem(Item):
    """Reasoning, always shown as a summary.

    Raw reasoning of other providers could be written as ``reasoning_text``, but Codex hides that by default and most
    users of the SDKs read only summaries; so it is a summary part of its own, and nobody has to look twice.
    """

    def __init__(self, writer: EventWriter, index: int, id_: str) -> None:
        super().__init__(writer, index, id_)
        self._parts: list[bytes] = []
        self._source: int | str | None = "nothing"
        self._text: list[str] = []
        self._head = b""
        self.material: ir.Opaque | None = None
        self.unproven = ""
        """What stands for a proof where there is none."""

    def open(self) -> bytes:
        return self._added(b'{"id":%b,"type":"reasoning","summary":[]}' % self.id)

    def delta(self, text: str, source: int | None) -> bytes:
        """``source`` is the provider's number of the summary part, None for raw reasoning."""
        out = b""
        if source != self._source:
            out = self._end_part()
            self._source = source
            self._head = b'%b,"summary_index":%d' % (self._at, len(self._parts))
            out += self.writer.write(
                b"response.reasoning_summary_part.added",
                b'%b,"part":{"type":"summary_text","text":""}' % self._head,
            )
        self._text.append(text)
        self.writer.grow(text)
        return out + self.writer.write(
            b"response.reasoning_summary_text.delta", b'%b,"delta":%b' % (self._head, json.encode_str(text))
        )

    def _end_part(self) -> bytes:
        if self._source == "nothing":
            return b""
        text = json.encode_str("".join(self._text))
        self._text = []
        part = b'{"type":"summary_text","text":%b}' % text
        self._parts.append(part)
        return self.writer.write(
            b"response.reasoning_summary_text.done", b'%b,"text":%b' % (self._head, text)
        ) + self.writer.write(b"response.reasoning_summary_part.done", b'%b,"part":%b' % (self._head, part))

    def close(self, status: bytes) -> bytes:
        out = self._end_part()
        token = self.unproven if self.material is None else _token(self.material)
        more = b',"encrypted_content":%b' % json.encode_str(token) if token else b""
        if status != b"completed":
            more += b',"status":"%b"' % status
        item = b'{"id":%b,"type":"reasoning","summary":[%b]%b}' % (self.id, b",".join(self._parts), more)
        return out + self._done(item)


def _token(material: ir.Opaque) -> str:
    """``encrypted_content``: the provider's own as it is, any other in our envelope."""
    if material.provider == wire.PROVIDER and material.kind is ir.OpaqueKind.ENCRYPTED:
        return material.data
    return opaque.wrap(material)


class CallItem(Item):
    """A call of a function or of a freeform tool."""

    def __init__(
        self, writer: EventWriter, index: int, id_: str, *, call_id: str, name: str, namespace: str | None, custom: bool
    ) -> None:
        super().__init__(writer, index, id_)
        self._custom = custom
        self._name = json.encode_str(name)
        self._call = b'"call_id":%b,"name":%b%b' % (
            json.encode_str(call_id),
            self._name,
            b"" if namespace is None else b',"namespace":%b' % json.encode_str(namespace),
        )
        self._text: list[str] = []
        word = b"custom_tool_call_input" if custom else b"function_call_arguments"
        self._delta = b"response.%b.delta" % word
        self._end = b"response.%b.done" % word

    def open(self) -> bytes:
        return self._added(self._item(b"in_progress", b'""'))

    def _item(self, status: bytes, text: bytes) -> bytes:
        return b'{"id":%b,"type":"%b","status":"%b","%b":%b,%b}' % (
            self.id,
            b"custom_tool_call" if self._custom else b"function_call",
            status,
            b"input" if self._custom else b"arguments",
            text,
            self._call,
        )

    def delta(self, text: str) -> bytes:
        self._text.append(text)
        self.writer.grow(text)
        return self.writer.write(self._delta, b'%b,"delta":%b' % (self._at, json.encode_str(text)))

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are a complete JSON object, so that the call can be acted on."""
        return not self._custom and json.is_object("".join(self._text))

    def close(self, status: bytes) -> bytes:
        out = b""
        if not self._text and not self._custom and status == b"completed":
            out = self.delta("{}")  # a call without arguments; clients parse them as JSON (X7)
        text = json.encode_str("".join(self._text))
        if self._custom:
            members = b'%b,"input":%b' % (self._at, text)
        else:
            members = b'%b,"name":%b,"arguments":%b' % (self._at, self._name, text)
        return out + self.writer.write(self._end, members) + self._done(self._item(status, text))


class HostedItem(Item):
    """An item of this dialect that only its own clients understand: it is passed on whole."""

    def __init__(self, writer: EventWriter, index: int, item: bytes) -> None:
        super().__init__(writer, index, "")
        self.item = item

    def open(self) -> bytes:
        return self._added(self.item)

    def close(self, status: bytes) -> bytes:
        return self._done(self.item)
