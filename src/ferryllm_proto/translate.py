"""Translator: one client request and its answer between two dialects, bytes in and bytes out.

Give it the client's body (`Translator.receive_request`), send what it returns to the provider, then feed it the
provider's head and bytes. What comes back is for the client. Where both dialects are the same, bytes pass through
untouched but for a spliced model name; a `Scanner` watches them for usage, finish and errors.
The head for the client stays undecided until the provider has said something that is content: an answer that fails
before that becomes a true HTTP status (T7). `Translator.commit` ends the wait.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from . import ir
from .accumulate import MAX_RESPONSE, Accumulator
from .dialect import Answer, ClientHead, Dialect, Headers, Scanner, StreamDecoder, StreamEncoder, UpstreamRequest
from .dialects import DIALECTS
from .errors import LocalProtocolError, RemoteProtocolError
from .events import PREAMBLE, End, Event, Ping, ReasoningDelta, StreamFailed, TextDelta, UsageUpdate
from .loss import Loss, LossPolicy
from .observe import WATCHED, Observer, blame_upstream
from .opening import BLANK, Form, Opening, broken
from .policy.route import NO_POLICIES, RoutePolicies
from .prepare import Prepared, Target, prepare, refusal, understand
from .raising import RAISED, RAISED_PARTS, Raiser
from .relay import Relay, answer_headers, loss_header
from .rules import NO_RULES, ProviderRules
from .tokens.estimate import estimate_input
from .tokens.start import estimate_start
from .whole_answers import read, read_error, write

MAX_ERROR_BODY = 1 << 20
"""Bytes of an upstream's error body that are read; longer ones are HTML pages."""


class State(enum.Enum):
    REQUEST = "request"
    """Waiting for `Translator.receive_request`."""
    HEAD = "head"
    """The request is with the provider."""
    SNIFF = "sniff"
    """A good head came; the first bytes tell whether the body is a stream (S10)."""
    ERROR = "error"
    """The provider answered with an error; its body is being collected."""
    WHOLE = "whole"
    """A whole body is being collected."""
    STREAM = "stream"
    """Events are being translated."""
    RELAY = "relay"
    """Bytes pass through."""
    DONE = "done"
    FAILED = "failed"
    """The client was told of an error, or refused."""


# What is absent is illegal. Members are read from the module: through their class they cost twenty times as much.
_REQUEST, _HEAD, _SNIFF, _ERROR, _WHOLE = State.REQUEST, State.HEAD, State.SNIFF, State.ERROR, State.WHOLE
_RELAY, _STREAM, _DONE, _FAILED = State.RELAY, State.STREAM, State.DONE, State.FAILED
_OVER = (_DONE, _FAILED)
_UNKNOWN, _WHOLE_FORM, _PAGE, _EMPTY = Form.UNKNOWN, Form.WHOLE, Form.PAGE, Form.EMPTY

_CUT = ir.Error(ir.ErrorKind.TRUNCATED, "the provider's stream ended before its end")
_PLAIN = frozenset({TextDelta, ReasoningDelta, UsageUpdate})
"""Events that change nothing here, and nothing about tools: nearly all there are."""


