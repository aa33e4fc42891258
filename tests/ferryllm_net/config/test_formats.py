"""TOML, YAML and JSON: the same values by the same schema, each with the lines of its keys."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import tomli
from hypothesis import example, given
from hypothesis import strategies as st

from ferryllm_net.config import ConfigError, load_settings
from ferryllm_net.config.formats import FormatFault, read, toml

TOML = """\
[server]
listen = "127.0.0.1:3000"

[[providers]]
name = "p"
type = "openai"
base_url = "https://a.example/v1"
idle_timeout_secs = 1.5
ssl_verify = true
"""
YAML = """\
# the same
server:
  listen: 127.0.0.1:3000
providers:
  - name: p
    type: openai
    base_url: https://a.example/v1
    idle_timeout_secs: 1.5
    ssl_verify: true
"""
JSON = """\
{
  "server": {"listen": "127.0.0.1:3000"},
  "providers": [
    {
      "name": "p", "type": "openai",
      "base_url": "https://a.example/v1",
      "idle_timeout_secs": 1.5,
      "ssl_verify": true
    }
  ]
}
"""
FORMS = [("f.toml", TOML), ("f.yaml", YAML), ("f.YML", YAML), ("f.json", JSON), ("conf", TOML)]


@pytest.mark.parametrize(("name", "text"), FORMS)
def test_the_three_forms_say_the_same(name: str, text: str) -> None:
    assert read(text, name)[0] == read(TOML, "f.toml")[0]


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [("f.toml", TOML, [2, 8, 4]), ("f.yaml", YAML, [3, 8, 5]), ("f.json", JSON, [2, 7, 4])],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    places = read(text, name)[1]
    wanted = [("server", "listen"), ("providers", 0, "idle_timeout_secs"), ("providers", 0, "no_such")]
    assert [places.line(path) for path in wanted] == lines
    assert places.line(("routes", 0)) is None
    path = tmp_path / name
    path.write_text(text.replace("idle_timeout_secs", "idel_timeout_secs"))
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (lines[1], "providers[0].idel_timeout_secs")
    assert "idle_timeout_secs" in problem.mend


@pytest.mark.parametrize(
    ("name", "text", "what", "line"),
    [
        ("f.json", '{"a": 1,\n', "not JSON: expecting property name", 2),
        ("f.json", "[1]", "expected an object", 1),
        ("f.json", '{"a": 1,\n"b": {"c": 1, "c": 2}}', 'the key "c" is there twice', 2),
        ("f.yaml", "a: [1", "not YAML", 1),
        ("f.yaml", "- a", "expected a mapping", 1),
        ("f.yaml", "a: 1\nb: 2\na: 3", 'the key "a" is there twice', 3),
        ("f.yaml", "? [x, y]\n: 1", "a key that is no text", 1),
        ("f.yaml", "a: !!python/object:os.system x", "not YAML", 1),
        ("f.yaml", "a: \x01", "a character that it does not allow", None),
        ("f.toml", "a = ", "not TOML", 1),
    ],
)
def test_what_is_not_of_its_form(name: str, text: str, what: str, line: int | None) -> None:
    with pytest.raises(FormatFault, match=what) as caught:
        read(text, name)
    assert caught.value.line == line


def test_yaml_keeps_what_its_aliases_and_merges_mean_and_stops_where_they_explode() -> None:
    text = "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\n"
    assert read(text, "f.yaml")[0] == {"base": {"x": 1, "y": 2}, "own": {"x": 1, "y": 3}}
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for n in range(1, 9):
        bomb += f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]\n"
    with pytest.raises(FormatFault, match="more than 200000 values"):
        read(bomb, "f.yaml")


def test_an_empty_file_is_an_empty_document() -> None:
    assert read("", "f.yaml")[0] == {}
    assert read("{}", "f.json")[0] == {}


def test_a_reader_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(FormatFault, match="a package that is not there") as caught:
        read("a: 1", "f.yaml")
    assert caught.value.mend == "install ferryllm[yaml]"


_PIECES = st.sampled_from(
    [
        *("a", "b.c", '"d e"', "é", " = ", "=", "\n", "\r\n", "[a]\n", "[[a]]\n", "[a.b]\n", "# c\n", ","),
        *("1", "-0", "1_000", "0x1f", "1.5", "nan", "inf", "true", "1979-05-27T07:32:00Z", "07:32", "07:32:00"),
        *(
            '"x"',
            "'y'",
            '"""z"""',
            '"\\u00e9"',
            '"\\e"',
            '"\\x41"',
            "[1, 2]",
            "[\n1,\n]",
            "{a = 1}",
            "{a = 1,}",
            "{\na = 1}",
        ),
    ]
)


def _read_by(reader: object, text: str) -> object:
    assert callable(reader)
    try:
        return repr(reader(text))  # nan is not itself
    except tomli.TOMLDecodeError as fault:
        return str(fault)


@given(st.lists(_PIECES, max_size=12).map("".join))
@example(TOML)
@example("a = 1\na = 2\n")
@example("a = {b = 1}\n[a]\nc = 2\n")
def test_toml_is_what_tomli_reads(text: str) -> None:
    assert _read_by(toml, text) == _read_by(tomli.loads, text)


def test_a_number_of_too_many_digits_and_deep_nesting_are_told_as_before() -> None:
    for text, error in (("a = " + "1" * 5000, ValueError), ("a = " + "[" * 100_000, RecursionError)):
        for reader in (toml, tomli.loads):
            with pytest.raises(error):
                reader(text)
