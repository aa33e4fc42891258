"""Files written with each client's own tools, run for real where they are shell commands."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from ferryllm_net.mock.directives import Write
from ferryllm_net.mock.writing import absolute, choose, patch, shell
from ferryllm_proto import DIALECTS, ir, json
from support.recorded import client_requests

from .build import request, schema

STRING = {"type": "string"}
WRITE = ir.Function("Write", schema=schema(file_path=STRING, content=STRING))
BASH = ir.Function("Bash", schema=schema(command=STRING))
EXEC_COMMAND = ir.Function("exec_command", schema=schema(cmd=STRING))
SHELL = ir.Function("shell", schema=schema(command={"type": "array", "items": STRING}))
APPLY_PATCH = ir.Custom("apply_patch", syntax="lark", definition="start: x")
EXEC = ir.Custom("exec", namespace="functions")
READ = ir.Function("Read", schema=schema(file_path=STRING))
HOSTED = ir.HostedTool("openai_responses", "web_search", b"{}")
HELLO = Write("hello.txt", "Hello")


def arguments(*tools: ir.Tool, write: Write = HELLO) -> tuple[str, object]:
    chosen = choose(request("x", tools=tools), write)
    assert chosen is not None
    plain = isinstance(chosen.tool, ir.Custom)
    return chosen.tool.name, chosen.arguments if plain else json.loads(chosen.arguments)


def test_claude_code_writes_with_write() -> None:
    assert arguments(BASH, READ, WRITE) == ("Write", {"file_path": "hello.txt", "content": "Hello\n"})


def test_claude_code_bare_writes_with_bash() -> None:
    assert arguments(READ, BASH) == ("Bash", {"command": "printf '%s\\n' Hello > hello.txt"})


def test_codex_writes_with_exec_command_or_shell_or_apply_patch() -> None:
    assert arguments(HOSTED, EXEC_COMMAND) == ("exec_command", {"cmd": "printf '%s\\n' Hello > hello.txt"})
    assert arguments(SHELL) == ("shell", {"command": ["bash", "-lc", "printf '%s\\n' Hello > hello.txt"]})
    assert arguments(EXEC_COMMAND, APPLY_PATCH) == (
        "apply_patch",
        "*** Begin Patch\n*** Add File: hello.txt\n+Hello\n*** End Patch\n",
    )


def test_codex_runs_commands_in_javascript_where_it_has_nothing_else() -> None:
    name, text = arguments(EXEC)
    assert name == "exec"
    assert text == (
        'const result = await tools.exec_command({"cmd":"printf \'%s\\\\n\' Hello > hello.txt"});\n'
        "text(JSON.stringify(result));\n"
    )


def test_functions_that_stand_in_for_freeform_tools_get_the_text_as_their_input() -> None:
    shim = schema(input=STRING)
    assert arguments(ir.Function("apply_patch", schema=shim)) == ("apply_patch", {"input": patch(HELLO)})
    name, found = arguments(ir.Function("functions__exec", schema=shim))
    assert name == "functions__exec"
    assert isinstance(found, dict)
    assert found["input"].startswith("const result")


def test_tools_that_cannot_write_are_left_alone() -> None:
    odd = ir.Function("exec", schema=schema(code_block=STRING))
    list_command = ir.Function("run", schema=schema(command={"type": "integer"}))
    for tools in ((), (READ,), (HOSTED,), (odd,), (list_command,), (ir.Function("write_x", schema=None),)):
        assert choose(request("x", tools=tools), HELLO) is None


@pytest.mark.parametrize("text", ["Hello", 'it\'s $HOME `x` "quoted" \\n', "two\nlines", ""])
def test_the_shell_command_writes_the_text_exactly(text: str, tmp_path: pathlib.Path) -> None:
    subprocess.run(["sh", "-c", shell(Write("a b.txt", text))], cwd=tmp_path, check=True, timeout=10)
    assert (tmp_path / "a b.txt").read_text() == f"{text}\n"


def test_each_line_of_a_patch_is_an_added_line() -> None:
    assert patch(Write("a", "x\n\ny")) == "*** Begin Patch\n*** Add File: a\n+x\n+\n+y\n*** End Patch\n"


@pytest.mark.parametrize(
    "told", ["Working directory: /home/me", "<cwd>/home/me</cwd>", " - Primary working directory: /home/me\n"]
)
def test_relative_paths_are_put_below_the_folder_the_client_names(told: str) -> None:
    asked = ir.Request("anthropic", "demo", (), system=(ir.Text(f"You are an agent.\n{told}\nGo."),))
    assert absolute("a.txt", asked) == "/home/me/a.txt"
    assert absolute("/b/a.txt", asked) == "/b/a.txt"
    assert absolute("a.txt", request(told)) == "/home/me/a.txt"
    assert absolute("a.txt", request("nothing")) == "a.txt"


@pytest.mark.recorded
@pytest.mark.parametrize(
    ("client", "dialect", "number", "tool"),
    [
        ("claude", "anthropic", 0, "Bash"),
        ("claude", "anthropic", 3, "Write"),
        ("codex", "openai_responses", 0, "exec_command"),
        ("codex", "openai_responses", 3, "apply_patch"),
        ("opencode-anthropic", "anthropic", 1, "write"),
        ("qwen-code", "openai", 0, "write_file"),
    ],
)
def test_real_clients_have_a_tool_that_writes(client: str, dialect: str, number: int, tool: str) -> None:
    body = json.encode(client_requests(client)[number]["body"])
    chosen = choose(DIALECTS[dialect].decode_request(body), HELLO)
    assert chosen is not None
    assert chosen.tool.name == tool