class Translator:
    """One request and its answer.

    Parameters: ``entry`` and ``backend`` are names of `DIALECTS`; ``model`` is the name the provider gets (None: the
    client's own); ``now`` is Unix time in seconds; ``seed`` is what minted ids derive from; ``request_id`` appears in
    errors of dialects that show one.
    """

    __slots__ = (
        "_accumulator", "_body", "_buffer", "_client_headers", "_decoder", "_encoder", "_held", "_now", "_opening",
        "_path", "_quiet", "_raiser", "_relay", "_request_id", "_same", "_seed", "_seen", "_send", "_size", "_status",
        "_target", "_told", "_upstream_headers", "backend", "cut", "entry", "error", "head", "losses", "model",
        "prepared", "request", "state", "stream",
    )  # fmt: skip

    def __init__(
        self,
        entry: str,
        backend: str,
        model: str | None = None,
        rules: ProviderRules = NO_RULES,
        policy: LossPolicy = LossPolicy.REPORT,
        policies: RoutePolicies = NO_POLICIES,
        now: float = 0.0,
        seed: int = 0,
        request_id: str | None = None,
    ) -> None:
        self.entry: Dialect = DIALECTS[entry]
        self.backend: Dialect = DIALECTS[backend]
        self.state = _REQUEST
        self.head: ClientHead | None = None
        """The head for the client, once decided."""
        self.request: ir.Request | None = None
        """The client's request where it had to be understood; None on pass-through, and behind the head of a stream."""
        self.prepared: Prepared | None = None
        """The request as the provider got it; None behind the head of a stream."""
        self.error: ir.Error | None = None
        """What went wrong, once something did."""
        self.losses: list[Loss] = []
        self.model = ""
        """The client's name of the model."""
        self.stream = False
        """Whether the client asked for a stream."""
        self.cut = False
        """The answer can not be ended in words any more: the connection to the client must be cut."""
        self._target = Target(self.backend, model, rules, policy, policies)
        self._now, self._seed, self._request_id = now, seed, request_id
        self._same, self._body = entry == backend, b""
        self._client_headers: Headers = ()
        self._path: str | None = None
        self._status = self._size = self._told = 0
        self._upstream_headers: Headers = ()
        self._buffer: list[bytes] = []
        self._held: list[bytes] = []
        self._seen = Observer(foreign=entry != backend)
        self._opening: Opening | None = None
        """From the provider's head on."""
        self._decoder: StreamDecoder | None = None
        self._encoder: StreamEncoder | None = None
        self._accumulator: Accumulator | None = None
        self._raiser: Raiser | None = None
        self._relay: Relay | None = None
        self._quiet = False
        # Never a method of our own: a cycle would keep every exchange alive until the garbage collector comes by.
        self._send: Callable[[Event], bytes]

    @property
    def usage(self) -> ir.Usage | None:
        """The tokens counted so far."""
        return self._seen.usage if self._relay is None else self._relay.scanner.usage

    @property
    def finish_reason(self) -> ir.FinishReason | None:
        """Why the model stopped, once it has: no content comes after it."""
        return self._seen.finish if self._relay is None else self._relay.scanner.finish

    @property
    def upstream_model(self) -> str | None:
        """The provider's word for the model that answered, where it said one."""
        return self._seen.model if self._relay is None else self._relay.model

    @property
    def last(self) -> bool:
        """Whether the last event of a stream that passes through was seen: nothing comes behind it."""
        relay = self._relay
        return relay is not None and relay.stream and relay.scanner.last

    @property
    def complete(self) -> bool:
        """Whether the client has got all there is to say, although the provider may not have closed yet."""
        relay = self._relay
        return self.state is _DONE or (relay is not None and relay.stream and relay.scanner.complete)

    # --- the request ---

    def receive_request(self, body: bytes, headers: Headers = (), path: str | None = None) -> UpstreamRequest | None:
        """The client's request, whole. Next: send what is returned, then `receive_response_head`.

        ``path`` is what the client asked for, with its query; None is the dialect's usual path.
        Returns None when the request is refused, or needs no provider: `head` is decided, `receive_eof` has the body.
        """
        if self.state is not _REQUEST:
            raise LocalProtocolError(f"receive_request is not possible in state {self.state.name}")
        self._body, self._client_headers, self._path = body, headers, path
        try:
            if not self._same and (own := self.entry.own_answer(body, int(self._now), path)) is not None:
                self.model, self._held, self.state = own[0], [own[1]], _DONE
                self._decide(200, [("content-type", "application/json")])
                return None
            self.prepared = prepared = prepare(self.entry, self._target, body, headers=headers, path=path)
        except RemoteProtocolError as exc:
            self.losses.extend(refusal(exc))
            self._fail_before_head(exc.error)
            return None
        self.request, self.model, self.stream = prepared.request, prepared.model, prepared.stream
        self._quiet = prepared.quiet
        self.losses.extend(prepared.losses)
        self.state = _HEAD
        return prepared.upstream

    # --- the answer ---

    def receive_response_head(self, status: int, headers: Headers) -> ClientHead | None:
        """The provider's head (never 1xx). Returns the client's head, or None while it is not decided."""
        if self.state is not _HEAD:
            raise LocalProtocolError(f"receive_response_head is not possible in state {self.state.name}")
        self._status, self._upstream_headers = status, headers
        self.state = _SNIFF if 200 <= status < 300 else _ERROR
        self._opening = Opening(self.backend, status, headers, stream=self.stream)
        return self.head

    def receive_data(self, data: bytes) -> bytes:
        """Bytes of the provider's body. Returns bytes for the client; send them now."""
        state = self.state
        if state is _RELAY:
            return self._relayed(data)
        if state is _STREAM:
            assert self._decoder is not None
            events = self._decoder.receive_data(data)
            if len(events) == 1 and type(events[0]) is TextDelta and self.head is not None:
                # The usual read of a paced stream; what follows it looks at the rest.
                try:
                    self._seen.empty = False
                    return self._send(events[0])
                except RemoteProtocolError as exc:
                    return self._fail(exc.error)
            return self._translated(events)
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
            assert self._decoder is not None
            return self._translated(self._decoder.receive_eof()) + self._end_stream()
        if state is _RELAY:
            return self._end_relay()
        if state is _ERROR:
            return self._end_error()
        if state is _WHOLE:
            return self._end_whole()
        if state is _SNIFF:
            assert self._opening is not None
            return self._begin(self._opening.receive_eof()) + self.receive_eof()
        raise LocalProtocolError(f"receive_eof is not possible in state {state.name}")

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

    def _fail(self, error: ir.Error) -> bytes:
        if self.state in _OVER:
            return self._flush()
        if self.head is None:
            self._fail_before_head(error)
            return self._flush()
        if self.state is _STREAM:
            return self._translated([StreamFailed(error)])
        self.state, self.error = _FAILED, error
        if self._relay is not None and self._relay.stream:
            return self.entry.late_error(error, self._answer(), self._relay.last_shown)
        self.cut = True
        return b""

    # --- collecting ---

    def _collect(self, data: bytes) -> bytes:
        if self.state is _SNIFF:
            assert self._opening is not None
            return self._begin(self._opening.receive_data(data))
        limit = MAX_ERROR_BODY if self.state is _ERROR else MAX_RESPONSE
        self._size += len(data)
        if self._size <= limit:
            self._buffer.append(data)
        elif self.state is _WHOLE:
            return self._fail(ir.Error(ir.ErrorKind.UPSTREAM, f"the provider's answer is larger than {limit} bytes"))
        return b""

    def _begin(self, form: Form) -> bytes:
        """What a good answer is shows: choose the way. Only pass-through keeps the blanks before it."""
        if form is _UNKNOWN:
            return b""
        opening = self._opening
        assert opening is not None
        if form is _PAGE or form is _EMPTY:
            return self._fail(opening.fault())
        data, whole = opening.take(), form is _WHOLE_FORM
        if self._same and whole is not self.stream and self.entry.is_framed(data.lstrip(BLANK), self._path):
            asked = self._target.model
            name = self.model if asked is not None and asked != self.model else None
            decoder, ends = self.backend.stream_decoder() if self.stream else None, self.backend.event_ends
            self._relay = Relay(self._scanner(name), stream=self.stream, decoder=decoder, event_ends=ends)
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
        self._raiser = None if self._same else self._raise_tools()
        self._decoder = self.backend.stream_decoder()
        if self.stream:
            self._encoder = self.entry.stream_encoder(self._answer())
            self._send = self._encoder.send
        else:
            self._accumulator = Accumulator()
            self._send = self._accumulator.send
        return self._translated(self._decoder.receive_data(data))

    def _raise_tools(self) -> Raiser:
        assert self.request is not None
        asked, client = self._target.model or self.model, self.entry.tool_rules
        return Raiser(self.request, self.backend.tool_rules, client, self._seed, model=asked)

    def _scanner(self, name: str | None) -> Scanner:
        """What watches an answer that passes through and puts ``name`` in the place of its model's."""
        scanner = self.backend.quiet_scanner if self._quiet else self.backend.scanner
        return scanner(stream=self.stream, model=name)

    def _answer(self) -> Answer:
        estimate, usage = 0, self._seen.usage
        # A stream has to begin with a number before the provider has told one; a whole answer only if it never did.
        unknown = self.stream or usage is None or usage.input is None
        if unknown and self.request is not None and self.entry.wants_estimate:
            estimated = estimate_start if self.stream else estimate_input
            estimate = estimated(self.request, self._target.model, self.backend.name)
        return Answer(
            model=self.model,
            created=int(self._now),
            seed=self._seed,
            request=self.request,
            input_estimate=estimate,
            path=self._path,
        )

    # --- streams ---

    def _translated(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        send, raiser, seen, committed = self._send, self._raiser, self._seen, self.head is not None
        try:
            for event in events:
                kind = type(event)
                if committed and kind in _PLAIN:
                    seen.empty = seen.empty and kind is UsageUpdate
                    if kind is UsageUpdate:  # some providers count with every event
                        seen.see(event)
                    out.append(send(event))
                    continue
                if kind in WATCHED:
                    event = seen.see(event)
                    kind = type(event)
                    if seen.error is not None and not committed:
                        self._fail_before_head(seen.error)
                        return b""
                elif kind not in PREAMBLE:
                    seen.empty = False
                at = len(out)
                if raiser is not None and (kind in RAISED or not raiser.idle):
                    out.extend([send(raised) for raised in raiser.send(event)])
                else:
                    out.append(send(event))
                if kind is End and self._encoder is not None:
                    out.insert(at, self._late_losses())
                if not committed and kind not in PREAMBLE and self._encoder is not None:
                    committed = True
                    out = [self._commit(), *out]
        except RemoteProtocolError as exc:  # a limit of the machines was reached
            return (b"".join(out) if committed else b"") + self._fail(exc.error)
        if seen.error is not None:
            self.state, self.error = _FAILED, seen.error
        elif seen.ended and self._encoder is not None:
            self.state = _DONE
        if self.state is not _STREAM:
            self._collect_losses()
        if not committed:
            self._held.extend(out)
            return b""
        return b"".join(out)

    def _collect_losses(self) -> None:
        if self._encoder is not None:
            self.losses.extend(self._encoder.losses[self._told :])
            self._told = len(self._encoder.losses)

    def _late_losses(self) -> bytes:
        """What the stream has lost behind its head, as a comment before its end (G4); the `Exchange` has a trailer."""
        self._collect_losses()
        late = loss_header(self.losses[self.head.told :]) if self.entry.sse and self.head is not None else ""
        return f": x-ferryllm-loss: {late}\n\n".encode() if late else b""

    def _commit(self) -> bytes:
        headers = [("content-type", self.entry.stream_type(self._path)), ("cache-control", "no-cache")]
        self._decide(200, headers)  # whatever kind of success the provider called it
        self._forget()
        return self._flush()

    def _forget(self) -> None:
        """The head of a stream is decided, so no one is asked again: a history need not wait for the answer's end."""
        self.request = self.prepared = self._opening = None
        self._body = b""

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

    def _whole_answer(self, response: ir.Response, *, raise_tools: bool) -> bytes:
        if raise_tools and not self._same and not RAISED_PARTS.isdisjoint(map(type, response.parts)):
            response = self._raise_tools().response(response)
        body, type_, losses = write(self.entry, response, self._answer(), stream=self.stream, path=self._path)
        self.losses.extend(losses)
        self._decide(200, [("content-type", type_)])
        self.state = _DONE
        return body

    # --- pass-through ---

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
        kind = [(name, value) for name, value in self._upstream_headers if name.lower() == "content-type"]
        default = self.entry.stream_type(self._path) if self.stream else "application/json"
        self._decide(self._status, kind[:1] or [("content-type", default)])
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

    def _fail_before_head(self, error: ir.Error) -> None:
        if self._opening is not None:
            error = self._opening.explain(error)
        head, body = self.entry.encode_error(error, request_id=self._request_id)
        self.error = error
        # An error in the client's own dialect is relayed: its status too, whatever we would have made of it (E1).
        relayed = error.dialect == self.entry.name and error.raw is not None and error.status is not None
        self._decide(error.status if relayed and error.status else head.status, list(head.headers))
        self._held = [body]
        self.state = _FAILED

    def _decide(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.head = ClientHead(status, answer_headers(headers, self._upstream_headers, self.losses), len(self.losses))

    def _flush(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(held)
