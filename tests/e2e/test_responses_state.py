"""Responses that go on from each other, through the openai SDK: of providers that keep nothing, the gateway does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import anyio.from_thread
import openai
import pytest
from openai.types.responses import Response

from ferryllm_net.mock import MockProvider, serve_mock
from support.gateways import Running, gateway
from support.planted import CLIENT_KEY

pytestmark = pytest.mark.timeout(60)

OTHER_KEY = "other-key-0123"
AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"\n'
MODELS = ("chat-model", "msg-model", "forgetful-model")
FORGETFUL = """
[[providers]]
name = "forgetful"
type = "openai_responses"
base_url = "http://127.0.0.1:{port}/v1"
keeps_responses = false
[[routes]]
match = "forgetful-"
provider = "forgetful"
"""


class Served:
    """A gateway in a thread of its own, and a client for each of two keys."""

    def __init__(self, running: Running, mock: MockProvider) -> None:
        self.mock = mock
        url = f"{running.base_url}/v1"
        self.client = openai.OpenAI(base_url=url, api_key=CLIENT_KEY, max_retries=0)
        self.other = openai.OpenAI(base_url=url, api_key=OTHER_KEY, max_retries=0)

    @property
    def asked(self) -> Any:
        """The body of the last request the provider got."""
        return self.mock.requests[-1].json()

    def close(self) -> None:
        self.client.close()
        self.other.close()


@contextlib.asynccontextmanager
async def _both() -> AsyncIterator[tuple[Running, MockProvider]]:
    mock = MockProvider()
    async with serve_mock(mock) as base_url:
        port = urlsplit(base_url).port
        assert port is not None
        async with gateway(port, more=AUTH + FORGETFUL.format(port=port)) as running:
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


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def said(asked: Any) -> list[str]:
    """The texts of a request in order, whatever its dialect."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            text = value.get("text")
            if isinstance(text, str):
                found.append(text)
            for name, inner in value.items():
                if name == "content" and isinstance(inner, str):
                    found.append(inner)
                elif name in ("content", "input", "messages"):
                    walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(asked)
    return [text.strip() for text in found]


def kept(answer: Response) -> object:
    """What the answer says about being kept: the SDK's type does not have it."""
    return answer.to_dict()["store"]


# --- going on --------------------------------------------------------------------------------------------


def test_a_second_turn_brings_the_first_one_with_it(served: Served, model: str) -> None:
    first = served.client.responses.create(model=model, input="mock: text=Lyon\nWhere?", instructions="Be short.")
    assert (first.output_text, kept(first), first.previous_response_id) == ("Lyon", True, None)
    second = served.client.responses.create(
        model=model, input=[{"role": "user", "content": "mock: text=sunny"}], previous_response_id=first.id
    )
    assert (second.output_text, kept(second)) == ("sunny", True)
    assert second.previous_response_id == first.id != second.id
    assert said(served.asked) == ["mock: text=Lyon\nWhere?", "Lyon", "mock: text=sunny"]
    assert "Be short." not in str(served.asked), "instructions do not carry over"
    assert "previous_response_id" not in served.asked
    third = served.client.responses.create(model=model, input="mock: text=bye", previous_response_id=second.id)
    assert said(served.asked)[-3:] == ["mock: text=sunny", "sunny", "mock: text=bye"]
    assert len(said(served.asked)) == 5
    assert third.previous_response_id == second.id


def test_a_streamed_turn_is_kept_like_a_whole_one(served: Served, model: str) -> None:
    with served.client.responses.stream(model=model, input="mock: text=one") as stream:
        events = list(stream)
        first = stream.get_final_response()
    created = next(event.response for event in events if event.type == "response.created")
    assert (created.id, kept(created), kept(first)) == (first.id, True, True)
    with served.client.responses.stream(model=model, input="mock: text=two", previous_response_id=first.id) as stream:
        second = stream.get_final_response()
    assert second.previous_response_id == first.id
    assert said(served.asked) == ["mock: text=one", "one", "mock: text=two"]
    assert served.client.responses.retrieve(second.id).output_text == "two"


