"""What is kept knows what stands before the next turn, and about how much room it takes."""

from __future__ import annotations

from ferryllm_proto.responses.kept import ITEM_COST, KeptResponse


def test_what_comes_before_the_next_turn_is_input_and_output() -> None:
    kept = KeptResponse("resp_1", "", 1.0, "chat", input=(b"a", b"b"), output=(b"c",))
    assert kept.items == (b"a", b"b", b"c")


def test_the_size_covers_every_byte() -> None:
    kept = KeptResponse("resp_1", "", 1.0, "chat", response=b"x" * 1000, input=(b"a" * 50,) * 20, output=(b"c" * 30,))
    assert kept.size >= 1000 + 1000 + 30 + 21 * ITEM_COST
    assert KeptResponse("resp_1", "", 1.0, "chat", native=True).size > 0
