"""Which fragment belongs to which call."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import calls
from ferryllm_proto.dialects.openai.calls import Calls
from ferryllm_proto.dialects.openai.response import CallAnswer
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.events import ArgsDelta, BlockEnd, BlockStart, Event, OpaqueDelta

_decoder = msgspec.json.Decoder(list[CallAnswer])


def run(*chunks: list[dict[str, Any]]) -> list[tuple[str | None, str | None, str]]:
    """Id, name and arguments of every call; checks that each starts once, before its arguments, and ends once."""
    machine, out, ix = Calls(), list[Event](), 0
    for chunk in chunks:
        ix = machine.receive(_decoder.decode(json.dumps(chunk).encode()), "m", ix, out)
    machine.end_all(ix, out)
    found: dict[int, list[Any]] = {}
    ended: list[int] = []
    for event in out:
        if isinstance(event, BlockStart):
            assert event.ix not in found
            assert event.name
            found[event.ix] = [event.id, event.name, ""]
        elif isinstance(event, ArgsDelta):
            found[event.ix][2] += event.text
        elif isinstance(event, BlockEnd):
            ended.append(event.ix)
    assert ended == sorted(found)
    return [(id_, name, text) for id_, name, text in found.values()]


def frag(index: int | None = None, id_: str | None = None, name: str | None = None, args: Any = None) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", args)) if value is not None}
    fields = (("index", index), ("id", id_), ("function", function or None))
    return {key: value for key, value in fields if value is not None}


def test_the_usual_stream() -> None:
    assert run([frag(0, "1", "f", "")], [frag(0, args='{"a"')], [frag(0, args=":1}")]) == [("1", "f", '{"a":1}')]


def test_x3_interleaved_indexes_reach_their_calls() -> None:
    assert run(
        [frag(0, "1", "f", ""), frag(1, "2", "g", "")],
        [frag(0, args='{"x"')],
        [frag(1, args='{"y"')],
        [frag(0, args=":1}")],
        [frag(1, args=":2}")],
    ) == [("1", "f", '{"x":1}'), ("2", "g", '{"y":2}')]


def test_x4_without_index_by_id_else_the_last() -> None:
    assert run(
        [frag(None, "1", "f", "")], [frag(None, "2", "g", "")], [frag(None, "1", args="{}")], [frag(args="[]")]
    ) == [
        ("1", "f", "{}"),
        ("2", "g", "[]"),
    ]


def test_x4_whole_calls_in_one_chunk_without_anything_to_tell_them_apart() -> None:
    assert run([frag(name="f", args="{}"), frag(name="f", args='{"a":1}')]) == [
        (None, "f", "{}"),
        (None, "f", '{"a":1}'),
    ]
    assert run([frag(name="f", args="{}")], [frag(name="g", args="{}")]) == [(None, "f", "{}"), (None, "g", "{}")]


def test_x4_every_call_numbered_0() -> None:
    assert run([frag(0, "1", "f", "{}")], [frag(0, "2", "g", "{}")]) == [("1", "f", "{}"), ("2", "g", "{}")]


def test_x4_ids_repeated_or_empty_on_later_fragments() -> None:
    assert run([frag(0, "1", "f", "")], [frag(0, "1", args="{")], [frag(0, "", args="}")]) == [("1", "f", "{}")]


def test_x4_cumulative_snapshots() -> None:
    assert run(
        [frag(0, "1", "f", '{"a')], [frag(0, args='{"a":1')], [frag(0, args='{"a":1}')], [frag(0, args='{"a":1}')]
    ) == [("1", "f", '{"a":1}')]


def test_equal_keys_inside_each_other_are_no_snapshots() -> None:
    assert run([frag(0, "1", "f", '{"a":')], [frag(0, args='{"a":1}')], [frag(0, args="}")]) == [
        ("1", "f", '{"a":{"a":1}}')
    ]


@pytest.mark.parametrize("names", [["get_", "weather"], ["get_", "get_weather"], ["get_weather", "get_weather", ""]])
def test_x5_names_in_pieces_repeated_or_cumulative(names: list[str]) -> None:
    chunks = [[frag(0, "1" if n == 0 else None, name, "")] for n, name in enumerate(names)]
    assert run(*chunks, [frag(0, args="{}")], [frag(0, name="get_weather", args="")]) == [("1", "get_weather", "{}")]


def test_x5_arguments_before_the_name() -> None:
    assert run([frag(0, "1", args="{")], [frag(0, name="f")], [frag(0, args="}")]) == [("1", "f", "{}")]


def test_x5_a_call_that_says_nothing_is_none() -> None:
    assert run([frag(0, "1", "", "")], [{"index": 1}]) == []


def test_x5_z12_arguments_without_a_name_are_an_error() -> None:
    with pytest.raises(RemoteProtocolError, match="without a name"):
        run([frag(0, "1", "", "{}")])


def test_x7_a_call_without_arguments_starts_at_the_end() -> None:
    assert run([frag(0, "1", "f")]) == [("1", "f", "")]


def test_arguments_as_an_object_and_custom_input() -> None:
    assert run([frag(0, "1", "f", {"a": 1})]) == [("1", "f", '{"a":1}')]
    assert run(
        [{"index": 0, "id": "c", "custom": {"name": "p", "input": "a"}}], [{"index": 0, "custom": {"input": "b"}}]
    ) == [("c", "p", "ab")]


def test_a_thought_signature_on_a_call() -> None:
    machine, out = Calls(), list[Event]()
    extra = {"google": {"thought_signature": "ts"}}
    raw = json.dumps([{**frag(0, "1", "f", "{}"), "extra_content": extra}]).encode()
    machine.receive(_decoder.decode(raw), "g", 0, out)
    (delta,) = [event for event in out if isinstance(event, OpaqueDelta)]
    assert delta.opaque == ir.Opaque("gemini", "g", ir.OpaqueKind.THOUGHT_SIGNATURE, "ts")


def test_g11_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_ARGUMENTS", 10)
    monkeypatch.setattr(calls, "MAX_CALLS", 2)
    with pytest.raises(RemoteProtocolError, match="10 characters"):
        run([frag(0, "1", "f", "x" * 11)])
    with pytest.raises(RemoteProtocolError, match="2 tool calls"):
        run([frag(n, str(n), "f", "{}") for n in range(3)])
