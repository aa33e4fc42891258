"""OpenAI Chat Completions, and all the servers that speak it nearly."""

from __future__ import annotations

from collections.abc import Sequence

from ... import ir
from ...dialect import Answer, ClientHead, Dialect, Headers, Scanner, StreamDecoder, StreamEncoder, UpstreamRequest
from ...grammar import Grammar
from ...loss import Loss, Report
from ...rules import NO_RULES, ProviderRules
from ...words import AskWriter, CacheKeys, Reply, StreamReply
from . import decode_request, encode_request, encode_response, errors, models, plain, response, scan, stream_words
from .embeddings import OpenAIEmbedder
from .quiet import QuietScanner
from .stream_decoder import StreamDecoder as _StreamDecoder
from .stream_encoder import StreamEncoder as _StreamEncoder


class OpenAI(Dialect):
    name = "openai"
    provider = "openai"
    request_path = encode_request.PATH
    tool_rules = encode_request.TOOL_RULES
    embedder = OpenAIEmbedder()
    takes_written = True

    def decode_request(self, body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
        return decode_request.decode(body)

    def encode_response(self, response: ir.Response, answer: Answer = Answer(), report: Report | None = None) -> bytes:  # noqa: B008 - frozen
        return encode_response.encode(response, answer, Report() if report is None else report)

    def stream_encoder(self, answer: Answer = Answer()) -> StreamEncoder:  # noqa: B008 - frozen
        return _StreamEncoder(answer)

    def encode_error(self, error: ir.Error, *, request_id: str | None = None) -> tuple[ClientHead, bytes]:
        return errors.encode_error(error, request_id)

    def encode_models(self, models_: Sequence[ir.Model]) -> bytes:
        return models.encode_models(models_)

    def encode_model(self, model: ir.Model) -> bytes:
        return models.encode_model(model)

    def encode_request(
        self,
        request: ir.Request,
        *,
        model: str | None = None,
        headers: Headers = (),
        rules: ProviderRules = NO_RULES,
    ) -> tuple[UpstreamRequest, list[Loss]]:
        return encode_request.encode(request, model, headers, rules)

    def ask_writer(self, model: str, rules: ProviderRules, keys: CacheKeys, *, stream: bool) -> AskWriter | None:
        return encode_request.ask_writer(model, rules, keys, stream=stream)

    def reply(self, body: bytes) -> Reply | None:
        return plain.reply(body)

    def stream_reply(self, body: bytes) -> StreamReply | None:
        return stream_words.stream_reply(body)

    def decode_response(self, body: bytes) -> ir.Response:
        return response.decode(body)

    def stream_decoder(self) -> StreamDecoder:
        return _StreamDecoder()

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ir.Error:
        return errors.decode_error(status, headers, body)

    def grammar(self, path: str | None = None) -> Grammar:
        from .grammar import Grammar as ChatGrammar  # no gateway judges its own streams

        return ChatGrammar()

    def scanner(self, *, stream: bool, model: str | None = None) -> Scanner:
        return scan.StreamScanner(model) if stream else scan.BodyScanner(model)

    def quiet_scanner(self, *, stream: bool, model: str | None = None) -> Scanner:
        scanner = self.scanner(stream=stream, model=model)
        return QuietScanner(scanner) if stream else scanner


DIALECT = OpenAI()
