"""The Log: the four lines of the reference, levels, the final line, streams that fail, and no secret anywhere."""

from __future__ import annotations

import io
import json
from typing import Literal

import pytest

from ferryllm_net.config import LoggingSettings, Secret
from ferryllm_net.telemetry import Level, Log, RequestDone, Value, status_text
from ferryllm_net.telemetry.logs import MAX_OLD_SECRETS, Outcome, dollars, wants_colour
from support.planted import CLIENT_KEY, PROMPT, PROVIDER_KEY, SECRETS, TOOL_CONTENT, leaks

LEVELS = ("trace", "debug", "info", "warn", "error")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def a_log(stream: io.StringIO, level: str = "info", form: Literal["text", "json"] = "text") -> Log:
    return Log(stream, level, form, now=lambda: 0.0)


def four_lines(log: Log) -> None:
    log.incoming_request(entry="anthropic", model="claude-opus-4-6", stream=False, request_id="r-1")
    log.resolved_route(
        entry="anthropic",
        display_model="claude-opus-4-6",
        backend_model="gpt-5.5",
        provider="openai",
        request_id="r-1",
    )
    log.sending_chat_request(provider="openai", model="gpt-5.5", stream=False, request_id="r-1")
    log.backend_response_ok(provider="openai", status=200, latency_ms=1234, request_id="r-1")


def done(outcome: Outcome = "ok", status: int | None = 200) -> RequestDone:
    return RequestDone(request_id="r-1", entry="openai", outcome=outcome, status=status, latency_ms=7)


def test_the_four_lines_are_word_for_word_those_of_the_reference() -> None:
    stream = io.StringIO()
    four_lines(a_log(stream))
    reference = [
        'incoming request entry="anthropic" model=claude-opus-4-6 stream=false',
        'resolved route entry="anthropic" display_model=claude-opus-4-6 backend_model=gpt-5.5 provider="openai"',
        'sending chat request provider="openai" model=gpt-5.5 stream=false',
        'backend response ok provider="openai" status="200 OK" latency_ms=1234',
    ]
    assert stream.getvalue().splitlines() == [
        f"1970-01-01T00:00:00.000Z  INFO {line} request_id=r-1" for line in reference
    ]


def test_the_four_lines_as_json_have_the_same_keys() -> None:
    stream = io.StringIO()
    four_lines(a_log(stream, form="json"))
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [entry["message"] for entry in found] == [
        "incoming request",
        "resolved route",
        "sending chat request",
        "backend response ok",
    ]
    assert [set(entry) - {"timestamp", "level", "message", "request_id"} for entry in found] == [
        {"entry", "model", "stream"},
        {"entry", "display_model", "backend_model", "provider"},
        {"provider", "model", "stream"},
        {"provider", "status", "latency_ms"},
    ]
    assert found[3]["latency_ms"] == 1234
    assert found[0]["stream"] is False


@pytest.mark.parametrize("level", LEVELS)
def test_entries_below_the_level_are_not_written(level: str) -> None:
    stream = io.StringIO()
    log = a_log(stream, level)
    for write in (log.trace, log.debug, log.info, log.warn, log.error):
        write("m")
    assert [line.split()[1].lower() for line in stream.getvalue().splitlines()] == list(LEVELS[LEVELS.index(level) :])
    assert [log.enabled(each) for each in Level] == [name in LEVELS[LEVELS.index(level) :] for name in LEVELS]


def test_requests_are_silent_above_info() -> None:
    stream = io.StringIO()
    log = a_log(stream, "warn")
    four_lines(log)
    log.request_completed(done())
    assert stream.getvalue() == ""


def test_unknown_values_are_left_out() -> None:
    stream = io.StringIO()
    a_log(stream).info("m", a=None, b=0, c="")
    assert stream.getvalue().endswith(' m b=0 c=""\n')


