"""What the commands of `ferryllm keys` share: options for bounds, the configured store, errors as sentences."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from . import exit_codes
from .output import print_problems, say

if TYPE_CHECKING:
    from ferryllm_net.config.auth_settings import KeysSettings
    from ferryllm_net.config.postgres_settings import PostgresSettings
    from ferryllm_net.keys.store import KeyStore

    _Type = click.ParamType[Any]
else:
    _Type = click.ParamType  # not generic before click 8.2

T = TypeVar("T")

BOUNDS = (
    ("--rpm", "requests_per_minute", "Requests a minute."),
    ("--tpm", "tokens_per_minute", "Tokens a minute, of requests and answers."),
    ("--concurrency", "max_concurrency", "Requests under way at one time."),
    ("--daily-requests", "daily_requests", "Requests a day (UTC)."),
    ("--daily-tokens", "daily_tokens", "Tokens a day."),
    ("--daily-cost", "daily_cost", "Dollars a day, as in 2.50."),
    ("--monthly-requests", "monthly_requests", "Requests a month of the calendar."),
    ("--monthly-tokens", "monthly_tokens", "Tokens a month."),
    ("--monthly-cost", "monthly_cost", "Dollars a month."),
    ("--total-requests", "total_requests", "Requests in all."),
    ("--total-tokens", "total_tokens", "Tokens in all."),
    ("--total-cost", "total_cost", "Dollars in all."),
)
"""Option, name of the bound, meaning; tests keep the names equal to those of `ferryllm_net.keys.bounds`."""

NONE = "none"


class Bound(_Type):
    """A bound: a whole number, dollars, or ``none``."""

    name = "number"

    def __init__(self, bound: str) -> None:
        self.bound = bound
        self.name = "dollars" if bound.endswith("_cost") else "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        from ferryllm_net.keys.bounds import BoundFault, read

        if not isinstance(value, str):
            return value
        text = value.strip().lower()
        try:
            if text == NONE:
                return NONE
            if self.bound.endswith("_cost"):
                read(self.bound, text)
                return text
            digits = text.replace("_", "")
            for letter, factor in (("k", 1000), ("m", 1_000_000)):
                if digits.endswith(letter) and digits[:-1].isdigit():
                    digits = str(int(digits[:-1]) * factor)
            number = int(digits) if digits.isascii() and digits.isdigit() else -1
            read(self.bound, number)
            return number
        except BoundFault as exc:
            self.fail(f"{value!r}: {exc}", param, ctx)


class Span(_Type):
    """A span of time, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from ferryllm_net.keys.times import parse_span

        try:
            return value if isinstance(value, float) else parse_span(value)
        except ValueError as exc:
            self.fail(f"{value!r}: {exc}", param, ctx)


class End(_Type):
    """A date or a span from now on, as Unix seconds; or ``none``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        import time

        from ferryllm_net.keys.times import parse_end

        if not isinstance(value, str) or value.strip().lower() == NONE:
            return NONE if isinstance(value, str) else value
        try:
            return parse_end(value, time.time())
        except ValueError as exc:
            self.fail(f"{value!r}: {exc}", param, ctx)


_F = TypeVar("_F", bound=Callable[..., Any])


def bound_options(function: _F) -> _F:
    """The options of `BOUNDS`."""
    for option, name, words in reversed(BOUNDS):
        function = click.option(option, name, type=Bound(name), help=words)(function)
    return function


def project_options(function: _F) -> _F:
    """Those of `BOUNDS` that projects have."""
    for option, name, words in reversed(BOUNDS):
        if name != "max_concurrency":
            function = click.option(option, name, type=Bound(name), help=words)(function)
    return function


def common_options(function: _F) -> _F:
    """``--config`` and ``--json``, which every command has."""
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="JSON on standard output."),
        click.option("-c", "--config", metavar="FILE", help="The file; without it the one that `serve` would find."),
    ):
        function = decorate(function)
    return function


def given_bounds(options: dict[str, object]) -> dict[str, object]:
    """The bounds among ``options``, as `bounds.changed` takes them; those that were not given are left out."""
    found = {name: options[name] for _, name, _ in BOUNDS if options.get(name) is not None}
    return {name: None if value == NONE else value for name, value in found.items()}


# --- the store -------------------------------------------------------------------------------------------


def with_store(config: str | None, work: Callable[[KeyStore], Awaitable[T]]) -> T:
    """What ``work`` returns of the store of the configuration. Faults end the program with a sentence."""
    import anyio

    from ferryllm_net.keys.opening import open_keys
    from ferryllm_net.keys.store import KeyStoreError

    keys, postgres = _stores(config)

    async def run() -> T:
        if keys.store != "postgres" or postgres is None:
            return await worked(await open_keys(keys))
        from ferryllm_net.postgres import open_database

        async with open_database(postgres) as database:
            return await worked(await open_keys(keys, database))

    async def worked(store: KeyStore) -> T:
        try:
            return await work(store)
        finally:
            await store.aclose()

    from ferryllm_net.postgres import PostgresError

    try:
        return anyio.run(run)
    except (KeyStoreError, PostgresError) as exc:
        fail(str(exc))


def fail(message: str) -> NoReturn:
    """End with the status of what went wrong otherwise."""
    say(f"error: {message}")
    raise SystemExit(exit_codes.FAILURE)


def _stores(config: str | None) -> tuple[KeysSettings, PostgresSettings | None]:
    from ferryllm_net.config import ConfigError, find_config
    from ferryllm_net.config.auth_keys import resolve_keys
    from ferryllm_net.config.parts import load_parts
    from ferryllm_net.config.postgres import resolve_postgres

    path = find_config(config, os.environ, Path.cwd())
    try:
        parts = load_parts(path, os.environ, ("auth", "keys", "postgres"))
        keys = resolve_keys(parts.config, os.environ, parts.base, parts.report)
        postgres = resolve_postgres(parts.config.postgres, os.environ, parts.base, parts.report)
        parts.report.raise_errors()
    except ConfigError as fault:
        print_problems(fault.problems)
        raise SystemExit(exit_codes.CONFIG_INVALID) from None
    print_problems(parts.report.warnings)
    if keys.store == "off":
        place = "FERRYLLM_KEYS__STORE=sqlite in the environment" if path is None else f"{path}"
        mend = f'add [keys] with store = "sqlite" to {place}' if path else f"no configuration file: set {place}"
        say(f"error: no store of keys is configured, so the gateway would never see a key ({mend})")
        raise SystemExit(exit_codes.CONFIG_INVALID)
    return keys, postgres


def note_providers(providers: Sequence[str], config: str | None) -> None:
    """Say that the configuration has no such provider: it may be a slip, or another gateway's."""
    if not providers:
        return
    from difflib import get_close_matches

    from ferryllm_net.config import ConfigError, find_config
    from ferryllm_net.config.parts import load_parts

    try:
        parts = load_parts(find_config(config, os.environ, Path.cwd()), os.environ, ("providers",))
    except ConfigError:
        return  # of the providers' faults `check-config` tells
    known = [one.name for one in parts.config.providers]
    for name in providers:
        if known and name not in known:
            near = get_close_matches(name, known, n=1)
            say(f"note: the configuration has no provider {name}" + (f"; did you mean {near[0]}?" if near else ""))


def note_project(project: str, known: Sequence[str]) -> None:
    """Say that a project has no limits, where others have: it may be a slip."""
    if project and known and project not in known:
        from difflib import get_close_matches

        near = get_close_matches(project, known, n=1)
        say(f"note: the project {project} has no limits" + (f"; did you mean {near[0]}?" if near else ""))
