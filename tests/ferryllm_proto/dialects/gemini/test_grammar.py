from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.dialects.gemini import DIALECT
from ferryllm_proto.dialects.gemini.grammar import StreamGrammar

from .build import ARRAY_PATH, CHUNKS, SSE_PATH, array, call, chunk, stream

ERROR = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}


def _judge(data: bytes, size: int = 0, *, path: str = SSE_PATH) -> StreamGrammar:
    grammar = DIALECT.grammar(path)
    assert isinstance(grammar, StreamGrammar)
    step = size or max(1, len(data))
    for at in range(0, len(data), step):
        grammar.receive_data(data[at : at + step])
    grammar.receive_eof()
    grammar.receive_eof()
    return grammar


@pytest.mark.parametrize("size", [0, 1, 2, 50])
def test_a_good_stream_has_no_problems(size: int) -> None:
    for data, path in ((stream(*CHUNKS), SSE_PATH), (array(*CHUNKS), ARRAY_PATH)):
        grammar = _judge(data, size, path=path)
        assert grammar.problems == []
        seen = grammar.seen
        assert (seen.text, seen.reasoning, seen.finish) == ("Grüße 🌍", "hm", "STOP")
        assert seen.tools == [("f", '{"a":1}'), ("g", '{"b":"é"}')]
        assert (seen.ended, seen.failed) == (True, False)
        assert seen.usage is not None


def test_an_error_and_a_blocked_prompt_are_ends() -> None:
    assert _judge(stream(CHUNKS[0], ERROR)).seen.failed
    grammar = _judge(stream({"promptFeedback": {"blockReason": "SAFETY"}}))
    assert (grammar.problems, grammar.seen.finish) == ([], "SAFETY")


def _last(**fields: Any) -> dict[str, Any]:
    answer = chunk({"text": "a"}, finish="STOP")
    answer["candidates"][0].update(fields)
    return answer


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "cut"),
        (stream(chunk({"text": "a"})), "cut"),
        (stream(_last(), _last(content={})), "terminal"),
        (stream(_last(), chunk({"text": "b"})), "order"),
        (stream(_last(), ERROR), "order"),
        (stream(ERROR, _last()), "order"),
        (b": comment\r\n\r\n" + stream(_last()), "framing"),
        (b"event: x\r\n" + stream(_last()), "framing"),
        (stream(_last()).replace(b"data: ", b"data:"), "framing"),
        (stream(_last()).rstrip(), "framing"),
        (stream(_last()) + b"data: [DONE]\r\n\r\n", "framing"),
        (b"data: {\r\n\r\n" + stream(_last()), "framing"),
        (stream(_last(finishReason="DONE")), "field"),
        (stream(_last(content={"role": "assistant", "parts": []})), "field"),
        (stream(_last(content={"parts": 1})), "field"),
        (stream(_last(content={"parts": [{"text": "a", "functionCall": {"name": "f"}}]})), "field"),
        (stream(_last(content={"parts": [{}]})), "field"),
        (stream(_last(content={"parts": [{"text": 1}]})), "field"),
        (stream(_last(content={"parts": [{"text": "a", "thoughtSignature": "not base64!"}]})), "field"),
        (stream(_last(content={"parts": [call(args=[])]})), "field"),
        (stream(_last(content={"parts": [{"functionCall": {"args": {}}}]})), "field"),
        (stream(_last(content={"parts": [{"functionCall": {"name": "f", "willContinue": True}}]})), "field"),
        (stream(_last(index=-1)), "index"),
        (stream({**_last(), "usageMetadata": {"promptTokenCount": -1}}), "field"),
        (stream(chunk({"text": "a"}), {**_last(), "responseId": "other"}), "field"),
        (stream({"error": {"code": 1, "message": "x", "status": "X"}}), "field"),
        (stream({"error": {"code": 400, "message": "x", "status": "bad"}}), "field"),
    ],
)
def test_what_a_strict_client_could_not_live_with(data: bytes, rule: str) -> None:
    grammar = _judge(data)
    assert rule in [problem.rule for problem in grammar.problems]
    assert [str(p) for p in _judge(data, 1).problems] == [str(p) for p in grammar.problems]


@pytest.mark.parametrize("data", [b"[{}", b"{}", b"[1]", b"", array(CHUNKS[0])[:-3], stream(*CHUNKS)])
def test_an_array_is_one_value(data: bytes) -> None:
    assert _judge(data, path=ARRAY_PATH).problems


@pytest.mark.parametrize(
    "value", [1, None, [], {"candidates": 1}, {"candidates": [1]}, {"error": 1}, {"usageMetadata": []}]
)
def test_g12_it_never_raises(value: object) -> None:
    assert _judge(stream(value)).problems
    assert _judge(json.dumps([value]).encode(), path=ARRAY_PATH).problems
