"""Proofs: what was minted verifies, what was altered does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.mock.proofs import _digest, decrypt, encrypt, is_encrypted, is_signature, sign


@given(st.text())
def test_minted_proofs_verify_and_encrypted_reasoning_can_be_read(text: str) -> None:
    assert is_signature(sign(text), text)
    assert decrypt(encrypt(text)) == text


@given(st.text(), st.data())
def test_a_changed_character_is_found(text: str, data: st.DataObject) -> None:
    for token, verify in ((sign(text), lambda t: is_signature(t, text)), (encrypt(text), is_encrypted)):
        at = data.draw(st.integers(0, len(token) - 1))
        other = data.draw(st.characters(codec="utf-8"))
        assert other == token[at] or not verify(token[:at] + other + token[at + 1 :])


def test_a_signature_is_over_its_text_alone_but_holds_for_omitted_thoughts() -> None:
    assert not is_signature(sign("one"), "two")
    assert is_signature(sign("one"), "")


def test_foreign_material_is_refused() -> None:
    for token in ("", "EqQBCkYIBRgC", "ferry1.abc.def", "mocksig_", "mockenc_", "mocksig_a.b", "mockenc_\u00fc.x"):
        assert not is_signature(token, "text")
        assert not is_encrypted(token)


def test_a_token_that_was_forged_around_nonsense_is_refused() -> None:
    for body in ("a", "_w"):  # no base64, and no UTF-8 in it
        assert decrypt(f"mockenc_{body}.{_digest(body)}") is None
