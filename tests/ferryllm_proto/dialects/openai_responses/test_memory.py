"""A connection remembers its last responses within a bound, and items as they can be sent again."""

from __future__ import annotations

import pytest

from ferryllm_proto.dialects.openai_responses.memory import MAX_RESPONSES, Budget, Memory, replayable, unproven


def test_the_least_recently_used_is_forgotten_first() -> None:
    memory = Memory(1000)
    for n in range(MAX_RESPONSES):
        memory.keep(f"resp_{n}", (b"x",))
    assert memory.find("resp_0") == (b"x",)
    memory.keep("resp_new", (b"y",))
    assert memory.find("resp_1") is None
    assert memory.find("resp_0") == (b"x",)
    assert len(memory) == MAX_RESPONSES


def test_bytes_are_bounded_and_what_is_too_large_is_not_kept() -> None:
    memory = Memory(10)
    memory.keep("a", (b"12345", b"1"))
    memory.keep("b", (b"1234",))
    assert memory.find("a") is not None
    memory.keep("c", (b"1",))
    assert [name for name in "abc" if memory.find(name) is not None] == ["a", "c"]
    memory.keep("a", (b"x" * 11,))
    assert [name for name in "abc" if memory.find(name) is not None] == ["c"]
    memory.keep("d", (b"x" * 9,))
    assert memory.find("c") is not None


def test_a_response_that_comes_again_replaces_itself() -> None:
    memory = Memory(10)
    for _ in range(5):
        memory.keep("a", (b"12345",))
    memory.keep("b", (b"12345",))
    assert (len(memory), memory.find("a")) == (2, (b"12345",))


MESSAGE = b'{"type":"message","id":"msg_1"}'


@pytest.mark.parametrize(
    ("item", "kept"),
    [
        (MESSAGE, MESSAGE),
        (b'{"role":"user"}', b'{"role":"user"}'),
        (b'{"type":"reasoning","id":"rs_1","summary":[]}', None),
        (b'{"type":"reasoning","id":"rs_1","summary":[],"content":null,"encrypted_content":null}', None),
        (
            b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"}',
            b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"}',
        ),
        (
            b'{"type":"reasoning","id":"rs_1","summary":[{"text":"s"}]}',
            b'{"type":"reasoning","summary":[{"text":"s"}]}',
        ),
        (
            b'{"type":"reasoning","id":"rs_1","content":[{"text":"s"}]}',
            b'{"type":"reasoning","content":[{"text":"s"}]}',
        ),
    ],
)
def test_r8_reasoning_that_nobody_can_look_up_goes_without_its_id(item: bytes, kept: bytes | None) -> None:
    assert replayable([item], stored=False) == (() if kept is None else (kept,))
    assert replayable([item], stored=True) == (item,)
    assert unproven([item]) == (() if kept == item else (0,))


def test_items_are_found_by_their_ids_in_the_response_used_last() -> None:
    memory = Memory(1000)
    memory.keep("resp_1", (b'{"id":"msg_1","n":1}', b'{"id":"msg_2"}'))
    memory.keep("resp_2", (b'{"id":"msg_1","n":2}', b'{"role":"user","content":"hi"}'))
    found = {"msg_1": b'{"id":"msg_1","n":2}', "msg_2": b'{"id":"msg_2"}'}
    assert memory.find_items(("msg_1", "msg_2", "msg_3")) == found
    memory.find("resp_1")
    assert memory.find_items(("msg_1",)) == {"msg_1": b'{"id":"msg_1","n":1}'}
    assert memory.find_items(()) == {}


def test_connections_share_a_budget_and_give_back_what_they_took() -> None:
    budget = Budget(25)
    one, two = Memory(100, budget), Memory(100, budget)
    one.keep("a", (b"x" * 10,))
    one.keep("b", (b"x" * 10,))
    two.keep("c", (b"x" * 10,))  # no room, and none of its own to make some
    assert two.find("c") is None
    one.keep("d", (b"x" * 10,))  # makes room among its own
    assert (one.find("a"), one.find("d")) == (None, (b"x" * 10,))
    assert budget.used == 20
    one.close()
    assert (budget.used, len(one)) == (0, 0)
    two.keep("c", (b"x" * 10,))
    assert two.find("c") is not None
