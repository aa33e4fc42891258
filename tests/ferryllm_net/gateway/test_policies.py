"""Policies of the configuration at work between a client and a provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.wired import SSE_HEAD, Wired, answer, ask, chunked, whole, wired

pytestmark = pytest.mark.anyio

APP = "https://app.example.com"
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
DONE = {"id": "c", "object": "chat.completion", "created": 1, "model": "real-chat", "choices": [CHOICE]}


async def sent(w: Wired, path: str, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> tuple[bytes, bytes]:
    """The request (head, body) that a provider gets for a client's."""
    near = await w.begin(path, body, headers=headers)
    far, head, found = await w.provider()
    await far.send(whole(json.dumps(DONE).encode(), 200, "connection: close"))
    await answer(near)
    await near.aclose()
    await w.settle()
    return head, found


async def test_a_cap_reaches_bytes_that_pass_through_and_nothing_else_changes() -> None:
    async with wired(more='[reasoning]\npolicy = "cap"\nmax_effort = "low"\n') as w:
        body = b'{ "model":"chat-x", "reasoning_effort" : "high","messages":[{"role":"user","content":"h\\u0069"}] }'
        _, found = await sent(w, "/v1/chat/completions", body)
        assert found == body.replace(b'"chat-x"', b'"real-chat"').replace(b'"high"', b'"low"')


@pytest.mark.parametrize(("asked", "got"), [({"reasoning_effort": "high"}, "medium"), ({}, "low")])
async def test_the_same_cap_reaches_what_is_translated(asked: dict[str, Any], got: str) -> None:
    server = 'reasoning_policy = "cap"\ndefault_reasoning_effort = "low"\nmax_reasoning_effort = "medium"\n'
    async with wired(server=server) as w:
        body = {"model": "resp-x", "messages": [{"role": "user", "content": "hi"}], **asked}
        _, found = await sent(w, "/v1/chat/completions", body)
        assert json.loads(found)["reasoning"]["effort"] == got


async def test_prompts_are_marked_and_keyed_where_they_are_translated_and_left_alone_where_they_pass() -> None:
    async with wired() as w:
        body = {
            "model": "msg-x",
            "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
        }
        _, found = await sent(w, "/v1/chat/completions", body)
        assert found.count(b'"cache_control":{"type":"ephemeral"}') == 2
        _, found = await sent(w, "/v1/chat/completions", body | {"model": "resp-x"})
        assert json.loads(found)["prompt_cache_key"].startswith("ferryllm:")
        own = json.dumps(ask("msg-x", stream=False)).encode()
        _, found = await sent(w, "/v1/messages", own)
        assert found == own.replace(b'"msg-x"', b'"real-msg"')


async def test_headers_are_chosen_and_credentials_stay() -> None:
    more = '[headers]\nmode = "passthrough"\nforce = { "X-Team" = "blue" }\nuser_agent = ""\n'
    async with wired(more=more) as w:
        head, _ = await sent(
            w,
            "/v1/chat/completions",
            ask("chat-x", stream=False),
            (("X-Trace", "t1"), ("Cookie", "a=b"), ("X-Team", "red"), ("User-Agent", "agent/1")),
        )
        lines = head.decode().lower().split("\r\n")
        assert {"x-trace: t1", "x-team: blue"} <= set(lines)
        assert not [line for line in lines if "a=b" in line or "red" in line or "agent/1" in line]
        assert len([line for line in lines if line.startswith("user-agent: ferryllm/")]) == 1
        assert len([line for line in lines if line.startswith("authorization:")]) == 1


async def test_bodies_are_transformed_before_anything_else_reads_them() -> None:
    more = '[[transforms]]\ntype = "drop"\npath = "$.metadata"\n[[transforms]]\ntype = "regex"\npattern = "secret"\n'
    async with wired(more=more) as w:
        body = b'{"model":"chat-x","metadata":{"a":1}, "messages":[{"role":"user","content":"a secret"}]}'
        _, found = await sent(w, "/v1/chat/completions", body)
        assert found == b'{"model":"real-chat", "messages":[{"role":"user","content":"a "}]}'


