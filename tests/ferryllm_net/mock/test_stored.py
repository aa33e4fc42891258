"""What the Responses mock keeps, for how long, and what becomes of requests that go on from it."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from ferryllm_net.mock import stored as module
from ferryllm_net.mock.stored import StoredAnswers
from ferryllm_proto import ir

from .client import running

ASK: dict[str, Any] = {"role": "user", "content": "hi"}
THOUGHT: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "summary": []}
SAID: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
PROMPT = 'mock: tool=get_weather {"city":"Paris"}\nmock: then=it is sunny\nmock: reasoning=let me think'


def made(id_: str = "resp_1", status: str = "completed", *output: dict[str, Any]) -> bytes:
    return json.dumps({"id": id_, "status": status, "output": list(output or (THOUGHT, SAID))}).encode()


def kept(body: Any = None) -> StoredAnswers:
    stored = StoredAnswers()
    stored.keep(body or {"model": "m", "input": [ASK]}, made())
    return stored


@pytest.mark.parametrize(
    ("asked", "items"),
    [
        (
            {"previous_response_id": "resp_1", "input": "more"},
            [ASK, THOUGHT, SAID, {"role": "user", "content": "more"}],
        ),
        ({"previous_response_id": "resp_1"}, [ASK, THOUGHT, SAID]),
        ({"input": [ASK, {"type": "item_reference", "id": "rs_1"}, {"id": "msg_1"}]}, [ASK, THOUGHT, SAID]),
        ({"input": [{"id": "rs_1", "role": "user"}]}, [{"id": "rs_1", "role": "user"}]),
    ],
)
def test_what_is_kept_is_put_in_its_place(asked: dict[str, Any], items: list[Any]) -> None:
    assert kept().whole({"model": "m", **asked}) == {"model": "m", "input": items}


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {"previous_response_id": "resp_9", "input": "x"},
        {"previous_response_id": ["resp_1"]},
        {"previous_response_id": "resp_1", "input": 7},
        {"input": [{"type": "item_reference", "id": "rs_9"}, {"type": "item_reference", "id": {}}, 7]},
    ],
)
def test_what_is_not_kept_stays_for_the_rules(asked: Any) -> None:
    assert kept().whole(asked) == asked


@pytest.mark.parametrize("response", [b"", b"{}", made("resp_1", "failed")])
def test_an_answer_that_failed_is_not_kept(response: bytes) -> None:
    stored = StoredAnswers()
    stored.keep({"input": "hi"}, response)
    assert (len(stored), "rs_1" in stored) == (0, False)


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWERS", 3)
    stored = StoredAnswers()
    for n in range(5):
        stored.keep({"input": "hi"}, made(f"resp_{n}", "incomplete", {**SAID, "id": f"msg_{n}"}))
        stored.keep({"input": "hi"}, made(f"resp_{n}", "completed", {**SAID, "id": f"msg_{n}"}))
    assert len(stored) == 3
    assert [n for n in range(5) if f"msg_{n}" in stored] == [2, 3, 4]
    monkeypatch.setattr(module, "MAX_BYTES", 2000)
    stored.keep({"input": "x" * 1900}, made("resp_big"))
    assert len(stored) == 0, "it is larger than all that is kept"
    assert "msg_4" not in stored


def test_what_is_kept_can_be_read_and_deleted() -> None:
    stored = kept()
    assert stored.answer("GET", "/v1/responses/resp_1") == made()
    items = stored.answer("GET", "/v1/responses/resp_1/input_items")
    assert isinstance(items, bytes)
    assert [item["role"] for item in json.loads(items)["data"]] == ["user"]
    for method, path in (("POST", "/v1/responses/resp_1"), ("GET", "/v1/models/x"), ("GET", "/v1/responses/x/cancel")):
        assert stored.answer(method, path) is None
    assert stored.answer("DELETE", "/v1/responses/resp_1") == b'{"id":"resp_1","object":"response","deleted":true}'
    gone = stored.answer("GET", "/v1/responses/resp_1")
    assert isinstance(gone, ir.Error)
    assert gone.kind is ir.ErrorKind.NOT_FOUND
    assert "rs_1" not in stored


# --- on the wire -----------------------------------------------------------------------------------------


def _loop(client: openai.OpenAI, way: str, *, store: bool, stream: bool) -> Any:
    def ask(**fields: Any) -> Any:
        if not stream:
            return client.responses.create(model="demo", tools=[TOOL], store=store, **fields)
        with client.responses.stream(model="demo", tools=[TOOL], store=store, **fields) as events:
            return events.get_final_response()

    first = ask(input=PROMPT)
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    if way == "previous":
        return ask(input=[result], previous_response_id=first.id)
    asked = {"role": "user", "content": PROMPT}
    if way == "references":
        return ask(input=[asked, *({"type": "item_reference", "id": item.id} for item in first.output), result])
    # As clients send what they got: reasoning by its id, without its encrypted content.
    output = [item.to_dict() | {"encrypted_content": None} for item in first.output]
    return ask(input=[asked, *output, result])


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("way", ["previous", "references", "items"])
async def test_a_conversation_goes_on_from_what_is_kept(way: str, stream: bool) -> None:
    async with running() as client:
        last = await client.openai(lambda sdk: _loop(sdk, way, store=True, stream=stream))
        assert last.output_text == "it is sunny"
        assert last.store is True
        assert (last.previous_response_id is not None) == (way == "previous")
        read = await client.openai(lambda sdk: sdk.responses.retrieve(last.id))
        assert read.output_text == "it is sunny"


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["previous", "references", "items"])
async def test_what_was_not_to_be_stored_is_not_gone_on_from(way: str) -> None:
    async with running() as client:
        with pytest.raises(openai.APIStatusError, match="not found") as caught:
            await client.openai(lambda sdk: _loop(sdk, way, store=False, stream=False))
    assert caught.value.status_code == (400 if way == "previous" else 404)
