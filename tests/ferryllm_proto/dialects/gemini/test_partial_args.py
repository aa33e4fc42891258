from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.dialects.gemini.partial_args import PartialArguments
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.json import Raw


def _text(*pieces: dict[str, Any]) -> Any:
    found = PartialArguments()
    for piece in pieces:
        found.add(Raw(json.dumps(piece).encode()))
    return json.loads(found.text())


def test_pieces_of_a_string_are_one_string() -> None:
    assert _text(
        {"jsonPath": "$.city", "stringValue": "New "},
        {"jsonPath": "$.city", "stringValue": "Delhi"},
        {"json_path": "$.days", "number_value": 7},
        {"jsonPath": "$.b", "boolValue": False},
        {"jsonPath": "$.n", "nullValue": "NULL_VALUE"},
    ) == {"city": "New Delhi", "days": 7, "b": False, "n": None}


def test_places_may_be_deep() -> None:
    assert _text(
        {"jsonPath": "$.a[0].b", "stringValue": "x"},
        {"jsonPath": "$.a[1]['c d']", "numberValue": 1.5},
        {"jsonPath": '$["e"]', "stringValue": ""},
    ) == {"a": [{"b": "x"}, {"c d": 1.5}], "e": ""}


def test_whole_arguments_may_come_besides() -> None:
    found = PartialArguments()
    found.update(Raw(b'{"a":1}'))
    assert found.text() == '{"a":1}'


@pytest.mark.parametrize("path", ["$", "", "$.a[", "$.a[9]", "$[0]", "$.a..b", "$.x[999999999]", "$.s.t"])
def test_g12_a_piece_without_a_place_is_a_fault(path: str) -> None:
    with pytest.raises(RemoteProtocolError):
        _text({"jsonPath": "$.s", "stringValue": "x"}, {"jsonPath": path, "stringValue": "x"})
