"""The protocol machines of ferryllm: bytes and events in, bytes and events out, no I/O.

Start with `Translator` (one request and its answer between two dialects), `Exchange` (the whole life of one client
request) and `DIALECTS` (the pieces of each protocol).
"""

from __future__ import annotations

from . import actions, events, inputs, ir
from ._version import __version__
from .dialect import Answer, ClientHead, Dialect, Headers, UpstreamRequest
from .dialects import DIALECTS
from .errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from .exchange import Exchange
from .loss import Disposition, Loss
from .routing.table import MatchType, Route, RouteTable
from .rules import ModelRule, ProviderRules
from .snapshot import Gateway, Provider
from .translate import Translator

__all__ = [
    "DIALECTS",
    "Answer",
    "ClientHead",
    "Dialect",
    "Disposition",
    "Exchange",
    "Gateway",
    "Headers",
    "LocalProtocolError",
    "Loss",
    "MatchType",
    "ModelRule",
    "ProtocolError",
    "Provider",
    "ProviderRules",
    "RemoteProtocolError",
    "Route",
    "RouteTable",
    "Translator",
    "UpstreamRequest",
    "__version__",
    "actions",
    "events",
    "inputs",
    "ir",
]
