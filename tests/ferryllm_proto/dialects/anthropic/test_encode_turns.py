"""The conversation is brought into the order Messages wants."""

from __future__ import annotations

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import DIALECT

from .build import assistant, encoded, foreign, paths, user

OLD = "claude-sonnet-4-5"


def call(id_: str, path: str = "messages[1].tool_calls[0]") -> ir.ToolCall:
    return ir.ToolCall(id_, "f", "{}", path=path)


def result(id_: str, text: str = "r", path: str = "messages[2]") -> ir.ToolResult:
    return ir.ToolResult(id_, (ir.Text(text, path=f"{path}.content"),), path=path)


def shape(request: ir.Request) -> list[tuple[str, list[str]]]:
    return [
        (
            message["role"],
            [block["type"] for block in message["content"]]
            if isinstance(message["content"], list)
            else [message["content"]],
        )
        for message in encoded(request)[0]["messages"]
    ]


def test_b10_roles_alternate_and_results_come_first() -> None:
    request = foreign(
        user("a"),
        user("b"),
        assistant("x"),
        assistant(call("t1"), call("t2")),
        user("text first"),
        user(result("t2")),
        user(result("t1")),
    )
    assert shape(request) == [
        ("user", ["text", "text"]),
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text"]),
    ]
    blocks = encoded(request)[0]["messages"][2]["content"]
    assert [block.get("tool_use_id") for block in blocks] == ["t1", "t2", None]


def test_a19_a_missing_result_is_filled_in() -> None:
    body, losses = encoded(foreign(user("a"), assistant(call("t1")), user("b")))
    assert body["messages"][2]["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": "[no result]",
        "is_error": True,
    }
    assert [kind for kind, _ in paths(losses)] == ["degraded"]


def test_a19_an_orphan_result_becomes_text() -> None:
    assert shape(foreign(user("a"), assistant("b"), user(result("gone"))))[2] == ("user", ["text", "text"])


def test_a2_a_system_turn_between_call_and_result_comes_behind_it() -> None:
    request = foreign(
        user("a"),
        assistant(call("t")),
        ir.Turn(ir.Role.SYSTEM, (ir.Text("s", path="m[2].content"),), path="m[2]"),
        user(result("t")),
    )
    body, losses = encoded(request)
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "text"]
    assert body["messages"][2]["content"][1]["text"] == "<system-reminder>\ns\n</system-reminder>"
    assert paths(losses) == [("degraded", "m[2]")]


def test_a5_the_user_has_the_first_word() -> None:
    body, losses = encoded(foreign(assistant("hello", path="messages[0]"), user("a")))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert paths(losses) == [("degraded", "turns")]


def test_a6_a_request_of_system_text_alone_has_one_turn() -> None:
    request = ir.Request(dialect="openai", model=OLD, system=(ir.Text("s", path="messages[0].content"),))
    body, losses = encoded(request)
    assert body["messages"] == [{"role": "user", "content": "Continue."}]
    assert paths(losses) == [("degraded", "turns")]


def test_a7_b12_empty_texts_vanish_with_their_message() -> None:
    body, losses = encoded(foreign(user("a"), assistant("", "  \n"), user("b")))
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]
    assert paths(losses) == [("dropped", "messages[1].content[1]")]


def test_b12_the_end_of_a_prefill_is_trimmed() -> None:
    plain = ir.Turn(ir.Role.ASSISTANT, (ir.Text("so \n", path="messages[1].content"),), path="messages[1]")
    for turn in (assistant("so \n"), plain):
        body, losses = encoded(foreign(user("a"), turn, model=OLD))
        assert body["messages"][1]["content"] in ("so", [{"type": "text", "text": "so"}])
        assert paths(losses) == [("degraded", "messages[1]")]


def test_c15_models_without_prefill_are_asked_to_go_on() -> None:
    body, losses = encoded(foreign(user("a"), assistant("so")))
    assert body["messages"][2] == {"role": "user", "content": "Continue."}
    assert paths(losses) == [("degraded", "messages[1]")]


def test_c14_names_and_phases_are_reported() -> None:
    turn = ir.Turn(
        ir.Role.USER, (ir.Text("a", path="messages[0].content"),), name="bob", phase="commentary", path="messages[0]"
    )
    assert paths(encoded(foreign(turn))[1]) == [("dropped", "messages[0].name"), ("dropped", "messages[0].phase")]


def test_plain_strings_stay_plain() -> None:
    turn = ir.Turn(ir.Role.USER, (ir.Text("a", path="messages[0].content"),), path="messages[0]")
    assert encoded(foreign(turn))[0]["messages"] == [{"role": "user", "content": "a"}]


def test_a2_what_only_a_system_message_can_say_is_reported() -> None:
    image = ir.Image(ir.Source(ir.SourceKind.URL, "https://x"), path="m[1].content[2]")
    added = ir.Hosted("anthropic", "tool_addition", b'{"type":"tool_addition"}', path="m[1].content[0]")
    turn = ir.Turn(
        ir.Role.SYSTEM,
        (added, ir.Text(" ", path="m[1].content[1]"), image),
        path="m[1]",
        ext=ir.Ext("anthropic", {"output_config": b"{}"}),
    )
    body, losses = encoded(foreign(user("a"), turn, model=OLD))
    assert [block["type"] for block in body["messages"][0]["content"]] == ["text", "image"]
    assert paths(losses) == [("degraded", "m[1]"), ("dropped", "m[1].content[0]"), ("dropped", "m[1].output_config")]


def test_a_prefill_that_is_no_text_stays() -> None:
    proof = ir.Opaque("anthropic", OLD, ir.OpaqueKind.SIGNATURE, "sig")
    for end in (assistant(ir.Reasoning("t", opaque=(proof,))), assistant("done")):
        body, losses = encoded(foreign(user("a"), end, model=OLD))
        assert len(body["messages"]) == 2
        assert losses == []


def test_a_lone_system_message_of_settings_is_kept_as_it_is() -> None:
    data = (
        b'{"model":"claude-opus-4-8","max_tokens":1,"messages":[{"role":"user","content":"a"},'
        b'{"role":"system","output_config":{"effort":"low"}}]}'
    )
    body, losses = encoded(DIALECT.decode_request(data))
    assert body["messages"][1] == {"role": "system", "output_config": {"effort": "low"}}
    assert losses == []


def test_a_result_that_is_an_error_holds_nothing_but_text() -> None:
    image = ir.Image(ir.Source(ir.SourceKind.BASE64, "iVBORw0KGgo=", "image/png"), path="messages[2].x")
    failed = ir.ToolResult("t1", (ir.Text("no"), image), is_error=True, path="messages[2]")
    request = foreign(user("go"), assistant(call("t1"), call("t2")), user(failed, result("t2"), "so"))
    body, losses = encoded(request)
    blocks = body["messages"][2]["content"]
    assert [block["type"] for block in blocks] == ["tool_result", "tool_result", "text", "image", "text"]
    assert (blocks[0]["is_error"], blocks[0]["content"]) == (True, "no")
    assert ("degraded", "messages[2].x") in paths(losses)
