"""The official SDK over a transport in memory: what it asks is understood, what it gets it can read."""

from __future__ import annotations

import json

import anthropic
import httpx2 as httpx
import pytest

from ferryllm_proto import ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.anthropic import DIALECT
from ferryllm_proto.events import StreamFailed

RESPONSE = ir.Response(
    "chatcmpl-1",
    "gpt-5.4",
    (
        ir.Reasoning(summary=("thought",), opaque=(ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "x"),)),
        ir.Text("hello"),
        ir.ToolCall("call_1", "f", '{"a":1}'),
        ir.ToolCall("call_2", "g", ""),
    ),
    usage=ir.Usage(input=3, cache_read=2, output=4, reasoning=1),
)


class Server(httpx.BaseTransport):
    """Answers as the gateway would, with the dialect alone."""

    def __init__(self, *, error: ir.Error | None = None, in_stream: bool = False) -> None:
        self.error = error
        self.in_stream = in_stream
        self.request: ir.Request | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        if request.url.path.endswith("/count_tokens"):
            self.request = DIALECT.decode_count(body)
            return httpx.Response(200, content=DIALECT.encode_count(7))
        if request.url.path == "/v1/models":
            return httpx.Response(200, content=DIALECT.encode_models([ir.Model("a"), ir.Model("b")]))
        self.request = DIALECT.decode_request(body, headers=tuple(request.headers.items()))
        if self.error is not None and not self.in_stream:
            head, data = DIALECT.encode_error(self.error, request_id="req_1")
            return httpx.Response(head.status, headers=list(head.headers), content=data)
        answer = Answer(model=self.request.model, seed=1, input_estimate=9)
        if not self.request.stream:
            return httpx.Response(200, content=DIALECT.encode_response(RESPONSE, answer))
        encoder = DIALECT.stream_encoder(answer)
        events = play(RESPONSE)
        if self.error is not None:
            events = [*events[:5], StreamFailed(self.error)]
        data = b"".join([encoder.send(event) for event in events])
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=data)


def client(server: Server) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="k", base_url="http://test", max_retries=0, http_client=httpx.Client(transport=server)
    )


def check(message: anthropic.types.Message) -> None:
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    thinking, text, call, empty = message.content
    assert thinking.type == "thinking"
    assert thinking.thinking == "thought"
    assert text.type == "text"
    assert text.text == "hello"
    assert call.type == "tool_use"
    assert (call.id, call.input) == ("call_1", {"a": 1})
    assert empty.type == "tool_use"
    assert empty.input == {}
    assert (message.model, message.stop_reason) == ("claude-opus-5", "tool_use")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (3, 2, 4)


def test_whole_and_streamed_answers_are_the_same() -> None:
    server = Server()
    with client(server) as sdk:
        whole = sdk.messages.create(
            model="claude-opus-5", max_tokens=5, messages=[{"role": "user", "content": "hi"}], system="s"
        )
        check(whole)
        with sdk.messages.stream(
            model="claude-opus-5", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
        ) as stream:
            check(stream.get_final_message())
    assert server.request is not None
    assert server.request.stream is True


def test_the_next_turn_brings_the_carrier_back() -> None:
    server = Server()
    with client(server) as sdk:
        first = sdk.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
        sdk.messages.create(
            model="m",
            max_tokens=5,
            messages=[{"role": "user", "content": "hi"}, first.to_param(), {"role": "user", "content": "on"}],
        )
    assert server.request is not None
    part = server.request.turns[1].parts[0]
    assert isinstance(part, ir.Reasoning)
    assert part.opaque == (ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "x"),)
    assert part.summary == ("thought",)


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        (ir.ErrorKind.BAD_REQUEST, anthropic.BadRequestError),
        (ir.ErrorKind.AUTHENTICATION, anthropic.AuthenticationError),
        (ir.ErrorKind.PERMISSION, anthropic.PermissionDeniedError),
        (ir.ErrorKind.NOT_FOUND, anthropic.NotFoundError),
        (ir.ErrorKind.RATE_LIMIT, anthropic.RateLimitError),
        (ir.ErrorKind.OVERLOADED, anthropic.APIStatusError),
        (ir.ErrorKind.UPSTREAM, anthropic.InternalServerError),
    ],
)
def test_errors_are_the_sdks_own(kind: ir.ErrorKind, raised: type[anthropic.APIStatusError]) -> None:
    with client(Server(error=ir.Error(kind, "words"))) as sdk, pytest.raises(raised, match="words"):
        sdk.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}])


def test_t1_an_error_inside_the_stream_is_raised() -> None:
    server = Server(error=ir.Error(ir.ErrorKind.TRUNCATED, "cut"), in_stream=True)
    with (
        client(server) as sdk,
        sdk.messages.stream(model="m", max_tokens=5, messages=[{"role": "user", "content": "hi"}]) as stream,
        pytest.raises(anthropic.APIStatusError, match="cut"),
    ):
        stream.get_final_message()


def test_counts_and_models() -> None:
    with client(Server()) as sdk:
        count = sdk.messages.count_tokens(model="m", messages=[{"role": "user", "content": "hi"}])
        assert count.input_tokens == 7
        listed = sdk.models.list()
        assert [model.id for model in listed] == ["a", "b"]
        assert json.loads(listed.to_json())["has_more"] is False
