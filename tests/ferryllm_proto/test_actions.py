"""Actions are values, every one of them is carried out by the interpreter, and the log knows each outcome."""

from __future__ import annotations

import inspect
import io
import re
import sys
from types import SimpleNamespace
from typing import Any, cast, get_args

import msgspec
import pytest

from ferryllm_net.gateway import interpreter
from ferryllm_net.gateway.recording import Recording
from ferryllm_net.telemetry import logs
from ferryllm_proto import actions, admission, answering, asking, attempts, exchange, ir, notes
from ferryllm_proto.dialect import UpstreamRequest
from ferryllm_proto.policy.prompt_cache import NOTHING, Observation, Shaped
from ferryllm_proto.policy.reasoning import Applied
from ferryllm_proto.prepare import Prepared
from ferryllm_proto.responses import remembering
from ferryllm_proto.routing.breaker import Change, State
from ferryllm_proto.routing.choice import FULL
from ferryllm_proto.routing.retry import Next, Step
from ferryllm_proto.routing.table import Route

KINDS = get_args(actions.Action)


def test_the_union_names_every_action_of_the_module() -> None:
    defined = {
        one
        for one in vars(actions).values()
        if isinstance(one, type) and issubclass(one, msgspec.Struct) and one.__module__ == actions.__name__
    }
    assert set(KINDS) == defined - {actions.Attempt}  # a part of the record


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_machine_makes_each_action_and_the_interpreter_knows_it(kind: type) -> None:
    machines = (exchange, asking, answering, attempts, admission, notes, remembering)
    assert f"{kind.__name__}(" in "".join(map(inspect.getsource, machines))
    assert kind.__name__ in inspect.getsource(interpreter)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_actions_are_frozen(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen


def test_the_outcomes_are_those_of_the_log() -> None:
    assert {outcome.value for outcome in actions.Outcome} == set(get_args(logs.Outcome))


def test_a_note_is_for_everybody_unless_it_says_otherwise() -> None:
    assert actions.Note("x", {}).level == "info"


FAILED = actions.Attempt("p", "m", "status", 500, 0.0, 0.5, "backoff")


def prepared(reasoning: Applied | None = None, shaped: Shaped = NOTHING) -> Prepared:
    request = UpstreamRequest("POST", "/v1/x", "", (), b"{}", True)
    return Prepared(request, "m", True, None, reasoning=reasoning, shaped=shaped)


NOTES: list[tuple[actions.Note, str, str]] = [
    (notes.incoming("d", "m", stream=True), "INFO", "stream=true"),
    (notes.resolved("d", "m", Route("m", "p")), "INFO", "display_model"),
    (notes.sending("p", "m", stream=False), "INFO", "stream=false"),
    (notes.answered("p", 200, 0.25), "INFO", 'status="200 OK"'),
    (notes.failed("p", "why"), "WARN", 'reason="why"'),
    (notes.attempt_failed(FAILED, 1, ir.Error(ir.ErrorKind.SERVER, "secret words"), own=False), "WARN", "attempt=1"),
    (notes.attempt_failed(FAILED, 1, ir.Error(ir.ErrorKind.BAD_REQUEST, "m"), own=True), "INFO", "error_kind"),
    (notes.retrying("p", Step(Next.SAME, 0.25, "backoff"), 2), "INFO", "wait_ms=250"),
    (notes.trying_fallback("q", "m", "its attempts are used up", 3), "INFO", "attempt=3"),
    (notes.passed_over("p", FULL), "INFO", "because=.?full"),
    (notes.circuits([Change("p", "m", False, State.OPEN, 130.0)], 100.0)[0], "WARN", "secs=30"),
    (notes.circuits([Change("p", None, True, State.OPEN, 130.0)], 100.0)[0], "WARN", "because=.?key"),
    (notes.circuits([Change("p", "m", False, State.HELD, 107.0)], 100.0)[0], "WARN", "because=.?asked to wait"),
    (notes.circuits([Change("p", "m", False, State.CLOSED, 0.0)], 100.0)[0], "WARN", "provider circuit closed"),
    (notes.half_open("p", "m"), "INFO", "half-open"),
    (notes.shaped(prepared(reasoning=Applied("low", "high", changed=True)))[0], "INFO", "applied_reasoning=.?high"),
    (notes.shaped(prepared(shaped=Shaped(stripped_lines=2)))[0], "INFO", "stripped_lines=2"),
    (notes.shaped(prepared(shaped=Shaped(moved_bytes=9)))[0], "INFO", "moved_bytes=9"),
    (notes.cached("d", "m", Observation(100, 25, None, 0.25)), "INFO", "cache_hit_ratio=.?0.250"),
]


@pytest.mark.parametrize(("note", "level", "text"), NOTES, ids=[note.name for note, _, _ in NOTES])
def test_every_note_is_a_line_of_its_level_in_the_log(note: actions.Note, level: str, text: str) -> None:
    out = io.StringIO()
    log = logs.Log(out, "info", now=lambda: 0.0)
    Recording.notes(cast(Any, SimpleNamespace(_app=SimpleNamespace(log=log))), [note], 0, "req_1")
    log.flush()
    assert re.search(rf" {level} {note.name} .*request_id=\"?req_1", out.getvalue()), out.getvalue()
    assert re.search(text, out.getvalue())
    assert "secret" not in out.getvalue()


def test_no_note_is_missing_here() -> None:
    made = [name for name, one in vars(notes).items() if inspect.isfunction(one) and one.__module__ == notes.__name__]
    told = inspect.getsource(sys.modules[__name__])
    assert [name for name in made if f"notes.{name}(" not in told] == []


def test_opening_carries_the_request_and_its_number() -> None:
    request = UpstreamRequest("POST", "/v1/x", "", (), b"{}", True)
    opened = actions.Open("p", request, 2)
    assert (opened.provider, opened.request.body, opened.attempt) == ("p", b"{}", 2)
    assert opened == actions.Open("p", request, 2)
