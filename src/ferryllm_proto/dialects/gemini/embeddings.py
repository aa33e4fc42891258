"""``:embedContent`` and ``:batchEmbedContents``, both halves (API reference, "Embeddings").

The model is in the path and once more in the body: of the request, or of each request of a batch.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ... import ir, json
from ...loss import Report
from ...vectors import Embedder, EmbedRequest, EmbedResponse, vector
from . import paths

NAME = "gemini"
BATCH = "batchEmbedContents"
ONE = "embedContent"

T = TypeVar("T")


class _Part(msgspec.Struct, frozen=True):
    text: str | None = None


class _Content(msgspec.Struct, frozen=True):
    parts: list[_Part] = []


class _Config(msgspec.Struct, frozen=True):
    """Both spellings: the SDKs and proto3's JSON write either."""

    taskType: str | None = None
    task_type: str | None = None
    title: str | None = None
    outputDimensionality: int | None = None
    output_dimensionality: int | None = None


class _Embed(_Config, frozen=True):
    content: _Content | None = None
    model: str | None = None
    embedContentConfig: _Config | None = None
    embed_content_config: _Config | None = None


class _Batch(msgspec.Struct, frozen=True):
    requests: list[msgspec.Raw] = []


class _Values(msgspec.Struct, frozen=True):
    values: msgspec.Raw = msgspec.Raw(b"[]")


class _Usage(msgspec.Struct, frozen=True):
    promptTokenCount: int | None = None


class _Answer(msgspec.Struct, frozen=True):
    embedding: _Values | None = None
    embeddings: list[_Values] | None = None
    usageMetadata: _Usage | None = None


_embed = json.decoder(_Embed)
_batch = json.decoder(_Batch)
_answer = json.decoder(_Answer)

_KNOWN = frozenset({*_Embed.__struct_fields__, "model"})
_CONFIG = frozenset(_Config.__struct_fields__)


class GeminiEmbedder(Embedder):
    """Gemini's embeddings."""

    def decode_request(self, body: bytes, path: str | None) -> EmbedRequest:
        batch = _is_batch(path)
        raws = json.decode(body, _batch).requests if batch else [msgspec.Raw(body)]
        items = [_item(raw, f"requests[{index}]" if batch else "") for index, raw in enumerate(raws)]
        if batch and not items:
            raise json.bad_field("requests", "at least one request", "none")
        model = _model_of(path)
        first = items[0][1:]
        for index, item in enumerate(items):
            if item[1:4] != first[:3]:
                what = "the taskType, title and outputDimensionality of the first"
                raise json.bad_field(f"requests[{index}]", what, "others")
        task, title, dimensions, _ = first
        extra = {name: value for item in items for name, value in item[4].items()}
        at = "requests[0]." if batch else ""
        return EmbedRequest(
            dialect=NAME,
            model=model,
            inputs=tuple(item[0] for item in items),
            single=not batch,
            dimensions=dimensions,
            task=task,
            title=title,
            ext=ir.Ext(NAME, extra) if extra else None,
            names={"task": f"{at}taskType", "title": f"{at}title", "dimensions": f"{at}outputDimensionality"},
        )

    def encode_response(
        self, response: EmbedResponse, request: EmbedRequest, path: str | None, report: Report
    ) -> bytes:
        values = [{"values": json.raw(one)} for one in response.vectors]
        body: dict[str, object] = {"embedding": values[0]} if not _is_batch(path) else {"embeddings": values}
        if response.usage is not None and response.usage.input is not None:
            body["usageMetadata"] = {"promptTokenCount": response.usage.input}
        return json.encode(body)

    def encode_request(self, request: EmbedRequest, model: str, report: Report) -> tuple[str, bytes]:
        name = _resource(model)
        items = []
        for index, text in enumerate(request.inputs):
            if not isinstance(text, str):
                at = "input" if request.single else f"input[{index}]"
                raise report.refuse(at, "a Gemini provider takes texts, not token numbers")
            item: dict[str, object] = {"model": name, "content": {"parts": [{"text": text}]}}
            for key, value in (
                ("taskType", request.task),
                ("title", request.title),
                ("outputDimensionality", request.dimensions),
            ):
                if value is not None:
                    item[key] = value
            items.append(item)
        if request.user is not None:
            report.dropped(request.wire_name("user"), f"{NAME} has no such field")
        report.ext(request.ext, NAME)
        if len(items) == 1:
            return paths.build(model, ONE), json.encode(items[0])
        return paths.build(model, BATCH), json.encode({"requests": items})

    def decode_response(self, body: bytes) -> EmbedResponse:
        answer = json.decode(body, _answer)
        found = answer.embeddings if answer.embeddings is not None else [answer.embedding]
        vectors = []
        for index, one in enumerate(found):
            if one is None:
                raise json.bad_field("embedding", "an embedding", "nothing")
            vectors.append(vector(one.values, f"embeddings[{index}].values"))
        tokens = answer.usageMetadata.promptTokenCount if answer.usageMetadata is not None else None
        return EmbedResponse(tuple(vectors), usage=None if tokens is None else ir.Usage(input=tokens))

    def pass_request(self, body: bytes, path: str | None, model: str | None) -> tuple[str, bytes]:
        asked = paths.read(path)
        target = paths.build(model or _model_of(path), asked.method or ONE, asked.version)
        if model is None:
            return target, body
        name = json.encode_str(_resource(model))
        span = json.find(body, ("requests",)) if asked.method == BATCH else None
        if span is None:
            return target, json.splice(body, ("model",), name)
        items = [json.splice(bytes(raw), ("model",), name) for raw in json.decode(body, _batch).requests]
        return target, b"%b[%b]%b" % (body[: span[0]], b",".join(items), body[span[1] :])

    def pass_response(self, body: bytes, model: str) -> bytes:
        return body  # it does not say the model


def _is_batch(path: str | None) -> bool:
    return paths.read(path).method == BATCH


def _model_of(path: str | None) -> str:
    name = paths.read(path).model
    if not name:
        raise json.bad_field("model", "the name of a model in the path", "none")
    return name


def _resource(model: str) -> str:
    return model if "/" in model else f"models/{model}"


_Item = tuple[str, "str | None", "str | None", "int | None", dict[str, bytes]]


def _item(raw: msgspec.Raw, path: str) -> _Item:
    """Text, task, title, dimensions and unknown fields of one request."""
    known = json.decode(raw, _embed, path)
    config = known.embedContentConfig or known.embed_content_config or _Config()
    prefix = f"{path}." if path else ""
    given = json.fields(raw, path)
    extra = {f"{prefix}{name}": bytes(value) for name, value in given.items() if name not in _KNOWN}
    for folder in ("embedContentConfig", "embed_content_config"):
        if json.kind(given.get(folder, b"null")) == "object":
            inner = json.fields(given[folder], f"{prefix}{folder}")
            extra.update({f"{prefix}{folder}.{name}": bytes(v) for name, v in inner.items() if name not in _CONFIG})
    parts = known.content.parts if known.content is not None else []
    texts = [part.text for part in parts if part.text is not None]
    if len(texts) != 1 or len(parts) != 1:
        what = "one part of text, all that other dialects embed"
        raise json.bad_field(f"{prefix}content.parts", what, f"{len(parts)} parts")
    return (
        texts[0],
        _first(known.taskType, known.task_type, config.taskType, config.task_type),
        _first(known.title, config.title),
        _first(
            known.outputDimensionality,
            known.output_dimensionality,
            config.outputDimensionality,
            config.output_dimensionality,
        ),
        extra,
    )


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)