def test_the_output_of_a_call_finds_its_call(served: Served, model: str) -> None:
    tools: Any = [
        {
            "type": "function",
            "name": "weather",
            "strict": False,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        }
    ]
    first = served.client.responses.create(
        model=model, tools=tools, input='mock: tool=weather {"city":"Lyon"}\nmock: text=done'
    )
    call = next(item for item in first.output if item.type == "function_call")
    second = served.client.responses.create(
        model=model,
        tools=tools,
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
    )
    assert second.status == "completed"
    assert "sunny" in str(served.asked)
    assert '"city"' in str(served.asked) or "'city'" in str(served.asked)


def test_a_conversation_may_change_its_provider(served: Served) -> None:
    first = served.client.responses.create(model="chat-model", input="mock: text=one")
    second = served.client.responses.create(model="msg-model", input="mock: text=two", previous_response_id=first.id)
    third = served.client.responses.create(model="resp-model", input="mock: text=three", previous_response_id=second.id)
    assert said(served.asked) == ["mock: text=one", "one", "mock: text=two", "two", "mock: text=three"]
    assert (third.previous_response_id, kept(third)) == (second.id, True)
    fourth = served.client.responses.create(model="resp-model", input="mock: text=four", previous_response_id=third.id)
    assert fourth.previous_response_id == served.asked["previous_response_id"] == third.id


def test_items_of_earlier_answers_can_be_referred_to(served: Served, model: str) -> None:
    first = served.client.responses.create(model=model, input="mock: text=Lyon\nmock: reasoning=a city in France")
    asked = served.client.responses.input_items.list(first.id).data[0]
    references: Any = [{"type": "item_reference", "id": item.id} for item in (asked, *first.output)]
    for client in (served.client, served.other):
        ask: Any = {"model": model, "input": [*references, {"role": "user", "content": "mock: text=sunny"}]}
        if client is served.client:
            second = client.responses.create(**ask)
            assert said(served.asked)[-3:] == [
                "mock: text=Lyon\nmock: reasoning=a city in France",
                "Lyon",
                "mock: text=sunny",
            ]
            assert second.output_text == "sunny"
        else:
            with pytest.raises(openai.NotFoundError) as caught:
                client.responses.create(**ask)
            assert caught.value.param == "input"
            assert f"Item with id '{references[0]['id']}' not found." in caught.value.message
    served.client.responses.delete(first.id)
    third: Any = {"model": model, "input": [references[-1], {"role": "user", "content": "mock: text=bye"}]}
    assert served.client.responses.create(**third).output_text == "bye", "the second answer has them too"
    served.client.responses.delete(second.id)


def test_what_is_not_to_be_kept_is_not(served: Served, model: str) -> None:
    answer = served.client.responses.create(model=model, input="hi", store=False)
    assert kept(answer) is False
    with pytest.raises(openai.NotFoundError):
        served.client.responses.retrieve(answer.id)
    with pytest.raises(openai.BadRequestError) as caught:
        served.client.responses.create(model=model, input="more", previous_response_id=answer.id)
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"


