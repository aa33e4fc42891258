"""Lazy commands: imported when they run, each under the summary that the group's help shows."""

from __future__ import annotations

import importlib.util

import click
import pytest
from click.testing import CliRunner

from ferryllm_cli.lazy import LazyCommand, LazyGroup
from ferryllm_cli.main import COMMANDS, main

PRESENT = [name for name, command in COMMANDS.items() if importlib.util.find_spec(command.module)]


@pytest.mark.parametrize("name", PRESENT)
def test_each_command_begins_its_help_with_its_summary(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help is not None
    assert command.help.splitlines()[0] == COMMANDS[name].summary


@pytest.mark.parametrize("name", PRESENT)
def test_each_command_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert COMMANDS[name].summary in result.output


def test_listing_imports_nothing() -> None:
    group = LazyGroup(lazy={"ghost": LazyCommand("no.such.module", "Is not there.")})
    result = CliRunner().invoke(group, ["--help"])
    assert result.exit_code == 0
    assert "Is not there." in result.output
    assert group.list_commands(click.Context(group)) == ["ghost"]


def test_running_imports() -> None:
    group = LazyGroup(lazy={"ghost": LazyCommand("no_such_module_of_ours", "Is not there.")})
    assert isinstance(CliRunner().invoke(group, ["ghost"]).exception, ModuleNotFoundError)
    assert group.get_command(click.Context(group), "other") is None
