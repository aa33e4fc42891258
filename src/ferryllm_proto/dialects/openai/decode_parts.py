"""Content parts of Chat messages into parts of the representation.

The path of a part tells how the client wrote it (``messages[0].content`` for a plain string, ``...content[1]`` for an
item of a list), so the encoder of the same dialect can write it the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ... import ir, json
from . import wire

NAME = "openai"

_DATA_URL = re.compile(r"data:([^;,]*);base64,(.*)", re.DOTALL)


def ext(extra: dict[str, bytes], inner: dict[str, bytes] = json.NO_FIELDS, within: str = "") -> ir.Ext | None:
    """Unknown fields of an object and of the object ``within`` it; nulls say nothing and are left out."""
    fields = {name: value for name, value in extra.items() if value != b"null"}
    for name, value in inner.items():
        if value != b"null":
            fields[f"{within}.{name}"] = value
    return ir.Ext(NAME, fields) if fields else None


def cache(control: wire.Raw, path: str, breakpoint_: wire.Raw = wire.ABSENT) -> ir.CacheMark | None:
    """``cache_control`` or ``prompt_cache_breakpoint``."""
    if (found := wire.value(control)) is not None:
        return ir.CacheMark(json.decode(found, wire.CACHE, f"{path}.cache_control").ttl)
    if (found := wire.value(breakpoint_)) is not None:
        return ir.CacheMark(json.decode(found, wire.CACHE, f"{path}.prompt_cache_breakpoint").ttl)
    return None


def source(url: str) -> ir.Source:
    """A URL or a data URL. One of an unusual form stays a URL, exactly as written."""
    match = _DATA_URL.fullmatch(url) if url.startswith("data:") else None
    if match is None:
        return ir.Source(ir.SourceKind.URL, url)
    return ir.Source(ir.SourceKind.BASE64, match[2], match[1])


def content(raw: wire.Raw, path: str) -> list[ir.Part]:
    """Content of any message: a string, a list of parts, null or nothing (C1)."""
    kind = json.kind(raw)
    if kind in ("nothing", "null"):
        return []
    if kind == "string":
        return [ir.Text(json.decode(raw, wire.STRING, path), path=path)]
    if kind == "array":
        return [part(item, f"{path}[{n}]") for n, item in enumerate(json.items(raw, path))]
    raise json.bad_field(path, "a string or an array of parts", f"{kind}")


def part(raw: wire.Raw, path: str) -> ir.Part:
    """One part. A type we do not know is kept whole for the same dialect."""
    type_ = json.decode(raw, wire.PART_TYPE, path).type
    decode = _DECODERS.get(type_)
    return decode(raw, path) if decode is not None else ir.Hosted(NAME, type_, bytes(raw), path)


def _text(raw: wire.Raw, path: str) -> ir.Part:
    found, extra = json.decode_known(raw, wire.TEXT_PART, path)
    mark = cache(found.cache_control, path, found.prompt_cache_breakpoint)
    return ir.Text(found.text, cache=mark, path=path, ext=ext(extra))


def _refusal(raw: wire.Raw, path: str) -> ir.Part:
    found, extra = json.decode_known(raw, wire.REFUSAL_PART, path)
    # A refusal has no place for fields nobody documented: the whole part is kept instead.
    return ir.Hosted(NAME, "refusal", bytes(raw), path) if ext(extra) else ir.Refusal(found.refusal, path)


def _image(raw: wire.Raw, path: str) -> ir.Part:
    found, extra = json.decode_known(raw, wire.IMAGE_PART, path)
    mark = cache(found.cache_control, path, found.prompt_cache_breakpoint)
    inner = f"{path}.image_url"
    if json.kind(found.image_url) == "string":  # Mistral's form; the path says so
        url = json.decode(found.image_url, wire.STRING, inner)
        return ir.Image(source(url), cache=mark, path=inner, ext=ext(extra))
    image, image_extra = json.decode_known(found.image_url, wire.IMAGE_URL, inner)
    return ir.Image(source(image.url), image.detail, mark, path, ext(extra, image_extra, "image_url"))


def _audio(raw: wire.Raw, path: str) -> ir.Part:
    found, extra = json.decode_known(raw, wire.AUDIO_PART, path)
    audio, audio_extra = json.decode_known(found.input_audio, wire.INPUT_AUDIO, f"{path}.input_audio")
    data = ir.Source(ir.SourceKind.BASE64, audio.data)
    return ir.Audio(data, audio.format, path, ext(extra, audio_extra, "input_audio"))


def _file(raw: wire.Raw, path: str) -> ir.Part:
    found, extra = json.decode_known(raw, wire.FILE_PART, path)
    inner = f"{path}.file"
    file, file_extra = json.decode_known(found.file, wire.FILE, inner)
    if file.file_data is not None:
        where = source(file.file_data)
        if where.kind is ir.SourceKind.URL and not file.file_data.startswith(("http:", "https:", "data:")):
            where = ir.Source(ir.SourceKind.BASE64, file.file_data)
        if file.file_id is not None:
            file_extra = {**file_extra, "file_id": json.encode(file.file_id)}
    elif file.file_id is not None:
        where = ir.Source(ir.SourceKind.FILE_ID, file.file_id)
    else:
        raise json.bad_field(inner, "file_data or file_id", "neither")
    mark = cache(found.cache_control, path, found.prompt_cache_breakpoint)
    return ir.Document(where, file.filename, cache=mark, path=path, ext=ext(extra, file_extra, "file"))


def _thinking(raw: wire.Raw, path: str) -> ir.Part:
    found, extra = json.decode_known(raw, wire.THINKING_PART, path)
    inner = [part(item, f"{path}.thinking[{n}]") for n, item in enumerate(found.thinking)]
    if len(inner) == 1 and isinstance(inner[0], ir.Text) and inner[0].ext is None and ext(extra) is None:
        return ir.Reasoning(inner[0].text, path=path)
    # Several texts, references: no one's business but the dialect's own.
    return ir.Hosted(NAME, "thinking", bytes(raw), path)


_DECODERS: dict[str, Callable[[wire.Raw, str], ir.Part]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "thinking": _thinking,
    # Not in it: document_url (Mistral), video_url and whatever comes next. They are kept whole.
}
