"""Turns that are made when somebody asks for them."""

from __future__ import annotations

from ferryllm_proto import ir
from ferryllm_proto.json import Raw
from ferryllm_proto.written import Said, Written

_USER, _ASSISTANT = ir.Role.USER, ir.Role.ASSISTANT
_TURN = ir.Turn(_ASSISTANT, (ir.Text("two"),))


def _written(made: list[int]) -> Written:
    def build(number: int, said: Said) -> ir.Turn:
        made.append(number)
        return ir.Turn(said.role, (ir.Text(bytes(said.text or b"").decode()),))

    return Written([Said(_USER, Raw(b"1")), _TURN, Said(_USER, Raw(b"3"))], build)


def test_it_reads_as_the_tuple_of_its_turns() -> None:
    first, last = ir.Turn(_USER, (ir.Text("1"),)), ir.Turn(_USER, (ir.Text("3"),))
    written, turns = _written([]), (first, _TURN, last)
    assert len(written) == 3
    assert written == turns
    assert turns == written
    assert written == _written([])
    assert hash(written) == hash(turns)
    assert written != turns[:2]
    assert written != [*turns]
    assert tuple(written) == turns
    assert (written[0], written[-1], written[1:]) == (first, last, turns[1:])
    assert _TURN in written
    assert (*written[:1], *written[2:]) == (first, last)


def test_turns_are_made_once_and_only_for_who_asks() -> None:
    made: list[int] = []
    written = _written(made)
    assert Written.of(written) is written
    assert Written.of(()) is None
    assert (len(written), written == written, repr(written)) == (3, True, "Written(3 turns)")
    assert made == []
    assert written.turns() is written.turns()
    assert made == [0, 2]
