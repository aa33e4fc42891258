"""Turns as items: order, borders, and what has no place."""

from __future__ import annotations

from typing import Any

from ferryllm_proto import ir, json
from ferryllm_proto.dialects.openai_responses import DIALECT

U, A = ir.Role.USER, ir.Role.ASSISTANT


CALLED = ir.Turn(A, (ir.ToolCall("c", "f", "{}"),))


def items(*turns: ir.Turn, dialect: str = "anthropic", **fields: Any) -> tuple[list[Any], list[str]]:
    upstream, losses = DIALECT.encode_request(ir.Request(dialect, "m", turns=turns, **fields))
    return json.loads(upstream.body)["input"], [str(loss).split(":")[0] for loss in losses]


def test_g8_the_order_of_parts_is_kept() -> None:
    turn = ir.Turn(A, (ir.Text("a"), ir.ToolCall("c", "f", "{}"), ir.Text("b"), ir.ToolCall("d", "f", "{}")))
    sent, _ = items(turn)
    assert [item["type"] for item in sent] == ["message", "function_call", "message", "function_call"] + [
        "function_call_output"
    ] * 2


def test_results_and_text_of_one_turn_keep_their_order() -> None:
    _, *sent = items(CALLED, ir.Turn(U, (ir.ToolResult("c", (ir.Text("r"),)), ir.Text("and"), ir.Text("now"))))[0]
    assert [item["type"] for item in sent] == ["function_call_output", "message"]
    assert len(sent[1]["content"]) == 2


def test_b20_ids_of_answers_depend_on_their_place_alone() -> None:
    turns = (ir.Turn(U, (ir.Text("q"),)), ir.Turn(A, (ir.Text("a"),)))
    first, _ = items(*turns)
    longer, _ = items(*turns, ir.Turn(U, (ir.Text("more"),)))
    assert first == longer[:2]
    assert first[1]["id"].startswith("msg_")


def test_c14_names_and_marks_without_a_place_are_reported() -> None:
    mark = ir.CacheMark()
    call = ir.ToolCall(
        "c", "f", "{}", opaque=(ir.Opaque("gemini", "g", ir.OpaqueKind.THOUGHT_SIGNATURE, "s"),), cache=mark, path="b"
    )
    turns = (
        ir.Turn(U, (ir.Text("q"),), name="bob", path="a"),
        ir.Turn(A, (call, ir.Image(ir.Source(ir.SourceKind.URL, "u"), path="d"))),
        ir.Turn(U, (ir.ToolResult("c", cache=mark, path="e"),)),
    )
    _, losses = items(*turns)
    assert losses == [
        "dropped a.name",
        "dropped b",
        "dropped b.cache_control",
        "dropped d",
        "dropped e.cache_control",
    ]


def test_failed_results_with_images_say_so_in_a_part_of_their_own() -> None:
    result = ir.ToolResult("c", (ir.Image(ir.Source(ir.SourceKind.URL, "u")),), is_error=True)
    (_, sent), _ = items(CALLED, ir.Turn(U, (result,)))
    assert sent["output"][0] == {"type": "input_text", "text": "Error:"}


def test_a_result_without_content_is_empty_text() -> None:
    (_, sent), _ = items(CALLED, ir.Turn(U, (ir.ToolResult("c"),)))
    assert sent["output"] == ""


def test_r8_own_reasoning_of_another_model_is_left_out() -> None:
    other = ir.Opaque("openai", "o3", ir.OpaqueKind.ENCRYPTED, "E")
    turn = ir.Turn(A, (ir.Reasoning(opaque=(other,), path="input[0]"), ir.Text("a", path="input[1].content")))
    sent, losses = items(turn, dialect="openai_responses")
    assert [item["type"] for item in sent] == ["message"]
    assert losses == ["dropped input[0].encrypted_content"]


def test_raw_reasoning_keeps_its_parts() -> None:
    item = {
        "type": "reasoning",
        "id": "rs",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "a"}, {"type": "reasoning_text", "text": "b"}],
    }
    single = {**item, "content": item["content"][:1]}
    body = json.encode({"model": "m", "input": [item, single]})
    assert json.loads(DIALECT.encode_request(DIALECT.decode_request(body))[0].body)["input"] == [item, single]


def test_hosted_outputs_of_the_user_go_back_in_their_place() -> None:
    wire = [
        {"type": "local_shell_call", "id": "l", "call_id": "c"},
        {"type": "local_shell_call_output", "id": "l", "output": "done"},
        {"type": "function_call_output", "call_id": "x", "output": "y"},
        {"type": "mcp_approval_response", "approve": True},
    ]
    body = json.encode({"model": "m", "input": wire})
    assert json.loads(DIALECT.encode_request(DIALECT.decode_request(body))[0].body)["input"] == wire


def test_a_string_stays_a_string() -> None:
    request = DIALECT.decode_request(b'{"model":"m","input":"hi"}')
    assert json.loads(DIALECT.encode_request(request)[0].body) == {"model": "m", "input": "hi"}


def test_without_input_there_is_none_only_where_the_provider_has_the_prompt() -> None:
    stored = DIALECT.decode_request(b'{"model":"m","prompt":{"id":"p"}}')
    assert "input" not in json.loads(DIALECT.encode_request(stored)[0].body)
    assert items()[0] == [{"type": "message", "role": "user", "content": "Continue."}]
