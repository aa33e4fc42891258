"""Turns to messages: what Chat cannot order or hold, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.loss import Loss

USER, ASSISTANT, SYSTEM = ir.Role.USER, ir.Role.ASSISTANT, ir.Role.SYSTEM
PNG = ir.Image(ir.Source(ir.SourceKind.BASE64, "AA==", "image/png"), path="messages[2].content[0].content[1]")


def encode(*turns: ir.Turn, model: str = "llama", **fields: Any) -> tuple[list[dict[str, Any]], list[Loss]]:
    request = ir.Request("anthropic", "claude", turns, **fields)
    upstream, losses = DIALECT.encode_request(request, model=model)
    messages: list[dict[str, Any]] = json.loads(upstream.body)["messages"]
    return messages, losses


def call(id_: str, arguments: str = "{}") -> ir.ToolCall:
    return ir.ToolCall(id_, "f", arguments)


def reasons(losses: list[Loss]) -> list[str]:
    return [f"{loss.disposition.value} {loss.path}" for loss in losses]


def test_a17_one_assistant_message_then_all_tool_messages_then_the_user() -> None:
    messages, losses = encode(
        ir.Turn(USER, (ir.Text("go"),)),
        ir.Turn(ASSISTANT, (ir.Text("A"), call("1"), call("2"))),
        ir.Turn(
            USER,
            (ir.ToolResult("1", (ir.Text("r1"),)), ir.Text("also"), ir.ToolResult("2", (ir.Text("r2"),))),
        ),
    )
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert messages[1]["content"] == "A"
    assert [c["id"] for c in messages[1]["tool_calls"]] == ["1", "2"]
    assert [m["tool_call_id"] for m in messages[2:4]] == ["1", "2"]
    assert messages[4]["content"] == "also"
    assert losses == []


def test_a18_a22_images_of_results_follow_the_whole_run_as_a_user_message() -> None:
    messages, losses = encode(
        ir.Turn(ASSISTANT, (call("1"), call("2"))),
        ir.Turn(
            USER, (ir.ToolResult("1", (ir.Text("see"), PNG)), ir.ToolResult("2", (ir.Text("r2"),)), ir.Text("and?"))
        ),
    )
    assert [m["role"] for m in messages] == ["assistant", "tool", "tool", "user"]
    assert [p["text"] for p in messages[1]["content"]] == ["see", "[image of tool result 1: see the next user message]"]
    assert [p["type"] for p in messages[3]["content"]] == ["text", "image_url", "text"]
    assert messages[3]["content"][1]["image_url"]["url"] == "data:image/png;base64,AA=="
    assert reasons(losses) == ["degraded messages[2].content[0].content[1]"]


def test_a19_missing_results_get_a_placeholder_and_orphans_become_text() -> None:
    messages, losses = encode(
        ir.Turn(ASSISTANT, (call("1"),)),
        ir.Turn(USER, (ir.ToolResult("9", (ir.Text("lost"),)),)),
    )
    assert [m["role"] for m in messages] == ["assistant", "tool", "user"]
    assert messages[1]["tool_call_id"] == "1"
    assert "[no result]" in messages[1]["content"]
    assert "lost" in json.dumps(messages[2]["content"])
    assert len(losses) == 2  # the placeholder and the orphan; its error flag is none of the client's


def test_a20_is_error_is_said_in_the_text_and_reported() -> None:
    messages, losses = encode(
        ir.Turn(ASSISTANT, (call("1"), call("2"))),
        ir.Turn(
            USER,
            (
                ir.ToolResult("1", (ir.Text("boom"),), is_error=True, path="messages[1].content[0]"),
                ir.ToolResult("2", is_error=True, path="messages[1].content[1]"),
            ),
        ),
    )
    assert messages[1]["content"] == "[error] boom"
    assert messages[2]["content"] == "[error] "
    assert reasons(losses) == [
        "degraded messages[1].content[0].is_error",
        "degraded messages[1].content[1].is_error",
    ]


def test_a21_an_empty_result_is_an_empty_string() -> None:
    messages, _ = encode(ir.Turn(ASSISTANT, (call("1"),)), ir.Turn(USER, (ir.ToolResult("1"),)))
    assert messages[1]["content"] == ""


def test_g8_texts_are_joined_without_anything_between_and_reported() -> None:
    messages, losses = encode(
        ir.Turn(ASSISTANT, (ir.Text("A", path="a"), call("1"), ir.Text("B", path="b"))),
        ir.Turn(USER, (ir.ToolResult("1"),)),
    )
    assert messages[0]["content"] == "AB"
    assert "degraded b" in reasons(losses)


def test_y10_a_turn_of_calls_has_null_content_and_an_empty_turn_is_not_sent() -> None:
    messages, _ = encode(
        ir.Turn(ASSISTANT, (call("1", ""),)), ir.Turn(USER, (ir.ToolResult("1"),)), ir.Turn(ASSISTANT, (ir.Text(""),))
    )
    assert messages[0]["content"] is None
    assert messages[0]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert [m["role"] for m in messages] == ["assistant", "tool"]


def test_a1_a2_a4_instructions_in_one_message_later_ones_in_place_billing_line_dropped() -> None:
    messages, losses = encode(
        ir.Turn(USER, (ir.Text("hi"),)),
        ir.Turn(SYSTEM, (ir.Text("later"),)),
        system=(
            ir.Text("x-anthropic-billing-header: cc=1;", path="system[0]"),
            ir.Text("a", path="system[1]"),
            ir.Text("b", path="system[2]"),
            ir.Text("", path="system[3]"),
        ),
    )
    assert messages[0] == {
        "role": "system",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    }
    assert messages[2] == {"role": "system", "content": "later"}
    assert reasons(losses) == ["dropped system[0]"]


def test_b17_the_role_of_instructions_is_the_models() -> None:
    for model, role in (("llama", "system"), ("gpt-5", "developer")):
        messages, _ = encode(model=model, system=(ir.Text("a"),))
        assert messages[0]["role"] == role


def test_a26_a27_foreign_thoughts_are_not_sent_and_reported() -> None:
    signature = ir.Opaque("anthropic", "claude", ir.OpaqueKind.SIGNATURE, "secret")
    messages, losses = encode(
        ir.Turn(ASSISTANT, (ir.Reasoning("why", opaque=(signature,), path="messages[0].content[0]"), ir.Text("x"))),
        ir.Turn(USER, (ir.Text("y"),)),
    )
    assert messages[:1] == [{"role": "assistant", "content": "x"}]
    assert reasons(losses) == ["dropped messages[0].content[0]"]


def test_own_details_go_back_to_the_model_that_made_them_only() -> None:
    entry = '{"type":"reasoning.encrypted","data":"d"}'
    turn = ir.Turn(
        ASSISTANT,
        (ir.Reasoning("", opaque=(ir.Opaque("openrouter", "x/m", ir.OpaqueKind.DETAILS, entry),)), ir.Text("x")),
    )
    more = ir.Turn(USER, (ir.Text("y"),))
    messages, losses = encode(turn, more, model="x/m")
    assert messages[0]["reasoning_details"] == [json.loads(entry)]
    assert losses == []
    messages, losses = encode(turn, more, model="x/other")
    assert "reasoning_details" not in messages[0]
    assert len(losses) == 1


def test_refusals_are_the_messages_refusal() -> None:
    refused = ir.Turn(ASSISTANT, (ir.Refusal("no", "input[0].content[0]"),))
    messages, losses = encode(refused, ir.Turn(USER, (ir.Text("y"),)))
    assert messages[:1] == [{"role": "assistant", "content": None, "refusal": "no"}]
    assert losses == []


def test_a14_long_and_strange_ids_are_fitted_alike_in_call_and_result() -> None:
    messages, _ = encode(
        ir.Turn(ASSISTANT, (call("functions.weather:0"), call("x" * 64))),
        ir.Turn(USER, (ir.ToolResult("functions.weather:0"), ir.ToolResult("x" * 64))),
    )
    sent = [c["id"] for c in messages[0]["tool_calls"]]
    assert [m["tool_call_id"] for m in messages[1:]] == sent
    assert all(len(id_) <= 40 for id_ in sent)
    assert len(set(sent)) == 2


def test_a29_a30_hosted_blocks_are_reported() -> None:
    messages, losses = encode(
        ir.Turn(ASSISTANT, (ir.Hosted("anthropic", "server_tool_use", b"{}", "p"), ir.Text("x"))),
        ir.Turn(USER, (ir.Hosted("anthropic", "container_upload", b"{}", "q"), ir.Text("y"))),
    )
    assert [m["content"] for m in messages] == ["x", [{"type": "text", "text": "y"}]]
    assert reasons(losses) == ["dropped p", "dropped q"]


def test_a_call_with_a_thought_signature_reaches_gemini_again() -> None:
    def signed(model: str) -> dict[str, Any]:
        signature = ir.Opaque("gemini", "gemini-3-pro", ir.OpaqueKind.THOUGHT_SIGNATURE, "ts")
        messages, _ = encode(
            ir.Turn(ASSISTANT, (ir.ToolCall("1", "f", "{}", opaque=(signature,)),)),
            ir.Turn(USER, (ir.ToolResult("1"),)),
            model=model,
        )
        sent: dict[str, Any] = messages[0]["tool_calls"][0]
        return sent

    assert signed("gemini-3-pro")["extra_content"] == {"google": {"thought_signature": "ts"}}
    assert "extra_content" not in signed("gpt-5")
