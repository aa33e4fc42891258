"""Ollama's own API, both halves: ``/api/chat``, and ``/api/generate`` as its thin form.

Files: `wire` the JSON as types, `times` its dates; `decode_request` and `decode_messages` read clients,
`encode_request`, `encode_params`, `encode_messages` and `encode_parts` write to providers; `response`,
`stream_decoder`, `encode_response`, `stream_encoder` and `usage` the answers; `errors`; `models` what models can do and
the cards clients ask for; `carrier` opaque material; `scan` pass-through; `grammar` the judge of streams.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import grammar as grammars
from ... import ir, json
from ...dialect import Answer, ClientHead, Dialect, Headers, Scanner, StreamDecoder, StreamEncoder, UpstreamRequest
from ...errors import RemoteProtocolError
from ...loss import Loss, Report
from ...rules import NO_RULES, ProviderRules
from . import (
    carrier,
    decode_request,
    encode_request,
    encode_response,
    errors,
    grammar,
    loading,
    models,
    response,
    scan,
    wire,
)
from .embeddings import OllamaEmbedder
from .stream_decoder import StreamDecoder as _StreamDecoder
from .stream_decoder import fold, is_lines
from .stream_encoder import StreamEncoder as _StreamEncoder

_NO_ANSWER = Answer()


class Ollama(Dialect):
    """The dialect ``ollama``."""

    name = wire.NAME
    provider = wire.NAME
    request_path = wire.CHAT_PATH
    tool_rules = encode_request.TOOL_RULES
    embedder = OllamaEmbedder()
    foreign_marks = (carrier.MARK,)
    event_ends = (b"\n",)
    objects_are_whole = False  # so does every line begin
    sse = False
    answers_itself = True

    def peek(self, body: bytes, path: str | None = None) -> tuple[str, bool]:
        """As `Dialect.peek`; here a request that does not say it wants a stream gets one."""
        found = json.decode(body, wire.peek)
        if not found.model:
            raise RemoteProtocolError("model is required", param="model", code="missing_required_parameter")
        return found.model, found.stream is not False

    def stream_type(self, path: str | None) -> str:
        return "application/x-ndjson"

    def is_whole(self, data: bytes, *, stream: bool, headers: Headers) -> bool | None:
        """Lines and whole answers begin alike, so the first line has to say that it is not the last (S10).

        Where a stream was asked for its decoder reads an error, or an answer in one piece, as well.
        """
        if data[:1] == b"[":
            return True  # nothing of this protocol; an error may be in it
        if stream or data[:1] != b"{":
            return False
        if any(name.lower() == "content-type" and "ndjson" in value.lower() for name, value in headers):
            return False
        line, end, _ = data.partition(b"\n")
        if b'"done":false' in line or b'"done": false' in line:
            return False
        said = end or b'"done":true' in line or b'"done": true' in line or b'"error"' in line
        return True if said else None

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
        """As `Dialect.pass_request`, to the same of the two doors."""
        if target is None and wire.is_generate(path):
            target = wire.GENERATE_PATH
        return super().pass_request(body, stream=stream, model=model, headers=headers, path=path, target=target)

    def own_answer(self, body: bytes, created: int, path: str | None = None) -> tuple[str, bytes] | None:
        """Clients load and unload models by requests without a prompt: other providers have nothing to load."""
        return loading.answer(body, created, path)

    def decode_request(self, body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
        return decode_request.decode(body, path)

    def encode_response(
        self, response: ir.Response, answer: Answer = _NO_ANSWER, report: Report | None = None
    ) -> bytes:
        return encode_response.encode(response, answer, Report() if report is None else report)

    def stream_encoder(self, answer: Answer = _NO_ANSWER) -> StreamEncoder:
        return _StreamEncoder(answer)

    def encode_error(self, error: ir.Error, *, request_id: str | None = None) -> tuple[ClientHead, bytes]:
        return errors.encode(error)

    def encode_models(self, models_: Sequence[ir.Model]) -> bytes:
        return models.encode_models(models_)

    def encode_model(self, model: ir.Model) -> bytes:
        return models.encode_show(model)

    def encode_request(
        self,
        request: ir.Request,
        *,
        model: str | None = None,
        headers: Headers = (),
        rules: ProviderRules = NO_RULES,
    ) -> tuple[UpstreamRequest, list[Loss]]:
        return encode_request.encode(request, model)

    def decode_response(self, body: bytes) -> ir.Response:
        return fold(body) if is_lines(body) else response.decode(body)

    def stream_decoder(self) -> StreamDecoder:
        return _StreamDecoder()

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ir.Error:
        return errors.decode(status, headers, body)

    def grammar(self, path: str | None = None) -> grammars.Grammar:
        return grammar.Grammar(path)

    def scanner(self, *, stream: bool, model: str | None = None) -> Scanner:
        return scan.StreamScanner(model) if stream else scan.BodyScanner(model)


DIALECT = Ollama()
