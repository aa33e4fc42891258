"""Whole answers for Chat clients, judged by the SDK's types."""

from __future__ import annotations

import json
from typing import Any

from openai.types.chat import ChatCompletion

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.loss import Report


def encode(response: ir.Response, answer: Answer = Answer()) -> tuple[dict[str, Any], Report]:  # noqa: B008 - frozen
    report = Report()
    body = DIALECT.encode_response(response, answer, report)
    ChatCompletion.model_validate_json(body, strict=True)
    found: dict[str, Any] = json.loads(body)
    return found, report


def response(*parts: ir.Part, **fields: Any) -> ir.Response:
    return ir.Response("msg_1", "up", parts, **fields)


def test_y1_head_and_ids_are_minted_alike() -> None:
    body, _ = encode(response(ir.Text("x")), Answer("mine", 7, 1))
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["created"], body["model"]) == ("chat.completion", 7, "mine")
    assert body["id"] == encode(response(ir.Text("x")), Answer("mine", 7, 1))[0]["id"]
    assert body["id"] != encode(response(ir.Text("x")), Answer("mine", 7, 2))[0]["id"]
    native, _ = encode(ir.Response("chatcmpl-9", "up", created=3))
    assert (native["id"], native["created"], native["model"]) == ("chatcmpl-9", 3, "up")


def test_y3_y5_y10_calls() -> None:
    body, report = encode(response(ir.ToolCall("", "f", ""), ir.ToolCall("c", "g", '{"a":1}')))
    choice = body["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    first, second = choice["message"]["tool_calls"]
    assert first["function"] == {"name": "f", "arguments": "{}"}
    assert first["id"].startswith("call_")
    assert second["id"] == "c"
    assert report.losses == []


def test_x18_a_call_that_was_cut_is_not_repaired() -> None:
    body, _ = encode(response(ir.ToolCall("c", "f", ""), finish=ir.FinishReason.LENGTH))
    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == ""
    assert body["choices"][0]["finish_reason"] == "length"


def test_y6_y7_thoughts_and_their_proof() -> None:
    signature = ir.Opaque("anthropic", "claude", ir.OpaqueKind.SIGNATURE, "sig")
    redacted = ir.Opaque("anthropic", "claude", ir.OpaqueKind.REDACTED, "data")
    item = ir.Opaque("openai", "gpt-5", ir.OpaqueKind.ENCRYPTED, "enc", "rs_1")
    body, _ = encode(
        response(
            ir.Reasoning("why", opaque=(signature,)),
            ir.Reasoning("", opaque=(redacted,)),
            ir.Reasoning("", ("one", "two"), (item,)),
            ir.Text("x"),
        )
    )
    message = body["choices"][0]["message"]
    assert message["reasoning_content"] == "whyone\n\ntwo"
    first, second, third = message["reasoning_details"]
    assert (first["type"], first["text"]) == ("reasoning.text", "why")
    assert opaque.unwrap(first["signature"]) == signature
    assert opaque.unwrap(second["data"]) == redacted
    assert opaque.unwrap(third["data"]) == item
    assert [entry["index"] for entry in (first, second, third)] == [0, 1, 2]


def test_y9_texts_are_joined_and_refusals_say_stop() -> None:
    body, report = encode(response(ir.Text("a"), ir.ToolCall("c", "f", "{}"), ir.Text("b")))
    assert body["choices"][0]["message"]["content"] == "ab"
    assert [str(loss).split(":")[0] for loss in report.losses] == ["degraded content"]
    body, _ = encode(response(ir.Refusal("no"), finish=ir.FinishReason.REFUSAL))
    assert body["choices"][0]["message"]["refusal"] == "no"
    assert body["choices"][0]["finish_reason"] == "stop"


def test_citations_usage_and_what_has_no_place() -> None:
    flat = b'{"type":"url_citation","start_index":0,"end_index":1,"title":"t","url":"u"}'
    body, report = encode(
        response(
            ir.Text("a", (flat,), "openai_responses"),
            ir.Text("b", (b"{}",), "anthropic"),
            ir.Hosted("anthropic", "server_tool_use", b"{}"),
            usage=ir.Usage(5, 3, output=2, reasoning=1),
            finish=ir.FinishReason.PAUSE,
        )
    )
    assert body["choices"][0]["message"]["annotations"][0]["url_citation"]["url"] == "u"
    assert body["usage"]["prompt_tokens"] == 8
    assert [loss.path for loss in report.losses] == ["content.citations", "server_tool_use", "stop_reason"]


def test_a_thought_signature_stays_with_its_call() -> None:
    signature = ir.Opaque("gemini", "g", ir.OpaqueKind.THOUGHT_SIGNATURE, "ts")
    body, _ = encode(response(ir.ToolCall("c", "f", "{}", opaque=(signature,))))
    call = body["choices"][0]["message"]["tool_calls"][0]
    assert call["extra_content"] == {"google": {"thought_signature": "ts"}}
