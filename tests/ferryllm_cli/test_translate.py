"""`ferryllm translate`: three kinds of things, their losses, their refusals, and a pipe that flows."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ferryllm_cli import exit_codes
from ferryllm_cli.translate import MAX_INPUT, NAMES, command
from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.accumulate import play
from support import oracles

MESSAGES = {
    "model": "claude",
    "max_tokens": 9,
    "top_k": 4,
    "messages": [{"role": "user", "content": "hi"}],
}
CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
ANSWER = ir.Response(
    "",
    "m",
    (ir.Text("hello"), ir.ToolCall("call_1", "look", '{"x":1}')),
    ir.FinishReason.TOOL_USE,
    usage=ir.Usage(3, output=5),
)


def run(*arguments: str, data: object = None) -> Result:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return CliRunner().invoke(command, list(arguments), input=body)


def sse(dialect: str) -> bytes:
    """ANSWER as a stream of a provider."""
    encoder = DIALECTS[dialect].stream_encoder()
    return b"".join(encoder.send(event) for event in play(ANSWER))


def test_the_names_are_those_of_the_dialects() -> None:
    assert list(DIALECTS) == NAMES


@pytest.mark.parametrize("words", [[], ["request"], ["response"], ["stream"]])
def test_help_shows_examples(words: list[str]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == exit_codes.OK
    assert "Example" in result.output
    assert "--from" in result.output


# --- requests --------------------------------------------------------------------------------------------


def test_a_request_goes_to_standard_output_and_its_losses_to_standard_error() -> None:
    result = run("request", "--from", "anthropic", "--to", "openai", "--model", "gpt-4o", data=MESSAGES)
    assert result.exit_code == exit_codes.OK
    body = json.loads(result.stdout)
    assert body["model"] == "gpt-4o"
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["dropped top_k"]


def test_losses_as_json_lines() -> None:
    result = run("request", "--from", "anthropic", "--to", "openai", "--json", data=MESSAGES)
    (line,) = result.stderr.splitlines()
    assert json.loads(line).items() >= {"loss": "dropped", "path": "top_k"}.items()


def test_a_request_without_losses_is_silent() -> None:
    result = run("request", "--from", "anthropic", "--to", "anthropic", data=MESSAGES)
    assert json.loads(result.stdout) == MESSAGES
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({**MESSAGES, "messages": 7}, "messages"),
        (b"{", "JSON"),
        (b"", "JSON"),
        (b"\xff\xfe", ""),
    ],
)
def test_a_broken_request_fails_with_a_sentence(body: object, words: str) -> None:
    result = run("request", "--from", "anthropic", "--to", "openai", data=body)
    assert result.exit_code == exit_codes.FAILURE
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert words in result.stderr


def test_a_refused_request_names_the_field() -> None:
    chat = {"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 2}
    result = run("request", "--from", "openai", "--to", "anthropic", "--json", data=chat)
    assert result.exit_code == exit_codes.FAILURE
    found = json.loads(result.stderr)
    assert found["param"] == "n"
    assert found["error"].startswith("n: ")


def test_input_comes_from_a_file_too(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(MESSAGES))
    result = run("request", "--from", "anthropic", "--to", "openai_responses", str(file))
    assert json.loads(result.stdout)["model"] == "claude"
    assert run("request", "--from", "anthropic", "--to", "openai", str(tmp_path / "none")).exit_code == exit_codes.USAGE
    assert run("request", "--from", "martian", "--to", "openai", data={}).exit_code == exit_codes.USAGE
    assert run("request", "--to", "openai", data={}).exit_code == exit_codes.USAGE


def test_input_has_a_limit() -> None:
    result = run("request", "--from", "anthropic", "--to", "openai", data=b" " * (MAX_INPUT + 1))
    assert result.exit_code == exit_codes.FAILURE
    assert f"larger than {MAX_INPUT} bytes" in result.stderr


# --- answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", NAMES)
def test_an_answer_satisfies_the_official_client(target: str) -> None:
    result = run("response", "--from", "openai", "--to", target, "--model", "mine", data=CHAT)
    assert result.exit_code == exit_codes.OK
    assert oracles.whole(target, result.stdout_bytes).model == "mine"


def test_a_broken_answer_fails_with_a_sentence() -> None:
    result = run("response", "--from", "openai", "--to", "anthropic", data={"error": {"message": "quota gone"}})
    assert result.exit_code == exit_codes.FAILURE
    assert "quota gone" in result.stderr
    assert result.stdout == ""


# --- streams ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_a_stream_satisfies_the_official_client(source: str, target: str) -> None:
    result = run("stream", "--from", source, "--to", target, data=sse(source))
    assert result.exit_code == exit_codes.OK, result.stderr
    found: Any = oracles.stream(target, result.stdout_bytes)
    reads: dict[str, Callable[[], str]] = {
        "openai": lambda: found.choices[0].message.content,
        "openai_responses": lambda: found.output_text,
        "anthropic": lambda: found.content[0].text,
        "gemini": lambda: "".join(part.text or "" for part in found.parts),
        "ollama": lambda: found.message.content,
    }
    assert reads[target]() == "hello"


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_a_truncated_stream_becomes_the_dialects_error_and_fails(source: str, target: str) -> None:
    whole = sse(source)
    result = run("stream", "--from", source, "--to", target, data=whole[: len(whole) // 2])
    assert result.exit_code == exit_codes.FAILURE
    assert "error: " in result.stderr
    decoder = DIALECTS[target].stream_decoder()
    found = [*decoder.receive_data(result.stdout_bytes), *decoder.receive_eof()]
    assert type(found[-1]).__name__ == "StreamFailed"


def test_a_stream_is_translated_as_it_comes() -> None:
    whole = sse("openai")
    middle = whole.index(b"\n\n", whole.index(b"hello")) + 2
    process = subprocess.Popen(
        [sys.executable, "-m", "ferryllm_cli", "translate", "stream", "--from", "openai", "--to", "anthropic"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(whole[:middle])
        process.stdin.flush()
        first = b""
        while b"hello" not in first:  # comes although the input is still open
            line = process.stdout.readline()
            assert line
            first += line
        process.stdin.write(whole[middle:])
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(timeout=10) == exit_codes.OK
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    assert b"message_stop" in rest


def test_a_reader_that_has_enough_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ferryllm_cli", "translate", "stream", "--from", "openai", "--to", "anthropic"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stdin is not None
    assert process.stderr is not None
    with process.stdin, process.stderr:
        process.stdin.write(sse("openai"))
        process.stdin.close()
        errors = process.stderr.read()
        assert process.wait(timeout=10) == exit_codes.OK
    assert errors == b""
