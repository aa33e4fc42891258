"""Other providers' material through clients that keep nothing but ``thinking``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir, opaque
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialects.ollama import DIALECT, carrier

from .build import joined, written

SIGNATURE = ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.SIGNATURE, "sig")
OTHER = ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.SIGNATURE, "other")
REDACTED = ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.REDACTED, "red")
ENCRYPTED = ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "enc", "rs_1")
THOUGHT = ir.Opaque("gemini", "gemini-3", ir.OpaqueKind.THOUGHT_SIGNATURE, "ts")
CALL = ir.ToolCall("call_1", "f", "{}")
SECOND = ir.ToolCall("call_2", "g", "{}")

TURNS: dict[str, tuple[ir.Part, ...]] = {
    "signed thought": (ir.Reasoning("thought", opaque=(SIGNATURE,)), CALL),
    "before the text": (ir.Reasoning("thought", opaque=(SIGNATURE,)), ir.Text("x"), CALL),
    "between text and call": (ir.Text("x"), ir.Reasoning("thought", opaque=(SIGNATURE,)), CALL),
    "two thoughts": (
        ir.Reasoning("one", opaque=(SIGNATURE,)),
        ir.Reasoning("two", opaque=(OTHER,)),
        ir.Text("x"),
        CALL,
    ),
    "redacted": (ir.Reasoning("one", opaque=(SIGNATURE,)), ir.Reasoning(opaque=(REDACTED,)), ir.Text("x"), CALL),
    "encrypted": (ir.Reasoning(summary=("sum",), opaque=(ENCRYPTED,), id="rs_1"), CALL),
    "encrypted without words": (ir.Reasoning(opaque=(ENCRYPTED,), id="rs_1"), CALL),
    "one for each call": (ir.Reasoning(opaque=(THOUGHT,)), CALL, ir.Reasoning(opaque=(THOUGHT,)), SECOND),
    "plain, then proven": (ir.Reasoning("plain"), ir.Reasoning("two", opaque=(SIGNATURE,)), ir.Text("x"), CALL),
    "of the second call": (CALL, ir.Reasoning("later", opaque=(SIGNATURE,)), SECOND),
    "two proofs of one thought": (ir.Reasoning("t", opaque=(SIGNATURE, OTHER)), CALL),
}


def returned(message: dict[str, Any]) -> tuple[ir.Part, ...]:
    """The assistant's turn as the Python client sends it back: without ids, unknown fields and index."""
    kept: dict[str, Any] = {name: message[name] for name in ("role", "content", "thinking") if name in message}
    kept["tool_calls"] = [
        {"function": {name: one["function"][name] for name in ("name", "arguments")}} for one in message["tool_calls"]
    ]
    request = DIALECT.decode_request(json.dumps({"model": "m", "messages": [kept]}).encode())
    return tuple(_bare(part) for part in request.turns[0].parts)


def _bare(part: ir.Part) -> ir.Part:
    if isinstance(part, ir.Reasoning):
        return ir.Reasoning(part.text, part.summary, part.opaque, part.id)
    if isinstance(part, ir.ToolCall):
        return ir.ToolCall("call_1" if part.name == "f" else "call_2", part.name, part.arguments)
    assert isinstance(part, ir.Text)
    return ir.Text(part.text)


@pytest.mark.parametrize("name", TURNS)
def test_material_comes_back_where_it_was(name: str) -> None:
    response = ir.Response("", "m", TURNS[name], finish=ir.FinishReason.TOOL_USE)
    whole = json.loads(DIALECT.encode_response(response))
    streamed = joined(written(play(response))[0])
    assert whole["message"] == streamed["message"]
    assert returned(whole["message"]) == TURNS[name]


def test_material_on_a_call_comes_back_as_a_thought_before_it() -> None:
    call = ir.ToolCall("call_2", "g", "{}", opaque=(THOUGHT,))
    message = json.loads(DIALECT.encode_response(ir.Response("", "m", (ir.Text("x"), CALL, call))))["message"]
    assert message["thinking"].startswith("\n[ferry1.")
    assert message["thinking"].endswith("@1]")
    assert returned(message) == (ir.Text("x"), CALL, ir.Reasoning(opaque=(THOUGHT,)), SECOND)


def test_without_a_call_nothing_is_added_and_the_loss_is_reported() -> None:
    response = ir.Response("", "m", (ir.Reasoning("t", opaque=(SIGNATURE,)), ir.Text("x")))
    data, losses = written(play(response))
    assert joined(data)["message"]["thinking"] == "t"
    assert [str(loss)[:30] for loss in losses] == ["dropped thinking.signature: cl"]


def token(material: ir.Opaque, rest: str = "") -> str:
    return f"\n[{opaque.wrap(material)}{rest}]"


def test_a_signature_over_changed_words_is_worth_nothing() -> None:
    message = json.loads(DIALECT.encode_response(ir.Response("", "m", TURNS["signed thought"])))["message"]
    message["thinking"] = message["thinking"].replace("thought", "changed")
    assert returned(message) == (ir.Reasoning("changed"), CALL)


def test_material_that_needs_no_words_survives_their_change() -> None:
    message = json.loads(DIALECT.encode_response(ir.Response("", "m", TURNS["encrypted"])))["message"]
    message["thinking"] = message["thinking"].replace("sum", "")
    assert returned(message) == (ir.Reasoning(opaque=(ENCRYPTED,), id="rs_1"), CALL)


def test_damaged_envelopes_are_nothing() -> None:
    for text in ("\n[ferry1.]", "\n[ferry1.abc.def@0]", token(SIGNATURE)[:-4] + "]", token(SIGNATURE, "@0:9-1.abcd")):
        assert carrier.read("t" + text, 1, "p").first == (ir.Reasoning("t", path="p"),)


def test_the_place_of_a_call_that_is_gone_is_before_the_text() -> None:
    found = carrier.read(token(REDACTED, "@7"), 1, "p")
    assert found == carrier.Thoughts((ir.Reasoning(opaque=(REDACTED,), path="p"),))


def test_words_in_brackets_are_words() -> None:
    assert carrier.read("[ferry1 is a name]", 1, "p").first == (ir.Reasoning("[ferry1 is a name]", path="p"),)
    assert carrier.read("", 1, "p") == carrier.Thoughts()


def test_the_same_dialect_gets_the_thinking_without_envelopes() -> None:
    message = json.loads(DIALECT.encode_response(ir.Response("", "m", TURNS["signed thought"])))["message"]
    body = json.dumps({"model": "m", "messages": [message]}).encode()
    upstream, losses = DIALECT.encode_request(DIALECT.decode_request(body))
    assert json.loads(upstream.body)["messages"][0]["thinking"] == "thought"
    assert [loss.path for loss in losses] == ["messages[0].thinking"]
