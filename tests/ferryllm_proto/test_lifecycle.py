"""The table of the encoders without open blocks: what it allows is what the grammar of events allows."""

from __future__ import annotations

from typing import get_args

from ferryllm_proto.events import End, Event, Finish, Ping, Start, StreamFailed
from ferryllm_proto.lifecycle import AFTER, TRANSITIONS, State

OVER = (State.DONE, State.FAILED)


def test_every_kind_of_event_is_possible_somewhere_and_none_after_the_end() -> None:
    assert {kind for _, kind in TRANSITIONS} == set(get_args(Event))
    assert not any(AFTER[state] for state in OVER)


def test_a_failure_is_possible_in_every_state_before_the_end() -> None:
    assert {state for state in State if AFTER[state].get(StreamFailed) is State.FAILED} == set(State) - set(OVER)


def test_a_stream_begins_finishes_and_ends_once() -> None:
    assert [key for key, after in TRANSITIONS.items() if after is State.OPEN and key[0] is State.IDLE] == [
        (State.IDLE, Start)
    ]
    assert [state for state in State if Finish in AFTER[state]] == [State.OPEN]
    assert [state for state in State if End in AFTER[state]] == [State.FINISHED]


def test_a_sign_of_life_changes_nothing() -> None:
    assert all(after is state for (state, kind), after in TRANSITIONS.items() if kind is Ping)


def test_the_table_by_state_is_the_same_table() -> None:
    assert {(state, kind): after for state in State for kind, after in AFTER[state].items()} == TRANSITIONS
