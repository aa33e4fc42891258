"""Watches an answer that passes through byte for byte; replaces the model's name where asked to.  [hot]"""

from __future__ import annotations

from ... import ir, json
from ...dialect import Scanner
from ...error_text import unsuccessful
from ...errors import RemoteProtocolError
from ...held import HeldBody
from ...octets import CR
from ...sse import MAX_EVENT_SIZE
from . import errors, usage, wire
from .cutter import ArrayCutter
from .repeats import Repeats

_BLANK = b"\xef\xbb\xbf \t\r\n"


def scanner(*, stream: bool, model: str | None) -> Scanner:
    """The watcher for one answer."""
    return StreamScanner(model) if stream else BodyScanner(model)


class _Scan:
    """What all forms of an answer tell."""

    last = False
    """As `dialect.Scanner.last`: the reason to stop may have more behind it, and nothing is always the last."""

    def __init__(self, model: str | None) -> None:
        self.usage: ir.Usage | None = None
        self.model: str | None = None
        self.finish: ir.FinishReason | None = None
        self.error: ir.Error | None = None
        self.complete = False
        self.missing_end = b""
        self._name = None if model is None else json.encode_str(model)
        self._word: str | None = None
        self._blocked = False
        self._called = False
        self._counted = b""
        self._repeats = Repeats()
        self._behind: bytes | None = None
        """What follows the usage of the chunk that is known, as it leaves; None where that is not all that changes."""

    def _seen(self, data: bytes) -> bytes:
        """Take note of a chunk; returned is it with the model's name replaced."""
        if self._repeated(data):
            if self._name is None:
                return data
            if self._behind is not None:
                return data[: len(data) - len(self._repeats.behind)] + self._behind
            return self._rename(data)
        self._read(data)
        shown = self._rename(data)
        if self._learn(data):
            rest = len(data) - len(self._repeats.behind)
            # As a rule the name stands behind the usage.
            self._behind = shown[rest:] if shown[:rest] == data[:rest] else None
        return shown

    def _repeated(self, data: bytes) -> bool:
        """Take note of a chunk that is the last one again but for its text and its usage; whether it is."""
        found = None if self._word is not None or self.error is not None else self._repeats.take(data)
        if found is None:
            return False
        counted = found[1]
        if counted != self._counted:
            told = usage.decode(counted)
            if told is None:
                return False
            self._counted = counted
            self.usage = told if self.usage is None else self.usage.merge(told)
        return True

    def _learn(self, data: bytes) -> bool:
        """Remember a chunk, just read, that had one text and nothing else to say; whether it had."""
        if self._word is not None or self.error is not None or not self._counted or self._repeats.over:
            return False
        try:
            chunk = json.decode(data, wire.chunk)
            content = chunk.candidates[0].content if chunk.candidates and len(chunk.candidates) == 1 else None
            parts = content.parts if content is not None else None
            part = json.decode(parts[0], wire.answer_part) if parts and len(parts) == 1 else None
        except RemoteProtocolError:
            return False
        if part is None or not part.text or bytes(chunk.usageMetadata) != self._counted:
            return False
        return self._repeats.learn(data, part.text, self._counted)

    def _rename(self, data: bytes) -> bytes:
        """``data``, an object, with the model's name replaced."""
        if self._name is None or data.find(b"odel") < 0:
            return data
        for path in (("modelVersion",), ("model_version",), ("response", "modelVersion")):
            span = json.find(data, path)
            if span is not None:
                return b"%b%b%b" % (data[: span[0]], self._name, data[span[1] :])
        return data

    def _read(self, data: bytes) -> None:
        """Take note of one chunk. A broken one is for the client to judge, who sees the same bytes."""
        try:
            chunk = json.decode(data, wire.chunk)
            if chunk.candidates is None and json.kind(chunk.response) == "object":
                data = bytes(chunk.response)
                chunk = json.decode(data, wire.chunk)
            if (len(chunk.error) and errors.says_error(chunk.error)) or unsuccessful(data):
                self.error, self.complete = errors.in_band(data), False
                return
            if self.model is None:
                self.model = chunk.modelVersion or chunk.model_version or None
            self._candidates(chunk, data)
        except RemoteProtocolError:
            if data.find(b'"error"') >= 0:
                whole = b"[" + data if data.endswith(b"]") else data  # an error of the array form in an event
                self.error, self.complete = errors.in_band(whole), False
            return
        counted = chunk.usageMetadata if len(chunk.usageMetadata) else chunk.usage_metadata
        if len(counted) and bytes(counted) != self._counted:
            self._counted = bytes(counted)
            found = usage.decode(counted)
            if found is not None:
                self.usage = found if self.usage is None else self.usage.merge(found)

    def _candidates(self, chunk: wire.Chunk, data: bytes) -> None:
        self._called = self._called or data.find(b"unction_call") >= 0 or data.find(b"unctionCall") >= 0
        for candidate in chunk.candidates or ():
            if candidate.index:
                continue
            raw = candidate.finishReason if len(candidate.finishReason) else candidate.finish_reason
            word = usage.word(raw)
            if word is not None:
                self._word, self.complete = word, True
                # With code execution a model says STOP and goes on: then only the end of the bytes is the end.
                if data.find(b"executableCode") < 0:
                    self.finish = usage.finish(word, called=self._called)
            elif self._word is not None:
                self.finish = None
        feedback = chunk.promptFeedback or chunk.prompt_feedback
        if feedback is not None and not chunk.candidates:
            raw = feedback.blockReason if len(feedback.blockReason) else feedback.block_reason
            if usage.word(raw) is not None:
                self.finish, self.complete, self._blocked = ir.FinishReason.REFUSAL, True, True

    def _over(self) -> None:
        if self.complete and self.finish is None:
            self.finish = usage.finish(self._word or "STOP", called=self._called)


