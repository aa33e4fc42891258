"""``reasoning_details`` in both directions."""

from __future__ import annotations

import json

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialects.openai import reasoning
from ferryllm_proto.loss import Report


def test_fragments_become_one_object_for_each_block() -> None:
    details = reasoning.Details()
    for fragment in (
        {"type": "reasoning.text", "text": "a", "index": 0, "format": "x"},
        {"type": "reasoning.text", "text": "b", "index": 0, "signature": None},
        {"type": "reasoning.text", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "index": 0},
    ):
        details.add(json.dumps(fragment).encode())
    details.add(b"5")
    details.add(b"{broken")
    assert [json.loads(entry) for entry in details.take()] == [
        {"type": "reasoning.text", "text": "ab", "index": 0, "format": "x", "signature": "s"},
        {"type": "reasoning.encrypted", "data": "d", "index": 0},
    ]
    assert details.take() == []


def test_text_without_proof_is_not_carried_twice() -> None:
    details = reasoning.Details()
    details.add(b'{"type":"reasoning.text","text":"a"}')
    assert details.take() == []


def test_native_entries_go_out_as_they_came() -> None:
    data = '{"type":"reasoning.text", "signature":"s"}'
    found = ir.Opaque("openrouter", "m", ir.OpaqueKind.DETAILS, data)
    assert reasoning.entry(found, "text", 0) == data.encode()


def test_foreign_material_goes_round_in_an_envelope_with_its_text() -> None:
    for found in (
        ir.Opaque("anthropic", "claude", ir.OpaqueKind.SIGNATURE, "sig"),
        ir.Opaque("anthropic", "claude", ir.OpaqueKind.REDACTED, "data"),
        ir.Opaque("openai", "gpt-5", ir.OpaqueKind.ENCRYPTED, "enc", "rs_1"),
        ir.Opaque("gemini", "g", ir.OpaqueKind.THOUGHT_SIGNATURE, "ts"),
    ):
        entry = reasoning.entry(found, "why", 2)
        (part,) = reasoning.parts([entry], "why", "p.reasoning_content", "m", "p")
        assert part.opaque == (found,)
        assert part.text == ("why" if found.kind is ir.OpaqueKind.SIGNATURE else "")


def test_a_damaged_envelope_is_nothing() -> None:
    entry = {"type": "reasoning.encrypted", "data": opaque.PREFIX + "x.y"}
    assert reasoning.parts([json.dumps(entry).encode()], None, "", "m", "p") == []
    assert reasoning.parts([b'"text"'], None, "", "m", "p") == []


def thought(data: str, text: str = "", *, late: bool = False) -> opaque.Thought:
    kind = ir.OpaqueKind.THOUGHT_SIGNATURE if data.startswith("g") else ir.OpaqueKind.SIGNATURE
    return opaque.Thought(ir.Opaque("p", "m", kind, data), text, late)


def test_b9_what_an_id_carries_goes_back_to_its_place() -> None:
    report = Report()
    text = ir.Text("said")
    carried = reasoning.carrying(
        "c1", [thought("a", "one"), thought("b", "two", late=True), thought("g", late=True)], report
    )
    parts: list[ir.Part] = [text]
    reasoning.carried(parts, ir.ToolCall(carried, "f", "{}", path="messages[1].tool_calls[0]"))
    assert [getattr(part, "text", "call") for part in parts] == ["one", "said", "two", "", "call"]
    assert isinstance(parts[-1], ir.ToolCall)
    assert parts[-1].id == "c1"
    assert parts[0].path == "messages[1].tool_calls[0].id"
    assert report.losses == []


def test_what_the_details_brought_is_not_doubled() -> None:
    carried = reasoning.carrying("c1", [thought("a", "one"), thought("g", late=True)], Report())
    parts: list[ir.Part] = [
        ir.Reasoning("one", opaque=(thought("a").opaque,)),
        ir.Reasoning("", opaque=(thought("g").opaque,)),
        ir.Text("said"),
    ]
    reasoning.carried(parts, ir.ToolCall(carried, "f", "{}"))
    assert [type(part).__name__ for part in parts] == ["Reasoning", "Text", "Reasoning", "ToolCall"]


def test_a_damaged_carrier_leaves_the_id() -> None:
    carried = reasoning.carrying("c1", [thought("a")], Report())
    parts: list[ir.Part] = []
    reasoning.carried(parts, ir.ToolCall(carried[:-2] + "!!", "f", "{}"))
    assert parts == [ir.ToolCall("c1", "f", "{}")]


def test_native_details_and_too_much_thought_are_not_carried() -> None:
    report = Report()
    native = opaque.Thought(ir.Opaque("openrouter", "m", ir.OpaqueKind.DETAILS, "{}"), "", False)
    assert reasoning.carrying("c1", [native], report) == "c1"
    assert report.losses == []
    assert reasoning.carrying("c1", [thought("a", "x" * opaque.MAX_CARRIER)], report) == "c1"
    assert [loss.path for loss in report.losses] == ["tool_calls.id"]


def test_words_that_came_unproven_as_well_are_not_doubled() -> None:
    carried = reasoning.carrying("c1", [thought("a", "one"), thought("b", "two", late=True)], Report())
    parts: list[ir.Part] = [ir.Reasoning("onetwo"), ir.Text("said")]
    reasoning.carried(parts, ir.ToolCall(carried, "f", "{}"))
    assert [getattr(part, "text", "call") for part in parts] == ["one", "said", "two", "call"]
    parts = [ir.Reasoning("one, two and more")]
    reasoning.carried(parts, ir.ToolCall(carried, "f", "{}"))
    assert [getattr(part, "text", "call") for part in parts] == ["one", ",  and more", "two", "call"]


def test_words_of_an_encrypted_thought_are_its_summary() -> None:
    hidden = opaque.Thought(ir.Opaque("openai", "m", ir.OpaqueKind.ENCRYPTED, "E", "rs_1"), "", False)
    parts: list[ir.Part] = [ir.Reasoning("in short")]
    reasoning.carried(parts, ir.ToolCall(reasoning.carrying("c1", [hidden], Report()), "f", "{}"))
    (first, _) = parts
    assert isinstance(first, ir.Reasoning)
    assert (first.text, first.summary, first.id) == ("", ("in short",), "rs_1")


def test_b7_a_signature_of_gemini_stays_with_the_text_or_the_call_it_stood_before() -> None:
    sig = ir.Opaque("gemini", "g", ir.OpaqueKind.THOUGHT_SIGNATURE, "ts")
    before_text = reasoning.followed([reasoning.thought(sig, "words", said=False)])
    before_call = [reasoning.thought(sig, "words", said=False)]
    for thoughts, order in ((before_text, ["why", "said", "call"]), (before_call, ["said", "why", "call"])):
        parts: list[ir.Part] = [ir.Reasoning("why"), ir.Text("said")]
        reasoning.carried(parts, ir.ToolCall(reasoning.carrying("c1", thoughts, Report()), "f", "{}"))
        assert [getattr(part, "text", "call") for part in parts] == order
    assert before_call[0].text == ""  # it proves no words
