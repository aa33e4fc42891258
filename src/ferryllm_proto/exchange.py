"""Exchange: the whole life of one client request, without doing any of its I/O.

Feed it what happened (`Exchange.receive` with one of the inputs and the time), do what it answers, in order, and come
back at `Exchange.next_deadline`. The interpreter in ferryllm_net turns actions into awaits and decides nothing.

Time is two things here: ``now``, seconds of any monotonic clock, and ``created``, Unix seconds at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from . import ir
from .actions import Abort, Action, Outcome, ReadBody
from .asking import Asking
from .conversation import look
from .entries import CONVERSATIONS, Entry, NoEntry, Operation, find
from .errors import LocalProtocolError, RemoteProtocolError
from .inputs import (
    Admitted,
    ClientBody,
    ClientFault,
    ClientRequest,
    Input,
    Recalled,
    Refused,
    Stored,
    UpstreamHead,
    UpstreamLost,
)
from .notes import answered, failed, incoming
from .policy.access import by_name, identify, owner
from .questions.forward import named
from .refusals import lost, no_entry, too_large, unknown_model, unread
from .responses.remembering import Remembering
from .responses.stateful import KeptTranslator
from .routing.balance import Target
from .routing.choice import Routing
from .routing.hints import ALIAS_MARK, hint_in
from .routing.keys import ClientKey, Desk, KeyBook, Refusal, ambiguous, foreign, may_answer, provider_refusal
from .routing.names import plainer
from .routing.table import Plan, Route
from .snapshot import Gateway
from .stages import TRANSITIONS, State
from .translate import State as Translation

if TYPE_CHECKING:
    from .flow import Flow
    from .usual import Opened

GOODBYE_SECS = 10.0
"""How long a provider may stay open behind the reason to stop; then its answer is complete as it is (T3)."""
LAST_SECS = 0.2
"""The same where the last event is there and the client waits for it, because a row of it is kept: servers close within
the same packet or two."""


# Tuples: a look at two or three members costs less than the hash of one.
_ALIVE = (State.WAITING, State.ANSWERING, State.KEEPING)
_UNTIMED = (State.DONE, State.KEEPING)
_TALK_OVER = (Translation.DONE, Translation.FAILED)
# Members are looked up once: that costs more than a comparison with them.
_IDLE, _DONE, _READING, _ANSWERING = State.IDLE, State.DONE, State.READING, State.ANSWERING
_FORWARD = Operation.FORWARD
_NO_ENTRY = NoEntry("openai")
_RESPONSES = "openai_responses"


def _even() -> float:
    """No chance at all."""
    return 0.5


class Exchange(Asking):
    """One client request, from its head to the last byte of its answer.

    Parameters: ``gateway`` is the configuration to decide with, ``id`` the request's id (shown to the client and in
    the log), ``seed`` what minted ids derive from, ``created`` Unix seconds, ``routing`` what the requests of a process
    share, ``desk`` who knows which limits there are, ``chance`` gives random numbers in [0, 1).
    """

    __slots__ = ("__weakref__", "_flow_state", "_hint", "_taken")

    def __init__(
        self,
        gateway: Gateway,
        id: str,  # noqa: A002
        seed: int = 0,
        created: float = 0.0,
        routing: Routing | None = None,
        desk: Desk | None = None,
        chance: Callable[[], float] = _even,
    ) -> None:
        self.state = _IDLE
        self.id = id
        self._gateway = gateway
        self._seed = seed
        self._created = created
        self._routing = routing
        self._desk = desk
        self._chance = chance
        self._entry = _NO_ENTRY
        self._headers = ()
        self._target, self._method = "", "POST"
        self._body = self._words = self._owed = b""
        self._key = self._model = self._plan = self._route = self._provider = self._talk = self._past = None
        self._peeked = self._trying = self._upstream_head = self._recalled = self._allowed = self._tokens = (
            self._final
        ) = None
        self._admission = self._standings = self._queued = self._refused = self._session = self._effort = None
        self._error = self._first_byte = self._status = self._ask = self._listed = None
        self._idle_at = self._total_at = self._hold_at = self._ping_at = self._flow = None
        self._started = self._opened = self._total_secs = 0.0
        self._sent = self._attempts = 0
        self._begun = self._stopping = False
        self._hint: str | None = None
        """The provider that the client's headers ask for."""
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
        # One after the other: a loop over them costs more than they do.
        first, at = self._idle_at, self._total_at
        if at is not None and (first is None or at < first):
            first = at
        at = self._hold_at
        if at is not None and (first is None or at < first):
            first = at
        at = self._ping_at
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
        fields = by_name(headers) if event.fields is None else event.fields
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
            return self._turn_away(who, now)
        if who is not None:
            assert type(who) is ClientKey
            self._key = who
        if gateway.hints:
            self._hint = hint_in(fields)
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
        entry, gateway = self._entry, self._gateway
        assert type(entry) is Entry
        self._body = event.data
        notes: list[Action] = []
        try:
            if entry.operation is _FORWARD:
                plan: Plan | None = Plan(
                    Route("", entry.provider), (Target(entry.provider),), alone=gateway.routes.alone
                )
            else:
                self._peeked = look(entry, event.data, self._target, gateway.providers)
                self._model, stream = self._peeked
                if gateway.notes:
                    notes.append(incoming(entry.dialect, self._model, stream=stream))
                plan = gateway.routes.plan(self._model, self._hint)
        except RemoteProtocolError as exc:
            return notes + self._refuse(exc.error, now)
        if plan is None:
            return notes + self._refuse(unknown_model(self._model or ""), now)
        self._plan = plan
        if self._key is not None and (refusal := self._forbidden(plan)) is not None:
            return notes + self._turn_away(refusal, now)
        routing = self._routing
        if not plan.alone or gateway.admits or (routing is not None and routing.bounds):
            self._prepare(plan)
        if gateway.admits:
            self.state = State.ADMITTING
            return [*notes, self._admit(plan)]
        return self._set_out(notes, now) if self._past is None else self._go_on(notes, now)

    def _forbidden(self, plan: Plan) -> Refusal | None:
        """Why the request's key may not ask for this; who may answer it."""
        key, book, model = self._key, self._gateway.keys, self._model
        assert key is not None
        assert book is not None
        if key.models:
            # A path that is handed on names its model in a body that may be of any type.
            refusal = foreign(book, key, named(self._body) if model is None else model)
            if refusal is not None:
                self._listed = None if model is None else self._listed_name(plan, key, book, model)
                if self._listed is None:
                    return refusal
        if key.models or key.quotas:  # a budget counts by the model's price
            refusal = ambiguous(self._body)
            if refusal is not None:
                return refusal
        if key.providers:
            self._allowed = may_answer(key, [target.provider for target in (*plan.targets, *plan.fallbacks)])
            return None if self._allowed else provider_refusal()
        return None

    def _listed_name(self, plan: Plan, key: ClientKey, book: KeyBook, model: str) -> str | None:
        """The name on the key's list that ``model`` is another form of, with a date or a longer context: one that goes
        the same route, so that no list opens a route that it does not name."""
        routes = self._gateway.routes
        for name in plainer(model):
            if ALIAS_MARK not in model and foreign(book, key, name) is None and routes.plan(name, self._hint) is plan:
                return name
        return None

    def _on_admitted(self, event: Input, now: float) -> list[Action]:
        assert type(event) is Admitted
        self._admission, self._queued = event.admission, event.waited
        self._standings = event.admission.standings
        self._learn(event.pinned, now)
        return self._go_on([], now)

    def _on_refused(self, event: Input, now: float) -> list[Action]:
        assert type(event) is Refused
        return self._turn_away(event.refusal, now)

    def _go_on(self, notes: list[Action], now: float) -> list[Action]:
        """The request may go on: ask for what it goes on from, or ask a provider."""
        past = self._past
        if past is None:
            return self._set_out(notes, now)
        try:
            question = past.ask(self._body)
        except RemoteProtocolError as exc:
            return notes + self._refuse(exc.error, now)
        if question is None:
            return self._set_out(notes, now)
        self.state = State.RECALLING
        return [*notes, question]

    def _on_recalled(self, event: Input, now: float) -> list[Action]:
        assert type(event) is Recalled
        self._recalled = event
        return self._set_out([], now)

    def _on_client_fault(self, event: Input, now: float) -> list[Action]:
        assert type(event) is ClientFault
        return self._refuse(unread(event.status, event.message, event.code), now)

    def _on_client_lost(self, event: Input, now: float) -> list[Action]:
        actions: list[Action] = [Abort()] if self.state in _ALIVE and not (self._past and self._past.over) else []
        # On pass-through the provider may take its time after its last event; the client need not wait for it.
        done = self._talk is not None and self._talk.complete and not self._owed and self.state is not State.KEEPING
        return self._close(actions, now, None if done else Outcome.CANCELLED)

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
        self._upstream_head = event
        if talk.receive_response_head(event.status, event.headers) is not None:
            return [*actions, *self._deliver(b"", now)]  # a path that is handed on: its head tells all
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
        owing = finished and self._gateway.records and talk.last and talk.state not in _TALK_OVER
        if owing:
            self._idle_at = now + min(idle, LAST_SECS)
        if self._past is not None and (point := self._point()):
            return [*point, *self._deliver(out, now)]
        if owing:
            return self._deliver(out, now)
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
        if self._taken is None:
            out = talk.receive_eof()
        else:
            out, self._taken = self._taken, None
        point = self._point() if self._past is not None else ()
        actions = self._deliver(out, now, upstream_open=False)
        return [*point, *actions] if point else actions

    def _point(self) -> Sequence[Action]:
        """Keep where the answer is, once its provider has named it."""
        if self._past is None:
            return ()
        assert self._provider is not None
        return self._past.point(self._provider)

    def _on_stored(self, event: Input, now: float) -> list[Action]:
        assert type(event) is Stored
        assert isinstance(self._talk, KeptTranslator)
        return self._release(self._talk, now, kept=event.ok)

    def _on_impatience(self, event: Input, now: float) -> list[Action]:
        """Whoever is asked may have his turn: the store's is short, and the queue knows its own end."""
        return []

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
            self._final = "the request's time is up"
            return self._late(f"was not done in {self._total_secs:g} s", now)
        if self._idle_at is not None and now >= self._idle_at:
            waited = "sent no answer" if self.state is State.WAITING else "fell silent"
            return self._late(f"{waited} for {self._silence(self._idle_at):g} s", now)
        return []

    def _silence(self, at: float) -> float:
        provider = self._provider
        assert provider is not None
        return at - self._opened if self.state is State.WAITING else provider.idle_secs

    def _late(self, what: str, now: float) -> list[Action]:
        assert self._provider is not None
        return self._fail(ir.Error(ir.ErrorKind.TIMEOUT, f"provider {self._provider.name} {what}"), now)

    def _on_stopping(self, event: Input, now: float) -> list[Action]:
        error = ir.Error(ir.ErrorKind.OVERLOADED, "the gateway is shutting down", retry_after=1.0)
        if self.state is State.PAUSING or (self.state is State.BOOKING and self._attempts):
            return self._conclude(self._words, now, upstream_open=False)
        if self._talk is None:
            return self._refuse(error, now)
        self._stopping = True
        return self._fail(error, now)

    def _on_pause_over(self, event: Input, now: float) -> list[Action]:
        if self._idle_at is not None and now < self._idle_at:
            return []
        return self._again(now)


