"""The line index: every form in which TOML can write a key, checked against what the TOML reader found."""

from __future__ import annotations

import pytest
import tomli
from hypothesis import example, given
from hypothesis import strategies as st

from ferryllm_net.config.problems import Path
from ferryllm_net.config.source import Lines

DOCUMENT = '''\
# comment with [brackets] and = signs
top = 1
[server]
listen = "a # not a comment"   # a comment
text = """
[not.a.table]
key = 1
quotes "" and \\""" and ""two"""""
raw = \'\'\'
[[neither]] \\\'\'\'
after = true
dotted.inner.deep = 1
"quoted key" = 2
\'lit.eral\' = 3
"esc\\u0041pe\\n" = 4

[[providers]]
name = "a"
[providers.extra]
x = 1
[[providers.items]]
y = 1
[[providers.items]]
y = 2
[[providers]]
name = "b"
base_url = \'\'\'x\'\'\'
[ spaced . "out" ]
z = 1
[inline]
table = { a = 1, b.c = "}", d = [1, { e = 2 }] }
array = [
  1, # one ]
  "]",
  [ 2,
    3 ],
]
empty = []
none = {}
date = 2026-01-31 12:00:00
last = 1979-05-27T07:32:00Z'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("server",), 3),
        (("server", "listen"), 4),
        (("server", "text"), 5),
        (("server", "raw"), 9),
        (("server", "after"), 11),
        (("server", "dotted"), 12),
        (("server", "dotted", "inner", "deep"), 12),
        (("server", "quoted key"), 13),
        (("server", "lit.eral"), 14),
        (("server", "escApe\n"), 15),
        (("providers",), 17),
        (("providers", 0), 17),
        (("providers", 0, "name"), 18),
        (("providers", 0, "extra"), 19),
        (("providers", 0, "extra", "x"), 20),
        (("providers", 0, "items", 1), 23),
        (("providers", 0, "items", 1, "y"), 24),
        (("providers", 1), 25),
        (("providers", 1, "name"), 26),
        (("providers", 1, "base_url"), 27),
        (("spaced", "out", "z"), 29),
        (("inline", "table", "a"), 31),
        (("inline", "table", "b", "c"), 31),
        (("inline", "table", "d", 1, "e"), 31),
        (("inline", "array", 1), 34),
        (("inline", "array", 2, 1), 36),
        (("inline", "empty"), 38),
        (("inline", "none"), 39),
        (("inline", "date"), 40),
        (("inline", "last"), 41),
    ],
)
def test_each_key_has_its_line(path: Path, line: int) -> None:
    assert Lines(DOCUMENT).line(path) == line


def test_every_key_of_the_reader_is_in_the_index() -> None:
    lines = Lines(DOCUMENT)
    paths = list(_paths(tomli.loads(DOCUMENT), ()))
    # A key that is not indexed answers with its table's line, which is some other line than its own parent's
    # only by chance: so the index itself is asked.
    assert len(paths) > 30
    assert [path for path in paths if path not in lines._lines] == []


def test_windows_line_ends_count_once() -> None:
    assert Lines("a = 1\r\n[b]\r\nc = 2\r\n").line(("b", "c")) == 3


def test_a_key_that_is_not_there_has_the_line_of_its_table() -> None:
    lines = Lines(DOCUMENT)
    assert lines.line(("providers", 1, "type")) == 25
    assert lines.line(("server", "missing")) == 3


def test_what_has_no_table_has_no_line() -> None:
    assert Lines(DOCUMENT).line(("routes",)) is None
    assert Lines("").line(("routes", 0)) is None


@pytest.mark.parametrize("text", ["a = 1\n= 2\nb = 3", 'a = 1\n"open', "a = 1\n[b\nc = 1", "a = 1\nb = {c = 1 d = 2}"])
def test_text_that_is_not_toml_keeps_what_was_found(text: str) -> None:
    assert Lines(text).line(("a",)) == 1


SIGNS = (
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    " = ",
    ",",
    ".",
    "#",
    "\n",
    "\r\n",
    " ",
    "\t",
    '"',
    "'",
    '"""',
    "'''",
    "\\",
)
PIECES = ("a", "b", "1", "true", '\\"', '"x"', "'y'", "a = 1\n", "[a]\n", "[[b]]\n", "c.d = 2\n", "[b.c]\n")
STATEMENTS = (
    *("[a]\n", "[[b]]\n", "[b.c]\n", "[ d . 'e' ]\n", "[[b.f]]\n", "g.h = 2\n", "# [a] = \n", 'i = "]" # x\n'),
    *(
        'j = """\n[k]\nl = 1"""\n',
        "m = '''\n\\'''\n",
        "n = [\n1, # ]\n{ o = 1, p.q = '}' },\n]\n",
        "r = {}\r\n",
        '"s\\t" = []\n',
    ),
)
TEXTS = st.one_of(
    st.lists(st.sampled_from((*SIGNS, *PIECES)), max_size=24), st.lists(st.sampled_from(STATEMENTS), unique=True)
).map("".join)


@given(TEXTS)
@example("a = {b = 1, c = [{d = 1}]}\n[[b]]\n[b.c]\n[[b]]\n")
def test_any_text_is_indexed_and_whatever_is_toml_completely(text: str) -> None:
    lines = Lines(text)
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    assert [path for path in _paths(document, ()) if path not in lines._lines] == []


def _paths(value: object, path: Path) -> list[Path]:
    found: list[Path] = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += _paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _paths(item, (*path, index))
    return found
