"""Every call answered right after its turn: the half of `tools` that puts a conversation in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.loss import Report
from ferryllm_proto.tools import pair_results

U, A, S = ir.Role.USER, ir.Role.ASSISTANT, ir.Role.SYSTEM


def call(id_: str, name: str = "f") -> ir.ToolCall:
    return ir.ToolCall(id_, name, "{}", path=f"call.{id_}")


def result(id_: str, text: str = "") -> ir.ToolResult:
    return ir.ToolResult(id_, (ir.Text(text or id_),), path=f"result.{id_}")


def turn(role: ir.Role, *parts: ir.Part | str) -> ir.Turn:
    return ir.Turn(role, tuple(ir.Text(part) if isinstance(part, str) else part for part in parts))


def paired(*turns: ir.Turn) -> tuple[list[ir.Turn], list[str]]:
    report = Report()
    return list(pair_results(turns, report)), [str(loss) for loss in report.losses]


def placeholder(id_: str) -> ir.ToolResult:
    return ir.ToolResult(id_, (ir.Text("[no result]"),), name="f", is_error=True)


def test_a17_a_well_formed_conversation_is_left_alone() -> None:
    turns = [
        turn(U, "hi"), turn(A, "ok", call("1"), call("2")), turn(U, result("1"), result("2"), "and"), turn(A, "done"),
        turn(U), turn(U, "more"),
    ]  # fmt: skip
    assert paired(*turns) == (turns, [])
    assert paired() == ([], [])


def test_a17_results_come_first_and_in_order_of_the_calls() -> None:
    out, losses = paired(turn(A, call("1"), call("2")), turn(U, "text", result("2"), result("1")))
    assert out[1] == turn(U, result("1"), result("2"), "text")
    assert losses == []


def test_a17_results_of_many_turns_are_gathered_and_texts_keep_their_order() -> None:
    out, losses = paired(
        turn(A, call("1"), call("2")), turn(U, result("1")), turn(U, "one"), turn(U, result("2"), "two")
    )
    assert out[1:] == [turn(U, result("1"), result("2")), turn(U, "one"), turn(U, "two")]
    out, losses = paired(turn(A, call("1")), turn(U, "one"), turn(U, result("1"), "two"))
    assert out[1:] == [turn(U, result("1"), "one"), turn(U, "two")]
    assert losses == []


def test_a18_a_system_turn_does_not_come_between_call_and_result() -> None:
    out, losses = paired(turn(A, call("1")), turn(S, "note"), turn(U, result("1")))
    assert out[1:] == [turn(U, result("1")), turn(S, "note")]
    assert losses == []


def test_a19_a_missing_result_is_filled_and_reported() -> None:
    out, losses = paired(turn(A, call("1"), call("2")), turn(U, result("2")), turn(A, call("3")))
    assert out[1] == turn(U, placeholder("1"), result("2"))
    assert out[3] == turn(U, placeholder("3"))
    assert losses == [f"degraded call.{n}: no result follows this call: a placeholder was added" for n in "13"]


def test_a19_a_missing_result_before_plain_words() -> None:
    out, _ = paired(turn(A, call("1")), turn(U, "never mind"))
    assert out[1:] == [turn(U, placeholder("1"), "never mind")]


def test_a19_a_result_without_its_call_becomes_text_and_keeps_its_pictures() -> None:
    image = ir.Image(ir.Source(ir.SourceKind.URL, "https://example.com/a.png"))
    orphan = ir.ToolResult("9", (ir.Text("out"), image))
    out, losses = paired(turn(U, orphan), turn(A, "hi"), turn(U, result("8")))
    assert out[0] == turn(U, "[result of tool call 9]", "out", image)
    assert isinstance(out[2].parts[0], ir.Text)
    assert [loss.split(":")[0] for loss in losses] == ["degraded tool_result", "degraded result.8"]


def test_a19_a_second_result_of_one_call_becomes_text() -> None:
    out, losses = paired(turn(A, call("1")), turn(U, result("1", "a"), result("1", "b")))
    assert out[1].parts[0] == result("1", "a")
    assert [type(part) for part in out[1].parts[1:]] == [ir.Text, ir.Text]
    assert len(losses) == 1


def test_a17_calls_and_words_of_neighbouring_turns_become_one_turn() -> None:
    out, losses = paired(
        turn(A, "first"), turn(A, call("1")), turn(A, call("2")), turn(A, "last"), turn(U, result("2"), result("1"))
    )
    assert out == [turn(A, "first"), turn(A, call("1"), call("2"), "last"), turn(U, result("1"), result("2"))]
    assert losses == []


def test_joined_turns_report_what_was_the_second_ones() -> None:
    second = ir.Turn(A, (call("2"),), phase="commentary", ext=ir.Ext("openai", {"x": b"1"}), path="messages[1]")
    out, losses = paired(turn(A, call("1")), second, turn(U, result("1"), result("2")))
    assert out[0].phase is None
    assert losses == ["degraded messages[1]: joined to the assistant's message before it"]


def test_a_late_result_is_brought_to_its_call() -> None:
    out, losses = paired(turn(A, call("1")), turn(U, "wait"), turn(A, "waiting"), turn(U, result("1"), "here"))
    assert out == [turn(A, call("1")), turn(U, result("1"), "wait"), turn(A, "waiting"), turn(U, "here")]
    assert losses == ["degraded result.1: moved to the call it answers"]


def test_ids_that_come_again_belong_to_the_latest_answer() -> None:
    out, losses = paired(
        turn(A, call("0")), turn(U, "no"), turn(A, call("0"), call("0")), turn(U, result("0", "a"), result("0", "b"))
    )
    assert out[1] == turn(U, placeholder("0"), "no")
    assert [texts_of(part) for part in out[3].parts] == ["a", "b"]
    assert len(losses) == 1


def texts_of(part: ir.Part) -> str:
    assert isinstance(part, ir.ToolResult)
    return "".join(text.text for text in part.parts if isinstance(text, ir.Text))


def test_a14_an_id_that_comes_again_gets_another_one_for_call_and_result() -> None:
    one = (turn(A, call("0")), turn(U, result("0", "a")))
    two = (*one, turn(A, call("0"), call("0")), turn(U, result("0", "b"), result("0", "c")))
    out, losses = paired(*two)
    calls = [part.id for t in out for part in t.parts if isinstance(part, ir.ToolCall)]
    answered = [part.id for t in out for part in t.parts if isinstance(part, ir.ToolResult)]
    assert calls == answered
    assert len(set(calls)) == 3
    assert calls[0] == "0"
    assert losses == []
    assert paired(*one)[0] == out[:2], "the next turn changes nothing of the one before"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([U, A, S]),
            st.lists(st.tuples(st.sampled_from("crt"), st.sampled_from("123")), max_size=4),
        ),
        max_size=7,
    )
)
def test_a19_after_pairing_every_call_is_answered_at_once_and_nothing_else_is(
    shape: list[tuple[ir.Role, list[tuple[str, str]]]],
) -> None:
    turns = []
    for role, parts in shape:
        made: list[ir.Part] = []
        for kind, id_ in parts:
            if kind == "c" and role is A:
                made.append(call(id_))
            elif kind == "r" and role is U:
                made.append(result(id_))
            else:
                made.append(ir.Text(f"{kind}{id_}"))
        turns.append(ir.Turn(role, tuple(made)))
    out = pair_results(tuple(turns), Report())
    for at, this in enumerate(out):
        asked = [part.id for part in this.parts if isinstance(part, ir.ToolCall)]
        behind = out[at + 1] if at + 1 < len(out) else turn(U)
        answered = [part.id for part in behind.parts if isinstance(part, ir.ToolResult)]
        if asked or answered:
            assert behind.role is U
            assert answered == asked
            assert all(isinstance(part, ir.ToolResult) for part in behind.parts[: len(asked)])
    assert not any(isinstance(part, ir.ToolResult) for part in (out[0].parts if out else ()))
    # Every word of the conversation is still there, in its order.
    said = [part.text for this in turns for part in this.parts if isinstance(part, ir.Text)]
    kept = [part.text for this in out for part in this.parts if isinstance(part, ir.Text) and part.text[0] in "crt"]
    assert kept == said
    assert pair_results(tuple(turns), Report()) == out


def test_g3_a_turn_whose_results_have_gone_to_their_calls_keeps_its_fields() -> None:
    more = ir.Turn(U, (result("2"),), name="ann", ext=ir.Ext("ollama", {"zz": b"1"}))
    found, _ = paired(turn(A, call("1"), call("2")), turn(U, result("1")), more)
    assert [part.id for part in found[1].parts if isinstance(part, ir.ToolResult)] == ["1", "2"]
    assert (found[2].parts, found[2].name, found[2].ext) == ((), "ann", more.ext)


def test_a_result_is_of_the_kind_of_its_call() -> None:
    """Chat has one form of results for calls of functions and of freeform tools."""
    custom = ir.ToolCall("1", "patch", "text", kind=ir.ToolKind.CUSTOM)
    found, losses = paired(turn(A, custom), turn(U, result("1")))
    assert [part.kind for part in found[1].parts if isinstance(part, ir.ToolResult)] == [ir.ToolKind.CUSTOM]
    assert losses == []
