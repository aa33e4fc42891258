"""`ferryllm explain`: what would be lost, where it stands in the file, and what a script reads from the status."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ferryllm_cli import exit_codes
from ferryllm_cli.explain import POLICIES, command
from ferryllm_cli.translate import MAX_INPUT
from ferryllm_proto.loss import LossPolicy

LOSSY = """{
  "model": "claude",
  "max_tokens": 100,
  "top_k": 4,
  "messages": [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"x": [1, {}, "]"]}}]},
    {"role": "user", "content": [
      {"type": "tool_result", "tool_use_id": "t", "content": "broken",
       "is_error": true}
    ]}
  ]
}
"""
WHOLE = '{"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}'


def run(*arguments: str, data: str | bytes = LOSSY, source: str = "anthropic", target: str = "openai") -> Result:
    return CliRunner().invoke(command, ["-", "--from", source, "--to", target, *arguments], input=data)


def test_the_policies_are_those_of_the_machines() -> None:
    assert [policy.value for policy in LossPolicy] == POLICIES


def test_each_loss_is_a_line_with_its_place_in_the_file() -> None:
    result = run("--model", "gpt-4.1")
    assert result.exit_code == exit_codes.LOSSY
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "standard input: anthropic to openai, model gpt-4.1, policy report"
    assert lines[2] == "degraded messages[2].content[0].is_error line 10 Chat has no such field: the text says it"
    assert lines[3] == "dropped top_k line 4 this provider has no top_k"
    assert lines[-3:] == [
        "carried: model, max_tokens",
        "carried in part: messages",
        "would be sent with 2 losses: POST /v1/chat/completions",
    ]


def test_a_file_is_named(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "request.json"
    file.write_text(WHOLE)
    result = CliRunner().invoke(command, [str(file), "--from", "anthropic", "--to", "openai_responses"])
    assert result.exit_code == exit_codes.OK
    assert result.stdout.startswith(f"{file}: anthropic to openai_responses")
    assert "would be sent without loss" in result.stdout


def test_a_refusal_names_the_field_and_its_line() -> None:
    data = LOSSY.replace('"top_k": 4', '"stop_sequences": ["END"]')
    result = run(target="openai_responses", data=data)
    assert result.exit_code == exit_codes.FAILURE
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "refused stop_sequences line 4 a Responses provider has no stop sequences" in lines
    assert lines[-1] == "refused with status 400: nothing would be sent"


def test_g5_the_policy_decides() -> None:
    data = LOSSY.replace('"top_k": 4', '"stop_sequences": ["END"]')
    lenient = run("--policy", "lenient", target="openai_responses", data=data)
    assert lenient.exit_code == exit_codes.LOSSY
    assert "dropped   stop_sequences" in lenient.stdout
    strict = run("--policy", "strict", "--model", "gpt-4.1")
    assert strict.exit_code == exit_codes.FAILURE
    assert strict.stdout.count("it would be") == 2


def test_the_same_protocol_passes_through() -> None:
    result = run(target="anthropic")
    assert result.exit_code == exit_codes.OK
    assert "the bytes pass through" in result.stdout


def test_json_for_scripts() -> None:
    found = json.loads(run("--json", "--model", "gpt-4.1").stdout)
    assert found["ok"] is True
    assert (found["from"], found["to"], found["policy"]) == ("anthropic", "openai", "report")
    assert found["upstream"] == {"method": "POST", "path": "/v1/chat/completions", "stream": False}
    assert [(loss["disposition"], loss["path"], loss["line"]) for loss in found["losses"]] == [
        ("degraded", "messages[2].content[0].is_error", 10),
        ("dropped", "top_k", 4),
    ]
    assert found["carried"] == ["model", "max_tokens"]
    assert found["carried_in_part"] == ["messages"]


def test_json_of_a_refusal() -> None:
    data = LOSSY.replace('"top_k": 4', '"stop_sequences": ["END"]')
    found = json.loads(run("--json", target="openai_responses", data=data).stdout)
    assert found["ok"] is False
    assert found["error"]["status"] == 400
    assert found["error"]["param"] == "stop_sequences"
    assert [loss["disposition"] for loss in found["losses"]] == ["refused"]


BROKEN: list[tuple[Any, str]] = [
    ('{\n"model": "m",\n!}', "standard input:3: no JSON"),
    (b'{"a":\n"\xff"}', "standard input:2: not UTF-8"),
    ('{"model": "m",\n"max_tokens": "9",\n"messages": []}', "standard input:2: max_tokens: expected integer"),
    ('{"model": "m",\n"max_tokens": 9,\n"messages": [\n{"role": "x"}]}', "standard input:4: messages[0].role"),
    ('{"model": "m", "messages": [{}]}', "standard input: max_tokens: this field is required"),
    ("[" * 100_000, "nested too deeply"),
    ("[1]", "standard input: "),
]


@pytest.mark.parametrize(("data", "told"), BROKEN)
def test_a_fault_of_the_input_has_file_and_line(data: Any, told: str) -> None:
    result = run(data=data)
    assert result.exit_code == exit_codes.FAILURE
    assert told in result.stderr
    found = json.loads(run("--json", data=data).stdout)
    assert found["ok"] is False
    assert found["file"] == "standard input"
    assert found["error"]


def test_the_input_has_a_limit() -> None:
    result = run(data=b" " * (MAX_INPUT + 1))
    assert result.exit_code == exit_codes.FAILURE
    assert "larger than" in result.stderr


def test_the_path_says_what_the_body_does_not() -> None:
    data = '{"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}'
    result = run("--path", "/v1beta/models/m:streamGenerateContent?alt=sse", source="gemini", data=data)
    assert result.exit_code == exit_codes.OK
    assert "a stream" in result.stdout


def test_the_vendor_decides_what_chat_takes() -> None:
    data = LOSSY.replace('"is_error": true', '"is_error": false')
    assert "top_k" in run("--vendor", "openai", data=data).stdout
    vllm = run("--vendor", "vllm", "--model", "llama", data=data)
    assert vllm.exit_code == exit_codes.OK
    assert run("--vendor", "no-such").exit_code == exit_codes.USAGE
    assert run("--vendor", "vllm", target="anthropic").exit_code == exit_codes.USAGE
