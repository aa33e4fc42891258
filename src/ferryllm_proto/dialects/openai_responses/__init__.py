"""OpenAI Responses: ``POST /v1/responses``, as Codex and the OpenAI SDKs speak it."""

from __future__ import annotations

from collections.abc import Sequence

from ... import ir
from ...dialect import Answer, ClientHead, Dialect, Headers, ToolRules, UpstreamRequest
from ...grammar import Grammar
from ...loss import Loss, Report
from ...rules import NO_RULES, ProviderRules
from . import (
    count,
    decode_request,
    encode_request,
    errors,
    models,
    response,
    scan,
    stream_decoder,
    stream_encoder,
    wire,
)

__all__ = ["DIALECT", "OpenAIResponses"]

_NO_ANSWER = Answer()


class OpenAIResponses(Dialect):
    """Both halves of the Responses API."""

    name = wire.NAME
    provider = wire.PROVIDER
    request_path = "/v1/responses"
    count_path = count.PATH
    # Any printable id is taken; the length is what the provider refuses.
    tool_rules = ToolRules(custom=True, namespaces=True, max_id=64, id_pattern=r"[!-~]+")
    forwarded_headers = frozenset(
        {"openai-beta", "openai-organization", "openai-project", "idempotency-key", "session_id", "conversation_id"}
    )

    def decode_request(self, body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
        return decode_request.decode_request(body, headers=headers, path=path)

    def encode_count(self, input_tokens: int) -> bytes:
        return count.encode_count(input_tokens)

    def encode_response(
        self, response_: ir.Response, answer: Answer = _NO_ANSWER, report: Report | None = None
    ) -> bytes:
        return response.encode_response(response_, answer, report)

    def stream_encoder(self, answer: Answer = _NO_ANSWER) -> stream_encoder.StreamEncoder:
        return stream_encoder.StreamEncoder(answer)

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
        own = self.forwarded(headers if request.dialect == self.name else ())
        return encode_request.encode_request(request, self.tool_rules, model, own, rules)

    def encode_count_request(
        self,
        request: ir.Request,
        *,
        model: str | None = None,
        headers: Headers = (),
        rules: ProviderRules = NO_RULES,
    ) -> tuple[UpstreamRequest, list[Loss]]:
        own = self.forwarded(headers if request.dialect == self.name else ())
        return count.encode_count_request(request, self.tool_rules, model, own)

    def decode_count_answer(self, body: bytes) -> int:
        return count.decode_count_answer(body)

    def decode_response(self, body: bytes) -> ir.Response:
        return response.decode_response(body)

    def stream_decoder(self) -> stream_decoder.StreamDecoder:
        return stream_decoder.StreamDecoder()

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ir.Error:
        return errors.decode_error(status, headers, body)

    def grammar(self, path: str | None = None) -> Grammar:
        from .grammar import Grammar as ResponsesGrammar  # no gateway judges its own streams

        return ResponsesGrammar()

    def scanner(self, *, stream: bool, model: str | None = None) -> scan.Scanner:
        return scan.Scanner(stream=stream, model=model)


DIALECT = OpenAIResponses()
