"""Actions are values, every one of them is carried out by the interpreter, and the log knows each outcome."""

from __future__ import annotations

import inspect
import io
import re
from types import SimpleNamespace
from typing import Any, cast, get_args

import msgspec
import pytest

from ferryllm_net.gateway import interpreter
from ferryllm_net.telemetry import logs
from ferryllm_proto import actions, exchange, notes
from ferryllm_proto.dialect import UpstreamRequest
from ferryllm_proto.responses import remembering
from ferryllm_proto.routing.table import Route

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


NOTES = [
    (notes.incoming("d", "m", stream=True), "INFO", "stream=true"),
    (notes.resolved("d", "m", Route("m", "p")), "INFO", "display_model"),
    (notes.sending("p", "m", stream=False), "INFO", "stream=false"),
    (notes.answered("p", 200, 0.25), "INFO", 'status="200 OK"'),
    (notes.failed("p", "why"), "WARN", 'reason="why"'),
]


@pytest.mark.parametrize(("note", "level", "text"), NOTES, ids=[note.name for note, _, _ in NOTES])
def test_every_note_is_a_line_of_its_level_in_the_log(note: actions.Note, level: str, text: str) -> None:
    out = io.StringIO()
    log = logs.Log(out, "info", now=lambda: 0.0)
    app, exchange = SimpleNamespace(log=log), SimpleNamespace(id="req_1")
    interpreter.Interpreter._note(cast(Any, SimpleNamespace(_app=app, _exchange=exchange)), [note])
    log.flush()
    assert re.search(rf" {level} {note.name} .*request_id=\"?req_1", out.getvalue()), out.getvalue()
    assert text in out.getvalue()


def test_no_note_is_missing_here() -> None:
    assert inspect.getsource(notes).count("Note(") == len(NOTES)


def test_opening_carries_the_request_and_its_number() -> None:
    request = UpstreamRequest("POST", "/v1/x", "", (), b"{}", True)
    opened = actions.Open("p", request, 2)
    assert (opened.provider, opened.request.body, opened.attempt) == ("p", b"{}", 2)
    assert opened == actions.Open("p", request, 2)
