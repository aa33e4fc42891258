"""The usual request: the whole beginning of its exchange in one step, and the end of its answer in another.

Most requests have the head of one before them, are for one of a few models, and are let in, routed and sent as that
one was. What of this does not depend on the body is found once, by the functions that `Exchange` asks as well, and
remembered: `Kind` is what follows from a head, `Way` what follows from a model. Whatever is not usual is `None` here
and goes through an `Exchange` from its start; what stops being usual once the provider has the request goes on in the
`Exchange` that `Opened.exchange` makes, which stands where the long way would have led.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .actions import Note
from .answering import with_ids
from .conversation import Conversation, converse, late_losses
from .crossing import Passed, Passing, Worded, WordedStream, Words, cross
from .dialect import Headers, UpstreamRequest
from .dialects import DIALECTS
from .entries import Entry, Operation, find
from .errors import RemoteProtocolError
from .exchange import Exchange, resumed
from .notes import incoming, resolved, sending
from .policy.access import identify
from .policy.headers import NO_HEADERS
from .policy.reasoning import PRESERVE
from .policy.transforms import NO_TRANSFORMS
from .routing.choice import Routing
from .routing.hints import hint_in
from .routing.keys import ClientKey, Desk
from .routing.table import MAX_KEPT_NAME, NO_OVERRIDES, Plan, Route
from .snapshot import Gateway, Provider
from .translate import State, Translator
from .written import MIN_BYTES

MAX_WAYS = 256
"""Models of one entry whose ways are remembered: a gateway in use has a few dozen."""
MAX_HINTS = 64
"""Entries by hints, which are names of providers; a hint that names none has no way."""

_SHORT = (Worded, Passed, WordedStream)
_GENERATE = Operation.GENERATE
_DONE = State.DONE
_SENT = UpstreamRequest("POST", "", "", (), b"", stream=False)
_STREAM_SENT = UpstreamRequest("POST", "", "", (), b"", stream=True)
_RESPONSES = "openai_responses"
_ODD = ("expect", "te", "content-encoding")
"""Fields of requests that are no usual ones: they change what follows."""


class Way:
    """Where the usual request for one model goes."""

    __slots__ = ("crossing", "facts", "notes", "patience", "plan", "provider", "route", "stream", "translated")

    def __init__(
        self, plan: Plan, route: Route, provider: Provider, entry: str, stream: bool, notes: tuple[Note, ...]
    ) -> None:
        self.plan = plan
        self.route = route
        """That of the plan, with its one target as the one that answers."""
        self.provider = provider
        self.stream = stream
        """Whether the client asks for a stream."""
        self.notes = notes
        """What an exchange notes up to its `Open`; none where nobody reads them."""
        self.translated = provider.dialect != entry and DIALECTS[provider.dialect].takes_written
        """Whether `Dialect.look` saves a pass over a long body."""
        secs, total = provider.first_byte_secs if stream else provider.request_secs, provider.total_secs
        self.patience = secs if total is None else min(secs, total)
        """How long the provider may take to begin, in seconds."""
        self.crossing: Passing | Words | None = None
        """The shortest way of a small request and a whole answer."""
        self.facts: object | None = None
        """For whoever runs the request: what it makes of the way once."""


class Usual:
    """What has been found of usual requests under one snapshot."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.none = bool(
            gateway.admits
            or gateway.records
            or gateway.prices is not None
            or gateway.access.pages.origins
            or not gateway.routes.alone
        )
        """Nothing is usual: limits, rows, prices, pages and choices are looked at request by request."""
        self._ways: dict[tuple[str, str | None], dict[tuple[str, bool], Way | None]] = {}
        """By entry and hint, then by model and whether a stream is wanted."""

    def kind(self, method: str, target: str, headers: Headers, fields: dict[str, str]) -> Kind | None:
        """What follows from a head; None is: not usual, or to be turned away. ``fields`` are `by_name` of it."""
        gateway = self.gateway
        if self.none or any(name in fields for name in _ODD):
            return None
        entry = find(method, target.partition("?")[0], headers, gateway.forwards)
        if type(entry) is not Entry or entry.operation is not _GENERATE:
            return None
        if entry.dialect == _RESPONSES:
            return None  # each may go on from an answer before it
        hints = gateway.hints
        who = identify(gateway.access, gateway.keys, method, headers, target, hints=hints, fields=fields)
        if type(who) is ClientKey:
            if who.models or who.providers or who.quotas or who.expires is not None or who.revoked is not None:
                return None
        elif who is not None:
            return None
        return Kind(self, entry, who, hint_in(fields) if hints else None, method, target, headers)

    def ways(self, entry: str, hint: str | None) -> dict[tuple[str, bool], Way | None]:
        """What was found of models, to be filled by `find`; None: not usual."""
        if len(self._ways) >= MAX_HINTS:
            self._ways.clear()
        return self._ways.setdefault((entry, hint), {})

    def find(self, kind: Kind, model: str, stream: bool) -> Way | None:
        """What follows from a model."""
        ways, way = kind.ways, self._find(kind, model, stream)
        if len(model) <= MAX_KEPT_NAME:
            if len(ways) >= MAX_WAYS:
                ways.clear()
            ways[model, stream] = way
        return way

    def _find(self, kind: Kind, model: str, stream: bool) -> Way | None:
        gateway = self.gateway
        try:
            plan = gateway.routes.plan(model, kind.hint)
        except RemoteProtocolError:
            return None
        if plan is None or not plan.alone:
            return None
        target = plan.targets[0]
        route, provider = plan.route.at(target), gateway.providers.get(target.provider)
        if provider is None:
            return None
        policies = route.policies
        cache = policies.prompt_cache
        if (
            route.overrides is not NO_OVERRIDES
            or policies.reasoning is not PRESERVE
            or policies.transforms is not NO_TRANSFORMS
            or cache.strip_prefixes
            or cache.relocate is not None
            or provider.headers is not NO_HEADERS
        ):
            return None
        notes: tuple[Note, ...] = ()
        if gateway.notes:
            dialect = kind.entry.dialect
            notes = (
                incoming(dialect, model, stream=stream),
                resolved(dialect, model, route),
                sending(provider.name, route.rewrite_model or model or None, stream=stream),
            )
        way = Way(plan, route, provider, kind.entry.dialect, stream, notes)
        name, rewritten, rules = kind.entry.dialect, route.rewrite_model, provider.rules
        way.crossing = cross(name, provider.dialect, model, rewritten, rules, policies, stream=stream)
        return way


