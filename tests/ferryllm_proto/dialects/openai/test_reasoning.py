"""``reasoning_details`` in both directions."""

from __future__ import annotations

import json

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialects.openai import reasoning


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
