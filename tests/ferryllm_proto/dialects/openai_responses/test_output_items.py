"""Limits of what an encoder holds."""

from __future__ import annotations

import pytest

from ferryllm_proto.dialects.openai_responses import output_items as module
from ferryllm_proto.errors import RemoteProtocolError


def test_g11_the_answer_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER", 3)
    item = module.MessageItem(module.EventWriter(), 0, "msg_1", None)
    item.open()
    item.begin_part(refusal=False)
    item.delta("abc")
    with pytest.raises(RemoteProtocolError, match="3 characters"):
        item.delta("d")


def test_numbers_count_the_events() -> None:
    writer = module.EventWriter()
    assert writer.write(b"a", b'"x":1') == b'event: a\ndata: {"type":"a","sequence_number":0,"x":1}\n\n'
    assert b'"sequence_number":1' in writer.write(b"a", b'"x":1')
