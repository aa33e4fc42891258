"""Which machine holds the conversation of an entry with a provider.

All of them have the shape of a `Translator`, so an `Exchange` runs any of them.
"""

from __future__ import annotations

from typing import Protocol

from . import ir
from .count import CountTokens
from .dialect import ClientHead, Headers, UpstreamRequest
from .dialects import DIALECTS
from .entries import Entry, Operation
from .loss import Loss
from .routing.table import Route
from .snapshot import Provider
from .translate import State, Translator


class Conversation(Protocol):
    """One request and its answer; see `Translator`, which says what each member is."""

    state: State
    head: ClientHead | None
    error: ir.Error | None
    losses: list[Loss]
    model: str
    stream: bool
    cut: bool

    @property
    def usage(self) -> ir.Usage | None: ...
    @property
    def finish_reason(self) -> ir.FinishReason | None: ...
    @property
    def upstream_model(self) -> str | None: ...
    @property
    def complete(self) -> bool: ...
    def receive_request(
        self, body: bytes, headers: Headers = (), path: str | None = None
    ) -> UpstreamRequest | None: ...
    def receive_response_head(self, status: int, headers: Headers) -> ClientHead | None: ...
    def receive_data(self, data: bytes) -> bytes: ...
    def receive_eof(self) -> bytes: ...
    def commit(self) -> bytes: ...
    def ping(self) -> bytes: ...
    def fail(self, error: ir.Error) -> bytes: ...


def peek(entry: Entry, body: bytes, path: str) -> tuple[str, bool]:
    """The model a request is for and whether it asks for a stream. Raises `RemoteProtocolError`."""
    return DIALECTS[entry.dialect].peek(body, path)


def converse(
    entry: Entry, route: Route, provider: Provider, *, method: str, now: float, seed: int, request_id: str
) -> Conversation:
    """The machine for one attempt at ``provider``; ``method`` is the client's, ``now`` Unix seconds."""
    if entry.operation is Operation.COUNT_TOKENS:
        native = provider.dialect == entry.dialect
        return CountTokens(native=native, model=route.rewrite_model, request_id=request_id)
    return Translator(
        entry=entry.dialect,
        backend=provider.dialect,
        model=route.rewrite_model,
        rules=provider.rules,
        now=now,
        seed=seed,
        request_id=request_id,
    )
