"""What a dialect is made of.

A dialect is one folder under ``dialects/`` whose ``__init__`` makes one instance of a subclass of `Dialect`, and one
line in ``dialects/__init__.py``. Both halves share the folder's wire types: the client half decodes requests and
encodes answers, the provider half encodes requests and decodes answers.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from . import ir, json
from .errors import LocalProtocolError, RemoteProtocolError
from .events import Event, StreamFailed
from .grammar import Grammar
from .loss import Loss, Report
from .rules import NO_RULES, ProviderRules
from .vectors import Embedder

if TYPE_CHECKING:
    from .words import AskWriter, CacheKeys, Question, Reply, ReplyWriter, StreamReply, StreamWriter

Headers = Sequence[tuple[str, str]]
"""Pairs of name and value."""


class UpstreamRequest(msgspec.Struct, frozen=True):
    """What to send to a provider. ``path`` is the dialect's own, its version or ``/api`` included."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    """Without authorisation, host and lengths: those are the sender's."""
    body: bytes
    stream: bool


class ClientHead(msgspec.Struct, frozen=True):
    """Status and headers for the client; without lengths and connection headers, which are the server's."""

    status: int
    headers: tuple[tuple[str, str], ...]
    told: int = 0
    """How many of the conversation's losses were known when it was made, and are in its headers."""


class Answer(msgspec.Struct, frozen=True):
    """What an encoder of answers has to know of the request it answers. All of it is optional."""

    model: str = ""
    """The client's name of the model; "" leaves the upstream's."""
    created: int = 0
    """Unix seconds, for dialects that say when and upstreams that did not."""
    seed: int = 0
    """Ids are minted from it: equal seeds give equal ids."""
    request: ir.Request | None = None
    input_estimate: int = 0
    """Input tokens to show where the dialect wants a number before the provider has told one (U8)."""
    path: str | None = None
    """What the client asked for, with its query: Gemini's and Ollama's answers differ with it."""
    kept: bool = False
    """The gateway will keep the answer under its id: Responses clients are told so."""
    kept_upstream: bool = False
    """The provider keeps the answer under its own id: they are told that too."""

    @property
    def include_usage(self) -> bool:
        """Whether a Chat client asked for the usage chunk; without a request: yes."""
        return self.request is None or bool(self.request.include_usage)

    def asked(self) -> Answer:
        """The same without the request, whose history nobody needs once its answer has begun: a stream is there for
        minutes, among many."""
        if self.request is None:
            return self
        return Answer(
            self.model, self.created, self.seed, None, self.input_estimate, self.path, self.kept, self.kept_upstream
        )


class StreamDecoder(Protocol):
    """Bytes of a provider's stream to events. Never raises for what the provider sent."""

    def receive_data(self, data: bytes) -> list[Event]:
        """Events completed by ``data``; after the last event (`End`, `StreamFailed`) nothing more comes."""

    def receive_eof(self) -> list[Event]:
        """The provider closed: what is left, then `End` or `StreamFailed`, unless one was already given. Idempotent."""


class StreamEncoder(Protocol):
    """Events to bytes of a client's stream.

    ``send`` raises `LocalProtocolError` for an event the state does not allow, and accepts `StreamFailed` in every
    state: it writes the dialect's own in-stream error and nothing that looks like a normal end. An answer that no
    client of the dialect could read (a limit is passed, a call's arguments are no JSON where they have to be) raises
    `RemoteProtocolError`: send `StreamFailed` with its error then.
    """

    losses: list[Loss]

    def send(self, event: Event) -> bytes: ...


class Scanner(Protocol):
    """Watches the bytes of an answer that passes through untouched (same dialect on both sides)."""

    @property
    def usage(self) -> ir.Usage | None: ...
    @property
    def model(self) -> str | None:
        """The provider's word for the model, before it is replaced.

        Final after `receive_eof` of a whole answer; a stream begins with it, and the `Relay` reads that anyway.
        """

    @property
    def finish(self) -> ir.FinishReason | None: ...
    @property
    def error(self) -> ir.Error | None:
        """An error the provider reported inside the stream."""

    @property
    def complete(self) -> bool:
        """Whether the dialect's own end was seen."""

    @property
    def last(self) -> bool:
        """Whether the last event was seen, that has nothing behind it."""

    @property
    def missing_end(self) -> bytes:
        """What the provider left out behind a complete answer and clients wait for (T3); final after `receive_eof`."""

    def receive_data(self, data: bytes) -> bytes:
        """The bytes to pass on: ``data``, with the model's name replaced where a name to show was given.

        Bytes of an event may be held until the event is whole when a name has to be replaced, never otherwise.
        """

    def receive_eof(self) -> bytes:
        """What was held; then `complete` is final."""

    def receive_whole(self, data: bytes) -> bytes:
        """The bytes to pass on of an answer that is there at once: `receive_data` and `receive_eof` in one.

        ``data`` has at most `ferryllm_proto.relay.MAX_WHOLE` bytes.
        """


