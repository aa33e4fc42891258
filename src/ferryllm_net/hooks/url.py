"""Rows posted to a URL, signed where there is a secret."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ferryllm_net.config.usage_settings import HookSettings
from ferryllm_net.http import (
    TLS,
    Limits,
    Misuse,
    Origin,
    Pool,
    Proxy,
    ProxyAuth,
    RequestHead,
    Timeouts,
    UpstreamError,
)
from ferryllm_net.ledger import Row
from ferryllm_proto import __version__

from .fault import HookError
from .form import body, delivery_id, signature

MAX_ANSWER = 64 << 10
"""Bytes of an answer that are read, so that the connection can be used again; nothing in it is looked at."""
REFUSED = frozenset({400, 413, 415, 422})
"""Statuses that are about the batch: another attempt would end alike. What the others say is mended at the receiver."""


class UrlSink:
    """``pool`` is the hooks' own: no provider waits for a receiver, and none of its connections is used for one."""

    def __init__(self, settings: HookSettings, pool: Pool, clock: Callable[[], float] = time.time) -> None:
        assert settings.url is not None
        url, secs = settings.url, settings.timeout_secs
        proxy = None
        if url.proxy is not None:
            auth = None
            if url.proxy.user is not None:
                auth = ProxyAuth(url.proxy.user.reveal(), url.proxy.password.reveal() if url.proxy.password else "")
            proxy = Proxy(url.proxy.scheme, url.proxy.host, url.proxy.port, auth)
        self._origin = Origin(url.scheme, url.host, url.port, TLS(ca_file=url.ca_file), proxy=proxy)
        self._target = url.target
        self._secret = None if settings.secret is None else settings.secret.reveal()
        self._timeouts = Timeouts(connect_secs=secs, head_secs=secs, idle_secs=secs, total_secs=secs)
        self._pool = pool
        self._clock = clock

    async def deliver(self, rows: Sequence[Row]) -> None:
        """Returns when the receiver has said 2xx. Raises `HookError`."""
        data = body(rows)
        fields = [
            ("host", self._origin.authority),
            ("user-agent", f"ferryllm/{__version__}"),
            ("content-type", "application/json"),
            ("ferryllm-delivery", delivery_id(rows)),
        ]
        if self._secret is not None:
            fields.append(("ferryllm-signature", signature(self._secret, int(self._clock()), data)))
        try:
            head = RequestHead("POST", self._target, fields)
            async with await self._pool.open(self._origin, head, data, timeouts=self._timeouts) as answer:
                status = answer.status
                if 200 <= status < 300:
                    await answer.read(MAX_ANSWER)
        except (UpstreamError, Misuse) as exc:
            raise HookError(str(exc)) from None
        if not 200 <= status < 300:
            raise HookError(f"{self._origin.authority} answered {status}", refused=status in REFUSED)

    async def aclose(self) -> None:
        """The pool is its owner's to close."""


def hook_pool() -> Pool:
    """A pool for hooks. Run its ``sweep``."""
    return Pool(limits=Limits())
