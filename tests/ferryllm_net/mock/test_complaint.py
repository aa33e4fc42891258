"""OpenAI's sentences for fields that are wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ferryllm_net.mock.complaint import Complaint, function_schema, known, listed, missing, one_of, short, typed, within


def complaint(check: Callable[[], object]) -> tuple[str, str | None, str | None]:
    with pytest.raises(Complaint) as raised:
        check()
    error = raised.value.error
    assert error.http_status == 400
    return error.message, error.param, error.code


def test_a_missing_field_is_named() -> None:
    error = missing("tools[0].name").error
    assert (error.message, error.param) == ("Missing required parameter: 'tools[0].name'.", "tools[0].name")


@pytest.mark.parametrize(
    ("value", "found"),
    [(None, "null"), (True, "boolean"), (1, "integer"), (1.5, "decimal"), ([], "array"), ({}, "object")],
)
def test_a_wrong_type_names_what_was_expected_and_found(value: object, found: str) -> None:
    message, param, code = complaint(lambda: typed(value, "user", "string"))
    assert message == f"Invalid type for 'user': expected a string, but got {found} instead."
    assert (param, code) == ("user", "invalid_type")


def test_several_types_may_be_right_and_an_integer_is_a_decimal() -> None:
    assert typed([], "x", "string", "array") == []
    assert typed(1, "x", "decimal") == 1
    assert "an array or an object" in complaint(lambda: typed("s", "x", "array", "object"))[0]


def test_arrays_have_bounds() -> None:
    assert listed([1], "tools", least=1, most=1) == [1]
    assert complaint(lambda: listed([], "tools", least=1))[2] == "empty_array"
    assert complaint(lambda: listed([1, 2], "tools", most=1))[2] == "array_above_max_length"


def test_words_strings_fields_and_numbers_are_checked() -> None:
    assert one_of("a", "x", ("a", "b")) == "a"
    assert complaint(lambda: one_of("c", "x", ("a", "b")))[0] == "Invalid value: 'c'. Supported values are: 'a', 'b'."
    assert complaint(lambda: one_of([], "x", ("a",)))[0].startswith("Invalid value: array.")
    assert short("ab", "x", 2) == "ab"
    assert complaint(lambda: short("abc", "x", 2))[2] == "string_above_max_length"
    known({"a": 1}, {"a"})
    assert complaint(lambda: known({"b": 1}, {"a"})) == ("Unknown parameter: 'b'.", "b", "unknown_parameter")
    within({"t": 1}, "t", 0, 2)
    within({"t": None}, "t", 0, 2)
    assert complaint(lambda: within({"t": -1}, "t", 0, 2))[2] == "decimal_below_min_value"
    assert complaint(lambda: within({"t": 3}, "t", 0, 2)) == (
        "Invalid 't': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
        "t",
        "decimal_above_max_value",
    )
    assert complaint(lambda: within({"t": 3}, "t", 16, sort="integer"))[2] == "integer_below_min_value"
    assert complaint(lambda: within({"t": True}, "t", 0))[2] == "invalid_type"


def test_functions_take_objects() -> None:
    for fine in (None, {}, {"type": "object"}):
        function_schema(fine, "f", "p")
    assert complaint(lambda: function_schema({"type": "array"}, "f", "p"))[2] == "invalid_function_parameters"
    assert complaint(lambda: function_schema([], "f", "p"))[2] == "invalid_type"
