"""Whole answers, both ways: a provider's body to `ir.Response`, and `ir.Response` to a client's body."""

from __future__ import annotations

from typing import Any

import msgspec

from ... import ids, ir, json
from ...arguments import as_object
from ...dialect import Answer
from ...errors import RemoteProtocolError
from ...loss import Report
from . import carrier, errors, wire
from . import usage as usages
from .wire import NAME, given

_EXT = ("container", "context_management")
"""Members of an answer the representation has no place for."""

_BLOCK_FIELDS = frozenset({"type", "id", "name", "input"})


# --- from a provider -------------------------------------------------------------------------------------


def decode(body: bytes) -> ir.Response:
    """A whole answer. Raises `RemoteProtocolError`, also for an error with status 200 (E8)."""
    try:
        answer = _read(body)
    except RemoteProtocolError as exc:
        raise RemoteProtocolError(f"the provider's answer is no message: {exc}", kind=ir.ErrorKind.UPSTREAM) from None
    if answer.type == "error" or (given(answer.error) is not None and given(answer.content) is None):
        raise errors.raised(errors.in_band(body))
    content = given(answer.content)
    if content is None and answer.stop_reason is None:
        raise (
            errors.raised(errors.in_band(body))
            if b'"message"' in body
            else RemoteProtocolError(
                "the provider's answer is no message: it has neither content nor stop_reason",
                kind=ir.ErrorKind.UPSTREAM,
            )
        )
    try:
        return _response(answer, content)
    except RemoteProtocolError as exc:
        raise RemoteProtocolError(f"the provider's answer is no message: {exc}", kind=ir.ErrorKind.UPSTREAM) from None


def _read(body: bytes) -> wire.Answer:
    try:
        body.decode()
    except UnicodeDecodeError:
        body = json.mend_utf8(body)
    return json.decode(body, wire.answer)


def _response(answer: wire.Answer, content: bytes | None) -> ir.Response:
    model = answer.model or ""
    parts: list[ir.Part] = []
    if content is not None:
        if json.kind(content) == "string":
            parts.append(ir.Text(json.decode(content, wire.string, "content")))
        else:
            parts = [part(raw, f"content[{n}]", model) for n, raw in enumerate(json.items(content, "content"))]
    if answer.stop_reason == "tool_use" and not any(isinstance(found, (ir.ToolCall, ir.Hosted)) for found in parts):
        raise RemoteProtocolError("it has no tool call, but ended as if it had", kind=ir.ErrorKind.UPSTREAM)
    ext = {name: value for name in _EXT if (value := given(getattr(answer, name))) is not None}
    return ir.Response(
        answer.id or "",
        model,
        tuple(parts),
        finish=_finish(answer.stop_reason, parts),
        stop_sequence=answer.stop_sequence,
        finish_details=given(answer.stop_details),
        usage=usages.decode(answer.usage),
        ext=ir.Ext(NAME, ext) if ext else None,
    )


def _finish(reason: str | None, parts: list[ir.Part]) -> ir.FinishReason:
    if reason is not None:
        return usages.finish(reason)
    called = any(isinstance(part, ir.ToolCall) for part in parts)
    return ir.FinishReason.TOOL_USE if called else ir.FinishReason.END


def part(raw: json.Raw, path: str, model: str) -> ir.Part:
    """One block of an answer."""
    block = json.decode(raw, wire.block, path)
    if block.type == "text":
        citations = given(block.citations)
        raws = tuple(bytes(item) for item in json.items(citations, path)) if citations is not None else ()
        return ir.Text(block.text or "", citations=raws, citations_dialect=NAME if raws else "")
    if block.type == "thinking":
        material = carrier.read(block.signature, model, ir.OpaqueKind.SIGNATURE)
        return carrier.reasoning(block.thinking or "", material)
    if block.type == "redacted_thinking":
        return carrier.reasoning("", carrier.read(block.data, model, ir.OpaqueKind.REDACTED))
    if block.type == "tool_use":
        arguments = (given(block.input) or b"").decode()
        extra = {name: bytes(value) for name, value in json.fields(raw).items() if name not in _BLOCK_FIELDS}
        return ir.ToolCall(block.id or "", block.name or "", arguments, ext=ir.Ext(NAME, extra) if extra else None)
    return ir.Hosted(NAME, block.type, bytes(raw))


