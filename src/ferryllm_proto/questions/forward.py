"""Forwarding: a path the configuration hands to a provider as it is: images, audio, files, batches, moderations.

Nothing is translated. The provider gets the client's method, path, query and body under its own key, and of the
client's headers only an allow list; the client gets the answer's status and bytes as they come. Watched on the way:
the status, and the token counts near the end of the answer, for the record.
"""

from __future__ import annotations

import re

import msgspec

from .. import ir, json
from ..dialect import ClientHead, Headers, UpstreamRequest
from ..dialects import DIALECTS
from ..errors import LocalProtocolError, RemoteProtocolError
from ..loss import Loss
from ..policy.access import unescaped
from ..relay import client_headers
from ..translate import State

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
"""What passes. OPTIONS is a browser's question about other sites, and the answer is no."""

_REQUEST_HEADERS = frozenset(
    {"accept", "content-type", "idempotency-key", "if-match", "if-none-match", "range", "openai-beta"}
)
"""Of the client's headers these pass, beside those that mean something in the provider's dialect. Never keys, cookies,
forwarding headers or encodings."""

_ANSWER_HEADERS = frozenset(
    {"accept-ranges", "content-disposition", "content-length", "content-range", "content-type", "etag", "last-modified"}
)
"""What describes the bytes of an answer, beside the headers every answer may have."""

_KEYS = frozenset({"key", "api_key", "api-key", "access_token", "x-api-key", "x-goog-api-key"})
"""Query parameters in which clients send keys: theirs are the gateway's, never the provider's."""

_MAX_TAIL = 16 << 10
"""Bytes at the end of an answer that are searched for token counts: they follow the content."""
_MAX_REFUSAL = 64 << 10
"""Bytes of an error that are read for the record; all of them pass."""


class Forwarding:
    """One request and its answer, in the shape of a `Translator`.

    Parameters: ``entry`` is the dialect of errors the gateway makes, ``backend`` the provider's dialect, ``method`` the
    client's, ``target`` the provider's path, from ``/v1`` on.
    """

    def __init__(self, *, entry: str, backend: str, method: str, target: str, request_id: str | None = None) -> None:
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
        self._entry = DIALECTS[entry]
        self._backend = DIALECTS[backend]
        self._method = method
        self._target = target
        self._request_id = request_id
        self._status = 0
        self._headers: Headers = ()
        self._tail = b""
        self._refusal: list[bytes] = []
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

    def receive_request(
        self,
        body: bytes,
        headers: Headers = (),
        path: str | None = None,
        peeked: tuple[str, bool] | None = None,
    ) -> UpstreamRequest | None:
        """As `Translator.receive_request`."""
        if self.state is not State.REQUEST:
            raise LocalProtocolError(f"receive_request is not possible in state {self.state.name}")
        error = _fault(self._method, self._target)
        if error is not None:
            self._fail(error)
            return None
        self.model = named(body)
        given = [pair for pair in (path or "").partition("?")[2].split("&") if pair]
        query = "&".join(pair for pair in given if unescaped(pair.partition("=")[0]).lower() not in _KEYS)
        self.state = State.HEAD
        return UpstreamRequest(self._method, self._target, query, self._passed(headers), body, False)

    def _passed(self, headers: Headers) -> tuple[tuple[str, str], ...]:
        own = [(name.lower(), value) for name, value in headers if name.lower() in _REQUEST_HEADERS]
        given = {name for name, _ in own}
        if "accept" not in given:
            own.append(("accept", "*/*"))
        # The dialect's own way with its headers: versions, betas. It names a type too, which only bodies have.
        return (*own, *(pair for pair in self._backend.forwarded(headers) if pair[0] not in given | {"content-type"}))

    def receive_response_head(self, status: int, headers: Headers) -> ClientHead | None:
        """As `Translator.receive_response_head`; the head is decided at once, but for redirects."""
        if self.state is not State.HEAD:
            raise LocalProtocolError(f"receive_response_head is not possible in state {self.state.name}")
        self._status, self._headers = status, headers
        if 300 <= status < 400 and status != 304:
            what = f"the provider answered {status}, a redirect; redirects are not followed"
            self._fail(ir.Error(ir.ErrorKind.UPSTREAM, what))
            return self.head
        kept = [(name.lower(), value) for name, value in headers if name.lower() in _ANSWER_HEADERS]
        self.head = ClientHead(status, (*kept, *client_headers(headers)))
        self.state = State.RELAY
        return self.head

    def receive_data(self, data: bytes) -> bytes:
        """As `Translator.receive_data`: the same bytes."""
        if self.state is not State.RELAY:
            return b""
        self._size += len(data)
        self._tail = (self._tail + data)[-_MAX_TAIL:] if len(data) < _MAX_TAIL else data[-_MAX_TAIL:]
        if self._status >= 400 and self._size <= _MAX_REFUSAL:
            self._refusal.append(data)
        return data

    def receive_eof(self) -> bytes:
        """As `Translator.receive_eof`."""
        if self.state is State.RELAY:
            self.usage = find_usage(self._tail)
            if self._status >= 400:
                self.error = self._backend.decode_error(self._status, self._headers, b"".join(self._refusal))
            # A failure that was passed on whole is an answer as it should be: the record says what it was.
            self.state = State.DONE if self.error is None else State.FAILED
        out, self._out = self._out, b""
        return out

    def receive_whole(self, status: int, headers: Headers, data: bytes) -> bytes:
        """As `Translator.receive_whole`."""
        self.receive_response_head(status, headers)
        return self.receive_data(data) + self.receive_eof()

    def fail(self, error: ir.Error) -> bytes:
        """As `Translator.fail`: half an answer can not be mended, only cut."""
        if self.state is State.RELAY:
            self.cut, self.error, self.state = True, error, State.FAILED
        elif self.state not in (State.DONE, State.FAILED):
            self._fail(error)
        return self.receive_eof()

    def commit(self) -> bytes:
        """Nothing is ever held back here."""
        return b""

    def ping(self) -> bytes:
        """Bytes that pass through are never added to."""
        return b""

    def _fail(self, error: ir.Error) -> None:
        self.head, self._out = self._entry.encode_error(error, request_id=self._request_id)
        self.error, self.state = error, State.FAILED


