"""What is not written down."""

from __future__ import annotations

import json
import time

import pytest

from ferryllm_net.config.problems import Report
from ferryllm_net.config.telemetry_settings import FileSettings, RequestLogSettings
from ferryllm_net.config.transforms import compile_pattern, compile_query
from ferryllm_net.telemetry.redaction import CUT, HIDDEN, NO_RULE, NO_TEXT, Redaction
from ferryllm_proto.policy.key_text import key_text
from ferryllm_proto.policy.transforms import TransformFault


def redaction(
    *, paths: tuple[str, ...] = (), patterns: tuple[str, ...] = (), headers: tuple[str, ...] = (), secret: str = ""
) -> Redaction:
    report = Report(lambda path: ("test", None, str(path)))
    found = [compile_query(path, (), report) for path in paths]
    substitutes = [compile_pattern(pattern, "#", (), report) for pattern in patterns]
    report.raise_errors()
    settings = RequestLogSettings(
        FileSettings("x", None, 1),
        1.0,
        False,
        frozenset(),
        100,
        frozenset(headers),
        tuple((find, "#") for find in found if find is not None),
        tuple(one for one in substitutes if one is not None),
    )
    return Redaction(settings, lambda: [secret] if secret else [])


CREDENTIALS = [
    "sk-ant-api03-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "sk-proj-AbCdEfGhIjKlMnOpQrStUv_-xYz0123456789",
    "gsk_AbCdEfGhIjKlMnOpQrStUvWxYz",
    "AIza" + "SyA" * 12,
    "ya29.a0AfB_byC-AbCdEfGhIjKlMnOp",
    "AKIA" + "IOSFODNN7EXAMPL" + "E",
    "ghp_" + "a1B2c3D4" * 5,
    "github_pat_" + "a1B2c3D4" * 5,
    "xoxb-123456789012-abcdefABCDEF",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    key_text(123456789),
    "-----BEGIN RSA PRIVATE KEY-----\\nMIIEow\\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_credentials_of_known_forms_are_never_written(credential: str) -> None:
    body = json.dumps({"content": f"my key is {credential}, keep it", "n": 1})
    shown = redaction().body(body.encode(), whole=True)
    assert credential[8:24] not in shown
    assert json.loads(shown) == {"content": f"my key is {HIDDEN}, keep it", "n": 1}


def test_passwords_in_urls_and_bearers() -> None:
    shown = redaction().text("postgres://user:pass@host/db and Authorization: Bearer abcdefghijklmnopqrstuvwx end")
    assert shown == f"postgres://{HIDDEN}@host/db and Authorization: Bearer {HIDDEN} end"


@pytest.mark.parametrize(
    "text",
    ["sk-short", "task-management-of-projects", "Bearer of news", "https://a.example:8080/x@y", "key_0123456789ab"],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redaction().text(text) == text


@pytest.mark.deep
@pytest.mark.parametrize("piece", ["eyJ", "eyJ-", "sk-", "://a:", "-----BEGIN PRIVATE KEY-----", "Bearer  ", "-"])
def test_no_text_makes_the_search_slow(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    begun = time.process_time()
    redaction().text(text)
    assert time.process_time() - begun < 5  # linear is a tenth of a second, quadratic are hours


def test_secrets_of_the_configuration() -> None:
    found = redaction(secret="hunter2hunter2")
    assert found.body(b'{"a":"hunter2hunter2"}', whole=True) == '{"a":"***"}'
    assert found.headers([("x-note", "hunter2hunter2")]) == [("x-note", HIDDEN)]


def test_headers_that_hold_credentials_or_are_named() -> None:
    pairs = [
        ("Authorization", "Bearer x"),
        ("X-Api-Key", "x"),
        ("cookie", "a=b"),
        ("x-my-own-token", "x"),
        ("X-Tenant", "x"),
        ("content-type", "application/json"),
        ("x-ratelimit-remaining-tokens", "5"),
    ]
    assert redaction(headers=("x-tenant",)).headers(pairs) == [
        *((name, HIDDEN) for name, _ in pairs[:5]),
        *pairs[5:],
    ]


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/v1beta/models/m:generateContent?key=abc&alt=sse", "/v1beta/models/m:generateContent?key=***&alt=sse"),
        ("/x?alt=sse&api_key=abc", "/x?alt=sse&api_key=***"),
        ("/x?X-Amz-Signature=abc", "/x?X-Amz-Signature=***"),
        ("/v1/messages?beta=true", "/v1/messages?beta=true"),
    ],
)
def test_keys_in_queries(target: str, shown: str) -> None:
    assert redaction().target(target) == shown


BODY = b'{"model":"m","messages":[{"role":"user","content":"secret"},{"role":"user","content":[{"text":"x"}]}]}'


def test_what_a_path_names_is_replaced_whatever_it_is() -> None:
    shown = redaction(paths=("$.messages[*].content",)).body(BODY, whole=True)
    assert json.loads(shown) == {
        "model": "m",
        "messages": [{"role": "user", "content": "#"}, {"role": "user", "content": "#"}],
    }


def test_paths_that_lie_in_each_other_and_the_whole() -> None:
    both = redaction(paths=("$.messages", "$..content")).body(BODY, whole=True)
    assert json.loads(both) == {"model": "m", "messages": "#"}
    assert json.loads(redaction(paths=("$..*",)).body(BODY, whole=True)) == {"model": "#", "messages": "#"}
    assert json.loads(redaction(paths=("$",)).body(BODY, whole=True)) == "#"


def test_events_of_streams_are_looked_at_one_by_one() -> None:
    stream = b'event: a\ndata: {"delta":{"text":"secret"}}\n\n: ping\ndata:{"delta":{"n":1}}\n\ndata: [DONE]\n\n'
    shown = redaction(paths=("$.delta.text",)).body(stream, whole=True)
    assert shown.splitlines() == [
        "event: a",
        'data: {"delta":{"text":"#"}}',
        "",
        ": ping",
        'data: {"delta":{"n":1}}',
        "",
        "data: [DONE]",
        "",
    ]


def test_lines_of_json() -> None:
    shown = redaction(paths=("$.message",)).body(b'{"message":"secret"}\n{"message":"more","done":true}\n', whole=True)
    assert shown == '{"message":"#"}\n{"message":"#","done":true}\n'


def test_what_was_cut_is_left_out_where_a_path_could_name_it() -> None:
    found = redaction(paths=("$.a",))
    assert found.body(b'{"b":1,"a":"secr', whole=False) == CUT
    assert found.body(b'data: {"a":"secret"}\n\ndata: {"a":"sec', whole=False) == f'data: {{"a":"#"}}\n\n{CUT}'
    assert redaction().body(b'{"a":"text', whole=False) == '{"a":"text'


@pytest.mark.parametrize("body", [b"{'a'", b"{" * 100_000, b'[{"a":"secret"}'])
def test_what_is_no_json_is_left_out_where_it_begins_like_some(body: bytes) -> None:
    assert redaction(paths=("$..a",)).body(body, whole=True).strip() == NO_RULE


def test_patterns_replace_in_the_text() -> None:
    shown = redaction(patterns=(r"[a-z0-9.]+@[a-z0-9.]+", r"\b\d{16}\b")).body(
        b'{"to":"ann@example.com","card":"4111111111111111"}', whole=True
    )
    assert shown == '{"to":"#","card":"#"}'


def test_a_pattern_that_fails_leaves_the_body_out() -> None:
    def fails(text: str) -> str:
        raise TransformFault("too long")

    settings = RequestLogSettings(FileSettings("x", None, 1), 1.0, False, frozenset(), 100, frozenset(), (), (fails,))
    assert Redaction(settings).body(b"text", whole=True) == NO_RULE


@pytest.mark.parametrize(("body", "whole"), [(b"\xff\xfe\x00", True), (b"PNG\0\0", True), (b"\0\xff", False)])
def test_what_is_no_text_is_not_shown(body: bytes, whole: bool) -> None:
    assert redaction().body(body, whole=whole) == NO_TEXT


def test_a_cut_through_a_letter_is_no_fault() -> None:
    assert redaction().body("né".encode()[:-1], whole=False) == "n"
