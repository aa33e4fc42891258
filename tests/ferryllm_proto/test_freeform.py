from __future__ import annotations

import json as stdlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import freeform, json
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.freeform import FreeformInput
from ferryllm_proto.ir import ErrorKind

PATCH = """*** Begin Patch
*** Update File: a "b"\\c.py
@@ def f():
-\treturn "\\n"
+\treturn '\u2028 é 😀'
*** End Patch
"""


def read(*fragments: str) -> str:
    reader = FreeformInput()
    return "".join([reader.receive(fragment) for fragment in fragments]) + reader.end()


def every_cut(arguments: str) -> set[str]:
    """What comes out, over all cuts in two and fragment by fragment."""
    out = {read(arguments[:cut], arguments[cut:]) for cut in range(len(arguments) + 1)}
    return out | {read(*arguments), read(*(arguments[at : at + 3] for at in range(0, len(arguments), 3)))}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (stdlib.dumps({"input": PATCH}), PATCH),
        (stdlib.dumps({"input": PATCH}, ensure_ascii=False), PATCH),
        (' {\n "input" : ' + stdlib.dumps(PATCH) + "\n}\n", PATCH),
        ('{"input":"' + PATCH.replace("\\", "\\\\").replace('"', '\\"') + '"}', PATCH),
        ('{"input":""}', ""),
        ('{"input":"a\\u0041\\u00e9\\/\\b\\f\\r\\t\\\\u0041"}', "aAé/\b\f\r\t\\u0041"),
        ('{"input":"\\ud83d\\ude00\\uD83D\\uDE00"}', "😀😀"),
        ('{"input":"\\\\\\ud83d\\ude00\\\\ud83d"}', "\\😀\\ud83d"),
        ('{"input":"\\d+ \\u00zz \\uq \\ "}', "\\d+ \\u00zz \\uq \\ "),
        ('{"input":"a\\u12"}', "a\\u12"),
        ('{"input":"x","note":"\\" ignored"}', "x"),
        ('{"input":"x"} and what is behind', "x"),
        ('{"note":"y","input":"x"}', "x"),
        ('{"patch":"x"}', "x"),
        ('{"patch":"x\ny\\tz"}', "x\ny\tz"),
        ('{"a":"x","b":"y"}', '{"a":"x","b":"y"}'),
        ('{"input":["x"]}', '{"input":["x"]}'),
        ('"just a string"', "just a string"),
        ("*** Begin Patch\n*** End Patch\n", "*** Begin Patch\n*** End Patch\n"),
        ("```patch\n*** Begin Patch\n```\n", "*** Begin Patch"),
        ('```json\n{"input": "x"}\n```', "x"),
        ("[1, 2]", "[1, 2]"),
        ("{}", ""),
        ("42", "42"),
        ("", ""),
        (" \n", ""),
        ("{" + " " * 400 + '"input": "x"}', "x"),
    ],
)
def test_r5_the_plain_input_comes_out_at_every_cut(arguments: str, text: str) -> None:
    assert every_cut(arguments) == {text}


def test_r5_lone_halves_of_a_pair_leave_as_escapes() -> None:
    for escapes in ("\\ud83d", "\\ude00", "\\ud83d\\ud83d\\ude00", "\\ude00\\ud83dx"):
        (out,) = every_cut('{"input":"' + escapes + '"}')
        assert stdlib.loads(json.encode_str(out)) == stdlib.loads(f'"{escapes}"')


def test_r5_the_input_streams_as_it_grows() -> None:
    reader = FreeformInput()
    given = [reader.receive(part) for part in ('{"in', 'put": "*** Be', "gin\\", 'nline"', "}", "x")]
    assert given == ["", "*** Be", "gin", "\nline", "", ""]
    assert reader.end() == ""
    assert reader.end() == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", ""),
        ("{", ""),
        (' {"inp', ""),
        ('{"input"', ""),
        ('{"input": ', ""),
        ('{"input":"', ""),
        ('{"input":"abc', "abc"),
        ('{"input":"abc\\', "abc"),
        ('{"input":"abc\\\\', "abc\\"),
        ('{"input":"abc\\u', "abc"),
        ('{"input":"abc\\u00e', "abc"),
        ('{"input":"abc\\ud83d', "abc"),
        ('{"input":"abc\\ud83d\\', "abc"),
        ('{"input":"abc\\ud83d\\ude0', "abc"),
        ('{"input":"abc"', "abc"),
        ('{"other":"abc', '{"other":"abc'),
    ],
)
def test_x18_a_call_cut_by_the_token_limit_keeps_what_is_certain(arguments: str, text: str) -> None:
    assert every_cut(arguments) == {text}


def test_a_cut_patch_is_a_beginning_of_the_whole_one() -> None:
    arguments = stdlib.dumps({"input": PATCH})
    for cut in range(len('{"input": "'), len(arguments)):
        assert PATCH.startswith(read(arguments[:cut]))


def test_g11_arguments_of_another_shape_are_kept_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeform, "MAX_OTHER", 100)
    assert read(*["x"] * 100) == "x" * 100
    with pytest.raises(RemoteProtocolError, match="longer than 100 characters") as caught:
        read(*["x"] * 101)
    assert caught.value.error.kind is ErrorKind.UPSTREAM


def test_a_long_input_is_not_bounded_because_it_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeform, "MAX_OTHER", 100)
    assert read('{"input":"', *["x"] * 1000, '"}') == "x" * 1000


@given(st.text(st.characters(codec="utf-8")), st.booleans(), st.lists(st.integers(0, 300), max_size=8))
def test_r5_any_text_comes_out_whatever_the_fragments(text: str, ascii_only: bool, cuts: list[int]) -> None:
    arguments = stdlib.dumps({"input": text}, ensure_ascii=ascii_only)
    cuts = sorted(min(cut, len(arguments)) for cut in cuts)
    fragments = [arguments[a:b] for a, b in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
    assert read(*fragments) == text


@given(st.text(st.sampled_from('{}":\\u dDcC8039af \n`input')))
def test_any_garbage_is_the_same_whole_and_in_pieces_and_raises_nothing(garbage: str) -> None:
    assert every_cut('{"input":"' + garbage) == {read('{"input":"' + garbage)}
    assert every_cut(garbage) == {read(garbage)}
