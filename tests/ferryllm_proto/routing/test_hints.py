"""Hints: header, key, name of the model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.routing.hints import read_hint, split_key, split_model

HEX = "zürich".encode().hex()


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (f"ferryllm-provider:{HEX}", ("zürich", "")),
        (f"ferryllm-provider:{HEX}:fk-true", ("zürich", "fk-true")),
        (f"ferryllm-provider:{HEX}:a:b", ("zürich", "a:b")),
        ("fk-true", (None, "fk-true")),
        ("ferryllm-provider:", (None, "ferryllm-provider:")),
        ("ferryllm-provider:xyz", (None, "ferryllm-provider:xyz")),
        ("ferryllm-provider:ff", (None, "ferryllm-provider:ff")),
        ("ferryllm-provider:ü", (None, "ferryllm-provider:ü")),
    ],
)
def test_a_key_may_carry_a_hint_in_front_of_the_true_key(key: str, found: tuple[str | None, str]) -> None:
    assert split_key(key) == found


def test_the_own_header_goes_before_bearer_and_bearer_before_x_api_key() -> None:
    one, two = (f"ferryllm-provider:{name.encode().hex()}" for name in ("one", "two"))
    key, bearer = ("X-Api-Key", one), ("Authorization", f"bearer {two}")
    assert read_hint([key]) == "one"
    assert read_hint([key, bearer]) == "two"
    assert read_hint([key, bearer, ("X-Ferryllm-Provider", " three ")]) == "three"
    assert read_hint([("authorization", f"Basic {two}")]) is None
    assert read_hint([("authorization", "Bearer fk-true"), key]) == "one"
    assert read_hint([]) is None


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("provider:a/b", ("a", "b")),
        ("provider:a/b/c", ("a", "b/c")),
        ("provider:a", None),
        ("provider:/b", None),
        ("provider:a/", None),
        ("a/b", None),
    ],
)
def test_a_model_may_name_its_provider(model: str, found: tuple[str, str] | None) -> None:
    assert split_model(model) == found


_VALUES = st.sampled_from(
    [
        *("", " ", "one", " one ", "Bearer x", "ferryllm-provider:zz"),
        *(f"Bearer ferryllm-provider:{HEX}", f" bearer  ferryllm-provider:{HEX}:k ", f"Basic ferryllm-provider:{HEX}"),
        *(f"ferryllm-provider:{HEX}", f" ferryllm-provider:{HEX}:a"),
    ]
)
_NAMES = st.sampled_from(["x-ferryllm-provider", "X-Ferryllm-Provider", "authorization", "Authorization", "x-api-key"])


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=5))
def test_the_look_that_most_requests_get_finds_what_reading_every_field_finds(headers: list[tuple[str, str]]) -> None:
    fields: dict[str, str] = {}
    for name, value in headers:
        fields.setdefault(name.lower(), value.strip())
    scheme, _, bearer = fields.get("authorization", "").partition(" ")
    keys = [bearer.strip()] if scheme.lower() == "bearer" else []
    hints = [split_key(key)[0] for key in (*keys, fields.get("x-api-key", ""))]
    expected = fields.get("x-ferryllm-provider") or next((hint for hint in hints if hint is not None), None)
    assert read_hint(headers) == expected
