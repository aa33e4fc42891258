"""Parts of the representation as content of Chat messages.

Where the request came from a Chat client the part's path tells its form, and its unknown fields go back into it.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import hosted, ir, json
from ...loss import Report
from .decode_parts import NAME
from .profile import Cache, Profile

Wire = dict[str, object]
Part = Wire | json.Raw
"""A part is a dict of ours or the bytes of a client."""


# Beginnings of names in ``ext`` that belong elsewhere than into the object itself; "." is a spelling.
_INNER = (
    ".",
    "custom.",
    "file.",
    "function.",
    "image_url.",
    "input_audio.",
    "message.",
    "response_format.",
    "stream_options.",
    "tool_choice.",
)


_OPENAI = (NAME, "openai_responses")
"""Dialects whose file ids mean the same to this provider."""


OWN_CACHE = "this provider caches prompts on its own"
NOT_HERE = "this provider takes no breakpoint here"
"""Why a breakpoint is lost."""


class Scope:
    """What every function of one encoding needs to know."""

    __slots__ = ("model", "native", "profile", "report", "request")

    def __init__(self, request: ir.Request, model: str, profile: Profile, report: Report) -> None:
        self.request = request
        self.model = model
        """The provider's name of it."""
        self.profile = profile
        self.report = report
        self.native = request.dialect == NAME
        """The request came from a Chat client: everything it wrote is written back."""


def given(fields: Wire) -> Wire:
    """``fields`` without those that are None."""
    return {name: value for name, value in fields.items() if value is not None}


def fields_of(ext: ir.Ext | None, within: str = "") -> Wire:
    """Unknown fields to write back into an object, or into the object ``within`` it."""
    if ext is None or ext.dialect != NAME:
        return {}
    if within:
        start = within + "."
        return {n.removeprefix(start): json.raw(v) for n, v in ext.fields.items() if n.startswith(start)}
    return {n: json.raw(v) for n, v in ext.fields.items() if not n.startswith(_INNER)}


def mark(part: ir.Text | ir.Image | ir.Document | ir.ToolCall | ir.ToolResult | ir.Function, scope: Scope) -> Wire:
    """A cache breakpoint in the words of the one who wrote it, or of OpenAI where it knows them."""
    found = part.cache
    if found is None:
        return {}
    if scope.native:
        if found.ttl in ("30m", "12h") or (found.ttl is None and scope.profile.cache is Cache.BREAKPOINT):
            return {"prompt_cache_breakpoint": _ttl({"mode": "explicit"}, found)}
        return {"cache_control": _ttl({"type": "ephemeral"}, found)}
    if scope.profile.cache is Cache.MARK and not isinstance(part, ir.ToolCall):
        return {"cache_control": _ttl({"type": "ephemeral"}, found)}
    if scope.profile.cache is Cache.BREAKPOINT and not isinstance(part, (ir.ToolCall, ir.ToolResult, ir.Function)):
        if found.ttl is not None:
            scope.report.degraded(
                f"{scope.report.at(part.path, 'cache')}.ttl", "the breakpoint is set without its lifetime"
            )
        return {"prompt_cache_breakpoint": {"mode": "explicit"}}
    scope.report.dropped(scope.report.at(part.path, "cache"), OWN_CACHE)
    return {}


def unmarked(part: ir.Text | ir.ToolResult, scope: Scope) -> None:
    """Report the breakpoint of a part that is written where none can stand."""
    if part.cache is not None:
        scope.report.dropped(scope.report.at(part.path, "cache"), NOT_HERE)


def _ttl(fields: Wire, found: ir.CacheMark) -> Wire:
    return fields if found.ttl is None else {**fields, "ttl": found.ttl}


def data_url(source: ir.Source, fallback: str) -> str:
    """The bytes of ``source`` as a data URL."""
    media = fallback if source.media_type is None else source.media_type
    return f"data:{media};base64,{source.data}"


def is_plain(part: ir.Part, scope: Scope) -> bool:
    """Whether a part is nothing but text, so that a string can stand for it."""
    if not isinstance(part, ir.Text):
        return False
    if scope.native:
        return not part.path.endswith("]")
    return part.cache is None or scope.profile.cache is Cache.NONE


def parts(found: list[ir.Part], scope: Scope) -> object:
    """Content of a user or system message: a string where it is one plain text, else a list."""
    if len(found) == 1 and isinstance(found[0], ir.Text) and is_plain(found[0], scope):
        text = found[0]
        if not scope.native:
            text_losses(text, scope)
            if text.cache is not None:
                mark(text, scope)
        return text.text
    return [wire for part in found if (wire := encode(part, scope)) is not None]


def encode(part: ir.Part, scope: Scope) -> Part | None:
    """One part, or None where it is reported instead."""
    encoder = _ENCODERS.get(type(part))
    if encoder is not None:
        return encoder(part, scope)
    scope.report.dropped(path_of(part), f"{type(part).__name__} has no place in the content of a Chat message")
    return None


def path_of(part: ir.Part) -> str:
    return part.path or type(part).__name__


def text_losses(part: ir.Text, scope: Scope) -> None:
    """Report what a plain text in a request cannot keep."""
    if part.citations and not (scope.native and part.citations_dialect == NAME):
        scope.report.dropped(
            scope.report.at(path_of(part), "citations"), "a Chat request carries text without its sources"
        )
    if part.phase is not None:
        scope.report.dropped(scope.report.at(path_of(part), "phase"), "messages have no phase here")
    if part.ext is not None:
        scope.report.ext(part.ext, NAME, path_of(part))


