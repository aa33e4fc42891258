"""Whole answers of all kinds of servers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.errors import RemoteProtocolError


def decode(message: dict[str, Any] | None = None, **choice: Any) -> ir.Response:
    body = {"id": "i", "model": "m", "created": 5, "choices": [{"index": 0, "message": message, **choice}]}
    return DIALECT.decode_response(json.dumps(body).encode())


def test_text_calls_refusal_and_reasoning() -> None:
    found = decode(
        {
            "content": "t",
            "reasoning_content": "r",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "2", "type": "custom", "custom": {"name": "c", "input": "x"}},
            ],
        },
        finish_reason="stop",
    )
    assert found.parts == (
        ir.Reasoning("r"),
        ir.Text("t"),
        ir.ToolCall("1", "f", '{"a": 1}'),
        ir.ToolCall("2", "c", "x", ir.ToolKind.CUSTOM),
    )
    assert found.finish is ir.FinishReason.TOOL_USE  # although it said stop
    assert (found.id, found.model, found.created) == ("i", "m", 5)
    refused = decode({"content": None, "refusal": "no"}, finish_reason="stop")
    assert (refused.parts, refused.finish) == ((ir.Refusal("no"),), ir.FinishReason.REFUSAL)


def test_vendor_oddities() -> None:
    assert decode({"content": ""}, finish_reason="").parts == ()
    odd = decode({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}, {"function": None}]})
    assert odd.parts == (ir.ToolCall("", "f", '{"a":1}'),)
    legacy = decode({"function_call": {"name": "f", "arguments": ""}}, finish_reason="function_call")
    assert legacy.parts == (ir.ToolCall("", "f", ""),)
    listed = decode(
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}, {"type": "text", "text": "x"}]}
    )
    assert listed.parts == (ir.Reasoning("h"), ir.Text("x"))
    assert decode(None, delta={"content": "d"}).parts == (ir.Text("d"),)
    assert decode(None, text="old").parts == (ir.Text("old"),)
    assert decode({"content": "x"}, stop_reason="END").stop_sequence == "END"
    assert decode({"content": "x"}, usage={"prompt_tokens": 3, "completion_tokens": 1}).usage == ir.Usage(3, output=1)


def test_reasoning_details_do_not_double_the_text() -> None:
    details = [{"type": "reasoning.text", "text": "r", "signature": "s"}]
    (part,) = decode({"reasoning": "r", "reasoning_details": details}).parts
    assert isinstance(part, ir.Reasoning)
    assert part.text == "r"
    assert [json.loads(o.data) for o in part.opaque] == details
    assert decode({"reasoning_details": [{"type": "reasoning.text", "text": "only"}]}).parts == (ir.Reasoning("only"),)


def test_choices_after_the_first_are_of_no_concern() -> None:
    body = {
        "id": "i",
        "choices": [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}}],
    }
    assert DIALECT.decode_response(json.dumps(body).encode()).parts == (ir.Text("a"),)


def test_unknown_fields_go_back_to_chat_clients() -> None:
    body = {
        "id": "chatcmpl-1",
        "choices": [{"message": {"content": "x"}}],
        "system_fingerprint": "fp",
        "citations": ["u"],
    }
    sent = json.loads(DIALECT.encode_response(DIALECT.decode_response(json.dumps(body).encode())))
    assert (sent["system_fingerprint"], sent["citations"]) == ("fp", ["u"])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"m","code":429}}', ir.ErrorKind.RATE_LIMIT),
        (b'{"error":"overloaded","code":"overloaded"}', ir.ErrorKind.OVERLOADED),
        (b'{"success":false,"message":"no"}', ir.ErrorKind.UPSTREAM),
        (b'{"detail":"gone"}', ir.ErrorKind.UPSTREAM),
        (b'{"choices":[]}', ir.ErrorKind.UPSTREAM),
        (b"{}", ir.ErrorKind.UPSTREAM),
        (b"", ir.ErrorKind.UPSTREAM),
        (b"<html>", ir.ErrorKind.UPSTREAM),
        (b'{"choices":5}', ir.ErrorKind.UPSTREAM),
        (b'{"choices":[{"message":{"content":5}}]}', ir.ErrorKind.UPSTREAM),
        (b'{"choices":[{"message":{"content":"x"},"finish_reason":"error"}]}', ir.ErrorKind.UPSTREAM),
        (b'{"a":' * 100_000, ir.ErrorKind.UPSTREAM),
    ],
)
def test_e8_errors_and_nonsense_with_status_200(body: bytes, kind: ir.ErrorKind) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        DIALECT.decode_response(body)
    assert caught.value.error.kind is kind
