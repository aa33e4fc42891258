"""A Secret shows nothing, goes nowhere by accident, and compares."""

from __future__ import annotations

import copy
import json
import pickle

import msgspec
import pytest

from ferryllm_net.config.secret import Secret, header_fault, secrets_in

VALUE = "sk-planted-4711"


def test_no_text_form_shows_the_value() -> None:
    secret = Secret(VALUE)
    forms = [str(secret), repr(secret), f"{secret}", f"{secret:>40}", "%s %r" % (secret, secret), str([secret])]  # noqa: UP031
    assert all("***" in form and "planted" not in form for form in forms)


def test_the_value_leaves_by_reveal_alone() -> None:
    assert Secret(VALUE).reveal() == VALUE


def test_encoders_do_not_write_it() -> None:
    secret = Secret(VALUE)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)


def test_copies_are_the_same_secret() -> None:
    secret = Secret(VALUE)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_equal_values_are_equal_secrets() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert hash(Secret(VALUE)) == hash(Secret(VALUE))
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE


@pytest.mark.parametrize("candidate", ["", "sk-planted-471", "sk-planted-47111", "schlüssel", "\ud800"])
def test_matches_refuses_whatever_is_not_the_value(candidate: str) -> None:
    assert not Secret(VALUE).matches(candidate)


def test_matches_accepts_the_value() -> None:
    assert Secret(VALUE).matches("sk-planted-" + "4711")


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("sk-1\n", "line break"),
        ("sk\r\nx-evil: 1", "line break"),
        (" sk-1", "space"),
        ("sk-“1”", "outside ASCII"),
        ("sk-é", "outside ASCII"),
        ("sk-\x00", "control"),
        ("sk-\x7f1", "control"),
    ],
)
def test_what_a_header_cannot_carry_is_named_and_not_shown(value: str, fault: str) -> None:
    found = header_fault(value)
    assert found is not None
    assert fault in found
    assert "sk" not in found


def test_a_plain_key_is_fit_for_a_header() -> None:
    assert header_fault("sk-ant_api03.AbC/+=~ x") is None


class Table(msgspec.Struct, frozen=True):
    name: str
    key: Secret | None
    more: tuple[Table, ...] = ()
    named: dict[str, Secret] = {}


def test_secrets_are_found_wherever_they_stand() -> None:
    one, two, three = Secret("one"), Secret("two"), Secret("three")
    table = Table("a", one, (Table("b", None, (), {"x": two}), Table("c", three)))
    assert list(secrets_in(table)) == [one, two, three]
    assert list(secrets_in(["text", 5, None])) == []
