"""Arguments become an object, and keep their bytes where they are one."""

from __future__ import annotations

import pytest

from ferryllm_proto import json
from ferryllm_proto.arguments import RAW, as_object


@pytest.mark.parametrize("arguments", ["", " ", "\n\t"])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    assert as_object(arguments) == (b"{}", True)


@pytest.mark.parametrize("arguments", ["{}", '{"b": 1.0, "a":12345678901234567890}', ' {"a": "\\ud800"}\n'])
def test_an_object_keeps_its_bytes(arguments: str) -> None:
    assert as_object(arguments) == (arguments.encode(), True)


@pytest.mark.parametrize("arguments", ["[1]", '"text"', "1", '{"a":', "{} {}", "words"])
def test_what_is_no_object_stands_as_a_text_in_one(arguments: str) -> None:
    found, whole = as_object(arguments)
    assert not whole
    assert json.loads(found) == {RAW: arguments}
