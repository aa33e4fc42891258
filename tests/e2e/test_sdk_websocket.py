"""WebSocket mode of Responses with the official SDK, which brings a WebSocket client of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import anyio.from_thread
import openai
import pytest

from ferryllm_net.mock import MockProvider, serve_mock
from support.gateways import Running, gateway

pytestmark = pytest.mark.timeout(60)

BACKENDS = ("chat", "resp", "msg")


@contextlib.asynccontextmanager
async def _both() -> AsyncIterator[tuple[Running, MockProvider]]:
    mock = MockProvider()
    async with serve_mock(mock) as base_url:
        port = urlsplit(base_url).port
        assert port is not None
        async with gateway(port) as running:
            yield running, mock


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[openai.OpenAI, MockProvider]]:
    with (
        anyio.from_thread.start_blocking_portal(request.param) as portal,
        portal.wrap_async_context_manager(_both()) as (running, mock),
        openai.OpenAI(base_url=f"{running.base_url}/v1", api_key="any", max_retries=0) as client,
    ):
        yield client, mock


def run(connection: Any, **fields: Any) -> list[Any]:
    """One turn: its events up to the last one."""
    connection.response.create(**fields)
    events = [connection.recv()]
    while events[-1].type not in ("response.completed", "response.incomplete", "response.failed", "error"):
        events.append(connection.recv())
    return events


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("options", [{}, {"max_size": 1 << 24, "compression": "deflate"}])
def test_turns_of_one_connection(
    served: tuple[openai.OpenAI, MockProvider], backend: str, options: dict[str, Any]
) -> None:
    client, mock = served
    model = f"{backend}-model"
    connect: Any = client.responses.connect  # the options are a TypedDict of many members
    with connect(websocket_connection_options=options) as connection:
        warm = run(connection, model=model, input=[], instructions="Be brief.", store=False, generate=False)
        assert [event.type for event in warm][:: len(warm) - 1] == ["response.created", "response.completed"]
        mock.clear()
        first = run(
            connection,
            model=model,
            input="mock: text=hello world " + "x" * 5000,
            store=False,
            previous_response_id=warm[-1].response.id,
            stream_id="a",
        )
        deltas = "".join(event.delta for event in first if event.type == "response.output_text.delta")
        assert deltas.startswith("hello world")
        assert {event.stream_id for event in first} == {"a"}
        response = first[-1].response
        assert (response.status, response.model, response.output_text) == ("completed", model, deltas)
        assert response.previous_response_id == warm[-1].response.id
        run(connection, model=model, input="pong", store=False, previous_response_id=response.id)
        assert len(mock.requests) == 2
        sent = str(mock.requests[-1].json())
        assert "hello world" in sent
        assert "pong" in sent


def test_errors_are_in_band_and_the_connection_lives(served: tuple[openai.OpenAI, MockProvider]) -> None:
    client, _ = served
    with client.responses.connect() as connection:
        (error,) = run(connection, model="nobody", input="hi", stream_id="a")
        assert (error.type, error.status, error.error.code, error.stream_id) == ("error", 404, "model_not_found", "a")
        (error,) = run(connection, model="chat-model", input="hi", previous_response_id="resp_gone", store=False)
        assert error.error.code == "previous_response_not_found"
        connection.response.steer(previous_response_id="resp_gone", input="left")
        failed: Any = connection.recv()
        assert (failed.type, failed.error.code) == ("response.steer.failed", "steering_not_supported")
        assert run(connection, model="chat-model", input="pong")[-1].type == "response.completed"
