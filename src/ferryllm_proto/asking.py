"""Asking: who is asked for an answer, and what follows when none comes.

The middle of an `Exchange`: from the plan of a request to its attempts, one after the other, until content comes or
nobody is left. Each attempt sends the client's own bytes, translated afresh: nothing of a failed one is kept but its
last words, for the case that nothing better comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from . import ir
from .actions import Abort, Action, Admit, Note, Open, Pause
from .admission import ask_of, costs_of, counts_tokens, session, tokens_of
from .answering import Answering
from .attempts import Attempts
from .conversation import converse
from .dialect import UpstreamRequest
from .entries import Entry, Operation
from .errors import RemoteProtocolError
from .inputs import Booked, BookedUp, Input, Recalled
from .notes import half_open, passed_over, resolved, sending, shaped
from .policy import headers as header_policy
from .policy import transforms
from .policy.headers import NO_HEADERS
from .policy.prompt_cache import NOTHING
from .policy.route import NO_POLICIES
from .responses.stateful import NO_MEMORY
from .routing.balance import Balance, Target
from .routing.breaker import BreakerRules
from .routing.choice import Choice, Errand, Nobody, Routing
from .routing.keys import Desk
from .routing.retry import Next, RetryRules, Step
from .routing.table import NO_OVERRIDES, Overrides, Plan, Route
from .snapshot import Provider
from .stages import State
from .translate import State as Translation
from .translate import Translator

_TALK_OVER = (Translation.DONE, Translation.FAILED)
# Members are looked up once: that costs more than a comparison with them.
_WAITING, _GENERATE, _FORWARD = State.WAITING, Operation.GENERATE, Operation.FORWARD
_UNTRANSFORMED = (_GENERATE, _FORWARD)
_SAME, _OTHER, _GIVE_UP = Next.SAME, Next.OTHER, Next.GIVE_UP
_ONCE = RetryRules(total=1)
"""For what nobody knows whether it may be done twice."""


class Asking(Answering):
    """The providers' side of an `Exchange`."""

    __slots__ = (
        "_allowed", "_body", "_chance", "_desk", "_final", "_idle_at", "_listed", "_method", "_peeked", "_recalled",
        "_routing", "_seed", "_target", "_tokens", "_total_at", "_total_secs", "_words",
    )  # fmt: skip

    _routing: Routing | None
    _desk: Desk | None
    _chance: Callable[[], float]
    _seed: int
    _target: str
    _method: str
    _body: bytes
    """The client's, for the attempts."""
    _words: bytes
    """The end of the answer if nothing better comes: what the last attempt, which has failed, has said."""
    _peeked: tuple[str, bool] | None
    """What has been found in the body."""
    _recalled: Recalled | None
    _allowed: tuple[str, ...] | None
    """Providers that may answer; None is all of the plan."""
    _listed: str | None
    """The name on the key's list that lets the request in, where it is not the client's own."""
    _tokens: tuple[int, int] | None
    """Input and output that the request may take, where anybody counts them."""
    _final: str | None
    """Why nothing may follow."""
    _idle_at: float | None
    _total_at: float | None
    _total_secs: float

    # --- before the first attempt ---

    def _prepare(self, plan: Plan) -> None:
        """Find out what the choice and the limits want to know of the request."""
        gateway, routing, key, entry = self._gateway, self._routing, self._key, self._entry
        assert type(entry) is Entry
        if len(plan.targets) > 1:
            rules = plan.route.overrides.affinity or gateway.affinity
            if rules is not None:
                self._session = session(rules, "" if key is None else key.id, self._headers, self._body)
        bounds = () if routing is None else routing.bounds.values()
        bound = any(one.tokens_per_minute is not None for one in bounds)
        if bound or counts_tokens(gateway, self._desk, key, plan):
            self._tokens = tokens_of(gateway, entry, plan, self._body, self._headers, self._target)

    def _admit(self, plan: Plan) -> Admit:
        """The question whether the request may go on."""
        key, desk = self._key, self._desk
        most = (None if key is None else key.limits.concurrency) if desk is None else desk.concurrency(key)
        model = self._model
        if model is None:
            from .questions.forward import named  # what is forwarded alone has none

            model = named(self._body)
        ask = ask_of(self._gateway, desk, key, model, plan, self._tokens)
        if self._listed is not None:
            ask = msgspec.structs.replace(ask, model=self._listed)
        self._ask = None if self._tokens is None else ask
        return Admit(key, ask, "" if key is None else key.id, self._session, most)

    def _learn(self, place: Target | None, now: float) -> None:
        """Another process knows where the session of the request is."""
        plan, routing = self._plan, self._routing
        assert plan is not None
        if place is not None and self._session is not None and routing is not None and place in plan.targets:
            rules = plan.route.overrides.affinity or self._gateway.affinity
            if rules is not None:
                routing.pins.pin(self._session, place, now, rules.ttl)

    # --- attempts ---

    def _set_out(self, notes: list[Action], now: float) -> list[Action]:
        """The first attempt, behind ``notes``."""
        plan, routing = self._plan, self._routing
        assert plan is not None
        if routing is not None:
            routing.budget.request()
        calm = routing is None or not (routing.bounds or routing.health.troubled)
        if calm and plan.alone and self._allowed is None:
            return self._attempt(plan.targets[0], notes, now)
        self._trying = trying = self._attempts_of(plan)
        found = trying.choose(now)
        if type(found) is not Choice:
            assert type(found) is Nobody
            return notes + self._refuse(found.error, now)
        return self._approach(found, [*notes, *self._probing(found)], now)

    def _attempts_of(self, plan: Plan) -> Attempts:
        gateway, route, providers = self._gateway, plan.route, self._gateway.providers
        if self._routing is None:
            self._routing = Routing(BreakerRules())
        affinity = route.overrides.affinity or gateway.affinity
        model, tokens = self._model or "", self._tokens
        everybody = {target.provider for target in (*plan.targets, *plan.fallbacks)}
        allowed, found = self._allowed, None if self._recalled is None else self._recalled.response
        if found is not None and found.native and found.provider in (everybody if allowed is None else allowed):
            allowed = (found.provider,)  # nobody else has what the request goes on from
        errand = Errand(
            plan,
            model,
            self._session,
            3600.0 if affinity is None else affinity.ttl,
            {name: providers[name].key_id for name in everybody},
            allowed,
            {} if route.balance is not Balance.COST or tokens is None else costs_of(gateway, plan, model, tokens),
            0 if tokens is None else sum(tokens),
        )
        forward = type(self._entry) is Entry and self._entry.operation is _FORWARD
        rules, own = _ONCE if forward else route.overrides.retry, None
        if rules is None:
            rules, own = gateway.retry, gateway.retries
        return Attempts(self._routing, errand, rules, self._chance, own, shares=gateway.shares_bounds)

    def _adopt(self) -> Attempts:
        """The attempts, of which the first began when nobody counted."""
        plan = self._plan
        assert plan is not None
        self._trying = trying = self._attempts_of(plan)
        target = plan.targets[0]
        trying.adopt(target, target.model or self._model or "", self._opened)
        return trying

    def _approach(self, choice: Choice, notes: list[Action], now: float) -> list[Action]:
        """An attempt at ``choice``, once there is room for it where others count too. ``notes`` go before."""
        trying = self._trying
        assert trying is not None
        book = trying.book()
        if book is None:
            return self._attempt(choice.target, notes, now)
        self.state, self._idle_at = State.BOOKING, None
        return [*notes, book]

    def _on_booked(self, event: Input, now: float) -> list[Action]:
        trying = self._trying
        assert type(event) is Booked
        assert trying is not None
        assert trying.choice is not None
        trying.booked(event.booking)
        return self._attempt(trying.choice.target, [], now)

    def _on_booked_up(self, event: Input, now: float) -> list[Action]:
        trying, notes = self._trying, list[Action]()
        assert type(event) is BookedUp
        assert trying is not None
        assert trying.choice is not None
        if self._gateway.notes:
            notes.append(passed_over(trying.choice.target.provider, event.closed))
        found = trying.pass_over(event.closed, now)
        if type(found) is Choice:
            return self._approach(found, [*notes, *self._probing(found)], now)
        assert type(found) is Nobody
        if self._attempts:
            return [*notes, *self._conclude(self._words, now, upstream_open=False)]
        return notes + self._refuse(found.error, now)

    def _on_unbooked(self, event: Input, now: float) -> list[Action]:
        """The answer of who counts is not waited for longer than the request may take."""
        if self._total_at is None or now < self._total_at:
            return []
        return self._conclude(self._words, now, upstream_open=False)

    def _attempt(self, target: Target, notes: list[Action], now: float) -> list[Action]:
        """Send the client's own bytes, translated afresh, to ``target`` (Q2). ``notes`` become the actions."""
        entry, plan, gateway, past = self._entry, self._plan, self._gateway, self._past
        assert type(entry) is Entry
        assert plan is not None
        route, provider = plan.route.at(target), gateway.providers[target.provider]
        if route.overrides is not NO_OVERRIDES:
            provider = _timed(provider, route.overrides)
        noted = gateway.notes
        if noted and not self._attempts and self._model is not None:
            notes.append(resolved(entry.dialect, self._model, route))
        body, memory, steps = self._body, NO_MEMORY, route.policies.transforms.request
        if past is not None or (steps and entry.operation is not _GENERATE):
            try:
                if past is not None:
                    body = past.resume(self._recalled, provider)
                    memory = past.memory
                # A `Translator` transforms by itself; what passes as it is may be of any type.
                if steps and entry.operation not in _UNTRANSFORMED:
                    body = transforms.apply(steps, body)
            except RemoteProtocolError as exc:
                if self._attempts:
                    return [*notes, *self._unaskable(now)]
                self._route, self._provider = route, provider
                return [*notes, *self._refuse(exc.error, now)]
        talk = converse(entry, route, provider, self._method, self._created, self._seed, self.id, memory)
        peeked = self._peeked if body is self._body else None
        upstream = talk.receive_request(body, self._headers, self._target, peeked)
        if upstream is None and self._attempts and talk.error is not None:
            return [*notes, *self._unaskable(now)]  # the error of who was asked says more
        self._talk, self._route, self._provider = talk, route, provider
        if past is not None:
            past.watch(talk)
        if upstream is None:
            return [*notes, *self._answer_now(talk, now)]
        if route.policies is not NO_POLICIES or provider.headers is not NO_HEADERS:
            upstream = self._under(route, provider, upstream, notes)
        self._begin_waiting(now, stream=upstream.stream)
        if noted:
            model = route.rewrite_model or talk.model or None
            notes.append(sending(provider.name, model, stream=upstream.stream))
        notes.append(Open(provider.name, upstream, self._attempts))
        return notes

    def _begin_waiting(self, now: float, *, stream: bool) -> None:
        """An attempt begins; ``stream``: its provider is asked for one."""
        provider = self._provider
        assert provider is not None
        self._attempts += 1
        self.state, self._opened = _WAITING, now
        self._upstream_head = None
        self._idle_at = now + (provider.first_byte_secs if stream else provider.request_secs)
        if self._total_at is None and provider.total_secs is not None:
            # Of the request and not of an attempt: its client waits for all of them.
            self._total_at, self._total_secs = now + provider.total_secs, provider.total_secs

    def _under(
        self, route: Route, provider: Provider, upstream: UpstreamRequest, notes: list[Action]
    ) -> UpstreamRequest:
        """What else the policies of the route and the provider have to do with an attempt."""
        talk = self._talk
        if isinstance(talk, Translator):  # it has applied them itself
            prepared = talk.prepared
            if prepared is not None:
                self._effort = prepared.reasoning
                if self._gateway.notes and (prepared.reasoning is not None or prepared.shaped is not NOTHING):
                    notes.extend(shaped(prepared))
            return upstream
        policy = route.policies.at(provider.headers).headers
        if policy is NO_HEADERS:
            return upstream
        return msgspec.structs.replace(upstream, headers=header_policy.apply(policy, upstream.headers, self._headers))

    # --- what follows ---

    def _deliver(self, out: bytes, now: float, *, upstream_open: bool = True) -> list[Action]:
        """Send what came out of the conversation; end the exchange, or try again, when the conversation is over."""
        talk = self._talk
        assert talk is not None
        over = talk.state in _TALK_OVER
        if over:
            out += talk.receive_eof()  # an error that was decided before the head lies there
        notes: Sequence[Action] = ()
        if not self._begun:
            if talk.error is None:
                if talk.head is not None:
                    self._begun, self._body, self._peeked, routing = True, b"", None, self._routing
                    if self._trying is not None or (routing is not None and routing.health.troubled):
                        notes = self._take_up(now)
            elif not self._stopping:
                return self._fail_over(talk.error, out, now, upstream_open=upstream_open)
        elif over and talk.error is not None and not self._stopping:
            notes = self._broke(now)
        if over:
            actions = self._conclude(out, now, upstream_open=upstream_open)
        else:
            actions = self._let_out(out, now, over=False, upstream_open=upstream_open)
        return [*notes, *actions] if notes else actions

    def _take_up(self, now: float) -> Sequence[Action]:
        """The first content is there: somebody may want to know."""
        head = self._upstream_head
        if head is not None and head.status >= 400:
            return ()  # a refusal that passes as it is says nothing of the provider's health
        trying = self._trying or self._adopt()
        return self._audible(trying.answered(now - self._opened, now))

    def _broke(self, now: float) -> Sequence[Action]:
        """The answer has broken off behind its first content."""
        if self._routing is None:
            return ()
        trying, notes = self._trying, []
        if trying is None:
            trying = self._adopt()
            notes = trying.answered(now - self._opened, now)
        return self._audible([*notes, *trying.broke(now)])

    def _fail_over(self, error: ir.Error, out: bytes, now: float, *, upstream_open: bool) -> list[Action]:
        """The attempt has failed, and the client knows nothing of it yet."""
        trying = self._trying or self._adopt()
        step, told = trying.failed(
            error,
            self._upstream_head,
            now,
            opened=self._opened,
            unix=self._unix(now),
            until=self._total_at,
            final=self._final,
        )
        notes = self._audible(told)
        if step.next is _GIVE_UP:
            return [*notes, *self._conclude(out, now, upstream_open=upstream_open)]
        if upstream_open:
            notes.append(Abort())
        notes += trying.owed()
        self._words, self._hold_at = out, None
        return [*notes, *self._follow(step, now)]

    def _follow(self, step: Step, now: float) -> list[Action]:
        """Do what comes next; the last attempt's words are the answer where nothing does."""
        trying = self._trying
        assert trying is not None
        noted = self._gateway.notes
        if step.next is _SAME:
            notes: list[Action] = [trying.told(step, None)] if noted else []
            if step.wait <= 0:
                return [*notes, *self._again(now)]
            self.state, self._idle_at = State.PAUSING, now + step.wait
            return [*notes, Pause(now + step.wait, step.reason, self._attempts)]
        if step.next is _OTHER:
            found = trying.choose(now)
            if type(found) is Choice:
                notes = [trying.told(step, found)] if noted else []
                return self._approach(found, [*notes, *self._probing(found)], now)
        return self._conclude(self._words, now, upstream_open=False)

    def _again(self, now: float) -> list[Action]:
        """Ask the same target once more, if it may be asked."""
        trying = self._trying
        assert trying is not None
        found = trying.again(now)
        if type(found) is Choice:
            return self._approach(found, self._probing(found), now)
        return self._follow(trying.blocked(now, self._total_at), now)

    def _unaskable(self, now: float) -> list[Action]:
        """The target can not be asked for this: the next one, or the error of who was asked before."""
        trying = self._trying
        assert trying is not None
        step = trying.blocked(now, self._total_at)
        return [*trying.owed(), *self._follow(step, now)]

    # --- what is told of it ---

    def _probing(self, choice: Choice) -> list[Action]:
        if choice.permit.probes and self._gateway.notes:
            return [half_open(choice.target.provider, choice.model)]
        return []

    def _audible(self, notes: Sequence[Note]) -> list[Action]:
        """Those that somebody reads."""
        return list(notes) if self._gateway.notes else [note for note in notes if note.level != "info"]


def _timed(provider: Provider, own: Overrides) -> Provider:
    """``provider`` with the times of a route."""
    return msgspec.structs.replace(
        provider,
        first_byte_secs=provider.first_byte_secs if own.first_byte_secs is None else own.first_byte_secs,
        request_secs=provider.request_secs if own.request_secs is None else own.request_secs,
        idle_secs=provider.idle_secs if own.idle_secs is None else own.idle_secs,
        total_secs=provider.total_secs if own.total_secs is None else own.total_secs,
    )
