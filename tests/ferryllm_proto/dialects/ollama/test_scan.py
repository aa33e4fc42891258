"""Bytes that pass through: watched, and unchanged but for the model's name."""

from __future__ import annotations

import pytest

from ferryllm_proto import held, ir
from ferryllm_proto.dialect import Scanner
from ferryllm_proto.dialects.ollama import DIALECT, scan

from .build import call, line

STREAM = line("a", thinking='"model"') + line('b "model":"m" {') + line(tool_calls=[call()]) + line(done=True)
RENAMED = STREAM.replace(b'{"model":"m"', b'{"model":"alias"')


def run(scanner: Scanner, data: bytes, cut: int) -> bytes:
    out = b"".join(scanner.receive_data(data[at : at + cut]) for at in range(0, len(data), cut))
    return out + scanner.receive_eof()


@pytest.mark.parametrize("cut", [1, 2, 7, 50, 10_000])
def test_m1_only_the_name_changes_whatever_the_cuts(cut: int) -> None:
    for model, expected in ((None, STREAM), ("alias", RENAMED)):
        scanner = DIALECT.scanner(stream=True, model=model)
        assert run(scanner, STREAM, cut) == expected
        assert (scanner.usage, scanner.finish) == (ir.Usage(3, output=4), ir.FinishReason.TOOL_USE)
        assert (scanner.complete, scanner.error, scanner.missing_end) == (True, None, b"")


def test_without_a_name_bytes_leave_at_once() -> None:
    scanner = DIALECT.scanner(stream=True)
    assert scanner.receive_data(b'{"mod') == b'{"mod'


def test_a_name_at_another_place_and_another_name_are_found() -> None:
    data = (
        b'{"done":false,"model":"a","response":"x"}\n'
        b'{"model":"bb","model":"c","done":true}\n{"x":"model"}\nno json "model"\n'
    )
    scanner = DIALECT.scanner(stream=True, model="z")
    expected = data.replace(b'"a"', b'"z"').replace(b'"c"', b'"z"')
    assert run(scanner, data, 9) == expected
    assert scanner.complete


def test_t6_an_error_in_the_stream_is_seen() -> None:
    scanner = DIALECT.scanner(stream=True)
    run(scanner, line("a") + b'{"error":"server busy"}\n', 5)
    assert scanner.error is not None
    assert scanner.error.kind is ir.ErrorKind.OVERLOADED
    assert not scanner.complete


def test_words_about_errors_and_ends_are_words() -> None:
    scanner = DIALECT.scanner(stream=True)
    run(scanner, line('{"error":"x"}') + line('"done":true') + b'"done":true broken "error"\n', 1000)
    assert (scanner.error, scanner.complete, scanner.finish) == (None, False, None)


def test_a_cut_stream_is_not_complete() -> None:
    scanner = DIALECT.scanner(stream=True)
    run(scanner, STREAM[:-5], 20)
    assert not scanner.complete
    whole = DIALECT.scanner(stream=True, model="alias")
    assert run(whole, STREAM[:-1], 20) == RENAMED[:-1]
    assert whole.complete


@pytest.mark.parametrize("model", [None, "alias"])
def test_g11_a_line_without_end_is_not_held_for_ever(model: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MAX_LINE", 10)
    scanner = DIALECT.scanner(stream=True, model=model)
    assert run(scanner, b"x" * 25 + b"\n", 6) == b"x" * 25 + b"\n"


BODY = line("a", done=True).strip()


@pytest.mark.parametrize("cut", [1, 10, 1000])
def test_whole_answers(cut: int) -> None:
    plain, named = DIALECT.scanner(stream=False), DIALECT.scanner(stream=False, model="alias")
    assert run(plain, BODY, cut) == BODY
    assert run(named, BODY, cut) == BODY.replace(b'"model":"m"', b'"model":"alias"')
    for scanner in (plain, named):
        assert (scanner.usage, scanner.finish, scanner.complete) == (
            ir.Usage(3, output=4),
            ir.FinishReason.END,
            True,
        )


def test_whole_answers_that_are_none() -> None:
    scanner = DIALECT.scanner(stream=False, model="alias")
    assert run(scanner, b'{"error":"x"}', 4) == b'{"error":"x"}'
    assert scanner.error is not None
    assert run(DIALECT.scanner(stream=False), b"", 1) == b""
    folded = DIALECT.scanner(stream=False)
    run(folded, STREAM, 100)
    assert folded.finish is ir.FinishReason.TOOL_USE


@pytest.mark.parametrize("model", [None, "alias"])
def test_g11_a_body_too_long_to_read_passes_unread(model: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_BODY", 10)
    scanner = DIALECT.scanner(stream=False, model=model)
    assert run(scanner, BODY, 6) == BODY
    assert scanner.usage is None