def _text(part: ir.Part, scope: Scope) -> Wire | None:
    assert isinstance(part, ir.Text)
    text_losses(part, scope)
    wire: Wire = {"type": "text", "text": part.text}
    if part.cache is not None or part.ext is not None:
        wire |= {**mark(part, scope), **fields_of(part.ext)}
    return wire


def _medium(kind: str, part: ir.Part, scope: Scope) -> None:
    """Refuse what this provider's messages do not hold: without it the question would be another one."""
    if scope.native or kind in scope.profile.media:
        return
    if kind == "image_url" and "image" in scope.profile.media:
        raise scope.report.refuse(path_of(part), "this provider fetches no images: send it as base64 data")
    raise scope.report.refuse(path_of(part), f"this provider takes no {kind.removesuffix('_url')} in a message")


def _image(part: ir.Part, scope: Scope) -> Wire | None:
    assert isinstance(part, ir.Image)
    scope.report.ext(part.ext, NAME, path_of(part))
    source = part.source
    _medium("image" if source.kind is ir.SourceKind.BASE64 else "image_url", part, scope)
    if source.kind is ir.SourceKind.BASE64:
        url = data_url(source, "image/png")
    elif source.kind is ir.SourceKind.URL:
        url = source.data
    else:
        raise scope.report.refuse(
            path_of(part), "Chat Completions takes images as a URL or as base64 data, not by file id"
        )
    if scope.native and part.path.endswith(".image_url"):
        return {"type": "image_url", "image_url": url, **mark(part, scope), **fields_of(part.ext)}
    image: Wire = {"url": url}
    if part.detail is not None:
        image["detail"] = part.detail
    image.update(fields_of(part.ext, "image_url"))
    return {"type": "image_url", "image_url": image, **mark(part, scope), **fields_of(part.ext)}


def _audio(part: ir.Part, scope: Scope) -> Wire | None:
    assert isinstance(part, ir.Audio)
    scope.report.ext(part.ext, NAME, path_of(part))
    _medium("audio", part, scope)
    if part.source.kind is not ir.SourceKind.BASE64:
        raise scope.report.refuse(path_of(part), "Chat Completions takes sound as base64 data only")
    audio: Wire = {"data": part.source.data}
    format_ = part.format
    if format_ is None and part.source.media_type and not scope.native:
        format_ = part.source.media_type.rpartition("/")[2]
    if format_ is not None:
        audio["format"] = format_
    audio.update(fields_of(part.ext, "input_audio"))
    return {"type": "input_audio", "input_audio": audio, **fields_of(part.ext)}


def _document(part: ir.Part, scope: Scope) -> Wire | None:
    assert isinstance(part, ir.Document)
    scope.report.ext(part.ext, NAME, path_of(part))
    if part.citations:
        scope.report.dropped(f"{path_of(part)}.citations", "Chat Completions cannot cite documents")
    source = part.source
    if source.kind is ir.SourceKind.TEXT:
        return {"type": "text", "text": text_document(part, scope), **mark(part, scope)}
    _medium("file", part, scope)
    if part.context is not None:
        scope.report.dropped(f"{path_of(part)}.context", "a file has no context")
    file: Wire = {}
    if source.kind is ir.SourceKind.FILE_ID:
        if scope.request.dialect not in _OPENAI:
            raise scope.report.refuse(path_of(part), "a file id is known only to the provider that gave it")
        file["file_id"] = source.data
    elif source.kind is ir.SourceKind.BASE64:
        bare = scope.native and source.media_type is None
        file["file_data"] = source.data if bare else data_url(source, "application/pdf")
    elif scope.native:
        file["file_data"] = source.data
    else:
        raise scope.report.refuse(path_of(part), "Chat Completions takes files as base64 data, not as a URL")
    if part.name is not None:
        file["filename"] = part.name
    elif not scope.native and source.kind is ir.SourceKind.BASE64:
        suffix = (source.media_type or "application/pdf").rsplit("/", 1)[-1]
        file["filename"] = f"document.{suffix}"  # file_data without a filename is refused
    file.update(fields_of(part.ext, "file"))
    return {"type": "file", "file": file, **mark(part, scope), **fields_of(part.ext)}


def text_document(part: ir.Document, scope: Scope) -> str:
    """A text document is text; what it was called stands before it."""
    heads = [head for head in (part.name, part.context) if head]
    for field, value in (("title", part.name), ("context", part.context)):
        if value:
            scope.report.degraded(scope.report.at(path_of(part), field), "said before the text of the document")
    return "\n".join([*heads, part.source.data])


def _hosted(part: ir.Part, scope: Scope) -> Part | None:
    assert isinstance(part, ir.Hosted)
    if part.dialect == NAME:
        return json.raw(part.raw)
    said = hosted.as_text(part, NAME, scope.report)
    return None if said is None else {"type": "text", "text": said}


def _refusal(part: ir.Part, scope: Scope) -> Wire | None:
    assert isinstance(part, ir.Refusal)
    return {"type": "refusal", "refusal": part.text}


_ENCODERS: dict[type, Callable[[ir.Part, Scope], Part | None]] = {
    ir.Text: _text,
    ir.Image: _image,
    ir.Audio: _audio,
    ir.Document: _document,
    ir.Hosted: _hosted,
    ir.Refusal: _refusal,
    # Not in it: reasoning, tool calls and results, which are messages' fields or messages of their own.
}
