"""Parts of the representation as the wire's content parts.

Apart from `encode_request`, which makes items of turns, because messages and outputs of calls hold the same parts.
"""

from __future__ import annotations

from ... import hosted, ir, json
from ...loss import Report
from . import wire

Wire = dict[str, object]
_OPENAI = frozenset({wire.NAME, "openai"})
"""Dialects whose file ids mean the same to this provider."""


_TTLS = frozenset({"30m", "12h"})
"""How long a cache mark can live here; others get the default."""


class ContentWriter:
    """Writes parts of one request; what can not be said is reported with the client's path."""

    def __init__(self, request: ir.Request, report: Report) -> None:
        self._dialect = request.dialect
        self._own = request.dialect == wire.NAME
        self._report = report

    def input_part(self, part: ir.Part) -> object:
        """A part of a user's or system's message, or of a call's output; None where nothing is left of it."""
        if isinstance(part, ir.Text):
            if part.citations and not self._own:
                self._report.dropped(self._report.at(part.path, "citations"), "a text of this kind has no sources here")
            return self._text(part, "input_text")
        if isinstance(part, ir.Image):
            return self._image(part)
        if isinstance(part, ir.Document):
            return self._document(part)
        if isinstance(part, ir.Audio):
            return self._audio(part)
        if isinstance(part, ir.Hosted):
            return self._hosted(part, "input_text")
        if isinstance(part, ir.Refusal):
            return {"type": "input_text", "text": part.text}
        self._report.dropped(part.path or type(part).__name__, "this has no place in a Responses message")
        return None

    def output_part(self, part: ir.Text | ir.Refusal | ir.Hosted) -> object:
        """A part of an assistant's message."""
        if isinstance(part, ir.Refusal):
            return {"type": "refusal", "refusal": part.text}
        if isinstance(part, ir.Hosted):
            return self._hosted(part, "output_text")
        out = self._text(part, "output_text")
        if not self._own:
            out["annotations"] = []
        if part.citations:
            if part.citations_dialect == wire.NAME:
                out["annotations"] = [json.raw(raw) for raw in part.citations]
            else:
                path = self._report.at(part.path, "citations")
                self._report.dropped(path, "sources of another dialect can not be sent back")
        return out

    def _hosted(self, part: ir.Hosted, type_: str) -> object:
        if part.dialect == wire.NAME:
            return json.raw(part.raw)
        text = hosted.as_text(part, wire.NAME, self._report)
        if text is None:
            return None
        out: Wire = {"type": type_, "text": text}
        if type_ == "output_text":
            out["annotations"] = []  # the SDK's type wants it
        return out

    def _text(self, part: ir.Text, type_: str) -> Wire:
        out: Wire = {"type": type_, "text": part.text}
        self._finish(out, part)
        return out

    def _image(self, part: ir.Image) -> Wire:
        out: Wire = {"type": "input_image"}
        source = part.source
        if source.kind is ir.SourceKind.FILE_ID:
            out["file_id"] = self._file_id(source, part.path)
        elif source.kind is ir.SourceKind.URL:
            out["image_url"] = source.data
        elif source.kind is ir.SourceKind.BASE64:
            out["image_url"] = f"data:{source.media_type or 'image/png'};base64,{source.data}"
        else:
            raise self._report.refuse(part.path or "image", "an image can not be given as text")
        if part.detail is not None:
            out["detail"] = part.detail
        elif not self._own:
            out["detail"] = "auto"  # the SDK's type wants it
        self._finish(out, part)
        return out

    def _document(self, part: ir.Document) -> Wire:
        source = part.source
        if part.context is not None and source.kind is not ir.SourceKind.TEXT:
            self._report.dropped(f"{part.path}.context", "a file has no context here")
        if part.citations:
            self._report.dropped(f"{part.path}.citations", "sources of files can not be asked for here")
        if source.kind is ir.SourceKind.TEXT:
            heads = [head for head in (part.name, part.context) if head]
            for field, value in (("title", part.name), ("context", part.context)):
                if value:
                    self._report.degraded(self._report.at(part.path, field), "said before the text of the document")
            out: Wire = {"type": "input_text", "text": "\n".join([*heads, source.data])}
            self._finish(out, part)
            return out
        out = {"type": "input_file"}
        if source.kind is ir.SourceKind.URL:
            out["file_url"] = source.data
        elif source.kind is ir.SourceKind.FILE_ID:
            out["file_id"] = self._file_id(source, part.path)
        elif source.media_type is None and self._own:
            out["file_data"] = source.data
        else:
            out["file_data"] = f"data:{source.media_type or 'application/pdf'};base64,{source.data}"
        if part.name is not None:
            out["filename"] = part.name
        elif source.kind is ir.SourceKind.BASE64 and not self._own:
            out["filename"] = f"document.{(source.media_type or 'application/pdf').rsplit('/', 1)[-1]}"  # is required
        self._finish(out, part)
        return out

    def _audio(self, part: ir.Audio) -> Wire:
        if part.source.kind is not ir.SourceKind.BASE64:
            raise self._report.refuse(part.path or "audio", "sound can only be sent as base64 data")
        data: Wire = {"data": part.source.data}
        if part.format is not None:
            data["format"] = part.format
        out: Wire = {"type": "input_audio", "input_audio": data}
        self._finish(out, part)
        return out

    def _file_id(self, source: ir.Source, path: str) -> str:
        if self._dialect not in _OPENAI:
            raise self._report.refuse(path or "file_id", "a file of another provider is unknown to this one")
        return source.data

    def _finish(self, out: Wire, part: ir.Text | ir.Image | ir.Document | ir.Audio) -> None:
        """The cache mark, and the fields only this dialect knows."""
        cache = None if isinstance(part, ir.Audio) else part.cache
        if cache is not None:
            if self._dialect in _OPENAI:
                mark: Wire = {"mode": "explicit"}
                if cache.ttl is not None and (self._own or cache.ttl in _TTLS):
                    mark["ttl"] = cache.ttl
                out["prompt_cache_breakpoint"] = mark
            else:  # most models refuse breakpoints, and all of them cache prefixes without any
                self._report.dropped(
                    self._report.at(part.path, "cache"), "this provider caches prompt prefixes by itself"
                )
        if part.ext is not None:
            if part.ext.dialect == wire.NAME:
                out.update((k, json.raw(v)) for k, v in part.ext.fields.items() if not k.startswith("."))
            self._report.ext(part.ext, wire.NAME, part.path)
