"""Changes to a JSON text: made where they are wanted, and every other byte as it was."""

from __future__ import annotations

import json as stdlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.splices import Path, Splices, find

BODY = b'{ "a" : 1.0 ,"b":[ 1, {"c":null} ,3 ],"d":{"e":"x\\u0041"} }'


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("a",), b'{ "b":[ 1, {"c":null} ,3 ],"d":{"e":"x\\u0041"} }'),
        (("b",), b'{ "a" : 1.0,"d":{"e":"x\\u0041"} }'),
        (("d",), b'{ "a" : 1.0 ,"b":[ 1, {"c":null} ,3 ] }'),
        (("b", 0), b'{ "a" : 1.0 ,"b":[ {"c":null} ,3 ],"d":{"e":"x\\u0041"} }'),
        (("b", 1, "c"), b'{ "a" : 1.0 ,"b":[ 1, {} ,3 ],"d":{"e":"x\\u0041"} }'),
        (("b", 2), b'{ "a" : 1.0 ,"b":[ 1, {"c":null} ],"d":{"e":"x\\u0041"} }'),
        (("z",), BODY),
        (("b", 7), BODY),
        (("a", "z"), BODY),
    ],
)
def test_a_removed_value_takes_its_comma_with_it(path: Path, expected: bytes) -> None:
    splices = Splices(BODY)
    splices.remove(path)
    assert splices.done() == expected


def test_what_is_put_replaces_or_is_added_with_the_objects_on_the_way() -> None:
    splices = Splices(BODY)
    splices.put(("a",), b"2")
    splices.put(("d", "f"), b"true")
    splices.put(("b", "x"), b"1")  # an array has no members
    splices.put(("g", "h"), b"[]")
    splices.put(("g", "i"), b"0")
    assert splices.done() == (b'{ "a" : 2 ,"b":[ 1, {"c":null} ,3 ],"d":{"e":"x\\u0041","f":true},"g":{"h":[],"i":0} }')


def test_a_null_on_the_way_becomes_an_object() -> None:
    splices = Splices(b'{"reasoning": null}')
    splices.put(("reasoning", "effort"), b'"low"')
    assert splices.done() == b'{"reasoning": {"effort":"low"}}'


def test_members_of_one_object_are_set_and_removed_together() -> None:
    splices = Splices(b'{"reasoning":{"max_tokens":9,"exclude":true}}')
    splices.put(("reasoning", "effort"), b'"low"')
    splices.remove(("reasoning", "max_tokens"))
    assert splices.done() == b'{"reasoning":{"exclude":true,"effort":"low"}}'


def test_items_are_added_behind_the_last_one_that_stays() -> None:
    splices = Splices(b'{"a":[1, 2],"b":[ ]}')
    splices.remove(("a", 1))
    splices.append(("a",), b"9")
    splices.append(("b",), b"8")
    splices.append(("c",), b"7")
    assert splices.done() == b'{"a":[1,9],"b":[8 ]}'


def test_every_one_of_two_members_of_a_name_is_changed() -> None:
    data = b'{"e":"max","x":1,"\\u0065":"low"}'
    removed, replaced = Splices(data), Splices(data)
    removed.remove(("e",))
    replaced.put(("e",), b'"none"')
    assert removed.done() == b'{"x":1}'
    assert replaced.done() == b'{"e":"none","x":1,"\\u0065":"none"}'


def test_a_lone_surrogate_does_not_hide_what_stands_behind_it() -> None:
    splices = Splices(b'{"a":"\\ud83d","b":{"c":"\\ud83d"},"d":1}')
    splices.put(("d",), b"2")
    splices.remove(("b", "c"))
    assert splices.done() == b'{"a":"\\ud83d","b":{},"d":2}'


def test_the_last_of_two_members_is_found_as_decoders_do() -> None:
    assert find(b'{"a":1,"a":[5,6]}', ("a", -1)) == (14, 15)
    assert find(b'{"a":1}', ("a", 0)) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(st.text(max_size=3), _JSON, max_size=4)


def _paths(value: Any, at: Path = ()) -> list[Path]:
    out: list[Path] = [at] if at else []
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        out += _paths(inner, (*at, key))
    return out


def _without(value: Any, gone: set[Path], at: Path = ()) -> Any:
    if isinstance(value, dict):
        return {key: _without(one, gone, (*at, key)) for key, one in value.items() if (*at, key) not in gone}
    if isinstance(value, list):
        return [_without(one, gone, (*at, n)) for n, one in enumerate(value) if (*at, n) not in gone]
    return value


@given(_OBJECTS, st.data(), st.sampled_from([None, 1]), st.booleans())
def test_removing_anything_leaves_the_rest(value: Any, data: st.DataObject, indent: int | None, ascii_: bool) -> None:
    paths = _paths(value)
    gone = set(data.draw(st.lists(st.sampled_from(paths), max_size=4))) if paths else set()
    text = stdlib.dumps(value, indent=indent, ensure_ascii=ascii_).encode()
    splices = Splices(text)
    for path in gone:
        splices.remove(path)
    assert stdlib.loads(splices.done()) == _without(value, gone)


@given(_OBJECTS, st.data())
def test_replacing_a_value_changes_no_byte_beside_it(value: Any, data: st.DataObject) -> None:
    paths = _paths(value)
    if not paths:
        return
    path = data.draw(st.sampled_from(paths))
    text = stdlib.dumps(value, indent=data.draw(st.sampled_from([None, 2]))).encode()
    place = find(text, path)
    assert place is not None
    splices = Splices(text)
    splices.replace(path, b'"new"')
    assert splices.done() == text[: place[0]] + b'"new"' + text[place[1] :]
