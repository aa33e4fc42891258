"""Real traffic: nothing of it is lost, and the official SDK understands what is written."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from ferryllm_proto import ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.anthropic import DIALECT
from support import recorded

from .wirelog import events, fold

pytestmark = pytest.mark.recorded

CALLED_BY_CODE = "1c8117cf7c006c46"
"""Calls made by the provider's code execution, in an answer that ends with ``end_turn``: an encoder says ``tool_use``
wherever it wrote a call (X14), so this one does not come back as it was."""

_stream_event: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


@pytest.fixture
def cases() -> list[dict[str, Any]]:
    return recorded.cases("anthropic")


def canonical(request: dict[str, Any]) -> dict[str, Any]:
    """A request without the differences that say nothing."""
    out: dict[str, Any] = json.loads(json.dumps(request))
    if out.get("stream") is False:
        del out["stream"]  # false is the default
    if out.get("tools") == []:
        del out["tools"]  # no tools
    for tool in out.get("tools", ()):
        if tool.get("type") == "custom":
            del tool["type"]  # the default
    return out


def requests(cases: list[dict[str, Any]]) -> list[tuple[dict[str, Any], ir.Request]]:
    out = []
    for case in cases:
        if case["request"] is not None:
            body = json.dumps(case["request"]).encode()
            decode = DIALECT.decode_count if "count_tokens" in case["path"] else DIALECT.decode_request
            out.append((case, decode(body)))
    return out


def test_g6_recorded_requests_lose_nothing(cases: list[dict[str, Any]]) -> None:
    for case, request in requests(cases):
        counting = "count_tokens" in case["path"]
        upstream, losses = (DIALECT.encode_count_request if counting else DIALECT.encode_request)(request)
        body = json.loads(upstream.body)
        assert canonical(body) == canonical(case["request"]), case["id"]
        assert losses == [], case["id"]


def test_recorded_requests_reach_any_other_model(cases: list[dict[str, Any]]) -> None:
    """What the provider's rules demand of a conversation holds for every real one."""
    for case, request in requests(cases):
        foreign = msgspec.structs.replace(request, dialect="openai", ext=None)
        hosted_choice = request.tool_choice is not None and request.tool_choice.mode is ir.ToolChoiceMode.HOSTED
        file_ids = "file_id" in json.dumps(case["request"])
        if hosted_choice or file_ids:
            continue  # both are refused by name, as they should be
        body = json.loads(DIALECT.encode_request(foreign, model="claude-opus-5")[0].body)
        check_conversation(body["messages"])


def check_conversation(messages: list[dict[str, Any]]) -> None:
    assert messages[0]["role"] == "user"
    assert messages[-1]["role"] == "user"
    open_calls: list[str] = []
    for before, message in zip([None, *messages], messages, strict=False):
        assert before is None or before["role"] != message["role"]
        content = message["content"]
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        assert blocks
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert results == open_calls
        assert all(block["type"] == "tool_result" for block in blocks[: len(results)])
        open_calls = [block["id"] for block in blocks if block["type"] == "tool_use"]


def answers(cases: list[dict[str, Any]], *, stream: bool) -> list[tuple[dict[str, Any], bytes]]:
    return [
        (case, (case["response_text"] if stream else json.dumps(case["response"])).encode())
        for case in cases
        if case["status"] == 200
        and case["stream"] is stream
        and "count_tokens" not in case["path"]
        and case["id"] != CALLED_BY_CODE
    ]


def _bare(response: ir.Response) -> ir.Response:
    """Without what a stream or a body has no room for: empty texts, fields of the dialect alone."""
    parts = [
        msgspec.structs.replace(part, ext=None) if isinstance(part, ir.ToolCall) else part
        for part in response.parts
        if not isinstance(part, ir.Text) or part.text or part.citations
    ]
    return msgspec.structs.replace(response, parts=tuple(parts), ext=None, usage=None)


def check_stream(data: bytes) -> Message:
    """The stream through the SDK's own types and accumulator."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for chunk in data.decode().split("\n\n")[:-1]:
        payload = json.loads(chunk.partition("\ndata: ")[2])
        if payload["type"] == "ping":
            continue
        event = _stream_event.validate_python(payload)
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    return Message.model_validate(snapshot.to_dict())


def _known(response: ir.Response) -> bool:
    """Whether the SDK's stable types know all blocks (betas have types of their own)."""
    beta = ("compaction", "mcp_", "advisor", "fallback")
    return not any(isinstance(part, ir.Hosted) and part.type.startswith(beta) for part in response.parts)


