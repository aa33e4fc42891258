"""`Admin`: answers what is asked for below ``/admin/``.

Whoever has the admin key makes keys for everything, so it is asked for in any case, whether clients need one or not,
and a page of another site is refused as it is elsewhere. A change is in force in this process before its answer leaves;
other processes see it when they look at the store (`keys.live`).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

import anyio
import msgspec

from ferryllm_net.http import Request, RequestError, Responder
from ferryllm_net.keys import issuing
from ferryllm_net.keys.bounds import NO_BOUNDS
from ferryllm_net.keys.issuing import Issued, RefusedError
from ferryllm_net.keys.store import KeyStore, KeyStoreError, TakenError, UnknownKeyError
from ferryllm_net.keys.stored import StoredKey, StoredProject
from ferryllm_net.keys.use import read_uses, used_of, used_view
from ferryllm_net.keys.views import key_view, project_view
from ferryllm_net.stores.responses import StoreError
from ferryllm_net.telemetry import Log
from ferryllm_net.telemetry.audit import AuditEvent
from ferryllm_proto import ir
from ferryllm_proto.policy.access import AccessRules, identify, key_digest
from ferryllm_proto.policy.key_text import PREFIX, shown
from ferryllm_proto.routing.keys import Refusal

from .forms import (
    KeyChange,
    NewKey,
    NewProject,
    ProjectChange,
    Rotation,
    applied,
    bounds_of,
    end_of,
    given_names,
    grace_of,
    read_form,
    terms_of,
)

if TYPE_CHECKING:
    from ferryllm_net.ledger import Ledger

MAX_BODY = 64 << 10
"""Bytes: a key with a hundred models of a hundred characters is a sixth of it."""
DEFAULT_PAGE, MAX_PAGE = 100, 1000
"""Keys of one page: a thousand are some 500 kB of JSON."""
_ANYBODY = AccessRules(loopback=False)
"""For the look at a browser's fields alone: a Host that names another machine is no danger where a key is asked for."""


