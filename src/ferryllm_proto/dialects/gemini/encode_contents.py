"""The conversation as Gemini wants it (translation.md A2, B4, B7, B8, C15).

A client of this dialect that goes to the model it asked for keeps its contents as they are. All others are brought
into shape: user and model take turns, the results of a turn are one content right behind their calls, the first word
is the user's.
"""

from __future__ import annotations

import msgspec

from ... import ir, json, tools
from ...loss import Report
from . import carrier
from .decode_parts import DUMMY, in_pieces
from .encode_parts import Block, PartWriter
from .wire import NAME

OPENING = "[The conversation begins with the assistant's message.]"
CONTINUE = "Continue."
"""The user's words where the API wants some and the client had none."""


def as_written(turns: tuple[ir.Turn, ...], writer: PartWriter) -> list[Block]:
    """The client's own contents."""
    contents: list[Block] = []
    for turn in turns:
        role = "model" if turn.role is ir.Role.ASSISTANT else "user"
        *others, last = in_pieces(turn)
        contents.extend({"role": role, "parts": parts(found, writer)} for found in others)
        content: Block = {"role": role, "parts": parts(last, writer)}
        if turn.ext is not None and turn.ext.dialect == NAME:
            for name, value in turn.ext.fields.items():
                if name == ".role":
                    del content["role"]
                    if value != b"null":
                        content["role"] = json.raw(value)
                elif not name.startswith("."):
                    content[name] = json.raw(value)
        contents.append(content)
    return contents


def shaped(turns: tuple[ir.Turn, ...], writer: PartWriter, report: Report, *, prefill: bool) -> list[Block]:
    """Contents that alternate and pair. ``prefill``: the model goes on with a final content of its own."""
    for turn in turns:
        if turn.name is not None:
            report.dropped(f"{turn.path}.name", f"{NAME} has no author's name")
        if turn.phase is not None:
            report.dropped(f"{turn.path}.phase", f"{NAME} has no phases")
        if turn.role is not ir.Role.SYSTEM:
            report.ext(turn.ext, NAME, turn.path)
    turns = tuple(_reminder(turn, report) if turn.role is ir.Role.SYSTEM else turn for turn in turns)
    contents: list[Block] = []
    paired = tools.pair_results(turns, report)
    writer.know(paired)
    for turn in paired:
        blocks = parts(turn.parts, writer)
        if turn.role is ir.Role.ASSISTANT:
            _append(contents, "model", blocks)
            continue
        # Nothing may stand beside the results in their content: their number is that of the calls (B4).
        _append(contents, "user", [block for block in blocks if "functionResponse" in block], alone=True)
        _append(contents, "user", [block for block in blocks if "functionResponse" not in block])
    if contents and contents[-1]["role"] == "model" and not prefill:
        report.degraded(turns[-1].path, "this model does not go on with a final message of its own: the user asks it")
        contents.append({"role": "user", "parts": [{"text": CONTINUE}]})
    if not contents or contents[0]["role"] != "user":
        report.degraded(writer.request.wire_name("turns"), "the API wants a user's message first: one was added")
        text = OPENING if contents else CONTINUE
        contents.insert(0, {"role": "user", "parts": [{"text": text}]})
    return contents


def _append(contents: list[Block], role: str, blocks: list[Block], *, alone: bool = False) -> None:
    """Add a content, or its parts to the last one where the role is the same and neither must stand alone."""
    if not blocks:
        return
    last = contents[-1] if contents else None
    if last is not None and last["role"] == role and alone is ("functionResponse" in last["parts"][0]):
        last["parts"].extend(blocks)
    else:
        contents.append({"role": role, "parts": blocks})


def _reminder(turn: ir.Turn, report: Report) -> ir.Turn:
    """Instructions in the middle as a marked text of the user (A2): never the model's, never moved."""
    report.degraded(turn.path, "instructions inside the conversation are sent as a marked text of the user")
    marked: list[ir.Part] = []
    for part in turn.parts:
        if isinstance(part, ir.Text):
            if part.text.strip():
                text = f"<system-reminder>\n{part.text}\n</system-reminder>"
                marked.append(msgspec.structs.replace(part, text=text))
        elif isinstance(part, ir.Hosted):
            report.dropped(part.path, "it is only known inside a system message")
        else:
            marked.append(part)
    if turn.ext is not None:
        report.ext(turn.ext, NAME, turn.path)
    return ir.Turn(ir.Role.USER, tuple(marked), path=turn.path)


