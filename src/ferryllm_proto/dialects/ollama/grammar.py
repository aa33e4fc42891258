"""A judge of Ollama streams: what a strict client may rely on, written from the API's documentation and the types of
the Go and Python clients. It knows nothing of the encoder."""

from __future__ import annotations

import re
from typing import Any

from ... import json
from ...errors import RemoteProtocolError
from ...grammar import Problem, Seen
from .wire import is_generate

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", flags=re.ASCII)
_REASONS = ("stop", "length", "load", "unload")
_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
_COUNTS = ("prompt_eval_count", "eval_count")
_MAX_TAIL = 64 << 20
"""Bytes of one line that are looked at."""


class Grammar:
    """Judges one stream of ``/api/chat``, or of ``/api/generate`` where ``path`` says so."""

    def __init__(self, path: str | None = None) -> None:
        self.problems: list[Problem] = []
        self.seen = Seen(tools=[])
        self._thin = is_generate(path)
        self._tail = bytearray()
        self._number = 0
        self._model: str | None = None
        self._over = False

    def receive_data(self, data: bytes) -> None:
        """Take bytes in any cut."""
        *lines, tail = (bytes(self._tail) + data).split(b"\n") if b"\n" in data else (data,)
        if lines:
            self._tail.clear()
        self._tail += tail
        if len(self._tail) > _MAX_TAIL:
            self._tail.clear()
            self._problem("framing", "a line without an end")
        for line in lines:
            self._line(line)

    def receive_eof(self) -> None:
        """The stream is over."""
        if self._tail:
            self._problem("framing", "the last line has no line feed")
            line = bytes(self._tail)
            self._tail.clear()
            self._line(line)
        if not self.seen.ended and not self.seen.failed:
            self._problem("cut", 'found no line with "done": true and no error')

    def _problem(self, rule: str, message: str) -> None:
        self.problems.append(Problem(self._number, rule, message))

    def _line(self, data: bytes) -> None:
        try:
            self._object(data)
        finally:
            self._number += 1

    def _object(self, data: bytes) -> None:
        if self._over:
            self._problem("terminal", "found a line behind the last one")
            return
        try:
            value = json.loads(data)
        except RemoteProtocolError:
            self._problem("framing", "a line is no JSON in UTF-8")
            return
        if not isinstance(value, dict):
            self._problem("framing", "a line is no JSON object")
            return
        if "error" in value:
            self._error(value)
            return
        self._head(value)
        self._said(value)
        if value.get("done") is True:
            self._done(value)

    def _error(self, value: dict[str, Any]) -> None:
        self._over = self.seen.failed = True
        if not isinstance(value["error"], str) or not value["error"]:
            self._problem("field", "error: expected a text")
        if value.get("done") is True:
            self._problem("terminal", "a line is an error and a normal end")

    def _head(self, value: dict[str, Any]) -> None:
        model = value.get("model")
        if not isinstance(model, str):
            self._problem("field", "model: expected a text")
        elif self._model is None:
            self._model = model
        elif model != self._model:
            self._problem("identity", "model: another one than before")
        if not isinstance(value.get("created_at"), str) or not _STAMP.fullmatch(value["created_at"]):
            self._problem("field", "created_at: expected a time of RFC 3339")
        if type(value.get("done")) is not bool:
            self._problem("field", "done: expected true or false")
        if value.get("done") is not True:
            for name in ("done_reason", *_DURATIONS, *_COUNTS):
                if name in value:
                    self._problem("order", f"{name}: only the last line has it")

    def _said(self, value: dict[str, Any]) -> None:
        if self._thin:
            if "message" in value:
                self._problem("field", "message: this form has a response")
            self._words(value, "response", "")
            return
        message = value.get("message")
        if "response" in value or not isinstance(message, dict):
            self._problem("field", "message: expected an object, and no response beside it")
            return
        if message.get("role") != "assistant":
            self._problem("field", "message.role: expected assistant")
        self._words(message, "content", "message.")
        calls = message.get("tool_calls", [])
        if not isinstance(calls, list) or ("tool_calls" in message and not calls):
            self._problem("field", "message.tool_calls: expected an array with something in it")
            return
        for call in calls:
            self._call(call)

    def _words(self, value: dict[str, Any], name: str, path: str) -> None:
        text, thinking = value.get(name), value.get("thinking", "")
        if not isinstance(text, str):
            self._problem("field", f"{path}{name}: expected a text")
        else:
            self.seen.text += text
        if not isinstance(thinking, str):
            self._problem("field", f"{path}thinking: expected a text")
        else:
            self.seen.reasoning += thinking

    def _call(self, call: object) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(call, dict) or not isinstance(function, dict):
            self._problem("field", "message.tool_calls: expected objects with a function")
            return
        if not isinstance(call.get("id", ""), str):
            self._problem("field", "message.tool_calls.id: expected a text")
        index = function.get("index", len(self.seen.tools))
        if index != len(self.seen.tools):
            self._problem("index", f"function.index: expected {len(self.seen.tools)}")
        name, arguments = function.get("name"), function.get("arguments")
        if not isinstance(name, str) or not name:
            self._problem("field", "function.name: expected a text")
        if not isinstance(arguments, dict):
            self._problem("field", "function.arguments: expected an object")
        self.seen.tools.append((str(name), json.encode(arguments).decode()))

    def _done(self, value: dict[str, Any]) -> None:
        self._over = self.seen.ended = True
        self.seen.finish = value.get("done_reason")
        if self.seen.finish not in _REASONS:
            self._problem("field", f"done_reason: expected one of {', '.join(_REASONS)}")
        for name in (*_DURATIONS, *_COUNTS):
            count = value.get(name, 0)
            if type(count) is not int or count < 0:
                self._problem("field", f"{name}: expected a number of 0 or more")
        self.seen.usage = {name: value[name] for name in _COUNTS if name in value} or None