class Kind:
    """What requests with one head have in common."""

    __slots__ = (
        "entry", "headers", "hint", "key", "look", "method", "peek", "question", "target", "translated", "usual",
        "ways",
    )  # fmt: skip

    def __init__(
        self,
        usual: Usual,
        entry: Entry,
        key: ClientKey | None,
        hint: str | None,
        method: str,
        target: str,
        headers: Headers,
    ) -> None:
        self.usual = usual
        self.entry = entry
        self.key = key
        self.hint = hint
        self.method = method
        self.target = target
        self.headers = headers
        dialect = DIALECTS[entry.dialect]
        self.peek, self.look, self.question = dialect.peek, dialect.look, dialect.question
        self.translated = False
        """Whether the last request was: then the next one will be, most likely."""
        self.ways = usual.ways(entry.dialect, hint)

    def open(self, body: bytes, routing: Routing, now: float, created: float, seed: int, id: str) -> Opened | None:  # noqa: A002
        """What an `Exchange` does from the head to its first `Open`, for a ``body`` within its limit; None is: let one
        do it. ``now``, ``created``, ``seed``, ``id`` and ``routing`` are those of an exchange."""
        if routing.bounds or routing.health.troubled:
            return None
        question = self.question(body) if self.translated and len(body) < MIN_BYTES else None
        if question is not None:
            peeked = question.model, question.stream is True
        else:
            try:
                see = self.look if self.translated and len(body) >= MIN_BYTES else self.peek
                peeked = see(body, self.target)
            except RemoteProtocolError:
                return None
        way = self.ways.get(peeked)
        if way is None and (peeked in self.ways or (way := self.usual.find(self, *peeked)) is None):
            return None
        talk: Conversation | Passed | Worded | WordedStream | None = None
        request: UpstreamRequest | None = None
        crossing = way.crossing
        if type(crossing) is Passing:
            if (passed := crossing.begin(body, self.headers, self.target)) is not None:
                talk, request = passed, passed.request
        elif question is not None and type(crossing) is Words:
            if not way.stream or crossing.tell is not None:
                if (worded := crossing.begin(question, seed)) is not None:
                    talk, request = worded, worded.request
            elif (request := crossing.ask(question)) is not None:
                talk = converse(self.entry, way.route, way.provider, self.method, created, seed, id)
                assert isinstance(talk, Translator)
                talk.receive_question(question, request, body, self.headers, self.target)
        if talk is None or request is None:
            talk = converse(self.entry, way.route, way.provider, self.method, created, seed, id)
            request = talk.receive_request(body, self.headers, self.target, peeked)
            if request is None:
                return None
        routing.budget.request()
        self.translated = way.translated
        return Opened(self, way, talk, request, peeked[0], body, peeked, now, created, seed, id)


