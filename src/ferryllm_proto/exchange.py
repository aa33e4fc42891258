"""Exchange: the whole life of one client request, without doing any of its I/O.

Feed it what happened (`Exchange.receive` with one of the inputs and the time), do what it answers, in order, and come
back at `Exchange.next_deadline`. The interpreter in ferryllm_net turns actions into awaits and decides nothing.

Time is two things here: ``now``, seconds of any monotonic clock, and ``created``, Unix seconds at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import ir
from .actions import (
    Abort,
    Action,
    Cut,
    Finish,
    Open,
    Outcome,
    ReadBody,
    Record,
    Release,
    SendBody,
    SendHead,
)
from .conversation import Conversation, converse, final_headers, late_losses, peek, wants_trailers
from .dialect import Headers
from .dialects import DIALECTS
from .entries import CONVERSATIONS, OPERATION_NAMES, Entry, NoEntry, Operation, find
from .errors import LocalProtocolError, RemoteProtocolError
from .inputs import (
    ClientBody,
    ClientFault,
    ClientRequest,
    Input,
    Recalled,
    Stored,
    UpstreamHead,
    UpstreamLost,
)
from .notes import answered, failed, incoming, resolved, sending
from .policy.access import by_name, identify, owner
from .refusals import lost, no_entry, too_large, unknown_model, unread
from .responses.remembering import Remembering
from .responses.stateful import NO_MEMORY, KeptTranslator
from .routing.choice import Routing
from .routing.keys import Desk, Refusal
from .routing.table import Route
from .snapshot import Gateway, Provider
from .stages import TRANSITIONS, State
from .translate import State as Translation

GOODBYE_SECS = 10.0
"""How long a provider may stay open behind the reason to stop; then its answer is complete as it is (T3)."""


# Tuples: a look at two or three members costs less than the hash of one.
_ALIVE = (State.WAITING, State.ANSWERING, State.KEEPING)
_UNTIMED = (State.DONE, State.KEEPING)
_TALK_OVER = (Translation.DONE, Translation.FAILED)
# Members are looked up once: that costs more than a comparison with them.
_IDLE, _DONE, _READING, _WAITING, _ANSWERING = State.IDLE, State.DONE, State.READING, State.WAITING, State.ANSWERING
_STREAMING = Translation.STREAM
_FORWARD, _OK = Operation.FORWARD, Outcome.OK
_END = Finish()
_NO_ENTRY = NoEntry("openai")
_RESPONSES = "openai_responses"


class Exchange:
    """One client request, from its head to the last byte of its answer.

    Parameters: ``gateway`` is the configuration to decide with, ``id`` the request's id (shown to the client and in
    the log), ``seed`` what minted ids derive from, ``created`` Unix seconds.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        id: str,  # noqa: A002
        seed: int = 0,
        created: float = 0.0,
        routing: Routing | None = None,
        desk: Desk | None = None,
        chance: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.state = _IDLE
        self.id = id
        self._gateway = gateway
        self._seed = seed
        self._created = created
        self._entry: Entry | NoEntry = _NO_ENTRY
        self._headers: Headers = ()
        self._target = ""
        self._method = "POST"
        self._started = 0.0
        self._first_byte: float | None = None
        self._status: int | None = None
        self._talk: Conversation | None = None
        self._route: Route | None = None
        self._provider: Provider | None = None
        self._model: str | None = None
        self._past: Remembering | None = None
        """What a Responses client's request has to do with kept answers."""
        self._error: ir.Error | None = None
        self._attempts = 0
        self._sent = 0
        self._opened = 0.0
        self._idle_at: float | None = None
        self._total_at: float | None = None
        self._hold_at: float | None = None
        self._ping_at: float | None = None
        self._flow: Conversation | None = None
        """The conversation while its answer is under way, and reads are answered by bytes alone (see `relay`)."""
        self._flow_state: Translation | None = None
        self._taken: bytes | None = None
        """What came of a read that `relay` has begun and `receive` will end."""

    # --- driving it ---

    def receive(self, event: Input, now: float) -> list[Action]:
        """What to do about ``event``, in order. Raises `LocalProtocolError` for one the state does not allow."""
        handler = _DISPATCH[self.state].get(type(event))
        if handler is not None:
            return handler(self, event, now)
        if self.state is _DONE:
            return []
        raise LocalProtocolError(f"{type(event).__name__} is not possible in state {self.state.name}")

    def relay(self, data: bytes, now: float) -> bytes | None:
        """`receive` of `UpstreamData` for the usual read of an answer that is under way: only bytes come of it.

        Returns the bytes to send now, perhaps none. None is: not this time, give the same ``data`` to `receive` before
        anything else.
        """
        talk = self._flow
        if talk is None:
            return None
        out = talk.receive_data(data)
        if talk.state is not self._flow_state or talk.finish_reason is not None:
            self._flow, self._taken = None, out
            return None
        self._idle_at = now + self._provider.idle_secs  # type: ignore[union-attr]  # set before the answer flows
        if out:
            self._sent += len(out)
            if self._ping_at is not None:
                self._ping_at = now + self._gateway.ping_secs
        return out

    def next_deadline(self) -> float | None:
        """When to come back with `DeadlinePassed` if nothing else happens; None is never."""
        if self.state in _UNTIMED:
            return None
        first = self._idle_at
        for at in (self._total_at, self._hold_at, self._ping_at):
            if at is not None and (first is None or at < first):
                first = at
        return first

    def postpone(self, secs: float) -> None:
        """Nobody listened to the provider for ``secs`` seconds, because the client did not take what was sent: they do
        not count as the provider's silence. Its total time goes on."""
        if self.state is State.ANSWERING and self._idle_at is not None:
            self._idle_at += secs

    # --- the client's side ---

    def _on_request(self, event: Input, now: float) -> list[Action]:
        assert type(event) is ClientRequest
        gateway, target, headers = self._gateway, event.target, event.headers
        fields = by_name(headers)
        self._started, self._headers, self._target, self._method = now, headers, target, event.method
        path = target.partition("?")[0]
        self._entry = entry = find(event.method, path, headers, gateway.forwards)
        uploads = type(entry) is Entry and entry.operation is _FORWARD
        who = identify(
            gateway.access,
            gateway.keys,
            event.method,
            headers,
            target,
            self._created,
            uploads=uploads,
            hints=gateway.hints,
            fields=fields,
        )
        if type(who) is Refusal:
            return self._refuse(who.error, now)
        if isinstance(entry, NoEntry):
            return self._refuse(no_entry(event.method, path, entry), now)
        if entry.operation not in CONVERSATIONS:
            raise LocalProtocolError(f"{entry.operation.name} is answered without an exchange")
        if entry.dialect == _RESPONSES:
            self._past = Remembering(gateway, owner(who), self._created)
        length = fields.get("content-length", "")
        if length.isdigit() and length.isascii() and int(length) > gateway.body_limit:
            return self._refuse(too_large(gateway.body_limit), now)
        self.state = _READING
        return [ReadBody(gateway.body_limit)]

    def _on_body(self, event: Input, now: float) -> list[Action]:
        assert type(event) is ClientBody
        entry = self._entry
        assert isinstance(entry, Entry)
        if entry.operation is _FORWARD:
            self._route = Route("", entry.provider)
            self._provider = self._gateway.providers[entry.provider]
            return self._attempt(event.data, now)
        try:
            self._model, stream = peek(entry, event.data, self._target)
        except RemoteProtocolError as exc:
            return self._refuse(exc.error, now)
        notes: list[Action] = []
        noted = self._gateway.notes
        if noted:
            notes.append(incoming(entry.dialect, self._model, stream=stream))
        self._route = route = self._gateway.routes.resolve(self._model)
        if route is None:
            return notes + self._refuse(unknown_model(self._model), now)
        self._provider = self._gateway.providers[route.provider]
        if noted:
            notes.append(resolved(entry.dialect, self._model, route))
        if self._past is None:
            return notes + self._attempt(event.data, now)
        try:
            question = self._past.ask(event.data)
        except RemoteProtocolError as exc:
            return notes + self._refuse(exc.error, now)
        if question is None:
            return notes + self._resume(None, now)
        self.state = State.RECALLING
        return [*notes, question]

    def _on_recalled(self, event: Input, now: float) -> list[Action]:
        assert type(event) is Recalled
        return self._resume(event, now)

    def _resume(self, recalled: Recalled | None, now: float) -> list[Action]:
        """Go on from an earlier answer, or from none."""
        assert self._past is not None
        assert self._provider is not None
        try:
            body = self._past.resume(recalled, self._provider)
        except RemoteProtocolError as exc:
            return self._refuse(exc.error, now)
        return self._attempt(body, now)

    def _attempt(self, body: bytes, now: float) -> list[Action]:
        """Send the client's own bytes, translated afresh, to the chosen target (Q2).

        One attempt for now. Retry and fallback are further calls of this with another target, as long as `_first_byte`
        is None: nothing of a failed attempt is kept but its count.
        """
        entry, route, provider = self._entry, self._route, self._provider
        assert isinstance(entry, Entry)
        assert route is not None
        assert provider is not None
        memory = NO_MEMORY if self._past is None else self._past.memory
        talk = converse(entry, route, provider, self._method, self._created, self._seed, self.id, memory)
        self._talk = talk
        if self._past is not None:
            self._past.watch(talk)
        upstream = talk.receive_request(body, self._headers, self._target)
        if upstream is None:
            return self._answer_now(talk, now)
        self._attempts += 1
        self.state, self._opened = _WAITING, now
        self._idle_at = now + (provider.first_byte_secs if upstream.stream else provider.request_secs)
        self._total_at = now + provider.total_secs if provider.total_secs is not None else None
        opening = Open(provider.name, upstream, self._attempts)
        if not self._gateway.notes:
            return [opening]
        model = route.rewrite_model or talk.model or None
        return [sending(provider.name, model, stream=upstream.stream), opening]

    def _answer_now(self, talk: Conversation, now: float) -> list[Action]:
        """Refused, or answered without a provider."""
        body = talk.receive_eof()
        assert talk.head is not None
        self._error = talk.error
        return [*self._head(now), self._send_body(body), Finish(), self._record(now)]

    def _on_client_fault(self, event: Input, now: float) -> list[Action]:
        assert type(event) is ClientFault
        return self._refuse(unread(event.status, event.message), now)

    def _on_client_lost(self, event: Input, now: float) -> list[Action]:
        actions: list[Action] = [Abort()] if self.state in _ALIVE and not (self._past and self._past.over) else []
        # On pass-through the provider may take its time after its last event; the client need not wait for it.
        done = self._talk is not None and self._talk.complete and self.state is not State.KEEPING
        return [*actions, self._record(now, None if done else Outcome.CANCELLED)]

    # --- the provider's side ---

    def _on_head(self, event: Input, now: float) -> list[Action]:
        assert type(event) is UpstreamHead
        talk, provider = self._talk, self._provider
        assert talk is not None
        assert provider is not None
        self.state = _ANSWERING
        self._idle_at = now + provider.idle_secs
        actions: list[Action] = []
        if self._gateway.notes and 200 <= event.status < 300:
            actions.append(answered(provider.name, event.status, now - self._opened))
        if talk.receive_response_head(event.status, event.headers) is not None:
            actions.extend(self._head(now))
        elif talk.stream:
            self._hold_at = now + self._gateway.hold_secs
        return actions

    def _on_data(self, event: Input, now: float) -> list[Action]:
        talk = self._talk
        assert talk is not None
        if self._taken is None:
            out = talk.receive_data(event.data)  # type: ignore[union-attr]  # the table lets only UpstreamData in
        else:
            out, self._taken = self._taken, None
        idle: float = self._provider.idle_secs  # type: ignore[union-attr]  # set before the state
        finished = talk.finish_reason is not None
        self._idle_at = now + (min(idle, GOODBYE_SECS) if finished else idle)
        if self._past is not None and (point := self._point()):
            return [*point, *self._deliver(out, now)]
        if self._first_byte is not None and talk.state not in _TALK_OVER:
            if not finished and (self._past is None or self._past.settled):
                self._flow, self._flow_state = talk, talk.state
            if not out:
                return []
            if self._ping_at is not None:
                self._ping_at = now + self._gateway.ping_secs
            return [self._send_body(out)]
        if not out and talk.head is None and talk.state not in _TALK_OVER:
            return []  # a whole answer is being collected
        return self._deliver(out, now)

    def _on_end(self, event: Input, now: float) -> list[Action]:
        talk = self._talk
        assert talk is not None
        out = talk.receive_eof()
        point = self._point() if self._past is not None else ()
        actions = self._deliver(out, now, upstream_open=False)
        return [*point, *actions] if point else actions

    def _point(self) -> Sequence[Action]:
        """Keep where the answer is, once its provider has named it."""
        if self._past is None:
            return ()
        assert self._provider is not None
        return self._past.point(self._provider)

    def _deliver(self, out: bytes, now: float, *, upstream_open: bool = True) -> list[Action]:
        """Send what came out of the conversation; end the exchange when the conversation is over."""
        talk = self._talk
        assert talk is not None
        over = talk.state in _TALK_OVER
        if over:
            out += talk.receive_eof()  # an error that was decided before the head lies there
            if isinstance(talk, KeptTranslator) and talk.keep:
                return self._keep(talk, out, now, upstream_open=upstream_open)
        return self._let_out(out, now, over=over, upstream_open=upstream_open)

    def _keep(self, talk: KeptTranslator, out: bytes, now: float, *, upstream_open: bool) -> list[Action]:
        """The answer is complete: its end goes out when it is kept."""
        assert self._past is not None
        assert self._provider is not None
        keep = self._past.keep(talk, self._provider, out, upstream_open=upstream_open)
        self.state = State.KEEPING
        return [keep] if keep is not None else self._on_stored(Stored(ok=False), now)

    def _on_stored(self, event: Input, now: float) -> list[Action]:
        assert type(event) is Stored
        assert isinstance(self._talk, KeptTranslator)
        assert self._past is not None
        out, upstream_open = self._past.release(self._talk, kept=event.ok)
        return self._let_out(out, now, over=True, upstream_open=upstream_open)

    def _on_impatience(self, event: Input, now: float) -> list[Action]:
        """The store may have its turn: it is short, and the answer is complete."""
        return []

    def _let_out(self, out: bytes, now: float, *, over: bool, upstream_open: bool) -> list[Action]:
        talk = self._talk
        assert talk is not None
        actions: list[Action] = []
        late = late_losses(talk) if over else ()
        if self._first_byte is None and talk.head is not None:
            actions.extend(self._head(now, final_headers(talk) if late else None))
            late = ()
        if out:
            actions.append(self._send_body(out))
        if not over:
            return actions
        self._error = talk.error
        # The end goes out with the last bytes: a client that has read its last event may leave right after it.
        late = late if late and wants_trailers(self._entry.dialect, self._headers) else ()
        actions.append(Cut() if talk.cut else Finish(late) if late else _END)
        if upstream_open:
            actions.append(Release() if talk.state is Translation.DONE else Abort())
        actions.append(self._record(now))
        return actions

    def _on_upstream_lost(self, event: Input, now: float) -> list[Action]:
        assert type(event) is UpstreamLost
        assert self._provider is not None
        error = lost(self._provider.name, event, answering=self.state is _ANSWERING)
        note = failed(self._provider.name, event.reason)
        return [note, *self._fail(error, now, upstream_open=False)]

    def _fail(self, error: ir.Error, now: float, *, upstream_open: bool = True) -> list[Action]:
        talk = self._talk
        assert talk is not None
        return self._deliver(talk.fail(error), now, upstream_open=upstream_open)

    def _on_admitted(self, event: Input, now: float) -> list[Action]:
        raise NotImplementedError

    def _on_refused(self, event: Input, now: float) -> list[Action]:
        raise NotImplementedError

    def _on_pause_over(self, event: Input, now: float) -> list[Action]:
        raise NotImplementedError

    # --- time ---

    def _on_deadline(self, event: Input, now: float) -> list[Action]:
        if self._hold_at is not None and now >= self._hold_at:
            self._hold_at = None
            out = self._talk.commit() if self._talk is not None else b""
            return self._deliver(out, now)
        if self._ping_at is not None and now >= self._ping_at:
            self._ping_at = now + self._gateway.ping_secs
            out = self._talk.ping() if self._talk is not None else b""
            return [self._send_body(out)] if out else []
        if self._total_at is not None and now >= self._total_at:
            return self._late(f"was not done in {self._limit(self._total_at)} s", now)
        if self._idle_at is not None and now >= self._idle_at:
            waited = "sent no answer" if self.state is State.WAITING else "fell silent"
            return self._late(f"{waited} for {self._limit(self._idle_at)} s", now)
        return []

    def _limit(self, at: float) -> str:
        provider = self._provider
        assert provider is not None
        if at == self._total_at:
            secs = provider.total_secs or 0.0
        elif self.state is State.WAITING:
            secs = at - self._opened
        else:
            secs = provider.idle_secs
        return f"{secs:g}"

    def _late(self, what: str, now: float) -> list[Action]:
        assert self._provider is not None
        return self._fail(ir.Error(ir.ErrorKind.TIMEOUT, f"provider {self._provider.name} {what}"), now)

    def _on_stopping(self, event: Input, now: float) -> list[Action]:
        error = ir.Error(ir.ErrorKind.OVERLOADED, "the gateway is shutting down", retry_after=1.0)
        if self._talk is None:
            return self._refuse(error, now)
        return self._fail(error, now)

    # --- the client's answer ---

    def _refuse(self, error: ir.Error, now: float) -> list[Action]:
        head, body = DIALECTS[self._entry.dialect].encode_error(error, request_id=self.id)
        self._error = error
        headers = head.headers
        if isinstance(self._entry, NoEntry) and self._entry.allow:
            headers = (*headers, ("allow", ", ".join(self._entry.allow)))
        return [self._send_head(head.status, headers, now), self._send_body(body), Finish(), self._record(now)]

    def _head(self, now: float, headers: Headers | None = None) -> list[Action]:
        talk = self._talk
        assert talk is not None
        assert talk.head is not None
        self._hold_at = None
        if talk.stream and talk.error is None and talk.state is _STREAMING:
            self._ping_at = now + self._gateway.ping_secs
        return [self._send_head(talk.head.status, talk.head.headers if headers is None else tuple(headers), now)]

    def _send_head(self, status: int, headers: tuple[tuple[str, str], ...], now: float) -> SendHead:
        self._status, self._first_byte = status, now
        # Both names: OpenAI's SDKs show x-request-id, Anthropic's request-id.
        given = dict(headers)
        if "x-request-id" not in given:
            headers = (*headers, ("x-request-id", self.id))
        if self._entry.dialect == "anthropic" and "request-id" not in given:
            headers = (*headers, ("request-id", self.id))
        return SendHead(status, headers)

    def _send_body(self, data: bytes) -> SendBody:
        self._sent += len(data)
        return SendBody(data)

    def _record(self, now: float, outcome: Outcome | None = None) -> Record:
        talk, entry = self._talk, self._entry
        error = self._error or (talk.error if talk is not None else None)
        if outcome is None:
            outcome = _OK if error is None else Outcome.ERROR
            if error is not None and error.kind is ir.ErrorKind.TRUNCATED:
                outcome = Outcome.TRUNCATED
        self.state, self._flow = _DONE, None
        route, provider, first = self._route, self._provider, self._first_byte
        # By position: by name costs six times as much.
        return Record(
            self.id,
            entry.dialect,
            OPERATION_NAMES[entry.operation] if type(entry) is Entry else "none",
            outcome,
            self._status,
            now - self._started,
            None if first is None else first - self._started,
            self._model or (talk.model if talk is not None else "") or None,
            None if route is None else route.rewrite_model or self._model,
            None if talk is None else talk.upstream_model,
            None if provider is None else provider.name,
            None if talk is None else talk.stream,
            None if talk is None else talk.usage,
            None if talk is None else talk.finish_reason,
            () if talk is None else tuple(talk.losses),
            error,
            self._attempts,
            self._sent,
        )


_DISPATCH: dict[State, dict[type, Callable[[Exchange, Input, float], list[Action]]]] = {
    state: {event: getattr(Exchange, name) for (at, event), name in TRANSITIONS.items() if at is state}
    for state in State
}
