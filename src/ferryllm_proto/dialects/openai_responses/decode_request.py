"""A client's body to `ir.Request`: items are put into turns, instructions and tools to their places.

What only reproduces the spelling (an item's id or status, which role word was used) goes to ``ext`` under a name that
begins with a dot and the item's path: this dialect writes it back, and nobody reports it as lost.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import ir, json, opaque
from ...dialect import Headers
from ...errors import RemoteProtocolError
from . import wire
from .compaction import summary_of
from .decode_content import decode_content, decode_output
from .decode_tools import decode_choice, decode_tools
from .wire import Raw

MAX_ITEMS = 100_000
"""Items of one request: as many as the Messages API allows messages; longer ones are an attack or a loop."""


def decode_request(body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
    """Read one request. Raises `RemoteProtocolError` that names the field."""
    known, extra = json.decode_known(body, wire.body_decoder)
    reader = _Reader(known.model, dict(extra))
    if known.instructions is not None:
        reader.system.append(ir.Text(known.instructions, path="instructions"))
    if known.max_output_tokens is not None and known.max_output_tokens < 1:
        raise json.bad_field("max_output_tokens", "1 or more", str(known.max_output_tokens))
    tools = decode_tools(known.tools, "tools")
    reader.read(known.input)
    reasoning = _reasoning(known.reasoning, reader.ext)
    format_, verbosity = _text_config(known.text, reader.ext)
    _stream_options(reader.ext)
    include = tuple(known.include or ())
    choice = decode_choice(known.tool_choice, reader.ext)
    request = ir.Request(
        dialect=wire.NAME,
        model=known.model,
        turns=tuple(reader.turns),
        system=tuple(reader.system),
        tools=(*tools, *reader.tools),
        tool_choice=choice,
        parallel=known.parallel_tool_calls,
        max_output=known.max_output_tokens,
        temperature=known.temperature,
        top_p=known.top_p,
        logprobs=True if wire.LOGPROBS in include else None,
        top_logprobs=known.top_logprobs,
        reasoning=reasoning,
        format=format_,
        verbosity=verbosity,
        service_tier=known.service_tier,
        cache_key=known.prompt_cache_key,
        cache_retention=known.prompt_cache_retention,
        metadata=None if wire.is_null(known.metadata) else _object(known.metadata, "metadata"),
        user=known.user,
        safety_id=known.safety_identifier,
        previous_id=known.previous_response_id,
        conversation=None if wire.is_null(known.conversation) else bytes(known.conversation),
        store=known.store,
        background=known.background,
        truncation=known.truncation,
        include=include,
        stream=bool(known.stream),
        ext=wire.ext(reader.ext),
        names=wire.NAMES,
    )
    elsewhere = known.previous_response_id is not None or json.kind(known.conversation) != "null" or "prompt" in extra
    if json.kind(known.input) == "null" and known.instructions is None and not elsewhere:
        raise RemoteProtocolError("input: this field is required", param="input", code="missing_required_parameter")
    return request


def _object(value: Raw, path: str) -> bytes:
    if json.kind(value) != "object":
        raise json.bad_field(path, "an object", json.kind(value))
    return bytes(value)


def _reasoning(value: Raw, ext: dict[str, bytes]) -> ir.ReasoningParams | None:
    if wire.is_null(value):
        return None
    known, extra = json.decode_known(value, wire.reasoning_decoder, "reasoning")
    ext.update({f"reasoning.{name}": raw for name, raw in extra.items()})
    show = None
    if known.summary is not None:
        show = wire.SUMMARY_SHOW.get(known.summary)
        if show is None:
            raise json.bad_field("reasoning.summary", "auto, concise or detailed", f"{known.summary!r}")
    return ir.ReasoningParams(effort=known.effort, show=show)


def _stream_options(ext: dict[str, bytes]) -> None:
    """Its members apart: what is lost is one of them."""
    raw = ext.get("stream_options")
    if raw is not None and json.kind(raw) == "object":
        del ext["stream_options"]
        ext.update({f"stream_options.{name}": bytes(value) for name, value in json.fields(raw).items()})


_FORMATS = {kind.value: kind for kind in ir.FormatKind}


def _text_config(value: Raw, ext: dict[str, bytes]) -> tuple[ir.Format | None, str | None]:
    if wire.is_null(value):
        return None, None
    known, extra = json.decode_known(value, wire.text_decoder, "text")
    ext.update({f"text.{name}": raw for name, raw in extra.items()})
    if wire.is_null(known.format):
        return None, known.verbosity
    format_, extra = json.decode_known(known.format, wire.format_decoder, "text.format")
    ext.update({f"text.format.{name}": raw for name, raw in extra.items()})
    kind = _FORMATS.get(format_.type)
    if kind is None:
        raise json.bad_field("text.format.type", "text, json_object or json_schema", f"{format_.type!r}")
    schema = None if wire.is_null(format_.schema) else _object(format_.schema, "text.format.schema")
    if kind is ir.FormatKind.JSON_SCHEMA and schema is None:
        raise json.bad_field("text.format.schema", "a JSON schema", "nothing")
    return ir.Format(kind, format_.name, schema, format_.strict, format_.description), known.verbosity


class _Reader:
    """Puts items into turns.

    Items of the assistant that follow each other are one turn, so are outputs of calls (R3); each message of the user
    is a turn. Instructions before all of that are the request's system texts.
    """

    def __init__(self, model: str, ext: dict[str, bytes]) -> None:
        self.model = model
        self.ext = ext
        self.turns: list[ir.Turn] = []
        self.system: list[ir.Text] = []
        self.tools: list[ir.Tool] = []
        self._leading = True
        self._role = ir.Role.USER
        self._parts: list[ir.Part] = []
        self._path = ""

    def read(self, value: Raw) -> None:
        """The whole ``input``."""
        kind = json.kind(value)
        if kind in ("null", "nothing"):
            return
        if kind == "string":
            text = json.decode(value, wire.string_decoder, "input")
            self.turns.append(ir.Turn(ir.Role.USER, (ir.Text(text, path="input"),), path="input"))
            return
        if kind != "array":
            raise json.bad_field("input", "a string or a list of items", kind)
        items = json.items(value, "input")
        if len(items) > MAX_ITEMS:
            raise json.bad_field("input", f"at most {MAX_ITEMS} items", f"{len(items)}")
        for n, item in enumerate(items):
            self._item(item, f"input[{n}]")
        self._flush()

    def _item(self, item: Raw, path: str) -> None:
        tag = json.decode(item, wire.tag_decoder, path)
        type_ = tag.type or ("message" if tag.role is not None else None)
        if type_ is None:
            raise json.bad_field(path, "an item with a type or a role", "neither")
        read = _ITEMS.get(type_)
        if read is not None:
            read(self, item, path)
            return
        role = ir.Role.USER if type_ in wire.RESULT_ITEMS else ir.Role.ASSISTANT
        self._add(role, ir.Hosted(wire.NAME, type_, bytes(item), path), path)

    def _add(self, role: ir.Role, part: ir.Part, path: str) -> None:
        if self._parts and role is not self._role:
            self._flush()
        if not self._parts:
            self._role, self._path = role, path
        self._parts.append(part)
        self._leading = False

    def _flush(self) -> None:
        if self._parts:
            self.turns.append(ir.Turn(self._role, tuple(self._parts), path=self._path))
            self._parts = []

    def _note(self, path: str, **fields: str | None) -> None:
        """Keep what only reproduces the spelling of the item at ``path``."""
        kept = {name: value for name, value in fields.items() if value is not None}
        if kept:
            self.ext[f".{path}"] = json.encode(kept)

    def _keep(self, path: str, extra: dict[str, bytes]) -> None:
        """Keep unknown fields of an item that is no node of the representation."""
        for name, raw in extra.items():
            self.ext[f"{path}.{name}"] = raw

    # --- items ---

    def message(self, item: Raw, path: str) -> None:
        known, extra = json.decode_known(item, wire.message_decoder, path)
        if known.role == "assistant":
            self._assistant(known, extra, path)
            return
        if known.role not in ("user", "system", "developer"):
            raise json.bad_field(f"{path}.role", "user, assistant, system or developer", f"{known.role!r}")
        self._flush()
        parts = decode_content(known.content, f"{path}.content")
        if known.role == "user":
            self._leading = False
            self._note(path, status=known.status, phase=known.phase)
            self.turns.append(ir.Turn(ir.Role.USER, parts, id=known.id, path=path, ext=wire.ext(extra)))
            return
        role = known.role if known.role == "system" else None
        texts = [part for part in parts if isinstance(part, ir.Text)]
        if self._leading and texts and len(texts) == len(parts):
            self._note(path, role=role, id=known.id, status=known.status, phase=known.phase)
            self._keep(path, extra)
            self.system.extend(texts)
            return
        self._leading = False
        self._note(path, role=role, status=known.status, phase=known.phase)
        self.turns.append(ir.Turn(ir.Role.SYSTEM, parts, id=known.id, path=path, ext=wire.ext(extra)))

    def _assistant(self, known: wire.Message, extra: dict[str, bytes], path: str) -> None:
        parts = decode_content(known.content, f"{path}.content") or (ir.Text("", path=f"{path}.content"),)
        self._note(path, id=known.id, status=known.status)
        self._keep(path, extra)
        for part in parts:
            if known.phase is not None and isinstance(part, ir.Text):
                part = _with_phase(part, known.phase)
            self._add(ir.Role.ASSISTANT, part, path)

    def function_call(self, item: Raw, path: str) -> None:
        known, extra = json.decode_known(item, wire.function_call_decoder, path)
        self._note(path, status=known.status)
        call = ir.ToolCall(
            known.call_id,
            known.name,
            known.arguments,
            namespace=known.namespace,
            item_id=known.id,
            path=path,
            ext=wire.ext(extra),
        )
        self._add(ir.Role.ASSISTANT, call, path)

    def custom_tool_call(self, item: Raw, path: str) -> None:
        known, extra = json.decode_known(item, wire.custom_call_decoder, path)
        self._note(path, status=known.status)
        call = ir.ToolCall(
            known.call_id,
            known.name,
            known.input,
            kind=ir.ToolKind.CUSTOM,
            namespace=known.namespace,
            item_id=known.id,
            path=path,
            ext=wire.ext(extra),
        )
        self._add(ir.Role.ASSISTANT, call, path)

    def call_output(self, item: Raw, path: str) -> None:
        known, extra = json.decode_known(item, wire.output_decoder, path)
        self._note(path, status=known.status, id=known.id, namespace=known.namespace)
        result = ir.ToolResult(
            known.call_id,
            decode_output(known.output, f"{path}.output"),
            name=known.name,
            kind=ir.ToolKind.CUSTOM if known.type == "custom_tool_call_output" else ir.ToolKind.FUNCTION,
            path=path,
            ext=wire.ext(extra),
        )
        self._add(ir.Role.USER, result, path)

    def reasoning(self, item: Raw, path: str) -> None:
        known, extra = json.decode_known(item, wire.reasoning_item_decoder, path)
        self._note(path, status=known.status)
        summary = _texts(known.summary, f"{path}.summary")
        content = _texts(known.content, f"{path}.content")
        text = "".join(content)
        if len(content) > 1:
            self.ext[f".{path}.content"] = bytes(known.content)
        token = known.encrypted_content
        material: tuple[ir.Opaque, ...] = ()
        if token is not None:
            found = opaque.unwrap(token)
            if found is not None:
                material = (found,)
                if found.provider != wire.PROVIDER and not text:
                    # Our encoder shows other providers' raw reasoning as a summary; its proof is over that very text.
                    text, summary = "".join(summary), ()
            elif not opaque.is_envelope(token):
                kind = ir.OpaqueKind.ENCRYPTED
                material = (ir.Opaque(wire.PROVIDER, self.model, kind, token, known.id),)
        self._add(ir.Role.ASSISTANT, ir.Reasoning(text, summary, material, known.id, path, wire.ext(extra)), path)

    def compaction(self, item: Raw, path: str) -> None:
        """A summary of ours is told to the model; a provider's own stays sealed (R17)."""
        summary = summary_of(bytes(item))
        if summary is None:
            self._add(ir.Role.ASSISTANT, ir.Hosted(wire.NAME, "compaction", bytes(item), path), path)
            return
        self._flush()
        self._leading = False
        self.turns.append(ir.Turn(ir.Role.USER, (ir.Text(summary, path=path),), path=path))

    def additional_tools(self, item: Raw, path: str) -> None:
        known, extra = json.decode_known(item, wire.additional_tools_decoder, path)
        self._note(path, type=known.type, role=known.role, id=known.id)
        self._keep(path, extra)
        self.tools.extend(decode_tools(known.tools, f"{path}.tools"))


def _with_phase(part: ir.Text, phase: str) -> ir.Text:
    return ir.Text(part.text, part.citations, part.citations_dialect, phase, part.cache, part.path, part.ext)


def _texts(value: Raw, path: str) -> tuple[str, ...]:
    """The texts of a reasoning item's ``summary`` or ``content``."""
    return tuple(part.text for part in decode_content(value, path) if isinstance(part, ir.Text))


_ITEMS: dict[str, Callable[[_Reader, Raw, str], None]] = {
    "message": _Reader.message,
    "function_call": _Reader.function_call,
    "custom_tool_call": _Reader.custom_tool_call,
    "function_call_output": _Reader.call_output,
    "custom_tool_call_output": _Reader.call_output,
    "reasoning": _Reader.reasoning,
    "additional_tools": _Reader.additional_tools,
    "compaction": _Reader.compaction,
}
"""Readers by item type; any other type is kept whole as `ir.Hosted` in its place (R17)."""
