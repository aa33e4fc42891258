"""What `UsualLines` writes is what `Log` writes of the same request, whatever is in it."""

from __future__ import annotations

import io
import json
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.config import LoggingSettings, Secret
from ferryllm_net.telemetry import Log, RequestDone
from ferryllm_net.telemetry.usual_lines import UsualLines
from ferryllm_proto import Route, ir
from ferryllm_proto.actions import Note
from ferryllm_proto.notes import answered, incoming, resolved, sending

ID = "req_0123456789abcdef01234567"
NAMES = st.one_of(
    st.sampled_from(["gpt-5.4", "a b", 'say "x"', "\x1b[31m", "é", "sk-secret-key"]), st.text(max_size=20)
)
COUNTS = st.none() | st.integers(0, 10**6)


def settings(level: Literal["info", "error"] = "info", form: Literal["text", "json"] = "text") -> LoggingSettings:
    return LoggingSettings(level=level, format=form, ansi=False)


def notes_of(model: str, backend: str) -> tuple[Note, ...]:
    route = Route("*", "up", rewrite_model=backend or None)
    return incoming("openai", model, stream=False), resolved("openai", model, route), sending("up", model, stream=False)


def done(
    request_id: str,
    model: str,
    backend: str,
    secs: float,
    first: float,
    usage: ir.Usage | None,
    losses: int,
    key: str | None,
    stream: bool,
) -> RequestDone:
    return RequestDone(
        request_id,
        "openai",
        "ok",
        round(secs * 1000),
        200,
        round(first * 1000),
        model or None,
        backend or model,
        "up",
        stream,
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


def log(
    stream: io.StringIO,
    level: str = "info",
    *,
    form: Literal["text", "json"] = "text",
    ansi: bool = False,
    secrets: tuple[str, ...] = (),
) -> Log:
    return Log(stream, level, form, now=lambda: 1_760_000_000.0625, ansi=ansi, secrets=map(Secret, secrets))


@given(
    model=NAMES,
    backend=NAMES,
    secs=st.floats(0, 600),
    first=st.none() | st.floats(0, 600),
    stream=st.booleans(),
    usage=st.none() | st.builds(ir.Usage, COUNTS, COUNTS, COUNTS, output=COUNTS, reasoning=COUNTS),
    losses=st.integers(0, 3),
    key=st.sampled_from([None, "env-1", "key_abc"]),
    extra=st.booleans(),
    level=st.sampled_from(["trace", "info", "warn"]),
    form=st.sampled_from(["text", "text", "json"]),
    ansi=st.booleans(),
    secrets=st.sampled_from([("sk-secret-key",), ("sk-secret-key", "abcdef01"), ()]),
    request_id=st.sampled_from([ID, ID, "mine", 'my "own"', "my-sk-secret-key"]),
)
def test_the_lines_are_those_of_the_log(
    model: str,
    backend: str,
    secs: float,
    first: float | None,
    stream: bool,
    usage: ir.Usage | None,
    losses: int,
    key: str | None,
    extra: bool,
    level: str,
    form: Literal["text", "json"],
    ansi: bool,
    secrets: tuple[str, ...],
    request_id: str,
) -> None:
    one, two = io.StringIO(), io.StringIO()
    expected, found = (log(stream, level, form=form, ansi=ansi, secrets=secrets) for stream in (one, two))
    notes = notes_of(model, backend) if level != "warn" else ()
    note = Note("prompt cache observation", {"entry": "openai", "model": model, "cached_tokens": 5}) if extra else None

    expected.notes([(each.name, each.fields) for each in notes], request_id)
    if level != "warn":
        late = [answered("up", 200, secs if first is None else 0.25), *([note] if note is not None else [])]
        expected.notes([(each.name, each.fields) for each in late], request_id)
    begun = secs if first is None else first
    expected.request_completed(done(request_id, model, backend, secs, begun, usage, losses, key, stream))

    lines = UsualLines(found, notes, "openai", "up", model or None, backend or model, stream=stream)
    foreign = request_id is not ID
    lines.begin(request_id, foreign=foreign)
    if first is not None:
        lines.answered(request_id, 0.25, foreign=foreign)
    lines.end(request_id, secs, first, usage, losses, key, note, foreign=foreign)
    assert two.getvalue() == one.getvalue()
    if "sk-secret-key" in secrets:
        assert "sk-secret-key" not in two.getvalue()


def test_an_id_that_holds_a_secret_is_masked() -> None:
    stream = io.StringIO()
    lines = UsualLines(log(stream, secrets=("abcdef01",)), notes_of("m", "n"), "openai", "up", "m", "n", stream=False)
    lines.begin(ID, foreign=False)
    lines.end(ID, 1.0, None, None, 0, None, None, foreign=False)
    assert stream.getvalue().count("request_id=") == 5
    assert "abcdef01" not in stream.getvalue()


def test_a_log_that_changes_writes_other_lines() -> None:
    stream = io.StringIO()
    made = log(stream)
    lines = UsualLines(made, notes_of("mine-is-secret", "n"), "openai", "up", "mine-is-secret", "n", stream=False)
    lines.begin(ID, foreign=False)
    assert "mine-is-secret" in stream.getvalue()
    stream.truncate(0)
    # In the middle of a request.
    made.change(settings(), (Secret("mine-is-secret"),))
    lines.end(ID, 1.0, None, None, 0, None, None, foreign=False)
    assert "mine-is-secret" not in stream.getvalue()
    assert stream.getvalue().count("***") == 1
    made.change(settings(form="json"), ())
    stream.truncate(0)
    lines.end(ID, 1.0, None, None, 0, None, None, foreign=False)
    for line in stream.getvalue().strip("\0").splitlines():
        assert json.loads(line)["request_id"] == ID
    made.change(settings("error"), ())
    stream.truncate(0)
    lines.begin(ID, foreign=False)
    lines.end(ID, 1.0, None, None, 0, None, None, foreign=False)
    assert stream.getvalue() == ""
