from __future__ import annotations

import base64
import json

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.gemini import DIALECT, carrier
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Report

from .build import CHUNKS, array, call, chunk, events, fold, stream, usage


def test_a_whole_answer() -> None:
    body = json.dumps(chunk({"text": "a"}, call("f", {"x": 1}), finish="STOP", **usage(3, 4))).encode()
    found = DIALECT.decode_response(body)
    assert found.parts == (ir.Text("a"), ir.ToolCall("", "f", '{"x": 1}'))
    assert (found.finish, found.usage) == (ir.FinishReason.TOOL_USE, ir.Usage(input=3, output=4))


def test_s10_a_stream_where_one_answer_was_asked_for_is_folded() -> None:
    assert DIALECT.decode_response(stream(*CHUNKS)) == fold(events(stream(*CHUNKS)))
    assert DIALECT.decode_response(array(*CHUNKS)).finish is ir.FinishReason.TOOL_USE


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}', ir.ErrorKind.RATE_LIMIT),
        (b'[{"error":{"code":500,"message":"x","status":"INTERNAL"}}]', ir.ErrorKind.SERVER),
        (b"<html>", ir.ErrorKind.TRUNCATED),
        (b"{}", ir.ErrorKind.UPSTREAM),
        (b'{"candidates":[{"content":{"parts":[{}]}}]', ir.ErrorKind.UPSTREAM),
    ],
)
def test_e8_a_200_that_is_none(body: bytes, kind: ir.ErrorKind) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        DIALECT.decode_response(body)
    assert caught.value.error.kind is kind


def test_a_blocked_prompt_is_told_as_one() -> None:
    body = b'{"promptFeedback":{"blockReason":"SAFETY","blockReasonMessage":"why"},"modelVersion":"m","responseId":"r"}'
    assert json.loads(DIALECT.encode_response(DIALECT.decode_response(body))) == json.loads(body)


def test_an_empty_answer_has_no_parts() -> None:
    found = json.loads(DIALECT.encode_response(ir.Response("r", "m"), Answer(model="shown")))
    assert found == {
        "candidates": [{"content": {"role": "model"}, "finishReason": "STOP", "index": 0}],
        "modelVersion": "shown",
        "responseId": "r",
    }
    assert json.loads(DIALECT.encode_response(ir.Response("", "m"), Answer(seed=1)))["responseId"]


def test_what_cannot_be_said_is_reported() -> None:
    report = Report()
    image = ir.Image(ir.Source(ir.SourceKind.BASE64, "AA==", "image/png"))
    hosted = ir.Hosted("anthropic", "web", b"{}")
    DIALECT.encode_response(ir.Response("r", "m", (image, hosted, ir.Text("a"))), Answer(), report)
    assert [loss.path for loss in report.losses] == ["parts", "web"]


def test_an_answer_that_ended_in_an_error_is_none() -> None:
    with pytest.raises(RemoteProtocolError):
        DIALECT.encode_response(ir.Response("r", "m", finish=ir.FinishReason.ERROR))


def test_b7_the_first_call_of_another_providers_answer_is_signed_with_the_dummy() -> None:
    """Should Gemini get the conversation next, it refuses a call without a signature."""
    calls = (ir.ToolCall("a", "f", "{}"), ir.ToolCall("b", "g", "{}"))
    parts = json.loads(DIALECT.encode_response(ir.Response("r", "m", calls)))["candidates"][0]["content"]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [carrier.DUMMY_SAID, None]
    assert base64.b64decode(carrier.DUMMY_SAID) == base64.urlsafe_b64decode(carrier.DUMMY)
