"""Where a provider is and what every request to it carries."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable

import anyio
import msgspec

from ferryllm_net.config import ProviderSettings
from ferryllm_net.http import (
    Interrupted,
    Origin,
    Pool,
    PreparedHead,
    RequestHead,
    Timeouts,
    UpstreamError,
    UpstreamFault,
    UpstreamResponse,
    Waiter,
    prepare,
)
from ferryllm_proto import UpstreamRequest, __version__
from ferryllm_proto.inputs import UpstreamLost

MOST_HEADS = 128
"""Prepared heads of one provider; when they are more all are forgotten. Each kind of client has two or three."""
MOST_HEAD_BYTES = 4096
"""A larger one is made anew each time."""
MOST_QUERY = 16
"""Characters: `beta=true` is one that all requests of a client have, a longer one may hold a key."""


class Upstream(msgspec.Struct, frozen=True):
    provider: ProviderSettings
    origin: Origin
    headers: tuple[tuple[str, str], ...]
    """Host and authorisation."""
    timeouts: Timeouts
    prepared: dict[object, PreparedHead] = msgspec.field(default_factory=dict)
    """Heads that were sent before, by what they are made of."""

    def head(self, request: UpstreamRequest, user_agent: str | None) -> RequestHead:
        """The head of ``request`` as this provider gets it."""
        path = request.path if not request.query else f"{request.path}?{request.query}"
        own = [
            ("user-agent", user_agent or f"ferryllm/{__version__}"),
            ("accept", "text/event-stream" if request.stream else "application/json"),
        ]
        given = {name.lower() for name, _ in request.headers}
        fields = [*self.headers, *(pair for pair in own if pair[0] not in given), *request.headers]
        return RequestHead(request.method, self.provider.target(path), fields)

    def prepare(self, request: UpstreamRequest, user_agent: str | None) -> PreparedHead:
        """The same as bytes, made once for requests that differ in their bodies alone."""
        key = (request.path, request.headers, user_agent, request.stream, request.query, request.method)
        found = self.prepared.get(key)
        if found is None:
            found = prepare(self.origin, self.head(request, user_agent))
            if len(found.data) <= MOST_HEAD_BYTES and len(request.query) <= MOST_QUERY:
                if len(self.prepared) >= MOST_HEADS:
                    self.prepared.clear()
                self.prepared[key] = found
        return found

    def open(
        self, pool: Pool, request: UpstreamRequest, user_agent: str | None, waiter: Waiter | None = None
    ) -> Awaitable[UpstreamResponse]:
        """Send ``request``; returns when the answer's head is there. Raises `UpstreamError`, and `Interrupted` where
        ``waiter`` ended the wait."""
        head = self.prepare(request, user_agent)
        return pool.open(self.origin, head, request.body, timeouts=self.timeouts, waiter=waiter)


_TIMEOUTS = frozenset(
    {
        UpstreamFault.TIMEOUT_CONNECT,
        UpstreamFault.TIMEOUT_HEAD,
        UpstreamFault.TIMEOUT_IDLE,
        UpstreamFault.TIMEOUT_TOTAL,
    }
)


RELEASE_SECS = 0.2
"""How long the end of a message is waited for after its last event: it is under way, or the provider forgot it."""


async def read_end(upstream: UpstreamResponse) -> None:
    """Read the end of the provider's message, if it is there: then its connection can serve again."""
    with anyio.move_on_after(RELEASE_SECS), contextlib.suppress(UpstreamError):
        with contextlib.suppress(Interrupted):
            await upstream.receive()
        if not upstream.ended:  # what had been meant for an earlier wait came late
            await upstream.receive()


def lost(exc: UpstreamError) -> UpstreamLost:
    """What an exchange is told of ``exc``."""
    return UpstreamLost(exc.message, timeout=exc.kind in _TIMEOUTS, busy=exc.kind is UpstreamFault.FULL)
