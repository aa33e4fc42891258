"""Which machine holds the conversation of an entry with a provider.

All of them have the shape of a `Translator`, so an `Exchange` runs any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from . import ir
from .dialect import ClientHead, Headers, UpstreamRequest
from .dialects import DIALECTS
from .entries import Entry, Operation
from .loss import Loss
from .policy.headers import NO_HEADERS
from .policy.transforms import NO_TRANSFORMS
from .relay import LOSS_HEADER, loss_header
from .responses.stateful import NO_MEMORY, Memory, translator_for
from .routing.table import Route
from .snapshot import Provider
from .translate import State, Translator
from .written import MIN_BYTES

_GENERATE = Operation.GENERATE
_EMBEDS_AS = {"openai_responses": "openai"}
"""Where providers of one dialect have their embeddings in another's words: OpenAI's are beside its Responses."""


class Conversation(Protocol):
    """One request and its answer; see `Translator`, which says what each member is."""

    @property
    def state(self) -> State: ...
    @property
    def head(self) -> ClientHead | None: ...
    @property
    def error(self) -> ir.Error | None: ...
    @property
    def losses(self) -> list[Loss]: ...
    @property
    def model(self) -> str: ...
    @property
    def stream(self) -> bool: ...
    @property
    def cut(self) -> bool: ...
    @property
    def usage(self) -> ir.Usage | None: ...
    @property
    def finish_reason(self) -> ir.FinishReason | None: ...
    @property
    def upstream_model(self) -> str | None: ...
    @property
    def complete(self) -> bool: ...
    @property
    def last(self) -> bool: ...
    def receive_request(
        self,
        body: bytes,
        headers: Headers = (),
        path: str | None = None,
        peeked: tuple[str, bool] | None = None,
    ) -> UpstreamRequest | None: ...
    def receive_response_head(self, status: int, headers: Headers) -> ClientHead | None: ...
    def receive_data(self, data: bytes) -> bytes: ...
    def receive_eof(self) -> bytes: ...
    def receive_whole(self, status: int, headers: Headers, data: bytes) -> bytes: ...
    def commit(self) -> bytes: ...
    def ping(self) -> bytes: ...
    def fail(self, error: ir.Error) -> bytes: ...


def late_losses(talk: Conversation) -> tuple[tuple[str, str], ...]:
    """What a stream has lost since its head was made, as a trailer."""
    if not talk.stream or talk.head is None:
        return ()
    late = loss_header(talk.losses[talk.head.told :])
    return ((LOSS_HEADER, late),) if late else ()


def wants_trailers(dialect: str, headers: Headers) -> bool:
    """Whether a client gets them: one that asks for them (RFC 9110 section 10.1.4), and one whose stream has no
    comments to say the same in. Others may read up to the last chunk and no further."""
    if not DIALECTS[dialect].sse:
        return True
    return any(name.lower() == "te" and "trailers" in value.lower() for name, value in headers)


def final_headers(talk: Conversation) -> tuple[tuple[str, str], ...]:
    """The head's fields with all losses, for a head that leaves with the end of its answer."""
    assert talk.head is not None
    kept = tuple(pair for pair in talk.head.headers if pair[0] != LOSS_HEADER)
    return (*kept, (LOSS_HEADER, loss_header(talk.losses)))


def look(entry: Entry, body: bytes, path: str, providers: Mapping[str, Provider]) -> tuple[str, bool]:
    """As `peek`; where ``body`` is large and may be translated for one of ``providers``, more of it is read in the same
    pass, for `Conversation.receive_request`."""
    dialect, operation = entry.dialect, entry.operation
    if len(body) >= MIN_BYTES and operation is _GENERATE:
        for provider in providers.values():
            if provider.dialect != dialect and DIALECTS[provider.dialect].takes_written:
                return DIALECTS[dialect].look(body, path)
    return DIALECTS[dialect].peek(body, path)


def peek(entry: Entry, body: bytes, path: str) -> tuple[str, bool]:
    """The model a request is for and whether it asks for a stream. Raises `RemoteProtocolError`."""
    return DIALECTS[entry.dialect].peek(body, path)


def converse(
    entry: Entry,
    route: Route,
    provider: Provider,
    method: str,
    now: float,
    seed: int,
    request_id: str,
    memory: Memory = NO_MEMORY,
) -> Conversation:
    """The machine for one attempt at ``provider``; ``method`` is the client's, ``now`` Unix seconds, ``memory`` what a
    Responses request has to do with kept answers."""
    operation = entry.operation
    policies = route.policies
    transforms = policies.transforms
    filtered = transforms is not NO_TRANSFORMS and (transforms.response or transforms.stream)
    if operation is _GENERATE and memory is NO_MEMORY and not filtered:
        return Translator(  # by position: a class called by name costs twice as much
            entry.dialect,
            provider.dialect,
            route.rewrite_model,
            provider.rules,
            route.loss_policy,
            policies if provider.headers is NO_HEADERS else policies.at(provider.headers),
            now,
            seed,
            request_id,
        )
    if operation is _GENERATE:
        kind = translator_for
        if filtered:
            from .transformed import transformed_for as kind  # few routes have transforms
        return kind(memory)(
            entry=entry.dialect,
            backend=provider.dialect,
            model=route.rewrite_model,
            rules=provider.rules,
            policy=route.loss_policy,
            policies=route.policies.at(provider.headers),
            now=now,
            seed=seed,
            request_id=request_id,
        )
    # Each loaded with the first who asks: most gateways are asked for answers alone.
    if operation is Operation.COUNT_TOKENS:
        from .questions.count import CountTokens

        return CountTokens(
            policies=route.policies,
            entry=entry.dialect,
            backend=provider.dialect,
            model=route.rewrite_model,
            rules=provider.rules,
            request_id=request_id,
        )
    if operation is Operation.EMBED:
        from .questions.embeddings import Embeddings

        return Embeddings(
            entry=entry.dialect,
            backend=_EMBEDS_AS.get(provider.dialect, provider.dialect),
            model=route.rewrite_model,
            rules=provider.rules,
            policy=route.loss_policy,
            request_id=request_id,
        )
    if operation is Operation.COMPLETE:
        from .questions.completions import Completions

        return Completions(
            backend=provider.dialect,
            model=route.rewrite_model,
            rules=provider.rules,
            policy=route.loss_policy,
            now=now,
            seed=seed,
            request_id=request_id,
            usage=route.policies.usage,
        )
    if operation is Operation.FORWARD:
        from .questions.forward import Forwarding

        return Forwarding(
            entry=entry.dialect, backend=provider.dialect, method=method, target=entry.target, request_id=request_id
        )
    from .questions.compact import Compact

    return Compact(
        native=provider.keeps_responses,  # who knows one operation beside the answer knows the others
        entry=entry.dialect,
        backend=provider.dialect,
        model=route.rewrite_model,
        rules=provider.rules,
        policy=route.loss_policy,
        now=now,
        seed=seed,
        request_id=request_id,
    )
