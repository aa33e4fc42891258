"""The words of a provider's error, fit for a client: keys and host names out, markup gone, not endless (E9).

Apart from the dialects, because what proxies and servers send instead of their protocol is the same behind each.
"""

from __future__ import annotations

import re

from . import json
from .errors import RemoteProtocolError
from .sse import FrameDecoder

MAX_MESSAGE = 2000
"""Characters of a message that are shown: enough for any real one, not for a page of HTML."""

_SECRET = re.compile(
    r"\b(?:(?:sk|pk|rk|key|api|xai|gsk|hf|pplx|r8|tok)[-_]|AIza)[A-Za-z0-9_*.-]{8,}"
    r"|(?i:(?<=bearer )[A-Za-z0-9._~+/*-]{8,})"
)
_MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]{0,500}>", re.DOTALL | re.IGNORECASE)
_HOST = re.compile(
    r"\bhttps?://[^\s\"'<>]+|\b(?:[a-zA-Z0-9_-]+\.)+[a-zA-Z]{2,12}:\d{2,5}\b|\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"
    r"|\b(?:[a-z0-9-]+\.)+(?:com|net|org|io|ai|dev|app|cloud|internal|local|lan|corp)\b"
)


def trimmed(message: str) -> str:
    """``message`` without keys, at most `MAX_MESSAGE` characters of it."""
    message = _SECRET.sub("[key]", message)
    return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 3] + "..."


def page(body: bytes) -> str:
    """HTML or plain text as a sentence, "" when it has no words; hosts of somebody's network are not shown."""
    text = body[: 16 * MAX_MESSAGE].decode("utf-8", "replace")
    return trimmed(_HOST.sub("[host]", " ".join(_MARKUP.sub(" ", text).split())))


_SAID = ("message", "detail", "error_message", "msg", "error_description")
"""Members in which servers and proxies of every kind say what went wrong."""


def spoken(body: bytes) -> str:
    """The words of an error object of any server, "" where there are none.

    For what proxies of other makers answer in the place of a provider's own error: FastAPI's ``detail``, ``{"error":
    {"message": ...}}``, ``{"errors": [...]}``, all of them also as the first item of an array.
    """
    try:
        return trimmed(_spoken(json.loads(body), 0))
    except RemoteProtocolError:
        return ""


def unsuccessful(body: bytes) -> bool:
    """Whether an object says nothing but that there is no answer: ``{"success": false, ...}`` (E8)."""
    if b'"success"' not in body:
        return False
    try:
        return bytes(json.fields(body).get("success", b"")) == b"false"
    except RemoteProtocolError:
        return False


def _spoken(value: object, depth: int) -> str:
    if isinstance(value, str):
        return value
    if depth > 4:  # no server says it deeper
        return ""
    if isinstance(value, list):
        return _spoken(value[0], depth + 1) if value else ""
    if not isinstance(value, dict):
        return ""
    inner = (value.get(name) for name in ("error", "errors", *_SAID))
    return next((text for one in inner if one and (text := _spoken(one, depth + 1))), "")


def unframed(body: bytes) -> bytes:
    """The data of the first event where ``body`` is a stream, as some servers send their errors; else ``body``.

    What is no UTF-8 is U+FFFD in it: clients are shown parts of it inside JSON (wire.md 8.9).
    """
    body = json.mend_utf8(body)
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.startswith((b"data:", b"event:")):
        return body
    frames = FrameDecoder(max_event_size=len(start) + 1)
    found = frames.receive_data(start) + frames.receive_eof()
    return found[0].data if found else body
