"""Upstream connections kept for reuse, and the one door to an upstream: `Pool.open`.

Most recently used first, so that a quiet time lets the rest expire. Redirects are answers like any other: following
one would carry the provider's key to a place that the configuration does not name.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeAlias

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from .engine import Headers, RequestHead
from .limits import Limits, Timeouts
from .origin import Origin, ssl_context
from .transport import StreamTransport, Transport
from .upstream import NEVER, UpstreamConnection, UpstreamError, UpstreamFault, UpstreamResponse

Dial: TypeAlias = Callable[[Origin], Awaitable[Transport]]

# Set here for every request; a caller's own would contradict the framing or the destination.
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"}
)


async def dial(origin: Origin) -> Transport:
    """Connect by TCP and, for https, TLS. Raises `UpstreamError` (CONNECT, TLS)."""
    name = origin.authority
    try:
        # Tries all addresses of the name, IPv6 and IPv4 side by side (RFC 8305).
        stream = await anyio.connect_tcp(origin.host, origin.port)
    except OSError as exc:
        text = f"upstream {name} cannot be reached: {_why(exc)}"
        raise UpstreamError(UpstreamFault.CONNECT, text) from exc
    if origin.scheme != "https":
        return StreamTransport(stream)
    try:
        context = ssl_context(origin.tls)
        secured = await TLSStream.wrap(
            stream, hostname=origin.host, ssl_context=context, server_side=False, standard_compatible=False
        )
        return StreamTransport(secured)
    except ssl.SSLCertVerificationError as exc:
        mend = "give the CA's certificate as ca_file when it is a private one"
        text = f"the certificate of upstream {name} is not trusted: {exc.verify_message}; {mend}"
        raise await _give_up(stream, text) from exc
    except ssl.SSLError as exc:
        reason = (exc.reason or "unknown error").lower().replace("_", " ")
        raise await _give_up(stream, f"TLS with upstream {name} failed: {reason}") from exc
    except OSError as exc:
        text = f"TLS with upstream {name} failed: {(exc.strerror or 'the CA file cannot be read').lower()}"
        raise await _give_up(stream, text) from exc
    except (anyio.BrokenResourceError, anyio.EndOfStream) as exc:
        text = f"TLS with upstream {name} failed: it closed the connection within the handshake"
        raise await _give_up(stream, text) from exc
    except BaseException:
        await _close(stream)
        raise


def _why(exc: OSError) -> str:
    cause = exc.__cause__ if isinstance(exc.__cause__, OSError) else exc
    if isinstance(cause, socket.gaierror):
        return "its name cannot be resolved"
    # asyncio writes its own text into strerror ("Connect call failed").
    return os.strerror(cause.errno).lower() if cause.errno else "no address answered"


async def _close(stream: ByteStream) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.aclose_forcefully(stream)


async def _give_up(stream: ByteStream, text: str) -> UpstreamError:
    await _close(stream)
    return UpstreamError(UpstreamFault.TLS, text)


class Pool:
    """Connections to all upstreams of one process. ``dial`` can be replaced to run without sockets.

    The number of connections in use has no bound of its own: each serves one client request, and the server bounds
    those.
    """

    def __init__(self, *, limits: Limits | None = None, dial: Dial = dial) -> None:
        self._limits = limits or Limits()
        self._dial = dial
        self._idle: dict[Origin, list[UpstreamConnection]] = {}
        self._swept = 0.0
        self._closed = False

    @property
    def idle(self) -> int:
        """Connections that wait for reuse."""
        return sum(len(connections) for connections in self._idle.values())

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what is idle; what is in use closes instead of coming back."""
        self._closed = True
        connections = [connection for group in self._idle.values() for connection in group]
        self._idle.clear()
        for connection in connections:
            await connection.aclose()

    async def open(
        self, origin: Origin, head: RequestHead, body: bytes = b"", *, timeouts: Timeouts | None = None
    ) -> UpstreamResponse:
        """Send a request and return with the head of its answer.

        Host, content-length and connection are set here (those of ``head`` are dropped), accept-encoding is identity
        unless given. A request on a reused connection that died before any byte of its answer is repeated once on a
        fresh one: the server closed it while we began to write. Raises `UpstreamError`, and `Misuse` for a
        malformed head.
        """
        timeouts = timeouts or Timeouts()
        now = anyio.current_time()
        total_at = NEVER if timeouts.total_secs is None else now + timeouts.total_secs
        request = RequestHead(head.method, head.target, _request_fields(origin, head, body))
        await self._sweep(now)
        connection = await self._take(origin)
        if connection is not None:
            try:
                return await self._exchange(connection, request, body, timeouts, total_at)
            except UpstreamError as exc:
                if exc.kind is not UpstreamFault.CLOSED or connection.answered:
                    raise
        connection = await self._connect(origin, timeouts, total_at)
        return await self._exchange(connection, request, body, timeouts, total_at)

    async def give_back(self, connection: UpstreamConnection) -> None:
        """The answer was read to its end: keep the connection when it can be."""
        idle = self._idle.setdefault(connection.origin, [])
        fits = len(idle) < self._limits.pool_idle_per_origin and self.idle < self._limits.pool_idle_total
        if self._closed or not fits or not connection.is_reusable():
            await connection.aclose()
            return
        connection.idle_since = anyio.current_time()
        idle.append(connection)

    async def _take(self, origin: Origin) -> UpstreamConnection | None:
        oldest = anyio.current_time() - self._limits.pool_idle_secs
        idle = self._idle.get(origin, [])
        while idle:
            connection = idle.pop()
            if connection.idle_since > oldest and connection.is_reusable():
                connection.next_message()
                return connection
            await connection.aclose()
        return None

    async def _connect(self, origin: Origin, timeouts: Timeouts, total_at: float) -> UpstreamConnection:
        secs = min(timeouts.connect_secs, total_at - anyio.current_time())
        try:
            with anyio.fail_after(secs):
                transport = await self._dial(origin)
        except TimeoutError:
            text = f"upstream {origin.authority} did not accept a connection within {secs:g} s"
            raise UpstreamError(UpstreamFault.TIMEOUT_CONNECT, text) from None
        return UpstreamConnection(transport, origin, self._limits)

    async def _exchange(
        self,
        connection: UpstreamConnection,
        request: RequestHead,
        body: bytes,
        timeouts: Timeouts,
        total_at: float,
    ) -> UpstreamResponse:
        try:
            head, events = await connection.exchange(request, body, timeouts, total_at)
            has_body = request.method != "HEAD" and head.status not in (204, 304)
            return UpstreamResponse(connection, self, head, events, timeouts, total_at, has_body=has_body)
        except BaseException:
            await connection.aclose()
            raise

    async def _sweep(self, now: float) -> None:
        """Close what has expired at any origin, at most once a second."""
        if now - self._swept < 1.0:
            return
        self._swept = now
        oldest = now - self._limits.pool_idle_secs
        expired: list[UpstreamConnection] = []
        for origin, idle in list(self._idle.items()):
            expired += [connection for connection in idle if connection.idle_since <= oldest]
            kept = [connection for connection in idle if connection.idle_since > oldest]
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        for connection in expired:
            await connection.aclose()


def _request_fields(origin: Origin, head: RequestHead, body: bytes) -> Headers:
    fields: Headers = [("host", origin.authority)]
    fields += [pair for pair in head.headers if pair[0].lower() not in _OURS]
    if not any(name.lower() == "accept-encoding" for name, _ in fields):
        fields.append(("accept-encoding", "identity"))
    if body or head.method in ("POST", "PUT", "PATCH"):
        fields.append(("content-length", str(len(body))))
    return fields
