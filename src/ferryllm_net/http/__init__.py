"""HTTP for the gateway: a server and an upstream client on sans-IO engines, the same on asyncio and trio.

``engine`` and ``transport`` are the seams: bytes to events, and bytes to the world. Everything else is written once.
"""

from __future__ import annotations

from .engine import Headers, Misuse, RequestHead
from .exchange import Handler
from .limits import Limits, Timeouts
from .origin import TLS, Origin, parse_url
from .pool import Pool
from .request import ClientLeft, Request, RequestError, Responder
from .server import Server, bound_port, listen
from .tls import Certificates, ServerTLS, server_context
from .transport import StreamTransport, Transport, TransportError
from .upstream import UpstreamError, UpstreamFault, UpstreamResponse

__all__ = [
    "TLS",
    "Certificates",
    "ClientLeft",
    "Handler",
    "Headers",
    "Limits",
    "Misuse",
    "Origin",
    "Pool",
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
    "UpstreamError",
    "UpstreamFault",
    "UpstreamResponse",
    "bound_port",
    "listen",
    "parse_url",
    "server_context",
]
