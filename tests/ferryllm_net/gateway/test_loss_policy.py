"""`loss_policy` of a route, from the file to the client (translation.md G4, G5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.wired import answer, wired

pytestmark = pytest.mark.anyio

ROUTES = """
[[providers]]
name = "own"
type = "openai_responses"
base_url = "http://127.0.0.1:1/v1"
[[routes]]
match = "strict"
provider = "own"
loss_policy = "strict"
[[routes]]
match = "lenient"
provider = "own"
loss_policy = "lenient"
[[routes]]
match = "report"
provider = "own"
"""
ANSWER = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "usage": {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 4,
    },
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "hello", "annotations": []}],
        }
    ],
}


def messages(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}], **fields}


@pytest.mark.parametrize(
    ("model", "fields", "lost"),
    [
        ("strict", {"top_k": 4}, "refused top_k"),
        ("report", {"stop_sequences": ["END"]}, "refused stop_sequences"),
    ],
)
async def test_g5_a_refusal_reaches_nobody_else(model: str, fields: dict[str, Any], lost: str) -> None:
    async with wired(more=ROUTES) as w:
        near = await w.begin("/v1/messages", messages(model, **fields))
        status, headers, body = await answer(near)
        assert status == 400
        assert headers["x-ferryllm-loss"] == lost
        error = json.loads(body)["error"]
        assert error["type"] == "invalid_request_error"
        assert lost.partition(" ")[2] in error["message"]
        await near.aclose()
        await w.settle()
        assert w.upstream.dialled == 0


@pytest.mark.parametrize(
    ("model", "fields", "lost"),
    [
        ("strict", {}, None),
        ("report", {"top_k": 4}, "dropped top_k"),
        ("lenient", {"stop_sequences": ["END"]}, "dropped stop_sequences"),
    ],
)
async def test_g5_what_is_carried_goes_and_what_is_lost_is_told(
    model: str, fields: dict[str, Any], lost: str | None
) -> None:
    async with wired(more=ROUTES) as w:
        near = await w.begin("/v1/messages", messages(model, **fields))
        far, _, body = await w.provider()
        assert not {"stop", "stop_sequences", "top_k"} & json.loads(body).keys()
        data = json.dumps(ANSWER).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        await far.send(head.encode() + data)
        status, headers, found = await answer(near)
        assert status == 200
        assert headers.get("x-ferryllm-loss") == lost
        assert json.loads(found)["content"][0]["text"] == "hello"
        await near.aclose()
        await w.settle()
