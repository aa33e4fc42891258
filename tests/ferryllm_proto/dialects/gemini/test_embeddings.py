"""Gemini's embeddings: one and many, both spellings, the model in path and body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import RemoteProtocolError, ir
from ferryllm_proto.dialects.gemini.embeddings import GeminiEmbedder
from ferryllm_proto.loss import Report
from ferryllm_proto.vectors import EmbedRequest, EmbedResponse

EMBEDDER = GeminiEmbedder()
ONE = "/v1beta/models/mine:embedContent"
MANY = "/v1beta/models/mine:batchEmbedContents?x=1"


def item(text: str = "a", **more: Any) -> dict[str, Any]:
    return {"model": "models/mine", "content": {"role": "user", "parts": [{"text": text}]}, **more}


def decode(body: Any, path: str = ONE) -> EmbedRequest:
    return EMBEDDER.decode_request(json.dumps(body).encode(), path)


@pytest.mark.parametrize(
    "fields",
    [
        {"taskType": "CLUSTERING", "title": "t", "outputDimensionality": 5},
        {"task_type": "CLUSTERING", "title": "t", "output_dimensionality": 5},
        {"embedContentConfig": {"taskType": "CLUSTERING", "title": "t", "outputDimensionality": 5}},
        {"embed_content_config": {"task_type": "CLUSTERING", "title": "t", "output_dimensionality": 5}},
    ],
)
def test_n1_both_spellings_of_every_field(fields: dict[str, Any]) -> None:
    request = decode(item(**fields))
    assert (request.model, request.inputs, request.single) == ("mine", ("a",), True)
    assert (request.task, request.title, request.dimensions, request.ext) == ("CLUSTERING", "t", 5, None)
    assert request.wire_name("task") == "taskType"


def test_many_in_one_request() -> None:
    request = decode({"requests": [item("a", taskType="T"), item("b", taskType="T")]}, MANY)
    assert (request.inputs, request.single, request.task) == (("a", "b"), False, "T")
    assert request.wire_name("task") == "requests[0].taskType"


def test_unknown_fields_are_not_lost_in_silence() -> None:
    request = decode({"requests": [item(odd=1), item(embedContentConfig={"autoTruncate": True})]}, MANY)
    assert request.ext == ir.Ext(
        "gemini", {"requests[0].odd": b"1", "requests[1].embedContentConfig.autoTruncate": b"true"}
    )


@pytest.mark.parametrize(
    ("body", "path", "place"),
    [
        ({"requests": []}, MANY, "requests"),
        ({}, MANY, "requests"),
        ({"requests": [item(), item(taskType="T")]}, MANY, r"requests\[1\]"),
        ({"requests": [item(), {"content": {"parts": [{"inlineData": {}}]}}]}, MANY, r"requests\[1\].content.parts"),
        ({"content": {"parts": [{"text": "a"}, {"text": "b"}]}}, ONE, "content.parts"),
        ({}, ONE, "content.parts"),
        (item(), "/v1beta/models/:embedContent", "model"),
    ],
)
def test_what_other_dialects_can_not_embed_is_refused_with_its_place(body: Any, path: str, place: str) -> None:
    with pytest.raises(RemoteProtocolError, match=place):
        decode(body, path)


def test_requests_for_one_and_for_many() -> None:
    report = Report()
    request = EmbedRequest("openai", "m", ("a",), dimensions=4, task="T", title="t", user="u")
    path, body = EMBEDDER.encode_request(request, "real", report)
    assert path == "/v1beta/models/real:embedContent"
    parts = {"parts": [{"text": "a"}]}
    expected = {"model": "models/real", "content": parts, "taskType": "T", "title": "t", "outputDimensionality": 4}
    assert json.loads(body) == expected
    assert [str(loss).partition(":")[0] for loss in report.losses] == ["dropped user"]
    path, body = EMBEDDER.encode_request(EmbedRequest("openai", "m", ("a", "b")), "tunedModels/x", Report())
    assert path == "/v1beta/tunedModels/x:batchEmbedContents"
    assert [one["model"] for one in json.loads(body)["requests"]] == ["tunedModels/x"] * 2


@pytest.mark.parametrize("path", [ONE, MANY])
def test_a_new_name_replaces_the_old_one_everywhere(path: str) -> None:
    body = json.dumps(item() if path == ONE else {"requests": [item("a"), item("models/mine")]}).encode()
    target, sent = EMBEDDER.pass_request(body, path, "real")
    assert target == path.partition("?")[0].replace("mine", "real")
    assert json.loads(sent) == json.loads(body.replace(b'"model": "models/mine"', b'"model": "models/real"'))
    assert EMBEDDER.pass_request(body, path, None) == (path.partition("?")[0], body)


def test_answers_of_both_forms() -> None:
    answer = EmbedResponse((b"[1.0]", b"[2.0]"), usage=ir.Usage(input=3))
    many = json.loads(EMBEDDER.encode_response(answer, decode(item()), MANY, Report()))
    assert many == {"embeddings": [{"values": [1.0]}, {"values": [2.0]}], "usageMetadata": {"promptTokenCount": 3}}
    one = EMBEDDER.encode_response(EmbedResponse((b"[1.0]",)), decode(item()), ONE, Report())
    assert json.loads(one) == {"embedding": {"values": [1.0]}}
    assert EMBEDDER.decode_response(one).vectors == (b"[1.0]",)
    with pytest.raises(RemoteProtocolError, match="embedding"):
        EMBEDDER.decode_response(b"{}")
