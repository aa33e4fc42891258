from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini.chunks import MAX_ENVELOPES, ChunkReader
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.events import Event, UsageUpdate

from .build import call, chunk, fold, usage


def _read(*chunks: dict[str, Any]) -> list[Event]:
    reader = ChunkReader()
    out: list[Event] = []
    for one in chunks:
        reader.chunk(json.dumps(one).encode(), out)
    reader.end(out)
    return out


def test_usage_that_repeats_itself_is_told_once() -> None:
    found = _read(chunk({"text": "a"}, **usage(3, 1)), chunk({"text": "b"}, **usage(3, 1)), chunk(**usage(3, 2)))
    assert [event.usage.output for event in found if isinstance(event, UsageUpdate)] == [1, 2]


def test_g11_envelopes_are_opened_to_a_depth() -> None:
    def packed(depth: int) -> dict[str, Any]:
        inner = chunk({"text": "a"}, finish="STOP")
        for _ in range(depth):
            inner = {"response": inner}
        return inner

    assert fold(_read(packed(MAX_ENVELOPES))).parts == (ir.Text("a"),)
    reader = ChunkReader()
    reader.chunk(json.dumps(packed(MAX_ENVELOPES + 1)).encode(), [])
    assert not reader.started


@pytest.mark.parametrize(("args", "text"), [('{"a":1}', '{"a":1}'), (None, ""), ({"a": 1.0}, '{"a": 1.0}')])
def test_arguments_as_servers_write_them(args: Any, text: str) -> None:
    part = call("f")
    part["functionCall"]["args"] = args
    (found,) = fold(_read(chunk(part, finish="STOP"))).parts
    assert isinstance(found, ir.ToolCall)
    assert found.arguments == text


def test_a_piece_with_another_name_or_id_is_another_call() -> None:
    def piece(**fields: Any) -> dict[str, Any]:
        return {"functionCall": {"willContinue": True, **fields}}

    found = fold(
        _read(chunk(piece(name="f", id="1")), chunk(piece(name="f", id="1")), chunk(piece(name="f", id="2"))),
    )
    assert [part.id for part in found.parts if isinstance(part, ir.ToolCall)] == ["1", "2"]


def test_a_call_without_a_name_is_a_fault() -> None:
    parts: list[dict[str, Any]] = [{"functionCall": {"args": {}}}, {"functionCall": {"willContinue": True}}]
    for part in parts:
        with pytest.raises(RemoteProtocolError, match="a tool call without a name"):
            _read(chunk(part))
