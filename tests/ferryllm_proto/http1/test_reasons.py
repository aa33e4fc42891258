"""Reason phrases."""

from __future__ import annotations

from http import HTTPStatus

from ferryllm_proto.http1 import REASONS


def test_every_status_that_python_knows_has_a_phrase() -> None:
    assert not {status.value for status in HTTPStatus} - set(REASONS)


def test_phrases_are_printable() -> None:
    assert all(phrase.isascii() and phrase.isprintable() and phrase for phrase in REASONS.values())
