"""OpenAI's embeddings: every form of input, and answers as many servers write them."""

from __future__ import annotations

import json
from typing import Any, get_type_hints

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.embedding_create_params import EmbeddingCreateParams

from ferryllm_proto import RemoteProtocolError, ir
from ferryllm_proto.dialects.openai.embeddings import OpenAIEmbedder, _Body
from ferryllm_proto.loss import Report
from ferryllm_proto.vectors import EmbedRequest, EmbedResponse

EMBEDDER = OpenAIEmbedder()


def decode(**fields: Any) -> EmbedRequest:
    return EMBEDDER.decode_request(json.dumps({"model": "m", **fields}).encode(), None)


def test_every_field_of_the_sdk_has_a_place() -> None:
    assert set(get_type_hints(EmbeddingCreateParams)) == set(_Body.__struct_fields__)


@pytest.mark.parametrize(
    ("given", "inputs", "single"),
    [
        ("a", ("a",), True),
        (["a"], ("a",), False),
        (["a", "b"], ("a", "b"), False),
        ([1, 2], ((1, 2),), True),
        ([[1], [2, 3]], ((1,), (2, 3)), False),
    ],
)
def test_every_form_of_input(given: Any, inputs: Any, single: bool) -> None:
    request = decode(input=given, dimensions=3, user="u", extra=1)
    assert (request.inputs, request.single, request.dimensions, request.user) == (inputs, single, 3, "u")
    assert request.ext == ir.Ext("openai", {"extra": b"1"})


@pytest.mark.parametrize("given", [None, 5, {}, [], [None], [1, "a"], ["a", 1], [[1], "x", {}]])
def test_what_is_no_input_is_refused_with_its_place(given: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="input"):
        decode(input=given)


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="encoding_format"):
        decode(input="a", encoding_format="hex")


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
def test_answers_are_what_the_sdk_reads(encoding: str | None) -> None:
    request = decode(input=["a", "b"], encoding_format=encoding)
    answer = EmbedResponse((b"[0.5]", b"[1.5]"), "up", ir.Usage(input=3))
    body = EMBEDDER.encode_response(answer, request, None, Report())
    parsed = CreateEmbeddingResponse.model_validate_json(body, strict=False) if encoding != "base64" else None
    assert json.loads(body)["model"] == "m"
    if parsed is not None:
        assert [item.embedding for item in parsed.data] == [[0.5], [1.5]]
    else:
        assert [item["embedding"] for item in json.loads(body)["data"]] == ["AAAAPw==", "AADAPw=="]


def test_answers_are_put_into_the_order_of_the_inputs() -> None:
    data = [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": "AACAPw=="}]
    answer = EMBEDDER.decode_response(json.dumps({"data": data, "usage": {"total_tokens": 9}}).encode())
    assert [json.loads(one) for one in answer.vectors] == [[1.0], [2]]
    assert answer.usage is not None
    assert answer.usage.input == 9
    bare = EMBEDDER.decode_response(b'{"data":[{"embedding":[1]},{"embedding":[2]}]}')
    assert bare.vectors == (b"[1]", b"[2]")
    assert bare.usage is None


def test_requests_say_what_is_asked_and_no_encoding() -> None:
    report = Report()
    request = EmbedRequest("gemini", "m", ("a",), single=True, dimensions=4, encoding="base64", task="T", title="t")
    path, body = EMBEDDER.encode_request(request, "real", report)
    assert path == "/v1/embeddings"
    assert json.loads(body) == {"model": "real", "input": "a", "dimensions": 4}
    assert [loss.path for loss in report.losses] == ["task", "title"]
