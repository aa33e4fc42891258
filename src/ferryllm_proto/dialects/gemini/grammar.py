"""A judge of streams for Gemini clients.

Written from the protocol and from what the official SDKs insist on: lines that begin with exactly ``data: ``, no
comments and no terminator; or one JSON array. It knows nothing of the encoder.
"""

from __future__ import annotations

import re
from typing import Any

from ... import json
from ...errors import RemoteProtocolError
from ...grammar import Problem, Seen

MAX_STREAM = 256 << 20
"""Bytes that are judged: a stream is held until its end."""

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")

_PAYLOADS = frozenset(
    {
        "text",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
    }
)
_REASONS = frozenset(
    {
        "STOP",
        "MAX_TOKENS",
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "OTHER",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "MALFORMED_FUNCTION_CALL",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_OTHER",
        "NO_IMAGE",
        "IMAGE_RECITATION",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "CONTINUATION",
        "MODEL_ARMOR",
    }
)
_COUNTERS = (
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
    "toolUsePromptTokenCount",
    "totalTokenCount",
)


class StreamGrammar:
    """See `ferryllm_proto.grammar.Grammar`; ``sse`` is the framing the client asked for."""

    def __init__(self, *, sse: bool = True) -> None:
        self.problems: list[Problem] = []
        self.seen = Seen(tools=[])
        self._sse = sse
        self._held = bytearray()
        self._event = 0
        self._ids: dict[str, str] = {}
        self._over = False

    def receive_data(self, data: bytes) -> None:
        """Bytes as the client gets them."""
        self._held += data
        if len(self._held) > MAX_STREAM:
            self._held.clear()
            self._problem("framing", f"more than {MAX_STREAM} bytes without an end")
        if not self._sse:
            return
        # A carriage return at the end may be half of an end.
        while (found := _END.search(self._held, 0)) is not None:
            if found[0] == b"\r\r" and found.end() == len(self._held):
                break
            block = bytes(self._held[: found.start()])
            del self._held[: found.end()]
            self._block(block)

    def receive_eof(self) -> None:
        """The stream is over."""
        if self._over:
            return
        self._over = True
        rest = bytes(self._held)
        self._held.clear()
        if self._sse:
            if rest.rstrip(b"\r\n"):
                self._problem("framing", "the last event has no blank line behind it")
                self._block(rest.rstrip(b"\r\n"))
        else:
            self._array(rest)
        if not self.seen.ended and not self.seen.failed:
            self._problem("cut", "the stream has neither a finishReason nor an error")

    def _problem(self, rule: str, message: str) -> None:
        self.problems.append(Problem(self._event, rule, message))

    # --- framing -----------------------------------------------------------------------------------------

    def _block(self, block: bytes) -> None:
        lines = re.split(rb"\r\n|\n|\r", block)
        data = [line[6:] for line in lines if line.startswith(b"data: ")]
        if len(data) != 1 or len(lines) != 1:
            self._problem("framing", "an event is one line that begins with 'data: '")
        if data:
            self._value(b"\n".join(data))
        self._event += 1

    def _array(self, data: bytes) -> None:
        try:
            value = json.loads(data)
        except RemoteProtocolError as exc:
            self._problem("framing", f"the stream is no JSON: {exc}")
            return
        if not isinstance(value, list):
            self._problem("framing", "the stream is not one JSON array")
            return
        for item in value:
            self._chunk(item)
            self._event += 1

    def _value(self, data: bytes) -> None:
        try:
            value = json.loads(data)
        except RemoteProtocolError as exc:
            self._problem("framing", f"the data is no JSON: {exc}")
            return
        self._chunk(value)

    # --- chunks ------------------------------------------------------------------------------------------

    def _chunk(self, chunk: Any) -> None:
        if not isinstance(chunk, dict):
            self._problem("field", "a chunk is an object")
            return
        if self.seen.failed:
            self._problem("order", "something follows the error")
        if "error" in chunk:
            self._error(chunk)
            return
        for name in ("modelVersion", "responseId"):
            value = chunk.get(name)
            if value is None:
                continue
            if not isinstance(value, str) or self._ids.setdefault(name, value) != value:
                self._problem("field", f"{name} is a string and the same in every chunk")
        candidates = chunk.get("candidates", [])
        if not isinstance(candidates, list):
            self._problem("field", "candidates is an array")
            candidates = []
        for candidate in candidates:
            self._candidate(candidate)
        self._feedback(chunk.get("promptFeedback"), candidates)
        self._usage(chunk.get("usageMetadata"))

    def _error(self, chunk: dict[str, Any]) -> None:
        error = chunk["error"]
        self.seen.failed = True
        if self.seen.ended:
            self._problem("order", "an error follows the end")
        if len(chunk) != 1 or not isinstance(error, dict):
            self._problem("field", "an error is an object, alone in its chunk")
            return
        code, message, status = error.get("code"), error.get("message"), error.get("status")
        if not isinstance(code, int) or isinstance(code, bool) or not 400 <= code <= 599:
            self._problem("field", "error.code is an HTTP status of an error")
        if not isinstance(message, str) or not isinstance(status, str) or not status.isupper():
            self._problem("field", "error.message is a string and error.status a word in capitals")

    def _feedback(self, found: Any, candidates: list[Any]) -> None:
        if found is None:
            return
        if not isinstance(found, dict) or not isinstance(found.get("blockReason"), str):
            self._problem("field", "promptFeedback has a blockReason")
        elif not candidates:
            self.seen.ended, self.seen.finish = True, found["blockReason"]

    def _usage(self, found: Any) -> None:
        if found is None:
            return
        if not isinstance(found, dict):
            self._problem("field", "usageMetadata is an object")
            return
        for name in _COUNTERS:
            value = found.get(name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                self._problem("field", f"usageMetadata.{name} is a number of tokens")
        self.seen.usage = found

    def _candidate(self, found: Any) -> None:
        if not isinstance(found, dict):
            self._problem("field", "a candidate is an object")
            return
        index = found.get("index", 0)
        if index != 0:
            if not isinstance(index, int) or isinstance(index, bool) or index < 0:
                self._problem("index", "the index of a candidate is a number from 0 on")
            return
        content = found.get("content")
        parts = self._content(content) if content is not None else []
        if self.seen.ended and any(_says_something(part) for part in parts):
            self._problem("order", "content follows the finishReason")
        for part in parts:
            self._part(part)
        reason = found.get("finishReason")
        if reason is None:
            return
        if not isinstance(reason, str) or reason not in _REASONS:
            self._problem("field", "finishReason is none of the enum")
        if self.seen.ended:
            self._problem("terminal", "a second finishReason")
        # A model that runs code says STOP with the code, and goes on when it has run.
        runs = bool(parts) and isinstance(parts[-1], dict) and "executableCode" in parts[-1]
        self.seen.ended, self.seen.finish = not runs, reason if isinstance(reason, str) else None

    def _content(self, found: Any) -> list[Any]:
        if not isinstance(found, dict) or found.get("role", "model") != "model":
            self._problem("field", "content is an object with the role model")
            return []
        parts = found.get("parts", [])
        if not isinstance(parts, list):
            self._problem("field", "parts is an array")
            return []
        return parts

    def _part(self, part: Any) -> None:
        if not isinstance(part, dict) or len(_PAYLOADS & part.keys()) != 1:
            self._problem("field", "a part has one kind of data")
            return
        signature = part.get("thoughtSignature")
        if signature is not None and not (isinstance(signature, str) and _BASE64.fullmatch(signature)):
            self._problem("field", "thoughtSignature is base64")
        if part.get("thought") not in (None, True, False):
            self._problem("field", "thought is true or false")
        if "text" in part:
            self._text(part)
        elif "functionCall" in part:
            self._call(part["functionCall"])

    def _text(self, part: dict[str, Any]) -> None:
        text = part["text"]
        if not isinstance(text, str):
            self._problem("field", "text is a string")
        elif part.get("thought"):
            self.seen.reasoning += text
        else:
            self.seen.text += text

    def _call(self, call: Any) -> None:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not call["name"]:
            self._problem("field", "functionCall has a name")
            return
        args = call.get("args", {})
        if not isinstance(args, dict):
            self._problem("field", "functionCall.args is an object")
            args = {}
        if not isinstance(call.get("id", ""), str):
            self._problem("field", "functionCall.id is a string")
        if "partialArgs" in call or call.get("willContinue"):
            self._problem("field", "functionCall comes whole: its client asked for no pieces")
        self.seen.tools.append((call["name"], json.encode(args).decode("utf-8", "surrogatepass")))


def _says_something(part: Any) -> bool:
    """Whether a part is more than the empty text real answers end with."""
    return not (isinstance(part, dict) and part.get("text") == "")
