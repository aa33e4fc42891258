"""A real, independent provider: llama.cpp's server with tiny random models, which speaks three of the protocols.

``FERRYLLM_LLAMA_SERVER`` is the program, ``FERRYLLM_LLAMA_MODELS`` a folder with tiny-text, tiny-agent and tiny-think
(.gguf), ``FERRYLLM_LLAMA_TEMPLATE`` a chat template with ``<think>``; docs/development.md tells how to make them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import anthropic
import ollama
import openai
import pytest
from google import genai
from google.genai import types as genai_types

from support.processes import Gateway, free_port, gateway, program

pytestmark = [pytest.mark.llamacpp, pytest.mark.timeout(180)]

BACKENDS = ("openai", "openai_responses", "anthropic")
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway in front of two llama.cpp servers: one with all models, one that thinks."""
    folder = tmp_path_factory.mktemp("llama")
    server, models = os.environ["FERRYLLM_LLAMA_SERVER"], os.environ["FERRYLLM_LLAMA_MODELS"]
    template = os.environ["FERRYLLM_LLAMA_TEMPLATE"]
    ports = free_port(), free_port()
    common = ["--host", "127.0.0.1", "--jinja", "-c", "8192", "-np", "2", "--threads", "1", "--no-webui"]
    router = [server, "--models-dir", models, "--port", str(ports[0]), *common]
    thinker = [server, "-m", f"{models}/tiny-think.gguf", "--port", str(ports[1]), *common]
    thinker += ["--chat-template-file", template, "--reasoning-format", "deepseek"]
    lines = []
    for backend in BACKENDS:
        for name, port in (("plain", ports[0]), ("think", ports[1])):
            lines.append(f'[[providers]]\nname = "{backend}-{name}"\ntype = "{backend}"')
            lines.append(f'base_url = "http://127.0.0.1:{port}"')
        for model, name in (("tiny-text", "plain"), ("tiny-agent", "plain"), ("tiny-think", "think")):
            lines.append(
                f'[[routes]]\nmatch = "{model}.{backend}"\nmatch_type = "exact"\nprovider = "{backend}-{name}"\n'
                f'rewrite_model = "{model}"'
            )
    config = folder / "ferryllm.toml"
    config.write_text("\n".join(lines))
    health = [f"http://127.0.0.1:{port}/health" for port in ports]
    with (
        program(router, health[0], folder / "router.log"),
        program(thinker, health[1], folder / "thinker.log"),
        gateway(config, backend=request.param) as running,
    ):
        yield running


