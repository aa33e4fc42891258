"""The first half of a `Translator`: what was asked, of whom, how the head for the client is decided.

Apart from `translate`, which follows the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import ir
from .accumulate import Accumulator
from .dialect import ClientHead, Dialect, Headers, Scanner, StreamDecoder, StreamEncoder, UpstreamRequest
from .dialects import DIALECTS
from .errors import LocalProtocolError, RemoteProtocolError
from .events import Event
from .loss import Loss, LossPolicy
from .observe import Observer
from .opening import Opening
from .policy.route import NO_POLICIES, RoutePolicies
from .prepare import Prepared, Target, prepare, refusal
from .progress import State
from .raising import Raiser
from .relay import Relay, answer_headers
from .rules import NO_RULES, ProviderRules
from .words import Question

# Members are read from the module: through their class they cost twenty times as much.
_REQUEST, _HEAD, _DONE, _FAILED = State.REQUEST, State.HEAD, State.DONE, State.FAILED


JSON = (("content-type", "application/json"),)


class Asked:
    """One request, until a provider has it.

    Parameters: ``entry`` and ``backend`` are names of `DIALECTS`; ``model`` is the name the provider gets (None: the
    client's own); ``now`` is Unix time in seconds; ``seed`` is what minted ids derive from; ``request_id`` appears in
    errors of dialects that show one.
    """

    __slots__ = (
        "_accumulator", "_body", "_buffer", "_client_headers", "_decoder", "_encoder", "_held", "_now", "_opening",
        "_path", "_raiser", "_relay", "_request_id", "_same", "_seed", "_seen", "_send", "_size", "_status", "_target",
        "_told", "_tools", "_upstream_headers", "_watch", "backend", "cut", "entry", "error", "head", "losses", "model",
        "prepared", "request", "state", "stream",
    )  # fmt: skip

    entry: Dialect
    backend: Dialect
    state: State
    head: ClientHead | None
    """The head for the client, once decided."""
    request: ir.Request | None
    """The client's request where it had to be understood; None on pass-through, and behind the head of a stream."""
    prepared: Prepared | None
    """The request as the provider got it; None behind the head of a stream."""
    error: ir.Error | None
    """What went wrong, once something did."""
    losses: list[Loss]
    model: str
    """The client's name of the model."""
    stream: bool
    """Whether the client asked for a stream."""
    cut: bool
    """The answer can not be ended in words any more: the connection to the client must be cut."""
    _held: list[bytes]
    _upstream_headers: Headers
    _watch: Observer | Scanner | ir.Response | None
    """Who knows what the answer has told about itself; an answer read at one glance does by itself."""
    _opening: Opening | None
    """From the provider's head on."""
    _relay: Relay | None

    # What the states behind the request need is made by the step into them: most answers need little of it.
    _body: bytes
    _client_headers: Headers
    _path: str | None
    _status: int
    _buffer: list[bytes]
    _size: int
    _seen: Observer
    _decoder: StreamDecoder
    _encoder: StreamEncoder | None
    _accumulator: Accumulator | None
    _raiser: Raiser | None
    _tools: tuple[ir.Tool, ...]
    _told: int
    # Never a method of our own: a cycle would keep every exchange alive until the garbage collector comes by.
    _send: Callable[[Event], bytes]

    def __init__(
        self,
        entry: str,
        backend: str,
        model: str | None = None,
        rules: ProviderRules = NO_RULES,
        policy: LossPolicy = LossPolicy.REPORT,
        policies: RoutePolicies = NO_POLICIES,
        now: float = 0.0,
        seed: int = 0,
        request_id: str | None = None,
    ) -> None:
        self.entry = DIALECTS[entry]
        self.backend = DIALECTS[backend]
        self.state = _REQUEST
        self.head = self.request = self.prepared = self.error = None
        self.losses = []
        self.model = ""
        self.stream = self.cut = False
        self._target = Target(self.backend, model, rules, policy, policies)
        self._now = now
        self._seed = seed
        self._request_id = request_id
        self._same = entry == backend
        self._held = []
        self._upstream_headers = ()
        self._watch = self._opening = self._relay = None

    @property
    def usage(self) -> ir.Usage | None:
        """The tokens counted so far."""
        watch = self._watch
        return None if watch is None else watch.usage

    @property
    def finish_reason(self) -> ir.FinishReason | None:
        """Why the model stopped, once it has: no content comes after it."""
        watch = self._watch
        return None if watch is None else watch.finish

    @property
    def upstream_model(self) -> str | None:
        """The provider's word for the model that answered, where it said one."""
        watch = self._watch
        if watch is None or self._relay is not None:
            return None if self._relay is None else self._relay.model
        return watch.model or None

    @property
    def last(self) -> bool:
        """Whether the last event of a stream that passes through was seen: nothing comes behind it."""
        relay = self._relay
        return relay is not None and relay.stream and relay.scanner.last

    @property
    def complete(self) -> bool:
        """Whether the client has got all there is to say, although the provider may not have closed yet."""
        relay = self._relay
        return self.state is _DONE or (relay is not None and relay.stream and relay.scanner.complete)

    # --- the request ---

    def receive_request(
        self,
        body: bytes,
        headers: Headers = (),
        path: str | None = None,
        peeked: tuple[str, bool] | None = None,
    ) -> UpstreamRequest | None:
        """The client's request, whole. Next: send what is returned, then `receive_response_head`.

        ``path`` is what the client asked for, with its query; None is the dialect's usual path. ``peeked`` is what
        `Dialect.peek` has found in this very ``body``; None: nobody has looked.
        Returns None when the request is refused, or needs no provider: `head` is decided, `receive_eof` has the body.
        """
        if self.state is not _REQUEST:
            raise LocalProtocolError(f"receive_request is not possible in state {self.state.name}")
        self._body, self._client_headers, self._path = body, headers, path
        try:
            entry = self.entry
            if entry.answers_itself and not self._same:
                own = entry.own_answer(body, int(self._now), path)
                if own is not None:
                    self.model, self._held, self.state = own[0], [own[1]], _DONE
                    self._decide(200, JSON)
                    return None
            self.prepared = prepared = prepare(entry, self._target, body, headers=headers, path=path, peeked=peeked)
        except RemoteProtocolError as exc:
            self.losses.extend(refusal(exc))
            self._fail_before_head(exc.error)
            return None
        self.request, self.model, self.stream = prepared.request, prepared.model, prepared.stream
        if prepared.losses:
            self.losses.extend(prepared.losses)
        self.state = _HEAD
        return prepared.upstream

    def receive_question(
        self, question: Question, upstream: UpstreamRequest, body: bytes, headers: Headers = (), path: str | None = None
    ) -> None:
        """As `receive_request`, of a ``body`` that `Dialect.question` has read as ``question``; ``upstream`` is what
        the `Words` between the same two have made of that."""
        if self.state is not _REQUEST:
            raise LocalProtocolError(f"receive_question is not possible in state {self.state.name}")
        self._body, self._client_headers, self._path = body, headers, path
        self.request = request = question.request()
        self.model, self.stream = request.model, request.stream
        self.prepared = Prepared(upstream, request.model, request.stream, request, quiet=request.stream)
        self.state = _HEAD

    # --- the head for the client ---

    def _fail_before_head(self, error: ir.Error) -> None:
        if self._opening is not None:
            error = self._opening.explain(error)
        head, body = self.entry.encode_error(error, request_id=self._request_id)
        self.error = error
        # An error in the client's own dialect is relayed: its status too, whatever we would have made of it (E1).
        relayed = error.dialect == self.entry.name and error.raw is not None and error.status is not None
        self._decide(error.status if relayed and error.status else head.status, list(head.headers))
        self._held = [body]
        self.state = _FAILED

    def _decide(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self.head = ClientHead(status, answer_headers(headers, self._upstream_headers, self.losses), len(self.losses))

    def _flush(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(held)