def _fault(method: str, target: str) -> ir.Error | None:
    if method not in METHODS:
        return ir.Error(ir.ErrorKind.METHOD, f"{method} does not pass here; use {', '.join(METHODS)}")
    if _leads_out(target):
        return ir.Error(ir.ErrorKind.BAD_REQUEST, "the path has a segment of dots: write it without", code="bad_path")
    return None


_DOTS = frozenset({".", ".."})
_OVERLONG = re.compile("%c[01]", re.IGNORECASE)
"""The first byte of an ASCII character in two (RFC 3629 section 10): lax decoders read a slash or a dot there."""
_MAX_ESCAPED = 4
"""How often a path may be escaped in itself; each proxy on the way may undo one."""


def _leads_out(target: str) -> bool:
    """Whether a provider that resolves dots, or a proxy before it, could end up outside of ``target``'s folder: the
    configuration has opened that and no other.

    Looked at as it is written and after each unescaping. A parameter of a segment (``..;a``) is none to some servers.
    """
    if _OVERLONG.search(target):
        return True
    for _ in range(_MAX_ESCAPED):
        if any(segment.partition(";")[0] in _DOTS for segment in target.replace("\\", "/").split("/")):
            return True
        plain = unescaped(target)
        if plain == target:
            return False
        target = plain
    return True


class _Named(msgspec.Struct, frozen=True):
    model: str = ""


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    """What the usages of OpenAI's and Anthropic's other endpoints have in common."""

    input_tokens: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    input_tokens_details: _Details | None = None
    prompt_tokens_details: _Details | None = None


_name = json.decoder(_Named)
_usage = json.decoder(_Usage)


def named(body: bytes) -> str:
    """The model a JSON body names; "" in any other body."""
    if body.lstrip()[:1] != b"{":
        return ""
    try:
        return json.decode(body, _name).model
    except RemoteProtocolError:
        return ""


def find_usage(tail: bytes) -> ir.Usage | None:
    """The token counts in the last ``usage`` object of ``tail``, the end of an answer of any type."""
    at = tail.rfind(b'"usage"')
    if at < 0:
        return None
    piece = b"{" + tail[at:]
    span = json.find(piece, ("usage",))
    if span is None:
        return None
    try:
        found = json.decode(piece[span[0] : span[1]], _usage)
    except RemoteProtocolError:
        return None
    tokens = found.input_tokens if found.input_tokens is not None else found.prompt_tokens
    output = found.output_tokens if found.output_tokens is not None else found.completion_tokens
    if tokens is None and output is None:
        return None
    details = found.input_tokens_details or found.prompt_tokens_details or _Details()
    cached = details.cached_tokens
    counts = (tokens, output, cached, found.cache_read_input_tokens, found.cache_creation_input_tokens)
    if any(count is not None and count < 0 for count in counts):
        return None  # the bytes may be a client's own file: nobody earns tokens with it
    if cached is not None and tokens is not None:
        tokens = max(0, tokens - cached)  # OpenAI counts cached tokens within the input, Anthropic beside it
    read = cached if cached is not None else found.cache_read_input_tokens
    return ir.Usage(input=tokens, cache_read=read, cache_write=found.cache_creation_input_tokens, output=output)
