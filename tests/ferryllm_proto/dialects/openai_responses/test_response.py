"""Whole answers."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir, json, opaque
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.openai_responses import DIALECT
from ferryllm_proto.dialects.openai_responses.wire import ENCRYPTED
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Report
from support import oracles

RESPONSE = ir.Response(
    "resp_1",
    "gpt",
    (
        ir.Reasoning(
            summary=("hm",), opaque=(ir.Opaque("openai", "gpt", ir.OpaqueKind.ENCRYPTED, "E", "rs_1"),), id="rs_1"
        ),
        ir.Text("hello"),
        ir.ToolCall("call_1", "f", '{"a":1}', namespace="n", item_id="fc_1"),
        ir.ToolCall("call_2", "p", "raw", ir.ToolKind.CUSTOM, item_id="ctc_1"),
    ),
    finish=ir.FinishReason.TOOL_USE,
    created=3,
    usage=ir.Usage(input=1, cache_read=0, cache_write=0, output=2, reasoning=0),
)


def refused(body: bytes) -> ir.Error:
    with pytest.raises(RemoteProtocolError) as caught:
        DIALECT.decode_response(body)
    return caught.value.error


def test_g6_what_was_written_reads_back_the_same() -> None:
    assert DIALECT.decode_response(DIALECT.encode_response(RESPONSE)) == RESPONSE


def test_the_sdk_accepts_it_strictly() -> None:
    answer: Any = oracles.whole("openai_responses", DIALECT.encode_response(RESPONSE, Answer(model="alias")))
    assert answer.model == "alias"
    assert answer.output_text == "hello"
    assert [item.type for item in answer.output] == ["reasoning", "message", "function_call", "custom_tool_call"]


def test_whole_and_stream_say_the_same() -> None:
    encoder = DIALECT.stream_encoder(Answer(seed=4))
    last = b"".join([encoder.send(event) for event in play(RESPONSE)]).split(b"data: ")[-1]
    assert json.loads(last)["response"] == json.loads(DIALECT.encode_response(RESPONSE, Answer(seed=4)))


def test_g3_losses_are_reported() -> None:
    report = Report()
    hosted = ir.Hosted("anthropic", "server_tool_use", b"{}")
    DIALECT.encode_response(ir.Response("x", "m", (hosted,), finish=ir.FinishReason.PAUSE), Answer(), report)
    assert [loss.path for loss in report.losses] == ["server_tool_use", "stop_reason"]


def test_answers_that_are_still_being_made_are_a_pause() -> None:
    response = DIALECT.decode_response(b'{"id":"r","model":"m","status":"queued","output":[]}')
    assert response.finish is ir.FinishReason.PAUSE
    assert response.ext == ir.Ext("openai_responses", {"status": b'"queued"'})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"m","code":"rate_limit_exceeded"}}', ir.ErrorKind.RATE_LIMIT),
        (
            b'{"id":"r","status":"failed","output":[],"error":{"code":"server_error","message":"m"}}',
            ir.ErrorKind.SERVER,
        ),
        (b'{"id":"r","status":"cancelled","output":[]}', ir.ErrorKind.SERVER),
        (b'{"object":"list"}', ir.ErrorKind.UPSTREAM),
        (b"<html>", ir.ErrorKind.UPSTREAM),
        (b"[]", ir.ErrorKind.UPSTREAM),
        (b'{"output":3}', ir.ErrorKind.UPSTREAM),
        (b"", ir.ErrorKind.UPSTREAM),
    ],
)
def test_e8_bodies_that_are_no_answer(body: bytes, kind: ir.ErrorKind) -> None:
    assert refused(body).kind is kind


def test_invalid_utf8_is_mended() -> None:
    item = b'{"type":"message","content":[{"type":"output_text","text":"a\xff"}]}'
    body = b'{"id":"r","status":"completed","output":[%b]}' % item
    assert DIALECT.decode_response(body).parts == (ir.Text("a\ufffd"),)


def test_u2_cached_input_is_counted_apart() -> None:
    usage = b'{"input_tokens":10,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":1},"output_tokens":2}'
    response = DIALECT.decode_response(b'{"id":"r","status":"completed","output":[{"type":"x"}],"usage":%b}' % usage)
    assert response.usage == ir.Usage(input=5, cache_read=4, cache_write=1, output=2)


@pytest.mark.parametrize(
    ("fields", "marked"), [({"store": False}, True), ({"include": (ENCRYPTED,)}, True), ({}, False)]
)
def test_r8_reasoning_without_a_proof_is_marked_for_clients_that_send_it_back(
    fields: dict[str, Any], marked: bool
) -> None:
    """Should the API get the next turn, it would look for the item by its id."""
    answer = Answer(request=ir.Request("openai_responses", "m", **fields))
    body = DIALECT.encode_response(ir.Response("r", "m", (ir.Reasoning("hm"), ir.Text("a"))), answer)
    found: Any = json.loads(body)
    assert found["output"][0].get("encrypted_content") == (opaque.UNPROVEN if marked else None)