class Opened(msgspec.Struct, eq=False, weakref=True):
    """A usual request that a provider is asked for an answer to. A struct: less to make than another object."""

    kind: Kind
    way: Way
    talk: Conversation | Passed | Worded | WordedStream
    request: UpstreamRequest
    """What the provider gets; nothing of it is left once its answer has begun."""
    model: str
    """As the client calls it."""
    body: bytes
    peeked: tuple[str, bool]
    """What has been found in it."""
    now: float
    created: float
    seed: int
    id: str

    def finish(self, status: int, headers: Headers, data: bytes) -> bytes | None:
        """A provider's answer, whole: the whole body of the client's answer, whose head is `head`. None is: not a good
        one, or not a usual one; then nothing has happened, and the exchange has to be told of it."""
        talk = self.talk
        if status == 200:
            out = talk.receive_whole(status, headers, data)
            late = talk.stream and talk.losses and late_losses(talk)  # type: ignore[arg-type]  # a whole machine has some
            if talk.state is _DONE and talk.error is None and not talk.cut and not late:
                return out
            self.begin_again()
        return None

    def conversation(self) -> Conversation:
        """The whole machine, that can be told of any answer."""
        talk = self.talk
        return self.begin_again() if isinstance(talk, (Passed, Worded, WordedStream)) else talk

    def begin_again(self) -> Conversation:
        """Forget the answer."""
        kind, way, old = self.kind, self.way, self.talk
        talk = converse(kind.entry, way.route, way.provider, kind.method, self.created, self.seed, self.id)
        if isinstance(old, (Worded, WordedStream)) and isinstance(talk, Translator):
            talk.receive_question(old.question, old.request, self.body, kind.headers, kind.target)
        else:
            talk.receive_request(self.body, kind.headers, kind.target, self.peeked)
        self.talk = talk
        return talk

    def forget(self) -> None:
        """Forget the request: its answer has begun, so nobody is asked again."""
        self.request, self.body = _STREAM_SENT if self.request.stream else _SENT, b""

    @property
    def total_at(self) -> float | None:
        """When the request's time is up."""
        secs = self.way.provider.total_secs
        return None if secs is None else self.now + secs

    def head(self) -> list[tuple[str, str]]:
        """The fields of the client's answer with 200, once it is finished."""
        talk, id = self.talk, self.id  # noqa: A001
        head, entry = talk.head, self.kind.entry.dialect
        assert head is not None
        if type(talk) in _SHORT:  # no field of theirs has the name of an id
            if entry == "anthropic":
                return [*head.headers, ("x-request-id", id), ("request-id", id)]
            return [*head.headers, ("x-request-id", id)]
        return list(with_ids(head.headers, entry, id))

    def exchange(self, routing: Routing, desk: Desk | None, chance: Callable[[], float]) -> Exchange:
        """The exchange as it stands when its `Open` is under way."""
        return resumed(self, routing, desk, chance)
