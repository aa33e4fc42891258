"""`ferryllm bench`: wrong usage with the mend, the table, the JSON, the exit status; small real runs."""

from __future__ import annotations

import json
import pathlib
import re
import shlex

import pytest
from click.testing import CliRunner, Result

from ferryllm_cli import exit_codes
from ferryllm_cli.bench import DIALECTS, PRESETS, command
from ferryllm_proto import DIALECTS as KNOWN
from support.processes import free_port

SMALL = ("--requests", "6", "--concurrency", "2", "--warmup", "1", "--rounds", "1", "--chunks", "3")
NOBODY = ("--entry", "openai", "--model", "m", "--warmup", "0", "--rounds", "1")


def run(*arguments: str, environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(command, list(arguments), env=environ)


def test_there_is_a_preset_for_each_dialect() -> None:
    assert len(PRESETS) == len(DIALECTS) == len(KNOWN)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mock-smtp"], "not one of mock-openai"),
        (["openai>smtp"], "'smtp' is none of openai, responses"),
        (["mock-openai", "--target", "http://127.0.0.1:1"], "give one of the two"),
        (["--target", "http://127.0.0.1:1"], "needs --entry"),
        (
            ["--target", "127.0.0.1:1", "--entry", "openai", "--model", "m"],
            "--target: the URL does not begin with http",
        ),
        (["--compare", "http://u:p@127.0.0.1"], "--compare: the URL holds credentials"),
        (["--entry", "openai"], "--entry goes with --target"),
        (["--target", "http://127.0.0.1:1", "--entry", "x", "--model", "m"], "--entry: 'x' is none of"),
        (["--key-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
        (["--mock-listen", "0.0.0.0:4010"], "on 127.0.0.1 alone"),
        (["--mock-listen", "4010"], "--mock-listen"),
        (["--requests", "0"], "--requests"),
        (["--backend", "curio"], "--backend"),
    ],
)
def test_wrong_usage_is_refused_with_the_mend(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == exit_codes.USAGE
    assert words in " ".join(result.output.replace("'--", "--").replace("':", ":").split())


def test_the_examples_of_the_help_are_understood() -> None:
    result = run("--help")
    assert result.exit_code == exit_codes.OK
    examples = [line.split("   ")[0] for line in re.findall(r"^ *ferryllm bench(.*)$", result.output, re.MULTILINE)]
    assert len(examples) >= 6
    for example in examples:
        command.make_context("bench", shlex.split(example))


@pytest.mark.parametrize(
    ("preset", "backend", "more"),
    [
        ("mock-anthropic", "asyncio", ["--load-backend", "trio"]),
        ("responses>openai", "trio", ["--no-stream"]),
        ("ollama:gemini", "asyncio", ["--rate", "200", "--arrivals", "poisson", "--no-keep-alive"]),
    ],
)
def test_a_preset_prints_a_table_beside_the_mock_itself(preset: str, backend: str, more: list[str]) -> None:
    result = run(preset, *SMALL, "--backend", backend, *more)
    assert result.exit_code == exit_codes.OK, result.output
    title, heads, *rows = result.stdout.splitlines()
    assert f"gateway on {backend}" in title
    assert ("open loop, 200 requests/s" if "--rate" in more else "closed loop") in title
    assert heads.split() == ["direct", "gateway"]
    assert any(row.split() == ["requests", "6", "6"] for row in rows)
    assert any(row.split() == ["errors", "0", "0"] for row in rows)
    assert "% gateway" in result.stderr


def test_the_json_goes_to_a_pipe_without_a_word_besides_and_to_a_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "bench.json"
    result = run("mock-openai", *SMALL, "--no-direct", "--json", "--output", str(file))
    assert result.exit_code == exit_codes.OK, result.output
    assert "% gateway" not in result.stderr, "no progress"
    found = json.loads(result.stdout)
    assert found == json.loads(file.read_bytes())
    (column,) = found["columns"]
    assert (column["name"], column["ok"], column["chunks"]) == ("gateway", 6, 18)
    assert found["settings"]["behaviour"]["chunks"] == 3


def test_another_gateway_in_front_of_the_same_mock_is_a_column_of_the_same_run() -> None:
    # The mock itself stands for it.
    address = f"127.0.0.1:{free_port()}"
    result = run("mock-openai", *SMALL, "--mock-listen", address, "--compare", f"http://{address}/v1")
    assert result.exit_code == exit_codes.OK, result.output
    assert result.stdout.splitlines()[1].split() == ["direct", "gateway", address]


@pytest.mark.parametrize(
    ("limit", "status"), [("0", exit_codes.FAILURE), ("0.5", exit_codes.FAILURE), ("1", exit_codes.OK)]
)
def test_more_errors_than_allowed_are_a_failure(limit: str, status: int) -> None:
    target = f"http://127.0.0.1:{free_port()}"
    result = run("--target", target, *NOBODY, "--requests", "4", "--max-error-rate", limit)
    assert result.exit_code == status
    assert any(line.split() == ["connection", "refused", "4"] for line in result.stdout.splitlines())
    assert ("4 of 4 requests failed" in result.stderr) is (status == exit_codes.FAILURE)


def test_the_key_is_sent_and_never_shown() -> None:
    target = f"http://127.0.0.1:{free_port()}"
    result = run(
        "--target", target, *NOBODY, "--requests", "1", "--key-env", "K", "--json", environ={"K": "sk-planted"}
    )
    assert "planted" not in result.output


def test_a_file_that_cannot_be_written_is_a_failure(tmp_path: pathlib.Path) -> None:
    target = f"http://127.0.0.1:{free_port()}"
    output = str(tmp_path / "no" / "bench.json")
    result = run("--target", target, *NOBODY, "--requests", "1", "--output", output)
    assert result.exit_code == exit_codes.FAILURE
    assert f"cannot write {output}: No such file or directory" in result.stderr
