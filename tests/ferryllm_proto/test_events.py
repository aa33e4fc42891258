from __future__ import annotations

import typing

import msgspec
import pytest

from ferryllm_proto import events, ir


def test_every_event_is_a_frozen_struct_of_the_union() -> None:
    members = set(typing.get_args(events.Event))
    structs = {
        value
        for value in vars(events).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == events.__name__
    }
    assert members == structs
    assert all(struct.__struct_config__.frozen for struct in structs)


def test_events_do_not_change() -> None:
    delta = events.TextDelta(0, "a")
    with pytest.raises(AttributeError):
        delta.text = "b"  # type: ignore[misc]  # that it is refused is what is tested
    assert delta == events.TextDelta(0, "a")
    assert events.BlockStart(0, events.BlockKind.TOOL).tool_kind is ir.ToolKind.FUNCTION
