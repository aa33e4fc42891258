"""Frameworks in Python, one after the other, against one gateway and one model; run in an environment of their own.

    python python_frameworks.py BASE_URL MODEL

Prints one JSON object a line, as node_sdks.mjs does. A framework that is not installed says so.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Callable
from typing import Any

BASE, MODEL = sys.argv[1:3]
TEXT = "mock: text=hello from afar"
TOOL = 'mock: tool=get_weather {"city":"Paris"}\nmock: then=it is sunny\nmock: reasoning=let me think'
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def attempt(client: str, case: str, run: Callable[[], dict[str, Any]]) -> None:
    try:
        found = run()
    except Exception as exc:
        found = {"error": f"{type(exc).__name__}: {exc}"[:600]}
    print(json.dumps({"client": client, "case": case, **found}), flush=True)


def litellm() -> None:
    import litellm

    litellm.suppress_debug_info = True
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    ways = {
        "litellm.openai": {"model": f"openai/{MODEL}", "api_base": f"{BASE}/v1"},
        "litellm.anthropic": {"model": f"anthropic/{MODEL}", "api_base": BASE},
        "litellm.gemini": {"model": f"gemini/{MODEL}", "api_base": BASE},
        "litellm.ollama": {"model": f"ollama_chat/{MODEL}", "api_base": BASE},
    }
    for name, way in ways.items():

        def whole(way: dict[str, str] = way) -> dict[str, Any]:
            done = litellm.completion(**way, api_key="any", messages=[{"role": "user", "content": TEXT}])
            return {"text": done.choices[0].message.content}

        def loop(way: dict[str, str] = way) -> dict[str, Any]:
            said: list[Any] = [{"role": "user", "content": TOOL}]
            pieces = list(litellm.completion(**way, api_key="any", messages=said, tools=tools, stream=True))
            first = litellm.stream_chunk_builder(pieces, messages=said).choices[0].message
            (call,) = first.tool_calls
            said += [first.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
            last = litellm.completion(**way, api_key="any", messages=said, tools=tools)
            arguments = json.loads(call.function.arguments)
            return {"name": call.function.name, "input": arguments, "text": last.choices[0].message.content}

        attempt(name, "whole", whole)
        attempt(name, "loop", loop)


def langchain() -> None:
    from langchain_anthropic import ChatAnthropic
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_google_genai import ChatGoogleGenerativeAI
    from langchain_ollama import ChatOllama
    from langchain_openai import ChatOpenAI

    def get_weather(city: str) -> str:
        """The weather in a city."""
        return "sunny"

    openai = {"model": MODEL, "base_url": f"{BASE}/v1", "api_key": "any", "max_retries": 0}
    models: dict[str, Callable[[], Any]] = {
        "langchain.chat": lambda: ChatOpenAI(**openai),
        "langchain.responses": lambda: ChatOpenAI(**openai, use_responses_api=True),
        "langchain.anthropic": lambda: ChatAnthropic(
            model_name=MODEL, base_url=BASE, api_key="any", max_tokens=900, max_retries=0
        ),
        "langchain.google": lambda: ChatGoogleGenerativeAI(model=MODEL, base_url=BASE, api_key="any", max_retries=0),
        "langchain.ollama": lambda: ChatOllama(model=MODEL, base_url=BASE),
    }
    for name, make in models.items():

        def whole(make: Callable[[], Any] = make) -> dict[str, Any]:
            return {"text": make().invoke(TEXT).text}

        def loop(make: Callable[[], Any] = make) -> dict[str, Any]:
            model = make().bind_tools([get_weather])
            said: list[Any] = [HumanMessage(TOOL)]
            first: Any = None
            for piece in model.stream(said):
                first = piece if first is None else first + piece
            (call,) = first.tool_calls
            said += [first, ToolMessage("sunny", tool_call_id=call["id"])]
            return {"name": call["name"], "input": call["args"], "text": model.invoke(said).text}

        attempt(name, "whole", whole)
        attempt(name, "loop", loop)


def pydantic_ai() -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    models: dict[str, Callable[[], Any]] = {
        "pydantic_ai.chat": lambda: OpenAIChatModel(
            MODEL, provider=OpenAIProvider(base_url=f"{BASE}/v1", api_key="any")
        ),
        "pydantic_ai.responses": lambda: OpenAIResponsesModel(
            MODEL, provider=OpenAIProvider(base_url=f"{BASE}/v1", api_key="any")
        ),
        "pydantic_ai.anthropic": lambda: AnthropicModel(
            MODEL, provider=AnthropicProvider(base_url=BASE, api_key="any")
        ),
    }
    for name, make in models.items():

        def loop(make: Callable[[], Any] = make) -> dict[str, Any]:
            calls = []
            agent = Agent(make())

            @agent.tool_plain
            def get_weather(city: str) -> str:
                """The weather in a city."""
                calls.append({"city": city})
                return "sunny"

            return {"name": "get_weather", "text": agent.run_sync(TOOL).output, "input": calls[0]}

        attempt(name, "loop", loop)


def openai_agents() -> None:
    import agents
    from openai import AsyncOpenAI

    agents.set_tracing_disabled(True)
    calls = []

    @agents.function_tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        calls.append({"city": city})
        return "sunny"

    kinds: dict[str, Any] = {
        "agents.responses": agents.OpenAIResponsesModel,
        "agents.chat": agents.OpenAIChatCompletionsModel,
    }
    for name, kind in kinds.items():

        def loop(kind: Any = kind) -> dict[str, Any]:
            calls.clear()
            client = AsyncOpenAI(base_url=f"{BASE}/v1", api_key="any", max_retries=0)  # one event loop, one client
            agent = agents.Agent(name="a", model=kind(model=MODEL, openai_client=client), tools=[get_weather])
            done = asyncio.run(agents.Runner.run(agent, TOOL))
            return {"name": "get_weather", "input": calls[0], "text": done.final_output}

        attempt(name, "loop", loop)


PARTS = {
    "litellm": litellm,
    "langchain_openai": langchain,
    "pydantic_ai": pydantic_ai,
    "agents": openai_agents,
}

for package, part in PARTS.items():
    if importlib.util.find_spec(package) is None:
        print(json.dumps({"client": package, "case": "import", "missing": True}), flush=True)
        continue
    try:
        part()
    except ImportError as exc:
        print(json.dumps({"client": package, "case": "import", "missing": True, "why": str(exc)}), flush=True)
