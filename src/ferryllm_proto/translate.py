"""Translator: one client request and its answer between two dialects, bytes in and bytes out.

Give it the client's body (`Translator.receive_request`), send what it returns to the provider, then feed it the
provider's head and bytes. What comes back is for the client. Where both dialects are the same, bytes pass through
untouched but for a spliced model name; a `Scanner` watches them for usage, finish and errors.
The head for the client stays undecided until the provider has said something that is content: an answer that fails
before that becomes a true HTTP status (T7). `Translator.commit` ends the wait.
"""

from __future__ import annotations

from . import ir, json
from .accumulate import MAX_RESPONSE, Accumulator
from .asked import JSON
from .dialect import ClientHead, Headers, Scanner
from .errors import LocalProtocolError, RemoteProtocolError
from .events import ArgsDelta, Ping, ReasoningDelta, TextDelta
from .observe import Observer, blame_upstream
from .opening import BLANK, EVENTS, Form, Opening, broken
from .prepare import understand
from .progress import State as State
from .raising import RAISED_PARTS
from .relay import MAX_WHOLE, Relay, passed_headers
from .streamed import Streamed
from .whole_answers import read, read_error, write

MAX_ERROR_BODY = 1 << 20
"""Bytes of an upstream's error body that are read; longer ones are HTML pages."""


# What is absent is illegal. Members are read from the module: through their class they cost twenty times as much.
_REQUEST, _HEAD, _SNIFF, _ERROR, _WHOLE = State.REQUEST, State.HEAD, State.SNIFF, State.ERROR, State.WHOLE
_RELAY, _STREAM, _DONE, _FAILED = State.RELAY, State.STREAM, State.DONE, State.FAILED
_OVER = (_DONE, _FAILED)
_UNKNOWN, _WHOLE_FORM, _PAGE, _EMPTY = Form.UNKNOWN, Form.WHOLE, Form.PAGE, Form.EMPTY

_MALFORMED = ir.FinishReason.MALFORMED_TOOL
_DELTAS = (TextDelta, ReasoningDelta)
_CUT = ir.Error(ir.ErrorKind.TRUNCATED, "the provider's stream ended before its end")


