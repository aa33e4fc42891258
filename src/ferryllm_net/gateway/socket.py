"""WebSocket mode of ``/v1/responses``: one connection, one turn after the other, each an ordinary request.

A turn goes through `App.handle` as the POST it stands for, with the headers of the upgrade; only its answer leaves in
messages instead of an HTTP body. What a message means and what an answer becomes is `Turns`' business.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from ferryllm_net.http import ClientLeft, Headers, Request, RequestError, RequestHead, Responder
from ferryllm_net.http.engine import Event, ResponseHead
from ferryllm_net.http.request import Stage
from ferryllm_net.http.websocket import GOING_AWAY, INTERNAL_ERROR, WebSocket, upgrade, wants_websocket
from ferryllm_proto.dialects.openai_responses.turns import Turn, Turns

if TYPE_CHECKING:
    from .app import App

_MODE = "responses_websockets"
"""What clients put into ``openai-beta`` for this way of asking: no provider is asked by it over HTTP."""

# Of the handshake, of the connection, or of a body that the upgrade had not.
_NOT_A_TURNS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "keep-alive",
        "te",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)


def turn_headers(headers: Headers) -> Headers:
    """What every turn of a connection carries over from its upgrade."""
    out: Headers = []
    for name, value in headers:
        if name in _NOT_A_TURNS or name.startswith("sec-websocket-"):
            continue
        if name == "openai-beta":
            value = ", ".join(word.strip() for word in value.split(",") if not word.strip().startswith(_MODE))
            if not value:
                continue
        out.append((name, value))
    return [*out, ("content-type", "application/json")]


async def serve_socket(app: App, request: Request, respond: Responder, request_id: str) -> None:
    """Take ``request`` over as a WebSocket and serve its turns.

    Raises `RequestError` when it is no upgrade (426) or its handshake is wrong; nothing is answered then.
    """
    if not wants_websocket(request):
        message = "GET /v1/responses is a WebSocket: send an upgrade to it, or POST the request over HTTP"
        raise RequestError(426, message, [("upgrade", "websocket"), ("connection", "upgrade")])
    socket = await upgrade(request, respond, app.limits, [("x-request-id", request_id)])
    await Socket(app, request, socket, request_id).run()


class Socket:
    """One WebSocket of a client, from the upgrade to its close."""

    def __init__(self, app: App, request: Request, socket: WebSocket, request_id: str) -> None:
        self._app = app
        self._upgrade = request
        self._socket = socket
        self._id = request_id
        self._headers = turn_headers(request.headers)
        self._target = f"{request.path}?{request.query}" if request.query else request.path
        self._turns = Turns(body_limit=app.gateway.body_limit, seed=app.ids.seed(), budget=app.remembered)
        self._wake = anyio.Event()
        self._draining = False
        self._running: Request | None = None
        self._fault: Exception | None = None

    async def run(self) -> None:
        """Serve turns until the client leaves or the server drains. Raises what a turn raised, after the close."""
        self._socket.watch_drain(self._drain)
        self._upgrade.on_drain(self._interrupt)
        self._app.log.info("websocket opened", request_id=self._id)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, tasks.cancel_scope)
                await self._serve(tasks.cancel_scope)
        finally:
            self._turns.close()
            self._app.log.info("websocket closed", request_id=self._id, turns=self._turns.count, code=self._socket.code)
        if self._fault is not None:
            raise self._fault

    def _drain(self) -> None:
        self._draining = True
        self._wake.set()

    def _interrupt(self) -> None:
        if self._running is not None:
            self._running.interrupt()

    async def _listen(self, scope: anyio.CancelScope) -> None:
        """Take messages while a turn runs: a client that closes ends it."""
        try:
            while (message := await self._socket.receive()) is not None:
                said = self._turns.receive(message)
                if said is None:
                    self._wake.set()
                elif not self._socket.ending:
                    await self._socket.send([said])
        except ClientLeft:
            pass
        scope.cancel()

    async def _serve(self, scope: anyio.CancelScope) -> None:
        try:
            while True:
                turn = None if self._draining else self._turns.next(time.time())
                if turn is not None:
                    self._socket.busy = True
                    await self._run(turn)
                    self._socket.rest()
                elif self._draining:
                    await self._socket.close(GOING_AWAY, "the gateway is shutting down")
                    return
                else:
                    self._wake = anyio.Event()
                    await self._wake.wait()
        except ClientLeft:
            scope.cancel()
        except Exception as exc:
            # A fault of ours: whoever runs the server hears of it, once the client has been told.
            self._fault = exc
            await self._socket.close(INTERNAL_ERROR, "internal error of the gateway")

    async def _run(self, turn: Turn) -> None:
        await self._socket.send(turn.messages)
        if not turn.body:
            return
        own = [("content-length", str(len(turn.body))), ("x-request-id", f"{self._id}.{self._turns.count}")]
        channel = _Channel(turn, self._socket)
        head = RequestHead("POST", self._target, [*self._headers, *own])
        limit = self._app.limits.body_bytes
        request = Request(head, channel, peer=self._upgrade.peer, scheme=self._upgrade.scheme, body_limit=limit)
        request.via = self._upgrade.via
        respond = Responder(channel, "POST")
        self._running, fault = request, None
        if self._upgrade.draining:
            request.interrupt()
        try:
            await self._app.handle(request, respond)
        except ClientLeft:
            raise
        except Exception as exc:
            fault = exc
        self._running = None
        await self._socket.send(turn.receive_eof(cut=respond.stage is not Stage.ENDED))
        if fault is not None:
            raise fault


class _Channel:
    """The connection a turn sees: its body is a message, its answer becomes messages (`http.request.Channel`)."""

    def __init__(self, turn: Turn, socket: WebSocket) -> None:
        self._turn = turn
        self._socket = socket
        self._read = False
        self._unsent: list[bytes] = []

    def whole_body(self, limit: int) -> bytes | None:
        if self._read or len(self._turn.body) > limit:
            return None
        self._read = True
        return self._turn.body

    async def body_data(self, received: int) -> bytes | None:
        if self._read:
            return None
        self._read = True
        return self._turn.body

    def encode(self, event: Event) -> bytes:
        if type(event) is ResponseHead:
            self._turn.receive_head(event.status, event.headers)
        return b""

    def frame(self, data: bytes) -> bytes:
        return data

    def finish_head(self, headers: Headers) -> Headers:
        return headers

    def put(self, data: bytes) -> bool:
        self._unsent.append(data)
        return False  # messages are written by a task alone

    async def drain(self) -> None:
        while self._unsent:
            data = self._unsent.pop(0)
            messages = self._turn.receive_data(data)
            if messages:
                await self._socket.send(messages)
            elif data[:1] == b":":
                await self._socket.ping()  # what a comment is in a stream: a sign of life

    async def cut(self) -> None:
        pass  # the connection is not the turn's; its end is told by `Turn.receive_eof`
