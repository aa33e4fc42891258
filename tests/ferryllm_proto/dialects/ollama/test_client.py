"""The official Python client over a transport in memory: what it asks is understood, what it gets it can read."""

from __future__ import annotations

import json
from typing import Any

import httpx
import ollama
import pytest

from ferryllm_proto import ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.ollama import DIALECT, models
from ferryllm_proto.events import StreamFailed

SIGNED = ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.SIGNATURE, "sig")
RESPONSE = ir.Response(
    "msg_1",
    "claude-x",
    (
        ir.Reasoning("thought", opaque=(SIGNED,)),
        ir.Text("hel\u2028lo\u0085"),
        ir.ToolCall("toolu_1", "f", '{"a":1}'),
        ir.ToolCall("toolu_2", "f", '{"a":2}'),
    ),
    finish=ir.FinishReason.TOOL_USE,
    usage=ir.Usage(input=3, cache_read=2, output=4),
)


class Server(httpx.BaseTransport):
    """Answers as the gateway would, with the dialect alone."""

    def __init__(self, *, error: ir.Error | None = None, in_stream: bool = False) -> None:
        self.error = error
        self.in_stream = in_stream
        self.request: ir.Request | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        data, path = request.read(), request.url.path
        if path == "/api/tags":
            return httpx.Response(200, content=DIALECT.encode_models([ir.Model("a"), ir.Model("b")]))
        if path == "/api/ps":
            return httpx.Response(200, content=models.encode_ps([ir.Model("a")]))
        if path == "/api/show":
            return httpx.Response(200, content=models.encode_show(ir.Model(models.decode_show(data))))
        self.request = DIALECT.decode_request(data, headers=tuple(request.headers.items()), path=path)
        if self.error is not None and not self.in_stream:
            head, body = DIALECT.encode_error(self.error, request_id="req_1")
            return httpx.Response(head.status, headers=list(head.headers), content=body)
        answer = Answer(model=self.request.model, seed=1, path=path, request=self.request)
        if not self.request.stream:
            return httpx.Response(200, content=DIALECT.encode_response(RESPONSE, answer))
        encoder = DIALECT.stream_encoder(answer)
        events = play(RESPONSE)
        if self.error is not None:
            events = [*events[:5], StreamFailed(self.error)]
        body = b"".join([encoder.send(event) for event in events])
        return httpx.Response(200, headers={"content-type": DIALECT.stream_type(path)}, content=body)


def client(server: Server) -> ollama.Client:
    return ollama.Client("http://localhost:11434", transport=server)


def tool(a: int) -> int:
    """Does.

    Args:
      a: a number
    """
    return a


def test_a_whole_chat_and_what_it_asked() -> None:
    server = Server()
    answer = client(server).chat(
        "m",
        [{"role": "user", "content": "hi", "images": [b"\x89PNG"]}],
        tools=[tool],
        think="low",
        format={"type": "object"},
        options={"temperature": 0.5, "num_ctx": 9},
        keep_alive=60,
        logprobs=False,
    )
    assert answer.message.content == "hel\u2028lo\u0085"
    assert answer.message.tool_calls is not None
    assert [call.function.arguments for call in answer.message.tool_calls] == [{"a": 1}, {"a": 2}]
    assert (answer.done, answer.done_reason, answer.prompt_eval_count, answer.eval_count) == (True, "stop", 5, 4)
    assert answer.eval_duration is not None
    assert answer.eval_count is not None
    assert answer.eval_count / answer.eval_duration > 0
    request = server.request
    assert request is not None
    assert request.reasoning == ir.ReasoningParams(effort="low")
    assert isinstance(request.tools[0], ir.Function)
    assert request.tools[0].name == "tool"
    assert isinstance(request.turns[0].parts[0], ir.Image)


def test_a_streamed_chat_and_the_next_turn() -> None:
    server = Server()
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    content = thinking = ""
    calls: list[Any] = []
    for part in client(server).chat("m", messages, stream=True):
        content += part.message.content or ""
        thinking += part.message.thinking or ""
        calls.extend(part.message.tool_calls or ())
    assert part.done
    assert content == "hel\u2028lo\u0085"
    assert thinking.startswith("thought\n[ferry1.")
    messages.append(ollama.Message(role="assistant", content=content, thinking=thinking, tool_calls=calls))
    messages += [{"role": "tool", "content": str(n), "tool_name": "f"} for n in (1, 2)]
    client(server).chat("m", messages)
    assert server.request is not None
    _, assistant, one, two = server.request.turns
    thought, text, first, second = assistant.parts
    assert isinstance(thought, ir.Reasoning)
    assert (thought.text, thought.opaque) == ("thought", (SIGNED,))
    assert isinstance(text, ir.Text)
    assert isinstance(first, ir.ToolCall)
    assert isinstance(second, ir.ToolCall)
    results = [turn.parts[0] for turn in (one, two)]
    assert [result.id for result in results if isinstance(result, ir.ToolResult)] == [first.id, second.id]


def test_generate() -> None:
    server = Server()
    answer = client(server).generate("m", "hi", system="s", images=["QUJD"])
    assert (answer.response, answer.thinking) == ("hel\u2028lo\u0085", "thought")
    streamed = list(client(server).generate("m", "hi", stream=True))
    assert "".join(part.response or "" for part in streamed) == answer.response
    assert streamed[-1].done_reason == "stop"


def test_lists_and_cards() -> None:
    found = client(Server())
    assert [model.model for model in found.list().models] == ["a", "b"]
    assert found.show("a").capabilities == list(models.CAPABILITIES)
    assert found.ps().models[0].name == "a"


def test_errors() -> None:
    error = ir.Error(ir.ErrorKind.NOT_FOUND, "model 'x' not found")
    with pytest.raises(ollama.ResponseError, match="model 'x' not found") as caught:
        client(Server(error=error)).chat("x")
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="model 'x' not found"):
        list(client(Server(error=error)).chat("x", stream=True))
    with pytest.raises(ollama.ResponseError, match="model 'x' not found"):
        list(client(Server(error=error, in_stream=True)).chat("x", stream=True))


def test_what_the_client_may_send_is_understood() -> None:
    """Every field of its own types, so that a new one shows here."""
    known = {
        "model",
        "stream",
        "options",
        "format",
        "keep_alive",
        "messages",
        "tools",
        "think",
        "logprobs",
        "top_logprobs",
    }
    assert set(ollama._types.ChatRequest.model_fields) == known
    thin = {"prompt", "suffix", "system", "template", "context", "raw", "images", "width", "height", "steps"}
    assert set(ollama._types.GenerateRequest.model_fields) == known - {"messages", "tools"} | thin
    assert set(ollama.Message.model_fields) == {"role", "content", "thinking", "images", "tool_name", "tool_calls"}
    options = {name: 1 for name in ollama.Options.model_fields if name != "stop"}
    body = json.dumps({"model": "m", "messages": [], "options": options}).encode()
    request = DIALECT.decode_request(body)
    assert json.loads(DIALECT.encode_request(request)[0].body)["options"] == options
