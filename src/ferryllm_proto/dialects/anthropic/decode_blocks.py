"""Content blocks of a Messages request to parts of the representation.

Blocks only this dialect knows (server tools and their results, search results, uploads, compaction, and whatever comes
next) are `ir.Hosted` with their JSON untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ... import ir, json
from ...json import Raw
from . import carrier, wire
from .wire import ABSENT, NAME, given

_Extra = dict[str, bytes]
_Read = Callable[[Any, _Extra, str, str], "ir.Part | None"]
"""A decoded block, its unknown fields, its path and the client's model to a part; None for one the representation can
not hold."""


def content(data: bytes, path: str, model: str) -> tuple[ir.Part, ...]:
    """A string or an array of blocks; ``model`` is the one the client talks to.

    A plain string becomes one text whose path is the field itself, so that it goes back as a plain string.
    """
    kind = json.kind(data)
    if kind == "string":
        return (ir.Text(json.decode(data, wire.string, path), path=path),)
    if kind != "array":
        raise json.bad_field(path, "a string or an array of blocks", f"{kind}")
    return tuple(block(item, f"{path}[{n}]", model) for n, item in enumerate(json.items(data, path)))


def block(raw: Raw, path: str, model: str) -> ir.Part:
    """One block."""
    type_ = json.decode(raw, wire.tagged, path).type
    decode = _DECODERS.get(type_)
    if decode is None:
        return ir.Hosted(NAME, type_, bytes(raw), path=path)
    decoder, read = decode
    block_, extra = json.decode_known(raw, decoder, path)
    part = read(block_, extra, path, model)
    return ir.Hosted(NAME, type_, bytes(raw), path=path) if part is None else part


def whole(blocks: str | Sequence[wire.WholeBlock], path: str, model: str) -> tuple[ir.Part, ...]:
    """The same as `content`, for what was decoded in one pass. Raises `RemoteProtocolError` for what it is not for."""
    if type(blocks) is str:
        return (ir.Text(blocks, (), "", None, None, path),)
    return tuple([_whole(block_, f"{path}[{n}]", model) for n, block_ in enumerate(blocks)])


def _whole(block_: Any, path: str, model: str) -> ir.Part:
    kind = type(block_)
    if kind is wire.TextBlock and block_.cache_control is ABSENT and block_.citations is ABSENT:
        return ir.Text(block_.text, (), "", None, None, path)
    read, carried = _WHOLE[kind]
    for name in carried:  # nobody has looked into what stays as it was written
        if (raw := getattr(block_, name)) is not ABSENT:
            json.check_utf8(bytes(raw), path)
    part = read(block_, json.NO_FIELDS, path, model)
    if part is None:
        raise json.bad_field(path, "a block that has a part", "another")
    return part


def cache_mark(raw: Raw, path: str, ext: dict[str, bytes]) -> ir.CacheMark | None:
    """A ``cache_control``; one with more in it than the representation holds is kept whole in ``ext`` as well."""
    data = given(raw)
    if data is None:
        return None
    control, extra = json.decode_known(data, wire.cache_control, path)
    if extra or control.type != "ephemeral":
        ext["cache_control"] = data
    return ir.CacheMark(control.ttl)


def _ext(fields: dict[str, bytes]) -> ir.Ext | None:
    return ir.Ext(NAME, fields) if fields else None


def _text(block_: wire.TextBlock, extra: _Extra, path: str, model: str) -> ir.Part:
    fields = dict(extra)
    cache = cache_mark(block_.cache_control, f"{path}.cache_control", fields)
    citations: tuple[bytes, ...] = ()
    data = given(block_.citations)
    if data is not None:
        citations = tuple(bytes(item) for item in json.items(data, f"{path}.citations"))
    return ir.Text(
        block_.text,
        citations=citations,
        citations_dialect=NAME if citations else "",
        cache=cache,
        path=path,
        ext=_ext(fields),
    )


def _source(raw: Raw, path: str) -> ir.Source | None:
    """The source; None for one the representation can not hold (blocks with images, unknown types)."""
    source = json.decode(raw, wire.source, path)
    if source.type == "base64":
        return ir.Source(ir.SourceKind.BASE64, _needed(source.data, f"{path}.data"), source.media_type)
    if source.type == "url":
        return ir.Source(ir.SourceKind.URL, _needed(source.url, f"{path}.url"))
    if source.type == "file":
        return ir.Source(ir.SourceKind.FILE_ID, _needed(source.file_id, f"{path}.file_id"))
    if source.type == "text":
        return ir.Source(ir.SourceKind.TEXT, _needed(source.data, f"{path}.data"), source.media_type)
    if source.type == "content":
        return _content_source(source, path)
    return None


def _content_source(source: wire.SourceObject, path: str) -> ir.Source | None:
    """A document made of blocks: its text where it has nothing else."""
    data = given(source.content)
    if data is None:
        return None
    parts = content(data, f"{path}.content", "")
    texts = [part.text for part in parts if isinstance(part, ir.Text)]
    return ir.Source(ir.SourceKind.TEXT, "\n".join(texts)) if len(texts) == len(parts) else None


def _needed(value: str | None, path: str) -> str:
    if value is None:
        raise json.bad_field(path, "a string", "nothing")
    return value


_KNOWN_SOURCE = {
    "base64": {"type", "media_type", "data"},
    "url": {"type", "url"},
    "file": {"type", "file_id"},
    "text": {"type", "media_type", "data"},
}


def _keep_source(raw: Raw, path: str, fields: dict[str, bytes]) -> None:
    """Keep a source whole when it says more than `ir.Source` holds."""
    found = json.fields(raw, path)
    type_ = json.decode(raw, wire.tagged, path).type
    known = _KNOWN_SOURCE.get(type_)
    if type_ == "content" and found.keys() <= {"type", "content"} and _is_plain(found["content"]):
        fields[".source"] = bytes(raw)  # a spelling: its texts are all there is
    elif known is None or not known.issuperset(found):
        fields["source"] = bytes(raw)


def _is_plain(content_: Raw) -> bool:
    """Whether a document's content is text and nothing else."""
    if json.kind(content_) != "array":
        return True
    return all(json.fields(item).keys() <= {"type", "text"} for item in json.items(content_))


