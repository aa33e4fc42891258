"""The shortest way of a small request and its whole answer: what depends only on who asks whom is found once.

`cross` makes what a route, a provider and a model make of an entry: `Passing` within a dialect, `Words` between two.
What these begin has as much of a `Translator`'s shape as an answer that is there at once needs; where an answer is
anything but usual its `state` stays HEAD, nothing has happened, and a `Translator` has to do the whole again.
"""

from __future__ import annotations

import operator
from typing import ClassVar

import msgspec

from . import ir, json
from .dialect import ClientHead, Dialect, Headers, Scanner, UpstreamRequest
from .dialects import DIALECTS
from .errors import RemoteProtocolError
from .loss import Loss
from .opaque import is_marked
from .policy.headers import NO_HEADERS
from .policy.prompt_cache import NO_PROMPT_CACHE, keys_of
from .policy.reasoning import PRESERVE
from .policy.route import NO_POLICIES, RoutePolicies
from .policy.transforms import NO_TRANSFORMS
from .progress import State
from .relay import MAX_WHOLE, answer_headers, passed_headers, places
from .rules import NO_RULES, ProviderRules
from .streamed import NOT_KEPT
from .tokens.start import estimate_question
from .words import NO_KEYS, AskWriter, Question, Reply, ReplyWriter, StreamReply, StreamWriter

_HEAD, _DONE = State.HEAD, State.DONE
_BACKSLASH = ord("\\")
_MODEL = b'"model"'
_NAME_OF = operator.itemgetter(0)
_OWN_NAMES = ("content-type", "cache-control")


def cross(
    entry: str,
    backend: str,
    shown: str,
    model: str | None = None,
    rules: ProviderRules = NO_RULES,
    policies: RoutePolicies = NO_POLICIES,
    *,
    stream: bool = False,
) -> Words | Passing | None:
    """What requests for the model that clients call ``shown`` have in common; None: too little.

    ``stream`` is whether they ask for one. The other parameters are those of `Translator`, but for its policy of
    losses: here nothing is lost.
    """
    client, provider = DIALECTS[entry], DIALECTS[backend]
    if (
        not provider.objects_are_whole
        or policies.reasoning is not PRESERVE
        or policies.transforms is not NO_TRANSFORMS
        or policies.headers is not NO_HEADERS
    ):
        return None
    cache = policies.prompt_cache
    if entry == backend:
        return None if cache.same_dialect or stream else Passing(client, shown, model if model != shown else None)
    name = shown if model is None else model
    keys = NO_KEYS if cache is NO_PROMPT_CACHE else keys_of(cache, backend, name, rules)
    if keys is None or not shown or client.answers_itself:
        return None
    ask, write = provider.ask_writer(name, rules, keys, stream=stream), client.reply_writer(shown)
    if ask is None or write is None:
        return None
    kind = client.stream_type(None) if stream else "application/json"
    return Words(provider, ask, write, client.stream_writer(shown) if stream else None, model, kind)


class Passing:
    """From a client to a provider of the same dialect."""

    __slots__ = ("_named", "_names", "_renamed", "_sent", "_shown", "_type", "dialect")

    def __init__(self, dialect: Dialect, shown: str, named: str | None) -> None:
        self.dialect = dialect
        self._named = named
        """The provider's name of the model, where it is another than the client's."""
        self._renamed = None if named is None else shown
        """What the client sees in its place."""
        made = type(dialect).pass_request is Dialect.pass_request and not dialect.query_names
        plain = made and not dialect.forwarded_headers and not dialect.fixed_headers
        self._sent = dialect.forwarded(()) if plain and named is None else None
        """The fields of requests of which nothing but the body differs; None: they differ in more."""
        # Of the answer before, as a provider's heads have the same fields: their names, where the type is, and those
        # that are shown.
        self._names: tuple[str, ...] | None = None
        self._type: int | None = None
        self._shown: tuple[tuple[int, str], ...] = ()

    def begin(self, body: bytes, headers: Headers, path: str | None) -> Passed | None:
        """The request as it is sent; None: more of it has to be looked at. ``body`` has been peeked into."""
        dialect = self.dialect
        try:
            if not body.isascii():
                json.check_utf8(body)
            if _BACKSLASH in body or body.count(_MODEL) > 1:  # an escape may hide a letter of a key
                json.once(body, "model")
        except RemoteProtocolError:
            return None
        marks = dialect.foreign_marks
        if is_marked(body) or (marks and any(mark in body for mark in marks)):
            return None
        if self._sent is not None:
            return Passed(self, UpstreamRequest("POST", dialect.request_path, "", self._sent, body, False))
        return Passed(self, dialect.pass_request(body, stream=False, model=self._named, headers=headers, path=path))

    def scanner(self) -> Scanner:
        """What watches an answer."""
        return self.dialect.scanner(stream=False, model=self._renamed)

    def head(self, headers: Headers) -> ClientHead:
        """The client's head of an answer that came with ``headers``."""
        names = (*map(_NAME_OF, headers),)
        if names != self._names:
            self._names, (self._type, self._shown) = names, places(names)
        kind, shown = self._type, self._shown
        if kind is None or len(shown) > 1:
            return ClientHead(200, passed_headers(headers, "application/json", ()))
        if shown:
            at, name = shown[0]
            return ClientHead(200, (headers[kind], (name, headers[at][1])))
        return ClientHead(200, (headers[kind],))


