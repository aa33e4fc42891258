"""Whole answers in both directions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.anthropic import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Report


def decode(**fields: Any) -> ir.Response:
    base = {"id": "msg_1", "type": "message", "model": "m", "content": [], "stop_reason": "end_turn"}
    return DIALECT.decode_response(json.dumps({**base, **fields}).encode())


def encode(response: ir.Response, answer: Answer = Answer()) -> tuple[dict[str, Any], list[str]]:  # noqa: B008 - frozen
    report = Report()
    body: dict[str, Any] = json.loads(DIALECT.encode_response(response, answer, report))
    return body, [str(loss.path) for loss in report.losses]


def failed(body: bytes) -> ir.Error:
    with pytest.raises(RemoteProtocolError) as caught:
        DIALECT.decode_response(body)
    return caught.value.error


def test_every_kind_of_block_arrives() -> None:
    response = decode(
        content=[
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "a", "citations": [{"type": "x"}]},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1.50}, "caller": {"type": "direct"}},
            {"type": "web_search_tool_result", "content": []},
        ],
        stop_reason="tool_use",
        container={"id": "c"},
        usage={"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4},
    )
    signature = ir.Opaque("anthropic", "m", ir.OpaqueKind.SIGNATURE, "s")
    sealed = ir.Opaque("anthropic", "m", ir.OpaqueKind.REDACTED, "d")
    assert response == ir.Response(
        "msg_1",
        "m",
        (
            ir.Reasoning("hm", opaque=(signature,)),
            ir.Reasoning(opaque=(sealed,)),
            ir.Text("a", citations=(b'{"type": "x"}',), citations_dialect="anthropic"),
            ir.ToolCall("t", "f", '{"a": 1.5}', ext=ir.Ext("anthropic", {"caller": b'{"type": "direct"}'})),
            ir.Hosted("anthropic", "web_search_tool_result", b'{"type": "web_search_tool_result", "content": []}'),
        ),
        finish=ir.FinishReason.TOOL_USE,
        usage=ir.Usage(1, 3, 4, output=2),
        ext=ir.Ext("anthropic", {"container": b'{"id": "c"}'}),
    )


def test_what_may_be_missing() -> None:
    assert DIALECT.decode_response(b'{"content": "plain", "stop_reason": "weird"}') == ir.Response(
        "", "", (ir.Text("plain"),)
    )
    call = {"type": "tool_use", "name": "f"}
    assert decode(content=[call], stop_reason=None) == ir.Response(
        "msg_1", "m", (ir.ToolCall("", "f", ""),), finish=ir.FinishReason.TOOL_USE
    )
    assert decode(usage={"input_tokens": "many"}).usage is None


def test_invalid_utf8_is_mended() -> None:
    body = b'{"content":[{"type":"text","text":"a\xff"}],"stop_reason":"end_turn"}'
    assert DIALECT.decode_response(body).parts == (ir.Text("a�"),)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}', ir.ErrorKind.OVERLOADED),
        (b'{"error":{"message":"no"}}', ir.ErrorKind.UPSTREAM),
        (b'{"error":"no"}', ir.ErrorKind.UPSTREAM),
        (b'{"success":false,"message":"no"}', ir.ErrorKind.UPSTREAM),
    ],
)
def test_e8_errors_with_status_200(body: bytes, kind: ir.ErrorKind) -> None:
    assert failed(body).kind is kind


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"<html>",
        b'{"content":7}',
        b'{"content":[7]}',
        b'{"content":[{"type":"text","text":7}]}',
        b'{"id":3,"content":[]}',
        b"[" * 100_000,
    ],
)
def test_bodies_that_are_no_message_are_the_providers_fault(body: bytes) -> None:
    assert failed(body).kind is ir.ErrorKind.UPSTREAM


def test_a_stream_that_broke_fails_the_body_too() -> None:
    assert failed(b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"x"}}\n\n').message == "x"


def test_the_client_gets_its_own_name_of_the_model() -> None:
    body, _ = encode(ir.Response("resp_1", "up", (ir.Text("a"),)), Answer(model="alias", seed=1, input_estimate=5))
    assert body["model"] == "alias"
    assert body["id"].startswith("msg_")
    assert body["usage"]["input_tokens"] == 5
    assert sorted(body) == [
        "content", "id", "model", "role", "stop_reason", "stop_sequence", "type", "usage",
    ]  # fmt: skip


def test_x14_x15_reasons() -> None:
    assert encode(ir.Response("m", "m", (ir.ToolCall("t", "f", ""),)))[0]["stop_reason"] == "tool_use"
    body, _ = encode(ir.Response("m", "m", (ir.Refusal("no"), ir.Refusal(""))))
    assert (body["stop_reason"], body["content"]) == ("refusal", [{"type": "text", "text": "no"}])


def test_an_answer_that_ended_in_an_error_is_none() -> None:
    with pytest.raises(RemoteProtocolError):
        encode(ir.Response("m", "m", finish=ir.FinishReason.ERROR))


def test_stop_details_and_fields_of_ours_are_kept() -> None:
    body, _ = encode(
        ir.Response(
            "m",
            "m",
            finish=ir.FinishReason.REFUSAL,
            finish_details=b'{"type":"refusal"}',
            ext=ir.Ext("anthropic", {"container": b'{"id":"c"}'}),
        )
    )
    assert body["stop_details"] == {"type": "refusal"}
    assert body["container"] == {"id": "c"}


def test_x19_empty_parts_are_no_blocks() -> None:
    assert encode(ir.Response("m", "m", (ir.Text(""), ir.Reasoning())))[0]["content"] == []


def test_b9_x12_thoughts_and_their_carriers() -> None:
    foreign = ir.Opaque("openai", "gpt", ir.OpaqueKind.ENCRYPTED, "blob")
    sealed = ir.Opaque("anthropic", "m", ir.OpaqueKind.REDACTED, "d")
    parts = (ir.Reasoning(summary=("a", "b"), opaque=(foreign,)), ir.Reasoning("t", opaque=(sealed,)))
    blocks = encode(ir.Response("m", "m", parts))[0]["content"]
    assert opaque.unwrap(blocks[0]["signature"]) == foreign
    assert blocks[0]["thinking"] == "a\n\nb"
    assert blocks[1:] == [
        {"type": "thinking", "thinking": "t", "signature": ""},
        {"type": "redacted_thinking", "data": "d"},
    ]


def test_x18_arguments_that_are_no_object_are_kept_under_one_key() -> None:
    body, losses = encode(ir.Response("m", "m", (ir.ToolCall("", "f", '{"a":'),)))
    assert body["content"][0]["input"] == {"_raw": '{"a":'}
    assert body["content"][0]["id"].startswith("toolu_")
    assert losses == ["content[0].input", "usage"]


def test_freeform_input_is_wrapped() -> None:
    call = ir.ToolCall("t", "f", "free", kind=ir.ToolKind.CUSTOM)
    assert encode(ir.Response("m", "m", (call,)))[0]["content"][0]["input"] == {"input": "free"}


def test_what_only_others_have_is_reported() -> None:
    material = ir.Opaque("gemini", "g", ir.OpaqueKind.THOUGHT_SIGNATURE, "x")
    response = ir.Response(
        "m",
        "m",
        (
            ir.Text("a", citations=(b"[]", b"{}"), citations_dialect="openai"),
            ir.Hosted("openai_responses", "web_search_call", b"{}"),
            ir.ToolCall("t", "f", "{}", opaque=(material,)),
        ),
        logprobs=b"[]",
    )
    assert encode(response)[1] == ["citations", "web_search_call", "opaque", "usage", "logprobs"]


def test_x17_flat_citations_of_responses() -> None:
    raw = b'{"type":"url_citation","url":"https://x","start_index":0}'
    response = ir.Response("m", "m", (ir.Text("a", citations=(raw,), citations_dialect="openai_responses"),))
    (cited,) = encode(response)[0]["content"][0]["citations"]
    assert (cited["type"], cited["url"], cited["title"]) == ("web_search_result_location", "https://x", None)