def test_the_final_line_holds_all_that_is_known() -> None:
    stream = io.StringIO()
    a_log(stream).request_completed(
        RequestDone(
            request_id="r-1",
            entry="anthropic",
            outcome="ok",
            status=200,
            latency_ms=900,
            ttfb_ms=300,
            display_model="claude-opus-4-6",
            backend_model="gpt-5.5",
            provider="openai",
            stream=True,
            input_tokens=10,
            output_tokens=20,
            cache_read_tokens=5,
            cache_write_tokens=0,
            reasoning_tokens=3,
            sent_bytes=70,
            losses=2,
            attempts=3,
            key="key_1",
            cost=12_500_001_000,
        )
    )
    assert stream.getvalue().partition("INFO ")[2] == (
        'request completed entry="anthropic" outcome="ok" status="200 OK" latency_ms=900 ttfb_ms=300 '
        'display_model=claude-opus-4-6 backend_model=gpt-5.5 provider="openai" stream=true input_tokens=10 '
        "output_tokens=20 cache_read_tokens=5 cache_write_tokens=0 reasoning_tokens=3 sent_bytes=70 losses=2 "
        'attempts=3 key="key_1" cost_usd="12.500001" request_id=r-1\n'
    )


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(0, "0"), (1, "0.000000001"), (10**9, "1"), (10 * 10**9, "10"), (1_500_000_000, "1.5"), (123_000, "0.000123")],
)
def test_costs_are_exact(nanos: int, text: str) -> None:
    assert dollars(nanos) == text


@pytest.mark.parametrize(
    ("outcome", "status", "level"),
    [
        ("ok", 200, "INFO"),
        ("cancelled", None, "INFO"),
        ("error", 404, "WARN"),
        ("error", 502, "ERROR"),
        ("error", None, "ERROR"),
        ("truncated", 200, "ERROR"),
    ],
)
def test_the_level_of_the_final_line_says_whose_fault_it_was(outcome: Outcome, status: int | None, level: str) -> None:
    stream = io.StringIO()
    a_log(stream).request_completed(done(outcome, status))
    assert stream.getvalue().split()[1] == level
    assert f'outcome="{outcome}"' in stream.getvalue()


@pytest.mark.parametrize(
    ("status", "text"), [(200, "200 OK"), (429, "429 Too Many Requests"), (529, "529"), (299, "299")]
)
def test_status_text_has_the_phrase_where_there_is_one(status: int, text: str) -> None:
    assert status_text(status) == text


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("level", LEVELS)
def test_planted_secrets_reach_the_log_at_no_level(level: str, form: Literal["text", "json"]) -> None:
    stream = io.StringIO()
    secrets = [Secret(PROVIDER_KEY), Secret(CLIENT_KEY)]
    log = Log(stream, level, form, now=lambda: 0.0, secrets=secrets)
    four_lines(log)
    for write in (log.trace, log.debug, log.info, log.warn, log.error):
        write(f"upstream said: bad key {PROVIDER_KEY}", error=f'{{"key":"{CLIENT_KEY}"}}', model=PROVIDER_KEY)
        write("x" * 1020 + PROVIDER_KEY, error="x" * 1020 + CLIENT_KEY)  # across the cut
    log.request_completed(done())
    assert "***" in stream.getvalue()
    assert leaks(stream.getvalue()) == []


def test_the_finder_of_planted_secrets_finds_them() -> None:
    assert leaks(f"a {PROVIDER_KEY} b")
    assert leaks(f"a {PROVIDER_KEY[:8]}")
    assert leaks(PROMPT)
    assert leaks(TOOL_CONTENT)
    assert len(SECRETS) == 4
    assert leaks("nothing of the kind") == []


def test_a_secret_that_begins_like_another_leaves_no_rest() -> None:
    stream = io.StringIO()
    log = Log(stream, now=lambda: 0.0, secrets=[Secret("abcdef"), Secret("abcdefghij")])
    log.info("m", error="abcdefghij")
    assert 'error="***"' in stream.getvalue()


def test_placeholders_too_short_to_be_secrets_leave_words_alone() -> None:
    stream = io.StringIO()
    Log(stream, now=lambda: 0.0, secrets=[Secret("x")]).info("max", model="x1")
    assert stream.getvalue().endswith("max model=x1\n")


def test_a_stream_that_fails_loses_the_entry_and_nothing_else() -> None:
    stream = io.StringIO()
    log = a_log(stream)
    stream.close()
    log.info("m")
    log.error("m")
    assert log.lost == 2


def test_a_stream_that_is_not_utf8_gets_escapes() -> None:
    raw = io.BytesIO()
    log = Log(io.TextIOWrapper(raw, encoding="ascii"), now=lambda: 0.0)
    log.info("m", provider="größe")
    assert raw.getvalue().endswith(b'm provider="gr\\xf6\\xdfe"\n')
    assert log.lost == 0


