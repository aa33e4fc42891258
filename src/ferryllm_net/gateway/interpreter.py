"""Runs one Exchange: the only place that turns actions into awaits. It holds no policy of its own.

The whole request lives in the connection's task: reading the upstream, translating, and writing to the client is one
loop without a queue or a second task. Deadlines are swept: the sweeper interrupts a run that waits for
its upstream, and the exchange is told the time.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
import msgspec

from ferryllm_net.http import (
    ClientLeft,
    Interrupted,
    Interruptible,
    Request,
    RequestError,
    Responder,
    UpstreamError,
    UpstreamResponse,
)
from ferryllm_net.http.pool import slowly
from ferryllm_proto import Exchange
from ferryllm_proto.actions import (
    Abort,
    Action,
    Admit,
    Book,
    Cut,
    Finish,
    GiveBack,
    Keep,
    Note,
    Open,
    Outcome,
    Pause,
    Point,
    ReadBody,
    Recall,
    Record,
    Release,
    SendBody,
    SendHead,
    Settle,
)
from ferryllm_proto.inputs import (
    Admitted,
    Booked,
    ClientBody,
    ClientFault,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Input,
    Stopping,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.stages import State

from .faults import answer_fault
from .recording import NO_LEDGER, UNWRITTEN
from .upstream import Upstream, lost, read_end
from .visit import Stay, Visit, enter

if TYPE_CHECKING:
    from .app import App


class Interpreter:
    """One request on its way."""

    def __init__(
        self,
        app: App,
        request: Request,
        respond: Responder,
        exchange: Exchange,
        *,
        body: bytes | None = None,
        upstreams: Mapping[str, Upstream] | None = None,
        upstream: UpstreamResponse | None = None,
    ) -> None:
        """``body`` is the request's, where it was read; ``upstreams`` those of the configuration that the exchange
        began with; ``upstream`` an answer that is on its way."""
        self._app = app
        self._request = request
        self._respond = respond
        self._exchange = exchange
        self._upstreams = app.upstreams if upstreams is None else upstreams
        """Those of the configuration it began with."""
        self._upstream = upstream
        self._given = body
        self._told: list[Input] = []  # what had happened before the run began
        self._opening: Open | None = None
        self._reading: ReadBody | None = None
        self._asked: Recall | Keep | Book | None = None
        self._admit: Admit | None = None
        self._pause: Pause | None = None
        self._visit: Visit | None = None
        self._stay: Stay | None = None
        self.waits: Interruptible | None = None
        """What can be ended of the wait for the provider (`Waiter`); None while it is not waited for."""
        self._woken: Input | None = None
        self._deaf_since: float | None = None
        """Since when the sweeper has seen this run busy with its client; the provider is not listened to meanwhile."""
        self._asks: Sequence[Action] = ()
        """What the last bytes of the provider ask for and a pump can not do."""
        self._full = False
        """The client has to take what was written before there is more."""
        self._head: SendHead | None = None
        self._body: SendBody | None = None
        """Not put yet, as long as the actions with them are performed."""
        self._record_due: Record | None = None
        self._settle_due: Settle | None = None
        self._written = False
        """The ledger has its record."""
        self._over = False

    @property
    def answering(self) -> bool:
        """Whether a provider's answer is under way."""
        return self._exchange.state is State.ANSWERING

    # --- being woken ---

    def wake(self, now: float) -> None:
        """Called by the sweeper: end the wait for the upstream when the exchange's deadline has passed."""
        if self.waits is None:
            if self._deaf_since is None:
                self._deaf_since = now
        elif self._woken is None:
            deadline = self._exchange.next_deadline()
            if deadline is not None and now >= deadline:
                self._interrupt(DeadlinePassed())

    def _stop(self) -> None:
        """Called when the server will not wait any longer."""
        self._interrupt(Stopping())

    def _interrupt(self, event: Input) -> None:
        self._woken = event
        if self.waits is not None:
            self.waits.interrupt()

    # --- the run ---

    async def run(
        self, events: Sequence[Input] = (), woken: Input | None = None, failure: BaseException | None = None
    ) -> None:
        """To the end of the answer: from the request's head on, or for an exchange that has begun from ``events`` on.
        ``woken`` is what somebody wants of that, ``failure`` what ended its wait: raised when all is done that is due.
        """
        request = self._request
        if self._woken is None:
            self._woken = woken
        request.on_drain(self._stop)
        try:
            self._told = list(events)
            if failure is not None:
                while self._told and not self._over:
                    found = self._tell_next()
                    self._app.recording.notes([one for one in found if type(one) is Note], 0, self._exchange.id)
                    self._note_end(found)
                raise failure
            actions: Sequence[Action] = ()
            if self._exchange.state is State.IDLE:
                head = ClientRequest(request.method, request.resource, tuple(request.headers), request.fields())
                actions = self._tell(head)
            await self._go_on(actions)
        except ClientLeft:
            raise  # seen at a write before our cancellation arrived
        except Exception:
            # A fault of ours: whoever runs the server hears of it.
            self._record_unfinished(Outcome.ERROR)
            await answer_fault(request, self._respond, self._exchange.id)
            raise
        finally:
            request.forget_callbacks()
            try:
                if not self._over:
                    self._record_unfinished(None)
            finally:
                if self._stay is not None:
                    self._stay.leave(self._app.clock())
                if self._visit is not None:
                    self._visit.leave(self._settle_due, self._app.clock(), time.time())
                if self._upstream is not None and not self._upstream.ended:
                    await self._close_upstream()

    async def _go_on(self, actions: Sequence[Action]) -> None:
        """One thing after the other, until the exchange is over. Waits alone are broken off, by what woke us: a write
        to the client that is broken off would leave half a message behind."""
        while True:
            if self._full:  # what a pump has left comes first
                await self._respond.drain()
                self._full = False
            if self._asks:
                actions, self._asks = self._asks, ()
            if actions:
                if self._app.ledger is not None and type(actions[-1]) is Record:
                    actions = await self._write_ahead(actions)
                rest = self._perform(actions)
                if rest is not None:
                    await rest
                if self._over:
                    return
            if self._told:
                actions = self._tell_next()
                continue
            if self._woken is not None:
                woken, self._woken = self._woken, None
                actions = self._tell(woken)
                continue
            if self._reading is not None:
                body, self._given = self._given, None
                if body is None:
                    body = self._request.whole(self._reading.limit)
                if body is not None:
                    self._reading = None
                    actions = self._tell(self._read_whole(body))
                    body = None  # a history is not kept for as long as its answer takes
                    continue
            if self._deaf_since is not None:
                # How long the client takes to read is not the provider's silence.
                self._exchange.postpone(self._app.clock() - self._deaf_since)
                self._deaf_since = None
            try:
                actions = await self._wait()
            except Interrupted:
                actions = ()
            self.waits = None

    def _tell(self, event: Input) -> Sequence[Action]:
        return self._exchange.receive(event, self._app.clock())

    def _tell_next(self) -> Sequence[Action]:
        """The next of what had happened before, unless the exchange wants something else by now."""
        event = self._told.pop(0)
        if self._exchange.state in _WHEN.get(type(event), _LATER):
            return self._tell(event)
        self._told.clear()
        return ()

    def _record_unfinished(self, outcome: Outcome | None) -> None:
        """The run was cancelled, or failed: its record is made all the same, once."""
        if self._over:
            return
        if self._record_due is None and self._asks:
            self._note_end(self._asks)
        due = self._record_due
        if due is None:
            self._note_end(self._exchange.receive(ClientLost(), self._app.clock()))
            due = self._record_due
        elif not self._respond.ended:
            # The exchange was over, but its last bytes did not get out.
            due = msgspec.structs.replace(due, outcome=Outcome.CANCELLED)
        if due is not None and outcome is not None:
            due = msgspec.structs.replace(due, outcome=outcome, status=due.status or 500)
        if due is not None:
            self._record(due)

    def _note_end(self, actions: Sequence[Action]) -> None:
        """Know what is due at the end, whatever becomes of the actions before it."""
        last = actions[-1] if actions else None
        if type(last) is Record:
            self._record_due = last
            before = actions[-2] if len(actions) > 1 else None
            if type(before) is Settle:
                self._settle_due = before
            if self._stay is not None:
                self._stay.heed(actions)

    # --- at the door and in the ledger ---

    async def _enter(self, action: Admit) -> Sequence[Action]:
        found = await slowly(self, lambda: enter(self._app, action, self._request.peer[0]))
        self._admit = None
        if type(found) is Admitted:
            self._visit = Visit(self._app.door, found.admission)
        return self._tell(found)

    async def _write_ahead(self, actions: Sequence[Action]) -> Sequence[Action]:
        """The ledger first: who has the end of an answer can rely on its row."""
        self._note_end(actions)
        record, self._written = self._record_due, True
        assert record is not None
        if await self._app.recording.write(record):
            return actions
        return self._app.recording.refused(record, actions, begun=self._respond.started)

    async def _wait_pause(self, action: Pause) -> Sequence[Action]:
        await slowly(self, lambda: anyio.sleep_until(action.until))
        self._pause = None
        # A timer may come a little early, and nobody would come again.
        return self._exchange.receive(DeadlinePassed(), max(self._app.clock(), action.until))

    def _wait(self) -> Coroutine[None, None, Sequence[Action]]:
        if self._asked is not None:
            return self._ask(self._asked)
        if self._opening is not None:
            return self._open(self._opening)
        if self._pause is not None:
            return self._wait_pause(self._pause)
        if self._upstream is not None:
            return self._pump(self._upstream)
        if self._admit is not None:
            return self._enter(self._admit)
        assert self._reading is not None
        return self._read(self._reading)

    async def _read(self, action: ReadBody) -> Sequence[Action]:
        """The body, where it is not there as a whole."""
        self._reading = None
        try:
            body = await slowly(self, lambda: self._request.read(action.limit))
        except RequestError as exc:
            return self._tell(ClientFault(exc.status, exc.message))
        return self._tell(self._read_whole(body))

    def _read_whole(self, body: bytes) -> Input:
        """The client's body is there; where its answer could not be written down, nobody is asked for one."""
        return ClientFault(503, NO_LEDGER, UNWRITTEN) if self._app.recording.closed else ClientBody(body)

    async def _open(self, action: Open) -> Sequence[Action]:
        self._opening = self._pause = None
        if self._upstream is not None:  # of an attempt before
            await self._close_upstream()
        upstream = self._upstreams[action.provider]
        try:
            response = await upstream.open(self._app.pool, action.request, self._request.header("user-agent"), self)
        except UpstreamError as exc:
            return self._tell(lost(exc))
        self._upstream = response
        return self._tell(UpstreamHead(response.status, tuple(response.headers)))

    async def _ask(self, action: Recall | Keep | Book) -> Sequence[Action]:
        if not isinstance(action, Book):
            self._asked = None
            return self._tell(await self._app.questions.ask(action, self._exchange.id))
        door = self._app.door
        found = await slowly(self, lambda: door.book(action, self._app.clock()))
        self._asked = None
        if type(found) is Booked:
            self._stay = Stay(door, found.booking)
        return self._tell(found)

    async def _pump(self, upstream: UpstreamResponse) -> Sequence[Action]:
        """Upstream to client, chunk by chunk where the bytes arrive; what needs more than a write is left in `_asks`
        and `_full`."""
        exchange, put, clock = self._exchange, self._respond.put, self._app.clock
        relay = exchange.relay

        def feed(data: bytes) -> bool:
            now = clock()
            out = relay(data, now)
            if out is None:
                self._asks = exchange.receive(UpstreamData(data), now)
                return bool(self._asks)
            self._full = bool(out) and not put(out)
            return self._full

        try:
            self.waits = upstream
            if await upstream.pump(feed):
                return ()
        except UpstreamError as exc:
            return self._tell(lost(exc))
        return self._tell(UpstreamEnd())

    # --- actions ---

    def _perform(self, actions: Sequence[Action]) -> Coroutine[None, None, None] | None:
        """Do them in their order; returns what is to be awaited, with the rest behind it, where one takes time.

        What goes to the client is put there first, and waited for where it does not take it. A head is held for the
        rest of its actions: an answer that is whole goes out with its length, in one write.
        """
        if type(actions[-1]) is Record:
            self._note_end(actions)
        respond = self._respond
        noted = 0
        for n, action in enumerate(actions):
            kind = type(action)
            place = _KEPT.get(kind)
            if place is not None:
                setattr(self, place, action)
                continue
            if kind is Note:
                if n >= noted:
                    noted = self._app.recording.notes(actions, n, self._exchange.id)
                continue
            if kind is SendBody:
                assert isinstance(action, SendBody)
                self._body = action if self._body is None else SendBody(self._body.data + action.data)
                continue
            if kind is Settle:
                assert isinstance(action, Settle)
                assert self._visit is not None
                self._visit.settle(action, self._app.clock(), time.time())
                continue
            if kind is Record:
                assert isinstance(action, Record)
                self._record(action)
                continue
            if kind is Finish:
                assert isinstance(action, Finish)
                taken = self._finish(action)
            elif kind is Release and (self._upstream is None or self._upstream.ended):
                self._upstream = None  # it has been given back
                continue
            elif kind is GiveBack:
                assert self._stay is not None
                self._stay.heed((action,))
                self._stay.leave(self._app.clock())
                self._stay = None
                continue
            else:
                return self._rest(self._take_time(action), actions[n + 1 :])
            if not taken:
                return self._rest(respond.drain(), actions[n + 1 :])
        head, body = self._head, self._body
        self._head = self._body = None
        if head is not None:
            respond.begin(head.status, list(head.headers))
            if body is None:
                return respond.flush()
        if body is not None and not respond.put(body.data):
            return respond.drain()
        return None

    async def _rest(self, first: Coroutine[None, None, None], actions: Sequence[Action]) -> None:
        await first
        rest = self._perform(actions) if actions else None
        if rest is not None:
            await rest

    def _finish(self, action: Finish) -> bool:
        """The end of the answer; whether the system has taken it."""
        respond, head, body = self._respond, self._head, self._body
        self._head = self._body = None
        if head is not None and body is not None:
            return respond.put_complete(head.status, list(head.headers), body.data)
        if respond.ended:
            return True
        if head is not None:
            respond.begin(head.status, list(head.headers))
        return respond.put_end(b"" if body is None else body.data, list(action.trailers))

    async def _take_time(self, action: Action) -> None:
        kind = type(action)
        if kind is Cut:
            await self._respond.abort()
        elif kind is Abort:
            await self._close_upstream()
        elif kind is Release:
            await self._release_upstream()
        else:
            assert isinstance(action, Point)
            await self._app.questions.point(action, self._exchange.id)

    async def _release_upstream(self) -> None:
        """Read the end of the provider's message, if it is there: then its connection can serve again."""
        upstream = self._upstream
        if upstream is None or upstream.ended:
            self._upstream = None  # it has been given back
            return
        await read_end(upstream)
        await self._close_upstream()

    async def _close_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            await upstream.aclose()

    def _record(self, record: Record) -> None:
        self._over = True
        self._app.recording.record(record, written=self._written, peer=self._request.peer[0] or "")


_WHEN = {UpstreamHead: (State.WAITING,), UpstreamLost: (State.WAITING, State.ANSWERING)}
_LATER = (State.ANSWERING,)  # what is heard of a provider, and when
_KEPT: dict[type, str] = {  # where an action is kept that is due behind the others
    Open: "_opening",
    ReadBody: "_reading",
    Recall: "_asked",
    Keep: "_asked",
    Book: "_asked",
    Admit: "_admit",
    Pause: "_pause",
    SendHead: "_head",
}
