"""Hints: header, key, name of the model."""

from __future__ import annotations

import pytest

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
