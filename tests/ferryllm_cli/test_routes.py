"""`ferryllm check-config --routes` and `--model`: who answers requests for which model."""

from __future__ import annotations

import pathlib

import pytest
from click.testing import CliRunner

from ferryllm_cli.check_config import command

FILE = """
[[providers]]
name = "p"
type = "openai"
base_url = "https://p.example/v1"
[[providers]]
name = "q"
type = "anthropic"
base_url = "https://q.example"
[[routes]]
match = "claude-"
provider = "q"
rewrite_model = "real"
fallback_providers = ["p"]
[[routes]]
match = "both"
match_type = "exact"
balance = "round_robin"
[[routes.targets]]
provider = "p"
weight = 3
[[routes.targets]]
provider = "q"
model = "other"
"""


def said(folder: pathlib.Path, *arguments: str) -> list[str]:
    path = folder / "f.toml"
    path.write_text(FILE)
    done = CliRunner().invoke(command, ["-c", str(path), *arguments])
    assert done.exit_code == 0, done.output
    first, *rest = done.output.splitlines()
    assert first == f"config ok: {path}"
    return rest


def test_all_routes_are_listed_in_the_order_of_the_file(tmp_path: pathlib.Path) -> None:
    assert said(tmp_path, "--routes") == [
        'prefix "claude-"',
        "  q as real",
        "  else p as real",
        'exact "both", round_robin',
        "  p (3 of 4)",
        "  q as other (1 of 4)",
    ]


@pytest.mark.parametrize(
    ("model", "lines"),
    [
        ("claude-x", ['prefix "claude-"', "  q as real", "  else p as real"]),
        ("gpt", ["no route for gpt: it would be answered 404"]),
        ("provider:p/any", ["every model, by the client's wish", "  p as any"]),
    ],
)
def test_one_model_is_looked_up_as_the_gateway_does(tmp_path: pathlib.Path, model: str, lines: list[str]) -> None:
    assert said(tmp_path, "--model", model) == lines


def test_a_provider_that_is_not_there_is_said(tmp_path: pathlib.Path) -> None:
    (line,) = said(tmp_path, "--model", "provider:z/any")
    assert "'z', which this gateway does not have" in line
