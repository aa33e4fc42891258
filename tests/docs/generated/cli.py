"""The reference of the command line, from the parameters that click knows.

Not click's own formatted help: its line breaks differ between versions of click and with the terminal's width.
"""

from __future__ import annotations

import inspect

import click

from ferryllm_cli.main import COMMANDS, main

_HEAD = """\
# Command line

`ferryllm` is one program with a few commands; `ferryllm COMMAND --help` says what stands here. Data goes to standard
output, everything else to standard error. Colours are used on a terminal only, and never when `NO_COLOR` is set.

This page is made from the code by `python docs/generate.py`.
"""


def page() -> str:
    """The page as Markdown."""
    parts = [_HEAD, _section("ferryllm", main)]
    context = click.Context(main, info_name="ferryllm")
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        parts.extend(_sections(f"ferryllm {name}", command))
    return "\n".join(parts)


def _sections(title: str, command: click.Command) -> list[str]:
    parts = [_section(title, command)]
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            parts.extend(_sections(f"{title} {name}", inner))
    return parts


def _section(title: str, command: click.Command) -> str:
    lines = [f"## `{title}`", "", *_paragraphs(command.help or "")]
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    if arguments:
        lines += ["Arguments: " + ", ".join(f"`{_argument(p)}`" for p in arguments) + ".", ""]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options:
        lines += ["| option | value | default | meaning |", "| --- | --- | --- | --- |"]
        lines += [_row(option) for option in options]
        lines.append("")
    for text in _verbatim(command.epilog or ""):
        lines += ["```text", *text, "```", ""]
    return "\n".join(lines)


def _argument(argument: click.Argument) -> str:
    return argument.make_metavar(click.Context(click.Command("x")))


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag or option.count else f"`{_value(option)}`"
    plain = isinstance(option.default, (str, int, float)) and not option.is_flag and option.default != ""
    default = "required" if option.required else f"`{option.default}`" if plain else ""
    meaning = (option.help or "").replace("|", "\\|")
    return f"| {names} | {value} | {default} | {meaning} |"


def _value(option: click.Option) -> str:
    if option.metavar is not None:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "` or `".join(str(choice) for choice in option.type.choices)
    return "NUMBER" if isinstance(option.type, (click.IntRange, click.FloatRange)) else option.type.name.upper()


def _paragraphs(text: str) -> list[str]:
    """Flowing text as it is; what click is told to leave alone (``\\b``) as a code block."""
    lines: list[str] = []
    for block in inspect.cleandoc(text).split("\n\n"):
        if block.startswith("\b"):
            lines += ["```text", *block.split("\n")[1:], "```", ""]
        elif block.strip():
            lines += [*block.split("\n"), ""]
    return lines


def _verbatim(text: str) -> list[list[str]]:
    blocks = [block.split("\n") for block in text.strip("\n").split("\n\n")]
    return [[line for line in block if line != "\b"] for block in blocks if any(line.strip("\b ") for line in block)]
