"""OneShot: a question with one whole answer, between two dialects: counts, embeddings.

The shape of a `Translator`, so an `Exchange` runs either. Nothing leaves before the provider's answer is whole and
understood, so every failure still becomes a true HTTP status.
"""

from __future__ import annotations

import abc

import msgspec

from .. import ir, json
from ..dialect import ClientHead, Headers, UpstreamRequest
from ..dialects import DIALECTS
from ..errors import LocalProtocolError, RemoteProtocolError
from ..loss import Loss, LossPolicy
from ..observe import blame_upstream
from ..opaque import MARKS
from ..prepare import refusal
from ..relay import answer_headers
from ..rules import NO_RULES, ProviderRules
from ..translate import MAX_ERROR_BODY, State

_JSON = ("content-type", "application/json")
_OVER = frozenset({State.DONE, State.FAILED})
_HEAD_BYTES = 64
"""Bytes of a body in which an error shows, as in `relay`."""


class OneShot(abc.ABC):
    """One question. `_ask` and `_conclude` are what a subclass is about.

    Parameters: as of `Translator`.
    """

    max_body: int
    """Bytes of a provider's good answer that are taken; a larger one is an error."""

    def __init__(
        self,
        *,
        entry: str,
        backend: str,
        model: str | None = None,
        rules: ProviderRules = NO_RULES,
        policy: LossPolicy = LossPolicy.REPORT,
        request_id: str | None = None,
    ) -> None:
        self.entry = DIALECTS[entry]
        self.backend = DIALECTS[backend]
        self.state = State.REQUEST
        self.head: ClientHead | None = None
        self.usage: ir.Usage | None = None
        self.finish_reason: ir.FinishReason | None = None
        self.error: ir.Error | None = None
        self.losses: list[Loss] = []
        self.model = ""
        self.upstream_model: str | None = None
        self.stream = False
        self.cut = False
        self._same = entry == backend
        self._target = model
        self._rules = rules
        self._policy = policy
        self._request_id = request_id
        self._body = b""
        self._headers: Headers = ()
        self._path: str | None = None
        self._status = 0
        self._upstream_headers: Headers = ()
        self._buffer: list[bytes] = []
        self._size = 0
        self._out = b""

    @property
    def last(self) -> bool:
        """As `Translator.last`."""
        return False

    @property
    def complete(self) -> bool:
        """As `Translator.complete`."""
        return self.state is State.DONE

    @property
    def _named(self) -> str | None:
        """The name of the model to put into a body that passes; None leaves the client's."""
        return self._target if self._target != self.model else None

    # --- what a subclass is about ---

    @abc.abstractmethod
    def _ask(self) -> UpstreamRequest | None:
        """The question for the provider; None when `_answer` was called instead. May raise `RemoteProtocolError`."""

    @abc.abstractmethod
    def _conclude(self, data: bytes) -> None:
        """Call `_answer` for the provider's good ``data``. May raise `RemoteProtocolError`."""

    def _declined(self, error: ir.Error) -> None:
        """The provider answered with ``error``."""
        self._fail(error)

    # --- the shape of a Translator ---

    def receive_request(
        self,
        body: bytes,
        headers: Headers = (),
        path: str | None = None,
        peeked: tuple[str, bool] | None = None,
    ) -> UpstreamRequest | None:
        """As `Translator.receive_request`; None also when the answer is ready without a provider."""
        if self.state is not State.REQUEST:
            raise LocalProtocolError(f"receive_request is not possible in state {self.state.name}")
        self._body, self._headers, self._path = body, headers, path
        try:
            json.check_utf8(body)
            self.model, _ = self.entry.peek(body, path) if peeked is None else peeked
            json.once(body, "model")
            upstream = self._ask()
        except RemoteProtocolError as exc:
            self.losses.extend(refusal(exc))
            self._fail(exc.error)
            return None
        if upstream is not None:
            self.state = State.HEAD
        return upstream

    def receive_response_head(self, status: int, headers: Headers) -> ClientHead | None:
        """As `Translator.receive_response_head`; the head is decided when the answer is whole."""
        if self.state is not State.HEAD:
            raise LocalProtocolError(f"receive_response_head is not possible in state {self.state.name}")
        self._status, self._upstream_headers = status, headers
        self.state = State.WHOLE if 200 <= status < 300 else State.ERROR
        return None

    def receive_data(self, data: bytes) -> bytes:
        """As `Translator.receive_data`; nothing is returned before the end."""
        if self.state in _OVER:
            return b""
        self._size += len(data)
        if self._size <= (self.max_body if self.state is State.WHOLE else MAX_ERROR_BODY):
            self._buffer.append(data)
        elif self.state is State.WHOLE:
            what = f"the provider's answer is larger than {self.max_body} bytes"
            self._fail(ir.Error(ir.ErrorKind.UPSTREAM, what))
        return b""

    def receive_eof(self) -> bytes:
        """As `Translator.receive_eof`."""
        if self.state is State.ERROR:
            self._declined(self._refusal())
        elif self.state is State.WHOLE:
            self._end(b"".join(self._buffer).removeprefix(b"\xef\xbb\xbf"))
        out, self._out, self._buffer = self._out, b"", []
        return out

    def receive_whole(self, status: int, headers: Headers, data: bytes) -> bytes:
        """As `Translator.receive_whole`."""
        self.receive_response_head(status, headers)
        return self.receive_data(data) + self.receive_eof()

    def fail(self, error: ir.Error) -> bytes:
        """As `Translator.fail`."""
        if self.state not in _OVER:
            self._fail(error)
        return self.receive_eof()

    def commit(self) -> bytes:
        """Nothing is ever held back for a head."""
        return b""

    def ping(self) -> bytes:
        """There is no stream."""
        return b""

    # --- answers ---

    def _passes(self) -> bool:
        """Whether the client's own bytes may go to the provider: nothing in them is for others (as `prepare`)."""
        marks = (*MARKS, *self.backend.foreign_marks)
        return self._same and not any(mark in self._body for mark in marks)

    def _end(self, data: bytes) -> None:
        if self._is_error(data):
            error = self.backend.decode_error(self._status, self._upstream_headers, data)
            self._declined(msgspec.structs.replace(error, status=None))
            return
        try:
            self._conclude(json.mend_utf8(data))
        except RemoteProtocolError as exc:
            self._fail(blame_upstream(exc.error))

    def _is_error(self, data: bytes) -> bool:
        """Whether a 200 holds an error (E8): its member comes first, or second behind a type."""
        if b'"error"' not in data[:_HEAD_BYTES] and b'"errors"' not in data[:_HEAD_BYTES]:
            return False
        try:
            found = json.fields(data)
        except RemoteProtocolError:
            return False
        return any(json.kind(found.get(name, b"null")) not in ("null", "nothing") for name in ("error", "errors"))

    def _refusal(self) -> ir.Error:
        if 300 <= self._status < 400:
            what = f"the provider answered {self._status}, a redirect; redirects are not followed: correct base_url"
            return ir.Error(ir.ErrorKind.UPSTREAM, what)
        return self.backend.decode_error(self._status, self._upstream_headers, b"".join(self._buffer))

    def _answer(self, body: bytes, *headers: tuple[str, str]) -> None:
        """The answer is ``body``."""
        self.head = ClientHead(200, answer_headers([_JSON, *headers], self._upstream_headers, self.losses))
        self._out, self._buffer, self.state = body, [], State.DONE

    def _fail(self, error: ir.Error) -> None:
        head, body = self.entry.encode_error(error, request_id=self._request_id)
        # An error in the client's own dialect is relayed: its status too (E1).
        relayed = error.dialect == self.entry.name and error.raw is not None and error.status is not None
        status = error.status if relayed and error.status else head.status
        self.head = ClientHead(status, answer_headers(list(head.headers), self._upstream_headers, self.losses))
        self._out, self.error, self._buffer, self.state = body, error, [], State.FAILED