# --- parts and their signatures (B7) ---------------------------------------------------------------------


def parts(found: tuple[ir.Part, ...], writer: PartWriter) -> list[Block]:
    """The parts of one content, each signature on the part it came with."""
    return _Content(found, writer).blocks()


class _Content:
    def __init__(self, found: tuple[ir.Part, ...], writer: PartWriter) -> None:
        self._parts = found
        self._writer = writer
        self._out: list[Block] = []
        self._signature: str | None = None
        """For the part that comes next."""
        self._called = False
        self._lost = False
        """Whether the proof before this part was another provider's."""

    def blocks(self) -> list[Block]:
        for place, part in enumerate(self._parts):
            if isinstance(part, ir.Reasoning):
                self._reasoning(part, place)
                continue
            blocks = self._writer.write(part)
            if isinstance(part, ir.ToolCall):
                self._call(part, blocks[0])
            elif self._signature is not None:
                if not blocks:
                    blocks = [{"text": ""}]  # real answers sign empty texts too
                blocks[0]["thoughtSignature"] = self._signature
            self._signature, self._lost = None, False
            self._out.extend(blocks)
        return self._out

    def _call(self, part: ir.ToolCall, block: Block) -> None:
        writer = self._writer
        for material in part.opaque:
            if self._usable(material):
                self._signature = self._signature or material.data
            else:
                writer.report.dropped(
                    writer.report.at(part.path, "opaque"), "this proof is another provider's or another model's"
                )
                self._lost = True
        # Of parallel calls only the first one is signed.
        wanted = writer.newest and not self._called and (not writer.own or self._lost)
        known = part.ext is not None and part.ext.dialect == NAME and DUMMY in part.ext.fields
        if self._signature is None and known and (writer.own or wanted):
            self._signature = carrier.DUMMY
        if self._signature is None and wanted:
            self._signature = carrier.DUMMY
            writer.report.degraded(part.path, "the call has no thought signature of this model: a dummy is sent")
        if self._signature is not None:
            block["thoughtSignature"] = self._signature
        self._called = True

    def _usable(self, material: ir.Opaque) -> bool:
        request = self._writer.request
        # A client of ours knows the model by its own name: what it got under that name came from this provider.
        mine = self._writer.ours and material.model == request.model
        return carrier.is_own(material) and (mine or carrier.usable(material, self._writer.model))

    def _reasoning(self, part: ir.Reasoning, place: int) -> None:
        writer = self._writer
        usable = [material for material in part.opaque if self._usable(material)]
        whole = _spelled(part, ".part")
        if whole is not None and usable:
            self._out.append(dict(json.fields(whole)))
            return
        text = part.text or "\n\n".join(part.summary)
        carried = part.path.endswith(".thoughtSignature")
        if writer.own and not carried:
            block: Block = {"text": text, "thought": True}
            writer.ext(block, part.ext, part.path)
            self._out.append(block)
        elif part.ext is not None:
            writer.report.ext(part.ext, NAME, part.path)
        if usable:
            self._place(usable[-1].data, part, place)
        elif part.opaque:
            self._lost = True
            writer.report.dropped(part.path, "the proof over these thoughts is another provider's or another model's")
        elif text and not writer.own:
            writer.report.dropped(part.path, f"{NAME} does not take thoughts back, only their signatures")

    def _place(self, signature: str, part: ir.Reasoning, place: int) -> None:
        """Find the part a signature belongs to: the next one, or the text a stream had begun before it came."""
        after = self._parts[place + 1] if place + 1 < len(self._parts) else None
        before = self._parts[place - 1] if place else None
        carrier_only = not part.text and not part.summary and _spelled(part, ".signs") is None
        free = bool(self._out) and "text" in self._out[-1] and "thoughtSignature" not in self._out[-1]
        behind_text = isinstance(before, ir.Text) and free
        if isinstance(after, ir.ToolCall):
            self._signature = signature
        elif behind_text and (carrier_only or after is None):
            self._out[-1]["thoughtSignature"] = signature
        elif after is not None and not isinstance(after, ir.Reasoning):
            self._signature = signature
        else:
            self._out.append({"text": "", "thoughtSignature": signature})


def _spelled(part: ir.Reasoning, name: str) -> bytes | None:
    return part.ext.fields.get(name) if part.ext is not None and part.ext.dialect == NAME else None
