"""Content parts of the request's items: text, images, files, sound, and the outputs of calls.

Apart from `decode_request`, which puts items into turns, because messages and call outputs hold the same parts.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import ir, json
from . import wire
from .wire import Raw

_Decode = Callable[[Raw, str], ir.Part]


def decode_content(content: Raw, path: str) -> tuple[ir.Part, ...]:
    """``content`` of a message: a string, a list of parts, or null."""
    kind = json.kind(content)
    if kind == "null":
        return ()
    if kind == "string":
        return (ir.Text(json.decode(content, wire.string_decoder, path), path=path),)
    if kind != "array":
        raise json.bad_field(path, "a string or a list of parts", kind)
    return tuple(decode_part(part, f"{path}[{n}]") for n, part in enumerate(json.items(content, path)))


def decode_output(output: Raw, path: str) -> tuple[ir.Part, ...]:
    """``output`` of a call: text, parts, or any JSON value, which is then text (R4)."""
    kind = json.kind(output)
    if kind in ("null", "string"):
        return decode_content(output, path)
    if kind == "array":
        items = json.items(output, path)
        if all(_is_part(item) for item in items):
            return decode_content(output, path)
    return (ir.Text(bytes(output).decode("utf-8", "replace"), path=path, ext=wire.ext({".json": b"true"})),)


def _is_part(item: Raw) -> bool:
    return json.kind(item) == "object" and json.decode(item, wire.tag_decoder).type in _PARTS


def decode_part(part: Raw, path: str) -> ir.Part:
    """One part of any message or output."""
    if json.kind(part) == "string":  # some clients list plain strings
        return ir.Text(json.decode(part, wire.string_decoder, path), path=path)
    tag = json.decode(part, wire.tag_decoder, path)
    if tag.type is None:
        raise json.bad_field(f"{path}.type", "the type of the part", "nothing")
    decode = _PARTS.get(tag.type)
    if decode is None:
        return ir.Hosted(wire.NAME, tag.type, bytes(part), path)
    return decode(part, path)


def cache_mark(mark: Raw, path: str) -> ir.CacheMark | None:
    """A part's ``prompt_cache_breakpoint``."""
    if wire.is_null(mark):
        return None
    return ir.CacheMark(json.decode(mark, wire.breakpoint_decoder, f"{path}.prompt_cache_breakpoint").ttl)


def _text(part: Raw, path: str) -> ir.Part:
    known, extra = json.decode_known(part, wire.text_part_decoder, path)
    citations: tuple[bytes, ...] = ()
    if not wire.is_null(known.annotations):
        citations = tuple(bytes(raw) for raw in json.items(known.annotations, f"{path}.annotations"))
    return ir.Text(
        known.text,
        citations=citations,
        citations_dialect=wire.NAME if citations else "",
        cache=cache_mark(known.prompt_cache_breakpoint, path),
        path=path,
        ext=wire.ext(extra),
    )


def _refusal(part: Raw, path: str) -> ir.Part:
    known, extra = json.decode_known(part, wire.refusal_part_decoder, path)
    if extra:  # a refusal has no place for more
        return ir.Hosted(wire.NAME, "refusal", bytes(part), path)
    return ir.Refusal(known.refusal, path)


def _image(part: Raw, path: str) -> ir.Part:
    known, extra = json.decode_known(part, wire.image_part_decoder, path)
    if known.image_url is not None:
        source = url_source(known.image_url)
    elif known.file_id is not None:
        source = ir.Source(ir.SourceKind.FILE_ID, known.file_id)
    else:
        raise json.bad_field(path, "an image_url or a file_id", "neither")
    return ir.Image(source, known.detail, cache_mark(known.prompt_cache_breakpoint, path), path, wire.ext(extra))


def _file(part: Raw, path: str) -> ir.Part:
    known, extra = json.decode_known(part, wire.file_part_decoder, path)
    if known.file_data is not None:
        source = url_source(known.file_data)
        if source.kind is ir.SourceKind.URL:  # some clients leave the data: prefix out
            source = ir.Source(ir.SourceKind.BASE64, known.file_data)
    elif known.file_url is not None:
        source = ir.Source(ir.SourceKind.URL, known.file_url)
    elif known.file_id is not None:
        source = ir.Source(ir.SourceKind.FILE_ID, known.file_id)
    else:
        raise json.bad_field(path, "file_data, file_url or file_id", "none of them")
    return ir.Document(
        source,
        name=known.filename,
        cache=cache_mark(known.prompt_cache_breakpoint, path),
        path=path,
        ext=wire.ext(extra),
    )


def _audio(part: Raw, path: str) -> ir.Part:
    known, extra = json.decode_known(part, wire.audio_part_decoder, path)
    data = known.input_audio
    return ir.Audio(ir.Source(ir.SourceKind.BASE64, data.data), data.format, path, wire.ext(extra))


def url_source(url: str) -> ir.Source:
    """An URL, or what a base64 ``data:`` URL holds."""
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return ir.Source(ir.SourceKind.BASE64, data, head[5:-7] or None)
    return ir.Source(ir.SourceKind.URL, url)


_PARTS: dict[str, _Decode] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "summary_text": _text,
    "reasoning_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
"""Readers by part type; any other type becomes `ir.Hosted`."""