def _image(block_: wire.ImageBlock, extra: _Extra, path: str, model: str) -> ir.Part | None:
    source = _source(block_.source, f"{path}.source")
    if source is None:
        return None
    fields = dict(extra)
    _keep_source(block_.source, f"{path}.source", fields)
    cache = cache_mark(block_.cache_control, f"{path}.cache_control", fields)
    return ir.Image(source, cache=cache, path=path, ext=_ext(fields))


def _document(block_: wire.DocumentBlock, extra: _Extra, path: str, model: str) -> ir.Part | None:
    source = _source(block_.source, f"{path}.source")
    if source is None:
        return None
    fields = dict(extra)
    _keep_source(block_.source, f"{path}.source", fields)
    cache = cache_mark(block_.cache_control, f"{path}.cache_control", fields)
    citations = None
    data = given(block_.citations)
    if data is not None:
        setting, more = json.decode_known(data, wire.document_citations, f"{path}.citations")
        citations = setting.enabled
        if more:
            fields["citations"] = data
    return ir.Document(
        source,
        name=block_.title,
        context=block_.context,
        citations=citations,
        cache=cache,
        path=path,
        ext=_ext(fields),
    )


def _thinking(block_: wire.ThinkingBlock, extra: _Extra, path: str, model: str) -> ir.Part:
    material = carrier.read(block_.signature, model, ir.OpaqueKind.SIGNATURE)
    return carrier.reasoning(block_.thinking, material, path=path, ext=_ext(dict(extra)))


def _redacted(block_: wire.RedactedBlock, extra: _Extra, path: str, model: str) -> ir.Part:
    material = carrier.read(block_.data, model, ir.OpaqueKind.REDACTED)
    return carrier.reasoning("", material, path=path, ext=_ext(dict(extra)))


def _tool_use(block_: wire.ToolUseBlock, extra: _Extra, path: str, model: str) -> ir.Part:
    # Any JSON is kept as it is: histories with inputs that are no objects exist (A31).
    arguments = (given(block_.input) or b"").decode()
    if not extra and block_.cache_control is ABSENT:
        return ir.ToolCall(block_.id, block_.name, arguments, path=path)
    fields = dict(extra)
    cache = cache_mark(block_.cache_control, f"{path}.cache_control", fields)
    return ir.ToolCall(block_.id, block_.name, arguments, cache=cache, path=path, ext=_ext(fields))


def _whole_result(block_: wire.WholeResult, extra: _Extra, path: str, model: str) -> ir.Part:
    fields: _Extra = {}
    cache = None
    if block_.cache_control is not ABSENT:
        cache = cache_mark(block_.cache_control, f"{path}.cache_control", fields)
    found = block_.content
    parts = () if found is None else whole(found, f"{path}.content", model)
    return ir.ToolResult(block_.tool_use_id, parts, is_error=block_.is_error, cache=cache, path=path, ext=_ext(fields))


def _tool_result(block_: wire.ToolResultBlock, extra: _Extra, path: str, model: str) -> ir.Part:
    fields = dict(extra)
    cache = cache_mark(block_.cache_control, f"{path}.cache_control", fields)
    data = given(block_.content)
    parts: tuple[ir.Part, ...] = ()
    if data is not None:
        if json.kind(data) in ("string", "array"):
            parts = content(data, f"{path}.content", model)
        else:  # an object or a number: its JSON is what the model shall read (A21)
            parts = (ir.Text(data.decode(), path=f"{path}.content"),)
            fields["content"] = data
    return ir.ToolResult(block_.tool_use_id, parts, is_error=block_.is_error, cache=cache, path=path, ext=_ext(fields))


_DECODERS: dict[str, tuple[msgspec.json.Decoder[Any], _Read]] = {
    "text": (wire.text_block, _text),
    "image": (wire.image_block, _image),
    "document": (wire.document_block, _document),
    "thinking": (wire.thinking_block, _thinking),
    "redacted_thinking": (wire.redacted_block, _redacted),
    "tool_use": (wire.tool_use_block, _tool_use),
    "tool_result": (wire.tool_result_block, _tool_result),
    # Not in it: every other type, which is `ir.Hosted`.
}

_WHOLE: dict[type, tuple[_Read, tuple[str, ...]]] = {
    wire.TextBlock: (_text, ("citations", "cache_control")),
    wire.ImageBlock: (_image, ("source", "cache_control")),
    wire.ThinkingBlock: (_thinking, ()),
    wire.RedactedBlock: (_redacted, ()),
    wire.ToolUseBlock: (_tool_use, ("cache_control",)),
    wire.WholeResult: (_whole_result, ("cache_control",)),
}
"""With the fields that stay undecoded; a call's input is not among them, because it becomes a string."""
