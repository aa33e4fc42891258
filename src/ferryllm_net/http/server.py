"""Accepting, sweeping deadlines, draining: what all connections of a server share."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

import anyio
from anyio.abc import TaskGroup, TaskStatus

from .backends import accept, adopt
from .backends.clock import clock
from .backends.tasks import starter
from .connection import Connection
from .exchange import Handler, bare_refusal
from .forwarded import TrustedProxies
from .limits import Limits
from .listeners import Listener
from .proxy_header import MAX_HEADER, ProxyHeader, ProxyHeaderError, read_proxy_header
from .request import Request, Responder
from .transport import Interrupted, Transport, TransportError, peer_of

_log = logging.getLogger("ferryllm.http")

_FAILED = "a connection failed"
_LOOPBACK = ("127.", "::1")
# Out of descriptors or buffers: waiting lets running connections give some back. Go starts at 5 ms, doubling to 1 s.
_ACCEPT_PAUSE_SECS = 0.1


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _http_date() -> str:
    """RFC 9110 section 5.6.7; by hand, because email.utils is 15 ms of imports and strftime follows the locale."""
    now = time.gmtime()
    day, month = _DAYS[now.tm_wday], _MONTHS[now.tm_mon - 1]
    clock = f"{now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d}"
    return f"{day}, {now.tm_mday:02d} {month} {now.tm_year} {clock} GMT"


def _log_error(request: Request, exc: Exception) -> None:
    _log.error("the handler of %s %s failed", request.method, request.path, exc_info=exc)


def bound_port(listener: socket.socket) -> int:
    """The port that the system gave; 0 for a unix socket."""
    name = listener.getsockname()
    return int(name[1]) if isinstance(name, tuple) else 0


async def _take_header(sock: socket.socket) -> ProxyHeader:
    """The PROXY header at the beginning of a connection, and no byte behind it: those are TLS's or HTTP's.

    Raises `ProxyHeaderError`, OSError.
    """
    begun = b""
    while True:
        await anyio.wait_readable(sock)
        try:
            ahead = sock.recv(MAX_HEADER - len(begun), socket.MSG_PEEK)
        except BlockingIOError:
            continue
        if not ahead:
            raise ProxyHeaderError("it ended within its PROXY header")
        header = read_proxy_header(begun + ahead)
        # All that was seen of a header which is not complete is part of it, so no wait begins with bytes left behind.
        sock.recv(len(ahead) if header is None else header.size - len(begun))
        if header is not None:
            return header
        begun += ahead


class _Life(Protocol):
    """A connection of any version, as far as the server needs it."""

    @property
    def deadline(self) -> float: ...

    @property
    def active(self) -> int: ...

    def run(self) -> Coroutine[None, None, None]: ...

    def expire(self) -> None: ...

    def close_if_idle(self) -> None: ...

    def interrupt(self) -> None: ...

    def kill(self) -> None: ...


class Server:
    """Serves HTTP/1.1 and HTTP/2 on any number of listeners.

    ``handler`` runs once a request, in the task of its connection (HTTP/1.1) or one of its own (HTTP/2); its scope is
    cancelled when the client leaves. ``ssl_context`` makes every connection TLS, and HTTP/2 is spoken with clients that
    agree on it by ALPN (`server_context`); in clear text with those that begin with its preface. What ``trusted``
    proxies say of the client becomes `Request.peer` and `Request.scheme`. ``on_error`` hears of exceptions that a
    handler let pass (the client gets a plain 500, or a cut answer when the head was out); by default they are logged.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits | None = None,
        ssl_context: ssl.SSLContext | None = None,
        http2: bool = True,
        trusted: TrustedProxies | None = None,
        on_error: Callable[[Request, Exception], None] = _log_error,
    ) -> None:
        self.draining = False
        self._streams = 0
        """Exchanges that run now on connections which many share."""
        self.date = _http_date()
        self.clock: Callable[[], float] = anyio.current_time
        self._handler = handler
        self._limits = limits or Limits()
        self.ssl_context = ssl_context
        """May be replaced at any time; connections that are open keep theirs."""
        self.http2 = http2
        self._trusted = trusted or TrustedProxies()
        self._on_error = on_error
        self._open: set[_Life] = set()
        self._addresses: Counter[str] = Counter()
        self._pending = 0
        self._drain_begun = anyio.Event()
        self._changed = anyio.Event()
        self._tasks = 0
        """Of connections that were accepted; those somebody else accepted have their owner's."""
        self._lives: set[anyio.CancelScope] = set()
        """The scopes of these tasks."""
        self._ended = False
        # Made in serve(): a server may be made before there is an event loop.
        self._grace: anyio.CancelScope | None = None
        self._grace_until = math.inf
        self._warn_at = -math.inf
        self._quiet: anyio.Event | None = None
        """The sweeper waits for it while nothing is open."""

    @property
    def active(self) -> int:
        """Exchanges that run now."""
        return self._streams + sum(connection.active for connection in self._open)

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return self._pending

    async def serve(
        self,
        listeners: Sequence[socket.socket | Listener] = (),
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until `start_drain` has been called and the last connection has ended; closes the listeners.

        A plain socket speaks TLS where there is an ``ssl_context``.
        ``task_status`` is told when connections are accepted. Once only. A cancellation ends everything at once.
        """
        self.clock = clock()
        every = [
            one if isinstance(one, Listener) else Listener(one, tls=self.ssl_context is not None) for one in listeners
        ]
        if any(one.tls for one in every):
            # Few listeners speak it. Not with the first connection: no file may be left to open then.
            from . import tls_transport  # noqa: F401

        async with anyio.create_task_group() as group:
            try:
                start = starter(group)
                group.start_soon(self._sweep)
                for listener in every:
                    group.start_soon(self._accept, listener, group, start)
                task_status.started()
                await self._drain_begun.wait()
                await self._drain()
                group.cancel_scope.cancel()
            finally:
                await self._end_tasks()

    async def _drain(self) -> None:
        """Let the connections end, at the deadline with their last words, then without."""
        with anyio.CancelScope(deadline=self._grace_until) as self._grace:
            await self.wait_closed()
        for connection in list(self._open):
            connection.interrupt()
        with anyio.move_on_after(self._limits.drain_error_secs):
            await self.wait_closed()
        for connection in list(self._open):
            connection.kill()
        # Bounded, for those that are none yet: within a handshake or a PROXY header.
        with anyio.move_on_after(self._limits.cleanup_secs):
            await self.wait_closed()

    async def _end_tasks(self) -> None:
        """Cancel what still runs of accepted connections, and wait for it."""
        self._ended = True
        for life in list(self._lives):
            life.cancel()
        with anyio.CancelScope(shield=True):
            while self._tasks:
                await self._changed.wait()

    async def serve_connection(self, transport: Transport) -> None:
        """Serve one connection that somebody else accepted; `serve` has to run for its deadlines to hold."""
        self._pending += 1
        try:
            with anyio.CancelScope() as life:
                await self._run(transport, "http", self._handler_for(transport.peer), life)
        finally:
            self._pending -= 1
            self._notify()

    def start_drain(self, grace_secs: float | None = None) -> None:
        """Stop accepting, close idle connections, end each running one after its answer.

        After ``grace_secs`` (default `Limits.drain_secs`) handlers are interrupted (`Request.on_drain`), a moment later
        cancelled. A second call moves the deadline.
        """
        grace = self._limits.drain_secs if grace_secs is None else grace_secs
        self._grace_until = self.clock() + grace
        if self._grace is not None:
            self._grace.deadline = self._grace_until
        if not self.draining:
            self.draining = True
            self._drain_begun.set()
            for connection in list(self._open):
                connection.close_if_idle()

    # What connections ask for (`connection.Host`).

    def begin_exchange(self) -> None:
        self._streams += 1

    def end_exchange(self) -> None:
        self._streams -= 1

    def report(self, request: Request, exc: Exception) -> None:
        self._on_error(request, exc)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def wait_closed(self) -> None:
        """Returns when no connection is open."""
        while self._pending:
            await self._changed.wait()

    async def _sweep(self) -> None:
        """One timer for the deadlines of all connections; it also keeps the Date of answers. Without any it rests."""
        shown = math.inf
        while True:
            if self._open:
                await anyio.sleep(self._limits.sweep_secs)
            else:
                self._quiet = anyio.Event()
                await self._quiet.wait()
            now = self.clock()
            for connection in list(self._open):
                if connection.deadline <= now:
                    connection.expire()
            if not 0 <= now - shown < 1:
                shown, self.date = now, _http_date()

    async def _accept(self, listener: Listener, group: TaskGroup, start: Callable[..., None]) -> None:
        try:
            with anyio.CancelScope() as scope:
                group.start_soon(self._stop_accepting, scope)
                while True:
                    while self._pending >= self._limits.connections:
                        await self._changed.wait()
                    try:
                        sock = await accept(listener.socket)
                    except OSError as exc:
                        _log.warning("accepting a connection failed: %s", exc)
                        await anyio.sleep(_ACCEPT_PAUSE_SECS)
                        continue
                    self._pending += 1
                    self._tasks += 1
                    start(self._welcome, sock, listener)
        finally:
            listener.socket.close()

    async def _stop_accepting(self, scope: anyio.CancelScope) -> None:
        await self._drain_begun.wait()
        scope.cancel()

    async def _welcome(self, sock: socket.socket, listener: Listener) -> None:
        """One connection, in a task and a scope of its own."""
        address = ""
        with anyio.CancelScope() as life:
            self._lives.add(life)
            if self._ended:
                life.cancel()
            try:
                taken = await self._take(sock, listener)
                if taken is None:
                    return
                transport, client = taken
                try:
                    address = transport.peer[0]
                    self._addresses[address] += 1
                    if not address and sock.family != getattr(socket, "AF_UNIX", None):
                        return  # reset before we looked: nobody to answer, and no socket file's client either
                    bound = self._limits.connections_per_address
                    exempt = client is None and (address.startswith(_LOOPBACK) or self._trusted.trusts(address))
                    if bound and self._addresses[address] > bound and not exempt:
                        return
                    handler = self._handler_for(transport.peer, None if client is None else peer_of(sock))
                    context = self.ssl_context
                    if not listener.tls or context is None:
                        # `_run`, without the coroutine that each connection would keep.
                        connection = self._begin(transport, handler, "http", life)
                        begun: bytes | None = None
                        try:
                            await connection.run()
                            begun = connection.handed_over
                        except Exception:
                            _log.exception(_FAILED)
                        finally:
                            self._open.discard(connection)
                        if begun is not None:
                            await self._run(transport, "http", handler, life, begun)
                        return
                    from .tls_transport import secure_server

                    secured: Transport | None = None
                    with anyio.move_on_after(self._limits.tls_handshake_secs):
                        secured = await secure_server(transport, context)
                    if secured is None:
                        return
                    transport = secured
                    begun = b"" if transport.protocol == "h2" and self.http2 else None
                    await self._run(transport, "https", handler, life, begun)
                except TransportError as exc:
                    # Gone before it was a connection, or not a TLS client.
                    if listener.tls:
                        from .tls_transport import is_plain_http

                        if is_plain_http(exc.__cause__):
                            await self._answer_plain(transport)
                except Exception:
                    # One connection's fault, or a module that can not be loaded while no file can be opened: it must
                    # not take the others along.
                    _log.exception(_FAILED)
                finally:
                    self._addresses[address] -= 1
                    if not self._addresses[address]:
                        del self._addresses[address]
                    self._pending -= 1
                    self._notify()
                    with anyio.CancelScope(shield=True):
                        await transport.aclose()
            finally:
                self._lives.discard(life)
                self._tasks -= 1
                self._notify()

    async def _take(self, sock: socket.socket, listener: Listener) -> tuple[Transport, tuple[str, int] | None] | None:
        """The transport over an accepted socket, and who a PROXY header says it comes from; None where there is none
        to be had."""
        client = None
        try:
            if listener.proxy_protocol:
                client = await self._introduced(sock)
            return await adopt(sock, client), client
        except BaseException as exc:
            sock.close()
            self._pending -= 1
            self._notify()
            if isinstance(exc, (ProxyHeaderError, OSError)):
                self._warn_refused(exc)
                return None
            raise

    def _warn_refused(self, reason: Exception) -> None:
        """Once a second at most: whoever is refused may come back without end."""
        now = self.clock()
        if now >= self._warn_at:
            self._warn_at = now + 1
            _log.warning("a connection was refused: %s", reason)

    async def _introduced(self, sock: socket.socket) -> tuple[str, int] | None:
        """Who the client of a connection is by its PROXY header, which is taken off; None where the peer stands.

        Raises `ProxyHeaderError`, OSError.
        """
        peer = peer_of(sock)
        if not self._trusted.trusts(peer[0]):
            raise ProxyHeaderError(f"{peer[0] or 'a socket file'} is none of the trusted proxies")
        sock.setblocking(False)
        header: ProxyHeader | None = None
        with anyio.move_on_after(self._limits.head_secs):
            header = await _take_header(sock)
        if header is None:
            raise ProxyHeaderError("its PROXY header did not arrive in time")
        return header.client

    async def _answer_plain(self, transport: Transport) -> None:
        """Say in clear text to a client that speaks HTTP in clear text that this port is for TLS, as nginx does."""
        answer = bare_refusal(400, "Bad Request", "this port speaks TLS: use https")
        # A close with unread bytes sends RST, which can take the answer out of the client's hands.
        left = self._limits.drain_rest_bytes
        with contextlib.suppress(TransportError, Interrupted), anyio.move_on_after(self._limits.linger_secs):
            await transport.send(answer)
            await transport.send_eof()
            while left > 0 and (data := await transport.receive()):
                left -= len(data)

    async def _run(
        self,
        transport: Transport,
        scheme: str,
        handler: Handler,
        life: anyio.CancelScope,
        begun: bytes | None = None,
    ) -> None:
        """A connection until its end; ``life`` is the scope of its task. ``begun``: it is HTTP/2's, whose first bytes
        these are."""
        while True:
            connection: Connection | None = None
            if begun is None:
                running: _Life = (connection := self._begin(transport, handler, scheme, life))
            else:
                from .h2_connection import H2Connection  # 40 ms of imports that most clients never need

                running = H2Connection(transport, handler, self, self._limits, scheme, begun)
                self._watch(running)
            try:
                await running.run()
            except Exception:
                # A bug of ours must not take the other connections with it.
                _log.exception(_FAILED)
            finally:
                self._open.discard(running)
            begun = None if connection is None else connection.handed_over
            if begun is None:
                return

    def _begin(self, transport: Transport, handler: Handler, scheme: str, life: anyio.CancelScope) -> Connection:
        connection = Connection(transport, handler, self, self._limits, scheme, life)
        self._watch(connection)
        return connection

    def _watch(self, running: _Life) -> None:
        """The sweeper looks at it from here on."""
        self._open.add(running)
        if self._quiet is not None:
            self._quiet.set()
            self._quiet = None
            self.date = _http_date()

    def _handler_for(self, peer: tuple[str, int], via: tuple[str, int] | None = None) -> Handler:
        """The handler, for a connection from ``peer``, which ``via`` has introduced: behind one that says so, and reads
        what a trusted proxy says in fields, where there is one. Nobody else's requests pay for it."""
        believed = self._trusted.trusts(peer[0])
        if not believed and via is None:
            return self._handler

        async def handle(request: Request, respond: Responder) -> None:
            request.via = via
            if believed:
                request.peer, request.scheme = self._trusted.client(request.headers, peer, request.scheme)
                if via is None and request.peer != peer:
                    request.via = peer
            await self._handler(request, respond)

        return handle