# --- to a client -----------------------------------------------------------------------------------------


def encode(response: ir.Response, answer: Answer, report: Report) -> bytes:
    """The body of a whole answer. Raises `RemoteProtocolError` for one that ended in an error."""
    if response.finish is ir.FinishReason.ERROR:
        raise RemoteProtocolError("the provider ended its answer with an error", kind=ir.ErrorKind.UPSTREAM)
    if (words := plain(response, answer.model, answer.seed)) is not None:
        return words
    content: list[Any] = []
    for position, item in enumerate(response.parts):
        content.extend(_blocks(item, position, answer, report))
    finish = response.finish
    kinds = set(map(type, response.parts))
    called = ir.ToolCall in kinds
    last = next((item for item in reversed(response.parts) if isinstance(item, ir.ToolCall)), None) if called else None
    if finish is ir.FinishReason.TOOL_USE and last is not None and last.arguments and json.is_cut(last.arguments):
        # Some servers say that a call is ready although a limit has cut it (X18).
        report.degraded("stop_reason", "the last call's arguments are cut: told as max_tokens")
        finish = ir.FinishReason.LENGTH
    out: dict[str, Any] = {
        "id": message_id(response.id, answer.seed),
        "type": "message",
        "role": "assistant",
        "model": answer.model or response.model,
        "content": content,
        "stop_reason": stop_reason(finish, called=called, refused=ir.Refusal in kinds),
        "stop_sequence": response.stop_sequence,
    }
    details = stop_details(finish, response.finish_details)
    if details is not None:
        out["stop_details"] = json.raw(details)
    if response.usage is None or response.usage.input is None:
        report.degraded("usage", "the provider has not told it: input_tokens is an estimate")
    out["usage"] = usages.fields(response.usage, answer.input_estimate)
    if response.logprobs is not None:
        report.dropped("logprobs", f"{NAME} has no token probabilities")
    report.unplaced(response.unplaced)
    if response.ext is not None and response.ext.dialect == NAME:
        out.update({name: json.raw(value) for name, value in response.ext.fields.items()})
    return json.encode(out)


_Text, _END, _LENGTH = ir.Text, ir.FinishReason.END, ir.FinishReason.LENGTH  # a member costs more than all of `plain`


class _Words(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="text"):
    text: str


class _Details(msgspec.Struct, frozen=True, gc=False):
    thinking_tokens: int


class _Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: _Details | None = None


class _Message(msgspec.Struct, frozen=True):
    id: str
    type: str
    role: str
    model: str
    content: tuple[_Words, ...]
    stop_reason: str
    stop_sequence: None
    usage: _Usage


def plain(response: ir.Response, model: str, seed: int) -> bytes | None:
    """The body of an answer that is one text, as nearly all small ones are; None for any other."""
    parts, usage, finish = response.parts, response.usage, response.finish
    if len(parts) != 1 or usage is None or usage.input is None or usage.cache_write_1h or usage.server_tools:
        return None
    item = parts[0]
    if type(item) is not _Text or not item.text or item.citations:
        return None
    if finish is _END:
        reason = "end_turn"
    elif finish is _LENGTH:
        reason = "max_tokens"
    else:
        return None
    if response.stop_sequence is not None or response.logprobs is not None or response.unplaced:
        return None
    if response.ext is not None and response.ext.dialect == NAME:
        return None
    details = None if usage.reasoning is None else _Details(usage.reasoning)
    counted = _Usage(usage.input, usage.cache_write or 0, usage.cache_read or 0, usage.output or 0, details)
    said, id_ = (_Words(item.text),), response.id
    if not id_.startswith("msg_"):
        id_ = ids.own("msg_", seed)
    return json.encode(_Message(id_, "message", "assistant", model or response.model, said, reason, None, counted))


def message_id(id_: str, seed: int) -> str:
    """The provider's id where it is one of a message, else one of our own."""
    return id_ if id_.startswith("msg_") else ids.own("msg_", seed)


