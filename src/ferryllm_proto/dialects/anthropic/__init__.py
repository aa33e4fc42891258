"""Anthropic Messages, both halves.

Files: `wire` the JSON as types; `decode_request` and `decode_blocks` read clients, `encode_request`, `encode_params`,
`encode_turns` and `encode_blocks` write to providers; `response`, `stream_decoder`, `stream_encoder` and `usage` the
answers; `words` the shortest way of small ones; `errors`; `models` the models list; `carrier` opaque material; `scan`
pass-through.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import ir
from ...dialect import Answer, ClientHead, Dialect, Headers, Peeked, UpstreamRequest
from ...grammar import Grammar
from ...loss import Loss, Report
from ...rules import NO_RULES, ProviderRules
from ...words import Question, ReplyWriter, StreamWriter
from ...written import MIN_BYTES
from . import decode_request, encode_request, errors, words
from . import models as listing
from . import response as answers
from .encode_request import COUNT_PATH, PATH, TOOL_RULES
from .scan import Scanner
from .stream_decoder import StreamDecoder, fold, is_stream
from .stream_encoder import StreamEncoder
from .wire import NAME, PROVIDER

VERSION = "2023-06-01"
"""``anthropic-version`` where the client named none: every server of this protocol knows it."""

_NO_ANSWER = Answer()


class Anthropic(Dialect):
    """The dialect ``anthropic``."""

    name = NAME
    provider = PROVIDER
    request_path = PATH
    count_path = COUNT_PATH
    tool_rules = TOOL_RULES
    forwarded_headers = frozenset(
        {"anthropic-version", "anthropic-beta", "anthropic-user-profile-id", "anthropic-workspace-id"}
    )
    query_names = frozenset({"beta"})
    fixed_headers = (("anthropic-version", VERSION),)
    # Thoughts of a provider that signs nothing: refused by the API, and dropped with a report when read (A28).
    foreign_marks = (b'"signature":""', b'"signature": ""')
    wants_estimate = True
    checks_utf8 = True

    def decode_request(self, body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
        return decode_request.decode(body)

    def look(self, body: bytes, path: str | None = None) -> tuple[str, bool]:
        message = decode_request.read_written(body)
        if message is None or not message.model:
            peeked = Peeked(self.peek(body, path))
        else:
            peeked = Peeked((message.model, message.stream is True))
        peeked.body, peeked.message = body, message
        return peeked

    def decode_written(
        self,
        body: bytes,
        *,
        headers: Headers = (),
        path: str | None = None,
        peeked: tuple[str, bool] | None = None,
    ) -> ir.Request:
        if isinstance(peeked, Peeked) and peeked.body is body:
            message = peeked.message
        else:
            message = decode_request.read_written(body) if len(body) >= MIN_BYTES else None
        return decode_request.decode(body, written=message)  # type: ignore[arg-type]  # what `look` has put there

    def question(self, body: bytes) -> Question | None:
        return words.question(body)

    def decode_count(self, body: bytes, *, headers: Headers = (), path: str | None = None) -> ir.Request:
        """A body of ``/v1/messages/count_tokens``, which has no ``max_tokens`` (A43)."""
        return decode_request.decode(body, counting=True)

    def encode_request(
        self,
        request: ir.Request,
        *,
        model: str | None = None,
        headers: Headers = (),
        rules: ProviderRules = NO_RULES,
    ) -> tuple[UpstreamRequest, list[Loss]]:
        return encode_request.encode(request, model, headers, self._headers(request, headers), rules)

    def encode_count_request(
        self,
        request: ir.Request,
        *,
        model: str | None = None,
        headers: Headers = (),
        rules: ProviderRules = NO_RULES,
    ) -> tuple[UpstreamRequest, list[Loss]]:
        """The request as a question for its number of input tokens, of any dialect."""
        return encode_request.encode_count(request, model, headers, self._headers(request, headers), rules)

    def decode_count_answer(self, body: bytes) -> int:
        """The number of input tokens a provider counted. Raises `RemoteProtocolError`."""
        return decode_request.decode_count(body)

    def encode_count(self, input_tokens: int) -> bytes:
        """The body that answers ``/v1/messages/count_tokens``."""
        return decode_request.encode_count(input_tokens)

    def _headers(self, request: ir.Request, headers: Headers) -> tuple[tuple[str, str], ...]:
        """Another dialect's client has no headers that mean something here (E14)."""
        return self.forwarded(headers if request.dialect == NAME else ())

    def forwarded(self, headers: Headers) -> tuple[tuple[str, str], ...]:
        """As `Dialect.forwarded`; the beta flags of several headers become one list, each flag once (E13)."""
        betas: dict[str, None] = {}
        out = []
        for name, value in super().forwarded(headers):
            if name == "anthropic-beta":
                betas.update((flag.strip(), None) for flag in value.split(",") if flag.strip())
            else:
                out.append((name, value))
        if betas:
            out.append(("anthropic-beta", ",".join(betas)))
        return tuple(out)

    def decode_response(self, body: bytes) -> ir.Response:
        return fold(body) if is_stream(body) else answers.decode(body)

    def encode_response(
        self, response: ir.Response, answer: Answer = _NO_ANSWER, report: Report | None = None
    ) -> bytes:
        return answers.encode(response, answer, report if report is not None else Report())

    def encode_words(self, response: ir.Response, model: str, seed: int) -> bytes | None:
        return answers.plain(response, model, seed)

    def reply_writer(self, model: str) -> ReplyWriter | None:
        return words.reply_writer(model)

    def stream_writer(self, model: str) -> StreamWriter | None:
        return words.stream_writer(model)

    def stream_decoder(self) -> StreamDecoder:
        return StreamDecoder()

    def stream_encoder(self, answer: Answer = _NO_ANSWER) -> StreamEncoder:
        return StreamEncoder(answer)

    def decode_error(self, status: int, headers: Headers, body: bytes) -> ir.Error:
        return errors.decode(status, headers, body)

    def encode_error(self, error: ir.Error, *, request_id: str | None = None) -> tuple[ClientHead, bytes]:
        return errors.encode(error, request_id)

    def encode_models(self, models: Sequence[ir.Model]) -> bytes:
        return listing.encode_models(models)

    def encode_model(self, model: ir.Model) -> bytes:
        return listing.encode_model(model)

    def grammar(self, path: str | None = None) -> Grammar:
        from .grammar import Grammar as MessagesGrammar  # no gateway judges its own streams

        return MessagesGrammar()

    def scanner(self, *, stream: bool, model: str | None = None) -> Scanner:
        return Scanner(stream=stream, model=model)


DIALECT = Anthropic()
