"""Answering: what goes back to the client of an exchange, and what is written down of it at the end.

The lower half of an `Exchange`: heads, bytes, ends and the record. It decides nothing about providers.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from . import ir
from .actions import Abort, Action, Attempt, Cut, Finish, Outcome, Record, Release, SendBody, SendHead
from .admission import counted, settle, total
from .attempts import Attempts
from .conversation import Conversation, final_headers, late_losses, wants_trailers
from .dialect import Headers
from .dialects import DIALECTS
from .entries import OPERATION_NAMES, Entry, NoEntry, Operation
from .inputs import UpstreamHead
from .notes import cached
from .policy.prompt_cache import observe
from .policy.reasoning import Applied
from .responses.remembering import Remembering
from .responses.stateful import KeptTranslator
from .routing.failures import judge
from .routing.keys import Admission, Ask, ClientKey, Refusal
from .routing.limits import Meter, limit_headers
from .routing.pricing import Cost, cost_of
from .routing.rates import Standing
from .routing.table import Plan, Route
from .snapshot import Gateway, Provider
from .stages import State
from .translate import State as Translation

# Members are looked up once: that costs more than a comparison with them.
_DONE, _OK = State.DONE, Outcome.OK
_CANCELLED = Outcome.CANCELLED
_STREAMING, _ANSWERED = Translation.STREAM, Translation.DONE
_END = Finish()
_PARTINGS = (Abort, Release)
_LIMITS = ("x-ratelimit-", "anthropic-ratelimit-")
"""How fields begin that tell clients of limits."""


class Answering:
    """The client's side of an `Exchange`."""

    __slots__ = (
        "_admission", "_ask", "_attempts", "_begun", "_created", "_effort", "_entry", "_error", "_first_byte", "_flow",
        "_gateway", "_headers", "_hold_at", "_key", "_model", "_opened", "_owed", "_past", "_ping_at", "_plan",
        "_provider", "_queued", "_refused", "_route", "_sent", "_session", "_standings", "_started", "_status",
        "_stopping", "_talk", "_trying", "_upstream_head", "id", "state",
    )  # fmt: skip

    # What they begin with stands in `Exchange`: one place to look at, and one call for all of them.
    state: State
    id: str
    _gateway: Gateway
    _created: float
    _started: float
    _entry: Entry | NoEntry
    _headers: Headers
    _key: ClientKey | None
    _model: str | None
    _plan: Plan | None
    _route: Route | None
    _provider: Provider | None
    """With the route: of the attempt whose answer, or error, is the client's."""
    _talk: Conversation | None
    _past: Remembering | None
    """What a Responses client's request has to do with kept answers."""
    _trying: Attempts | None
    """The attempts, where there is anything to choose or one has failed."""
    _attempts: int
    _opened: float
    _upstream_head: UpstreamHead | None
    _error: ir.Error | None
    _effort: Applied | None
    _first_byte: float | None
    _status: int | None
    _sent: int
    _owed: bytes
    """The last event of an answer that passes through, as long as its record is not written."""
    _begun: bool
    """Content has gone out: nothing can be taken back."""
    _stopping: bool
    _admission: Admission | None
    _ask: Ask | None
    """What the request was thought to take at most; None: nobody wanted to know."""
    _standings: Mapping[Meter, Standing] | None
    """Of the limits that the request has met."""
    _queued: float | None
    _refused: str | None
    _session: bytes | None
    _hold_at: float | None
    _ping_at: float | None
    _flow: Conversation | None
    """The conversation while its answer is under way, and reads are answered by bytes alone (`Exchange.relay`)."""

    def _unix(self, now: float) -> float:
        return self._created + (now - self._started)

    # --- from the conversation to the client ---

    def _conclude(self, out: bytes, now: float, *, upstream_open: bool) -> list[Action]:
        """The conversation is over, and ``out`` the end of the answer: it goes out when the answer is kept."""
        talk, past = self._talk, self._past
        if past is None or not (isinstance(talk, KeptTranslator) and talk.keep):
            return self._let_out(out, now, over=True, upstream_open=upstream_open)
        assert self._provider is not None
        keep = past.keep(talk, self._provider, out, upstream_open=upstream_open)
        self.state = State.KEEPING
        return [keep] if keep is not None else self._release(talk, now, kept=False)

    def _release(self, talk: KeptTranslator, now: float, *, kept: bool) -> list[Action]:
        """The store has answered."""
        assert self._past is not None
        out, upstream_open = self._past.release(talk, kept=kept)
        return self._let_out(out, now, over=True, upstream_open=upstream_open)

    def _let_out(self, out: bytes, now: float, *, over: bool, upstream_open: bool) -> list[Action]:
        talk = self._talk
        assert talk is not None
        actions: list[Action] = []
        if self._owed or (self._gateway.records and talk.last):
            # What tells the client of the end waits for the row, also where HTTP's own end is still to come.
            out = self._owed + out
            out, self._owed = (out, b"") if over else (b"", out)
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
            actions.append(Release() if talk.state is _ANSWERED else Abort())
        return self._close(actions, now)

    def _answer_now(self, talk: Conversation, now: float) -> list[Action]:
        """Refused, or answered without a provider."""
        body = talk.receive_eof()
        assert talk.head is not None
        self._error = talk.error
        return self._close([*self._head(now), self._send_body(body), _END], now)

    def _turn_away(self, refusal: Refusal, now: float) -> list[Action]:
        """Refuse, and remember why."""
        self._refused, self._standings = refusal.reason, refusal.standings
        return self._refuse(refusal.error, now)

    def _refuse(self, error: ir.Error, now: float) -> list[Action]:
        head, body = DIALECTS[self._entry.dialect].encode_error(error, request_id=self.id)
        self._error = error
        headers = head.headers
        if isinstance(self._entry, NoEntry) and self._entry.allow:
            headers = (*headers, ("allow", ", ".join(self._entry.allow)))
        return self._close([self._send_head(head.status, headers, now), self._send_body(body), _END], now)

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
        if self._standings:
            # The gateway's limits bind the client: those of the provider's account are no business of its.
            headers = tuple(pair for pair in headers if not pair[0].lower().startswith(_LIMITS))
            headers = (*headers, *limit_headers(self._entry.dialect, self._standings, self._unix(now)))
        return SendHead(status, with_ids(headers, self._entry.dialect, self.id))

    def _send_body(self, data: bytes) -> SendBody:
        self._sent += len(data)
        return SendBody(data)

    # --- what is written down ---

    def _close(self, actions: list[Action], now: float, outcome: Outcome | None = None) -> list[Action]:
        """The end: ``actions``, with everything given back that was taken, and the record behind them."""
        trying, admission = self._trying, self._admission
        record = self._record(now, outcome)
        target = None if trying is None else trying.place
        if trying is not None:
            trying.end(now, total(record.usage), asked=self._attempts > len(trying.made))
        found = record.cache
        if found is not None and (found.cached_tokens or found.creation_tokens) and self._gateway.notes:
            actions.append(cached(record.entry, record.model, found))
        if trying is not None and (owed := trying.owed()):
            # A client that takes its time holds no place at a provider that is done.
            at_once = not any(type(action) in _PARTINGS for action in actions)
            actions = [*owed, *actions] if at_once else [*actions, *owed]
        if admission is not None:
            operation = self._entry.operation if type(self._entry) is Entry else Operation.FORWARD
            asked, session = self._attempts > 0, self._session
            settled = settle(
                admission,
                operation,
                record.usage,
                record.cost,
                asked=asked,
                # Who leaves early is answered by a provider that goes on all the same, or has begun to.
                answered=self._begun or (asked and record.outcome is _CANCELLED),
                session=session,
                target=target,
            )
            actions.append(settled)
            # What is unknown in the record was counted all the same: after a start quotas go on from this.
            tokens, cost = counted(settled, self._ask)
            record = msgspec.structs.replace(record, counted_tokens=tokens, counted_cost=cost)
        actions.append(record)
        return actions

    def _record(self, now: float, outcome: Outcome | None) -> Record:
        talk, entry, plan, effort = self._talk, self._entry, self._plan, self._effort
        error = self._error or (talk.error if talk is not None else None)
        if outcome is None:
            outcome = _OK if error is None else Outcome.ERROR
            if error is not None and error.kind is ir.ErrorKind.TRUNCATED:
                outcome = Outcome.TRUNCATED
        self.state, self._flow = _DONE, None
        route, provider, first = self._route, self._provider, self._first_byte
        usage = None if talk is None else talk.usage
        if usage is not None and outcome is not _OK and talk is not None and talk.finish_reason is None:
            # What a provider counts at the beginning says nothing of the end: leaving early makes no answer cheap.
            usage = msgspec.structs.replace(usage, output=None, reasoning=None)
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
            usage,
            None if talk is None else talk.finish_reason,
            () if talk is None else tuple(talk.losses),
            error,
            self._attempts,
            self._sent,
            self._created,
            self._key,
            None if plan is None else plan.route.match,
            self._tries(now, outcome),
            None if self._gateway.prices is None or not self._attempts else self._cost(usage),
            self._refused,
            self._queued,
            None if effort is None else effort.requested,
            None if effort is None else effort.applied,
            None if usage is None or (usage.cache_read is None and usage.cache_write is None) else observe(usage),
        )

    def _tries(self, now: float, outcome: Outcome) -> tuple[Attempt, ...]:
        """All attempts: those that failed, and the one that was answered or given up."""
        trying, count = self._trying, self._attempts
        if not count:
            return ()
        talk, provider, route, first = self._talk, self._provider, self._route, self._first_byte
        assert talk is not None
        assert provider is not None
        assert route is not None
        if trying is not None and len(trying.made) >= count:
            return tuple(trying.made)
        how = "ok"
        if outcome is not _OK:
            if outcome is _CANCELLED or self._stopping:
                how = "cancelled"
            elif talk.error is not None:
                how = judge(talk.error)[0].fault.value
        last = Attempt(
            provider.name,
            route.rewrite_model or self._model or "",
            how,
            None if self._upstream_head is None else self._upstream_head.status,
            0.0 if trying is None else trying.waited,
            (now if first is None else first) - self._opened,
        )
        return (last,) if trying is None else (*trying.made, last)

    def _cost(self, usage: ir.Usage | None) -> Cost:
        """What the answer cost at the provider that gave it."""
        prices, provider, route, talk = self._gateway.prices, self._provider, self._route, self._talk
        assert prices is not None
        assert provider is not None
        assert route is not None
        sellers = provider.sellers or (provider.name,)
        price = prices.find(route.rewrite_model or self._model or "", sellers)
        if price is None and talk is not None and talk.upstream_model:
            # What was asked for is a name of the seller's own; what answered may be one that is known.
            price = prices.find(talk.upstream_model, sellers)
        return cost_of(price, usage)


def with_ids(headers: tuple[tuple[str, str], ...], dialect: str, id: str) -> tuple[tuple[str, str], ...]:  # noqa: A002
    """``headers`` of an answer with the request's ``id`` under both names: OpenAI's SDKs show x-request-id, Anthropic's
    request-id."""
    if len(headers) == 1 and headers[0][0] == "content-type":  # nearly all
        if dialect == "anthropic":
            return (headers[0], ("x-request-id", id), ("request-id", id))
        return (headers[0], ("x-request-id", id))
    given = dict(headers)
    if "x-request-id" not in given:
        headers = (*headers, ("x-request-id", id))
    if dialect == "anthropic" and "request-id" not in given:
        headers = (*headers, ("request-id", id))
    return headers