class ToolRules(msgspec.Struct, frozen=True):
    """What a dialect's tools can be: `ferryllm_proto.tools` lowers a request's tools to it."""

    name_pattern: str = r"[a-zA-Z0-9_-]{1,64}"
    max_name: int = 64
    custom: bool = False
    """Freeform tools exist."""
    namespaces: bool = False
    id_prefix: str = "call_"
    max_id: int = 64
    id_pattern: str = r"[A-Za-z0-9_-]+"


_JSON = (("content-type", "application/json"),)


class _Peek(msgspec.Struct, frozen=True):
    model: str = ""
    stream: bool | None = None


_peek_decoder = json.decoder(_Peek)


class Peeked(tuple[str, bool]):
    """What `Dialect.look` returns where it has tried to read more than the two."""

    body: bytes
    """Of which; what was read is of no other."""
    message: object
    """For `Dialect.decode_written` alone; None: it was none that can be read so."""


class Dialect(abc.ABC):
    """One protocol, both halves. Instances hold no state."""

    name: str
    """As in `DIALECTS`, the configuration, the logs."""
    provider: str
    """Whose opaque material this dialect carries: ``anthropic``, ``openai``."""
    request_path: str
    """Where its requests are posted, from ``/v1`` on."""
    tool_rules: ToolRules
    forwarded_headers: frozenset[str] = frozenset()
    """Client headers (lower case) that mean something to a provider of the same dialect."""
    query_names: frozenset[str] = frozenset()
    """Query parameters of a client that mean something to a provider of the same dialect."""
    fixed_headers: tuple[tuple[str, str], ...] = ()
    """Headers a provider wants on every request unless the client sent its own."""
    foreign_marks: tuple[bytes, ...] = ()
    """Bytes in a client's body that show what another provider left and one of this dialect would refuse."""
    checks_utf8 = False
    """Whether `decode_request` looks at every byte that it carries on."""
    takes_written = False
    """Whether `encode_request` writes a history on without reading it, where it is a `written.Written`."""
    wants_estimate = False
    """Whether an answer has to show input tokens before the provider has counted them."""
    event_ends: tuple[bytes, ...] = (b"\n\n", b"\r\n\r\n", b"\r\r")
    """What ends an event of a stream of this dialect."""
    count_path: str | None = None
    """Where a provider counts the tokens of a request; None: it does not (see `encode_count_request`)."""
    embedder: Embedder | None = None
    """The embeddings of this dialect; None: it has none."""
    model_in_body = True
    """Whether requests name their model in the body; else it is in the path."""
    objects_are_whole = True
    """Whether a provider's good answer that begins with an object, where no stream was asked for, is a whole one,
    framed as the client reads it: then `is_whole` and `is_framed` need not be asked."""
    sse = True
    """Whether streams are Server-Sent Events, so that comments may stand between events."""

    def peek(self, body: bytes, path: str | None = None) -> tuple[str, bool]:
        """The model and whether a stream is asked for, without reading the rest (pass-through, routing)."""
        seen = json.decode(body, _peek_decoder)
        if not seen.model:
            raise RemoteProtocolError("model: this field is required", param="model", code="missing_required_parameter")
        return seen.model, bool(seen.stream)

    def look(self, body: bytes, path: str | None = None) -> tuple[str, bool]:
        """As `peek`, of a large body that may be given to `decode_written` next: a `Peeked` has that half done."""
        return self.peek(body, path)

    def stream_type(self, path: str | None) -> str:
        """The content type of a stream for a client that asked for ``path``."""
        return "text/event-stream; charset=utf-8"

    def is_whole(self, data: bytes, *, stream: bool, headers: Headers) -> bool | None:
        """Whether a provider's good answer that begins with ``data`` is one JSON value and no stream (S10).

        ``data`` has no blanks before it; ``stream`` is what was asked for; ``headers`` are the provider's. None: more
        bytes have to come first.
        """
        return data[:1] in (b"{", b"[")

    def is_framed(self, data: bytes, path: str | None) -> bool:
        """Whether a provider's answer that begins with ``data`` is framed as a client that asked for ``path`` reads it.

        Where it is not, it is translated although both sides speak this dialect. Only errors come in arrays.
        """
        return data[:1] != b"["

    def pass_request(
        self,
        body: bytes,
        *,
        stream: bool,
        model: str | None = None,
        headers: Headers = (),
        path: str | None = None,
        target: str | None = None,
    ) -> UpstreamRequest:
        """The client's own bytes for a provider of the same dialect, with ``model`` spliced in (None: the client's).

        ``path`` is what the client asked for, ``target`` the provider's path where it is not `request_path`.
        """
        if model is not None:
            body = json.splice(body, ("model",), json.encode_str(model))
        query = self.forwarded_query(path) if self.query_names else ""
        return UpstreamRequest("POST", target or self.request_path, query, self.forwarded(headers), body, stream)

    def forwarded_query(self, path: str | None) -> str:
        """The query for a provider of the same dialect out of the client's path: only what means something there.

        Some servers take keys and versions from the query; those are for the configuration alone to say.
        """
        if not path or not self.query_names or "?" not in path:
            return ""
        given = path.partition("?")[2].split("&")
        return "&".join(pair for pair in given if pair.partition("=")[0] in self.query_names)

    def forwarded(self, headers: Headers) -> tuple[tuple[str, str], ...]:
        """Headers for a provider of the same dialect out of the client's."""
        if not self.forwarded_headers and not self.fixed_headers:
            return _JSON
        out = [("content-type", "application/json")]
        if wanted := self.forwarded_headers:
            out.extend([(lower, value) for name, value in headers if (lower := name.lower()) in wanted])
        if self.fixed_headers:
            given = {name for name, _ in out}
            out.extend(pair for pair in self.fixed_headers if pair[0] not in given)
        return tuple(out)

    # --- client half ---

    answers_itself = False
    """Whether there is anything that `own_answer` answers."""

    def own_answer(self, body: bytes, created: int, path: str | None = None) -> tuple[str, bytes] | None:
        """The model and the whole answer where ``body`` asks for nothing but the gateway's word; else None.

        ``created`` are Unix seconds. Raises `RemoteProtocolError`. Providers of the same dialect are asked even so.
        """
        return None

    @abc.abstractmethod
    def decode_request(self, body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
        """A client's body. Raises `RemoteProtocolError` that names the field."""

    def decode_written(
        self,
        body: bytes,
        *,
        headers: Headers = (),
        path: str | None = None,
        peeked: tuple[str, bool] | None = None,
    ) -> ir.Request:
        """As `decode_request`, for a provider's dialect that `takes_written`: the turns may be a `written.Written`.

        ``peeked`` is what `look` has found in the body, None: nobody has looked.
        """
        return self.decode_request(body, headers=headers, path=path)

    def question(self, body: bytes) -> Question | None:
        """As `decode_request`, for a request that is words and nothing else; None for any other, and where the dialect
        has no shorter way. A fault is for `decode_request` to name."""
        return None

    def decode_count(self, body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
        """A client's question how many tokens a request has: its body without the limits of an answer."""
        return self.decode_request(body, headers=headers, path=path)

    def encode_count(self, input_tokens: int) -> bytes:
        """The body that answers a client's question how many tokens a request has."""
        raise LocalProtocolError(f"{self.name} has no question for the number of tokens")

    @abc.abstractmethod
    def encode_response(self, response: ir.Response, answer: Answer = Answer(), report: Report | None = None) -> bytes:  # noqa: B008 - frozen
        """The body of a whole answer."""

    def encode_words(self, response: ir.Response, model: str, seed: int) -> bytes | None:
        """What `encode_response` gives, without any loss, for the usual answer of one text, whose usage is known; None
        for any other, and where the dialect has no shorter way. ``model`` and ``seed`` are those of an `Answer`."""
        return None

    def reply_writer(self, model: str) -> ReplyWriter | None:
        """Writes what `encode_response` writes, without any loss, for answers that are words and nothing else.

        ``model`` is the client's name of it. None where the dialect has no shorter way."""
        return None

    def stream_writer(self, model: str) -> StreamWriter | None:
        """The same as what `stream_encoder` writes, for streams of words that are there at once."""
        return None

    @abc.abstractmethod
    def stream_encoder(self, answer: Answer = Answer()) -> StreamEncoder:  # noqa: B008 - frozen
        """A machine that writes one stream."""

    def late_error(self, error: ir.Error, answer: Answer, after: bytes) -> bytes:
        """An error behind whole events that passed through; ``after`` is the last byte of them that is no blank."""
        return self.stream_encoder(answer).send(StreamFailed(error))

    @abc.abstractmethod
    def encode_error(self, error: ir.Error, *, request_id: str | None = None) -> tuple[ClientHead, bytes]:
        """An error before the answer began: status, headers (``retry-after``, ...) and body in this dialect."""

    @abc.abstractmethod
    def encode_models(self, models: Sequence[ir.Model]) -> bytes:
        """The body of ``GET /v1/models``."""

    @abc.abstractmethod
    def encode_model(self, model: ir.Model) -> bytes:
        """The body of ``GET /v1/models/{id}``."""

    # --- provider half ---

    @abc.abstractmethod
    def encode_request(
        self,
        request: ir.Request,
        *,
        model: str | None = None,
        headers: Headers = (),
        rules: ProviderRules = NO_RULES,
    ) -> tuple[UpstreamRequest, list[Loss]]:
        """The request for a provider of this dialect.

        ``model`` is the provider's name of the model (None: the client's own), ``headers`` the client's: only
        those that mean something to the same dialect are forwarded; ``rules`` is what is known of the provider and
        its models. Raises `RemoteProtocolError` when a field that changes what the caller gets cannot be said
        (translation.md G5).
        """

    def ask_writer(self, model: str, rules: ProviderRules, keys: CacheKeys, *, stream: bool) -> AskWriter | None:
        """Writes what `encode_request` writes, without any loss, for other dialects' requests of words.

        ``model`` is the provider's name of it, ``keys`` what they get for the prompt cache. None where the dialect has
        no shorter way, or this model of this provider none."""
        return None

    def encode_count_request(
        self,
        request: ir.Request,
        *,
        model: str | None = None,
        headers: Headers = (),
        rules: ProviderRules = NO_RULES,
    ) -> tuple[UpstreamRequest, list[Loss]] | None:
        """The request as a question for its number of input tokens; None where providers do not count."""
        return None

    def decode_count_answer(self, body: bytes) -> int:
        """The number of input tokens a provider counted. Raises `RemoteProtocolError`."""
        raise LocalProtocolError(f"providers of {self.name} do not count tokens")

    @abc.abstractmethod
    def decode_response(self, body: bytes) -> ir.Response:
        """A provider's whole answer. Raises `RemoteProtocolError`, also for an error inside a 200 (E8)."""

    def reply(self, body: bytes) -> Reply | None:
        """As `decode_response`, for an answer that is words and nothing else, whose usage is known; None for any other,
        and where the dialect has no shorter way."""
        return None

    def stream_reply(self, body: bytes) -> StreamReply | None:
        """The same for a whole stream: what `stream_decoder` reads, with nothing behind its end."""
        return None

    @abc.abstractmethod
    def stream_decoder(self) -> StreamDecoder:
        """A machine that reads one stream."""

    @abc.abstractmethod
    def decode_error(self, status: int, headers: Headers, body: bytes) -> ir.Error:
        """A provider's error answer, whatever its body is (HTML, plain text, nothing)."""

    @abc.abstractmethod
    def grammar(self, path: str | None = None) -> Grammar:
        """A judge of this dialect's streams, as a client that asked for ``path`` gets them."""

    @abc.abstractmethod
    def scanner(self, *, stream: bool, model: str | None = None) -> Scanner:
        """A watcher for pass-through; ``model`` is the name to show instead of the provider's."""

    def quiet_scanner(self, *, stream: bool, model: str | None = None) -> Scanner:
        """As `scanner`, for an answer whose usage the gateway alone has asked for: the client gets no word of it."""
        return self.scanner(stream=stream, model=model)
