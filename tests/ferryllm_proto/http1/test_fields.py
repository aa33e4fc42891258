"""Lines of heads: which are common, what they mean, and which are remembered."""

from __future__ import annotations

import pytest

from ferryllm_proto.http1 import fields
from ferryllm_proto.http1.fields import (
    CLOSE,
    CODING,
    CONNECTION,
    HOST,
    LENGTH,
    ODD,
    Entry,
    lower_name,
    read_line,
    recall,
)

COMMON: dict[str, Entry] = {
    "X-Abc: d": (("x-abc", "d"), 0),
    "x:": (("x", ""), 0),
    "x:  a : b  ": (("x", "a : b"), 0),
    "Host: a:80": (("host", "a:80"), HOST),
    "Host: a,b": (("host", "a,b"), ODD),
    "Content-Length: 0042": (("content-length", "0042"), LENGTH),
    "Content-Length: +1": (("content-length", "+1"), ODD),
    f"Content-Length: {'1' * 19}": (("content-length", "1" * 19), ODD),
    "Transfer-Encoding: CHUNKED": (("transfer-encoding", "chunked"), CODING),
    "Transfer-Encoding: gzip": (("transfer-encoding", "gzip"), ODD),
    "Connection: Keep-Alive": (("connection", "Keep-Alive"), CONNECTION),
    "Connection: close": (("connection", "close"), CONNECTION | CLOSE),
    "Connection: te": (("connection", "te"), ODD),
    "Upgrade: h2c": (("upgrade", "h2c"), ODD),
    "Expect: 100-continue": (("expect", "100-continue"), ODD),
}


@pytest.mark.parametrize(("line", "entry"), COMMON.items())
def test_common_lines(line: str, entry: Entry) -> None:
    assert read_line(line) == entry
    assert read_line(line) == entry


@pytest.mark.parametrize(
    "line", ["", "x", ": a", " x: a", "x : a", "x\t: a", "x:\ta", "x: a\x7f", "x: \xe4", "x: a\r", "x: \0", "\xe4: a"]
)
def test_lines_that_are_not_common(line: str) -> None:
    assert read_line(line) is None


def test_a_line_that_repeats_is_remembered() -> None:
    line = "User-Agent: test_fields/1"
    assert recall(line) is None
    assert read_line(line) is recall(line)
    assert read_line("X-Stainless-Lang: test_fields") is recall("X-Stainless-Lang: test_fields")


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "api-key", "Cookie", "x-goog-api-key", "x-any"])
def test_what_may_be_a_secret_is_not_remembered(name: str) -> None:
    assert read_line(f"{name}: secret") is not None
    assert recall(f"{name}: secret") is None


def test_what_is_remembered_is_bounded() -> None:
    long = "accept: " + "a" * 300
    assert read_line(long) is not None
    assert recall(long) is None
    for number in range(3000):
        read_line(f"accept: a/{number}")
        lower_name(f"x-{number}")
    assert len(fields._lines) <= fields._MOST_LINES
    assert len(fields._names) <= fields._MOST_NAMES
    lower_name("n" * 300)
    assert "n" * 300 not in fields._names


def test_names_are_tokens() -> None:
    assert lower_name("X-Abc") == lower_name("X-Abc") == "x-abc"
    for name in ("", "a b", "a:", "\xe4", "a\n"):
        assert lower_name(name) is None
