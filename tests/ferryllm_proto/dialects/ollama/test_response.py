"""Whole answers of a provider, in whatever form they come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.errors import RemoteProtocolError

from .build import SECONDS, STAMP, call, line


def decoded(**fields: Any) -> ir.Response:
    return DIALECT.decode_response(json.dumps({"model": "m", "done": True, **fields}).encode())


def failed(body: bytes) -> ir.Error:
    with pytest.raises(RemoteProtocolError) as caught:
        DIALECT.decode_response(body)
    return caught.value.error


def test_a_chat() -> None:
    found = DIALECT.decode_response(line("a", done=True, thinking="t", tool_calls=[call("f", x=1.0)]))
    assert found.parts == (ir.Reasoning("t"), ir.Text("a"), ir.ToolCall("call_0", "f", '{"x":1.0}'))
    assert (found.finish, found.usage, found.created) == (ir.FinishReason.TOOL_USE, ir.Usage(3, output=4), SECONDS)


def test_the_thin_form() -> None:
    found = decoded(response="a", thinking="t", done_reason="length", created_at=STAMP)
    assert found.parts == (ir.Reasoning("t"), ir.Text("a"))
    assert (found.finish, found.usage) == (ir.FinishReason.LENGTH, None)


@pytest.mark.parametrize("reason", ["load", "unload", "stop", "new", None])
def test_other_reasons_are_ordinary_ends(reason: str | None) -> None:
    assert decoded(message={"role": "assistant", "content": ""}, done_reason=reason).finish is ir.FinishReason.END


def test_calls_in_an_answer_that_was_cut_are_cut() -> None:
    found = decoded(message={"tool_calls": [call()]}, done_reason="length")
    assert found.finish is ir.FinishReason.LENGTH


def test_calls_as_servers_write_them() -> None:
    calls: list[Any] = [
        {"function": {"name": "f", "arguments": '{"a":1}'}},
        {"function": {"name": "g", "arguments": None}, "id": None},
        {"function": {"name": "h", "arguments": {"s": "x\ny"}}},
    ]
    found = decoded(message={"tool_calls": calls})
    assert [part.arguments for part in found.parts if isinstance(part, ir.ToolCall)] == [
        '{"a":1}',
        "",
        '{"s": "x\\ny"}',
    ]
    assert failed(b'{"message":{"tool_calls":[{}]},"done":true}').kind is ir.ErrorKind.UPSTREAM


def test_probabilities() -> None:
    found = decoded(response="a", logprobs=[{"token": "a", "logprob": -1}])
    assert found.logprobs == b'[{"token": "a", "logprob": -1}]'
    assert decoded(response="a", logprobs=[]).logprobs is None


def test_s10_lines_where_a_whole_answer_was_asked_for() -> None:
    found = DIALECT.decode_response(line("a") + line("b") + line(tool_calls=[call()]) + line(done=True))
    assert found.parts == (ir.Text("ab"), ir.ToolCall("call_0", "f", "{}"))
    assert failed(line("a")).kind is ir.ErrorKind.TRUNCATED
    assert failed(line("a") + b'{"error":"server busy"}').kind is ir.ErrorKind.OVERLOADED
    pretty = json.dumps(json.loads(line("a", done=True)), indent=1).encode()
    assert DIALECT.decode_response(pretty).parts == (ir.Text("a"),)


def test_e8_an_error_inside_a_good_answer_is_one() -> None:
    error = failed(b'{"error":"model \\"x\\" not found"}')
    assert (error.kind, error.dialect) == (ir.ErrorKind.NOT_FOUND, "ollama")


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"<html>", b"null", b'{"message":1}', b'{"done":true}', b"{" * 5000, b'{"message":null}'],
)
def test_what_is_no_answer_is_the_providers_fault(body: bytes) -> None:
    assert failed(body).kind is ir.ErrorKind.UPSTREAM


def test_half_an_answer_is_none() -> None:
    assert failed(b'{"message":{"content":"a"},"done": false}').kind is ir.ErrorKind.TRUNCATED
    assert failed(b'{"message":{"content":"a"} , "done" :false}').kind is ir.ErrorKind.TRUNCATED
