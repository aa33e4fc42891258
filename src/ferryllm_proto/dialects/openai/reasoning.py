"""``reasoning_details``: how Chat carries a chain of thought with its proof (OpenRouter's convention).

Native entries travel as one `Opaque` each. What another provider minted is shown to a Chat client as such an entry
with our envelope in ``signature`` or ``data``, together with the text it belongs to, so that a client that sends
``reasoning_details`` back has sent everything (translation.md Y6, Y7, C5).
"""

from __future__ import annotations

import msgspec

from ... import ir, json, opaque
from ...errors import RemoteProtocolError
from ...loss import Report

PROVIDER = "openrouter"
FORMAT = "ferryllm-v1"
"""``format`` of entries that hold an envelope."""


class Entry(msgspec.Struct, frozen=True):
    """One entry; anything may be missing."""

    type: str | None = None
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    id: str | None = None
    index: int | None = None

    @property
    def token(self) -> str:
        """The proof in it."""
        return self.signature or self.data or ""


_entry = json.decoder(Entry)


def read(raw: bytes | msgspec.Raw) -> Entry | None:
    """An entry of a provider or client; None for what is none."""
    try:
        return json.decode(raw, _entry)
    except RemoteProtocolError:
        return None


def parts(details: list[bytes], text: str | None, text_path: str, model: str, path: str) -> list[ir.Reasoning]:
    """The reasoning of one message.

    ``text`` is its ``reasoning_content`` (None without); where entries bring the text themselves it is the same text
    again and is not doubled. ``path`` names the message.
    """
    entries = [(raw, entry, n) for n, raw in enumerate(details) if (entry := read(raw)) is not None]
    enveloped = [
        ir.Reasoning(
            entry.text or "",
            summary=(entry.summary,) if entry.summary else (),
            opaque=(found,),
            id=found.id,
            path=f"{path}.reasoning_details[{n}]",
        )
        for _, entry, n in entries
        if (found := opaque.unwrap(entry.token)) is not None
    ]
    if enveloped:
        first = enveloped[0]
        if text and first.opaque[0].kind is ir.OpaqueKind.ENCRYPTED and not any(r.text or r.summary for r in enveloped):
            # Encrypted entries bring no words: those of the message are their summary.
            enveloped[0] = msgspec.structs.replace(first, summary=(text,))
        return enveloped
    native = tuple(
        ir.Opaque(PROVIDER, model, ir.OpaqueKind.DETAILS, bytes(raw).decode("utf-8", "replace"))
        for raw, entry, _ in entries
        if not opaque.is_envelope(entry.token)
    )
    if text:
        return [ir.Reasoning(text, opaque=native, path=text_path)]
    if not native:
        return []
    return [
        ir.Reasoning(
            "".join(entry.text for _, entry, _ in entries if entry.text),
            summary=tuple(entry.summary for _, entry, _ in entries if entry.summary),
            opaque=native,
            path=f"{path}.reasoning_details",
        )
    ]


def entry(found: ir.Opaque, text: str, index: int) -> bytes:
    """``found`` as one entry for a Chat client; ``text`` is that of its block."""
    if found.kind is ir.OpaqueKind.DETAILS and found.provider == PROVIDER:
        return found.data.encode("utf-8", "surrogatepass")
    fields: dict[str, object] = {"type": "reasoning.encrypted"}
    if found.kind is ir.OpaqueKind.SIGNATURE:
        fields = {"type": "reasoning.text", "text": text, "signature": opaque.wrap(found)}
    else:
        fields["data"] = opaque.wrap(found)
    if found.id:
        fields["id"] = found.id
    return json.encode({**fields, "format": FORMAT, "index": index})


def thought(found: ir.Opaque, text: str, *, said: bool) -> opaque.Thought:
    """The proof of a thought with the words ``text``; ``said``: text or a call stood before it.

    Gemini's signatures prove a place and no words: they stay with what follows them.
    """
    if found.kind is ir.OpaqueKind.THOUGHT_SIGNATURE:
        return opaque.Thought(found, "", late=True)
    return opaque.Thought(found, text, late=said)


