"""JSON schemas mended in place, every other byte as it came."""

from __future__ import annotations

import pytest

from ferryllm_proto import schemas

NOTHING = b'{"type":"object","properties":{}}'


@pytest.mark.parametrize(
    ("schema", "out"),
    [
        (None, NOTHING),
        (b"{}", NOTHING),
        (b'{"type":"object"}', NOTHING),
        (b'{"properties": {}}', b'{"type":"object","properties": {}}'.replace(b" ", b"")),
        (
            b'{"type":"object","properties":{"a":{"type":"object"},"b":{"minimum":1.0}}}',
            b'{"type":"object","properties":{"a":{"type":"object","properties":{}},"b":{"minimum":1.0}}}',
        ),
        (
            b'{"type":"array","items":{"type":["object","null"],"x-max":9007199254740993}}',
            b'{"type":"array","items":{"type":["object","null"],"x-max":9007199254740993,"properties":{}}}',
        ),
        (
            b'{"$ref":"#/$defs/a","$defs":{"a":{"type":"object"}}}',
            b'{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","properties":{}}}}',
        ),
        (
            b'{"anyOf":[{"type":"object"},{"type":"null"}]}',
            b'{"anyOf":[{"type":"object","properties":{}},{"type":"null"}]}',
        ),
    ],
)
def test_a8_every_object_gets_properties(schema: bytes | None, out: bytes) -> None:
    assert schemas.with_properties(schema) == out


@pytest.mark.parametrize(
    "schema",
    [
        b'{ "$ref" : "#/x" }',
        b'{"type": "string"}',
        b'{"type":"object", "properties":{"n":{"const":{"type":"object"}, "maximum":1e400}} }',
        b'{"type":"object","properties":{"type":{"enum":["object"]},"items":true}}',
        b'{"type":"object","anyOf":[{"required":["a"]}]}',
    ],
)
def test_a8_nothing_else_is_touched(schema: bytes) -> None:
    assert schemas.with_properties(schema) == schema


def test_g7_numbers_and_order_survive_beside_a_change() -> None:
    schema = b'{"z":0.70,"type":"object","properties":{"b":{"maximum":1e3},"a":{"type":"object"}},"y":[1,2.0]}'
    assert schemas.closed(schema) == (
        b'{"z":0.70,"type":"object","properties":{"b":{"maximum":1e3},'
        b'"a":{"type":"object","additionalProperties":false}},"y":[1,2.0],"additionalProperties":false}'
    )


def test_what_is_deeper_than_the_limit_stays_as_it_is() -> None:
    deep = b'{"type":"array","items":' * 300 + b'{"type":"object"}' + b"}" * 300
    assert schemas.with_properties(deep) == deep


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (b'{"type":"string"}', True),
        (b'{"type":"object","properties":{"a":{}},"required":["a"],"additionalProperties":false}', True),
        (b'{"type":"object","properties":{"a":{}},"additionalProperties":false}', False),
        (b'{"type":"object","properties":{}}', False),
        (b'{"properties":{}}', False),
        (b'{"type":"array","items":{"type":"object"}}', False),
        (b'{"anyOf":[{"type":"string"},{"type":"object"}]}', False),
        (b'{"$defs":{"x":{"type":"object"}}}', False),
        (b'{"enum":[{"type":"object"}]}', True),
        (b"[]", False),
        (b"{", False),
    ],
)
def test_a36_only_closed_objects_with_all_properties_required(schema: bytes, strict: bool) -> None:
    assert schemas.is_strict(schema) is strict