class StreamScanner(_Scan):
    """Events, or the elements of an array; without a new name the bytes go out as they came, at once."""

    def __init__(self, model: str | None) -> None:
        super().__init__(model)
        self._tail = b""
        self._cutter: ArrayCutter | None = None
        self._known = False
        """Whether the form of the stream is."""
        self._lost = False

    def receive_data(self, data: bytes) -> bytes:
        """Bytes to pass on."""
        if self._lost:
            return data
        if not self._known:
            start = (self._tail + data).lstrip(_BLANK)
            if not start:
                self._tail += data
                return data if self._name is None else b""
            self._known = True
            if start[:1] == b"[":
                self._cutter = ArrayCutter()
                held, self._tail = self._tail, b""
                out = self._elements(held + data)
                return data if self._name is None else out
        return self._lines(data) if self._cutter is None else self._array(data)

    def receive_whole(self, data: bytes) -> bytes:
        """As `dialect.Scanner.receive_whole`."""
        return self.receive_data(data) + self.receive_eof()

    def _array(self, data: bytes) -> bytes:
        out = self._elements(data)
        return data if self._name is None else out

    def _elements(self, data: bytes) -> bytes:
        assert self._cutter is not None
        try:
            pieces = self._cutter.receive_data(data)
        except RemoteProtocolError:  # nobody reads an element of that size here; the bytes go on
            self._lost = True
            pieces = [*self._cutter.pieces_before_fault, (False, self._cutter.rest())]
        out = []
        for is_element, piece in pieces:
            if is_element:
                piece = self._seen(piece)
            out.append(piece)
        return b"".join(out)

    def _lines(self, data: bytes) -> bytes:
        cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if cut == 0:
            self._tail += data
            if len(self._tail) > MAX_EVENT_SIZE:
                held, self._tail, self._lost = self._tail, b"", True
                return data if self._name is None else held
            return data if self._name is None else b""
        lines = self._tail + data[:cut] if self._tail else data[:cut]
        self._tail = data[cut:]
        out = self._look(lines)
        return data if self._name is None else out

    def _look(self, lines: bytes) -> bytes:
        """Read the lines; returned are they with the name replaced."""
        out = []
        # Splitting keeps every byte: line ends stay at their lines.
        for line in lines.splitlines(keepends=True) if CR in lines else lines.split(b"\n"):
            at = line.find(b"{")
            if at >= 0 and line.startswith(b"data:"):
                data = line[at:].rstrip(b"\r\n")
                line = line[:at] + self._seen(data) + line[at + len(data) :]
            out.append(line)
        return b"".join(out) if CR in lines else b"\n".join(out)

    def receive_eof(self) -> bytes:
        """What was held."""
        if self._cutter is None:
            lines, self._tail = self._tail, b""
            out = self._look(lines) if lines else b""
            self._over()
            return b"" if self._name is None else out
        rest = self._cutter.rest()
        if self._cutter.last == b",":
            self.complete = False  # the end of the array would stand behind a comma
        elif self.complete and not self._cutter.closed and not rest and self.error is None:
            self.missing_end = b"]"
        self._over()
        return b"" if self._name is None else rest


class BodyScanner(_Scan):
    """One JSON object, read at its end; held back only where the name must be replaced."""

    _body: HeldBody | None = None
    """Made by the first read: an answer that is there at once needs none."""

    def receive_data(self, data: bytes) -> bytes:
        """Bytes to pass on."""
        if self._body is None:
            self._body = HeldBody()
        return self._body.receive_data(data, hold=self._name is not None)

    def receive_eof(self) -> bytes:
        """What was held."""
        body = b"" if self._body is None else self._body.take()
        shown = self.receive_whole(body) if body else b""
        return b"" if self._name is None else shown

    def receive_whole(self, data: bytes) -> bytes:
        """As `dialect.Scanner.receive_whole`."""
        inner = data.lstrip(_BLANK)
        self._read(inner)
        if self.error is None and not self.complete:
            try:
                self.complete = bool(json.decode(inner, wire.chunk).candidates)
            except RemoteProtocolError:
                self.complete = False
        self._over()
        if self._name is None:
            return data
        try:
            json.fields(inner)
        except RemoteProtocolError:
            return data
        return data[: len(data) - len(inner)] + self._rename(inner)
