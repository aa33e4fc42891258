"""A click group whose commands are imported when they run, so that `--help` and completion stay quick."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click


class LazyCommand(NamedTuple):
    """A command that is not imported yet."""

    module: str
    """Module that holds it under the name `command`."""
    summary: str
    """Its line in the group's help; a test keeps it equal to the first sentence of the command's own."""


class LazyGroup(click.Group):
    """A group over `LazyCommand` values by name, listed in their order."""

    def __init__(self, *, lazy: Mapping[str, LazyCommand], **attributes: object) -> None:
        super().__init__(**attributes)  # type: ignore[arg-type]  # what click.group() was given, passed on
        self.lazy = lazy

    def main(self, *arguments: Any, **options: Any) -> Any:
        """As click's; a full disk behind standard output is a sentence and no traceback."""
        from .output import UNWRITABLE, give_up

        try:
            return super().main(*arguments, **options)
        except OSError as exc:
            if exc.errno not in UNWRITABLE or exc.filename is not None:
                raise
            raise SystemExit(give_up(exc)) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self.lazy.get(cmd_name)
        if found is None:
            return None
        command = importlib.import_module(found.module).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.lazy, n=1)
            if not near:
                raise
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {near[0]!r}?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.lazy.items()])
