"""Watches a Chat answer that passes through byte for byte; replaces the model's name where asked to.  [hot]"""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...errors import RemoteProtocolError
from ...held import HeldBody
from ...octets import BACKSLASH, QUOTE
from ...sse import MAX_EVENT_SIZE
from . import chunks, errors, plain, response
from .usage import decode_finish, decode_usage


def _is_plain(data: bytes) -> bool:
    """Whether nothing in ``data`` needs decoding.

    A chain of ``find``, because it measured faster per chunk than ``in``, a loop over a tuple or a regular expression.
    """
    return not (
        data.find(b'"finish_reason":"') >= 0
        or data.find(b'"finish_reason": "') >= 0
        or data.find(b'"usage":{') >= 0
        or data.find(b'"usage": {') >= 0
        or data.find(b'"error"') >= 0
        or data.find(b"_call") >= 0
        or data.find(b'"refusal":"') >= 0
        or data.find(b"[DONE]") >= 0
    )


_TEXT = b'"content":"'
_FIRST = 2048
"""Bytes of a long read that are read as they come, to learn from them how the rest goes on."""


def _span(data: bytes) -> tuple[int, int] | None:
    """Where the model's name is; None in broken JSON, which stays as it is."""
    try:
        return json.find(data, ("model",))
    except (msgspec.DecodeError, ValueError):
        return None


class _Scan:
    """What both forms of an answer tell."""

    usage: ir.Usage | None = None
    model: str | None = None
    finish: ir.FinishReason | None = None
    error: ir.Error | None = None
    complete = last = False
    missing_end = b""

    def __init__(self, model: str | None) -> None:
        self._name = None if model is None else json.encode_str(model)


