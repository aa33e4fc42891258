"""The group: help that teaches, quickly; versions; unknown commands; no command at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points

import click
import pytest
from click.testing import CliRunner

from ferryllm_cli import exit_codes
from ferryllm_cli.main import COMMANDS, main
from ferryllm_proto._version import __version__

HEAVY = ("anyio", "asyncio", "trio", "h11", "h2", "msgspec", "ssl", "socket", "ferryllm_net", "ferryllm_proto")
"""What no help may import: each of them costs more than click itself. It is the untimed form of the promise that
`ferryllm --help` answers within 150 ms."""


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_names_each_command_and_shows_examples(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == exit_codes.OK
    for name, command in COMMANDS.items():
        assert name in result.output
        assert command.summary in result.output
    assert "ferryllm serve --config ferryllm.toml" in result.output
    assert "ANTHROPIC_BASE_URL=" in result.output
    assert "Exit status" in result.output


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        assert found is not None
        yield (*path, name), found
        if isinstance(found, click.Group):
            yield from _commands(found, (*path, name))


@pytest.mark.parametrize(("path", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in _commands(main)])
def test_the_help_of_each_command_has_an_example(path: tuple[str, ...], command: click.Command) -> None:
    text = command.get_help(click.Context(command, info_name=" ".join(("ferryllm", *path))))
    assert "Example" in text
    assert " ".join(("ferryllm", *path)) in text.partition("Example")[2]


def test_help_fits_a_terminal_of_eighty_columns_but_for_the_examples() -> None:
    head = CliRunner().invoke(main, ["--help"]).output.partition("Examples:")[0]
    assert max(map(len, head.splitlines())) <= 80


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from ferryllm_cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"
    assert "Usage: " in done.stdout


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_the_packages(option: str) -> None:
    result = CliRunner().invoke(main, [option])
    assert (result.exit_code, result.output) == (exit_codes.OK, f"ferryllm {__version__}\n")


def test_an_unknown_command_is_wrong_usage_with_the_nearest_one() -> None:
    result = CliRunner().invoke(main, ["chek-config"])
    assert result.exit_code == exit_codes.USAGE
    assert "No such command 'chek-config'. Did you mean 'check-config'?" in result.output


def test_a_command_like_no_other_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["xyzzy"])
    assert result.exit_code == exit_codes.USAGE
    assert "No such command 'xyzzy'." in result.output
    assert "mean" not in result.output


def test_an_unknown_option_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["--nope"]).exit_code == exit_codes.USAGE


def test_the_installed_program_is_this_group() -> None:
    (script,) = entry_points(group="console_scripts", name="ferryllm")
    assert script.load() is main
