"""`ferryllm mock`: its options, its refusals, and one real process on each backend."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from ferryllm_cli import exit_codes
from ferryllm_cli.mock import command
from ferryllm_net.mock.directives import TOPICS, parse


def test_help_shows_examples_and_every_option() -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == exit_codes.OK
    for words in ("--listen", "--chunks", "--delay-ms", "--backend", "Examples:", "mock: chunks=20", "Exit status"):
        assert words in result.output


def test_directives_named_in_the_help_exist() -> None:
    output = CliRunner().invoke(command, ["--help"]).output
    lines = re.findall(r"^ *mock: (.+)$", output, re.MULTILINE)
    lines += re.findall(r'-d "([^"]+)"', output)
    assert len(lines) >= 8
    parse(*lines)


def test_all_directives_can_be_printed() -> None:
    result = CliRunner().invoke(command, ["--directives"])
    assert result.exit_code == exit_codes.OK
    for topic in TOPICS.values():
        assert f"{topic.example}\n" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-d", "chunkz=3"], "did you mean chunks?"),
        (["--listen", "4010"], "127.0.0.1:4010"),
        (["--chunks", "0"], "--chunks"),
        (["--backend", "curio"], "--backend"),
    ],
)
def test_wrong_usage_is_refused_with_the_mend(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == exit_codes.USAGE
    assert words in result.output


def start(*arguments: str) -> tuple[subprocess.Popen[str], str, str]:
    """A running mock, its base URL, and what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ferryllm_cli", "mock", "--listen", "127.0.0.1:0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert process.stdout is not None
    printed = ""
    while "base_url" not in printed:
        line = process.stdout.readline()
        assert line, process.communicate()
        printed += line
    found = re.search(r"http://\S+", printed)
    assert found is not None
    return process, found[0], printed


def ask(url: str, prompt: str) -> str:
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": prompt}]}).encode()
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", body, {"content-type": "application/json", "authorization": "Bearer k"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = json.load(answer)["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("backend", "stop"), [("asyncio", signal.SIGTERM), ("asyncio", signal.SIGINT), ("trio", signal.SIGTERM)]
)
def test_it_answers_reports_and_stops_on_a_signal(backend: str, stop: signal.Signals) -> None:
    process, url, printed = start("--backend", backend, "--text", "hello world", "--key", "k", "-d", "chunks=2")
    try:
        assert ask(url, "anything") == "hello world"
        assert ask(url, "mock: text=mine") == "mine"
        process.send_signal(stop)
        _, err = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == exit_codes.OK, err
    assert err.splitlines() == ["POST /v1/chat/completions 200 (1 writes)"] * 2
    assert f'base_url = "{url}"' in printed


def test_an_address_in_use_has_its_own_exit_status() -> None:
    process, url, _ = start("--quiet")
    try:
        address = url.removeprefix("http://")
        result = CliRunner().invoke(command, ["--listen", address])
        assert result.exit_code == exit_codes.ADDRESS_IN_USE
        assert f"{address} is in use" in result.output
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_listening_for_everybody_is_warned_about() -> None:
    result = CliRunner().invoke(command, ["--listen", "192.0.2.1:0"])
    assert result.exit_code == exit_codes.FAILURE
    assert "can be reached from other machines" in result.output
    assert "cannot listen on 192.0.2.1:0" in result.output
