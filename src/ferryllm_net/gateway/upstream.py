"""Where a provider is and what every request to it carries."""

from __future__ import annotations

import msgspec

from ferryllm_net.config import ProviderSettings
from ferryllm_net.http import Origin, Pool, RequestHead, Timeouts, UpstreamResponse
from ferryllm_proto import UpstreamRequest, __version__


class Upstream(msgspec.Struct, frozen=True):
    provider: ProviderSettings
    origin: Origin
    headers: tuple[tuple[str, str], ...]
    """Host and authorisation."""
    timeouts: Timeouts

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

    async def open(self, pool: Pool, request: UpstreamRequest, user_agent: str | None) -> UpstreamResponse:
        """Send ``request``; returns when the answer's head is there. Raises `UpstreamError`."""
        return await pool.open(self.origin, self.head(request, user_agent), request.body, timeouts=self.timeouts)
