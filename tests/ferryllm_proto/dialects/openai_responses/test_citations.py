"""Sources of other dialects as annotations."""

from __future__ import annotations

import pytest

from ferryllm_proto import json
from ferryllm_proto.dialects.openai_responses.citations import to_annotation


def test_own_annotations_keep_their_bytes() -> None:
    assert to_annotation("openai_responses", b'{ "x":1 }', 3) == b'{ "x":1 }'


def test_chat_annotations_are_flattened() -> None:
    raw = b'{"type":"url_citation","url_citation":{"start_index":1,"end_index":2,"url":"u","title":"t"}}'
    assert json.loads(to_annotation("openai", raw, 9) or b"") == {
        "type": "url_citation",
        "start_index": 1,
        "end_index": 2,
        "url": "u",
        "title": "t",
    }


@pytest.mark.parametrize("raw", [b"[]", b"{", b'{"type":"char_location"}', b'{"url":3}'])
def test_sources_without_a_page_are_none(raw: bytes) -> None:
    assert to_annotation("anthropic", raw, 0) is None
