"""Kept responses: read again, listed, cancelled, deleted.

What the gateway keeps it answers itself; what a provider keeps is asked of that provider, under the provider's key.
Another owner's response is not found, as one that never was.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote

from ferryllm_net.http import Request, Responder, UpstreamError, UpstreamResponse
from ferryllm_net.stores import StoreError
from ferryllm_proto import DIALECTS, UpstreamRequest, ir
from ferryllm_proto.entries import Entry, Operation, response_id
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.json import encode, fields, loads, raw
from ferryllm_proto.policy.access import owner, without_keys
from ferryllm_proto.relay import client_headers
from ferryllm_proto.responses.kept import KeptResponse
from ferryllm_proto.routing.keys import ClientKey

if TYPE_CHECKING:
    from ferryllm_net.stores import Responses

    from .app import App

STORED = frozenset({Operation.RESPONSE, Operation.CANCEL, Operation.INPUT_ITEMS})
"""What is answered here."""
MAX_ERROR = 1 << 20
"""Bytes of a provider's error that are read; longer ones are HTML pages."""
DEFAULT_LIMIT, MAX_LIMIT = 20, 100
"""Items of one page (API reference: GET /responses/{id}/input_items)."""

_JSON = ("content-type", "application/json")
_NAME = "openai_responses"


class StoredResponses:
    """Answers of the operations in `STORED`."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def answer(self, entry: Entry, request: Request, respond: Responder, request_id: str) -> None:
        """Answer ``request``, which was let in."""
        id_ = unquote(response_id(request.path))
        try:
            kept, store = await self._find(id_, request)
            if kept.native:
                await self._forward(entry, kept, store, request, respond, request_id)
                return
            if entry.operation is Operation.CANCEL:
                raise RemoteProtocolError("Cannot cancel a synchronous response.")
            if entry.operation is Operation.INPUT_ITEMS:
                body = page(kept, request.query)
            elif request.method == "DELETE":
                await store.delete(kept.owner, kept.id)
                body = encode({"id": kept.id, "object": "response", "deleted": True})
            else:
                _check_retrieval(request.query)
                body = kept.response
        except RemoteProtocolError as exc:
            await self._refuse(exc.error, respond, request_id)
        except StoreError as exc:
            self._app.log.warn("responses store failed", reason=str(exc), request_id=request_id)
            error = ir.Error(ir.ErrorKind.SERVER, "the store of responses could not be used: try again")
            await self._refuse(error, respond, request_id)
        else:
            await respond.complete(200, [_JSON, ("x-request-id", request_id)], body)

    async def _find(self, id_: str, request: Request) -> tuple[KeptResponse, Responses]:
        store = self._app.responses
        if store is None:
            raise RemoteProtocolError(
                "this gateway keeps no responses: set `store` in [responses] of its configuration to memory or sqlite",
                kind=ir.ErrorKind.NOT_FOUND,
            )
        who = self._app.endpoints.identify(request)
        whose = owner(who if type(who) is ClientKey else None)  # who may not come in is not here
        kept = await store.get(whose, id_, time.time())
        if kept is None:
            raise RemoteProtocolError(f"Response with id '{id_:.100}' not found.", kind=ir.ErrorKind.NOT_FOUND)
        return kept, store

    async def _refuse(self, error: ir.Error, respond: Responder, request_id: str) -> None:
        head, body = DIALECTS[_NAME].encode_error(error, request_id=request_id)
        await respond.complete(head.status, list(head.headers), body)

    # --- what a provider keeps ---

    async def _forward(
        self, entry: Entry, kept: KeptResponse, store: Responses, request: Request, respond: Responder, request_id: str
    ) -> None:
        upstream = self._app.upstreams.get(kept.provider)
        if upstream is None:
            what = f"the response is kept by provider {kept.provider}, which is not configured any more"
            raise RemoteProtocolError(what, kind=ir.ErrorKind.NOT_FOUND)
        path = f"/v1/responses/{quote(kept.id, safe='')}"
        if entry.operation in (Operation.CANCEL, Operation.INPUT_ITEMS):
            path = f"{path}/{entry.operation.value}"
        query, headers = without_keys(request.query), DIALECTS[_NAME].forwarded(request.headers)
        asked = UpstreamRequest(request.method, path, query, headers, b"", False)
        try:
            response = await upstream.open(self._app.pool, asked, request.header("user-agent"))
            async with response:
                if request.method == "DELETE" and response.status in (200, 204, 404):
                    await store.delete(kept.owner, kept.id)
                if 200 <= response.status < 300:
                    await _relay(kept, response, respond, request_id)
                    return
                error = DIALECTS[_NAME].decode_error(response.status, response.headers, await _read(response))
        except UpstreamError as exc:
            self._app.log.warn("provider failed", provider=kept.provider, reason=exc.message, request_id=request_id)
            if respond.started:
                await respond.abort()
                return
            what = f"provider {kept.provider}, which keeps this response, could not be reached"
            error = ir.Error(ir.ErrorKind.UPSTREAM, what)
        await self._refuse(error, respond, request_id)


async def _relay(kept: KeptResponse, response: UpstreamResponse, respond: Responder, request_id: str) -> None:
    """The provider's answer with the client's name of the model."""
    kind = response.header("content-type") or "application/json"
    scanner = DIALECTS[_NAME].scanner(stream=kind.startswith("text/event-stream"), model=kept.model or None)
    headers = [("content-type", kind), *client_headers(response.headers), ("x-request-id", request_id)]
    await respond.head(response.status, headers)
    while data := await response.receive():
        out = scanner.receive_data(data)
        if out:
            await respond.body(out)
    await respond.end(scanner.receive_eof())


async def _read(response: UpstreamResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= MAX_ERROR and (data := await response.receive()):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


# --- what the gateway keeps ------------------------------------------------------------------------------


def _check_retrieval(query: str) -> None:
    given = dict(parse_qsl(query))
    if given.get("stream", "false").lower() not in ("false", "0"):
        what = (
            "stream: an answer that is kept is whole, and only a provider that made it in background streams it again"
        )
        raise RemoteProtocolError(what, param="stream", code="unsupported_parameter")


def page(kept: KeptResponse, query: str) -> bytes:
    """One page of a response's input items. Raises `RemoteProtocolError` for a query that means none.

    Source: API reference, GET /responses/{id}/input_items; the newest come first unless ``order`` says otherwise.
    """
    given = dict(parse_qsl(query))
    order = given.get("order", "desc")
    if order not in ("asc", "desc"):
        raise RemoteProtocolError("order: expected asc or desc", param="order", code="invalid_value")
    limit = given.get("limit", str(DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 1 <= int(limit) <= MAX_LIMIT):
        raise RemoteProtocolError(f"limit: expected 1 to {MAX_LIMIT}", param="limit", code="invalid_value")
    from ferryllm_proto.dialects.openai_responses.history import listed

    items = listed(kept.input)
    ids = [str(loads(fields(item)["id"])) for item in items]
    if order == "desc":
        items.reverse()
        ids.reverse()
    start = 0
    after = given.get("after")
    if after is not None:
        if after not in ids:
            raise RemoteProtocolError("after: no item has this id", param="after", code="invalid_value")
        start = ids.index(after) + 1
    end = start + int(limit)
    return encode(
        {
            "object": "list",
            "data": [raw(item) for item in items[start:end]],
            "first_id": ids[start] if start < len(ids) else None,
            "last_id": ids[start:end][-1] if start < len(ids) else None,
            "has_more": end < len(ids),
        }
    )
