"""`ferryllm lint-stream`: problems a line each, a summary apart, and an exit status that says which it was."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from ferryllm_cli import exit_codes
from ferryllm_cli.lint_stream import PROMISE, command
from ferryllm_cli.translate import NAMES
from ferryllm_proto import DIALECTS, judge
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from support.answers import chat, chunk
from support.wires.trial import ASK

ANSWER = play(DIALECTS["openai"].decode_response(b'{"id":"1","model":"m","choices":[{"message":{"content":"hello"}}]}'))


def lint(data: bytes, *arguments: str, dialect: str = "openai") -> Result:
    return CliRunner().invoke(command, ["--dialect", dialect, *arguments], input=data)


def good(dialect: str) -> bytes:
    encoder = DIALECTS[dialect].stream_encoder(Answer(model="m", created=5, path=ASK[dialect][1]))
    return b"".join(encoder.send(event) for event in ANSWER)


def test_the_rule_of_promises_is_the_judges() -> None:
    assert PROMISE == judge.PROMISE


@pytest.mark.parametrize("dialect", NAMES)
def test_our_own_streams_are_clean(dialect: str) -> None:
    path = ASK[dialect][1]
    result = lint(good(dialect), "--strict", *(["--path", path] if path else []), dialect=dialect)
    assert result.exit_code == exit_codes.OK, result.output
    assert result.stdout == ""
    assert result.stderr == "-: no problems; the stream is complete\n"


def test_problems_go_to_standard_output_a_line_each() -> None:
    result = lint(chat() + chunk({"content": "secret"}))
    assert result.exit_code == exit_codes.FAILURE
    assert result.stdout == "-: event 3: terminal: an event behind the end of the stream\n"
    assert result.stderr == "-: 1 problem; the stream is complete\n"


def test_a_cut_stream_is_a_problem_and_a_failed_one_is_not() -> None:
    whole = good("openai")
    cut = lint(whole[: whole.index(b"hello")])
    assert cut.exit_code == exit_codes.FAILURE
    assert ": cut: " in cut.stdout
    assert cut.stderr.endswith("the stream is cut\n")
    failed = lint(b'data: {"error":{"message":"no","type":"server_error"}}\n\n')
    assert failed.exit_code == exit_codes.OK
    assert failed.stderr == "-: no problems; the stream ends with an error\n"


def test_promises_count_only_when_asked_for() -> None:
    call = {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    data = chat(call)  # finish_reason stop, as OpenAI says where a tool was forced
    assert lint(data).exit_code == exit_codes.OK
    strict = lint(data, "--strict")
    assert strict.exit_code == exit_codes.FAILURE
    assert ": promise: " in strict.stdout


def test_json_lines() -> None:
    result = lint(chat() + chunk({"content": "x"}), "--json")
    assert json.loads(result.stdout) == {
        "file": "-",
        "event": 3,
        "rule": "terminal",
        "message": "an event behind the end of the stream",
    }
    assert json.loads(result.stderr) == {"file": "-", "problems": 1, "ends_with": "end"}


def test_a_file_is_named_and_read_in_pieces(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "stream.sse"
    file.write_bytes(chat({"content": "x" * 300_000}, {"content": "y"}, {"role": "assistant"}))
    result = CliRunner().invoke(command, ["--dialect", "openai", str(file)])
    assert result.stdout == f"{file}: event 3: order: role again: SDKs join the texts\n"


@pytest.mark.parametrize("arguments", [[], ["--dialect", "klingon"], ["--dialect", "openai", "no-such-file"]])
def test_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(command, arguments, input=b"").exit_code == exit_codes.USAGE


def test_problems_show_while_the_stream_still_flows() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ferryllm_cli", "lint-stream", "--dialect", "anthropic"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdin, process.stdout, process.stderr:
        process.stdin.write(b'data: {"type":"message_stop"}\n\n')
        process.stdin.flush()
        assert b"framing" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=10) == exit_codes.FAILURE
