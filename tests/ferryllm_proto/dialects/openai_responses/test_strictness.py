"""Which schemas can be asked for strictly."""

from __future__ import annotations

import pytest

from ferryllm_proto.dialects.openai_responses.strictness import is_strict


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
        (b"[]", False),
        (b"{", False),
    ],
)
def test_a36_only_closed_objects_with_all_properties_required(schema: bytes, strict: bool) -> None:
    assert is_strict(schema) is strict
