"""Blocks only one dialect knows, said to a provider of another (translation.md A29, A30, R17).

The model should know that the search was made and what it found: such a block becomes text in its place, reported.
What cannot be told without harm is refused: media the target has no word for, and references to what only the other
provider keeps.
"""

from __future__ import annotations

from . import ir, json
from .errors import RemoteProtocolError
from .loss import Report

_MEDIA = frozenset({"video_url", "input_video", "video", "document_url", "audio_url"})
"""Content whose bytes are the point: text in their place would answer another question (C12)."""

_REFERENCES = frozenset({"item_reference"})
"""What only the other provider keeps: never answered without it (R10)."""

_SEALED = frozenset({"compaction"})
"""What stands for a part of the conversation. Where all that it says is encrypted, only its maker can read it (R17)."""

_UNREADABLE = frozenset(
    {"type", "id", "signature", "data", "tool_use_id", "cache_control", "file_id", "caller", "status"}
)
"""Members that mean nothing to another model."""

_URL = "data:"


def as_text(part: ir.Hosted, target: str, report: Report) -> str | None:
    """The block as text for a model of ``target``; None where nothing of it is readable, which is reported.

    Raises `RemoteProtocolError` for what must not be left out.
    """
    path = part.path or part.type
    if part.type in _MEDIA:
        raise report.refuse(path, f"{target} does not take {part.type} content")
    if part.type in _REFERENCES:
        raise report.refuse(path, f"{target} keeps no conversations: send the item itself")
    if part.type == "document":
        raise report.refuse(path, f"{target} takes no document that is made of more than text: send its parts")
    try:
        whole = json.loads(part.raw)
    except RemoteProtocolError:  # carried raw, so never looked into before
        whole = None
    value = _readable(whole)
    if not value and part.type in _SEALED and isinstance(whole, dict) and whole.get("encrypted_content"):
        why = f"only the provider that made this {part.type} can read it, and {target} is another"
        raise report.refuse(path, f"{why}: send the conversation it stands for")
    if not value:
        report.dropped(path, f"nothing in a {part.type} block of {part.dialect} can be read by another model")
        return None
    report.degraded(path, f"a {part.type} block of {part.dialect}: sent as text")
    return f"[{part.type}] {json.encode(value).decode('utf-8', 'replace')}"


def _readable(value: object) -> object:
    """``value`` without what only its provider can read, and without ids and bytes that mean nothing as text."""
    if isinstance(value, dict):
        kept = {k: _readable(v) for k, v in value.items() if not k.startswith("encrypted") and k not in _UNREADABLE}
        return {k: v for k, v in kept.items() if v not in (None, "", [], {})}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, str) and value.startswith(_URL):
        return ""
    return value
