"""The mock on the wire: each dialect over sockets, judged by the official SDKs; every fault as its client sees it."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import anyio
import anyio.to_thread
import openai
import pytest

from ferryllm_net.http import (
    Origin,
    Pool,
    RequestHead,
    Server,
    UpstreamError,
    UpstreamFault,
    bound_port,
    open_listeners,
)
from ferryllm_net.mock import MockProvider, parse
from ferryllm_net.mock.proofs import sign
from ferryllm_proto import DIALECTS
from support.rig import serving

from .client import PATHS, asked, running

pytestmark = pytest.mark.anyio

TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
EACH = pytest.mark.parametrize("dialect", list(PATHS))


# --- what the SDKs make of it ----------------------------------------------------------------------------

PROMPTS = {
    "text": "mock: text=hello world",
    "tools": "mock: tools=2",
    "thinking": "mock: reasoning=let me think\nmock: text=so",
}


@pytest.mark.parametrize("prompt", list(PROMPTS))
async def test_chat_satisfies_the_sdk_whole_and_streamed(prompt: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": n, "parameters": TOOL}} for n in ("look", "go")]
    messages: Any = [{"role": "user", "content": PROMPTS[prompt]}]

    def work(client: openai.OpenAI) -> tuple[Any, Any]:
        whole = client.chat.completions.create(model="demo", messages=messages, tools=tools)
        with client.chat.completions.stream(
            model="demo", messages=messages, tools=tools, stream_options={"include_usage": True}
        ) as stream:
            for _ in stream:
                pass
            return whole, stream.get_final_completion()

    async with running() as client:
        whole, streamed = await client.openai(work)
    for found in (whole, streamed):
        choice = found.choices[0]
        calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or ()]
        if prompt == "tools":
            assert choice.finish_reason == "tool_calls"
            assert calls == [("look", {"city": "demo"}), ("go", {"city": "demo"})]
        else:
            assert choice.finish_reason == "stop"
            assert choice.message.content == ("hello world" if prompt == "text" else "so")
            assert calls == []
        assert found.usage.prompt_tokens > 0
        assert found.created == 1_760_000_000


@pytest.mark.parametrize("prompt", list(PROMPTS))
async def test_responses_satisfy_the_sdk_whole_and_streamed(prompt: str) -> None:
    tools: Any = [{"type": "function", "name": n, "parameters": TOOL, "strict": False} for n in ("look", "go")]

    def work(client: openai.OpenAI) -> tuple[Any, Any]:
        whole = client.responses.create(model="demo", input=PROMPTS[prompt], tools=tools)
        with client.responses.stream(model="demo", input=PROMPTS[prompt], tools=tools) as stream:
            for _ in stream:
                pass
            return whole, stream.get_final_response()

    async with running() as client:
        whole, streamed = await client.openai(work)
    for found in (whole, streamed):
        assert found.status == "completed"
        kinds = [item.type for item in found.output]
        if prompt == "tools":
            assert kinds == ["function_call", "function_call"]
            assert [json.loads(item.arguments) for item in found.output] == [{"city": "demo"}] * 2
        elif prompt == "thinking":
            assert kinds == ["reasoning", "message"]
            assert found.output[0].summary[0].text == "let me think"
        else:
            assert found.output_text == "hello world"


@pytest.mark.parametrize("prompt", list(PROMPTS))
async def test_messages_satisfy_the_sdk_whole_and_streamed(prompt: str) -> None:
    tools: Any = [{"name": n, "input_schema": TOOL} for n in ("look", "go")]
    messages: Any = [{"role": "user", "content": PROMPTS[prompt]}]

    def work(client: anthropic.Anthropic) -> tuple[Any, Any]:
        whole = client.messages.create(model="demo", max_tokens=100, messages=messages, tools=tools)
        with client.messages.stream(model="demo", max_tokens=100, messages=messages, tools=tools) as stream:
            for _ in stream:
                pass
            return whole, stream.get_final_message()

    async with running() as client:
        whole, streamed = await client.anthropic(work)
    for found in (whole, streamed):
        kinds = [block.type for block in found.content]
        if prompt == "tools":
            assert found.stop_reason == "tool_use"
            assert [block.input for block in found.content] == [{"city": "demo"}] * 2
        elif prompt == "thinking":
            assert kinds == ["thinking", "text"]
            assert (found.content[0].thinking, found.content[0].signature) == ("let me think", sign("let me think"))
        else:
            assert (kinds, found.content[0].text, found.stop_reason) == (["text"], "hello world", "end_turn")


async def test_a_tool_loop_with_thoughts_ends_and_altered_thoughts_are_refused() -> None:
    tools: Any = [{"name": "look", "input_schema": TOOL}]

    def work(client: anthropic.Anthropic) -> tuple[str, str]:
        messages: Any = [{"role": "user", "content": "mock: tools=1 \nmock: reasoning=which city"}]
        first = client.messages.create(model="demo", max_tokens=100, messages=messages, tools=tools)
        call = first.content[1]
        assert call.type == "tool_use"
        messages.append({"role": "assistant", "content": [block.to_dict() for block in first.content]})
        messages.append(
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "22 degrees"}]}
        )
        last = client.messages.create(model="demo", max_tokens=100, messages=messages, tools=tools)
        messages[1]["content"][0]["thinking"] = "which town"
        with pytest.raises(anthropic.BadRequestError) as raised:
            client.messages.create(model="demo", max_tokens=100, messages=messages, tools=tools)
        said = last.content[-1]
        assert said.type == "text"
        return said.text, str(raised.value)

    async with running() as client:
        text, refused = await client.anthropic(work)
    assert text == "Done. The tool answered: 22 degrees"
    assert "Invalid `signature` in `thinking` block" in refused


async def test_encrypted_reasoning_goes_round_and_altered_is_refused() -> None:
    tools: Any = [{"type": "custom", "name": "apply_patch"}]

    def work(client: openai.OpenAI) -> tuple[str, str]:
        first = client.responses.create(
            model="demo",
            input="mock: custom=apply_patch *** Begin Patch\nmock: reasoning=hm",
            tools=tools,
            include=["reasoning.encrypted_content"],
        )
        thought, call = (item.to_dict() for item in first.output)
        assert (call["type"], call["input"]) == ("custom_tool_call", "*** Begin Patch")
        items: Any = [
            {"role": "user", "content": "x"},
            thought,
            call,
            {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "patched"},
        ]
        last = client.responses.create(model="demo", input=items, tools=tools)
        items[1]["encrypted_content"] += "x"
        with pytest.raises(openai.BadRequestError) as raised:
            client.responses.create(model="demo", input=items, tools=tools)
        assert raised.value.code == "invalid_encrypted_content"
        return last.output_text, str(raised.value)

    async with running() as client:
        text, refused = await client.openai(work)
    assert text == "Done. The tool answered: patched"
    assert "could not be verified" in refused


async def test_models_are_listed_and_found_by_both_sdks() -> None:
    async with running(MockProvider(models=["a", "b/c"])) as client:
        names = await client.openai(lambda c: [model.id for model in c.models.list()])
        assert names == ["a", "b/c"]
        assert (await client.openai(lambda c: c.models.retrieve("a"))).id == "a"
        assert (await client.anthropic(lambda c: c.models.retrieve("b/c"))).id == "b/c"
        assert [m.id for m in await client.anthropic(lambda c: list(c.models.list()))] == ["a", "b/c"]
        response, body = await client.say("openai", "pong", model="z")
        assert (response.status, json.loads(body)["error"]["code"]) == (404, "model_not_found")
    async with running() as client:
        assert await client.openai(lambda c: [model.id for model in c.models.list()]) == ["demo"]


async def test_tokens_are_counted_without_a_limit() -> None:
    async with running() as client:
        count = await client.anthropic(
            lambda c: c.messages.count_tokens(model="demo", messages=[{"role": "user", "content": "hello"}])
        )
    assert count.input_tokens > 0


# --- errors and faults -----------------------------------------------------------------------------------


@EACH
async def test_errors_have_the_dialects_shape_the_status_asked_for_and_retry_after(dialect: str) -> None:
    async with running() as client:
        for status in (400, 401, 429, 500, 529):
            response, body = await client.say(dialect, f"mock: error={status} retry_after=3")
            assert response.status == status
            assert response.header("retry-after") == "3"
            error = DIALECTS[dialect].decode_error(status, response.headers, body)
            assert error.type is not None
            assert json.loads(body)["error"]["message"] == error.message


@EACH
async def test_a_request_the_api_would_refuse_is_refused_unless_told_otherwise(dialect: str) -> None:
    async with running() as client:
        response, body = await client.say(dialect, "pong", temperature=7)
        assert response.status == 400
        assert "temperature" in json.loads(body)["error"]["message"]
        response, body = await client.ask("POST", PATHS[dialect], b"[]")
        assert response.status == 400
        response, body = await client.ask("POST", PATHS[dialect], b"{")
        assert response.status == 400
        response, body = await client.say(dialect, "mock: chunkz=1")
        assert response.status == 400
        assert "did you mean chunks" in json.loads(body)["error"]["message"]
    async with running(MockProvider(strict=False)) as client:
        response, body = await client.say(dialect, "pong", temperature=7)
        assert response.status == 200


async def test_headers_that_the_apis_need_are_needed() -> None:
    async with running() as client:
        for headers, words in (
            ({"content-type": "application/json"}, "anthropic-version"),
            ({"content-type": "text/plain", "anthropic-version": "2023-06-01"}, "Content-Type"),
        ):
            response, body = await client.ask("POST", "/v1/messages", asked("anthropic", "pong"), headers)
            assert response.status == 400
            assert words in json.loads(body)["error"]["message"]


@EACH
async def test_a_key_is_asked_for_when_there_is_one(dialect: str) -> None:
    async with running(MockProvider(key="secret")) as client:
        for headers, status in (
            ({}, 401),
            ({"authorization": "Bearer wrong"}, 401),
            ({"authorization": "Bearer secret"}, 200),
            ({"x-api-key": "secret"}, 200),
        ):
            given = {"content-type": "application/json", "anthropic-version": "2023-06-01", **headers}
            response, body = await client.ask("POST", PATHS[dialect], asked(dialect, "pong"), given)
            assert response.status == status
            assert b"secret" not in body


async def test_unknown_paths_and_methods_are_refused_in_the_asking_clients_shape() -> None:
    async with running() as client:
        response, body = await client.ask("POST", "/v1/nothing", {})
        assert (response.status, "message" in json.loads(body)["error"]) == (404, True)
        response, body = await client.ask("GET", "/v1/models/none", None, {"anthropic-version": "2023-06-01"})
        assert (response.status, json.loads(body)["type"]) == (404, "error")
        response, body = await client.ask("GET", "/v1/messages")
        assert (response.status, response.header("allow")) == (405, "POST")
        response, _ = await client.ask("HEAD", "/")
        assert response.status == 200
        response, body = await client.ask("GET", "/health")
        assert (response.status, json.loads(body)) == (200, {"status": "ok"})


async def test_a_websocket_is_answered_426_so_that_codex_falls_back_at_once() -> None:
    async with running() as client:
        host, _, port = client.url.removeprefix("http://").partition(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(
                b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
            )
            assert (await stream.receive()).startswith(b"HTTP/1.1 426 ")


@EACH
async def test_an_error_in_the_stream_is_its_last_event(dialect: str) -> None:
    async with running() as client:
        response, body = await client.say(dialect, "mock: chunks=4 stream_error=overloaded after=2", stream=True)
        assert response.status == 200
        events = DIALECTS[dialect].stream_decoder()
        found = [*events.receive_data(body), *events.receive_eof()]
        assert type(found[-1]).__name__ == "StreamFailed"
        response, body = await client.say(dialect, "mock: chunks=4 stream_error=overloaded after=2")
        assert response.status in (503, 529)


@EACH
@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_breaks_the_connection_within_the_body(dialect: str, stream: bool) -> None:
    async with running() as client:
        response = await client.open("POST", PATHS[dialect], asked(dialect, "mock: cut=2", stream=stream))
        async with response:
            assert response.status == 200
            with pytest.raises(UpstreamError) as raised:
                await response.read(1 << 20)
        assert raised.value.kind in (UpstreamFault.CLOSED, UpstreamFault.PROTOCOL)
        assert (await client.mock.wait_for(1)).writes == (2 if stream else 1)


@EACH
async def test_a_clean_end_before_the_dialects_end_is_a_truncated_stream(dialect: str) -> None:
    async with running() as client:
        _, body = await client.say(dialect, "mock: eof=3", stream=True)
        decoder = DIALECTS[dialect].stream_decoder()
        decoder.receive_data(body)
        assert type(decoder.receive_eof()[-1]).__name__ == "StreamFailed"
        _, body = await client.say(dialect, "mock: eof")
        with pytest.raises(ValueError, match=r"JSON|Expect|Unterminated|delimiter"):
            json.loads(body)


@EACH
async def test_garbage_is_no_answer_of_the_dialect(dialect: str) -> None:
    async with running() as client:
        _, body = await client.say(dialect, "mock: garbage=1", stream=True)
        decoder = DIALECTS[dialect].stream_decoder()
        found = [*decoder.receive_data(body), *decoder.receive_eof()]
        assert type(found[-1]).__name__ == "StreamFailed"
        response, body = await client.say(dialect, "mock: garbage")
        assert response.status == 200
        assert not body.startswith(b"{")


async def test_reset_redirect_and_html() -> None:
    async with running() as client:
        with pytest.raises(UpstreamError):
            await client.say("openai", "mock: reset")
        assert (await client.mock.wait_for(1)).status is None
        response, _ = await client.say("openai", "mock: redirect")
        assert (response.status, response.header("location")) == (307, "/elsewhere")
        response, body = await client.say("openai", "mock: html=502")
        assert (response.status, response.header("content-type")) == (502, "text/html")
        assert b"<h1>502</h1>" in body


async def test_a_client_that_leaves_a_stalled_stream_is_noticed() -> None:
    async with running() as client:
        response = await client.open("POST", PATHS["openai"], asked("openai", "mock: stall=2", stream=True))
        assert await response.receive() != b""
        await response.aclose()
        received = await client.mock.wait_for(1)
        await received.wait_done()
        assert received.left
        assert received.writes == 2


# --- the journal -----------------------------------------------------------------------------------------


async def test_requests_are_kept_shown_without_keys_and_forgotten() -> None:
    async with running() as client:
        headers = {"content-type": "application/json", "authorization": "Bearer planted"}
        await client.ask("POST", PATHS["openai"], asked("openai", "pong"), headers)
        (kept,) = client.mock.requests
        assert (kept.method, kept.path, kept.dialect, kept.status, kept.left) == (
            "POST",
            "/v1/chat/completions",
            "openai",
            200,
            False,
        )
        assert kept.header("authorization") == "Bearer planted"
        response, body = await client.ask("GET", "/__mock/requests")
        (shown,) = json.loads(body)
        assert shown["body"]["model"] == "demo"
        assert b"planted" not in body
        response, _ = await client.ask("DELETE", "/__mock/requests")
        assert response.status == 204
        assert client.mock.requests == []
        response, _ = await client.ask("POST", "/__mock/requests", {})
        assert response.status == 405


async def test_answers_carry_an_id_and_rate_limits_and_equal_requests_get_equal_answers() -> None:
    async with running() as client:
        response, one = await client.say("openai", "mock: tools=1")
        assert (response.header("x-request-id") or "").startswith("req_")
        assert response.header("x-ratelimit-remaining-requests") == "499"
        _, two = await client.say("openai", "mock: tools=1")
        assert one == two
        response, _ = await client.say("anthropic", "pong", stream=True)
        assert response.header("request-id") is not None
        assert response.header("anthropic-ratelimit-requests-remaining") == "49"


@EACH
async def test_pauses_lie_before_the_pieces_and_the_head_goes_out_before_them(dialect: str) -> None:
    async with running() as client:
        response = await client.open("POST", PATHS[dialect], asked(dialect, "mock: chunks=3 delay_ms=1", stream=True))
        async with response:
            assert response.status == 200
            decoder = DIALECTS[dialect].stream_decoder()
            found = decoder.receive_data(await response.read(1 << 20))
        assert type(found[-1]).__name__ == "End"


async def test_an_answer_that_waits_is_cut_when_the_server_goes_down() -> None:
    mock = MockProvider()
    server = Server(mock.handle)
    listeners = open_listeners("127.0.0.1", 0)
    origin = Origin("http", "127.0.0.1", bound_port(listeners[0]))
    head = RequestHead("POST", PATHS["openai"], [("content-type", "application/json")])
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, Pool() as pool:
            await tasks.start(server.serve, listeners)
            body = json.dumps(asked("openai", "mock: stall", stream=True)).encode()
            async with await pool.open(origin, head, body) as response:
                server.start_drain(0)
                with pytest.raises(UpstreamError):
                    await response.read(1 << 20)


async def test_the_journal_is_for_clients_on_this_machine() -> None:
    async with serving(MockProvider().handle) as rig:
        near = rig.connect()
        await near.send(b"GET /__mock/requests HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await near.receive()).startswith(b"HTTP/1.1 403 ")


async def test_whoever_listens_hears_of_each_answer() -> None:
    heard: list[tuple[str, int | None]] = []
    mock = MockProvider(parse("text=hi"), heard=lambda received: heard.append((received.path, received.status)))
    async with running(mock) as client:
        _, body = await client.say("openai", "anything")
        assert json.loads(body)["choices"][0]["message"]["content"] == "hi"
        await client.say("openai", "mock: error=500")
    assert heard == [("/v1/chat/completions", 200), ("/v1/chat/completions", 500)]