def followed(thoughts: list[opaque.Thought]) -> list[opaque.Thought]:
    """``thoughts`` with text behind them: Gemini's signatures among them are the text's and not the next call's."""
    return [
        msgspec.structs.replace(one, late=False) if one.opaque.kind is ir.OpaqueKind.THOUGHT_SIGNATURE else one
        for one in thoughts
    ]


def carrying(id_: str, thoughts: list[opaque.Thought], report: Report) -> str:
    """A call's id with the proofs of the ``thoughts`` before it, for clients that drop ``reasoning_details``."""
    foreign = [one for one in thoughts if one.opaque.kind is not ir.OpaqueKind.DETAILS]
    if not foreign:
        return id_
    carrier = opaque.carry(id_, foreign)
    if not carrier:
        report.degraded("tool_calls.id", "what was thought before the call is too long for its id to carry")
    return carrier or id_


def carried(parts: list[ir.Part], call: ir.ToolCall) -> None:
    """Put ``call`` behind ``parts``, the message so far, and what its id carries where it was.

    ``reasoning_details`` may have brought the same, without a word about its place: the id knows better.
    """
    plain, thoughts = opaque.uncarry(call.id)
    if not thoughts:
        parts.append(call if plain == call.id else msgspec.structs.replace(call, id=plain))
        return
    here: list[ir.Part] = []
    front: list[ir.Part] = []
    for one in thoughts:
        known = next((n for n, part in enumerate(parts) if _holds(part, one.opaque)), None)
        part = parts.pop(known) if known is not None else _restored(parts, one, f"{call.path}.id")
        (here if one.late else front).append(part)
    parts[:0] = front
    parts.extend([*here, msgspec.structs.replace(call, id=plain)])


def _restored(parts: list[ir.Part], thought: opaque.Thought, path: str) -> ir.Reasoning:
    """The thought an id carried. Its words came with the message too, unproven; they are taken from there."""
    found, summary, text = thought.opaque, "", thought.text
    for n, part in enumerate(parts):
        if isinstance(part, ir.Reasoning) and not part.opaque and text in part.text:
            rest = part.text.replace(text, "", 1)
            if not text and found.kind is ir.OpaqueKind.ENCRYPTED:  # encrypted, so the words are its summary
                summary, rest = part.text, ""
            elif not text and found.kind is ir.OpaqueKind.THOUGHT_SIGNATURE:  # it proves no words: all are its own
                text, rest = part.text, ""
            if rest.strip():
                parts[n] = msgspec.structs.replace(part, text=rest)
            else:
                parts.pop(n)
            break
    return ir.Reasoning(text, summary=(summary,) if summary else (), opaque=(found,), id=found.id, path=path)


def _holds(part: ir.Part, found: ir.Opaque) -> bool:
    return isinstance(part, ir.Reasoning) and any(one.data == found.data for one in part.opaque)


class Details:
    """Collects streamed fragments of entries into whole ones: one object per block, not one per delta."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], dict[str, object]] = {}

    def add(self, raw: bytes | msgspec.Raw) -> None:
        """Take one fragment. What is no object is ignored."""
        try:
            fields = json.loads(raw)
        except RemoteProtocolError:
            return
        if not isinstance(fields, dict):
            return
        index = fields.get("index")
        key = (str(fields.get("type")), index if isinstance(index, int) else 0)
        known = self._entries.setdefault(key, {})
        for name, value in fields.items():
            old = known.get(name)
            if name in ("text", "summary") and isinstance(old, str) and isinstance(value, str):
                known[name] = old + value
            elif value is not None or name not in known:
                known[name] = value

    def take(self) -> list[str]:
        """The whole entries as JSON text, once.

        Without a signature or encrypted data among them there is nothing to prove, and the text is known already.
        """
        entries, self._entries = list(self._entries.values()), {}
        if not any(e.get("signature") or e.get("data") for e in entries):
            return []
        return [json.encode(e).decode() for e in entries]
