"""Actions are values, every one of them is carried out by the interpreter, and the log knows each outcome."""

from __future__ import annotations

import inspect
from typing import get_args

import msgspec
import pytest

from ferryllm_net.gateway import interpreter
from ferryllm_net.telemetry import logs
from ferryllm_proto import actions, exchange, notes
from ferryllm_proto.dialect import UpstreamRequest
from ferryllm_proto.responses import remembering

KINDS = get_args(actions.Action)


def test_the_union_names_every_action_of_the_module() -> None:
    defined = {
        one
        for one in vars(actions).values()
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and one.__module__ == actions.__name__
    }
    assert set(KINDS) == defined


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_machine_makes_each_action_and_the_interpreter_knows_it(kind: type) -> None:
    assert f"{kind.__name__}(" in "".join(map(inspect.getsource, (exchange, notes, remembering)))
    assert kind.__name__ in inspect.getsource(interpreter.Interpreter)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_actions_are_frozen(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen


def test_the_outcomes_are_those_of_the_log() -> None:
    assert {outcome.value for outcome in actions.Outcome} == set(get_args(logs.Outcome))


def test_a_note_is_for_everybody_unless_it_says_otherwise() -> None:
    assert actions.Note("x", {}).level == "info"


def test_every_note_has_a_line_in_the_log() -> None:
    source = inspect.getsource(notes)
    for name in interpreter._NOTES:
        assert f'"{name}"' in source
    assert source.count("Note(") == len(interpreter._NOTES), "no note without its writer"


def test_opening_carries_the_request_and_its_number() -> None:
    request = UpstreamRequest("POST", "/v1/x", "", (), b"{}", True)
    opened = actions.Open("p", request, 2)
    assert (opened.provider, opened.request.body, opened.attempt) == ("p", b"{}", 2)
    assert opened == actions.Open("p", request, 2)
