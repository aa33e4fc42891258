"""Turns as the wire's input items."""

from __future__ import annotations

import re

from ... import ids, ir, json, opaque, system, tools
from ...loss import Report
from ...tools import Lowered
from . import wire
from .encode_content import ContentWriter
from .encode_tools import encode_tools

Wire = dict[str, object]
_INDEX = re.compile(r"input\[(\d+)\]")
CONTINUE = "Continue."
"""The user's words where nobody else said any: a request without input is refused (A6)."""


class InputWriter:
    """Writes the items of one request, in order.

    Items of a request of this dialect get back what their path says they had: ids, status words, unknown fields.
    """

    def __init__(self, request: ir.Request, lowered: Lowered, model: str, report: Report) -> None:
        self._request = request
        self._own = request.dialect == wire.NAME
        self._lowered = lowered
        self._model = model
        self._report = report
        self._content = ContentWriter(request, report)
        self._items: list[tuple[int, object]] = []
        self._kept = request.ext.fields if request.ext is not None and self._own else {}
        self._fields = _by_item(self._kept)
        self._message: Wire | None = None
        self._message_key = ""
        self.instructions: str | None = None

    def write(self) -> object:
        """``input``; `instructions` is known afterwards."""
        self._system()
        turns = self._request.turns
        if self._own and not self._items and len(turns) == 1 and turns[0].path == "input":
            part = turns[0].parts[0] if turns[0].parts else None
            if isinstance(part, ir.Text):
                return part.text
        if not self._own:
            turns = tools.pair_results(turns, self._report)
        for turn in turns:
            if turn.name is not None:
                self._report.dropped(f"{turn.path}.name", "messages have no name here")
            self._report.ext(turn.ext, wire.NAME, turn.path)
            if turn.role is ir.Role.ASSISTANT:
                self._assistant(turn)
            else:
                self._others(turn)
        if self._own:
            self._additional_tools()
            self._items.sort(key=lambda pair: pair[0])  # stable: only the tools' items move to their places
        else:
            self._end(turns)
        return [item for _, item in self._items]

    def _end(self, turns: tuple[ir.Turn, ...]) -> None:
        """What the model shall answer: something, and not its own last words."""
        said = [item for _, item in self._items if not (isinstance(item, dict) and item.get("role") == "developer")]
        if not said:
            self._report.degraded(self._request.wire_name("turns"), "nobody says anything: a user message was added")
            self._put({"type": "message", "role": "user", "content": CONTINUE}, "")
        elif turns[-1].role is ir.Role.ASSISTANT:
            self._report.degraded(turns[-1].path, "the model answers its last message here and does not go on with it")

    def _put_raw(self, part: ir.Hosted) -> None:
        """An item only this dialect knows goes back in its own bytes."""
        self._items.append((self._index(part.path), json.raw(part.raw)))

    def _index(self, path: str) -> int:
        match = _INDEX.match(path)
        if match is not None:
            return int(match[1])
        return self._items[-1][0] if self._items else -1

    def _put(self, item: Wire, path: str) -> None:
        self._items.append((self._index(path), item))
        item.update(self._fields.get(path, ()))

    # --- instructions ---

    def _system(self) -> None:
        if self._own:
            for text in self._request.system:
                if text.path == "instructions":
                    self.instructions = text.text
                else:
                    self._append(text, "developer")
            self._message = None
            return
        texts = [text for text in system.for_foreign(self._request, self._report) if text.text]
        # One text is the instructions; of several the others keep their borders as parts of a developer message.
        if texts:
            self.instructions = texts[0].text
            for text in texts[:1]:
                if text.cache is not None:
                    self._report.dropped(
                        self._report.at(text.path, "cache"), "this provider caches prompt prefixes by itself"
                    )
                if text.citations:
                    self._report.dropped(self._report.at(text.path, "citations"), "instructions have no sources here")
                self._report.ext(text.ext, wire.NAME, text.path)
        parts = [part for part in map(self._content.input_part, texts[1:]) if part is not None]
        if parts:
            self._put({"type": "message", "role": "developer", "content": parts}, "")

    # --- messages ---

    def _append(self, part: ir.Part, role: str) -> None:
        """Add ``part`` to the open message, or open one: the client's borders are kept where it had them."""
        if not self._own and isinstance(part, ir.Text) and not part.text:
            return  # an empty text says nothing: nothing is lost
        if role == "assistant":
            assert isinstance(part, (ir.Text, ir.Refusal, ir.Hosted))
            wired = self._content.output_part(part)
        else:
            wired = self._content.input_part(part)
        if wired is None:
            return
        path, _, place = part.path.partition(".content")
        phase = part.phase if isinstance(part, ir.Text) else None
        key = f"{role} {path if self._own else phase}"
        if self._message is None or key != self._message_key:
            self._message_key = key
            self._message = {"type": "message", "role": role, "content": []}
            if role == "assistant" and not self._own:
                # The provider's types want both of an answer that is sent back. It keeps nothing, so any id will do;
                # the place in the conversation gives the same one in every turn (G10).
                self._message |= {"id": ids.mint("msg_", 0, len(self._items)), "status": "completed"}
            if phase is not None:
                self._message["phase"] = phase
            self._put(self._message, path)
        content = self._message["content"]
        if self._own and not place and isinstance(part, ir.Text) and content == []:
            self._message["content"] = part.text  # was written as a string
        elif isinstance(content, list):
            content.append(wired)

    def _others(self, turn: ir.Turn) -> None:
        """A turn of the user, of the system, or of results."""
        role = "developer" if turn.role is ir.Role.SYSTEM else "user"
        self._message = None
        if self._own and not any(isinstance(part, ir.ToolResult) for part in turn.parts):
            if turn.parts and all(isinstance(part, ir.Hosted) and part.path == turn.path for part in turn.parts):
                self._hosted_items(turn)
                return
            self._own_message(turn, role)
            return
        for part in turn.parts:
            if isinstance(part, ir.ToolResult):
                self._message = None
                self._result(part)
            elif isinstance(part, ir.Hosted) and not _in_message(part):
                self._message = None
                self._put_raw(part)
            else:
                self._append(part, role)
        self._message = None

    def _own_message(self, turn: ir.Turn, role: str) -> None:
        item: Wire = {"type": "message", "role": role}
        if turn.id is not None:
            item["id"] = turn.id
        first = turn.parts[0] if turn.parts else None
        if isinstance(first, ir.Text) and first.path == f"{turn.path}.content":
            item["content"] = first.text
        else:
            item["content"] = [w for w in map(self._content.input_part, turn.parts) if w is not None]
        if turn.ext is not None and turn.ext.dialect == wire.NAME:
            item.update((name, json.raw(raw)) for name, raw in turn.ext.fields.items())
        self._put(item, turn.path)

    def _hosted_items(self, turn: ir.Turn) -> None:
        for part in turn.parts:
            assert isinstance(part, ir.Hosted)
            self._put_raw(part)

    # --- the assistant ---

    def _assistant(self, turn: ir.Turn) -> None:
        self._message = None
        for n, part in enumerate(turn.parts):
            if _in_message(part):
                self._append(part, "assistant")
            elif isinstance(part, ir.ToolCall):
                self._call(part)
            elif isinstance(part, ir.Reasoning):
                self._reasoning(part, last=n == len(turn.parts) - 1)
            elif isinstance(part, ir.Hosted):
                self._message = None
                self._put_raw(part)
            else:
                self._report.dropped(part.path or type(part).__name__, "an assistant's message holds text only here")
        self._message = None

    def _call(self, part: ir.ToolCall) -> None:
        self._message = None
        call = self._lowered.call(part)
        custom = call.kind is ir.ToolKind.CUSTOM
        item: Wire = {"type": "custom_tool_call" if custom else "function_call"}
        if self._own and part.item_id is not None:
            item["id"] = part.item_id
        item["call_id"] = call.id
        item["name"] = call.name
        if self._own and call.namespace is not None:
            item["namespace"] = call.namespace
        if custom:
            item["input"] = call.arguments
        else:
            item["arguments"] = call.arguments or ("" if self._own else "{}")
        for material in part.opaque:
            path = self._report.at(part.path, "opaque") if part.path else "tool call"
            self._report.dropped(path, f"{material.provider} material on a call has no place here")
        if part.cache is not None:
            self._report.dropped(self._report.at(part.path, "cache"), "this provider caches prompt prefixes by itself")
        self._ext(item, part.ext, part.path)
        self._put(item, part.path)

    def _result(self, part: ir.ToolResult) -> None:
        result = self._lowered.result(part)
        custom = result.kind is ir.ToolKind.CUSTOM
        item: Wire = {"type": "custom_tool_call_output" if custom else "function_call_output", "call_id": result.id}
        item["output"] = self._output(part)
        if self._own and part.name is not None:
            item["name"] = part.name
        if part.cache is not None:
            self._report.dropped(self._report.at(part.path, "cache"), "this provider caches prompt prefixes by itself")
        self._ext(item, part.ext, part.path)
        self._put(item, part.path)

    def _output(self, part: ir.ToolResult) -> object:
        first = part.parts[0] if part.parts else None
        if isinstance(first, ir.Text) and first.ext is not None and ".json" in first.ext.fields and self._own:
            return json.raw(first.text.encode("utf-8", "surrogatepass"))
        prefix = ""
        if part.is_error:
            if part.path:  # else it is a placeholder of ours
                self._report.degraded(self._report.at(part.path, "is_error"), "said as text before the result")
            prefix = "Error: "
        if self._own:
            as_text = isinstance(first, ir.Text) and first.path == f"{part.path}.output"
        else:
            as_text = all(isinstance(p, ir.Text) and p.cache is None for p in part.parts)
        if as_text and len(part.parts) <= 1:
            if isinstance(first, ir.Text):
                if first.citations and not self._own:
                    path = self._report.at(first.path, "citations")
                    self._report.dropped(path, "the output of a call has no sources here")
                self._report.ext(first.ext, wire.NAME, first.path)
            return prefix + (first.text if isinstance(first, ir.Text) else "")
        out = [wired for wired in map(self._content.input_part, part.parts) if wired is not None]
        if prefix:
            out.insert(0, {"type": "input_text", "text": prefix.rstrip()})
        return out or ""

    def _reasoning(self, part: ir.Reasoning, *, last: bool) -> None:
        self._message = None
        if self._own:
            self._own_reasoning(part)
            return
        path = part.path or "reasoning"
        usable = [o for o in part.opaque if self._usable(o)]
        if not usable:
            self._report.dropped(path, "this provider takes no reasoning but its own, with its proof")
            return
        if last:  # "provided without its required following item"
            self._report.dropped(path, "reasoning must be followed by what it led to")
            return
        summary = part.summary or ((part.text,) if part.text else ())
        for material in usable:
            self._put(
                {
                    "type": "reasoning",
                    "summary": [{"type": "summary_text", "text": text} for text in summary],
                    "encrypted_content": material.data,
                },
                part.path,
            )

    def _usable(self, material: ir.Opaque) -> bool:
        if material.kind is not ir.OpaqueKind.ENCRYPTED:
            return False
        # Material that came in the open from this very client carries the client's name of the model: same route.
        model = self._model if material.model != self._request.model else material.model
        return opaque.usable(material, wire.PROVIDER, model)

    def _own_reasoning(self, part: ir.Reasoning) -> None:
        item: Wire = {"type": "reasoning"}
        if part.id is not None:
            item["id"] = part.id
        item["summary"] = [{"type": "summary_text", "text": text} for text in part.summary]
        content = self._kept.get(f".{part.path}.content")
        if content is not None:
            item["content"] = json.raw(content)
        elif part.text:
            item["content"] = [{"type": "reasoning_text", "text": part.text}]
        for material in part.opaque:
            if self._usable(material):
                item["encrypted_content"] = material.data
            else:
                self._report.dropped(
                    f"{part.path}.encrypted_content", "minted by another provider or model, which alone can read it"
                )
        self._ext(item, part.ext, part.path)
        if "encrypted_content" not in item:
            if part.opaque:
                return  # bare reasoning of another model would be refused (R8)
            if self._request.store is False:  # nor does the provider know the id: it was another's, or forgotten
                self._report.dropped(part.path, "reasoning without its proof, and nothing is stored")
                return
        self._put(item, part.path)

    def _ext(self, item: Wire, ext: ir.Ext | None, path: str) -> None:
        if ext is not None and ext.dialect == wire.NAME:
            item.update((name, json.raw(raw)) for name, raw in ext.fields.items())
        self._report.ext(ext, wire.NAME, path)

    # --- tools that came as an item ---

    def _additional_tools(self) -> None:
        groups: dict[str, list[ir.Tool]] = {}
        for path, fields in self._fields.items():
            if fields.get("type") == "additional_tools":
                groups[path] = []
        for tool in self._lowered.tools:
            match = _INDEX.match(tool.path)
            if match:
                groups.setdefault(match[0], []).append(tool)
        for path, group in groups.items():
            wired = encode_tools(group, own=True, report=self._report)
            self._put({"type": "additional_tools", "tools": wired}, path)


def _by_item(kept: dict[str, bytes]) -> dict[str, Wire]:
    """What was kept of items, by the item's path: ``.input[3]`` holds an object, ``input[3].x`` one field."""
    out: dict[str, Wire] = {}
    for name, raw in kept.items():
        match = _INDEX.match(name.removeprefix("."))
        if match is None:
            continue
        if name == f".{match[0]}":
            out.setdefault(match[0], {}).update(json.loads(raw))
        elif name.startswith(f"{match[0]}."):
            out.setdefault(match[0], {})[name[len(match[0]) + 1 :]] = json.raw(raw)
    return out


def _in_message(part: ir.Part) -> bool:
    """Whether ``part`` is content of a message; hosted items of this dialect stand for themselves."""
    if isinstance(part, ir.Hosted):
        return part.dialect != wire.NAME or ".content" in part.path
    return isinstance(part, (ir.Text, ir.Refusal))