class Passed(msgspec.Struct, gc=False):
    """One request that passes, and its answer."""

    way: Passing
    request: UpstreamRequest
    """What the provider gets."""
    state: State = _HEAD
    head: ClientHead | None = None
    losses: list[Loss] = []
    watch: Scanner | None = None
    error: ClassVar[ir.Error | None] = None
    cut: ClassVar[bool] = False
    stream: ClassVar[bool] = False

    @property
    def usage(self) -> ir.Usage | None:
        """The tokens counted."""
        return None if self.watch is None else self.watch.usage

    def receive_whole(self, status: int, headers: Headers, data: bytes) -> bytes:
        """As `Translator.receive_whole`, of a good answer; b"" and no other `state` for any other."""
        if status != 200 or len(data) > MAX_WHOLE or not data.startswith(b"{"):
            return b""
        scanner = self.way.scanner()
        out = scanner.receive_whole(data)
        if scanner.error is not None or not scanner.complete or not (out.endswith(b"}") or out.rstrip().endswith(b"}")):
            return b""
        self.watch, self.state = scanner, _DONE
        self.head = self.way.head(headers)
        return out


class Words:
    """From one client's dialect to a provider of another."""

    __slots__ = ("_names", "_own", "_shown", "ask", "backend", "model", "tell", "write")

    def __init__(
        self,
        backend: Dialect,
        ask: AskWriter,
        write: ReplyWriter,
        tell: StreamWriter | None,
        model: str | None,
        kind: str,
    ) -> None:
        self.backend = backend
        self.ask = ask
        self.write = write
        self.tell = tell
        """Writes streams that are there at once; None: nobody asks for one, or a `Translator` has to."""
        self.model = model
        """The provider's name of the model, where it is another than the client's."""
        self._own = (("content-type", kind),) if tell is None else (("content-type", kind), NOT_KEPT)
        # Of the answer before, as a provider's heads have the same fields: their names, and those that are shown.
        self._names: tuple[str, ...] | None = None
        self._shown: tuple[tuple[int, str], ...] = ()

    def begin(self, question: Question, seed: int) -> Worded | WordedStream | None:
        """The request as it is sent; None: it is not that plain for this provider, or its answer is not."""
        request = self.ask(question)
        if request is None:
            return None
        return (Worded if self.tell is None else WordedStream)(self, seed, question, request)

    def head(self, headers: Headers) -> ClientHead:
        """The client's head of an answer that came with ``headers``."""
        names = (*map(_NAME_OF, headers),)
        if names != self._names:
            self._names, self._shown = names, places(names)[1]
        shown, own = self._shown, self._own
        if not shown:
            return ClientHead(200, own)
        if len(shown) == 1 and shown[0][1] not in _OWN_NAMES:
            at, name = shown[0]
            return ClientHead(200, (*own, (name, headers[at][1])))
        return ClientHead(200, answer_headers(own, headers, ()))


class _Worded(msgspec.Struct, gc=False):
    """One request of words, and its answer."""

    way: Words
    seed: int
    question: Question
    request: UpstreamRequest
    """What the provider gets."""
    state: State = _HEAD
    head: ClientHead | None = None
    losses: list[Loss] = []
    reply: Reply | StreamReply | None = None
    error: ClassVar[ir.Error | None] = None
    cut: ClassVar[bool] = False

    @property
    def usage(self) -> ir.Usage | None:
        """The tokens counted."""
        return None if self.reply is None else self.reply.usage


class Worded(_Worded, gc=False):
    """One whose answer is whole."""

    stream: ClassVar[bool] = False

    def receive_whole(self, status: int, headers: Headers, data: bytes) -> bytes:
        """As `Translator.receive_whole`, of an answer of words; b"" and no other `state` for any other."""
        way = self.way
        reply = way.backend.reply(data) if status == 200 and data.startswith(b"{") else None
        if reply is None:
            return b""
        self.reply, self.head, self.state = reply, way.head(headers), _DONE
        return way.write(reply, self.seed)


class WordedStream(_Worded, gc=False):
    """One whose answer is a stream that is there at once."""

    stream: ClassVar[bool] = True

    def receive_whole(self, status: int, headers: Headers, data: bytes) -> bytes:
        """As `Translator.receive_whole`, of a stream of words; b"" and no other `state` for any other."""
        way = self.way
        reply = way.backend.stream_reply(data) if status == 200 else None
        if reply is None:
            return b""
        self.reply, self.head, self.state = reply, way.head(headers), _DONE
        estimate = estimate_question(self.question, way.model, way.backend.name)
        return way.tell(reply, self.seed, estimate)  # type: ignore[misc]  # there is one, or this would not be made
