"""Limits: every number bounds something, has a sane order, and says where it is from."""

from __future__ import annotations

import ast
import inspect
import pathlib

import msgspec
import pytest

from ferryllm_net.http import Limits, Timeouts, limits

HTTP = pathlib.Path(limits.__file__).parent
READ = "".join(path.read_text() for path in HTTP.glob("*.py") if path.name != "limits.py")


@pytest.mark.parametrize("kind", [Limits, Timeouts])
def test_no_limit_is_declared_and_ignored(kind: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(kind):
        assert f".{field.name}" in READ, f"{kind.__name__}.{field.name} bounds nothing"


@pytest.mark.parametrize("kind", [Limits, Timeouts])
def test_every_limit_says_why(kind: type[msgspec.Struct]) -> None:
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    for n, node in enumerate(tree.body):
        if isinstance(node, ast.AnnAssign):
            after = tree.body[n + 1] if n + 1 < len(tree.body) else None
            assert isinstance(after, ast.Expr), f"{ast.unparse(node.target)} has no word about it"


def test_every_limit_is_above_nothing() -> None:
    for kind in (Limits, Timeouts):
        for field in msgspec.structs.fields(kind):
            assert field.default is None or field.default > 0, field.name


def test_the_numbers_do_not_contradict_each_other() -> None:
    one = Limits()
    assert one.request_line_bytes < one.head_bytes < one.drain_rest_bytes < one.body_bytes
    assert one.pool_idle_per_origin < one.pool_idle_total
    assert one.sweep_secs < min(one.head_secs, one.body_idle_secs, one.linger_secs, one.drain_error_secs)
    assert one.head_secs <= one.accept_head_secs < one.keep_alive_secs
    assert one.body_bytes / one.body_floor_bytes_per_sec > one.body_floor_after_secs
    assert Timeouts().connect_secs < Timeouts().idle_secs < Timeouts().head_secs


@pytest.mark.parametrize("kind", [Limits, Timeouts])
def test_limits_are_values(kind: type[msgspec.Struct]) -> None:
    one = kind()
    assert one == kind()
    with pytest.raises(AttributeError):
        setattr(one, one.__struct_fields__[0], 1)
