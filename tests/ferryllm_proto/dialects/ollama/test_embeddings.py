"""Ollama's embeddings: the new form and the old one, and no text at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import RemoteProtocolError, ir
from ferryllm_proto.dialects.ollama.embeddings import OllamaEmbedder
from ferryllm_proto.loss import Report
from ferryllm_proto.questions.embeddings import Embeddings
from ferryllm_proto.vectors import EmbedRequest, EmbedResponse

EMBEDDER = OllamaEmbedder()
OLD = "/api/embeddings"


def decode(body: dict[str, Any], path: str | None = None) -> EmbedRequest:
    return EMBEDDER.decode_request(json.dumps({"model": "m", **body}).encode(), path)


@pytest.mark.parametrize(
    ("given", "inputs", "single"),
    [("a", ("a",), True), (["a", "b"], ("a", "b"), False), ("", (), True), ([], (), False), (None, (), True)],
)
def test_every_form_of_input(given: Any, inputs: Any, single: bool) -> None:
    request = decode({"input": given, "dimensions": 4, "keep_alive": "5m"})
    assert (request.inputs, request.single, request.dimensions) == (inputs, single, 4)
    assert request.ext == ir.Ext("ollama", {"keep_alive": b'"5m"'})


def test_the_older_form() -> None:
    request = decode({"prompt": "a", "options": {"num_ctx": 1}}, f"{OLD}?x")
    assert (request.inputs, request.single) == (("a",), True)
    assert request.ext == ir.Ext("ollama", {"options": b'{"num_ctx": 1}'})
    assert decode({}, OLD).inputs == ()


def test_to_be_told_of_too_long_texts_is_what_everybody_does() -> None:
    assert decode({"input": "a", "truncate": False}).ext is None
    assert decode({"input": "a", "truncate": True}).ext == ir.Ext("ollama", {"truncate": b"true"})


@pytest.mark.parametrize("given", [5, {}, [1], [["a"]]])
def test_what_is_no_input_is_refused(given: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="input"):
        decode({"input": given})


@pytest.mark.parametrize(
    ("path", "expected"), [("/api/embed", {"model": "m", "embeddings": []}), (OLD, {"embedding": []})]
)
def test_no_text_needs_no_provider(path: str, expected: dict[str, Any]) -> None:
    """The CLI asks so to load a model."""
    one = Embeddings(entry="ollama", backend="openai")
    assert one.receive_request(b'{"model":"m","input":"","prompt":""}', (), path) is None
    assert json.loads(one.receive_eof()) == expected
    assert one.head is not None
    assert one.head.status == 200


def test_answers_of_both_forms() -> None:
    answer = EmbedResponse((b"[1.0]", b"[2.0]"), "up", ir.Usage(input=3))
    body = EMBEDDER.encode_response(answer, decode({"input": ["a", "b"]}), None, Report())
    assert json.loads(body) == {"model": "m", "embeddings": [[1.0], [2.0]], "prompt_eval_count": 3}
    assert EMBEDDER.decode_response(body).vectors == answer.vectors
    old = EMBEDDER.encode_response(EmbedResponse((b"[1.0]",)), decode({"prompt": "a"}, OLD), OLD, Report())
    assert json.loads(old) == {"embedding": [1.0]}
    assert EMBEDDER.decode_response(old).vectors == (b"[1.0]",)
    with pytest.raises(RemoteProtocolError, match="embeddings"):
        EMBEDDER.decode_response(b"{}")


def test_requests_say_what_can_be_said() -> None:
    report = Report()
    request = EmbedRequest("openai", "m", ("a", "b"), dimensions=4, user="u", title="t")
    assert EMBEDDER.encode_request(request, "real", report)[0] == "/api/embed"
    assert json.loads(EMBEDDER.encode_request(request, "real", report)[1]) == {
        "model": "real",
        "input": ["a", "b"],
        "dimensions": 4,
    }
    assert [loss.path for loss in report.losses] == ["user", "title"]


@pytest.mark.parametrize(
    ("path", "target"), [("/api/embed", "/api/embed"), ("/api/embeddings?x", OLD), (None, "/api/embed")]
)
def test_bytes_pass_to_the_form_they_are_in(path: str | None, target: str) -> None:
    body = b'{ "model":"m","input":"x"}'
    assert EMBEDDER.pass_request(body, path, None) == (target, body)
    assert EMBEDDER.pass_request(body, path, "real") == (target, body.replace(b'"m"', b'"real"'))
