from __future__ import annotations

import pytest

from ferryllm_proto import ir, toolsets
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.toolsets import ToolSets, keep


def named(data: bytes) -> tuple[ir.Tool, ...]:
    return tuple(ir.Function(word) for word in data.decode().split())


def other(data: bytes) -> tuple[ir.Tool, ...]:
    return (ir.Function("other"),)


def refused(data: bytes) -> tuple[ir.Tool, ...]:
    raise RemoteProtocolError("no")


def test_the_same_bytes_are_the_same_tools() -> None:
    sets = ToolSets()
    first = sets.read(b"f g", named)
    assert first == named(b"f g")
    assert sets.read(b"f" + b" g", named) is first


def test_bytes_alike_at_both_ends_are_told_apart() -> None:
    sets = ToolSets()
    edge = b"e" * toolsets._EDGE
    one, two = edge + b" a " + edge, edge + b" b " + edge
    for data in (one, two, one):
        assert sets.read(data, named) == named(data)


def test_each_dialect_reads_for_itself() -> None:
    sets = ToolSets()
    assert sets.read(b"f", named) != sets.read(b"f", other)


def test_what_is_wrong_is_wrong_each_time() -> None:
    sets = ToolSets()
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            sets.read(b"f", refused)


def test_the_oldest_go_first_and_what_was_made_of_them_with_them() -> None:
    sets = ToolSets(limit=2_000)
    kept = [sets.read(letter * 900, named) for letter in (b"a", b"b")]
    assert sets.read(b"a" * 900, named) is kept[0]  # the younger now
    sets.read(b"c" * 900, named)
    assert sets.derived(kept[0]) is not None
    assert sets.derived(kept[1]) is None
    assert sets.read(b"b" * 900, named) is not kept[1]


def test_a_list_that_is_too_long_is_not_kept() -> None:
    sets = ToolSets()
    data = b"a" * (toolsets.MAX_SIZE + 1)
    assert sets.derived(sets.read(data, named)) is None


def test_no_tools_are_no_list() -> None:
    sets = ToolSets(limit=3)
    for data in (b"", b" ", b"  ", b"   "):
        assert sets.read(data, named) == ()
    assert sets.derived(()) is None


def test_what_was_made_is_bounded() -> None:
    sets = ToolSets()
    derived = sets.derived(sets.read(b"f", named))
    assert derived is not None
    for number in range(3 * toolsets.MAX_DERIVED):
        keep(derived, number, number)
        assert derived[number] == number
        assert len(derived) <= toolsets.MAX_DERIVED


def test_tools_nobody_keeps_keep_nothing() -> None:
    keep(None, "a", 1)
    assert ToolSets().derived((ir.Function("f"),)) is None
