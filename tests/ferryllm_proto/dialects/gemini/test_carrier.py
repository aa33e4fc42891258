from __future__ import annotations

import base64

import pytest

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialects.gemini import carrier

from .build import FOREIGN, NEW, signature


def test_b9_foreign_material_is_base64_of_its_envelope_and_comes_back() -> None:
    text = carrier.written(FOREIGN)
    assert base64.b64decode(text).decode() == opaque.wrap(FOREIGN)
    assert carrier.read(text, NEW) == FOREIGN
    # What Python's SDK makes of it, and a client that keeps the envelope itself.
    assert carrier.read(base64.urlsafe_b64encode(base64.b64decode(text)).decode(), NEW) == FOREIGN
    assert carrier.read(opaque.wrap(FOREIGN), NEW) == FOREIGN


def test_own_signatures_travel_as_they_are() -> None:
    assert carrier.written(signature()) == "c2ln"
    assert carrier.read("c2ln", NEW) == signature()
    assert carrier.read("", NEW) is None
    assert carrier.read(None, NEW) is None


@pytest.mark.parametrize("cut", [12, 40, 3])
def test_a_damaged_envelope_is_no_material(cut: int) -> None:
    assert carrier.read(carrier.written(FOREIGN)[:-cut], NEW) is None


@pytest.mark.parametrize(
    ("minted", "asked", "fits"),
    [
        ("gemini-3-pro-preview", "gemini-3-pro-preview", True),
        ("gemini-3-pro-preview-20260101", "gemini-3-pro", True),
        ("gemini-3-pro-preview", "gemini-3-flash-preview", False),
        ("gemini-3-flash-preview", "gemini-flash-latest", True),
        ("", "gemini-3-flash-preview", True),
    ],
)
def test_a26_b7_a_signature_is_for_its_own_model(minted: str, asked: str, fits: bool) -> None:
    assert carrier.usable(signature(model=minted), asked) is fits
    assert not carrier.usable(FOREIGN, asked)


def test_thoughts_streamed_in_pieces_are_one_for_another_providers_proof() -> None:
    parts: list[ir.Part] = [ir.Text("a"), ir.Reasoning("b", path="p"), ir.Reasoning("c")]
    carrier.attach(parts, FOREIGN, "x")
    assert parts == [ir.Text("a"), ir.Reasoning("bc", opaque=(FOREIGN,), path="p")]
    parts = [ir.Reasoning("b"), ir.Reasoning("c", path="p")]
    carrier.attach(parts, signature(), "x")
    assert parts == [ir.Reasoning("b"), ir.Reasoning("c", opaque=(signature(),), path="p")]


def test_an_openai_items_text_is_its_summary() -> None:
    material = ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "enc", "rs_1")
    parts: list[ir.Part] = [ir.Reasoning("why", path="p")]
    carrier.attach(parts, material, "x")
    assert parts == [ir.Reasoning(summary=("why",), opaque=(material,), id="rs_1", path="p")]
