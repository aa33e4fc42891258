"""Results of tools as Chat's tool messages (translation.md A17 to A22).

What a tool message of the provider cannot hold goes to a user message behind the whole run and leaves a note.
"""

from __future__ import annotations

from ... import hosted, ir, tools
from .decode_parts import NAME
from .encode_parts import Scope, Wire, encode, fields_of, mark, parts, path_of, text_document, text_losses, unmarked
from .profile import Cache, ToolContent

ERROR_PREFIX = "[error] "
"""Before the text of a failed tool call: Chat has no field for it (A20)."""


def tool_message(
    found: ir.ToolResult, scope: Scope, lowered: tools.Lowered, legacy: set[str], media: list[ir.Part]
) -> Wire:
    result = lowered.result(found)
    path = found.path or f"tool result {found.id}"
    if found.ext is not None:
        scope.report.ext(found.ext, NAME, path)
    if found.id in legacy:
        message: Wire = {"role": "function"}
    else:
        message = {"role": "tool", "tool_call_id": result.id}
    if scope.native:
        if found.parts or found.ext is None:
            message["content"] = parts(list(found.parts), scope) if found.parts else ""
        message.update(mark(found, scope))
    else:
        message["content"] = _marked(_result_text(found, path, scope, media), found, scope)
    if result.name is not None and (scope.native or found.id in legacy):
        message["name"] = result.name
    if found.ext is not None:
        message.update(fields_of(found.ext))
    return message


def _marked(content: object, found: ir.ToolResult, scope: Scope) -> object:
    """``content`` of a tool message with the result's cache breakpoint on its last text."""
    if scope.profile.tool_content is ToolContent.STRING or scope.profile.cache is not Cache.MARK:
        unmarked(found, scope)
        return content
    fields = mark(found, scope)
    if not fields:
        return content
    pieces = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return [*pieces[:-1], {**pieces[-1], **fields}]


def _result_text(result: ir.ToolResult, path: str, scope: Scope, media: list[ir.Part]) -> object:
    """The content of a result; images and files that have no place in it go to ``media`` and leave a note."""
    pieces: list[Wire] = []
    moved: list[ir.Part] = []
    holds = scope.profile.tool_content
    for part in result.parts:
        said: str | None = None
        if isinstance(part, ir.Text):
            if part.citations or part.phase is not None or part.cache is not None or part.ext is not None:
                text_losses(part, scope)
                unmarked(part, scope)
            said = part.text
        elif isinstance(part, ir.Document) and part.source.kind is ir.SourceKind.TEXT:
            said = text_document(part, scope)
        elif isinstance(part, ir.Hosted):
            said = hosted.as_text(part, NAME, scope.report)
        elif isinstance(part, ir.Image) and holds is ToolContent.IMAGE:
            wire = encode(part, scope)
            if isinstance(wire, dict):
                pieces.append(wire)
        elif isinstance(part, (ir.Image, ir.Document, ir.Audio)):
            kind = type(part).__name__.lower()
            scope.report.degraded(path_of(part), f"a tool message holds no {kind} here: it follows as a user message")
            said = f"[{kind} of tool result {result.id}: see the next user message]"
            moved.append(part)
        else:
            scope.report.dropped(path_of(part), f"{type(part).__name__} has no place in a tool message")
        if said is not None:
            pieces.append({"type": "text", "text": said})
    if moved:
        media.append(ir.Text(f"[content of tool result {result.id}]"))
        media.extend(moved)
    if result.is_error:
        if found_path := result.path:  # else it is a placeholder of ours
            scope.report.degraded(scope.report.at(found_path, "is_error"), "Chat has no such field: the text says it")
        if pieces and pieces[0]["type"] == "text":
            pieces[0]["text"] = f"{ERROR_PREFIX}{pieces[0]['text']}"
        else:
            pieces.insert(0, {"type": "text", "text": ERROR_PREFIX})
    if not pieces:
        return ""
    if len(pieces) == 1 and pieces[0]["type"] == "text":
        return pieces[0]["text"]
    if holds is ToolContent.STRING:
        scope.report.degraded(path, "a tool message is one text here: the texts of this result are joined")
        return "".join(str(piece["text"]) for piece in pieces)
    return pieces
