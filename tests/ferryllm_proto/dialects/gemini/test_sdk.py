"""Google's own SDK reads what we write, over a transport without a network."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from ferryllm_proto import ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.gemini import DIALECT, paths
from ferryllm_proto.events import StreamFailed
from support.oracles import OLD_GOOGLE

from .build import FOREIGN, assistant, encoded, foreign, user

NEW_SDK = pytest.mark.skipif(OLD_GOOGLE, reason="the SDK of Python 3.10 cuts long and non-ASCII events in the middle")

ANSWER = ir.Response(
    "r",
    "m",
    (
        ir.Reasoning("hm", opaque=(FOREIGN,)),
        ir.ToolCall("call_1", "f", '{"a":1}'),
        ir.Text("Grüße\u2028🌍 " * 3),
    ),
    finish=ir.FinishReason.TOOL_USE,
    usage=ir.Usage(input=3, output=9, reasoning=2),
)


def _client(seen: list[httpx.Request], *, failed: bool = False) -> genai.Client:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        path = request.url.raw_path.decode()
        asked = paths.read(path)
        if ":countTokens" in path:
            return httpx.Response(200, content=DIALECT.encode_count(7))
        if not asked.stream:
            return httpx.Response(200, content=DIALECT.encode_response(ANSWER, Answer(model="shown")))
        encoder = DIALECT.stream_encoder(Answer(model="shown", path=path))
        events = play(ANSWER)
        if failed:
            events = [*events[:3], StreamFailed(ir.Error(ir.ErrorKind.OVERLOADED, "busy"))]
        data = b"".join(encoder.send(event) for event in events)
        return httpx.Response(200, headers={"content-type": DIALECT.stream_type(path)}, content=data)

    options = types.HttpOptions(httpx_client=httpx.Client(transport=httpx.MockTransport(handle)), api_version="v1beta")
    return genai.Client(api_key="k", http_options=options)


def _check(parts: list[types.Part]) -> None:
    assert "".join(part.text or "" for part in parts if part.thought) == "hm"
    calls = [part for part in parts if part.function_call is not None]
    assert [(p.function_call.name, p.function_call.args) for p in calls if p.function_call] == [("f", {"a": 1})]
    # What comes back with the next turn is what was sent.
    dumped = types.Content(role="model", parts=parts).model_dump_json(by_alias=True, exclude_none=True)
    request = DIALECT.decode_request(
        b'{"contents":[' + dumped.encode() + b"]}", path="/v1beta/models/m:generateContent"
    )
    thoughts = [part for part in request.turns[0].parts if isinstance(part, ir.Reasoning)]
    assert [(part.text, part.opaque) for part in thoughts] == [("hm", (FOREIGN,))]


def test_the_sdk_reads_a_whole_answer() -> None:
    seen: list[httpx.Request] = []
    found = _client(seen).models.generate_content(model="m", contents="hi")
    assert found.model_version == "shown"
    assert found.usage_metadata is not None
    assert found.usage_metadata.total_token_count == 12
    assert found.candidates is not None
    content = found.candidates[0].content
    assert content is not None
    _check(content.parts or [])
    request = DIALECT.decode_request(seen[0].content, path=seen[0].url.raw_path.decode())
    assert request.model == "m"


@NEW_SDK
def test_the_sdk_reads_a_stream() -> None:
    seen: list[httpx.Request] = []
    parts: list[types.Part] = []
    last: types.GenerateContentResponse | None = None
    for last in _client(seen).models.generate_content_stream(model="m", contents="hi"):
        assert last.candidates is not None
        content = last.candidates[0].content
        assert content is not None
        parts += content.parts or []
    assert last is not None
    assert last.candidates is not None
    assert last.candidates[0].finish_reason is types.FinishReason.STOP
    assert "".join(part.text or "" for part in parts if not part.thought) == "Grüße\u2028🌍 " * 3
    _check(parts)


@NEW_SDK
def test_the_sdks_chat_keeps_the_turn() -> None:
    chat = _client([]).chats.create(model="m")
    for _ in chat.send_message_stream("hi"):
        pass
    history = chat.get_history(curated=True)
    assert history[-1].role == "model"
    assert any(part.function_call for content in history for part in content.parts or [])


def test_t6_the_sdk_raises_what_a_stream_ended_with() -> None:
    with pytest.raises(errors.APIError, match="busy") as caught:
        list(_client([], failed=True).models.generate_content_stream(model="m", contents="hi"))
    assert caught.value.code == 503


def test_the_sdk_counts() -> None:
    assert _client([]).models.count_tokens(model="m", contents="hi").total_tokens == 7


_REQUEST: dict[str, Any] = {
    "contents": types.Content,
    "tools": types.Tool,
    "safetySettings": types.SafetySetting,
}


@pytest.mark.parametrize("model", ["gemini-3-pro-preview", "gemini-2.5-flash", "gemini-1.5-pro"])
def test_requests_are_what_the_sdks_types_allow(model: str) -> None:
    schema = (
        b'{"$schema":"x","type":"object","properties":{"a":{"type":["string","null"]}},"additionalProperties":false}'
    )
    request = foreign(
        user("go", ir.Image(ir.Source(ir.SourceKind.BASE64, "iVBORw0KGgo=", "image/png"))),
        assistant("x", ir.ToolCall("call_1", "f", '{"a":1}')),
        user(ir.ToolResult("call_1", (ir.Text("r"), ir.Image(ir.Source(ir.SourceKind.BASE64, "iVBORw0KGgo="))))),
        system=(ir.Text("be"),),
        tools=(ir.Function("f", "what", schema),),
        tool_choice=ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",)),
        reasoning=ir.ReasoningParams(effort="low", show="summary"),
        format=ir.Format(ir.FormatKind.JSON_SCHEMA, schema=schema),
        temperature=0.5,
        stop=("x",),
        max_output=100,
        seed=1,
    )
    body, _ = encoded(request, model=model)
    for name, value in body.items():
        if name in _REQUEST:
            for item in value:
                _REQUEST[name].model_validate(item)
    types.Content.model_validate(body["systemInstruction"])
    types.ToolConfig.model_validate(body["toolConfig"])
    types.GenerationConfig.model_validate(body["generationConfig"])
    assert json.dumps(body)
