"""What is done with the places a query found and the texts a pattern made."""

from __future__ import annotations

import itertools
import json as stdlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import RemoteProtocolError
from ferryllm_proto.policy.transforms import (
    MAX_EVENT,
    Add,
    AnswerTransform,
    Drop,
    Find,
    Replace,
    Step,
    StreamTransform,
    TransformFault,
    Transforms,
    apply,
)
from ferryllm_proto.splices import Path

BODY = b'{ "user":"ann", "m":[{"a":"x1"},{"a":"x2","b":1.0}] }'


def _at(*paths: Path) -> Find:
    return lambda value: paths


def _too_much(value: object) -> list[Path]:
    raise TransformFault("more than 3 places")


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Drop(_at(("user",), ("m", 0))), b'{ "m":[{"a":"x2","b":1.0}] }'),
        (Drop(_at((), ("none",))), BODY),
        (Add(_at(()), b'{"k":1}', "meta"), BODY[:-2] + b',"meta":{"k":1} }'),
        (Add(_at(("m", 0), ("m", 1)), b"2", "b"), BODY.replace(b'"x1"', b'"x1","b":2')),
        (Add(_at(("m", 1)), b"2", "b", replace=True), BODY.replace(b"1.0", b"2")),
        (Add(_at(("m",)), b"3"), BODY.replace(b"1.0}]", b"1.0},3]")),
        (Add(_at(("user",), ("m",)), b"3", "b"), BODY),
        (Replace(lambda text: text.replace("x", "y")), BODY.replace(b"x1", b"y1").replace(b"x2", b"y2")),
        (Replace(lambda text: text.replace("x", "y"), _at(("m", 0, "a"), ("m", 1))), BODY.replace(b"x1", b"y1")),
    ],
)
def test_a_step_changes_its_places_and_no_other_byte(step: Step, expected: bytes) -> None:
    assert apply([step], BODY) == expected


def test_each_step_sees_what_the_ones_before_it_made() -> None:
    steps: list[Step] = [Drop(_at(("m", 0))), Drop(_at(("m", 0, "b"))), Add(_at(()), b"1", "user")]
    assert apply(steps, BODY) == b'{ "user":"ann", "m":[{"a":"x2"}] }'


def test_a_refusal_names_no_content() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        apply([Drop(_too_much)], BODY)
    assert caught.value.error.code == "transform_failed"
    assert "ann" not in caught.value.error.message


_STREAM = (
    b': hi\n\nevent: delta\ndata: {"a": "x", "b":1}\r\n\r\ndata:{"b":2}\n\n'
    b'data: [DONE]\n\ndata: {broken\n\ndata: {"b":3}'
)
_CHANGED = b': hi\n\nevent: delta\ndata: {"a": "x"}\r\n\r\ndata:{}\n\ndata: [DONE]\n\ndata: {broken\n\ndata: {}'


@given(st.lists(st.integers(0, len(_STREAM)), max_size=6))
def test_events_are_changed_however_their_bytes_arrive(cuts: list[int]) -> None:
    machine = StreamTransform([Drop(_at(("b",)))])
    places = [0, *sorted(cuts), len(_STREAM)]
    out = b"".join(machine.receive_data(_STREAM[a:b]) for a, b in itertools.pairwise(places))
    assert out + machine.receive_eof() == _CHANGED


def test_lines_of_json_are_events_too() -> None:
    machine = StreamTransform([Drop(_at(("b",)))], sse=False)
    assert machine.receive_data(b'{"b":1,"a":2}\n{"b"') == b'{"a":2}\n'
    assert machine.receive_data(b":1}\n") == b"{}\n"
    assert machine.receive_eof() == b""


def test_an_event_that_a_step_refuses_passes_as_it_is() -> None:
    machine = StreamTransform([Drop(_too_much)])
    assert machine.receive_data(b'data: {"b":1}\n\n') == b'data: {"b":1}\n\n'


def test_a_line_without_end_is_not_held_for_ever() -> None:
    machine = StreamTransform([Drop(_at(("b",)))])
    line = b"data: " + b"x" * MAX_EVENT
    assert machine.receive_data(line[:100]) == b""
    assert machine.receive_data(line[100:]) == line


@given(st.text(max_size=20), st.sampled_from(["a", "", '"', "\\", "\n"]))
def test_whatever_a_pattern_makes_is_still_json(text: str, new: str) -> None:
    body = b'{"k":%b}' % stdlib.dumps(text).encode()
    step = Replace(lambda found: re.sub(".", lambda _: new, found))
    apply([step], apply([step], body))


def test_a_whole_answer_is_changed_when_it_is_whole() -> None:
    transforms = Transforms(response=(Drop(_at(("b",))),), stream=(Drop(_at(("a",))),))
    machine = AnswerTransform(transforms, stream=False)
    assert machine.receive_data(b'{"a":1,') == b""
    assert machine.receive_data(b'"b":2}') == b""
    assert machine.receive_eof() == b'{"a":1}'
    assert machine.receive_eof() == b""


def test_a_stream_has_its_own_steps_and_an_error_has_none() -> None:
    transforms = Transforms(response=(Drop(_at(("b",))),), stream=(Drop(_at(("a",))),))
    assert AnswerTransform(transforms, stream=True).receive_data(b'data: {"a":1,"b":2}\n') == b'data: {"b":2}\n'
    for stream in (True, False):
        machine = AnswerTransform(transforms, stream=stream, good=False)
        assert machine.receive_data(b'{"b":2}') + machine.receive_eof() == b'{"b":2}'


def test_an_answer_that_a_step_refuses_is_not_lost() -> None:
    machine = AnswerTransform(Transforms(response=(Drop(_too_much),)), stream=False)
    assert machine.receive_data(b'{"b":2}') + machine.receive_eof() == b'{"b":2}'
    machine = AnswerTransform(Transforms(response=(Drop(_at(("b",))),)), stream=False)
    assert machine.receive_data(b"<html>") + machine.receive_eof() == b"<html>"
