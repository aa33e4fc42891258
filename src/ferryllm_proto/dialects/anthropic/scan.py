"""Watching answers that pass through: usage, reason to stop, errors, and the model's name where it has to be another.

Almost all bytes of a stream are content deltas; they are recognised by what is not in them and never decoded.
"""

from __future__ import annotations

from ... import ir, json
from ...errors import RemoteProtocolError
from ...held import HeldBody
from ...octets import CR
from ...sse import MAX_EVENT_SIZE
from . import errors, wire
from . import usage as usages
from .wire import given

MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class Scanner:
    """See `ferryllm_proto.dialect.Scanner`."""

    def __init__(self, *, stream: bool, model: str | None) -> None:
        self.usage: ir.Usage | None = None
        self.model: str | None = None
        self.finish: ir.FinishReason | None = None
        self.error: ir.Error | None = None
        self.complete = False
        self.missing_end = b""
        self._model = model
        self._whole: bool | None = None if stream else True
        self._renaming = model is not None
        self._body = HeldBody()
        self._tail = b""

    @property
    def last(self) -> bool:
        """As `dialect.Scanner.last`."""
        return self.complete

    def receive_data(self, data: bytes) -> bytes:
        """The bytes to pass on."""
        usual = self._whole is False and not self._tail and not self._renaming and data.endswith(b"\n")
        if usual and data.find(b"message_") < 0 and data.find(b"error") < 0:
            return data  # whole lines, and nothing in them to be read
        if self._whole is None:
            first = (self._tail + data).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
            if not first:
                self._tail += data
                return b"" if self._renaming else data
            self._whole = first == b"{"
            if self._whole:
                held, self._tail = self._tail, b""
                self._body.receive_data(held, hold=True)
        if self._whole:
            return self._body.receive_data(data, hold=self._renaming)
        return self._receive_stream(data)

    def receive_eof(self) -> bytes:
        """What was held."""
        if self._whole:
            return self._end_body(self._body.take())
        renaming = self._renaming
        rest, self._tail = self._tail, b""
        out = self._lines(rest)
        if self.error is None and self.finish is not None:
            if not self.complete:  # a reason to stop and then the end will do (T2), but clients are told (T3)
                self.missing_end = MESSAGE_STOP
            self.complete = True
        return out if renaming else b""

    def receive_whole(self, data: bytes) -> bytes:
        """As `dialect.Scanner.receive_whole`."""
        if not self._whole:
            return self.receive_data(data) + self.receive_eof()
        shown = self._end_body(data)
        return shown if self._renaming else data

    # --- streams ---

    def _receive_stream(self, data: bytes) -> bytes:
        passing = not self._renaming
        tail = self._tail
        cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if cut == 0:
            if len(tail) + len(data) > MAX_EVENT_SIZE:
                # Nobody reads an event of that size here; the bytes go on.
                self._tail, self._renaming = b"", False
                return data if passing else tail + data
            self._tail = tail + data
            return data if passing else b""
        region = tail + data[:cut] if tail else data[:cut]
        self._tail = data[cut:]
        out = self._lines(region)
        if passing:
            return data
        if self._renaming:
            return out
        # The name is replaced: what was held leaves, and from here on bytes leave as they come.
        return out + self._tail

    def _lines(self, region: bytes) -> bytes:
        """Read the lines that matter; returned is the region, with the model's name replaced in its first place."""
        if region.find(b"message_") < 0 and region.find(b"error") < 0:
            return region
        if not self._renaming:
            for line in region.replace(b"\r", b"\n").split(b"\n") if CR in region else region.split(b"\n"):
                if line.find(b"message_") >= 0 or line.find(b"error") >= 0:
                    self._line(line)
            return region
        at = region.find(b"\n\n", region.find(b'"message_start"')) + 2
        if 1 < at < len(region):  # the name is there, and the rest need not be taken apart to rename it
            return self._lines(region[:at]) + self._lines(region[at:])
        out = []
        for line in region.splitlines(keepends=True):
            self._line(line.rstrip(b"\r\n"))
            out.append(self._renamed(line) if line.find(b'"message_start"') >= 0 else line)
        return b"".join(out)

    def _renamed(self, line: bytes) -> bytes:
        start = line.find(b"{")
        if not self._renaming or not line.startswith(b"data:") or start < 0:
            return line
        assert self._model is not None
        self._renaming = False
        return line[:start] + json.splice(line[start:], ("message", "model"), json.encode_str(self._model))

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"data:") or (line.find(b'"message_') < 0 and line.find(b'"error"') < 0):
            return
        data = line[5:].strip()
        try:
            event = json.decode(data, wire.stream_event)
        except RemoteProtocolError:
            return
        if event.type == "message_start":
            message = given(event.message)
            if message is not None:
                self._use(_usage_of(message))
        elif event.type == "message_delta":
            self._use(usages.decode(event.usage))
            if event.delta is not None and event.delta.stop_reason:
                self.finish = usages.finish(event.delta.stop_reason)
        elif event.type == "message_stop":
            self.complete = self.error is None
            if self.finish is None:
                self.finish = ir.FinishReason.END
        elif event.type == "error" or (not event.type and given(event.error) is not None):
            self.error, self.complete = errors.in_band(data), False

    def _use(self, usage: ir.Usage | None) -> None:
        if usage is not None:
            self.usage = usage if self.usage is None else self.usage.merge(usage)

    # --- whole bodies ---

    def _end_body(self, body: bytes) -> bytes:
        """What leaves of a whole answer that was held."""
        if not body:
            return b""
        try:
            answer = json.decode(body, wire.answer)
        except RemoteProtocolError:
            return body if self._renaming else b""
        if answer.type == "error" or (given(answer.content) is None and errors.says_error(body)):
            self.error = errors.in_band(body)
        else:
            self.usage, self.model = usages.decode(answer.usage), answer.model or None
            self.finish = usages.finish(answer.stop_reason) if answer.stop_reason else ir.FinishReason.END
            self.complete = True
        if not self._renaming:
            return b""
        assert self._model is not None
        return json.splice(body, ("model",), json.encode_str(self._model))


def _usage_of(message: bytes) -> ir.Usage | None:
    try:
        return usages.decode(json.decode(message, wire.answer).usage)
    except RemoteProtocolError:
        return None