@pytest.mark.parametrize(
    ("stream", "environ", "colour"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(stream: io.StringIO, environ: dict[str, str], colour: bool) -> None:
    assert wants_colour(stream, environ) is colour


@pytest.mark.parametrize(
    ("ansi", "stream", "colour"),
    [(None, Terminal(), True), (None, io.StringIO(), False), (True, io.StringIO(), True), (False, Terminal(), False)],
)
def test_the_configuration_goes_before_the_terminal(ansi: bool | None, stream: io.StringIO, colour: bool) -> None:
    settings = LoggingSettings("warn", "text", ansi)
    log = Log.from_settings(settings, stream, {}, now=lambda: 0.0)
    log.info("below")
    log.warn("m")
    assert ("\x1b[" in stream.getvalue()) is colour
    assert "below" not in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("held", [False, True])
def test_notes_of_one_moment_are_the_lines_of_each(form: Literal["text", "json"], held: bool) -> None:
    notes: list[tuple[str, dict[str, Value | None]]] = [
        ("one", {"entry": "e", "status": 200, "none": None}),
        ("two", {"stream": True}),
    ]
    together, apart = io.StringIO(), io.StringIO()
    log, other = a_log(together, form=form), a_log(apart, form=form)
    log.held = other.held = held
    log.notes(notes, "r-1")
    for message, fields in notes:
        other.note(message, fields, "r-1")
    assert (together.getvalue() == "") is held
    log.flush()
    other.flush()
    assert together.getvalue() == apart.getvalue()
    assert together.getvalue().count("\n") == 2
    assert "200 OK" in together.getvalue()


def test_figures_of_single_requests_are_not_remembered() -> None:
    stream = io.StringIO()
    log = a_log(stream)
    for n in range(500):
        log.note("answered", {"provider": "up", "status": 200, "latency_ms": n}, "r-1")
        log.note("observed", {"tokens": n, "ratio": f"0.{n}"}, "r-1")
        log.note("ended", {"status": 200}, "r-1")
    lines = stream.getvalue().splitlines()
    assert lines[-3].endswith('answered provider="up" status="200 OK" latency_ms=499 request_id=r-1')
    assert lines[-2].endswith('observed tokens=499 ratio="0.499" request_id=r-1')
    assert lines[-1].endswith('ended status="200 OK" request_id=r-1')
    assert len(log._texts) < 10


def test_a_name_as_long_as_a_body_is_written_cut_and_not_remembered() -> None:
    stream = io.StringIO()
    log = a_log(stream)
    for n in range(3):
        log.incoming_request(entry="openai", model=f"{n}" + "x" * 1_000_000, stream=False, request_id="r-1")
        log.request_completed(
            RequestDone(
                request_id="r-1",
                entry="openai",
                outcome="ok",
                status=200,
                latency_ms=1,
                display_model=f"{n}" * 1_000_000,
            )
        )
    held = sum(len(part) for key in log._texts for part in key if isinstance(part, str))
    assert held < 10_000
    assert max(map(len, stream.getvalue().splitlines())) < 2_000


def test_a_log_goes_on_as_new_settings_ask() -> None:
    stream = io.StringIO()
    log = Log(stream, "info", now=lambda: 0.0, ansi=True)
    log.debug("not said")
    log.change(LoggingSettings("debug", "json", None), ())
    log.debug("said", n=1)
    log.change(LoggingSettings("warn", "text", False), ())
    log.info("not said any more")
    log.warn("plain")
    first, second = stream.getvalue().splitlines()
    assert json.loads(first)["message"] == "said"
    assert second == "1970-01-01T00:00:00.000Z  WARN plain"


def test_new_secrets_are_hidden_at_once_and_those_they_replaced_for_a_while() -> None:
    stream = io.StringIO()
    log = Log(stream, now=lambda: 0.0, secrets=[Secret(PROVIDER_KEY)])
    for _ in range(2):
        log.info("word", text=CLIENT_KEY)  # a text is remembered as it was formatted
    settings = LoggingSettings("info", "text", None)
    begun = stream.tell()
    log.change(settings, [Secret(CLIENT_KEY)])
    log.info("word", text=CLIENT_KEY)
    log.info("word", text=PROVIDER_KEY)
    assert leaks(stream.getvalue()[begun:]) == []
    for number in range(MAX_OLD_SECRETS + 1):
        log.change(settings, [Secret(f"secret-{number:04}")])
    begun = stream.tell()
    log.info("word", text=PROVIDER_KEY, other="secret-0010", now=f"secret-{MAX_OLD_SECRETS:04}")
    assert PROVIDER_KEY in stream.getvalue()[begun:], "the oldest is given up"
    assert "secret-0" not in stream.getvalue()[begun:]
