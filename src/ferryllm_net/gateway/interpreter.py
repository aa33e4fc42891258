"""Runs one Exchange: the only place that turns actions into awaits. It holds no policy of its own.

The whole request lives in the connection's task: reading the upstream, translating, and writing to the client is one
loop without a queue or a second task. Deadlines are swept: the sweeper interrupts a run that waits for
its upstream, and the exchange is told the time.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Coroutine, Sequence
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
    UpstreamFault,
    UpstreamResponse,
)
from ferryllm_net.http.pool import slowly
from ferryllm_net.stores import StoreError
from ferryllm_net.telemetry import RequestDone
from ferryllm_proto import DIALECTS, Exchange, ir
from ferryllm_proto.actions import (
    Abort,
    Action,
    Cut,
    Finish,
    Keep,
    Note,
    Open,
    Outcome,
    Point,
    ReadBody,
    Recall,
    Record,
    Release,
    SendBody,
    SendHead,
)
from ferryllm_proto.entries import find
from ferryllm_proto.inputs import (
    ClientBody,
    ClientFault,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Input,
    Recalled,
    Stopping,
    Stored,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)

if TYPE_CHECKING:
    from ferryllm_net.stores import Responses

    from .app import App

_TIMEOUTS = frozenset(
    {
        UpstreamFault.TIMEOUT_CONNECT,
        UpstreamFault.TIMEOUT_HEAD,
        UpstreamFault.TIMEOUT_IDLE,
        UpstreamFault.TIMEOUT_TOTAL,
    }
)


STORE_SECS = 5.0
"""How long the store of responses may take for one question; a client waits for it with its answer complete."""
RELEASE_SECS = 0.2
"""How long the end of a message is waited for after its last event: it is under way, or the provider forgot it."""


def _target(request: Request) -> str:
    """Path and query: the absolute form (RFC 9112, 3.2.2) means the same here, and one reader of paths is enough."""
    return f"{request.path}?{request.query}" if request.query else request.path


class Interpreter:
    """One request on its way."""

    def __init__(self, app: App, request: Request, respond: Responder, request_id: str) -> None:
        self._app = app
        self._request = request
        self._respond = respond
        self._exchange = Exchange(app.gateway_for(request), id=request_id, seed=app.ids.seed(), created=time.time())
        self._upstream: UpstreamResponse | None = None
        self._opening: Open | None = None
        self._reading: ReadBody | None = None
        self._asked: Recall | Keep | None = None
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
        self._over = False

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

    async def run(self) -> None:
        """From the request's head to the end of the answer."""
        request = self._request
        request.on_drain(self._stop)
        try:
            await self._go_on(self._tell(ClientRequest(request.method, _target(request), tuple(request.headers))))
        except ClientLeft:
            raise  # seen at a write before our cancellation arrived
        except Exception:
            # A fault of ours: whoever runs the server hears of it.
            self._record_unfinished(Outcome.ERROR)
            await self._answer_fault()
            raise
        finally:
            request.forget_callbacks()
            try:
                if not self._over:
                    self._record_unfinished(None)
            finally:
                if self._upstream is not None and not self._upstream.ended:
                    await self._close_upstream()

    async def _go_on(self, actions: Sequence[Action]) -> None:
        """One thing after the other, until the exchange is over. Waits alone are broken off, by what woke us: a write
        to the client that is broken off would leave half a message behind."""
        while True:
            # What a pump has left comes first.
            if self._full:
                await self._respond.drain()
                self._full = False
            if self._asks:
                actions, self._asks = self._asks, ()
            if actions:
                rest = self._perform(actions)
                if rest is not None:
                    await rest
                if self._over:
                    return
            if self._woken is not None:
                actions = self._heed(self._woken)
                continue
            if self._reading is not None:
                body = self._request.whole(self._reading.limit)
                if body is not None:
                    self._reading = None
                    actions = self._tell(ClientBody(body))
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

    def _heed(self, woken: Input) -> Sequence[Action]:
        """What to do about having been woken."""
        self._woken = None
        return self._tell(woken)

    async def _answer_fault(self) -> None:
        """Say in the client's dialect that the gateway failed, where nothing was said yet; else the server cuts."""
        if self._respond.started:
            return
        request, error = self._request, ir.Error(ir.ErrorKind.SERVER, "internal error of the gateway")
        dialect = DIALECTS[find(request.method, request.path, request.headers).dialect]
        head, body = dialect.encode_error(error, request_id=self._exchange.id)
        await self._respond.complete(head.status, list(head.headers), body)

    def _record_unfinished(self, outcome: Outcome | None) -> None:
        """The run was cancelled, or failed: its record is made all the same, once."""
        if self._over:
            return
        due = self._record_due
        if due is None and self._asks and type(self._asks[-1]) is Record:
            due = self._asks[-1]
        if due is None:
            actions = self._exchange.receive(ClientLost(), self._app.clock())
            due = next((action for action in actions if isinstance(action, Record)), None)
        elif not self._respond.ended:
            # The exchange was over, but its last bytes did not get out.
            due = msgspec.structs.replace(due, outcome=Outcome.CANCELLED)
        if due is not None and outcome is not None:
            due = msgspec.structs.replace(due, outcome=outcome, status=due.status or 500)
        if due is not None:
            self._record(due)

    def _wait(self) -> Coroutine[None, None, Sequence[Action]]:
        if self._asked is not None:
            return self._ask(self._asked)
        if self._upstream is not None:
            return self._pump(self._upstream)
        if self._opening is not None:
            return self._open(self._opening)
        assert self._reading is not None
        return self._read(self._reading)

    async def _read(self, action: ReadBody) -> Sequence[Action]:
        """The body, where it is not there as a whole."""
        self._reading = None
        try:
            body = await slowly(self, lambda: self._request.read(action.limit))
        except RequestError as exc:
            return self._tell(ClientFault(exc.status, exc.message))
        return self._tell(ClientBody(body))

    async def _open(self, action: Open) -> Sequence[Action]:
        self._opening = None
        upstream = self._app.upstreams[action.provider]
        try:
            response = await upstream.open(self._app.pool, action.request, self._request.header("user-agent"), self)
        except UpstreamError as exc:
            return self._tell(_lost(exc))
        self._upstream = response
        return self._tell(UpstreamHead(response.status, tuple(response.headers)))

    async def _ask(self, action: Recall | Keep) -> Sequence[Action]:
        self._asked = None
        return self._tell(await self._ask_store(action))

    async def _ask_store(self, action: Recall | Keep) -> Input:
        """The store's turn: short, and not to be interrupted."""
        try:
            with anyio.fail_after(STORE_SECS):
                if isinstance(action, Keep):
                    await self._store.put(action.response, time.time(), action.ids)
                    return Stored(ok=True)
                return await self._recall(action, time.time())
        except (StoreError, TimeoutError) as exc:
            self._warn_of_store(exc)
            return Stored(ok=False) if isinstance(action, Keep) else Recalled(None, failed=True)

    async def _recall(self, action: Recall, now: float) -> Recalled:
        referred = await self._store.find_items(action.owner, action.items, now) if action.items else {}
        items = tuple(referred.items())
        if action.id is None:
            return Recalled(None, items=items)
        found = await self._store.get(action.owner, action.id, now)
        return Recalled(found, foreign=found is None and await self._store.known(action.id, now), items=items)

    async def _point(self, action: Point) -> None:
        try:
            with anyio.fail_after(STORE_SECS):
                await self._store.put(action.response, time.time())
        except (StoreError, TimeoutError) as exc:
            self._warn_of_store(exc)

    @property
    def _store(self) -> Responses:
        assert self._app.responses is not None  # the exchange knows whether there is one
        return self._app.responses

    def _warn_of_store(self, exc: Exception) -> None:
        reason = str(exc) or f"no answer for {STORE_SECS:g} s"
        self._app.log.warn("responses store failed", reason=reason, request_id=self._exchange.id)

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
            return self._tell(_lost(exc))
        return self._tell(UpstreamEnd())

    # --- actions ---

    def _perform(self, actions: Sequence[Action]) -> Coroutine[None, None, None] | None:
        """Do them in their order; returns what is to be awaited, with the rest behind it, where one takes time.

        What goes to the client is put there first, and waited for where it does not take it. A head is held for the
        rest of its actions: an answer that is whole goes out with its length, in one write.
        """
        if type(actions[-1]) is Record:
            self._record_due = actions[-1]
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
                    noted = self._note(actions, n)
                continue
            if kind is SendBody:
                assert isinstance(action, SendBody)
                self._body = action if self._body is None else SendBody(self._body.data + action.data)
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
            await self._point(action)

    def _note(self, actions: Sequence[Action], start: int = 0) -> int:
        """Log the notes that stand in a row from ``start`` on; where they end."""
        log, request_id = self._app.log, self._exchange.id
        end, plain = start, []
        for action in actions[start:]:
            if type(action) is not Note:
                break
            end += 1
            if action.level == "info":
                plain.append((action.name, action.fields))
            else:
                log.warn(action.name, **action.fields, request_id=request_id)
        if plain:
            log.notes(plain, request_id)
        return end

    async def _release_upstream(self) -> None:
        """Read the end of the provider's message, if it is there: then its connection can serve again."""
        upstream = self._upstream
        if upstream is not None and upstream.ended:
            self._upstream = None  # it has been given back
            return
        if upstream is not None:
            with anyio.move_on_after(RELEASE_SECS), contextlib.suppress(UpstreamError):
                with contextlib.suppress(Interrupted):
                    await upstream.receive()
                if not upstream.ended:  # what had been meant for an earlier wait came late
                    await upstream.receive()
        await self._close_upstream()

    async def _close_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            await upstream.aclose()

    def _record(self, record: Record) -> None:
        self._over = True
        self._app.metrics.observe(record)
        usage = record.usage
        self._app.log.request_completed(
            RequestDone(
                request_id=record.id,
                entry=record.entry,
                outcome=record.outcome._value_,
                status=record.status,
                latency_ms=round(record.latency * 1000),
                ttfb_ms=None if record.first_byte is None else round(record.first_byte * 1000),
                display_model=record.model,
                backend_model=record.backend_model,
                provider=record.provider,
                stream=record.stream,
                input_tokens=usage.input_total if usage is not None else None,
                output_tokens=usage.output if usage is not None else None,
                cache_read_tokens=usage.cache_read if usage is not None else None,
                cache_write_tokens=usage.cache_write if usage is not None else None,
                reasoning_tokens=usage.reasoning if usage is not None else None,
                sent_bytes=record.sent if record.operation == "forward" else None,
                losses=len(record.losses),
                error_kind=record.error.kind.value if record.error is not None else None,
            )
        )
        if record.losses:
            self._app.log.debug("translation losses", losses="; ".join(map(str, record.losses)), request_id=record.id)
        error = record.error
        if error is not None and record.outcome is not Outcome.OK:
            # A provider's own words may quote the prompt, so only the gateway's are shown.
            words = error.message if error.dialect is None else None
            self._app.log.debug(
                "request failed", kind=error.kind.value, code=error.code, error=words, request_id=record.id
            )


def _lost(exc: UpstreamError) -> UpstreamLost:
    return UpstreamLost(exc.message, timeout=exc.kind in _TIMEOUTS, busy=exc.kind is UpstreamFault.FULL)


_KEPT: dict[type, str] = {
    Open: "_opening",
    ReadBody: "_reading",
    Recall: "_asked",
    Keep: "_asked",
    SendHead: "_head",
}
"""Where an action is kept that is due behind the others."""
