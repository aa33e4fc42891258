"""Sources of a text from other dialects, as annotations of this one."""

from __future__ import annotations

from ... import json
from ...errors import RemoteProtocolError
from . import wire


def to_annotation(dialect: str, raw: bytes, end: int) -> bytes | None:
    """The annotation for a citation of ``dialect``; None where it names no page.

    ``end`` is the length, in characters, of the text so far: a source without a span of its own is about all of it.
    """
    if dialect == wire.NAME:
        return raw
    try:
        value = json.loads(raw)
    except RemoteProtocolError:
        return None
    if not isinstance(value, dict):
        return None
    inner = value.get("url_citation")
    source = inner if isinstance(inner, dict) else value
    url = source.get("url")
    if not isinstance(url, str):
        return None
    title = source.get("title")
    start, stop = source.get("start_index"), source.get("end_index")
    return json.encode(
        {
            "type": "url_citation",
            "start_index": start if isinstance(start, int) else 0,
            "end_index": stop if isinstance(stop, int) else end,
            "url": url,
            "title": title if isinstance(title, str) else url,
        }
    )
