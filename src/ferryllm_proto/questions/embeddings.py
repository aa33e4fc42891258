"""Embeddings: one request for vectors between two dialects.

The same dialect on both sides: the client's bytes and the provider's, with the model's name put in. Otherwise
translated, with a report of what could not be said.
"""

from __future__ import annotations

from .. import ir
from ..dialect import UpstreamRequest
from ..errors import RemoteProtocolError
from ..loss import LossPolicy, Report, StrictRefusal
from ..vectors import EmbedRequest, EmbedResponse
from .oneshot import OneShot


class Embeddings(OneShot):
    """One request for vectors."""

    max_body = 128 << 20
    """OpenAI takes 2,048 inputs and its largest model gives 3,072 numbers for each: 70 to 80 MB of text."""

    _question: EmbedRequest | None = None
    """The request as it was understood; None where its bytes pass through."""

    def _ask(self) -> UpstreamRequest | None:
        ours, theirs = self.entry.embedder, self.backend.embedder
        assert ours is not None  # there is no door of this operation for a dialect without
        if theirs is None:
            raise RemoteProtocolError(
                f"model {self.model[:100]!r} is served by a provider that speaks {self.backend.name}, which has no "
                "embeddings: route the model to a provider of type openai, gemini or ollama",
                param="model",
                code="model_not_supported",
            )
        if self._same:
            path, body = ours.pass_request(self._body, self._path, self._named)
            headers, query = self.backend.forwarded(self._headers), self.backend.forwarded_query(self._path)
            return UpstreamRequest("POST", path, query, headers, body, False)
        self._question = question = ours.decode_request(self._body, self._path)
        if not question.inputs:
            self._conclude_with(EmbedResponse(()))
            return None
        report = Report()
        path, body = theirs.encode_request(question, self._target or question.model, report)
        if report.losses and self._policy is LossPolicy.STRICT:
            raise StrictRefusal(report.losses)
        self.losses.extend(report.losses)
        return UpstreamRequest("POST", path, "", self.backend.forwarded(()), body, False)

    def _conclude(self, data: bytes) -> None:
        theirs = self.backend.embedder
        assert theirs is not None  # else nothing was asked
        response = theirs.decode_response(data)
        self.usage, self.upstream_model = response.usage, response.model or None
        if self._question is not None:
            self._conclude_with(response)
            return
        self._answer(data if self._named is None else theirs.pass_response(data, self.model))

    def _conclude_with(self, response: EmbedResponse) -> None:
        ours, question = self.entry.embedder, self._question
        assert ours is not None
        assert question is not None
        if len(response.vectors) != len(question.inputs):
            raise RemoteProtocolError(
                f"the provider sent {len(response.vectors)} vectors for {len(question.inputs)} inputs",
                kind=ir.ErrorKind.UPSTREAM,
            )
        report = Report()
        body = ours.encode_response(response, question, self._path, report)
        self.losses.extend(report.losses)
        self._answer(body)
