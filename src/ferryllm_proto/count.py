"""``/v1/messages/count_tokens``: asked of the provider where it can count, estimated here where it can not.

`CountTokens` has the shape of a `Translator`, so an `Exchange` runs either.
"""

from __future__ import annotations

from . import ir, json
from .dialect import ClientHead, Headers, UpstreamRequest
from .dialects import DIALECTS
from .errors import RemoteProtocolError
from .estimate import estimate_input
from .loss import Loss
from .relay import client_headers
from .translate import MAX_ERROR_BODY, State

COUNT_PATH = "/v1/messages/count_tokens"


class CountTokens:
    """One count. With ``native`` the provider is asked, else `receive_request` returns None and the answer is ready."""

    def __init__(self, *, native: bool, model: str | None = None, request_id: str | None = None) -> None:
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
        self._dialect = DIALECTS["anthropic"]
        self._native = native
        self._model = model
        self._request_id = request_id
        self._status = 0
        self._headers: Headers = ()
        self._body: list[bytes] = []
        self._size = 0

    @property
    def complete(self) -> bool:
        """As `Translator.complete`."""
        return self.state is State.DONE

    def receive_request(self, body: bytes, headers: Headers = (), path: str | None = None) -> UpstreamRequest | None:
        """As `Translator.receive_request`; None also when the count is already made."""
        try:
            self.model, _ = self._dialect.peek(body)
            if self._native:
                if self._model is not None and self._model != self.model:
                    body = json.splice(body, ("model",), json.encode_str(self._model))
                self.state = State.HEAD
                query = self._dialect.forwarded_query(path)
                return UpstreamRequest("POST", COUNT_PATH, query, self._dialect.forwarded(headers), body, False)
            request = self._dialect.decode_count(body)
        except RemoteProtocolError as exc:
            self._fail(exc.error)
            return None
        tokens = estimate_input(request)
        self.head = ClientHead(200, (("content-type", "application/json"), ("x-ferryllm-estimate", "input_tokens")))
        self._body = [b'{"input_tokens":%d}' % tokens]
        self.state = State.DONE
        return None

    def receive_response_head(self, status: int, headers: Headers) -> ClientHead | None:
        """As `Translator.receive_response_head`."""
        self._status, self._headers = status, headers
        if 200 <= status < 300:
            kept = client_headers(headers)
            self.head = ClientHead(status, (("content-type", "application/json"), *kept))
            self.state = State.RELAY
        else:
            self.state = State.ERROR
        return self.head

    def receive_data(self, data: bytes) -> bytes:
        """As `Translator.receive_data`."""
        if self.state is State.RELAY:
            return data
        self._size += len(data)
        if self._size <= MAX_ERROR_BODY:
            self._body.append(data)
        return b""

    def receive_eof(self) -> bytes:
        """As `Translator.receive_eof`."""
        if self.state is State.ERROR:
            self._fail(self._refusal())
        elif self.state is State.RELAY:
            self.state = State.DONE
            return b""
        out, self._body = b"".join(self._body), []
        return out

    def _refusal(self) -> ir.Error:
        if 300 <= self._status < 400:
            what = f"the provider answered {self._status}, a redirect; redirects are not followed: correct base_url"
            return ir.Error(ir.ErrorKind.UPSTREAM, what)
        return self._dialect.decode_error(self._status, self._headers, b"".join(self._body))

    def fail(self, error: ir.Error) -> bytes:
        """As `Translator.fail`: half a count can not be mended."""
        if self.state is State.RELAY:
            self.cut, self.error, self.state = True, error, State.FAILED
            return b""
        if self.state not in (State.DONE, State.FAILED):
            self._fail(error)
        out, self._body = b"".join(self._body), []
        return out

    def commit(self) -> bytes:
        """Nothing is ever held back here."""
        return b""

    def ping(self) -> bytes:
        """A count is no stream."""
        return b""

    def _fail(self, error: ir.Error) -> None:
        self.head, body = self._dialect.encode_error(error, request_id=self._request_id)
        self._body, self.error, self.state = [body], error, State.FAILED
