"""What `UsualLines` writes is what `Log` writes of the same request, whatever is in it."""

from __future__ import annotations

import io
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.config import LoggingSettings, Secret
from ferryllm_net.telemetry import Log, RequestDone
from ferryllm_net.telemetry.usual_lines import UsualLines
from ferryllm_proto import Route, ir
from ferryllm_proto.actions import Note
from ferryllm_proto.notes import answered, incoming, resolved, sending

ID = "req_0123456789abcdef01234567"
LAST = f" request_id={ID}"
NAMES = st.one_of(
    st.sampled_from(["gpt-5.4", "a b", 'say "x"', "\x1b[31m", "é", "sk-secret-key"]), st.text(max_size=20)
)
COUNTS = st.none() | st.integers(0, 10**6)


def log(stream: io.StringIO, level: str = "info", *, ansi: bool = False, secrets: tuple[str, ...] = ()) -> Log:
    return Log(stream, level, now=lambda: 1_760_000_000.0625, ansi=ansi, secrets=map(Secret, secrets))


def settings(level: Literal["info", "error"] = "info", form: Literal["text", "json"] = "text") -> LoggingSettings:
    return LoggingSettings(level=level, format=form, ansi=False)


def notes_of(model: str, backend: str) -> tuple[Note, ...]:
    route = Route("*", "up", rewrite_model=backend or None)
    return incoming("openai", model, stream=False), resolved("openai", model, route), sending("up", model, stream=False)


def done(model: str, backend: str, secs: float, usage: ir.Usage | None, losses: int, key: str | None) -> RequestDone:
    return RequestDone(
        ID,
        "openai",
        "ok",
        round(secs * 1000),
        200,
        round(secs * 1000),
        model or None,
        backend or model,
        "up",
        False,
        None if usage is None else usage.input_total,
        None if usage is None else usage.output,
        None if usage is None else usage.cache_read,
        None if usage is None else usage.cache_write,
        None if usage is None else usage.reasoning,
        None,
        losses,
        None,
        key,
    )


@given(
    model=NAMES,
    backend=NAMES,
    secs=st.floats(0, 600),
    usage=st.none() | st.builds(ir.Usage, COUNTS, COUNTS, COUNTS, output=COUNTS, reasoning=COUNTS),
    losses=st.integers(0, 3),
    key=st.sampled_from([None, "env-1", "key_abc"]),
    extra=st.booleans(),
    level=st.sampled_from(["trace", "info", "warn"]),
    ansi=st.booleans(),
)
def test_the_lines_are_those_of_the_log(
    model: str,
    backend: str,
    secs: float,
    usage: ir.Usage | None,
    losses: int,
    key: str | None,
    extra: bool,
    level: str,
    ansi: bool,
) -> None:
    one, two = io.StringIO(), io.StringIO()
    expected, found = (log(stream, level, ansi=ansi, secrets=("sk-secret-key",)) for stream in (one, two))
    notes = notes_of(model, backend) if level != "warn" else ()
    note = Note("prompt cache observation", {"entry": "openai", "model": model, "cached_tokens": 5}) if extra else None

    expected.notes([(each.name, each.fields) for each in notes], ID)
    late = [answered("up", 200, secs), *([note] if note is not None else [])]
    if level != "warn":
        expected.notes([(each.name, each.fields) for each in late], ID)
    expected.request_completed(done(model, backend, secs, usage, losses, key))

    lines = UsualLines(found, notes, "openai", "up", model or None, backend or model)
    assert lines.usable()
    lines.begin(LAST)
    lines.end(LAST, secs, usage, losses, key, note)
    assert two.getvalue() == one.getvalue()


@pytest.mark.parametrize("secret", ["abcdef12", "req_01"])
def test_an_id_that_may_hold_a_secret_is_left_to_the_log(secret: str) -> None:
    assert not UsualLines(log(io.StringIO(), secrets=(secret,)), (), "openai", "up", "m", "m").usable()


def test_lines_of_json_are_left_to_the_log() -> None:
    stream = io.StringIO()
    made = log(stream)
    lines = UsualLines(made, notes_of("m", "n"), "openai", "up", "m", "n")
    assert lines.usable()
    made.change(settings(form="json"), ())
    assert not lines.usable()


def test_a_log_that_changes_writes_other_lines() -> None:
    stream = io.StringIO()
    made = log(stream)
    lines = UsualLines(made, notes_of("mine-is-secret", "n"), "openai", "up", "mine-is-secret", "n")
    assert lines.usable()
    lines.begin(LAST)
    assert "mine-is-secret" in stream.getvalue()
    stream.truncate(0)
    made.change(settings(), (Secret("mine-is-secret"),))
    assert lines.usable()
    lines.begin(LAST)
    lines.end(LAST, 1.0, None, 0, None, None)
    assert "mine-is-secret" not in stream.getvalue()
    assert stream.getvalue().count("***") == 4
    made.change(settings("error"), ())
    stream.truncate(0)
    assert lines.usable()
    lines.begin(LAST)
    lines.end(LAST, 1.0, None, 0, None, None)
    assert stream.getvalue() == ""
