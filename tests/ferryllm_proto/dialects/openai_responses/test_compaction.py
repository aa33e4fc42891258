"""A summary of ours goes out sealed and comes back as words; nobody else's is touched."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.dialects.openai_responses.compaction import MINTER, answer, question, summary_of
from ferryllm_proto.errors import RemoteProtocolError

TOOLS = b'[{"type":"function","name":"f","parameters":{}}]'
BODY = (
    b'{"model":"m","instructions":"be short","stream":true,"store":true,"text":{"format":{"type":"json_object"}},'
    b'"tools":%b,"input":[{"role":"developer","content":"d"},{"role":"user","content":"one"},'
    b'{"role":"assistant","content":"two"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},'
    b'{"type":"function_call_output","call_id":"c","output":"3"},{"type":"message","role":"user","content":"four"}]}'
) % TOOLS


def test_the_question_is_the_conversation_and_the_wish_for_a_summary() -> None:
    asked = json.loads(question(BODY))
    assert (asked["model"], asked["instructions"], asked["tool_choice"]) == ("m", "be short", "none")
    assert not {"stream", "store", "text"} & set(asked)
    assert len(asked["input"]) == 7
    assert asked["input"][-1]["role"] == "user"
    assert "summary" in asked["input"][-1]["content"][0]["text"]
    assert "tool_choice" not in json.loads(question(b'{"model":"m","input":"hi"}'))


def test_nothing_can_not_be_compacted() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        question(b'{"model":"m"}')
    assert caught.value.error.param == "input"


def test_the_answer_is_the_users_messages_and_the_summary() -> None:
    made = json.loads(answer(BODY, "they counted", ir.Usage(input=9, output=2), seed=1, created=5, estimate=0))
    assert (made["object"], made["created_at"]) == ("response.compaction", 5)
    assert made["usage"]["total_tokens"] == 11
    *users, item = made["output"]
    assert [user["content"][0]["text"] for user in users] == ["one", "four"]
    assert item["type"] == "compaction"
    assert "they counted" not in item["encrypted_content"]
    text = summary_of(json.dumps(item).encode())
    assert text is not None
    assert text.endswith("they counted")


def test_only_a_summary_of_ours_is_read() -> None:
    theirs = opaque.wrap(ir.Opaque("openai", "m", ir.OpaqueKind.ENCRYPTED, "x"))
    damaged = opaque.wrap(ir.Opaque(MINTER, "", ir.OpaqueKind.ENCRYPTED, "x"))[:-1] + "!"
    for token in ("gAAAA", theirs, damaged, None, 7):
        assert summary_of(json.dumps({"type": "compaction", "encrypted_content": token}).encode()) is None
    assert summary_of(b"{}") is None
    assert summary_of(b"[") is None


def test_the_model_reads_the_summary_in_its_place() -> None:
    made = json.loads(answer(BODY, "they counted", None, seed=1, created=5, estimate=0))
    request = DIALECTS["openai_responses"].decode_request(json.dumps({"model": "m", "input": made["output"]}).encode())
    assert [turn.role for turn in request.turns] == [ir.Role.USER] * 3
    part = request.turns[2].parts[0]
    assert isinstance(part, ir.Text)
    assert part.text.endswith("they counted")
    foreign = DIALECTS["openai_responses"].decode_request(
        b'{"model":"m","input":[{"type":"compaction","encrypted_content":"gAAAA"}]}'
    )
    assert isinstance(foreign.turns[0].parts[0], ir.Hosted), "a provider's own stays sealed"