def stop_reason(finish: ir.FinishReason, *, called: bool, refused: bool) -> str:
    """The word for an end (X14): whoever sees a call must be told to answer it."""
    if finish is ir.FinishReason.END:
        if called:
            return "tool_use"
        if refused:
            return "refusal"
    return usages.STOP_REASON[finish]


def stop_details(finish: ir.FinishReason, details: bytes | None) -> bytes | None:
    """``stop_details`` of this dialect; other dialects' details say nothing here."""
    if finish is not ir.FinishReason.REFUSAL or details is None:
        return None
    try:
        type_ = json.fields(details).get("type")
    except RemoteProtocolError:
        return None
    return details if type_ is not None and bytes(type_) == b'"refusal"' else None


def _blocks(item: ir.Part, position: int, answer: Answer, report: Report) -> list[Any]:
    if isinstance(item, ir.Text):
        return _text_block(item, report)
    if isinstance(item, ir.Refusal):
        return [{"type": "text", "text": item.text}] if item.text else []
    if isinstance(item, ir.Reasoning):
        return _thinking_blocks(item)
    if isinstance(item, ir.ToolCall):
        return [_tool_block(item, position, answer, report)]
    if isinstance(item, ir.Hosted) and item.dialect == NAME:
        return [json.raw(item.raw)]
    name = item.type if isinstance(item, ir.Hosted) else f"content[{position}]"
    report.dropped(name, f"{NAME} has no place for it in an answer")
    return []


def _text_block(item: ir.Text, report: Report) -> list[Any]:
    if not item.citations:
        # Without words nothing is left of it: the provider refuses empty texts when they come back.
        return [{"type": "text", "text": item.text}] if item.text else []
    citations = [json.raw(cited) for raw in item.citations if (cited := citation(item.citations_dialect, raw))]
    if len(citations) < len(item.citations):
        report.dropped("citations", f"{NAME} can not say these citations")
    if not item.text and not citations:
        return []
    block: dict[str, Any] = {"type": "text", "text": item.text}
    if citations:
        block["citations"] = citations
    return [block]


def citation(dialect: str, raw: bytes) -> bytes | None:
    """A citation in the words of this dialect; None where it can not be said (X17).

    Chat's and Responses' web citations have no quoted text and nothing to send back: both stay empty.
    """
    if dialect == NAME:
        return raw
    try:
        fields = json.fields(raw)
        inner = fields.get("url_citation")
        if inner is not None:
            fields = json.fields(inner)
        url = fields.get("url")
        if url is None:
            return None
        return json.encode(
            {
                "type": "web_search_result_location",
                "cited_text": "",
                "encrypted_index": "",
                "title": fields.get("title"),
                "url": url,
            }
        )
    except RemoteProtocolError:
        return None


def _thinking_blocks(item: ir.Reasoning) -> list[Any]:
    text = "\n\n".join(piece for piece in (item.text, *item.summary) if piece)
    blocks: list[Any] = []
    for material in item.opaque:
        if carrier.is_redacted(material):
            if text:
                blocks.append({"type": "thinking", "thinking": text, "signature": ""})
            blocks.append({"type": "redacted_thinking", "data": material.data})
        else:
            blocks.append({"type": "thinking", "thinking": text, "signature": carrier.written(material)})
        text = ""
    if text:
        blocks.append({"type": "thinking", "thinking": text, "signature": ""})
    return blocks


def _tool_block(item: ir.ToolCall, position: int, answer: Answer, report: Report) -> Any:
    if item.kind is ir.ToolKind.CUSTOM:
        arguments: Any = {"input": item.arguments}
    else:
        found, whole = as_object(item.arguments)
        arguments = json.raw(found)
        if not whole:
            report.degraded(f"content[{position}].input", "the arguments are no JSON object: sent under _raw")
    if item.opaque:
        report.dropped("opaque", "a call carries no other provider's material here")
    block = {
        "type": "tool_use",
        "id": item.id or ids.mint("toolu_", answer.seed, position),
        "name": item.name,
        "input": arguments,
    }
    if item.ext is not None and item.ext.dialect == NAME:
        block.update({name: json.raw(value) for name, value in item.ext.fields.items()})
    return block
