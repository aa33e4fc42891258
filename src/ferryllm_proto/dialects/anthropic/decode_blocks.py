"""Content blocks of a Messages request to parts of the representation.

Blocks only this dialect knows (server tools and their results, search results, uploads, compaction, and whatever comes
next) are `ir.Hosted` with their JSON untouched.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import ir, json
from ...json import Raw
from . import carrier, wire
from .wire import NAME, given

_Decode = Callable[[Raw, str, str], ir.Part]


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
    return decode(raw, path, model)


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


def _text(raw: Raw, path: str, model: str) -> ir.Part:
    block_, extra = json.decode_known(raw, wire.text_block, path)
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


def _image(raw: Raw, path: str, model: str) -> ir.Part:
    block_, extra = json.decode_known(raw, wire.image_block, path)
    source = _source(block_.source, f"{path}.source")
    if source is None:
        return ir.Hosted(NAME, block_.type, bytes(raw), path=path)
    fields = dict(extra)
    _keep_source(block_.source, f"{path}.source", fields)
    cache = cache_mark(block_.cache_control, f"{path}.cache_control", fields)
    return ir.Image(source, cache=cache, path=path, ext=_ext(fields))


def _document(raw: Raw, path: str, model: str) -> ir.Part:
    block_, extra = json.decode_known(raw, wire.document_block, path)
    source = _source(block_.source, f"{path}.source")
    if source is None:
        return ir.Hosted(NAME, block_.type, bytes(raw), path=path)
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


def _thinking(raw: Raw, path: str, model: str) -> ir.Part:
    block_, extra = json.decode_known(raw, wire.thinking_block, path)
    material = carrier.read(block_.signature, model, ir.OpaqueKind.SIGNATURE)
    return carrier.reasoning(block_.thinking, material, path=path, ext=_ext(dict(extra)))


def _redacted(raw: Raw, path: str, model: str) -> ir.Part:
    block_, extra = json.decode_known(raw, wire.redacted_block, path)
    material = carrier.read(block_.data, model, ir.OpaqueKind.REDACTED)
    return carrier.reasoning("", material, path=path, ext=_ext(dict(extra)))


def _tool_use(raw: Raw, path: str, model: str) -> ir.Part:
    block_, extra = json.decode_known(raw, wire.tool_use_block, path)
    fields = dict(extra)
    cache = cache_mark(block_.cache_control, f"{path}.cache_control", fields)
    # Any JSON is kept as it is: histories with inputs that are no objects exist (A31).
    arguments = (given(block_.input) or b"").decode()
    return ir.ToolCall(block_.id, block_.name, arguments, cache=cache, path=path, ext=_ext(fields))


def _tool_result(raw: Raw, path: str, model: str) -> ir.Part:
    block_, extra = json.decode_known(raw, wire.tool_result_block, path)
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


_DECODERS: dict[str, _Decode] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    # Not in it: every other type, which is `ir.Hosted`.
}
