"""Parts of the representation to content blocks of a Messages request.

One `BlockWriter` writes one request: it knows the provider's model, whose client wrote the request, and collects what
gets lost. Blocks are plain dicts whose carried JSON is spliced in as it came.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from ... import capabilities, hosted, ir, json, opaque
from ...arguments import as_object
from ...loss import Report
from ...tools import Lowered
from . import carrier
from .wire import NAME, PROVIDER

Block = dict[str, Any]
"""A JSON object on its way out."""

_IMAGES = {
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/png": "image/png",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
}
"""Media types the API takes, by the spellings in use."""

_TTL = {None: None, "5m": "5m", "1h": "1h"}


class BlockWriter:
    """Writes the blocks of one request.

    ``own`` says that the request came from a client of this dialect and goes to the model it asked for: then it leaves
    as it was written, and the provider is the judge of it.
    """

    def __init__(self, request: ir.Request, model: str, tools: Lowered, report: Report, *, own: bool) -> None:
        self._request = request
        self._model = model
        self._tools = tools
        self._report = report
        self._own = own

    def blocks(self, parts: tuple[ir.Part, ...]) -> list[Block]:
        """The blocks of ``parts``, in order."""
        return [block for part in parts for block in _WRITERS[type(part)](self, part)]

    def cache(self, block: Block, mark: ir.CacheMark | None, path: str) -> None:
        """Put a breakpoint on a block."""
        if mark is None:
            return
        ttl = mark.ttl
        if not self._own and ttl not in _TTL:
            self._report.degraded(
                f"{self._report.at(path, 'cache')}.ttl", f"a cache lives 5m or 1h here, not {ttl}: 1h is asked for"
            )
            ttl = "1h"
        block["cache_control"] = {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}

    def ext(self, block: Block, ext: ir.Ext | None, path: str) -> None:
        """Write back what only this dialect knows; report what only another one does."""
        if ext is None:
            return
        if ext.dialect == NAME:
            for name, value in ext.fields.items():
                block[name.removeprefix(".")] = json.raw(value)  # with a dot it is a spelling of what is not lost
        else:
            self._report.ext(ext, NAME, path)

    def plain(self, parts: tuple[ir.Part, ...]) -> str | None:
        """The text of content the client wrote as a plain string, which goes back as one."""
        if len(parts) != 1:
            return None
        part = parts[0]
        if not isinstance(part, ir.Text) or part.cache or part.citations or part.ext:
            return None
        return None if part.path.endswith("]") else part.text

    # --- text ---

    def _text(self, part: ir.Text) -> list[Block]:
        if not self._own and not part.text.strip():
            if part.text or part.cache is not None:
                self._report.dropped(part.path, "a text of white space alone is refused by the provider")
            return []  # an empty text says nothing: nothing is lost
        block: Block = {"type": "text", "text": part.text}
        if part.citations:
            if part.citations_dialect == NAME:
                block["citations"] = [json.raw(raw) for raw in part.citations]
            else:
                self._report.dropped(self._report.at(part.path, "citations"), "these citations are another provider's")
        if part.phase is not None:
            self._report.dropped(self._report.at(part.path, "phase"), f"{NAME} has no phases")
        self.cache(block, part.cache, part.path)
        self.ext(block, part.ext, part.path)
        return [block]

    def _refusal(self, part: ir.Refusal) -> list[Block]:
        self._report.degraded(part.path, "a refusal is sent as text")
        return [{"type": "text", "text": part.text}] if part.text.strip() else []

    # --- media ---

    def _image(self, part: ir.Image) -> list[Block]:
        if part.detail not in (None, "auto"):
            self._report.dropped(self._report.at(part.path, "detail"), f"{NAME} has no level of detail")
        block: Block = {"type": "image", "source": self._image_source(part)}
        self.cache(block, part.cache, part.path)
        self.ext(block, part.ext, part.path)
        return [block]

    def _image_source(self, part: ir.Image) -> Block:
        source = part.source
        if source.kind is ir.SourceKind.BASE64:
            media_type = source.media_type
            if not self._own:
                media_type = _IMAGES.get((media_type or _sniffed(source.data) or "").lower())
                if media_type is None:
                    raise self._report.refuse(
                        part.path, f"{NAME} reads JPEG, PNG, GIF and WebP images, not {source.media_type or 'this one'}"
                    )
            return _base64(source.data, media_type)
        if source.kind is ir.SourceKind.URL:
            return {"type": "url", "url": source.data}
        if source.kind is ir.SourceKind.FILE_ID:
            return self._file(part.path, source)
        raise self._report.refuse(part.path, "an image can not be made of text")

    def _document(self, part: ir.Document) -> list[Block]:
        block: Block = {"type": "document", "source": self._document_source(part)}
        if part.name is not None:
            block["title"] = part.name
        if part.context is not None:
            block["context"] = part.context
        if part.citations is not None:
            block["citations"] = {"enabled": part.citations}
        self.cache(block, part.cache, part.path)
        self.ext(block, part.ext, part.path)
        return [block]

    def _document_source(self, part: ir.Document) -> Block:
        source = part.source
        if source.kind is ir.SourceKind.URL:
            return {"type": "url", "url": source.data}
        if source.kind is ir.SourceKind.FILE_ID:
            return self._file(part.path, source)
        if source.kind is ir.SourceKind.TEXT:
            return {"type": "text", "media_type": source.media_type or "text/plain", "data": source.data}
        media_type = source.media_type
        if self._own:
            return _base64(source.data, media_type)
        if media_type in (None, "application/octet-stream"):
            media_type = "application/pdf" if source.data.startswith("JVBERi") else media_type
        if media_type == "application/pdf":
            return _base64(source.data, media_type)
        if media_type in _IMAGES:
            raise self._report.refuse(part.path, "send an image as an image, not as a file")
        text = _text_file(source.data, media_type, part.name)
        if text is None:
            raise self._report.refuse(
                part.path, f"{NAME} reads PDF and text files, not {media_type or 'files of unknown type'}"
            )
        return {"type": "text", "media_type": "text/plain", "data": text}

    def _file(self, path: str, source: ir.Source) -> Block:
        if self._request.dialect != NAME:
            raise self._report.refuse(path, "the file lies with another provider: send its content")
        return {"type": "file", "file_id": source.data}

    def _audio(self, part: ir.Audio) -> list[Block]:
        raise self._report.refuse(part.path, f"{NAME} takes no audio")

    # --- thoughts ---

    def _reasoning(self, part: ir.Reasoning) -> list[Block]:
        text = part.text or "\n\n".join(part.summary)
        usable = [material for material in part.opaque if self._usable(material)]
        blocks: list[Block] = []
        for material in usable:
            if carrier.is_redacted(material):
                blocks.append({"type": "redacted_thinking", "data": material.data})
            else:
                blocks.append({"type": "thinking", "thinking": text, "signature": material.data})
                text = ""
        if not usable:
            if part.opaque or capabilities.is_claude(self._model):
                reason = "is another provider's or another model's" if part.opaque else "is missing"
                self._report.dropped(part.path, f"the proof over these thoughts {reason}")
                return []
            # Servers that are no Claude think without proofs and take their thoughts back as they came.
            blocks.append({"type": "thinking", "thinking": text, "signature": ""})
        self.ext(blocks[0], part.ext, part.path)
        return blocks

    def _usable(self, material: ir.Opaque) -> bool:
        if material.provider != PROVIDER or material.kind not in (
            ir.OpaqueKind.SIGNATURE,
            ir.OpaqueKind.REDACTED,
        ):
            return False
        # A client of ours knows the model by its own name: what it got under that name came from this provider.
        mine = self._request.dialect == NAME and material.model == self._request.model
        return mine or opaque.usable(material, PROVIDER, self._model)

    # --- tools ---

    def _tool_call(self, part: ir.ToolCall) -> list[Block]:
        call = self._tools.call(part)
        arguments, whole = as_object(call.arguments)
        if not whole:
            if self._request.dialect == NAME:
                arguments = call.arguments.encode("utf-8", "surrogatepass")
            else:
                self._report.degraded(
                    self._report.at(part.path, "arguments"), "the arguments are no JSON object: sent under _raw"
                )
        if part.opaque:
            self._report.dropped(
                self._report.at(part.path, "opaque"), "a call carries no other provider's material here"
            )
        block: Block = {"type": "tool_use", "id": call.id, "name": call.name, "input": json.raw(arguments)}
        self.cache(block, part.cache, part.path)
        self.ext(block, part.ext, part.path)
        return [block]

    def _tool_result(self, part: ir.ToolResult) -> list[Block]:
        result = self._tools.result(part)
        block: Block = {"type": "tool_result", "tool_use_id": result.id}
        plain = self.plain(result.parts)
        if plain is not None:
            if plain or self._own:
                block["content"] = plain
        elif result.parts:
            block["content"] = self.blocks(result.parts)
        if result.is_error is not None:
            block["is_error"] = result.is_error
        self.cache(block, part.cache, part.path)
        self.ext(block, part.ext, part.path)
        return [block]

    def _hosted(self, part: ir.Hosted) -> list[Block]:
        if part.dialect == NAME:
            return [json.fields(part.raw, part.path)]
        text = hosted.as_text(part, NAME, self._report)
        return [] if text is None else [{"type": "text", "text": text}]


_WRITERS: dict[type, Callable[[BlockWriter, Any], list[Block]]] = {
    ir.Text: BlockWriter._text,
    ir.Image: BlockWriter._image,
    ir.Document: BlockWriter._document,
    ir.Audio: BlockWriter._audio,
    ir.Reasoning: BlockWriter._reasoning,
    ir.Refusal: BlockWriter._refusal,
    ir.ToolCall: BlockWriter._tool_call,
    ir.ToolResult: BlockWriter._tool_result,
    ir.Hosted: BlockWriter._hosted,
}


def _base64(data: str, media_type: str | None) -> Block:
    return {"type": "base64", "media_type": media_type, "data": data}


_MAGIC = (("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp"))


def _sniffed(data: str) -> str | None:
    """The media type an image's first bytes show."""
    return next((media_type for magic, media_type in _MAGIC if data.startswith(magic)), None)


_TEXT_TYPES = ("application/json", "application/xml", "application/yaml", "application/javascript", "application/csv")
_TEXT_NAMES = (".txt", ".md", ".csv", ".json", ".xml", ".yaml", ".yml", ".py", ".js", ".html", ".log")


def _text_file(data: str, media_type: str | None, name: str | None) -> str | None:
    """The text of a file that is one; None when it is not."""
    said = (media_type or "").partition(";")[0]
    if not said.startswith("text/") and said not in _TEXT_TYPES and not (name or "").lower().endswith(_TEXT_NAMES):
        return None
    try:
        return base64.b64decode(data, validate=False).decode()
    except (binascii.Error, ValueError):
        return None
