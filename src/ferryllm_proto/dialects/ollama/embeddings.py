"""``/api/embed`` and the older ``/api/embeddings``, both halves (Ollama's API reference, "Generate Embeddings")."""

from __future__ import annotations

import msgspec

from ... import ir, json
from ...loss import Report
from ...vectors import Embedder, EmbedRequest, EmbedResponse, vector

NAME = "ollama"
PATH = "/api/embed"
OLD_PATH = "/api/embeddings"


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str
    input: str | list[str] | None = None
    dimensions: int | None = None


class _OldBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str
    prompt: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    embeddings: list[msgspec.Raw] | None = None
    embedding: msgspec.Raw = msgspec.Raw(b"null")
    model: str | None = None
    prompt_eval_count: int | None = None


_body = json.decoder(_Body)
_old_body = json.decoder(_OldBody)
_answer = json.decoder(_Answer)


class OllamaEmbedder(Embedder):
    """Ollama's embeddings. Its clients may send no text at all, to load a model: there is no vector then."""

    def decode_request(self, body: bytes, path: str | None) -> EmbedRequest:
        if _is_old(path):
            old, extra = json.decode_known(body, _old_body)
            model, given, dimensions = old.model, old.prompt, None
            inputs: tuple[str, ...] = (given,) if given else ()
            single = True
        else:
            known, extra = json.decode_known(body, _body)
            model, dimensions = known.model, known.dimensions
            single = not isinstance(known.input, list)
            inputs = tuple(known.input) if isinstance(known.input, list) else (known.input,) if known.input else ()
        extra = dict(extra)
        if extra.get("truncate") == b"false":  # an error for what is too long, as everywhere else
            del extra["truncate"]
        return EmbedRequest(
            dialect=NAME,
            model=model,
            inputs=inputs,
            single=single,
            dimensions=dimensions,
            ext=ir.Ext(NAME, extra) if extra else None,
        )

    def encode_response(
        self, response: EmbedResponse, request: EmbedRequest, path: str | None, report: Report
    ) -> bytes:
        if _is_old(path):
            return json.encode({"embedding": json.raw(response.vectors[0] if response.vectors else b"[]")})
        body: dict[str, object] = {"model": request.model, "embeddings": [json.raw(one) for one in response.vectors]}
        if response.usage is not None and response.usage.input is not None:
            body["prompt_eval_count"] = response.usage.input
        return json.encode(body)

    def encode_request(self, request: EmbedRequest, model: str, report: Report) -> tuple[str, bytes]:
        for index, text in enumerate(request.inputs):
            if not isinstance(text, str):
                at = "input" if request.single else f"input[{index}]"
                raise report.refuse(at, "an Ollama provider takes texts, not token numbers")
        body: dict[str, object] = {"model": model, "input": request.inputs[0] if request.single else request.inputs}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        for field in ("user", "task", "title"):
            if getattr(request, field) is not None:
                report.dropped(request.wire_name(field), f"{NAME} has no such field")
        report.ext(request.ext, NAME)
        return PATH, json.encode(body)

    def decode_response(self, body: bytes) -> EmbedResponse:
        answer = json.decode(body, _answer)
        found = answer.embeddings
        if found is None:
            if bytes(answer.embedding) == b"null":
                raise json.bad_field("embeddings", "the vectors", "nothing")
            found = [answer.embedding]
        vectors = tuple(vector(raw, f"embeddings[{index}]") for index, raw in enumerate(found))
        tokens = answer.prompt_eval_count
        return EmbedResponse(vectors, answer.model or "", None if tokens is None else ir.Usage(input=tokens))

    def pass_request(self, body: bytes, path: str | None, model: str | None) -> tuple[str, bytes]:
        target = OLD_PATH if _is_old(path) else PATH
        return target, body if model is None else json.splice(body, ("model",), json.encode_str(model))


def _is_old(path: str | None) -> bool:
    return path is not None and path.partition("?")[0].rstrip("/").endswith(OLD_PATH)
