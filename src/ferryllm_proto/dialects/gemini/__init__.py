"""Gemini generateContent, both halves.

Files: `wire` the JSON as types, `paths` what is said there; `decode_request`, `decode_config`, `decode_parts` and
`pairing` read clients; `encode_request`, `encode_params`, `encode_contents` and `encode_parts` write to providers;
`schemas`; `chunks`, `partial_args`, `cutter` and `stream_decoder` read answers, `answer_parts`, `response` and
`stream_encoder` write them; `usage`, `errors`, `models`, `carrier` opaque material; `scan` pass-through; `grammar`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ... import ir, json
from ...dialect import Answer, ClientHead, Dialect, Headers, Scanner, UpstreamRequest
from ...errors import RemoteProtocolError
from ...grammar import Grammar
from ...loss import Loss, Report
from ...rules import NO_RULES, ProviderRules
from . import decode_request, encode_request, errors, paths
from . import models as listing
from . import response as answers
from .embeddings import GeminiEmbedder
from .encode_request import TOOL_RULES
from .grammar import StreamGrammar
from .scan import scanner
from .stream_decoder import StreamDecoder
from .stream_encoder import StreamEncoder
from .wire import NAME, PROVIDER

_NO_ANSWER = Answer()


class _Peek(msgspec.Struct, frozen=True):
    model: str | None = None


class _Counted(msgspec.Struct, frozen=True):
    totalTokens: int | None = None
    total_tokens: int | None = None


_peek = json.decoder(_Peek)
_counted = json.decoder(_Counted)


class Gemini(Dialect):
    """The dialect ``gemini``. The model, the operation and the framing of a stream are in the path."""

    name = NAME
    provider = PROVIDER
    request_path = "/v1beta/models/{model}:generateContent"
    count_path = "/v1beta/models/{model}:countTokens"
    tool_rules = TOOL_RULES
    embedder = GeminiEmbedder()
    query_names = frozenset({"alt", "$alt", "%24alt"})
    # Elements of an array end too: Google's have a comma on a line of its own behind them, ours on the same. Inside of
    # elements, which may be indented over many lines, neither occurs.
    event_ends = (b"\r\n\r\n", b"\n\n", b"\r\r", b"\n,\r\n", b"},\r\n", b"\n]")
    model_in_body = False
    # SDKs of this protocol choke on comments, and an array has no room for them.
    sse = False

    def peek(self, body: bytes, path: str | None = None) -> tuple[str, bool]:
        asked = paths.read(path)
        if asked.model:
            return asked.model, asked.stream
        model = paths.plain_name(json.decode(body, _peek).model or "")
        if not model:
            raise RemoteProtocolError("model: this field is required", param="model", code="missing_required_parameter")
        return model, asked.stream

    def stream_type(self, path: str | None) -> str:
        return super().stream_type(path) if paths.read(path).sse else "application/json; charset=UTF-8"

    def is_whole(self, data: bytes, *, stream: bool, headers: Headers) -> bool:
        return data[:1] == b"{"  # an array is a stream here

    def is_framed(self, data: bytes, path: str | None) -> bool:
        asked = paths.read(path)
        return (data[:1] == b"[") == (asked.stream and not asked.sse)

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
        asked = paths.read(path)
        name = model or asked.model or paths.plain_name(json.decode(body, _peek).model or "")
        if model is not None:
            folder = "" if model.startswith("tunedModels/") else "models/"
            said = json.encode_str(folder + paths.plain_name(model))
            for place in (("model",), ("generateContentRequest", "model"), ("generate_content_request", "model")):
                body = json.splice(body, place, said)
        method = asked.method or (paths.STREAM if stream else paths.GENERATE)
        path_ = paths.build(name, method, asked.version)
        if target is not None:
            path_ = target.replace("{model}", paths.quote(paths.plain_name(name)))
        query = self.forwarded_query(path)
        if stream and path is None:
            query = "alt=sse"
        return UpstreamRequest("POST", path_, query, self.forwarded(headers), body, stream)

    # --- client half ---

    def decode_request(self, body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
        return decode_request.decode(body, path)

    def decode_count(self, body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
        return decode_request.decode_count(body, path)

    def encode_count(self, input_tokens: int) -> bytes:
        return b'{"totalTokens":%d}' % input_tokens

    def encode_response(
        self, response: ir.Response, answer: Answer = _NO_ANSWER, report: Report | None = None
    ) -> bytes:
        return answers.encode(response, answer, report if report is not None else Report())

    def stream_encoder(self, answer: Answer = _NO_ANSWER) -> StreamEncoder:
        return StreamEncoder(answer)

    def late_error(self, error: ir.Error, answer: Answer, after: bytes) -> bytes:
        """In an array that other bytes have begun, the error is its last element; behind its end there is no room."""
        said = super().late_error(error, answer, after)
        if paths.read(answer.path).sse or not after:
            return said
        if after == b"]":
            return b""
        return (b"," if after == b"}" else b"") + said.removeprefix(b"[")

    def encode_error(self, error: ir.Error, *, request_id: str | None = None) -> tuple[ClientHead, bytes]:
        return errors.encode(error, request_id)

    def encode_models(self, models: Sequence[ir.Model]) -> bytes:
        return listing.encode_models(models)

    def encode_model(self, model: ir.Model) -> bytes:
        return listing.encode_model(model)

    # --- provider half ---

    def encode_request(
        self,
        request: ir.Request,
        *,
        model: str | None = None,
        headers: Headers = (),
        rules: ProviderRules = NO_RULES,
    ) -> tuple[UpstreamRequest, list[Loss]]:
        return encode_request.encode(request, model, self.forwarded(()), rules)

    def encode_count_request(
        self,
        request: ir.Request,
        *,
        model: str | None = None,
        headers: Headers = (),
        rules: ProviderRules = NO_RULES,
    ) -> tuple[UpstreamRequest, list[Loss]]:
        return encode_request.encode_count(request, model, self.forwarded(()), rules)

    def decode_count_answer(self, body: bytes) -> int:
        found = json.decode(body, _counted)
        tokens = found.totalTokens if found.totalTokens is not None else found.total_tokens
        if tokens is None:
            raise RemoteProtocolError("the provider's answer has no totalTokens", kind=ir.ErrorKind.UPSTREAM)
        return tokens

    def decode_response(self, body: bytes) -> ir.Response:
        return answers.decode(body)

    def stream_decoder(self) -> StreamDecoder:
        return StreamDecoder()

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ir.Error:
        return errors.decode(status, headers, body)

    def grammar(self, path: str | None = None) -> Grammar:
        return StreamGrammar(sse=paths.read(path).sse)

    def scanner(self, *, stream: bool, model: str | None = None) -> Scanner:
        return scanner(stream=stream, model=model)


DIALECT = Gemini()
