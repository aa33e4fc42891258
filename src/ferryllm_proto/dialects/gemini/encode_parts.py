"""Parts of the representation to parts of a Gemini request.

One `PartWriter` writes one request: it knows the provider's model, whose client wrote the request, and collects what
gets lost. Thought signatures are put where `encode_contents` says.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from ... import hosted, ir, json
from ...arguments import as_object
from ...loss import Report
from ...tools import Lowered
from . import models
from .wire import NAME

Block = dict[str, Any]
"""A JSON object on its way out."""

_FETCHED = ("gs://", "https://www.youtube.com/", "https://youtube.com/", "https://m.youtube.com/", "https://youtu.be/")
"""What every server of this protocol can read by its address."""

UNNAMED = "unknown_tool"
"""The name of a result whose call nobody knows: the API refuses an empty one (B5)."""


def put(block: Block, name: str, value: bytes) -> None:
    """Set the member with a dotted ``name``."""
    outer, dot, inner = name.rpartition(".")
    for step in outer.split(".") if dot else ():
        found = block.setdefault(step, {})
        if not isinstance(found, dict):
            return
        block = found
    block[inner] = json.raw(value)


class PartWriter:
    """Writes the parts of one request.

    ``own`` says that the request came from a client of this dialect and goes to the model it asked for: then it leaves
    as it was written, and the provider is the judge of it.
    """

    def __init__(self, request: ir.Request, model: str, tools: Lowered, report: Report, *, own: bool) -> None:
        self.request = request
        self.model = model
        self.tools = tools
        self.report = report
        self.own = own
        self.ours = request.dialect == NAME
        self.newest = models.signs_thoughts(model)
        self.names: dict[str, str] = {}
        """Id of each call to the provider's name of its tool."""
        self.know(request.turns)

    def know(self, turns: tuple[ir.Turn, ...]) -> None:
        """Learn the names of the calls in ``turns``: pairing gives new ids to those that are not the only ones."""
        for turn in turns:
            for part in turn.parts:
                if isinstance(part, ir.ToolCall):
                    self.names[part.id] = self.tools.call(part).name

    def write(self, part: ir.Part) -> list[Block]:
        """The parts that say ``part``; none where nothing of it can be said."""
        return _WRITERS[type(part)](self, part)

    def ext(self, block: Block, ext: ir.Ext | None, path: str) -> None:
        """Write back what only this dialect knows; report what only another one does."""
        if ext is None:
            return
        if ext.dialect != NAME:
            self.report.ext(ext, NAME, path)
            return
        for name, value in ext.fields.items():
            if not name.startswith("."):
                put(block, name, value)
            elif name == ".thought":
                block["thought"] = json.raw(value)

    def cache(self, mark: ir.CacheMark | None, path: str) -> None:
        """A breakpoint has no place here: the API caches by itself."""
        if mark is not None:
            self.report.dropped(self.report.at(path, "cache"), "this provider caches prompts by itself")

    # --- text ---

    def _text(self, part: ir.Text) -> list[Block]:
        self.cache(part.cache, part.path)
        if part.citations:
            self.report.dropped(self.report.at(part.path, "citations"), f"{NAME} has no citations in a conversation")
        if part.phase is not None:
            self.report.dropped(self.report.at(part.path, "phase"), f"{NAME} has no phases")
        if not part.text and not self.own:
            return []  # an empty text says nothing: nothing is lost
        block: Block = {"text": part.text}
        self.ext(block, part.ext, part.path)
        return [block]

    def _refusal(self, part: ir.Refusal) -> list[Block]:
        self.report.degraded(part.path, "a refusal is sent as text")
        return [{"text": part.text}] if part.text else []

    # --- media ---

    def _image(self, part: ir.Image) -> list[Block]:
        self.cache(part.cache, part.path)
        if part.detail not in (None, "auto"):
            self.report.dropped(self.report.at(part.path, "detail"), f"{NAME} has no such level of detail")
        return self._medium(part.source, part.source.media_type or _sniffed(part.source), part)

    def _audio(self, part: ir.Audio) -> list[Block]:
        media_type = part.source.media_type or (f"audio/{part.format}" if part.format else None)
        return self._medium(part.source, media_type, part)

    def _document(self, part: ir.Document) -> list[Block]:
        self.cache(part.cache, part.path)
        if part.citations:
            self.report.dropped(f"{part.path}.citations", f"{NAME} does not cite documents")
        source = part.source
        if source.kind is ir.SourceKind.TEXT:
            head = [text for text in (part.name, part.context) if text]
            for field, value in (("title", part.name), ("context", part.context)):
                if value:
                    self.report.degraded(self.report.at(part.path, field), "said before the text of the document")
            block: Block = {"text": "\n\n".join([*head, source.data])}
            self.ext(block, part.ext, part.path)
            return [block]
        if part.name is not None and not self.ours:
            self.report.dropped(self.report.at(part.path, "title"), f"{NAME} has no file names")
        if part.context is not None:
            self.report.dropped(f"{part.path}.context", f"{NAME} has no context of documents")
        media_type = source.media_type
        if source.kind is ir.SourceKind.BASE64 and media_type in (None, "application/octet-stream") and not self.own:
            media_type = "application/pdf" if source.data.startswith("JVBERi") else _text_type(source.data)
            if media_type is None:
                raise self.report.refuse(part.path, f"{NAME} has to be told what kind of file this is")
        blocks = self._medium(source, media_type, part)
        if self.ours and part.name is not None:
            next(iter(blocks[0].values()))["displayName"] = part.name
        return blocks

    def _medium(
        self, source: ir.Source, media_type: str | None, part: ir.Image | ir.Audio | ir.Document
    ) -> list[Block]:
        inner: Block = {} if media_type is None else {"mimeType": media_type}
        if source.kind is ir.SourceKind.BASE64:
            if media_type is None and not self.own:
                raise self.report.refuse(part.path, f"{NAME} has to be told the type of these bytes")
            inner["data"] = source.data
            block: Block = {"inlineData": inner}
        elif source.kind is ir.SourceKind.URL:
            if not self.ours and not source.data.startswith(_FETCHED):
                raise self.report.refuse(part.path, f"{NAME} does not fetch addresses: send the bytes (base64)")
            inner["fileUri"] = source.data
            block = {"fileData": inner}
        elif source.kind is ir.SourceKind.FILE_ID:
            if not self.ours:
                raise self.report.refuse(part.path, "the file lies with another provider: send its content")
            inner["fileUri"] = source.data
            block = {"fileData": inner}
        else:
            raise self.report.refuse(part.path, "this kind of content can not be made of text")
        self.ext(block, part.ext, part.path)
        return [block]

    # --- tools ---

    def _tool_call(self, part: ir.ToolCall) -> list[Block]:
        call = self.tools.call(part)
        self.cache(part.cache, part.path)
        args, whole = as_object(call.arguments)
        inner: Block = {}
        known = self._spelled(part.ext, ".id")
        if known is None:
            inner["id"] = call.id
        elif known != b"null":
            inner["id"] = json.raw(known)
        inner["name"] = call.name
        if not whole:
            self.report.degraded(
                self.report.at(part.path, "arguments"), "the arguments are no JSON object: sent under _raw"
            )
        if call.arguments or not self.ours:
            inner["args"] = json.raw(args)
        block: Block = {"functionCall": inner}
        self.ext(block, part.ext, part.path)
        return [block]

    def _spelled(self, ext: ir.Ext | None, name: str) -> bytes | None:
        """How a client of this dialect wrote what the representation has in another form."""
        return ext.fields.get(name) if ext is not None and ext.dialect == NAME else None

    def _tool_result(self, part: ir.ToolResult) -> list[Block]:
        """A result, and behind it what it can not hold: media for models that read them beside it alone."""
        result = self.tools.result(part)
        self.cache(part.cache, part.path)
        inner: Block = {}
        known = self._spelled(part.ext, ".id")
        if known is None:
            inner["id"] = result.id
        elif known != b"null":
            inner["id"] = json.raw(known)
        inner["name"] = self.names.get(part.id) or part.name or UNNAMED
        response = self._spelled(part.ext, ".response")
        texts = [p.text for p in part.parts if isinstance(p, (ir.Text, ir.Refusal))]
        media = [p for p in part.parts if not isinstance(p, (ir.Text, ir.Refusal))]
        blocks = [(item, block) for item in media for block in self.write(item)]
        if response is None:
            # The text stays a string: what looks like a schema in it must not be read as one (B6).
            word = "error" if part.is_error else "output"
            texts.extend(str(block["text"]) for _, block in blocks if "text" in block)
            blocks = [(item, block) for item, block in blocks if "text" not in block]
            inner["response"] = {word: texts[0] if len(texts) == 1 else texts} if texts or part.is_error else {}
        elif response != b"null":
            inner["response"] = json.raw(response)
        for text in part.parts:
            if isinstance(text, ir.Text):
                self.cache(text.cache, text.path)
                self.report.ext(text.ext, NAME, text.path)
        siblings: list[Block] = []
        if blocks and (self.ours or self.newest):
            inner["parts"] = [block for _, block in blocks]
        else:
            for item, block in blocks:
                self.report.degraded(item.path or part.path, "media of a tool's result are sent behind it")
                siblings.extend(({"text": f"[part of the result of {inner['name']}]"}, block))
        out: Block = {"functionResponse": inner}
        self.ext(out, part.ext, part.path)
        return [out, *siblings]

    def _hosted(self, part: ir.Hosted) -> list[Block]:
        if part.dialect == NAME:
            return [dict(json.fields(part.raw, part.path))]
        text = hosted.as_text(part, NAME, self.report)
        return [] if text is None else [{"text": text}]


_WRITERS: dict[type, Callable[[PartWriter, Any], list[Block]]] = {
    ir.Text: PartWriter._text,
    ir.Image: PartWriter._image,
    ir.Document: PartWriter._document,
    ir.Audio: PartWriter._audio,
    ir.Refusal: PartWriter._refusal,
    ir.ToolCall: PartWriter._tool_call,
    ir.ToolResult: PartWriter._tool_result,
    ir.Hosted: PartWriter._hosted,
    # Not in it: Reasoning, which is a part and a mark on another one.
}


_MAGIC = (("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"))


def _sniffed(source: ir.Source) -> str | None:
    """The media type an image's first bytes show."""
    return next((media_type for magic, media_type in _MAGIC if source.data.startswith(magic)), None)


def _text_type(data: str) -> str | None:
    """``text/plain`` where the bytes are text."""
    try:
        text = base64.b64decode(data, validate=False).decode()
    except (binascii.Error, ValueError):
        return None
    return None if "\0" in text else "text/plain"
