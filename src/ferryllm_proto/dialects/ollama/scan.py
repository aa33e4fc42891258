"""Watches an answer that passes through byte for byte; replaces the model's name where asked to.  [hot]"""

from __future__ import annotations

from ... import ir, json
from ...errors import RemoteProtocolError
from ...held import HeldBody
from ...ndjson import MAX_LINE
from . import errors, response, wire
from .stream_decoder import fold, is_lines
from .usage import decode_finish, decode_usage


class _Scan:
    """What both forms of an answer tell."""

    def __init__(self, model: str | None) -> None:
        self.usage: ir.Usage | None = None
        self.model: str | None = None
        self.finish: ir.FinishReason | None = None
        self.error: ir.Error | None = None
        self.complete = False
        self.missing_end = b""
        self._name = None if model is None else json.encode_str(model)

    @property
    def last(self) -> bool:
        """As `dialect.Scanner.last`."""
        return self.complete


class StreamScanner(_Scan):
    """Whole lines are looked at; without a new name the bytes go out before that, as they came."""

    def __init__(self, model: str | None) -> None:
        super().__init__(model)
        self._rest = b""
        self._called = False
        self._lost = False
        self._known, self._replaced = b"", b""
        """The last line's beginning, up to the end of the model's name, as it came and as it left."""

    def receive_data(self, data: bytes) -> bytes:
        """Bytes to pass on."""
        if self._lost:
            return data
        cut = data.rfind(b"\n") + 1
        if cut == 0:
            self._rest += data
            if len(self._rest) > MAX_LINE:  # no line end in sight: nothing here is worth holding
                held, self._rest, self._lost = self._rest, b"", True
                return data if self._name is None else held
            return data if self._name is None else b""
        lines = self._rest + data[:cut] if self._rest else data[:cut]
        self._rest = data[cut:]
        if self._name is None:
            self._look(lines)
            return data
        lines = b"\n".join([self._line(line, self._name) for line in lines.split(b"\n")])
        self._look(lines)
        return lines

    def receive_eof(self) -> bytes:
        """What was held."""
        line, self._rest = self._rest, b""
        if self._name is not None:
            line = self._line(line, self._name)
        self._look(line)
        return b"" if self._name is None else line

    def receive_whole(self, data: bytes) -> bytes:
        """As `dialect.Scanner.receive_whole`."""
        return self.receive_data(data) + self.receive_eof()

    def _line(self, line: bytes, name: bytes) -> bytes:
        known = self._known
        # The lines of a stream begin alike, with the model's name; a second name in the line would win.
        if known and line.startswith(known) and line.find(b'"model"', len(known)) < 0:
            return self._replaced + line[len(known) :]
        if line.find(b'"model"') < 0:
            return line
        span = json.find(line, ("model",))
        if span is None:
            return line
        self._known, self._replaced = line[: span[1]], line[: span[0]] + name
        return self._replaced + line[span[1] :]

    def _look(self, lines: bytes) -> None:
        if self.complete or not (
            lines.find(b'"done":true') >= 0
            or lines.find(b'"done": true') >= 0
            or lines.find(b'"error"') >= 0
            or lines.find(b"tool_calls") >= 0
        ):
            return
        for line in lines.split(b"\n"):
            if line.find(b'"done"') >= 0 or line.find(b'"error"') >= 0:
                self._read(line)

    def _read(self, data: bytes) -> None:
        try:
            line = json.decode(data, wire.line)
        except RemoteProtocolError:
            return  # the client sees the same bytes and is the judge of them
        if errors.has_error(line.error):
            self.error = errors.in_band(data)
            return
        if line.message is not None and line.message.tool_calls:
            self._called = True
        if line.done and not self.complete:
            self.usage, self.finish = decode_usage(line), decode_finish(line, called=self._called)
            self.complete = True


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
        try:
            found = fold(data) if is_lines(data) else response.decode(data)
        except RemoteProtocolError as exc:
            self.error = exc.error
        else:
            self.usage, self.finish, self.model = found.usage, found.finish, found.model or None
            self.complete = True
        if self._name is None:
            return data
        span = json.find(data, ("model",))
        return data if span is None else data[: span[0]] + self._name + data[span[1] :]
