"""The official SDKs through the gateway to a provider of each dialect: all nine pairs, on asyncio and on trio."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import anthropic
import anyio.from_thread
import httpx2
import openai
import pytest

from ferryllm_net.mock import MockProvider, serve_mock
from support.gateways import Running, gateway

pytestmark = pytest.mark.timeout(60)

BACKENDS = ("chat", "resp", "msg")
WEATHER: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Served:
    """A gateway in a thread of its own, for clients that block."""

    def __init__(self, running: Running, mock: MockProvider) -> None:
        self.mock = mock
        self.running = running
        self.base_url = running.base_url
        self.openai = openai.OpenAI(base_url=f"{self.base_url}/v1", api_key="any", max_retries=0)
        self.anthropic = anthropic.Anthropic(base_url=self.base_url, api_key="any", max_retries=0)

    def close(self) -> None:
        self.openai.close()
        self.anthropic.close()


@contextlib.asynccontextmanager
async def _both() -> AsyncIterator[tuple[Running, MockProvider]]:
    mock = MockProvider()
    async with serve_mock(mock) as base_url:
        port = urlsplit(base_url).port
        assert port is not None
        async with gateway(port) as running:
            yield running, mock


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with (
        anyio.from_thread.start_blocking_portal(request.param) as portal,
        portal.wrap_async_context_manager(_both()) as (running, mock),
    ):
        both = Served(running, mock)
        yield both
        both.close()


@pytest.fixture(params=BACKENDS)
def model(request: pytest.FixtureRequest) -> str:
    """A name whose route leads to a provider of one dialect."""
    return f"{request.param}-model"


# --- text ------------------------------------------------------------------------------------------------


def test_chat_whole(served: Served, model: str) -> None:
    answer = served.openai.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "mock: text=hello world\nmock: usage=70,7,cached=30"}]
    )
    assert answer.choices[0].message.content == "hello world"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == model
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (100, 7)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 30


@pytest.mark.parametrize("asked", [True, False])
def test_u6_chat_streamed_with_and_without_usage(served: Served, model: str, asked: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if asked else {}
    chunks = list(
        served.openai.chat.completions.create(
            model=model,
            stream=True,
            messages=[{"role": "user", "content": "mock: text=one two three\nmock: chunks=3 usage=9,3"}],
            **options,
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "one two three"
    assert {chunk.model for chunk in chunks} == {model}
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    if model.startswith("chat") and not asked:
        return  # the same dialect passes through: what the provider does is what the client gets
    assert len(usages) == (1 if asked else 0)
    if asked:
        assert (usages[0].prompt_tokens, usages[0].completion_tokens) == (9, 3)


def test_responses_whole_and_streamed(served: Served, model: str) -> None:
    prompt = "mock: text=hello world\nmock: usage=70,7,cached=30"
    answer = served.openai.responses.create(model=model, input=prompt)
    assert answer.output_text == "hello world"
    assert (answer.model, answer.status) == (model, "completed")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.input_tokens_details.cached_tokens) == (100, 30)
    with served.openai.responses.stream(model=model, input=prompt) as events:
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        final = events.get_final_response()
    assert text == final.output_text == "hello world"
    assert final.model == model


def test_messages_whole_and_streamed(served: Served, model: str) -> None:
    asked: Any = {
        "model": model,
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "mock: text=hello world\nmock: usage=70,7,cached=30"}],
    }
    answer = served.anthropic.messages.create(**asked)
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "hello world"
    assert (answer.model, answer.stop_reason) == (model, "end_turn")
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (70, 30)
    with served.anthropic.messages.stream(**asked) as events:
        final = events.get_final_message()
    assert [block.text for block in final.content if block.type == "text"] == ["hello world"]
    assert (final.usage.input_tokens, final.usage.output_tokens) == (70, 7)


@pytest.mark.parametrize(("stop", "chat", "messages"), [("max_tokens", "length", "max_tokens")])
def test_stop_reasons(served: Served, model: str, stop: str, chat: str, messages: str) -> None:
    prompt = f"mock: text=cut off\nmock: stop={stop}"
    one = served.openai.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
    assert one.choices[0].finish_reason == chat
    two = served.anthropic.messages.create(model=model, max_tokens=99, messages=[{"role": "user", "content": prompt}])
    assert two.stop_reason == messages
    three = served.openai.responses.create(model=model, input=prompt)
    assert three.status == "incomplete"
    assert three.incomplete_details is not None
    assert three.incomplete_details.reason == "max_output_tokens"


# --- tools -----------------------------------------------------------------------------------------------

TWO_TOOLS = 'mock: tool=get_weather {"city": "Paris"}\nmock: tool=get_weather {"city": "Rome"}\nmock: then=warm in both'
INTERLEAVED = TWO_TOOLS + "\nmock: interleave chunks=6"


@pytest.mark.parametrize("prompt", [TWO_TOOLS, INTERLEAVED], ids=["parallel", "interleaved"])
def test_x3_streaming_tool_loop_of_chat(served: Served, model: str, prompt: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
    messages: list[Any] = [{"role": "user", "content": prompt}]
    with served.openai.chat.completions.stream(model=model, messages=messages, tools=tools) as events:
        for _ in events:
            pass
        message = events.get_final_completion().choices[0].message
    assert message.tool_calls is not None
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert len({call.id for call in message.tool_calls}) == 2
    calls = [
        {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
        for c in message.tool_calls
    ]
    messages.append({"role": "assistant", "content": message.content, "tool_calls": calls})
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "20 degrees"} for call in message.tool_calls]
    second = served.openai.chat.completions.create(model=model, messages=messages, tools=tools)
    assert second.choices[0].message.content == "warm in both"


@pytest.mark.parametrize("prompt", [TWO_TOOLS, INTERLEAVED], ids=["parallel", "interleaved"])
def test_x3_streaming_tool_loop_of_messages(served: Served, model: str, prompt: str) -> None:
    tools: Any = [{"name": "get_weather", "input_schema": WEATHER}]
    messages: list[Any] = [{"role": "user", "content": prompt}]
    with served.anthropic.messages.stream(model=model, max_tokens=99, messages=messages, tools=tools) as events:
        final = events.get_final_message()
    calls = [block for block in final.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert final.stop_reason == "tool_use"
    messages.append({"role": "assistant", "content": [block.to_dict() for block in final.content]})
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "20 degrees"} for call in calls]
    messages.append({"role": "user", "content": [*results, {"type": "text", "text": "so?"}]})
    second = served.anthropic.messages.create(model=model, max_tokens=99, messages=messages, tools=tools)
    assert second.stop_reason == "end_turn"


@pytest.mark.parametrize("prompt", [TWO_TOOLS, INTERLEAVED], ids=["parallel", "interleaved"])
def test_x3_streaming_tool_loop_of_responses(served: Served, model: str, prompt: str) -> None:
    tools: Any = [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}]
    with served.openai.responses.stream(model=model, input=prompt, tools=tools) as events:
        for _ in events:
            pass
        final = events.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    turn: list[Any] = [{"role": "user", "content": prompt}]
    turn += [{"type": "function_call", "call_id": c.call_id, "name": c.name, "arguments": c.arguments} for c in calls]
    turn += [{"type": "function_call_output", "call_id": call.call_id, "output": "20 degrees"} for call in calls]
    second = served.openai.responses.create(model=model, input=turn, tools=tools)
    assert second.output_text == "warm in both"


def test_r5_freeform_tools_of_responses(served: Served, model: str) -> None:
    tools: Any = [{"type": "custom", "name": "apply_patch", "description": "Patch files"}]
    patch = '*** Begin Patch "quoted" \\n'
    with served.openai.responses.stream(model=model, input=f"mock: custom=apply_patch {patch}", tools=tools) as events:
        kinds = [event.type for event in events]
        final = events.get_final_response()
    (call,) = [item for item in final.output if item.type == "custom_tool_call"]
    assert call.name == "apply_patch"
    assert call.input.strip() == patch.strip()
    assert "response.custom_tool_call_input.delta" in kinds
    turn: Any = [
        {"role": "user", "content": "go"},
        {"type": "custom_tool_call", "call_id": call.call_id, "name": call.name, "input": call.input},
        {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "done"},
    ]
    assert served.openai.responses.create(model=model, input=turn, tools=tools).status == "completed"


# --- thinking --------------------------------------------------------------------------------------------

THINK = 'mock: reasoning=first I ponder\nmock: tool=get_weather {"city": "Paris"}\nmock: then=warm'


def test_thinking_with_its_proof_round_trips_through_messages(served: Served, model: str) -> None:
    tools: Any = [{"name": "get_weather", "input_schema": WEATHER}]
    messages: list[Any] = [{"role": "user", "content": THINK}]
    asked: Any = {"model": model, "max_tokens": 9000, "tools": tools, "thinking": {"type": "adaptive"}}
    with served.anthropic.messages.stream(messages=messages, **asked) as events:
        final = events.get_final_message()
    thinking = [block for block in final.content if block.type == "thinking"]
    assert thinking[0].thinking == "first I ponder"
    (call,) = [block for block in final.content if block.type == "tool_use"]
    messages.append({"role": "assistant", "content": [block.to_dict() for block in final.content]})
    messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "20"}]})
    second = served.anthropic.messages.create(messages=messages, **asked)  # the mock checks its own proof
    assert second.content[-1].type == "text"


def test_thinking_with_its_proof_round_trips_through_responses(served: Served, model: str) -> None:
    tools: Any = [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}]
    asked: Any = {
        "model": model,
        "tools": tools,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "medium", "summary": "auto"},
    }
    with served.openai.responses.stream(input=THINK, **asked) as events:
        for _ in events:
            pass
        final = events.get_final_response()
    reasoning = [item for item in final.output if item.type == "reasoning"]
    assert "first I ponder" in "".join(part.text for part in reasoning[0].summary)
    (call,) = [item for item in final.output if item.type == "function_call"]
    turn: list[Any] = [{"role": "user", "content": THINK}, *(item.to_dict() for item in final.output)]
    turn.append({"type": "function_call_output", "call_id": call.call_id, "output": "20"})
    for item in turn:
        item.pop("parsed_arguments", None)
    second = served.openai.responses.create(input=turn, **asked)
    assert second.output_text == "warm"


def test_thinking_reaches_chat_clients(served: Served, model: str) -> None:
    answer = served.openai.chat.completions.create(
        model=model,
        reasoning_effort="medium",
        messages=[{"role": "user", "content": "mock: reasoning=hm\nmock: text=yes"}],
    )
    assert getattr(answer.choices[0].message, "reasoning_content", None) == "hm"
    assert answer.choices[0].message.content == "yes"


# --- faults ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "chat", "messages"),
    [
        (400, openai.BadRequestError, anthropic.BadRequestError),
        (401, openai.AuthenticationError, anthropic.AuthenticationError),
        (404, openai.NotFoundError, anthropic.NotFoundError),
        (429, openai.RateLimitError, anthropic.RateLimitError),
        (500, openai.InternalServerError, anthropic.InternalServerError),
    ],
)
def test_errors_before_the_answer(
    served: Served, model: str, status: int, chat: type[Exception], messages: type[Exception]
) -> None:
    prompt = f"mock: error={status} retry_after=3"
    with pytest.raises(chat) as one:
        served.openai.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}], stream=True)
    with pytest.raises(chat):
        served.openai.responses.create(model=model, input=prompt)
    with pytest.raises(messages) as two:
        served.anthropic.messages.create(model=model, max_tokens=99, messages=[{"role": "user", "content": prompt}])
    for caught in (one.value, two.value):
        assert isinstance(caught, (openai.APIStatusError, anthropic.APIStatusError))
        assert caught.status_code == status
        assert caught.response.headers["retry-after"] == "3"


def test_e5_a_full_context_is_said_in_the_words_clients_know(served: Served, model: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        served.anthropic.messages.create(
            model=model, max_tokens=99, messages=[{"role": "user", "content": "mock: error=context"}]
        )
    with pytest.raises(openai.BadRequestError) as caught:
        served.openai.responses.create(model=model, input="mock: error=context")
    if not model.startswith("resp"):
        assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("fault", ["stream_error=overloaded after=4", "cut=4", "eof=4"])
def test_t1_t6_a_broken_stream_raises_in_every_sdk(served: Served, model: str, fault: str) -> None:
    prompt = f"mock: text=one two three four five six seven eight\nmock: chunks=8 {fault}"
    broken = (openai.APIError, anthropic.APIError, httpx2.HTTPError)
    with pytest.raises(broken):
        list(
            served.openai.chat.completions.create(
                model=model, stream=True, messages=[{"role": "user", "content": prompt}]
            )
        )
    failed = False
    for event in served.openai.responses.create(model=model, input=prompt, stream=True):
        failed = failed or event.type in ("response.failed", "error")
        assert event.type not in ("response.completed", "response.incomplete")
    assert failed
    with (
        pytest.raises(broken),
        served.anthropic.messages.stream(
            model=model, max_tokens=99, messages=[{"role": "user", "content": prompt}]
        ) as events,
    ):
        events.get_final_message()


def test_t11_a_client_that_leaves_a_stream_is_noticed_by_the_provider(served: Served, model: str) -> None:
    served.mock.clear()
    before = served.running.log.count('outcome="cancelled"')
    stream = served.openai.chat.completions.create(
        model=model,
        stream=True,
        messages=[{"role": "user", "content": "mock: text=a b c d e f\nmock: chunks=6 delay_ms=200"}],
    )
    next(iter(stream))
    stream.close()
    with anyio.from_thread.start_blocking_portal() as portal:
        portal.call(_until, lambda: served.mock.requests[-1].left)
        portal.call(_until, lambda: served.running.log.count('outcome="cancelled"') > before)


async def _until(done: Any) -> None:
    with anyio.fail_after(10):
        while not done():  # noqa: ASYNC110 - it is another thread that is waited for
            await anyio.sleep(0.01)


def test_models_lists(served: Served) -> None:
    assert "exact-model" in [model.id for model in served.openai.models.list()]
    assert served.openai.models.retrieve("chat-x").id == "chat-x"
    assert "exact-model" in [model.id for model in served.anthropic.models.list()]


def test_a43_counting_tokens(served: Served, model: str) -> None:
    count = served.anthropic.messages.count_tokens(model=model, messages=[{"role": "user", "content": "hello there"}])
    assert count.input_tokens > 0


def test_nothing_failed_inside(served: Served) -> None:
    assert "request handler failed" not in served.running.log
    assert isinstance(served.running.log, str)
    assert io.StringIO(served.running.log).readline()
