"""Parts of the representation as the two things a message of Ollama holds: one text and a list of images."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from ... import hosted, ir
from ...loss import Report
from .wire import NAME


class Scope:
    """What every function of one encoding needs to know."""

    __slots__ = ("model", "native", "report", "request")

    def __init__(self, request: ir.Request, model: str, report: Report) -> None:
        self.request = request
        self.model = model
        """The provider's name of it."""
        self.report = report
        self.native = request.dialect == NAME
        """The request came from a client of Ollama: everything it wrote is written back."""


class Content:
    """The text and the images of one message, collected from its parts."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._texts: list[str] = []
        self._unordered = False
        self.images: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def __bool__(self) -> bool:
        return bool(self._texts or self.images)

    def add(self, part: ir.Part) -> None:
        """Take one part; what has no place is reported. Raises `RemoteProtocolError` for what must not be left out."""
        if isinstance(part, ir.Image):
            if self._texts and not self._unordered:
                self._unordered = True
                self._scope.report.degraded(path_of(part), "the images of a message stand before its text here")
            self.images.append(image(part, self._scope))
            return
        writer = _TEXTS.get(type(part))
        if writer is None:
            name = type(part).__name__
            self._scope.report.dropped(path_of(part), f"{name} has no place in the content of a message here")
            return
        said = writer(part, self._scope)
        if said:
            if self._texts:
                self._scope.report.degraded(path_of(part), "several texts of one message are joined to one")
            self._texts.append(said)


def path_of(part: ir.Part) -> str:
    return part.path or type(part).__name__


def mark(part: ir.Text | ir.Image | ir.Document | ir.ToolCall | ir.ToolResult | ir.Function, scope: Scope) -> None:
    """Report a cache breakpoint."""
    if part.cache is not None:
        scope.report.dropped(scope.report.at(part.path, "cache"), "Ollama caches prompts on its own")


def image(part: ir.Image, scope: Scope) -> str:
    """Base64 without a ``data:`` prefix, all that is taken (wire.md 7.2)."""
    scope.report.ext(part.ext, NAME, path_of(part))
    mark(part, scope)
    if part.source.kind is not ir.SourceKind.BASE64:
        what = "by URL" if part.source.kind is ir.SourceKind.URL else "by file id"
        raise scope.report.refuse(path_of(part), f"Ollama takes images as base64 data, not {what}: send the bytes")
    if part.detail not in (None, "auto"):
        scope.report.dropped(scope.report.at(path_of(part), "detail"), "Ollama reads every image alike")
    return part.source.data


def _text(part: ir.Part, scope: Scope) -> str:
    assert isinstance(part, ir.Text)
    report = scope.report
    if part.citations:
        report.dropped(report.at(path_of(part), "citations"), "a message here carries text without its sources")
    if part.phase is not None:
        report.dropped(report.at(path_of(part), "phase"), "messages have no phase here")
    mark(part, scope)
    report.ext(part.ext, NAME, path_of(part))
    return part.text


def _document(part: ir.Part, scope: Scope) -> str:
    """A text document is text; what it was called stands before it. Anything else is refused."""
    assert isinstance(part, ir.Document)
    path, source = path_of(part), part.source
    scope.report.ext(part.ext, NAME, path)
    mark(part, scope)
    if part.citations:
        scope.report.dropped(f"{path}.citations", "Ollama cannot cite documents")
    text = source.data if source.kind is ir.SourceKind.TEXT else _decoded(source)
    if text is None:
        what = source.media_type or (
            "a file" if source.kind is ir.SourceKind.BASE64 else f"a file by {source.kind.value}"
        )
        raise scope.report.refuse(path, f"Ollama reads text and images, not {what}: send the document's text")
    heads = [head for head in (part.name, part.context) if head]
    for field, value in (("title", part.name), ("context", part.context)):
        if value:
            scope.report.degraded(scope.report.at(path, field), "said before the text of the document")
    return "\n".join([*heads, text])


def _decoded(source: ir.Source) -> str | None:
    """The text in a document that is one; None for any other."""
    if source.kind is not ir.SourceKind.BASE64 or not (source.media_type or "").startswith(
        ("text/", "application/json")
    ):
        return None
    try:
        return base64.b64decode(source.data).decode()
    except (binascii.Error, ValueError):
        return None


def _audio(part: ir.Part, scope: Scope) -> str:
    raise scope.report.refuse(path_of(part), "Ollama does not take sound")


def _refusal(part: ir.Part, scope: Scope) -> str:
    assert isinstance(part, ir.Refusal)
    scope.report.degraded(path_of(part), "a refusal is sent as the text it is")
    return part.text


def _hosted(part: ir.Part, scope: Scope) -> str:
    assert isinstance(part, ir.Hosted)
    return hosted.as_text(part, NAME, scope.report) or ""


_TEXTS: dict[type, Callable[[ir.Part, Scope], str]] = {
    ir.Text: _text,
    ir.Document: _document,
    ir.Audio: _audio,
    ir.Refusal: _refusal,
    ir.Hosted: _hosted,
    # Not in it: images, which are no text; reasoning, calls and results, which are fields or messages of their own.
}