def test_another_keys_answer_does_not_exist(served: Served, model: str) -> None:
    mine = served.client.responses.create(model=model, input="hi")
    responses = served.other.responses
    with pytest.raises(openai.BadRequestError) as caught:
        responses.create(model=model, input="more", previous_response_id=mine.id)
    assert caught.value.code == "previous_response_not_found"
    for ask in (responses.retrieve, responses.delete, responses.cancel, responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            ask(mine.id)
    assert served.client.responses.retrieve(mine.id).id == mine.id


# --- reading, listing, cancelling, deleting --------------------------------------------------------------


def test_an_answer_is_read_again_as_it_was(served: Served, model: str) -> None:
    made = served.client.responses.create(model=model, input="mock: text=hello", metadata={"a": "b"})
    again = served.client.responses.retrieve(made.id)
    assert again.to_dict() == made.to_dict()


def test_a_kept_answer_is_not_streamed_again(served: Served) -> None:
    made = served.client.responses.create(model="chat-model", input="hi")
    with pytest.raises(openai.BadRequestError) as caught:
        served.client.responses.retrieve(made.id, stream=True)
    assert caught.value.param == "stream"


def test_a_deleted_answer_is_gone(served: Served, model: str) -> None:
    made = served.client.responses.create(model=model, input="hi")
    raw = served.client.responses.with_raw_response.delete(made.id)
    assert raw.http_response.json() == {"id": made.id, "object": "response", "deleted": True}
    with pytest.raises(openai.NotFoundError):
        served.client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        served.client.responses.retrieve(made.id)


def test_only_background_answers_can_be_cancelled(served: Served, model: str) -> None:
    made = served.client.responses.create(model=model, input="hi")
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        served.client.responses.cancel(made.id)
    with pytest.raises(openai.BadRequestError) as caught:
        served.client.responses.create(model=model, input="hi", background=True)
    assert caught.value.param == "background"
    with pytest.raises(openai.BadRequestError) as caught:
        served.client.responses.create(model=model, input="hi", conversation="conv_1")
    assert caught.value.param == "conversation"


def test_the_input_of_an_answer_is_listed_in_pages(served: Served, model: str) -> None:
    first = served.client.responses.create(model=model, input="mock: text=one")
    second: Response = served.client.responses.create(
        model=model,
        previous_response_id=first.id,
        input=[{"role": "user", "content": f"mock: text=two\nword {n}"} for n in range(3)],
    )
    pages = served.client.responses.input_items.list(second.id, limit=2)
    assert pages.has_more
    items = [item.to_dict() for item in pages]
    assert [item["role"] for item in items] == ["user", "user", "user", "assistant", "user"]
    assert all(str(item["id"]).startswith("msg_") for item in items)
    assert len({str(item["id"]) for item in items}) == 5
    assert "word 2" in str(items[0])
    forward = [item.to_dict() for item in served.client.responses.input_items.list(second.id, order="asc")]
    assert forward == items[::-1]
    with pytest.raises(openai.BadRequestError) as caught:
        served.client.responses.input_items.list(second.id, limit=101)
    assert caught.value.param == "limit"
    with pytest.raises(openai.BadRequestError):
        served.client.responses.input_items.list(second.id, after="msg_none")


# --- compacting and counting -----------------------------------------------------------------------------


def test_a_compacted_conversation_goes_on_with_a_summary(served: Served, model: str) -> None:
    first = served.client.responses.create(model=model, input="mock: text=Lyon it is\nWhere shall we go?")
    raw = served.client.responses.with_raw_response.compact(
        model=model,
        previous_response_id=first.id,
        input=[{"role": "user", "content": "mock: text=They go to Lyon.\nthanks"}],
    )
    compacted = raw.parse()
    assert raw.headers["x-ferryllm-emulated"] == "compact"
    assert compacted.object == "response.compaction"
    assert compacted.usage.input_tokens > 0
    assert [item.type for item in compacted.output] == ["message", "message", "compaction"]
    assert "above is about to be shortened" in said(served.asked)[-1]
    items: Any = raw.http_response.json()["output"]  # the SDK has no type for the user messages among them
    served.client.responses.create(model=model, input=[*items, {"role": "user", "content": "mock: text=ok"}])
    texts = said(served.asked)
    assert texts[0].startswith("mock: text=Lyon it is")
    assert any("Summary of the conversation" in text for text in texts)
    assert texts[-1] == "mock: text=ok"


def test_the_tokens_of_the_whole_conversation_are_counted(served: Served) -> None:
    first = served.client.responses.create(model="chat-model", input="mock: text=ok\n" + "many words " * 200)
    short = served.client.responses.input_tokens.count(model="chat-model", input="hi")
    long = served.client.responses.input_tokens.count(model="chat-model", input="hi", previous_response_id=first.id)
    assert long.input_tokens > short.input_tokens + 300