class StreamScanner(_Scan):
    """Whole lines are looked at; without a new name the bytes go out before that, as they came."""

    def __init__(self, model: str | None) -> None:
        super().__init__(model)
        self._rest = b""
        self._called = False
        self._refused = False
        self._lost = False
        self._known = b""
        """The last event's beginning, up to the end of the model's name."""
        self._replaced = b""
        self._before, self._shown, self._behind = b"", b"", b""
        """The last plain event around its text: as it came, as it leaves, and what follows the text."""

    def receive_data(self, data: bytes) -> bytes:
        """Bytes to pass on."""
        before, behind = self._before, self._behind
        if before and not self._rest and data.startswith(before) and data.endswith(behind):
            # The usual read: the last event again but for its text. Without a quote and a backslash in it nothing
            # else can have changed.
            text = data[len(before) : -len(behind)]
            if QUOTE not in text and BACKSLASH not in text and len(before) + len(behind) <= len(data):
                return data if self._name is None else self._shown + data[len(before) :]
            out = self._repeated(data, before, behind)
            if out is not None:
                return out
        elif not before and not self._rest and len(data) > _FIRST and (cut := data.find(b"\n\n", _FIRST) + 2) > 1:
            first = self._read(data[:cut])
            return first + (self.receive_data(data[cut:]) if self._before else self._read(data[cut:]))
        return self._read(data)

    def _read(self, data: bytes) -> bytes:
        begun = bool(self._rest)
        out = self._scan(data)
        if not self._rest and data.endswith(b"\n\n"):
            last = data.rfind(b"\n\n", 0, len(data) - 2) + 2
            if last > 1:
                self._learn(data[last:], out[out.rfind(b"\n\n", 0, len(out) - 2) + 2 :])
            elif not begun:
                self._learn(data, out)
        return out

    def _repeated(self, data: bytes, before: bytes, behind: bytes) -> bytes | None:
        """A read of nothing but the event that is known, around other texts, as it leaves; None for any other read."""
        pieces = data.split(behind)
        pieces.pop()
        size, shown = len(before), self._shown
        out = []
        for piece in pieces:
            text = piece[size:]
            # Without a quote and a backslash in the text nothing else can have changed.
            if QUOTE in text or BACKSLASH in text or not piece.startswith(before):
                return None
            out.append(shown + text)
        if self._name is None:
            return data
        out.append(b"")
        return behind.join(out)

    def _learn(self, data: bytes, out: bytes) -> None:
        """Remember one plain event with one text, however it leaves."""
        at = data.find(_TEXT) + len(_TEXT)
        end = data.find(b'"', at)
        if at < len(_TEXT) or end < 0 or BACKSLASH in data[at:end] or not data.startswith(b"data:"):
            return
        if data.find(b"\n") != len(data) - 2 or not out.endswith(data[at:]) or not _is_plain(data):
            return
        self._before, self._behind = data[:at], data[end:]
        self._shown = out[: len(out) - len(data) + at]

    def _scan(self, data: bytes) -> bytes:
        cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if self._lost:
            return data
        if cut == 0:
            self._rest += data
            if len(self._rest) > MAX_EVENT_SIZE:  # no line end in sight: nothing here is worth holding
                held, self._rest, self._lost = self._rest, b"", True
                return data if self._name is None else held
            return data if self._name is None else b""
        lines = self._rest + data[:cut] if self._rest else data[:cut]
        self._rest = data[cut:]
        if self._name is not None:
            lines = self._rename(lines)
            self._look(lines)
            return lines
        self._look(lines)
        return data

    def receive_eof(self) -> bytes:
        """What was held."""
        lines, self._rest = self._rest, b""
        if not lines:
            return b""
        if self._name is not None:
            lines = self._rename(lines)
        self._look(lines)
        return b"" if self._name is None else lines

    def receive_whole(self, data: bytes) -> bytes:
        """As `dialect.Scanner.receive_whole`."""
        return self.receive_data(data) + self.receive_eof()

    def _rename(self, lines: bytes) -> bytes:
        name = self._name
        if name is None or lines.find(b'"model"') < 0:
            return lines
        # Splitting at \n alone keeps every byte; a CR stays at the end of its line, outside the JSON.
        return b"\n".join([self._line(line, name) for line in lines.split(b"\n")])

    def _line(self, line: bytes, name: bytes) -> bytes:
        known = self._known
        # The chunks of a stream begin alike, up to the name and beyond: then it is where it was in the last one.
        if known and line.startswith(known) and line.find(b'"model"', len(known)) < 0:
            return self._replaced + line[len(known) :]
        at = line.find(b"{")
        if not line.startswith(b"data:") or at < 0 or line.find(b'"model"') < 0:
            return line
        span = _span(line[at:])
        if span is None:
            return line
        start, end = at + span[0], at + span[1]
        self._known, self._replaced = line[:end], line[:start] + name
        return self._replaced + line[end:]

    def _look(self, lines: bytes) -> None:
        if _is_plain(lines):
            return
        for line in lines.replace(b"\r", b"\n").split(b"\n"):
            if not line.startswith(b"data:") or _is_plain(line):
                continue
            data = line[5:].strip()
            if data.startswith(b"[DONE]"):
                self.complete = self.last = True
                if self.finish is None:
                    self.finish = ir.FinishReason.TOOL_USE if self._called else ir.FinishReason.END
            elif data.startswith(b"{"):
                self._chunk(data)

    def _chunk(self, data: bytes) -> None:
        try:
            chunk = json.decode(data, chunks.chunk)
        except RemoteProtocolError:
            return  # the client sees the same bytes and is the judge of them
        if errors.has_error(chunk.error) or (chunk.choices is None and errors.is_bare(data)):
            self.error = errors.in_band(data)
            return
        usage = decode_usage(chunk.usage)
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta is not None and (delta.tool_calls or delta.function_call is not None):
                self._called = True
            if delta is not None and delta.refusal:
                self._refused = True
            usage = usage or decode_usage(choice.usage)
            if choice.finish_reason and not choice.index and self.finish is None:
                self.finish = decode_finish(
                    choice.finish_reason, called=self._called, refused=self._refused, stop=None
                )[0]
                self.complete = True
        if usage is None and bytes(chunk.x_groq):
            try:
                usage = decode_usage(json.decode(chunk.x_groq, chunks.x_groq).usage)
            except RemoteProtocolError:
                usage = None
        if usage is not None:
            self.usage = usage if self.usage is None else self.usage.merge(usage)


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
        told = plain.told(data)
        if told is None:
            self._read(data)
        else:
            self.usage, self.finish, self.model = told
            self.complete = True
        if self._name is None:
            return data
        span = _span(data)
        return data if span is None else b"%b%b%b" % (data[: span[0]], self._name, data[span[1] :])

    def _read(self, body: bytes) -> None:
        try:
            found = response.decode(body)
        except RemoteProtocolError as exc:
            self.error = exc.error
        else:
            self.usage, self.finish, self.model = found.usage, found.finish, found.model or None
            self.complete = True
