"""What is answered without a provider: models, health, readiness, the root."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

import anyio

from ferryllm_net.http import Request, RequestError, RequestHead, Responder, Timeouts, UpstreamError
from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.entries import Entry, Operation, model_id
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.policy.access import identify
from ferryllm_proto.refusals import unknown_model
from ferryllm_proto.routing.keys import ClientKey, Refusal, foreign, may_answer, provider_refusal

from .stored_responses import STORED, StoredResponses

if TYPE_CHECKING:
    from .app import App

CHECK_SECS = 3.0
"""How long a provider may take to prove it is there; Kubernetes gives a probe one second by default, operators raise
it together with ``check_providers``."""

MAX_SHOW = 64 << 10
"""Bytes of a question for a model's card: it holds a name."""

LISTS = {"ollama": "/api/tags", "gemini": "/v1beta/models"}
"""Where providers list their models, if not at ``/v1/models``."""

_TEXT = ("content-type", "text/plain; charset=utf-8")
_JSON = ("content-type", "application/json")


class Endpoints:
    """Answers of the gateway itself."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stored = StoredResponses(app)

    async def answer(self, entry: Entry, request: Request, respond: Responder, request_id: str) -> None:
        """Answer ``request``, whose entry is no exchange."""
        who = None if self._is_public(entry) else self.identify(request)
        if isinstance(who, Refusal):
            audit = self._app.parts.audit
            if audit is not None:
                audit.turned_away(entry.dialect, who, request.peer[0] or "", request_id)
            await self._refuse(entry, who.error, respond, request_id)
        elif entry.operation is Operation.HEALTH:
            await respond.complete(200, [_TEXT], b"ok")
        elif entry.operation is Operation.READY:
            await self._ready(respond)
        elif entry.operation is Operation.METRICS and not self._app.settings.metrics.enabled:
            error = ir.Error(ir.ErrorKind.NOT_FOUND, "metrics are switched off: set enabled = true in [metrics]")
            await self._refuse(entry, error, respond, request_id)
        elif entry.operation is Operation.METRICS:
            text, kind = await self._app.metrics.scrape(request.header("accept"))
            await respond.complete(200, [("content-type", kind)], text)
        elif entry.operation in STORED:
            await self._stored.answer(entry, request, respond, request_id)
        elif entry.operation is Operation.ROOT:
            await respond.complete(200, [_TEXT], b"ferryllm\n")
        elif entry.operation is Operation.MODELS:
            body = DIALECTS[entry.dialect].encode_models(self.models(who))
            await respond.complete(200, [_JSON, *_ids(entry, request_id)], body)
        elif entry.operation is Operation.MODEL:
            await self._model(entry, request, respond, request_id, who)
        elif entry.operation is Operation.SHOW:
            await self._show(entry, request, respond, request_id, who)
        elif entry.operation is Operation.PS:
            from ferryllm_proto.dialects.ollama import models as cards  # here and below: loads the dialect

            await respond.complete(200, [_JSON, *_ids(entry, request_id)], cards.encode_ps(self.models(who)))
        elif entry.operation is Operation.VERSION:
            from ferryllm_proto.dialects.ollama import models as cards

            await respond.complete(200, [_JSON, *_ids(entry, request_id)], cards.encode_version())
        elif entry.operation is Operation.ADMIN:
            await self._admin(entry, request, respond, request_id)
        else:
            assert entry.operation is Operation.SOCKET
            await self._socket(entry, request, respond, request_id)

    def _is_public(self, entry: Entry) -> bool:
        """Whether it is answered to everybody. Without auth the metrics are not: web pages could read them."""
        settings = self._app.settings
        return entry.public or (
            entry.operation is Operation.METRICS and settings.metrics.public and settings.auth.enabled
        )

    def identify(self, request: Request) -> ClientKey | Refusal | None:
        """Whose ``request`` is, or why it is turned away."""
        gateway, target = self._app.gateway_for(request), f"{request.path}?{request.query}"
        return identify(
            gateway.access, gateway.keys, request.method, request.headers, target, time.time(), hints=gateway.hints
        )

    def models(self, key: ClientKey | None = None) -> list[ir.Model]:
        """What the routes serve: names and patterns as they are, prefixes with a ``*`` behind them. Of it what ``key``
        may use, and the models that ``key`` names itself; its patterns are no models."""
        seen: dict[str, ir.Model] = {}
        for route in self._app.settings.routes:
            name = f"{route.match}*" if route.match_type == "prefix" and route.match != "*" else route.match
            seen.setdefault(name, ir.Model(name, owner=route.provider))
        if key is None or not (key.models or key.providers):
            return list(seen.values())
        for name in key.models:
            if "*" in name or "?" in name:
                continue
            route_of = self._app.gateway.routes.resolve(name)
            if route_of is not None:
                seen.setdefault(name, ir.Model(name, owner=route_of.provider))
        return [model for name, model in seen.items() if self._foreign(key, name) is None]

    def _foreign(self, key: ClientKey | None, name: str) -> Refusal | None:
        """Why ``key`` may not use the model called ``name``."""
        if key is None:
            return None
        refused = foreign(self._app.book, key, name)
        plan = self._app.gateway.routes.plan(name) if refused is None and key.providers else None
        if plan is None:
            return refused
        able = may_answer(key, [target.provider for target in (*plan.targets, *plan.fallbacks)])
        return None if able else provider_refusal()

    async def _admin(self, entry: Entry, request: Request, respond: Responder, request_id: str) -> None:
        admin = self._app.parts.admin
        if admin is not None:
            await admin.answer(request, respond, request_id)
            return
        error = ir.Error(ir.ErrorKind.NOT_FOUND, "the admin API is switched off: set enabled = true in [admin]")
        await self._refuse(entry, error, respond, request_id)

    async def _socket(self, entry: Entry, request: Request, respond: Responder, request_id: str) -> None:
        from .socket import serve_socket  # 40 ms of imports that most gateways never need

        try:
            await serve_socket(self._app, request, respond, request_id)
        except RequestError as exc:
            if respond.started:
                raise
            code = "upgrade_required" if exc.status == 426 else "invalid_handshake"
            error = ir.Error(ir.ErrorKind.BAD_REQUEST, exc.message, status=exc.status, code=code)
            await self._refuse(entry, error, respond, request_id, tuple(exc.headers))

    async def _model(
        self, entry: Entry, request: Request, respond: Responder, request_id: str, key: ClientKey | None
    ) -> None:
        name = unquote(model_id(request.path))
        route = self._app.gateway.routes.resolve(name)
        refused = self._foreign(key, name)
        if route is None or refused is not None:
            await self._refuse(entry, unknown_model(name) if refused is None else refused.error, respond, request_id)
            return
        body = DIALECTS[entry.dialect].encode_model(ir.Model(name, owner=route.provider))
        await respond.complete(200, [_JSON, *_ids(entry, request_id)], body)

    async def _show(
        self, entry: Entry, request: Request, respond: Responder, request_id: str, key: ClientKey | None
    ) -> None:
        """Ollama's card of one model: its command line reads it before the first word."""
        from ferryllm_proto.dialects.ollama import models as cards

        try:
            name = cards.decode_show(await request.read(MAX_SHOW))
        except RequestError as exc:
            error = ir.Error(ir.ErrorKind.BAD_REQUEST, exc.message, status=exc.status)
            await self._refuse(entry, error, respond, request_id)
            return
        except RemoteProtocolError as exc:
            await self._refuse(entry, exc.error, respond, request_id)
            return
        route = self._app.gateway.routes.resolve(name)
        refused = self._foreign(key, name)
        if route is None or refused is not None:
            await self._refuse(entry, unknown_model(name) if refused is None else refused.error, respond, request_id)
            return
        body = cards.encode_show(ir.Model(name, owner=route.provider))
        await respond.complete(200, [_JSON, *_ids(entry, request_id)], body)

    async def _refuse(
        self,
        entry: Entry,
        error: ir.Error,
        respond: Responder,
        request_id: str,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        head, body = DIALECTS[entry.dialect].encode_error(error, request_id=request_id)
        given = {name for name, _ in head.headers}
        own = [pair for pair in _ids(entry, request_id) if pair[0] not in given]
        await respond.complete(head.status, [*head.headers, *own, *headers], body)

    # --- readiness ---

    async def _ready(self, respond: Responder) -> None:
        problems = self._problems()
        if not problems and self._app.settings.server.check_providers:
            problems = await self._provider_problems()
        if problems:
            lines = "".join(f"- {problem}\n" for problem in problems)
            await respond.complete(503, [_TEXT, ("retry-after", "1")], f"not ready\n{lines}".encode())
        else:
            told = "".join(f"\n- {problem}" for problem in self._refused_keys())
            await respond.complete(200, [_TEXT], f"ready{told}".encode())

    def _refused_keys(self) -> list[str]:
        """Which providers have refused our key and are not asked with it for now. Afterwards one request tries it, so
        a gateway that is not ready because of it comes back."""
        health, now = self._app.routing.health, self._app.clock()
        found = []
        for one in self._app.gateway.providers.values():
            blocked = health.blocked(one.name, "", one.key_id, now)
            if blocked is not None and blocked.key:
                found.append(f"provider {one.name} refuses the gateway's key")
        return found

    def _problems(self) -> list[str]:
        # That the configuration is loaded and its secrets are there is true of every App: both are refused before.
        problems = []
        if not self._app.settings.providers:
            problems.append("no providers are configured")
        if not self._app.listening:
            problems.append("the listener is not active")
        if self._app.draining():
            problems.append("the gateway is shutting down")
        refused = self._refused_keys()
        if refused and len(refused) == len(self._app.gateway.providers):
            problems += refused
        return problems

    async def _provider_problems(self) -> list[str]:
        problems: list[str] = []

        async def ask(name: str) -> None:
            problem = await self._provider_problem(name)
            if problem is not None:
                problems.append(problem)

        async with anyio.create_task_group() as tasks:
            for name in self._app.upstreams:
                tasks.start_soon(ask, name)
        return sorted(problems)

    async def _provider_problem(self, name: str) -> str | None:
        """None when the provider answers at all: whether it likes our key is its own business."""
        upstream = self._app.upstreams[name]
        head = RequestHead(
            "GET",
            upstream.provider.target(LISTS.get(upstream.provider.type, "/v1/models")),
            [*upstream.headers, ("accept", "application/json")],
        )
        # The pool's own limits stand behind the one below, which is for all of it together.
        timeouts = Timeouts(CHECK_SECS + 1, CHECK_SECS + 1, CHECK_SECS + 1, None)
        with anyio.move_on_after(CHECK_SECS):
            try:
                response = await self._app.pool.open(upstream.origin, head, b"", timeouts=timeouts)
            except UpstreamError as exc:
                return f"provider {name} does not answer: {exc.message}"
            await response.aclose()
            return None
        return f"provider {name} does not answer: it took longer than {CHECK_SECS:g} s"


def _ids(entry: Entry, request_id: str) -> list[tuple[str, str]]:
    """The request's id under the names that clients of the dialect look for, as an exchange gives it."""
    names = ("x-request-id", "request-id") if entry.dialect == "anthropic" else ("x-request-id",)
    return [(name, request_id) for name in names]
