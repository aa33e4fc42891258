"""`ferryllm check-config`: everything that `serve` would say about the configuration, without serving."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import exit_codes
from .output import print_problems
from .routes import found, listed

if TYPE_CHECKING:
    from ferryllm_net.config import Problem, Settings


@click.command(
    epilog="""\b
Examples:
  ferryllm check-config
  ferryllm check-config --config relay.toml --model claude-sonnet-4-6
  ferryllm check-config --json | jq -r .problems[].message

\b
Exit status: 0 when the gateway would start, 3 when it would not."""
)
@click.option("-c", "--config", metavar="FILE", help="The file; without it the one that `serve` would find, if any.")
@click.option("--routes", is_flag=True, help="Show all routes, and who is asked on each.")
@click.option("--model", metavar="NAME", help="Show who answers requests for this model.")
@click.option("--json", "as_json", is_flag=True, help="The findings as one JSON object on standard output.")
def command(config: str | None, routes: bool, model: str | None, as_json: bool) -> None:
    """Check a configuration file and the secrets it names.

    Reports every problem at once, as FILE:LINE: KEY: what is wrong (what to do), on standard error.
    """
    from ferryllm_net.config import ConfigError, default_settings, find_config, load_settings

    path = find_config(config, os.environ, Path.cwd())
    try:
        settings = default_settings(os.environ) if path is None else load_settings(path, os.environ)
    except ConfigError as fault:
        _report(fault.problems, path, as_json, ok=False)
        raise SystemExit(exit_codes.CONFIG_INVALID) from None
    _report((*settings.warnings, *_prices(settings, path)), path, as_json, ok=True)
    if as_json:
        return
    _say(settings, path)
    if routes:
        click.echo("\n".join(listed(settings)))
    if model is not None:
        lines = found(settings, model)
        click.echo("\n".join(lines) if lines else f"no route for {model}: it would be answered 404")


def _prices(settings: Settings, path: Path | None) -> tuple[Problem, ...]:
    """What is wrong with the list of prices, where anything needs one; `serve` says it in its log."""
    if not settings.needs_prices:
        return ()
    from ferryllm_net.config import Problem, Severity
    from ferryllm_net.prices.opening import open_prices

    fault = open_prices(settings.prices).fault
    if fault is None:
        return ()
    what = f"{fault}, so costs are unknown" + (" but by [[prices.models]]" if settings.prices.rows else "")
    return (Problem(Severity.WARNING, "environment" if path is None else str(path), None, "prices", what, fault.mend),)


def _say(settings: Settings, path: Path | None) -> None:
    if path is not None:
        click.echo(f"config ok: {path}")
    elif settings.demo:
        click.echo("config ok: no file and no key in the environment, so the demo provider serves")
    else:
        names = ", ".join(provider.name for provider in settings.providers)
        click.echo(f"config ok: no file; from the environment: {names}")


def _report(problems: tuple[Problem, ...], path: Path | None, as_json: bool, *, ok: bool) -> None:
    if not as_json:
        print_problems(problems)
        return
    found = [
        {
            "severity": problem.severity.value,
            "file": problem.file,
            "line": problem.line,
            "key": problem.key,
            "message": problem.message,
            "mend": problem.mend,
        }
        for problem in problems
    ]
    click.echo(json.dumps({"ok": ok, "config": None if path is None else str(path), "problems": found}))