def test_recorded_streams_there_and_back(cases: list[dict[str, Any]]) -> None:
    for case, data in answers(cases, stream=True):
        first = fold(events(data))
        encoder = DIALECT.stream_encoder(Answer(model="alias"))
        written = b"".join([encoder.send(event) for event in events(data)])
        if any(loss.path == "stop_reason" for loss in encoder.losses):  # a call that a limit has cut (X18)
            first = msgspec.structs.replace(first, finish=ir.FinishReason.LENGTH)
        else:
            assert encoder.losses == [], case["id"]
        second = fold(events(written))
        model = second.model
        assert model == "alias"
        restored = _with_model(second, first.model)
        assert _bare(restored) == _bare(msgspec.structs.replace(first, id=second.id)), case["id"]
        if _known(first):
            message = check_stream(written)
            assert message.model == "alias"
            assert len(message.content) == len(_bare(first).parts)
            assert message.usage.output_tokens == (first.usage.output if first.usage else 0)


def _with_model(response: ir.Response, model: str) -> ir.Response:
    parts = tuple(
        msgspec.structs.replace(part, opaque=tuple(msgspec.structs.replace(o, model=model) for o in part.opaque))
        if isinstance(part, ir.Reasoning)
        else part
        for part in response.parts
    )
    return msgspec.structs.replace(response, model=model, parts=parts)


def test_recorded_bodies_there_and_back(cases: list[dict[str, Any]]) -> None:
    for case, data in answers(cases, stream=False):
        response = DIALECT.decode_response(data)
        body = DIALECT.encode_response(response)
        again = DIALECT.decode_response(body)
        assert _bare(again) == _bare(msgspec.structs.replace(response, id=again.id)), case["id"]
        if _known(response):
            Message.model_validate_json(body)


def test_recorded_bodies_stream_as_they_are(cases: list[dict[str, Any]]) -> None:
    for case, data in answers(cases, stream=False):
        response = DIALECT.decode_response(data)
        encoder = DIALECT.stream_encoder()
        written = b"".join([encoder.send(event) for event in play(response)])
        assert _bare(fold(events(written))) == _bare(msgspec.structs.replace(response, id=fold(events(written)).id)), (
            case["id"]
        )
        if _known(response):
            check_stream(written)


def test_the_scanner_sees_what_the_decoder_sees(cases: list[dict[str, Any]]) -> None:
    for stream in (True, False):
        for case, data in answers(cases, stream=stream):
            decoded = fold(events(data)) if stream else DIALECT.decode_response(data)
            scanner = DIALECT.scanner(stream=stream)
            assert b"".join(scanner.receive_data(data[at : at + 97]) for at in range(0, len(data), 97)) == data
            scanner.receive_eof()
            assert (scanner.usage, scanner.finish) == (decoded.usage, decoded.finish), case["id"]
            assert scanner.complete, case["id"]


def test_recorded_errors_are_understood(cases: list[dict[str, Any]]) -> None:
    del cases
    kinds = {401: ir.ErrorKind.AUTHENTICATION, 404: ir.ErrorKind.NOT_FOUND, 400: ir.ErrorKind.BAD_REQUEST}
    seen = 0
    for case in recorded.cases("anthropic"):
        if case["status"] != 200:
            body = json.dumps(case["response"]).encode()
            error = DIALECT.decode_error(case["status"], (), body)
            assert error.kind is kinds[case["status"]]
            assert error.message == case["response"]["error"]["message"]
            seen += 1
    assert seen == 14


@pytest.mark.parametrize("name", ["claude", "opencode-anthropic", "sdk-py-anthropic"])
def test_real_clients_are_understood(name: str) -> None:
    seen = 0
    for case in recorded.client_requests(name):
        if not case["path"].startswith("/v1/messages"):
            continue
        headers = tuple((name, value) for name, value in case["headers"])
        body = case["body"]
        if isinstance(body, str):
            body = json.loads(body)
        data = json.dumps(body).encode()
        if "count_tokens" in case["path"]:
            DIALECT.decode_count(data)
        else:
            upstream, losses = DIALECT.encode_request(DIALECT.decode_request(data), headers=headers)
            assert canonical(json.loads(upstream.body)) == canonical(body)
            assert losses == []
        seen += 1
    assert seen > 0
