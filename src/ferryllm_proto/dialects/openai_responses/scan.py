"""Watching an answer that passes through: usage, finish and error are read, the model's name may be replaced, and so
may be the response it goes on from.

Only lifecycle events say anything of interest; every other event costs one look for their names.
"""

from __future__ import annotations

import re

import msgspec

from ... import ir, json, sse
from ...errors import RemoteProtocolError
from ...held import HeldBody
from ...octets import CR
from . import wire
from .errors import read_error
from .outcome import WireResponse, decode_finish, decode_usage, response_decoder
from .response import failure_of

_TERMINALS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
_DONE = "response.output_item.done"
_LIFECYCLE = re.compile(rb'"response\.(?:created|in_progress|queued|completed|incomplete|failed|cancelled)"')
_ERROR = re.compile(rb'"type"\s*:\s*"error"')
_BLANK = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_DATA = re.compile(rb"(?:\A|(?<=[\r\n]))data: ?([^\r\n]*)")
_CALLS = re.compile(rb'"type"\s*:\s*"(?:function_call|custom_tool_call)"')
_REFUSAL = re.compile(rb'"type"\s*:\s*"refusal"')


class _Named(msgspec.Struct, frozen=True):
    id: str | None = None
    store: bool | None = None


_named_decoder = json.decoder(_Named)


class Scanner:
    """See `ferryllm_proto.dialect.Scanner`."""

    def __init__(self, *, stream: bool, model: str | None) -> None:
        self.usage: ir.Usage | None = None
        self.model: str | None = None
        self.finish: ir.FinishReason | None = None
        self.error: ir.Error | None = None
        self.complete = False
        self.missing_end = b""
        self.kept_id: str | None = None
        """The answer's id, once the provider has said it; None also for an answer it says it does not keep."""
        self._named = False
        self._stream = stream
        self._splices: dict[str, bytes] = {} if model is None else {"model": json.encode_str(model)}
        self._frames = sse.FrameDecoder()
        self._buffer = bytearray()
        self._whole = HeldBody()
        self._blind = False
        self._called = False

    def show_previous(self, id_: str) -> None:
        """The answer is to say that it goes on from ``id_``, of which its provider has not heard."""
        self._splices["previous_response_id"] = json.encode_str(id_)

    @property
    def last(self) -> bool:
        """As `dialect.Scanner.last`."""
        return self.complete

    def receive_data(self, data: bytes) -> bytes:
        """The bytes to pass on."""
        if not self._stream:
            return self._whole.receive_data(data, hold=bool(self._splices))
        if not self._splices:
            self._watch(data)
            return data
        if not self._buffer and data.endswith(b"\n\n") and CR not in data:
            # The usual read is a few whole events: no search for odd line ends.
            return b"".join([self._event(block + b"\n\n") for block in data[:-2].split(b"\n\n")])
        self._buffer += data
        out: list[bytes] = []
        at = 0
        for match in _BLANK.finditer(self._buffer):
            out.append(self._event(bytes(self._buffer[at : match.end()])))
            at = match.end()
        del self._buffer[:at]
        if len(self._buffer) > sse.MAX_EVENT_SIZE:  # no event that names a model is so large
            out.append(bytes(self._buffer))
            self._buffer.clear()
        return b"".join(out)

    def receive_eof(self) -> bytes:
        """What was held; then `complete` is final."""
        if not self._stream:
            return self._end_whole(self._whole.take())
        if not self._splices:
            self._read(self._frames.receive_eof())
            return b""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return self._event(rest) if rest else b""

    def receive_whole(self, data: bytes) -> bytes:
        """As `dialect.Scanner.receive_whole`."""
        if self._stream:
            return self.receive_data(data) + self.receive_eof()
        shown = self._end_whole(data)
        return shown if self._splices else data

    # --- streams ---

    def _watch(self, data: bytes) -> None:
        if self._blind:
            return
        try:
            self._read(self._frames.receive_data(data))
        except RemoteProtocolError:
            self._blind = True  # the bytes pass all the same; nothing can be said of them any more

    def _read(self, frames: list[sse.Frame]) -> None:
        for frame in frames:
            first = frame.event == "response.created" and not self._named
            if first or frame.event in _TERMINALS or (frame.event in ("", "message") and _LIFECYCLE.search(frame.data)):
                self._terminal(frame.data)
            elif frame.event == _DONE or (not frame.event and _DONE.encode() in frame.data):
                self._called = self._called or _CALLS.search(frame.data) is not None
            elif frame.event == "error" or (not frame.event and _ERROR.search(frame.data)):
                self.error = read_error(frame.data) or self.error

    def _event(self, block: bytes) -> bytes:
        """One event with its blank line; the model's name in it is replaced."""
        if block.startswith(b"event: ") and block[:80].find(b".delta\n") >= 0:
            return block
        named = (
            _LIFECYCLE.search(block) or block.find(b"\nevent: response.") >= 0 or block.startswith(b"event: response.")
        )
        if not named and block.find(b"error") < 0 and _DONE.encode() not in block:
            return block
        match = _DATA.search(block)
        if match is None:
            return block
        data = match[1]
        if _DONE.encode() in block:
            self._called = self._called or _CALLS.search(data) is not None
        if _LIFECYCLE.search(data):
            self._terminal(data)
            for name, value in self._splices.items():
                data = json.splice(data, ("response", name), value)
            return b"%b%b%b" % (block[: match.start(1)], data, block[match.end(1) :])
        if _ERROR.search(data) or block.startswith(b"event: error"):
            self.error = read_error(data) or self.error
        return block

    def _terminal(self, data: bytes) -> None:
        try:
            tag = json.decode(data, wire.tag_decoder)
            if tag.type not in _TERMINALS and self._named:
                return
            raw = bytes(json.fields(data).get("response", json.raw(b"{}")))
            self._identify(raw)
            if tag.type not in _TERMINALS:
                return
            self.complete = True
            self._learn(json.decode(raw, response_decoder), raw)
        except RemoteProtocolError:
            return

    def _identify(self, raw: bytes) -> None:
        self._named = True
        try:
            named = json.decode(raw, _named_decoder)
        except RemoteProtocolError:
            return
        if named.id and named.store is not False:
            self.kept_id = named.id

    def _learn(self, response: WireResponse, raw: bytes) -> None:
        self.model = response.model or None
        if response.usage is not None:
            self.usage = decode_usage(response.usage)
        if response.status in ("failed", "cancelled") or not wire.is_null(response.error):
            self.error = failure_of(response)
            return
        called, refused = self._called, False  # one provider's final object has no output
        for item in response.output or ():
            called = called or _CALLS.search(bytes(item)) is not None
            refused = refused or _REFUSAL.search(bytes(item)) is not None
        self.finish = decode_finish(response, called=called, refused=refused)

    # --- whole answers ---

    def _end_whole(self, body: bytes) -> bytes:
        """What leaves of a whole answer that was held."""
        if not body:
            return b""
        try:
            response = json.decode(body, response_decoder)
            if response.output is None and response.status is None:
                self.error = read_error(body)
            self.complete = True
            self._identify(body)
            self._learn(response, body)
            for name, value in self._splices.items():
                body = json.splice(body, (name,), value)
        except RemoteProtocolError:
            pass
        return body if self._splices else b""