_DISPATCH: dict[State, dict[type, Callable[[Exchange, Input, float], list[Action]]]] = {
    state: {event: getattr(Exchange, name) for (at, event), name in TRANSITIONS.items() if at is state}
    for state in State
}


def resumed(
    opened: Opened, routing: Routing, desk: Desk | None, chance: Callable[[], float], flow: Flow | None = None
) -> Exchange:
    """The exchange that has received the head and the body of ``opened``, and returned its `Open`; with ``flow``, that
    is in the middle of the answer. Where `Flow.taken` is not None the next input is the one that it came of."""
    kind, way, now = opened.kind, opened.way, opened.now
    exchange = Exchange(kind.usual.gateway, opened.id, opened.seed, opened.created, routing, desk, chance)
    exchange._started, exchange._method = now, kind.method
    exchange._headers, exchange._target = kind.headers, kind.target
    exchange._entry, exchange._key, exchange._hint = kind.entry, kind.key, kind.hint
    exchange._body, exchange._peeked, exchange._model, exchange._plan = (
        opened.body,
        opened.peeked,
        opened.model,
        way.plan,
    )
    exchange._talk, exchange._route, exchange._provider = opened.conversation(), way.route, way.provider
    exchange._begin_waiting(now, stream=opened.request.stream)
    if flow is not None:
        exchange.state, exchange._upstream_head, exchange._taken = _ANSWERING, flow.upstream_head, flow.taken
        exchange._idle_at, exchange._hold_at, exchange._ping_at = flow.idle_at, flow.hold_at, flow.ping_at
        exchange._first_byte, exchange._sent = flow.first_byte, flow.sent
        if flow.first_byte is not None:
            exchange._status, exchange._begun, exchange._peeked = flow.head[0], True, None
    return exchange
