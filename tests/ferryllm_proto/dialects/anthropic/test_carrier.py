"""Opaque material on the wire."""

from __future__ import annotations

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialects.anthropic import carrier

OURS = ir.Opaque("anthropic", "m", ir.OpaqueKind.SIGNATURE, "sig")
THEIRS = ir.Opaque("openai", "g", ir.OpaqueKind.ENCRYPTED, "blob", "rs_1")


def test_what_is_written_is_read_again() -> None:
    for material in (OURS, THEIRS):
        assert carrier.read(carrier.written(material), "m", ir.OpaqueKind.SIGNATURE) == material
    assert carrier.written(OURS) == "sig"
    assert opaque.is_envelope(carrier.written(THEIRS))


def test_nothing_and_damage_are_no_material() -> None:
    for data in (None, "", "ferry1.x", carrier.written(THEIRS) + "x"):
        assert carrier.read(data, "m", ir.OpaqueKind.SIGNATURE) is None


def test_kinds_of_ours_that_are_not_messages_are_wrapped() -> None:
    assert opaque.is_envelope(carrier.written(ir.Opaque("anthropic", "m", ir.OpaqueKind.DETAILS, "{}")))


def test_text_is_a_summary_where_the_item_has_summaries() -> None:
    assert carrier.reasoning("t", THEIRS) == ir.Reasoning(summary=("t",), opaque=(THEIRS,), id="rs_1")
    assert carrier.reasoning("", THEIRS).summary == ()
    assert carrier.reasoning("t", OURS) == ir.Reasoning("t", opaque=(OURS,))
    assert carrier.reasoning("t", None) == ir.Reasoning("t")
