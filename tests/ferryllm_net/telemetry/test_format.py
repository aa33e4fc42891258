"""Log lines: the words and quotes of the reference lines, and nothing from outside that breaks a line."""

from __future__ import annotations

import json

import pytest

from ferryllm_net.telemetry.format import MAX_VALUE, Level, Value, json_line, plain_text, text_line, timestamp, without

NOW = 1_760_000_000.1239


def test_a_text_line_is_time_level_message_and_pairs() -> None:
    assert text_line(NOW, Level.INFO, "incoming request", {"entry": "openai", "stream": False}) == (
        '2025-10-09T08:53:20.123Z  INFO incoming request entry="openai" stream=false'
    )
    assert text_line(NOW, Level.ERROR, "x", {}) == "2025-10-09T08:53:20.123Z ERROR x"


def test_colours_are_around_time_and_level_only() -> None:
    line = text_line(NOW, Level.WARN, "x", {"k": "v"}, ansi=True)
    assert line == '\x1b[2m2025-10-09T08:53:20.123Z\x1b[0m \x1b[33m WARN\x1b[0m x k="v"'


def test_timestamps_are_utc_with_milliseconds() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"
    assert timestamp(1.9999) == "1970-01-01T00:00:01.999Z"


@pytest.mark.parametrize("key", ["model", "display_model", "backend_model", "request_id"])
def test_models_and_request_ids_stand_bare_while_they_are_plain_words(key: str) -> None:
    assert plain_text("m", {key: "openai/gpt-5.5:free@1"}) == f"m {key}=openai/gpt-5.5:free@1"


@pytest.mark.parametrize("value", ["", "a b", 'x" provider="evil', "x=y", "x\ny", "größe", "a,b"])
def test_models_that_are_not_plain_words_are_quoted(value: str) -> None:
    text = plain_text("m", {"model": value})
    assert text.startswith('m model="')
    assert text.endswith('"')
    assert "\n" not in text


def test_other_texts_are_always_quoted() -> None:
    assert plain_text("m", {"provider": "openai", "status": "200 OK"}) == 'm provider="openai" status="200 OK"'


def test_numbers_and_truth_values_are_bare() -> None:
    assert plain_text("m", {"a": 1, "b": 1.5, "c": True, "d": False}) == "m a=1 b=1.5 c=true d=false"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\nb", r"a\r\nb"),
        ("a\tb", r"a\tb"),
        ("\x1b[31mred", r"\u001b[31mred"),
        ("\x00\x07\x7f", r"\u0000\u0007\u007f"),
        ("\x9b31m", r"\u009b31m"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\u0085d"),
        ("\u202egpt", r"\u202egpt"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ('say "hi"', r"say \"hi\""),
        ("back\\slash", r"back\\slash"),
        ("größe 模型", "größe 模型"),
    ],
)
def test_whatever_could_break_a_line_or_a_terminal_is_escaped(value: str, shown: str) -> None:
    assert plain_text("m", {"model": value}) == f'm model="{shown}"'


def test_messages_are_escaped_too() -> None:
    assert plain_text("a\nb\x1b", {}) == r"a\nb\u001b"


def test_long_values_are_cut() -> None:
    assert plain_text("m", {"error": "x" * (MAX_VALUE + 5)}) == 'm error="' + "x" * MAX_VALUE + '..."'
    assert plain_text("m", {"model": "x" * (MAX_VALUE + 5)}) == 'm model="' + "x" * MAX_VALUE + '..."'
    assert len(json.loads(json_line(NOW, Level.INFO, "m", {"model": "x" * (MAX_VALUE + 5)}))["model"]) == MAX_VALUE + 3


def test_a_json_line_is_one_object_with_the_same_keys() -> None:
    fields: dict[str, Value] = {"entry": "openai", "model": "gpt-5.5", "stream": False, "latency_ms": 12}
    line = json_line(NOW, Level.WARN, "incoming request", fields)
    assert json.loads(line) == {
        "timestamp": "2025-10-09T08:53:20.123Z",
        "level": "warn",
        "message": "incoming request",
        **fields,
    }
    assert list(json.loads(line))[:3] == ["timestamp", "level", "message"]


def test_a_json_line_is_printable_ascii_and_says_the_value_exactly() -> None:
    value = "a\r\n\x1b\x00\x7f\x9b\u2028\u202e\ud800 größe"
    line = json_line(NOW, Level.INFO, "m", {"model": value})
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["model"] == value


def test_levels_are_ordered_and_named_as_in_the_configuration() -> None:
    assert [Level.named(name) for name in ("trace", "debug", "info", "warn", "error")] == sorted(Level)
    with pytest.raises(KeyError):
        Level.named("loud")


def test_without_takes_every_occurrence_of_every_secret() -> None:
    assert without("a key-1 b key-2 c key-1", ["key-1", "key-2"]) == "a *** b *** c ***"
    assert without("plain", ["key-1"]) == "plain"