class Translator(Streamed):
    """One request and its answer. Parameters: as of `Asked`, which has its first half."""

    __slots__ = ()

    # --- the answer ---

    def receive_response_head(self, status: int, headers: Headers) -> ClientHead | None:
        """The provider's head (never 1xx). Returns the client's head, or None while it is not decided."""
        if self.state is not _HEAD:
            raise LocalProtocolError(f"receive_response_head is not possible in state {self.state.name}")
        self._status, self._upstream_headers = status, headers
        self._seen = self._watch = Observer(foreign=self.entry is not self.backend)
        if 200 <= status < 300:
            self.state = _SNIFF
        else:
            self.state = _ERROR
            self._buffer, self._size = [], 0
        return self.head

    def receive_data(self, data: bytes) -> bytes:
        """Bytes of the provider's body. Returns bytes for the client; send them now."""
        state = self.state
        if state is _RELAY:
            return self._relayed(data)
        if state is _STREAM:
            events = self._decoder.receive_data(data)
            if (
                len(events) == 1
                and self.head is not None
                and (type(events[0]) in _DELTAS or (type(events[0]) is ArgsDelta and self._passes_calls()))
            ):
                # The usual read of a paced stream: nothing of what `_translated` looks for.
                self._seen.empty = False
                try:
                    return self._send(events[0])
                except RemoteProtocolError as exc:
                    return self._fail(exc.error)
            return self._translated(events)
        if state is _SNIFF:
            opening = self._opening
            if opening is None:
                if data.startswith(EVENTS):  # what nearly every stream begins with
                    return self._go(data, whole=False)
                opening = self._open()
            return self._begin(opening.receive_data(data))
        if state in _OVER:
            return b""
        if state is _REQUEST or state is _HEAD:
            raise LocalProtocolError(f"receive_data is not possible in state {state.name}")
        return self._collect(data)

    def receive_eof(self) -> bytes:
        """The provider's body is over. Returns the last bytes for the client; a cut stream becomes an error."""
        state = self.state
        if state in _OVER:
            return self._flush()
        if state is _STREAM:
            return self._translated(self._decoder.receive_eof()) + self._end_stream()
        if state is _RELAY:
            return self._end_relay()
        if state is _ERROR:
            return self._end_error()
        if state is _WHOLE:
            return self._end_whole()
        if state is _SNIFF:
            opening = self._opening or self._open()
            return self._begin(opening.receive_eof()) + self.receive_eof()
        raise LocalProtocolError(f"receive_eof is not possible in state {state.name}")

    def receive_whole(self, status: int, headers: Headers, data: bytes) -> bytes:
        """The provider's answer, all of it: `receive_response_head`, `receive_data` and `receive_eof` in one.

        Returns all bytes for the client; `head` is decided and `state` DONE or FAILED.
        """
        out = None
        if self.state is _HEAD and 200 <= status < 300 and not self.stream and data.startswith(b"{"):
            backend = self.backend
            if backend.objects_are_whole or backend.is_whole(data, stream=False, headers=headers):
                self._upstream_headers = headers
                out = self._pass_whole(status, data) if self._same else self._translate_whole(data)
        if out is not None:
            return out
        # Whatever is unusual goes the way on which everything is looked at.
        self.receive_response_head(status, headers)
        return (self.receive_data(data) if data else b"") + self.receive_eof()

    def commit(self) -> bytes:
        """Decide the head now although no content has come: the wait is over. Returns what was held."""
        if self.head is None and self.stream:
            if self.state is _STREAM:
                return self._commit()
            if self.state is _RELAY:
                self._decide_relay()
                return self._flush()
        return b""

    def ping(self) -> bytes:
        """A sign of life for a client whose provider is silent; only in a translated stream that has begun (S16, S18).

        Bytes that pass through are never added to.
        """
        if self.state is _STREAM and self._encoder is not None and self.head is not None:
            return self._encoder.send(Ping())
        return b""

    def fail(self, error: ir.Error) -> bytes:
        """The provider is lost, too late, or the gateway stops. Returns the last bytes for the client.

        Before the head is decided this decides it as an error; in a stream it is the dialect's own error event. Where
        neither is possible (half of a whole body is out) `cut` is set. An answer that has said why it stopped is
        complete without its last words (T2, T3).
        """
        if self.finish_reason is not None and self.state in (_STREAM, _RELAY):
            return self.receive_eof()
        return self._fail(error)

    # --- collecting ---

    def _collect(self, data: bytes) -> bytes:
        limit = MAX_ERROR_BODY if self.state is _ERROR else MAX_RESPONSE
        self._size += len(data)
        if self._size <= limit:
            self._buffer.append(data)
        elif self.state is _WHOLE:
            return self._fail(ir.Error(ir.ErrorKind.UPSTREAM, f"the provider's answer is larger than {limit} bytes"))
        return b""

    def _open(self) -> Opening:
        self._opening = opening = Opening(self.backend, self._status, self._upstream_headers, stream=self.stream)
        return opening

    def _begin(self, form: Form) -> bytes:
        if form is _UNKNOWN:
            return b""
        opening = self._opening
        assert opening is not None
        if form is _PAGE or form is _EMPTY:
            return self._fail(opening.fault())
        return self._go(opening.take(), whole=form is _WHOLE_FORM)

    def _go(self, data: bytes, *, whole: bool) -> bytes:
        """What a good answer is has shown: choose the way. Only pass-through keeps the blanks before it."""
        if self._same and whole is not self.stream and self.entry.is_framed(data.lstrip(BLANK), self._path):
            name = self._shown_name()
            decoder, ends = self.backend.stream_decoder() if self.stream else None, self.backend.event_ends
            self._watch = scanner = self._scanner(name)
            self._relay = Relay(scanner, stream=self.stream, decoder=decoder, event_ends=ends)
            self.state = _RELAY
            return self._relayed(data)
        if self.request is None:  # pass-through was meant, but the answer has the other form
            try:
                self.request = understand(
                    self.entry, self._body, headers=self._client_headers, path=self._path, named=True
                )
            except RemoteProtocolError as exc:
                return self._fail(exc.error)
        assert self.request is not None
        data = data.lstrip(BLANK)
        if whole:
            self.state = _WHOLE
            self._size = len(data)
            self._buffer = [data]
            return b""
        self.state = _STREAM
        self._raiser, self._tools = None, self.request.tools
        self._decoder = decoder = self.backend.stream_decoder()
        if self.stream:
            self._accumulator, self._told = None, 0
            self._encoder = encoder = self.entry.stream_encoder(self._answer())
            self._send = encoder.send
        else:
            self._encoder = None
            self._accumulator = Accumulator()
            self._send = self._accumulator.send
        return self._translated(decoder.receive_data(data))

    def _scanner(self, name: str | None) -> Scanner:
        """What watches an answer that passes through and puts ``name`` in the place of its model's."""
        if self.stream and self.prepared is not None and self.prepared.quiet:
            return self.backend.quiet_scanner(stream=True, model=name)
        return self.backend.scanner(stream=self.stream, model=name)

    def _shown_name(self) -> str | None:
        """The name to show in the place of the provider's; None leaves that."""
        asked = self._target.model
        return self.model if asked is not None and asked != self.model else None

    # --- streams ---

    def _end_stream(self) -> bytes:
        if self._accumulator is None or self.state is _FAILED:
            return self._flush()
        try:
            return self._whole_answer(self._accumulator.response(), raise_tools=False)
        except RemoteProtocolError as exc:
            return self._fail(exc.error)

    # --- whole answers ---

    def _end_whole(self) -> bytes:
        try:
            response = read(self.backend, b"".join(self._buffer))
            self._seen.see_whole(response)
            if self._seen.error is not None:
                return self._fail(self._seen.error)
            return self._whole_answer(response, raise_tools=True)
        except RemoteProtocolError as exc:
            return self._fail(blame_upstream(exc.error))

    def _translate_whole(self, data: bytes) -> bytes | None:
        """A whole answer without a fault, at one glance; None: it may have one."""
        if self.request is None:
            return None
        try:
            response = self.backend.decode_response(data if data.isascii() else json.mend_utf8(data))
            if not response.parts or response.finish is _MALFORMED:
                return None
            self._watch = response
            body = self.entry.encode_words(response, self.model, self._seed)
            if body is None:
                return self._whole_answer(response, raise_tools=True)
            self._decide(200, JSON)
            self.state = _DONE
            return body
        except RemoteProtocolError:
            return None

    def _whole_answer(self, response: ir.Response, *, raise_tools: bool) -> bytes:
        if raise_tools and not self._same and not RAISED_PARTS.isdisjoint(map(type, response.parts)):
            assert self.request is not None
            response = self._raise_tools(self.request).response(response)
        body, type_, losses = write(self.entry, response, self._answer(), stream=self.stream, path=self._path)
        self.losses.extend(losses)
        self._decide(200, [("content-type", type_)])
        self.state = _DONE
        return body

    # --- pass-through ---

    def _pass_whole(self, status: int, data: bytes) -> bytes | None:
        """A whole answer that passes and is complete, at one glance; None: it may not be."""
        if len(data) > MAX_WHOLE:
            return None
        scanner = self._scanner(self._shown_name())
        out = scanner.receive_whole(data)
        if scanner.error is not None or not scanner.complete or not (out.endswith(b"}") or out.rstrip().endswith(b"}")):
            return None
        losses = self.losses
        self._watch, self.state = scanner, _DONE
        self.head = ClientHead(status, passed_headers(self._upstream_headers, "application/json", losses), len(losses))
        return out

    def _relayed(self, data: bytes) -> bytes:
        relay = self._relay
        assert relay is not None
        out = relay.receive_data(data)
        if self.head is not None:
            return out
        self._held.append(out)
        if relay.failure is not None:
            self._fail_before_head(relay.failure)
        elif relay.begun and any(self._held):
            self._decide_relay()
            return self._flush()
        return b""

    def _decide_relay(self) -> None:
        default = self.entry.stream_type(self._path) if self.stream else "application/json"
        headers = passed_headers(self._upstream_headers, default, self.losses)
        self.head = ClientHead(self._status, headers, len(self.losses))
        if self.stream:
            self._forget()

    def _end_relay(self) -> bytes:
        relay = self._relay
        assert relay is not None
        rest = relay.receive_eof()
        scanner = relay.scanner
        cut = self.stream and not scanner.complete and scanner.error is None
        if self.head is None:
            if (found := scanner.error or relay.failure) is not None:
                return self._fail(blame_upstream(found))
            if cut:
                return self._fail(_CUT)
            # What the scanner has read as an answer is one JSON object.
            if not (self.stream or scanner.complete) and (fault := broken(b"".join(self._held) + rest)) is not None:
                return self._fail(fault)
            self._decide_relay()
        elif not self.stream and relay.torn:
            return self._fail(_CUT)
        out = self._flush() + (b"" if relay.torn and not scanner.missing_end else rest)
        if cut:
            return out + self._fail(_CUT)
        self.error, self.state = scanner.error, _DONE if scanner.error is None else _FAILED
        return out

    # --- errors ---

    def _end_error(self) -> bytes:
        body = b"".join(self._buffer)
        return self._fail(read_error(self.backend, self._status, self._upstream_headers, body))
