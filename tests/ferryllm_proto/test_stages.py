"""The table of an `Exchange` is whole: every state is left again, and what it names exists."""

from __future__ import annotations

from ferryllm_proto.exchange import Exchange
from ferryllm_proto.inputs import ClientLost, DeadlinePassed, Stopping
from ferryllm_proto.stages import TRANSITIONS, State


def test_every_method_of_the_table_exists() -> None:
    for name in TRANSITIONS.values():
        assert callable(getattr(Exchange, name))


def test_whoever_waits_can_be_told_that_the_client_left_or_the_gateway_stops() -> None:
    waiting = {state for state, _ in TRANSITIONS} - {State.IDLE}
    assert waiting == set(State) - {State.IDLE, State.DONE}
    for state in waiting:
        for event in (ClientLost, DeadlinePassed, Stopping):
            assert (state, event) in TRANSITIONS
