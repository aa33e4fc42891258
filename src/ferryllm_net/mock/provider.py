"""MockProvider: answers as a provider of each dialect would, by the plan of `script`."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from urllib.parse import unquote

import anyio
import msgspec

from ferryllm_net.http import Request, Responder
from ferryllm_proto import DIALECTS, Answer, Dialect, RemoteProtocolError, ir, json
from ferryllm_proto.accumulate import Accumulator
from ferryllm_proto.dialects.gemini import paths as gemini_paths
from ferryllm_proto.dialects.ollama import models as cards
from ferryllm_proto.policy.access import query_keys
from ferryllm_proto.tokens.estimate import estimate_input

from . import chat_rules, gemini_rules, messages_rules, ollama_rules, responses_rules
from .complaint import Complaint
from .directives import DirectiveError, Directives, FaultKind
from .received import Journal, Received
from .script import Plan, plan
from .stored import StoredAnswers

REQUESTS_PATH = "/__mock/requests"
COUNT_PATH = "/v1/messages/count_tokens"
MODELS_PATH = "/v1/models"
_GEMINI_MODELS = "/v1beta/models"
_GEMINI_METHODS = (gemini_paths.GENERATE, gemini_paths.STREAM, gemini_paths.COUNT)

_GEMINI = DIALECTS["gemini"]
_OLLAMA = DIALECTS["ollama"]
_RESPONSES = DIALECTS["openai_responses"]
_GENERATE = "/api/generate"
_CARDS = ("/api/tags", "/api/ps", "/api/show", "/api/version")
_ENTRIES = {dialect.request_path: dialect for dialect in DIALECTS.values()} | {_GENERATE: _OLLAMA}
_JSON = ("content-type", "application/json")
_TEXT = ("content-type", "text/plain; charset=utf-8")
_LIMITS = {
    "anthropic": (("anthropic-ratelimit-requests-limit", "50"), ("anthropic-ratelimit-requests-remaining", "49")),
    "ollama": (),
    "gemini": (),
}
_OPENAI_LIMITS = (("x-ratelimit-limit-requests", "500"), ("x-ratelimit-remaining-requests", "499"))
_GARBAGE = b'data: {"this is": not what the protocol says\n\n\x00\xff\xfe'
_PAGE = b"<html><head><title>%d</title></head><body><h1>%d</h1><hr>mock proxy</body></html>"


class MockProvider:
    """A provider without a model. `handle` is the handler of an HTTP server; `serve_mock` runs one.

    ``defaults`` hold for what a prompt does not say. ``models`` are the names it knows ("" as the only one: any);
    ``key`` is the API key it wants (None: none). ``strict`` refuses what the real APIs refuse. ``now`` is Unix time in
    seconds. ``heard`` is told of every answered request.
    """

    def __init__(
        self,
        defaults: Directives | None = None,
        *,
        models: Sequence[str] = (),
        key: str | None = None,
        strict: bool = True,
        now: Callable[[], float] = time.time,
        heard: Callable[[Received], None] | None = None,
    ) -> None:
        self.journal = Journal()
        self.stored = StoredAnswers()
        self._defaults = defaults or Directives()
        self._models = tuple(models)
        self._key = key
        self._strict = strict
        self._now = now
        self._heard = heard

    @property
    def requests(self) -> list[Received]:
        """The requests it got, oldest first; of many only the newest."""
        return list(self.journal.requests)

    async def wait_for(self, number: int) -> Received:
        """Until that many requests have come in all; returns the last of them."""
        return await self.journal.wait_for(number)

    def clear(self) -> None:
        """Forget the requests and count them anew."""
        self.journal.clear()

    async def handle(self, request: Request, respond: Responder) -> None:
        """Answer one request."""
        if request.path == REQUESTS_PATH:
            await self._show(request, respond)
            return
        if request.path == "/health" and request.method in ("GET", "HEAD"):
            await respond.complete(200, [_JSON], b'{"status":"ok"}')
            return
        if request.path == "/" and request.method in ("GET", "HEAD"):  # Claude Code looks whether somebody is there
            await respond.complete(200, [_TEXT], b"ferryllm mock\n")
            return
        dialect = _entry(request.path)
        received = Received(request, dialect.name if dialect is not None else None)
        received.body = await request.read()
        self.journal.add(received)
        try:
            with anyio.CancelScope() as scope:
                request.on_drain(scope.cancel)
                await self._answer(_Exchange(request, respond, received, dialect or _asking(request)), dialect)
            if scope.cancelled_caught:
                await respond.abort()
        finally:
            received.left = request.client_left and not received.ending
            received.done()
            if self._heard is not None:
                self._heard(received)

    async def _answer(self, exchange: _Exchange, dialect: Dialect | None) -> None:
        request = exchange.request
        refused = self._refused(exchange)
        if refused is not None:
            await exchange.refuse(refused)
        elif dialect is None and (kept := self.stored.answer(request.method, request.path)) is not None:
            await (exchange.complete(200, [_JSON], kept) if isinstance(kept, bytes) else exchange.refuse(kept))
        elif dialect is None:
            await (self._card if request.path in _CARDS else self._list)(exchange)
        elif request.method == "GET" and request.header("upgrade") is not None:
            # Codex tries a WebSocket first; at 426 it falls back at once, at anything else it tries seven times.
            await exchange.refuse(ir.Error(ir.ErrorKind.METHOD, "Send a POST over HTTP."), status=426)
        elif request.method != "POST":
            message = f"Not allowed to {request.method} on {request.path}."
            await exchange.refuse(ir.Error(ir.ErrorKind.METHOD, message), allow="POST")
        else:
            try:
                await self._post(exchange)
            except RemoteProtocolError as exc:
                await exchange.refuse(exc.error)
            except Complaint as exc:
                await exchange.refuse(exc.error)
            except DirectiveError as exc:
                await exchange.refuse(ir.Error(ir.ErrorKind.BAD_REQUEST, f"mock: {exc}", code="mock_directive"))

    def _refused(self, exchange: _Exchange) -> ir.Error | None:
        """What is wrong before the body is looked at."""
        request = exchange.request
        if self._key is not None and self._key not in _keys(request):
            return ir.Error(ir.ErrorKind.AUTHENTICATION, "Incorrect API key provided.", code="invalid_api_key")
        if request.method != "POST" or not self._strict:
            return None
        if exchange.dialect.name == "anthropic" and request.header("anthropic-version") is None:
            return ir.Error(ir.ErrorKind.BAD_REQUEST, "anthropic-version: header is required")
        if not (request.header("content-type") or "").startswith("application/json"):
            return ir.Error(ir.ErrorKind.BAD_REQUEST, "Expected the header 'Content-Type: application/json'.")
        return None

    async def _post(self, exchange: _Exchange) -> None:
        dialect, body, previous = exchange.dialect, exchange.received.body, None
        if dialect is _RESPONSES:
            asked = json.loads(body)
            whole = self.stored.whole(asked)
            if whole != asked:
                body, previous = json.encode(whole), asked.get("previous_response_id")
        counting = exchange.request.path == COUNT_PATH or exchange.request.path.endswith(":countTokens")
        if self._strict:
            _check(dialect.name, json.loads(body), exchange.request, self.stored, counting=counting)
        target = exchange.request.target
        own = dialect.own_answer(body, int(self._now()), target)
        if own is not None:
            await exchange.complete(200, [_JSON], own[1])
            return
        request = dialect.decode_count(body, path=target) if counting else dialect.decode_request(body, path=target)
        if self._models and request.model not in self._models:
            message = f"The model '{request.model[:80]}' does not exist; there are: {', '.join(self._models)}"
            if dialect is _OLLAMA:
                message = f"model '{request.model[:80]}' not found"
            raise _refusal(ir.Error(ir.ErrorKind.NOT_FOUND, message, code="model_not_found"))
        if counting:
            await exchange.complete(200, [_JSON], dialect.encode_count(estimate_input(request)))
            return
        if previous is not None:
            request = msgspec.structs.replace(request, previous_id=previous)
        seed = int.from_bytes(hashlib.sha256(exchange.received.body).digest()[:6], "big")
        keep = dialect is _RESPONSES and request.store is not False
        answer = Answer(
            created=int(self._now()),
            seed=seed,
            request=request,
            input_estimate=estimate_input(request),
            path=target,
            kept_upstream=keep,
        )
        if keep:
            exchange.keep = functools.partial(self.stored.keep, json.loads(body))
        await exchange.run(plan(request, self._defaults), request, answer)

    async def _list(self, exchange: _Exchange) -> None:
        request, dialect = exchange.request, exchange.dialect
        models = {name: ir.Model(name, owner="mock") for name in self._models or ("demo",)}
        path = request.path
        if path.startswith(_GEMINI_MODELS):
            path = MODELS_PATH + path.removeprefix(_GEMINI_MODELS)
        name = unquote(path.removeprefix(f"{MODELS_PATH}/"))
        if request.method in ("GET", "HEAD") and path == MODELS_PATH:
            await exchange.complete(200, [_JSON], dialect.encode_models(list(models.values())))
        elif request.method in ("GET", "HEAD") and path.startswith(f"{MODELS_PATH}/") and name in models:
            await exchange.complete(200, [_JSON], dialect.encode_model(models[name]))
        else:
            message = f"Invalid URL ({request.method} {request.path[:80]})"
            await exchange.refuse(ir.Error(ir.ErrorKind.NOT_FOUND, message, code="unknown_url"))

    async def _card(self, exchange: _Exchange) -> None:
        """What Ollama tells of itself and its models."""
        request = exchange.request
        models = {name: ir.Model(name, owner="mock") for name in self._models or ("demo",)}
        wanted = "POST" if request.path == "/api/show" else "GET"
        if request.method != wanted and (request.method, wanted) != ("HEAD", "GET"):
            await exchange.refuse(ir.Error(ir.ErrorKind.METHOD, "method not allowed"), allow=wanted)
        elif request.path == "/api/show":
            try:
                name = cards.decode_show(exchange.received.body)
            except RemoteProtocolError as exc:
                await exchange.refuse(exc.error)
                return
            if self._models and name not in models:
                await exchange.refuse(ir.Error(ir.ErrorKind.NOT_FOUND, f"model '{name[:80]}' not found"))
                return
            await exchange.complete(200, [_JSON], cards.encode_show(ir.Model(name, owner="mock")))
        else:
            bodies = {
                "/api/tags": cards.encode_models(list(models.values())),
                "/api/ps": cards.encode_ps(list(models.values())),
                "/api/version": cards.encode_version(),
            }
            await exchange.complete(200, [_JSON], bodies[request.path])

    async def _show(self, request: Request, respond: Responder) -> None:
        """The journal; what others asked is nobody's business but this machine's."""
        if request.via is not None or request.peer[0] not in ("127.0.0.1", "::1"):
            await respond.complete(403, [_TEXT], b"only for clients on this machine\n")
        elif request.method == "GET":
            await respond.complete(200, [_JSON], json.encode([received.shown() for received in self.requests]))
        elif request.method == "DELETE":
            self.clear()
            await respond.complete(204, [], b"")
        else:
            await respond.complete(405, [_TEXT, ("allow", "GET, DELETE")], b"GET shows the requests, DELETE forgets\n")


def _entry(path: str) -> Dialect | None:
    """Who speaks at ``path``; Gemini's paths say the model, and what to do behind a colon."""
    if path == COUNT_PATH:
        return DIALECTS["anthropic"]
    if gemini_paths.read(path).method in _GEMINI_METHODS:
        return _GEMINI
    return _ENTRIES.get(path)