class AdminError(Exception):
    """What is answered in place of a result."""

    def __init__(self, status: int, kind: str, message: str, field: str = "", allow: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.field = field
        self.allow = allow


class _Asked(NamedTuple):
    method: str
    names: list[str]
    """The path behind ``/admin/``, without escapes."""
    query: dict[str, str]
    body: bytes
    peer: str
    id: str
    """Of the request."""


class _Told(NamedTuple):
    """What was done, for the audit log."""

    action: str
    subject: str
    name: str = ""
    changed: tuple[str, ...] = ()


class _Done(NamedTuple):
    status: int
    body: object
    told: _Told | None = None


Audit = Callable[[AuditEvent], None]


class Admin:
    """The admin API over ``store``. ``digest`` is the SHA-256 of its key; ``refresh`` makes a change count in this
    process; ``audit`` hears of every change and every refusal."""

    def __init__(
        self,
        store: KeyStore,
        digest: bytes,
        refresh: Callable[[], Awaitable[object]],
        log: Log,
        *,
        audit: Callable[[], Audit | None] = lambda: None,
        ledger: Callable[[], Ledger | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._digest = digest
        self._refresh = refresh
        self._log = log
        self._audit = audit
        self._ledger = ledger
        self._clock = clock

    async def answer(self, request: Request, respond: Responder, request_id: str) -> None:
        """Answer one request, whoever sent it."""
        peer = request.peer[0] or ""
        told = _Told("admin.refused", "")
        try:
            self._let_in(request)
            names = [unquote(name) for name in request.path.strip("/").split("/")[1:]]
            told = _Told(_action(request), _subject(names))
            try:
                body = await request.read(MAX_BODY)
            except RequestError as exc:
                raise AdminError(exc.status, "bad_request", exc.message) from None
            asked = _Asked(request.method, names, dict(parse_qsl(request.query)), body, peer, request_id)
            # A change is done, in force and told of as a whole, whether its client waits for the end or not.
            with anyio.CancelScope(shield=request.method not in ("GET", "HEAD")):
                done = await self._do(asked)
                if done.told is not None:
                    self._tell(done.told, "done", peer, request_id)
        except AdminError as exc:
            if told.action:
                self._tell(told, exc.kind, peer, request_id)
            await self._refuse(exc, respond, request_id)
            return
        await respond.complete(done.status, _head(request_id), msgspec.json.encode(done.body))

    def _let_in(self, request: Request) -> None:
        """Raises `AdminError` for whoever has no business here."""
        foreign = identify(_ANYBODY, None, request.method, request.headers)
        if type(foreign) is Refusal:
            raise AdminError(ir.STATUS[foreign.error.kind], "forbidden", foreign.error.message)
        given = request.header("x-api-key")
        scheme, _, bearer = (request.header("authorization") or "").strip().partition(" ")
        if scheme.lower() == "bearer":
            given = bearer.strip()
        if not given:
            raise AdminError(401, "unauthorized", "no admin key: send it as `Authorization: Bearer <key>`")
        if not hmac.compare_digest(key_digest(given.strip()), self._digest):
            raise AdminError(401, "unauthorized", "this is not the admin key; keys of clients open nothing here")

    async def _do(self, asked: _Asked) -> _Done:
        methods = _TABLE.get((asked.names[0] if asked.names else "", len(asked.names), asked.names[2:] == ["rotate"]))
        if methods is None:
            raise AdminError(404, "not_found", f"nothing is here; there are {', '.join(PATHS)}")
        work = methods.get("GET" if asked.method == "HEAD" else asked.method)
        if work is None:
            allow = tuple(methods)
            raise AdminError(405, "method_not_allowed", f"expected {' or '.join(allow)}", allow=allow)
        try:
            done = await work(self, asked)
        except RefusedError as exc:
            raise AdminError(400, "invalid", str(exc), exc.field) from None
        except UnknownKeyError as exc:
            raise AdminError(404, "not_found", str(exc)) from None
        except TakenError as exc:
            raise AdminError(409, "conflict", str(exc), "name") from None
        except KeyStoreError as exc:
            self._log.warn("key store failed", reason=str(exc), request_id=asked.id)
            raise AdminError(503, "unavailable", "the store of keys could not be used: try again") from None
        except StoreError as exc:
            self._log.warn("ledger not read", reason=str(exc), request_id=asked.id)
            raise AdminError(503, "unavailable", "the ledger could not be read: try again") from None
        if done.told is not None:
            try:
                await self._refresh()
            except KeyStoreError as exc:
                # It is done all the same, and a new key must not be lost: the next look at the store finds it.
                self._log.warn("keys not read again", reason=str(exc), request_id=asked.id)
        return done

    def _tell(self, told: _Told, outcome: str, peer: str, request_id: str) -> None:
        audit = self._audit()
        if audit is not None:
            now = self._clock()
            audit(AuditEvent(now, told.action, outcome, told.subject, told.name, peer, request_id, told.changed))

    async def _refuse(self, exc: AdminError, respond: Responder, request_id: str) -> None:
        error = {"type": exc.kind, "message": str(exc)}
        if exc.field:
            error["field"] = exc.field
        head = _head(request_id)
        if exc.allow:
            head.append(("allow", ", ".join(exc.allow)))
        if exc.status == 401:
            head.append(("www-authenticate", "Bearer"))
        await respond.complete(exc.status, head, msgspec.json.encode({"error": error}))

    # --- keys ---

    async def _list_keys(self, asked: _Asked) -> _Done:
        most = _page(asked.query)
        found = await self._store.keys(after=asked.query.get("after", ""), most=most + 1)
        now = self._clock()
        more = found[most - 1].id if len(found) > most else None
        return _Done(200, {"keys": [key_view(key, now) for key in found[:most]], "next": more})

    async def _show_key(self, asked: _Asked) -> _Done:
        key, now, ledger = await self._store.find(asked.names[1]), self._clock(), self._ledger()
        if ledger is None:
            return _Done(200, key_view(key, now))
        uses = await read_uses(ledger, [key.terms.bounds], now)
        used = used_of(uses, f"key/{key.id}", key.terms.bounds)
        return _Done(200, {**key_view(key, now), "used": used_view(used)})

    async def _create_key(self, asked: _Asked) -> _Done:
        form, now = read_form(asked.body, NewKey), self._clock()
        ends = end_of(form.expires, now)
        made = await issuing.create(self._store, form.name, terms_of(form), now=now, expires=ends)
        return self._issued(201, "key.create", made, given_names(form))

    async def _change_key(self, asked: _Asked) -> _Done:
        form, now = read_form(asked.body, KeyChange), self._clock()
        ends = msgspec.UNSET if form.expires is msgspec.UNSET else end_of(form.expires, now)
        key = await issuing.change_terms(
            self._store, asked.names[1], lambda terms: applied(terms, form), now=now, expires=ends
        )
        return _Done(200, key_view(key, now), _Told("key.change", key.id, key.name, given_names(form)))

    async def _rotate_key(self, asked: _Asked) -> _Done:
        form = read_form(asked.body, Rotation)
        made = await issuing.rotate(self._store, asked.names[1], now=self._clock(), grace_secs=grace_of(form))
        return self._issued(200, "key.rotate", made, given_names(form))

    async def _revoke_key(self, asked: _Asked) -> _Done:
        now = self._clock()
        key = await issuing.revoke(self._store, asked.names[1], now=now)
        return _Done(200, key_view(key, now), _Told("key.revoke", key.id, key.name))

    def _issued(self, status: int, action: str, made: Issued, names: tuple[str, ...]) -> _Done:
        key: StoredKey = made.key
        view = {**key_view(key, self._clock()), "key": made.text.reveal()}
        return _Done(status, view, _Told(action, key.id, key.name, names))

    async def _usage(self, asked: _Asked) -> _Done:
        ledger = self._ledger()
        if ledger is None:
            raise AdminError(404, "not_found", "no ledger is kept: add [ledger] to the configuration")
        from .usage import usage_view

        return _Done(200, await usage_view(ledger, asked.query, self._clock()))

    # --- projects ---

    async def _list_projects(self, asked: _Asked) -> _Done:
        return _Done(200, {"projects": [project_view(one) for one in await self._store.projects()]})

    async def _show_project(self, asked: _Asked) -> _Done:
        for project in await self._store.projects():
            if project.name == asked.names[1]:
                return _Done(200, project_view(project))
        raise AdminError(404, "not_found", "no project is called so, or it has no limits")

    async def _create_project(self, asked: _Asked) -> _Done:
        form = read_form(asked.body, NewProject)
        own = bounds_of(NO_BOUNDS, form.limits)
        project = await issuing.create_project(self._store, form.name, own, now=self._clock())
        return _project(201, "project.create", project, given_names(form))

    async def _change_project(self, asked: _Asked) -> _Done:
        form = read_form(asked.body, ProjectChange)
        project = await issuing.change_project(self._store, asked.names[1], lambda old: bounds_of(old, form.limits))
        return _project(200, "project.change", project, given_names(form))

    async def _remove_project(self, asked: _Asked) -> _Done:
        name = asked.names[1]
        await issuing.remove_project(self._store, name)
        return _Done(200, {"name": name, "removed": True}, _Told("project.remove", name))


PATHS = (
    "/admin/keys",
    "/admin/keys/{id}",
    "/admin/keys/{id}/rotate",
    "/admin/projects",
    "/admin/projects/{name}",
    "/admin/usage",
)

_Work = Callable[[Admin, _Asked], Awaitable[_Done]]
_TABLE: dict[tuple[str, int, bool], dict[str, _Work]] = {
    ("keys", 1, False): {"GET": Admin._list_keys, "POST": Admin._create_key},
    ("keys", 2, False): {"GET": Admin._show_key, "PATCH": Admin._change_key, "DELETE": Admin._revoke_key},
    ("keys", 3, True): {"POST": Admin._rotate_key},
    ("usage", 1, False): {"GET": Admin._usage},
    ("projects", 1, False): {"GET": Admin._list_projects, "POST": Admin._create_project},
    ("projects", 2, False): {
        "GET": Admin._show_project,
        "PATCH": Admin._change_project,
        "DELETE": Admin._remove_project,
    },
}
"""By the first name of the path, how many it has, and whether the third is ``rotate``."""

_ACTIONS = {"POST": "create", "PATCH": "change", "DELETE": "remove"}


def _action(request: Request) -> str:
    """What a request that fails was about; "" where it would have changed nothing."""
    if request.path.endswith("/rotate"):
        return "key.rotate"
    kind = "project" if request.path.startswith("/admin/projects") else "key"
    word = _ACTIONS.get(request.method, "")
    return f"{kind}.{'revoke' if kind == 'key' and word == 'remove' else word}" if word else ""


def _subject(names: list[str]) -> str:
    """What a path is about, for the audit log; whoever puts a key there has its text in no log."""
    name = names[1] if len(names) > 1 else ""
    return f"{shown(name)}..." if name.startswith(PREFIX) else name[:100]


def _project(status: int, action: str, project: StoredProject, names: tuple[str, ...]) -> _Done:
    return _Done(status, project_view(project), _Told(action, project.name, changed=names))


def _page(query: dict[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_PAGE))
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MAX_PAGE):
        raise AdminError(400, "invalid", f"expected 1 to {MAX_PAGE}", "limit")
    return int(text)


def _head(request_id: str) -> list[tuple[str, str]]:
    # A new key is in the body of some.
    return [("content-type", "application/json"), ("cache-control", "no-store"), ("x-request-id", request_id)]
