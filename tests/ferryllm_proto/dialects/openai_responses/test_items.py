"""Limits of what one answer may hold."""

from __future__ import annotations

import pytest

from ferryllm_proto import json
from ferryllm_proto.dialects.openai_responses import items as module
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.events import Event


def test_g11_items_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ITEMS", 2)
    items = module.Items()
    out: list[Event] = []
    for n in range(2):
        items.done(json.raw(b'{"type":"x"}'), n, out)
    with pytest.raises(RemoteProtocolError, match="2 items"):
        items.done(json.raw(b'{"type":"x"}'), 2, out)
    with pytest.raises(RemoteProtocolError, match="2 items"):
        items.text(3, None, 0, "a", out)


def test_g11_text_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TEXT", 3)
    items = module.Items()
    out: list[Event] = []
    items.text(0, None, 0, "abc", out)
    with pytest.raises(RemoteProtocolError, match="3 characters"):
        items.text(0, None, 0, "d", out)


def test_what_is_no_object_is_no_item() -> None:
    items = module.Items()
    out: list[Event] = []
    for raw in (b"null", b"3", b"[]"):
        items.added(json.raw(raw), None, out)
        items.done(json.raw(raw), None, out)
    items.finish([json.raw(b"null")], out)
    assert out == []
    assert len(items) == 0