async def test_a_page_is_let_in_where_it_is_named() -> None:
    async with wired(more=f'[cors]\nallow_origins = ["{APP}"]\n') as w:
        near = w.rig.connect(1 << 20)
        await near.send(
            f"OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: {APP}\r\n"
            "access-control-request-method: POST\r\naccess-control-request-headers: authorization\r\n\r\n".encode()
        )
        head = (await near.receive_until(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 204")
        assert f"access-control-allow-origin: {APP}" in head
        assert "access-control-allow-headers: authorization" in head
        await near.aclose()
        near = await w.begin(
            "/v1/chat/completions",
            ask("chat-x", stream=False),
            headers=(("origin", APP), ("sec-fetch-site", "cross-site")),
        )
        far, _, _ = await w.provider()
        await far.send(whole(json.dumps(DONE).encode(), 200, "connection: close"))
        status, fields, _ = await answer(near)
        assert (status, fields["access-control-allow-origin"]) == (200, APP)
        await near.aclose()
        await w.settle()


@pytest.mark.parametrize("more", ["", f'[cors]\nallow_origins = ["{APP}"]\n'])
async def test_other_pages_stay_outside(more: str) -> None:
    async with wired(more=more) as w:
        near = await w.begin("/v1/chat/completions", ask(), headers=(("origin", "https://evil.example"),))
        status, fields, _ = await answer(near)
        assert status == 403
        assert "access-control-allow-origin" not in fields
        await near.aclose()
        await w.settle()


ANSWERS = """
[[transforms]]
type = "drop"
on = ["response", "stream"]
path = "$..system_fingerprint"
[[transforms]]
type = "add"
on = ["response"]
path = "$"
name = "checked"
value = true
"""


async def test_answers_are_transformed_whole_and_event_by_event() -> None:
    async with wired(more=ANSWERS) as w:
        near = await w.begin("/v1/chat/completions", ask("chat-x", stream=False))
        far, _, _ = await w.provider()
        await far.send(whole(json.dumps({**DONE, "system_fingerprint": "f"}).encode(), 200, "connection: close"))
        found = json.loads((await answer(near))[2])
        assert "system_fingerprint" not in found
        assert found["checked"] is True
        await near.aclose()
        near = await w.begin("/v1/chat/completions", ask("chat-x"))
        far, _, _ = await w.provider()
        delta = {"index": 0, "delta": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
        chunk = {**DONE, "object": "chat.completion.chunk", "choices": [delta], "system_fingerprint": "f"}
        await far.send(SSE_HEAD + chunked(b"data: %b\n\n" % json.dumps(chunk).encode(), b"data: [DONE]\n\n"))
        body = (await answer(near))[2]
        assert body.endswith(b"data: [DONE]\n\n")
        assert b'"content": "ok"' in body
        assert b"system_fingerprint" not in body
        assert b"checked" not in body
        await near.aclose()
        await w.settle()


async def test_an_answer_that_the_gateway_keeps_is_transformed_and_kept() -> None:
    async with wired(more=ANSWERS) as w:
        near = await w.begin("/v1/responses", {"model": "chat-x", "input": "hi"})
        far, _, _ = await w.provider()
        await far.send(whole(json.dumps(DONE).encode(), 200, "connection: close"))
        status, _, body = await answer(near)
        found = json.loads(body)
        assert (status, found["checked"], found["store"]) == (200, True, True)
        await near.aclose()
        await w.settle()
        near = await w.begin("/v1/responses", {"model": "chat-x", "input": "and", "previous_response_id": found["id"]})
        far, _, asked = await w.provider()
        assert [turn["content"] for turn in json.loads(asked)["messages"]] == ["hi", "ok", "and"]
        await far.send(whole(json.dumps(DONE).encode(), 200, "connection: close"))
        assert (await answer(near))[0] == 200
        await near.aclose()
        await w.settle()