def _keys(request: Request) -> list[str]:
    """Every key a client gave: each dialect has its own place for it."""
    found = [request.header("x-api-key") or "", request.header("x-goog-api-key") or "", *query_keys(request.target)]
    return [*found, (request.header("authorization") or "").removeprefix("Bearer ")]


def _asking(request: Request) -> Dialect:
    """Whose words to use where the path does not say: only Anthropic's clients name their API version."""
    if request.path.startswith(_GEMINI_MODELS) or request.header("x-goog-api-key") is not None:
        return _GEMINI  # its SDK asks for the list under either version
    if request.path.startswith("/api/"):
        return _OLLAMA
    return DIALECTS["openai" if request.header("anthropic-version") is None else "anthropic"]


def _refusal(error: ir.Error) -> RemoteProtocolError:
    exc = RemoteProtocolError(error.message, kind=error.kind)
    exc.error = error
    return exc


def _check(dialect: str, body: object, request: Request, stored: StoredAnswers, *, counting: bool) -> None:
    if not isinstance(body, dict):
        raise Complaint("The body of the request has to be a JSON object.")
    if dialect == "anthropic":
        messages_rules.check(body, counting=counting, betas=",".join(request.values("anthropic-beta")))
    elif dialect == "openai_responses":
        responses_rules.check(body, stored)
    elif dialect == "gemini":
        gemini_rules.check(body, gemini_paths.read(request.target).model, counting=counting)
    elif dialect == "ollama":
        ollama_rules.check(body, generate=request.path == _GENERATE)
    else:
        chat_rules.check(body)