def whole_json(text: str) -> bool:
    """Whether a call's arguments were not cut by the token limit."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def openai_client(served: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.base_url}/v1", api_key="any", max_retries=0)


def anthropic_client(served: Gateway) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=served.base_url, api_key="any", max_retries=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_text_through_chat(served: Gateway, backend: str) -> None:
    model = f"tiny-text.{backend}"
    with openai_client(served) as client:
        whole = client.chat.completions.create(
            model=model, max_completion_tokens=16, messages=[{"role": "user", "content": "Say something"}]
        )
        assert whole.choices[0].message.content
        assert whole.model == model
        with client.chat.completions.stream(
            model=model, max_completion_tokens=16, messages=[{"role": "user", "content": "Say something"}]
        ) as events:
            text = "".join(event.delta for event in events if event.type == "content.delta")
        assert text


@pytest.mark.parametrize("backend", BACKENDS)
def test_text_through_responses(served: Gateway, backend: str) -> None:
    model = f"tiny-text.{backend}"
    with openai_client(served) as client:
        whole = client.responses.create(model=model, max_output_tokens=16, input="Say something")
        assert whole.output_text
        assert whole.model == model
        # Not the SDK's accumulator: llama.cpp streams have no output_index, and the same dialect passes untouched.
        with client.responses.create(model=model, max_output_tokens=16, input="Say something", stream=True) as events:
            kinds = [event.type for event in events]
        assert "response.output_text.delta" in kinds
        assert kinds[-1] in ("response.completed", "response.incomplete")


@pytest.mark.parametrize("backend", BACKENDS)
def test_text_through_messages(served: Gateway, backend: str) -> None:
    model = f"tiny-text.{backend}"
    with anthropic_client(served) as client:
        whole = client.messages.create(
            model=model, max_tokens=16, messages=[{"role": "user", "content": "Say something"}]
        )
        assert whole.content[0].type == "text"
        assert whole.model == model
        with client.messages.stream(
            model=model, max_tokens=16, messages=[{"role": "user", "content": "Say something"}]
        ) as events:
            final = events.get_final_message()
        assert final.content[0].type == "text"
        assert final.content[0].text
        assert final.usage.output_tokens > 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_tool_loop_through_chat(served: Gateway, backend: str) -> None:
    model = f"tiny-agent.{backend}"
    tools: Any = [
        {"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": WEATHER}}
    ]
    messages: Any = [{"role": "user", "content": "Weather in Paris?"}]
    with openai_client(served) as client:
        with client.chat.completions.stream(
            model=model, messages=messages, tools=tools, tool_choice="required", max_completion_tokens=200
        ) as events:
            completion: Any
            try:
                for _ in events:
                    pass
                completion = events.get_final_completion()
            except openai.LengthFinishReasonError as exc:  # a random model may call until the limit
                completion = exc.completion
        message = completion.choices[0].message
        assert message.tool_calls
        call = message.tool_calls[0]
        assert call.function.name == "get_weather"
        made = [call.to_dict() for call in message.tool_calls if whole_json(call.function.arguments)]
        for one in made:
            one["function"].pop("parsed_arguments", None)
        answer = {"role": "assistant", "content": message.content, **({"tool_calls": made} if made else {})}
        results = [{"role": "tool", "tool_call_id": one["id"], "content": "18 degrees"} for one in made]
        messages += [answer, *results]
        second = client.chat.completions.create(
            model=f"tiny-text.{backend}",
            messages=messages,
            tools=tools,
            tool_choice="none",
            max_completion_tokens=8,
        )
        assert second.choices[0].finish_reason in ("stop", "length")


@pytest.mark.parametrize("backend", BACKENDS)
def test_tool_loop_through_messages(served: Gateway, backend: str) -> None:
    model = f"tiny-agent.{backend}"
    tools: Any = [{"name": "get_weather", "description": "Weather", "input_schema": WEATHER}]
    messages: Any = [{"role": "user", "content": "Weather in Paris?"}]
    with anthropic_client(served) as client:
        with client.messages.stream(
            model=model, max_tokens=200, messages=messages, tools=tools, tool_choice={"type": "any"}
        ) as events:
            final = events.get_final_message()
        calls = [block for block in final.content if block.type == "tool_use"]
        assert calls
        assert calls[0].name == "get_weather"
        assert isinstance(calls[0].input, dict)
        assistant = {"role": "assistant", "content": [block.to_dict() for block in final.content]}
        answers = [{"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"} for call in calls]
        results = {"role": "user", "content": answers}
        messages += [assistant, results]
        second = client.messages.create(
            model=f"tiny-text.{backend}",
            max_tokens=8,
            tools=tools,
            tool_choice={"type": "none"},
            messages=messages,
        )
        assert second.stop_reason in ("end_turn", "max_tokens")


@pytest.mark.parametrize("backend", BACKENDS)
def test_tool_loop_through_responses(served: Gateway, backend: str) -> None:
    model = f"tiny-agent.{backend}"
    tools: Any = [
        {"type": "function", "name": "get_weather", "description": "Weather", "parameters": WEATHER, "strict": False}
    ]
    with openai_client(served) as client:
        with client.responses.create(
            model=model,
            input="Weather in Paris?",
            tools=tools,
            tool_choice="required",
            max_output_tokens=200,
            stream=True,
        ) as events:
            done = [event.item for event in events if event.type == "response.output_item.done"]
        calls = [item for item in done if item.type == "function_call"]
        assert calls
        assert calls[0].name == "get_weather"
        calls = [call for call in calls if whole_json(call.arguments)]
        turn: Any = [{"role": "user", "content": "Weather in Paris?"}]
        turn += [
            {"type": "function_call", "call_id": c.call_id, "name": c.name, "arguments": c.arguments} for c in calls
        ]
        turn += [{"type": "function_call_output", "call_id": c.call_id, "output": "18 degrees"} for c in calls]
        second = client.responses.create(
            model=f"tiny-text.{backend}", tools=tools, tool_choice="none", max_output_tokens=16, input=turn
        )
        assert second.status in ("completed", "incomplete")


@pytest.mark.parametrize("backend", BACKENDS)
def test_thinking_reaches_every_client(served: Gateway, backend: str) -> None:
    model = f"tiny-think.{backend}"
    with anthropic_client(served) as client:
        with client.messages.stream(
            model=model, max_tokens=64, messages=[{"role": "user", "content": "Think"}]
        ) as messages:
            final = messages.get_final_message()
        assert any(block.type == "thinking" and block.thinking for block in final.content)
    with openai_client(served) as openai_:
        with openai_.responses.create(model=model, max_output_tokens=64, input="Think", stream=True) as events:
            kinds = {event.type for event in events}
        assert kinds & {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}
        chunks = openai_.chat.completions.create(
            model=model, max_completion_tokens=64, stream=True, messages=[{"role": "user", "content": "Think"}]
        )
        thought = "".join(
            getattr(choice.delta, "reasoning_content", None) or "" for chunk in chunks for choice in chunk.choices
        )
        assert thought


def google_client(served: Gateway) -> genai.Client:
    return genai.Client(api_key="any", http_options=genai_types.HttpOptions(base_url=served.base_url))


def google_parts(served: Gateway, model: str, contents: Any, **config: Any) -> list[genai_types.Part]:
    """The parts of a streamed answer."""
    with google_client(served) as client:
        settings = genai_types.GenerateContentConfig(**config)
        chunks = list(client.models.generate_content_stream(model=model, contents=contents, config=settings))
    found = [chunk.candidates[0].content for chunk in chunks if chunk.candidates]
    assert chunks[-1].model_version == model
    return [part for content in found if content is not None for part in content.parts or []]


@pytest.mark.parametrize("backend", BACKENDS)
def test_text_and_thinking_through_gemini(served: Gateway, backend: str) -> None:
    parts = google_parts(served, f"tiny-text.{backend}", "Say something", max_output_tokens=16)
    assert "".join(part.text or "" for part in parts)
    with google_client(served) as client:
        whole = client.models.generate_content(model=f"tiny-text.{backend}", contents="Say something")
        assert whole.usage_metadata is not None
        assert whole.usage_metadata.candidates_token_count
    thinking = genai_types.ThinkingConfig(include_thoughts=True)
    parts = google_parts(served, f"tiny-think.{backend}", "Think", max_output_tokens=64, thinking_config=thinking)
    assert any(part.thought and part.text for part in parts)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tool_loop_through_gemini(served: Gateway, backend: str) -> None:
    function = genai_types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)
    any_ = genai_types.FunctionCallingConfigMode.ANY
    calling = genai_types.ToolConfig(function_calling_config=genai_types.FunctionCallingConfig(mode=any_))
    tools = [genai_types.Tool(function_declarations=[function])]
    first = google_parts(
        served, f"tiny-agent.{backend}", "Weather in Paris?", max_output_tokens=200, tools=tools, tool_config=calling
    )
    calls = [part.function_call for part in first if part.function_call]
    assert calls
    assert calls[0].name == "get_weather"
    results = [
        genai_types.Part(
            function_response=genai_types.FunctionResponse(
                id=call.id, name=call.name, response={"output": "18 degrees"}
            )
        )
        for call in calls
    ]
    contents = [
        genai_types.Content(role="user", parts=[genai_types.Part(text="Weather in Paris?")]),
        genai_types.Content(role="model", parts=first),
        genai_types.Content(role="user", parts=results),
    ]
    assert google_parts(served, f"tiny-text.{backend}", contents, max_output_tokens=16, tools=tools)


@pytest.mark.parametrize("backend", BACKENDS)
def test_text_thinking_and_tools_through_ollama(served: Gateway, backend: str) -> None:
    with ollama.Client(host=served.base_url) as client:
        ask = [{"role": "user", "content": "Say something"}]
        lines = list(client.chat(f"tiny-text.{backend}", ask, stream=True, options={"num_predict": 16}))
        assert "".join(line.message.content or "" for line in lines)
        assert lines[-1].done
        assert lines[-1].eval_count
        thought = client.chat(f"tiny-think.{backend}", ask, think=True, options={"num_predict": 64})
        assert thought.message.thinking
        tools = [{"type": "function", "function": {"name": "get_weather", "description": "w", "parameters": WEATHER}}]
        said: list[Any] = [{"role": "user", "content": "Weather in Paris?"}]
        first = client.chat(f"tiny-agent.{backend}", said, tools=tools, options={"num_predict": 200})
        if first.message.tool_calls:  # nothing can force a tool in this protocol, and the model is a random one
            said.append(first.message)
            said += [
                {"role": "tool", "content": "18 degrees", "tool_name": "get_weather"} for _ in first.message.tool_calls
            ]
            assert client.chat(f"tiny-text.{backend}", said, tools=tools, options={"num_predict": 8}).done
