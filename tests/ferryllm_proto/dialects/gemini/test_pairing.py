from __future__ import annotations

from ferryllm_proto.dialects.gemini.pairing import Pairing


def test_n2_results_without_ids_go_by_name_and_order() -> None:
    pairing = Pairing()
    pairing.turn(model=True)
    first, second, other = pairing.call(None, "f", "a"), pairing.call(None, "f", "b"), pairing.call(None, "g", "c")
    pairing.turn(model=False)
    assert len({first, second, other}) == 3
    assert pairing.result(None, "g", "x") == other
    assert [pairing.result(None, "f", "y"), pairing.result(None, "f", "z")] == [first, second]


def test_n2_an_id_wins_over_order() -> None:
    pairing = Pairing()
    pairing.call("1", "f", "a")
    pairing.call("2", "f", "b")
    assert [pairing.result("2", "f", "x"), pairing.result("1", "f", "y")] == ["2", "1"]


def test_a_result_with_an_id_of_its_own_answers_a_call_without_one() -> None:
    pairing = Pairing()
    minted = pairing.call(None, "f", "a")
    pairing.call("own", "f", "b")
    assert pairing.result("strange", "f", "x") == minted
    assert pairing.result("stranger", "f", "y") == "stranger"


def test_a_result_without_a_name_answers_the_first_open_call() -> None:
    pairing = Pairing()
    assert pairing.call("1", "f", "a") == pairing.result(None, None, "x")


def test_open_calls_are_forgotten_at_the_next_answer_of_the_model() -> None:
    pairing = Pairing()
    pairing.turn(model=True)
    before = pairing.call(None, "f", "a")
    pairing.turn(model=False)
    pairing.turn(model=True)
    after = pairing.call(None, "f", "b")
    assert before != after
    assert pairing.result(None, "f", "x") == after


def test_a14_ids_depend_on_the_place_alone() -> None:
    assert Pairing().call(None, "f", "a") == Pairing().call("", "f", "a")
