"""``/v1/embeddings``, both halves (API reference, "Create embeddings")."""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...loss import Report
from ...tokens.estimate import estimate_text
from ...vectors import Embedder, EmbedRequest, EmbedResponse, to_base64, vector

PATH = "/v1/embeddings"
NAME = "openai"


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str
    input: msgspec.Raw
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Item(msgspec.Struct, frozen=True):
    embedding: msgspec.Raw
    index: int | None = None


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Item]
    model: str | None = None
    usage: _Usage | None = None


_body = json.decoder(_Body)
_answer = json.decoder(_Answer)
_text = json.decoder(str)
_tokens = json.decoder(list[int])


class OpenAIEmbedder(Embedder):
    """OpenAI's embeddings, and those of all the servers that speak them."""

    def decode_request(self, body: bytes, path: str | None) -> EmbedRequest:
        known, extra = json.decode_known(body, _body)
        if known.encoding_format not in (None, "float", "base64"):
            raise json.bad_field("encoding_format", "float or base64", repr(known.encoding_format)[:40])
        inputs, single = _inputs(known.input)
        return EmbedRequest(
            dialect=NAME,
            model=known.model,
            inputs=inputs,
            single=single,
            dimensions=known.dimensions,
            encoding=known.encoding_format,
            user=known.user,
            ext=ir.Ext(NAME, extra) if extra else None,
        )

    def encode_response(
        self, response: EmbedResponse, request: EmbedRequest, path: str | None, report: Report
    ) -> bytes:
        base64 = request.encoding == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": to_base64(value, f"data[{index}]") if base64 else json.raw(value),
            }
            for index, value in enumerate(response.vectors)
        ]
        tokens = response.usage.input_total if response.usage is not None else None
        if tokens is None:  # the wire wants a number
            tokens = sum(estimate_text(one) if isinstance(one, str) else len(one) for one in request.inputs)
            report.degraded("usage", "the provider has not told it: prompt_tokens is an estimate")
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return json.encode({"object": "list", "data": data, "model": request.model, "usage": usage})

    def encode_request(self, request: EmbedRequest, model: str, report: Report) -> tuple[str, bytes]:
        inputs: object = request.inputs[0] if request.single else request.inputs
        body: dict[str, object] = {"model": model, "input": inputs}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.user is not None:
            body["user"] = request.user
        for field in ("task", "title"):
            if getattr(request, field) is not None:
                report.dropped(request.wire_name(field), f"{NAME} has no such field")
        report.ext(request.ext, NAME)
        return PATH, json.encode(body)

    def decode_response(self, body: bytes) -> EmbedResponse:
        answer = json.decode(body, _answer)
        ordered = sorted(enumerate(answer.data), key=lambda pair: pair[0] if pair[1].index is None else pair[1].index)
        usage = None
        if answer.usage is not None:
            tokens = answer.usage.prompt_tokens
            usage = ir.Usage(input=answer.usage.total_tokens if tokens is None else tokens)
        vectors = tuple(vector(item.embedding, f"data[{at}].embedding") for at, item in ordered)
        return EmbedResponse(vectors, answer.model or "", usage)

    def pass_request(self, body: bytes, path: str | None, model: str | None) -> tuple[str, bytes]:
        return PATH, body if model is None else json.splice(body, ("model",), json.encode_str(model))


def _inputs(raw: msgspec.Raw) -> tuple[tuple[str | tuple[int, ...], ...], bool]:
    """The inputs, and whether there is one that stands alone: a text, texts, tokens, or lists of tokens."""
    kind = json.kind(raw)
    if kind == "string":
        return (json.decode(raw, _text, "input"),), True
    if kind != "array":
        raise json.bad_field("input", "a text, texts, or token numbers", kind)
    items = json.items(raw, "input")
    if not items:
        raise json.bad_field("input", "at least one input", "none")
    if json.kind(items[0]) == "number":
        tokens = json.decode(raw, _tokens, "input")
        return (tuple(tokens),), True
    return tuple(_input(item, f"input[{index}]") for index, item in enumerate(items)), False


def _input(raw: msgspec.Raw, path: str) -> str | tuple[int, ...]:
    if json.kind(raw) == "array":
        tokens = json.decode(raw, _tokens, path)
        return tuple(tokens)
    return json.decode(raw, _text, path)
