"""Transforms as the configuration says them: compiled, bounded, and refused where they can not work."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from ferryllm_net.config.policy_schema import Transform
from ferryllm_net.config.problems import Report, key_text
from ferryllm_net.config.transforms import MAX_FOUND, MAX_GROWTH, compile_transforms
from ferryllm_proto import RemoteProtocolError
from ferryllm_proto.policy.transforms import Transforms, apply

BODY = b'{"user":"ann@a.example","m":[{"a":"x"},{"a":"y","n":2}], "z":1.0}'


def compiled(*found: Transform) -> Transforms:
    report = Report(lambda path: ("f", None, key_text(path)))
    out = compile_transforms(found, ("transforms",), report)
    report.raise_errors()
    return out


def changed(body: bytes = BODY, **fields: Any) -> bytes:
    return apply(compiled(Transform(**fields)).request, body)


def refused(**fields: Any) -> tuple[str, str]:
    report = Report(lambda path: ("f", None, key_text(path)))
    compile_transforms([Transform(**fields)], ("transforms",), report)
    (problem,) = report.problems
    return problem.key, problem.message


def test_each_kind_does_what_it_says() -> None:
    assert changed(type="drop", path="$.m[?@.n > 1]") == BODY.replace(b',{"a":"y","n":2}', b"")
    assert changed(type="drop", path="$..a") == b'{"user":"ann@a.example","m":[{},{"n":2}], "z":1.0}'
    assert changed(type="add", path="$", name="k", value={"b": [1]}) == BODY[:-1] + b',"k":{"b":[1]}}'
    assert changed(type="add", path="$.m", value="s") == BODY.replace(b"}]", b'},"s"]')
    assert changed(type="add", path="$.m[*]", name="n", value=0, replace=True).count(b'"n":0') == 2
    masked = changed(type="regex", pattern=r"(\w+)@[a-z.]+", replacement=r"\1@...")
    assert masked == BODY.replace(b"ann@a.example", b"ann@...")
    assert changed(type="regex", pattern="[xy]", path="$.m[0].a") == BODY.replace(b'"x"', b'""')


def test_steps_go_where_they_are_for_in_the_order_of_the_file() -> None:
    found = compiled(
        Transform("drop", ("request", "response"), "$.a"),
        Transform("add", ("stream",), "$", name="k", value=1),
        Transform("drop", ("response",), "$.b"),
    )
    assert [len(found.request), len(found.response), len(found.stream)] == [1, 2, 1]


@pytest.mark.parametrize(
    ("fields", "key", "word"),
    [
        ({"type": "drop"}, "path", "missing"),
        ({"type": "add", "path": "$"}, "value", "missing"),
        ({"type": "regex"}, "pattern", "missing"),
        ({"type": "drop", "path": "$.a", "pattern": "x"}, "pattern", "not used"),
        ({"type": "drop", "path": "$"}, "path", "whole body"),
        ({"type": "drop", "path": "$.a["}, "path", "no JSONPath"),
        ({"type": "drop", "path": "a.b"}, "path", "no JSONPath"),
        ({"type": "drop", "path": "$..a..b"}, "path", "more than one .."),
        ({"type": "drop", "path": "$.a", "on": ()}, "on", "empty"),
        ({"type": "regex", "pattern": "(?=a)b"}, "pattern", "no regular expression"),
        ({"type": "regex", "pattern": "a("}, "pattern", "no regular expression"),
        ({"type": "regex", "pattern": "a*"}, "pattern", "no length"),
        ({"type": "regex", "pattern": "a", "replacement": r"\1"}, "replacement", "no group"),
        ({"type": "regex", "pattern": "a", "replacement": r"\n"}, "replacement", "backslash"),
        ({"type": "regex", "pattern": "a", "on": ("stream",)}, "on", "comes in pieces"),
        ({"type": "regex", "pattern": "a", "on": ("stream",), "path": "$.choices[*].delta.content"}, "path", "pieces"),
        ({"type": "regex", "pattern": "a", "on": ("stream",), "path": "$..*"}, "path", "pieces"),
        ({"type": "regex", "pattern": "a", "on": ("stream",), "path": "$.delta['text']"}, "path", "pieces"),
    ],
)
def test_what_can_not_work_is_refused_at_load(fields: dict[str, Any], key: str, word: str) -> None:
    place, message = refused(**fields)
    assert place == f"transforms[0].{key}"
    assert word in message


def test_a_pattern_on_a_stream_may_go_to_what_comes_whole() -> None:
    assert compiled(Transform("regex", ("stream",), "$.model", pattern="a", replacement="b")).stream


def test_a_pattern_that_would_take_for_ever_elsewhere_takes_no_time() -> None:
    body = json.dumps({"k": "a" * 20_000 + "!"}).encode()
    assert changed(body, type="regex", pattern="(a+)+$", replacement="b") == body
    assert changed(body, type="drop", path="$[?search(@, '(a+)+$')]") == body


def test_queries_have_functions_and_a_bad_pattern_in_one_matches_nothing() -> None:
    assert changed(type="drop", path="$.m[?match(@.a, 'x')]") == BODY.replace(b'{"a":"x"},', b"")
    assert changed(type="drop", path="$.m[?match(@.a, '(')]") == BODY
    assert changed(type="drop", path="$.m[?match(@.n, 'x')]") == BODY
    assert changed(type="drop", path="$.m[?length(@.a) == 1]") == BODY.replace(b'{"a":"x"},{"a":"y","n":2}', b"")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (json.dumps([0] * (MAX_FOUND + 1)).encode(), {"type": "drop", "path": "$[*]"}),
        (b"[" * 200 + b"]" * 200, {"type": "drop", "path": "$..a"}),
        (
            json.dumps(["a" * 100]).encode(),
            {"type": "regex", "pattern": "a", "replacement": "b" * (MAX_GROWTH // 100 + 2)},
        ),
    ],
)
def test_bodies_that_pass_a_bound_are_refused(body: bytes, fields: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        changed(body, **fields)
    assert caught.value.error.code == "transform_failed"


@pytest.mark.parametrize(
    ("module", "fields", "key"),
    [
        ("re2", {"type": "regex", "pattern": "a"}, "pattern"),
        ("jsonpath", {"type": "drop", "path": "$.a"}, "path"),
    ],
)
def test_an_engine_that_is_not_there_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, fields: dict[str, Any], key: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    place, message = refused(**fields)
    assert place == f"transforms[0].{key}"
    assert "a package that is not there" in message
