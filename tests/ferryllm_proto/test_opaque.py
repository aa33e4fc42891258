from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import json, opaque
from ferryllm_proto.ir import Opaque, OpaqueKind

MATERIAL = Opaque("openai", "gpt-5.4", OpaqueKind.ENCRYPTED, "gAAAAA==", "rs_1")


@given(
    st.builds(
        Opaque,
        st.text(max_size=8),
        st.text(max_size=8),
        st.sampled_from(OpaqueKind),
        st.text(min_size=1, max_size=40),
        st.none() | st.text(min_size=1, max_size=8),
    )
)
def test_what_is_wrapped_is_unwrapped_as_it_was(material: Opaque) -> None:
    token = opaque.wrap(material)
    assert re.fullmatch(r"ferry1\.[A-Za-z0-9_.-]+", token)
    assert opaque.is_envelope(token)
    assert opaque.unwrap(token) == material
    assert opaque.wrap(material) == token


def test_s14_lone_surrogates_survive_the_envelope() -> None:
    data = json.loads(b'"\\ud83d"')
    out = opaque.unwrap(opaque.wrap(Opaque("openai", "", OpaqueKind.DETAILS, data)))
    assert out is not None
    assert out.data == data


def test_any_damage_to_one_character_is_found() -> None:
    token = opaque.wrap(MATERIAL)
    for at in range(len(opaque.PREFIX), len(token)):
        for other in "A_.é":
            if token[at] != other:
                assert opaque.unwrap(token[:at] + other + token[at + 1 :]) is None
        assert opaque.unwrap(token[:at]) is None, "cut"


def sealed(payload: str) -> str:
    """A token whose check is right and whose payload is not ours."""
    return f"{opaque.PREFIX}{payload}.{opaque._check(payload)}"


@pytest.mark.parametrize(
    "token",
    [
        "", "ferry1.", "ferry1..", "ferry1.abc", "ErUB...", "ferry2." + "a" * 20, "ferry1.\ud83d.x",
        sealed("A"), sealed("bm90IGpzb24"), sealed("W10"), sealed("_-8"),
        sealed("WyJhIiwiYiIsIm5vIGtpbmQiLCIiLCJ4Il0"),
    ],
)  # fmt: skip
def test_what_is_no_envelope_of_ours_is_none_and_no_error(token: str) -> None:
    assert opaque.unwrap(token) is None


def test_a_damaged_envelope_is_still_recognised_as_one() -> None:
    assert opaque.is_envelope(opaque.wrap(MATERIAL)[:-3])
    assert not opaque.is_envelope("ErUBCkYIBRgC")


@pytest.mark.parametrize(
    ("provider", "model", "usable"),
    [
        ("openai", "gpt-5.4", True),
        ("openai", "openai/GPT-5.4-2026-03-05", True),
        ("openai", "", True),
        ("openai", "gpt-5.4-mini", False),
        ("anthropic", "gpt-5.4", False),
    ],
)
def test_material_goes_only_to_the_provider_and_family_that_minted_it(provider: str, model: str, usable: bool) -> None:
    assert opaque.usable(MATERIAL, provider, model) is usable


def test_material_of_an_unknown_model_goes_to_every_model_of_its_provider() -> None:
    assert opaque.usable(Opaque("anthropic", "", OpaqueKind.SIGNATURE, "x"), "anthropic", "claude")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-5.4", "gpt-5.4"),
        ("openai/GPT-5.4-2026-03-05", "gpt-5.4"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("vendor/region/claude-latest-20251101", "claude"),
        ("gemini-3-pro-preview", "gemini-3-pro"),
        ("", ""),
    ],
)
def test_m3_the_family_of_a_model_has_no_vendor_date_or_case(model: str, family: str) -> None:
    assert opaque.family(model) == family


def test_a28_an_envelope_without_data_marks_thoughts_that_nobody_signed() -> None:
    token = opaque.wrap(Opaque("openai", "m", OpaqueKind.SIGNATURE, ""))
    assert opaque.is_envelope(token)
    assert opaque.unwrap(token) is None


THOUGHTS = [
    opaque.Thought(Opaque("anthropic", "claude", OpaqueKind.SIGNATURE, "SIG"), "what was thought \u2028 \u00e9", False),
    opaque.Thought(Opaque("gemini", "gemini-3-pro", OpaqueKind.THOUGHT_SIGNATURE, "c2ln", "rs_1"), "", True),
]


def test_b9_a_calls_id_carries_what_was_thought_before_it() -> None:
    carrier = opaque.carry("toolu_1", THOUGHTS)
    assert carrier.startswith("toolu_1~ferry1.")
    assert opaque.uncarry(carrier) == ("toolu_1", THOUGHTS)
    assert any(mark in carrier.encode() for mark in opaque.MARKS)
    assert opaque.carry("toolu_1", THOUGHTS) == carrier


@pytest.mark.parametrize("id_", ["call_1", "", "functions.weather:0", "a~b", "ferry1.x.y"])
def test_plain_ids_carry_nothing(id_: str) -> None:
    assert opaque.uncarry(id_) == (id_, [])


@pytest.mark.parametrize("damage", [-1, 20, 40])
def test_a_damaged_carrier_is_the_id_alone(damage: int) -> None:
    carrier = opaque.carry("call_1", THOUGHTS)
    broken = carrier[:damage] + ("A" if carrier[damage] != "A" else "B") + carrier[damage:][1:]
    assert opaque.uncarry(broken) == ("call_1", [])
    assert opaque.uncarry(carrier[:30]) == ("call_1", [])
    assert opaque.uncarry(f"call_1~{sealed('W10')}") == ("call_1", [])
    assert opaque.uncarry(f"call_1~{sealed('bm90IGpzb24')}") == ("call_1", [])


def test_g11_a_carrier_has_a_limit() -> None:
    huge = opaque.Thought(Opaque("anthropic", "m", OpaqueKind.REDACTED, "x" * opaque.MAX_CARRIER), "", False)
    assert opaque.carry("call_1", [huge]) == ""


def test_what_stands_for_no_proof_is_a_marked_envelope_without_material() -> None:
    assert opaque.is_envelope(opaque.UNPROVEN)
    assert opaque.unwrap(opaque.UNPROVEN) is None