class _Exchange:
    """One request being answered: the plan, put on the wire."""

    def __init__(self, request: Request, respond: Responder, received: Received, dialect: Dialect) -> None:
        self.request = request
        self.received = received
        self.dialect = dialect
        self.keep: Callable[[bytes], None] | None = None
        """Takes an answer that others may go on from, before the client has its end."""
        self._respond = respond
        digest = hashlib.sha256(received.body).hexdigest()[:24]
        self._id = f"req_{digest}"
        name = "request-id" if dialect.name == "anthropic" else "x-request-id"
        self._own = [(name, self._id), *_LIMITS.get(dialect.name, _OPENAI_LIMITS)]

    async def complete(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """A whole answer."""
        self.received.status, self.received.ending = status, True
        self.received.writes += 1
        given = {name for name, _ in headers}
        await self._respond.complete(status, [*headers, *(own for own in self._own if own[0] not in given)], body)

    async def refuse(self, error: ir.Error, *, status: int | None = None, allow: str | None = None) -> None:
        """An error in the dialect's shape; ``status`` instead of the dialect's own."""
        head, body = self.dialect.encode_error(error, request_id=self._id)
        more = [("allow", allow)] if allow is not None else []
        await self.complete(status or head.status, [*head.headers, *more], body)

    async def run(self, script: Plan, request: ir.Request, answer: Answer) -> None:
        """Do what the plan says, faults included."""
        await anyio.sleep(script.head_ms / 1000)
        fault = script.fault
        if script.error is not None:
            await self.refuse(script.error, status=script.status)
        elif fault is not None and fault.kind is FaultKind.RESET:
            await self._respond.abort()
        elif fault is not None and fault.kind is FaultKind.REDIRECT:
            await self.complete(307, [("location", "/elsewhere"), _TEXT], b"moved\n")
        elif fault is not None and fault.kind is FaultKind.HTML:
            page = _PAGE % (fault.status, fault.status)
            await self.complete(fault.status, [("content-type", "text/html")], page)
        elif request.stream:
            await self._stream(script, answer)
        else:
            await self._whole(script, answer)

    async def _stream(self, script: Plan, answer: Answer) -> None:
        respond, received, fault = self._respond, self.received, script.fault
        encoder = self.dialect.stream_encoder(answer)
        received.status = 200
        kind = self.dialect.stream_type(self.request.target)
        await respond.head(200, [("content-type", kind), ("cache-control", "no-cache"), *self._own])
        for step in script.steps:
            data = encoder.send(step.event)
            if step.delay_ms:
                await respond.flush()
                await anyio.sleep(step.delay_ms / 1000)
            if not data:
                continue
            if fault is not None and received.writes >= fault.after:
                await self._break(fault.kind)
                return
            # Many clients close as soon as they have read the dialect's own end.
            received.ending = step is script.steps[-1]
            if received.ending and self.keep is not None:
                self.keep(getattr(encoder, "final", b""))
            await respond.body(data)
            received.writes += 1
        await respond.end()

    async def _whole(self, script: Plan, answer: Answer) -> None:
        whole = Accumulator()
        for step in script.steps:
            await anyio.sleep(step.delay_ms / 1000)
            whole.send(step.event)
        if whole.failed is not None:  # where there is no stream to break, the error comes before the answer
            await self.refuse(whole.failed)
            return
        body = self.dialect.encode_response(whole.response(), answer)
        if script.fault is None:
            if self.keep is not None:
                self.keep(body)
            await self.complete(200, [_JSON], body)
            return
        self.received.status = 200
        await self._respond.head(200, [_JSON, *self._own])
        if script.fault.kind is not FaultKind.GARBAGE:
            await self._respond.body(body[: len(body) // 2])
            self.received.writes += 1
        await self._break(script.fault.kind)

    async def _break(self, kind: FaultKind) -> None:
        """The fault, with the head out."""
        self.received.ending = kind in (FaultKind.EOF, FaultKind.GARBAGE)
        if kind is FaultKind.CUT:
            await self._respond.flush()
            await self._respond.abort()
        elif kind is FaultKind.EOF:
            await self._respond.end()
        elif kind is FaultKind.STALL:
            await self._respond.flush()
            await anyio.sleep_forever()
        else:
            assert kind is FaultKind.GARBAGE
            await self._respond.end(_GARBAGE)
