"""HTTP for the gateway: a server and an upstream client on sans-IO engines, the same on asyncio and trio.

``engine`` and ``transport`` are the seams: bytes to events, and bytes to the world. Everything else is written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .engine import Headers, Misuse, RequestHead
from .exchange import Handler
from .faults import UpstreamError, UpstreamFault
from .forwarded import TrustedProxies
from .limits import Limits, Timeouts
from .listeners import Listener, open_listeners, systemd_listeners, unix_listener
from .origin import TLS, Origin, Proxy, ProxyAuth, parse_url
from .pool import Interruptible, Pool, Waiter
from .prepared import PreparedHead, prepare
from .request import ClientLeft, Request, RequestError, Responder
from .response import UpstreamResponse
from .server import Server, bound_port
from .tls import Certificates, ServerTLS, server_context
from .transport import Interrupted, Transport, TransportError

if TYPE_CHECKING:
    from .stream_transport import StreamTransport

__all__ = [
    "TLS",
    "Certificates",
    "ClientLeft",
    "Handler",
    "Headers",
    "Interrupted",
    "Interruptible",
    "Limits",
    "Listener",
    "Misuse",
    "Origin",
    "Pool",
    "PreparedHead",
    "Proxy",
    "ProxyAuth",
    "Request",
    "RequestError",
    "RequestHead",
    "Responder",
    "Server",
    "ServerTLS",
    "StreamTransport",
    "Timeouts",
    "Transport",
    "TransportError",
    "TrustedProxies",
    "UpstreamError",
    "UpstreamFault",
    "UpstreamResponse",
    "Waiter",
    "bound_port",
    "open_listeners",
    "parse_url",
    "prepare",
    "server_context",
    "systemd_listeners",
    "unix_listener",
]


def __getattr__(name: str) -> object:
    if name == "StreamTransport":  # for whoever has a stream of anyio; the gateway has none
        from .stream_transport import StreamTransport

        return StreamTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
