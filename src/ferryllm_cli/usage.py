"""`ferryllm usage`: what was used, by whom and of what, out of the ledger."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from . import exit_codes
from .money import dollars, short_dollars
from .output import print_problems, say
from .periods import FORMS, Moment, shown

if TYPE_CHECKING:
    from ferryllm_net.config.ledger_settings import LedgerSettings
    from ferryllm_net.config.postgres_settings import PostgresSettings
    from ferryllm_net.ledger.ledger import Ledger, Sum, Totals

T = TypeVar("T")
GROUPS = ("key", "user", "project", "model", "provider", "day", "month")
_TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
_HEADS = {
    "input_tokens": "input",
    "cache_read_tokens": "cache read",
    "cache_write_tokens": "cache write",
    "output_tokens": "output",
}
"""Columns of the table; reasoning is a part of the output, and is in the other forms."""

_EPILOG = f"""\b
Examples:
  ferryllm usage                                this month, in all
  ferryllm usage --by project --by model
  ferryllm usage --by day --since 7d --key laptop
  ferryllm usage --by key,model --since 2026-11 --until 2026-11 --csv > november.csv

\b
Moments: {FORMS};
days and months count whole, all in UTC. Input is what no cache was read or written for. What a provider did not say
is unknown, never 0: a number with a + behind it is what is known.

\b
Exit status: 0 done, 1 failed (no ledger, no such key, or it cannot be read), 2 wrong usage, 3 configuration invalid.
"""


def _groups(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    for name in names:
        if name not in GROUPS:
            raise click.BadParameter(f"expected one of {', '.join(GROUPS)}, found {name[:40]!r}", context, parameter)
    return tuple(dict.fromkeys(names))


@click.command(epilog=_EPILOG)
@click.option("-c", "--config", metavar="FILE", help="The file that says where the ledger is; as for `serve`.")
@click.option("--by", multiple=True, callback=_groups, metavar="GROUP", help=f"{', '.join(GROUPS)}; may be repeated.")
@click.option("--since", type=Moment(), default="month", show_default=True, help="The first moment that counts.")
@click.option("--until", type=Moment(end=True), help="The last day or moment that counts.")
@click.option("--key", metavar="KEY", help="Only this key's, by name or id; '' is: requests without one.")
@click.option("--user", metavar="NAME", help="Only this user's.")
@click.option("--project", metavar="NAME", help="Only this project's.")
@click.option("--model", metavar="NAME", help="Only this model's, by the name that was asked for or answered.")
@click.option("--provider", metavar="NAME", help="Only this provider's.")
@click.option("--outcome", type=click.Choice(["ok", "error", "truncated", "cancelled"]), help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a head on standard output.")
def command(
    config: str | None,
    by: tuple[str, ...],
    since: float,
    until: float | None,
    key: str | None,
    user: str | None,
    project: str | None,
    model: str | None,
    provider: str | None,
    outcome: str | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show what was used: requests, tokens and cost.

    It is read from the ledger of the configuration, while the gateway runs or not.
    """
    from ferryllm_net.ledger.ledger import MAX_GROUPS, By, Filter

    if as_json and as_csv:
        raise click.UsageError("--json and --csv: choose one")
    if until is not None and until <= since:
        raise click.UsageError("--until is not after --since")
    where = Filter(since, until, key, user, project, model, provider, outcome)

    async def read(ledger: Ledger) -> tuple[list[Totals], Totals, bool]:
        (total,) = await ledger.totals(where)
        named = not key or total.requests > 0 or (await ledger.totals(Filter(key=key)))[0].requests > 0
        return (await ledger.totals(where, [By(name) for name in by]) if by else []), total, named

    found, total, named = _with_ledger(config, read)
    if key and not named:
        _check_key(config, key)
    if as_json:
        click.echo(json.dumps(_object(by, since, until, found, total), ensure_ascii=False))
    elif as_csv:
        click.echo(_csv(by, found if by else [total]), nl=False)
    elif not total.requests:
        click.echo(f"no requests since {shown(since)}" + ("" if until is None else f", until {shown(until)}"))
    else:
        _print(by, found, total)
    if len(found) >= MAX_GROUPS:
        say(f"warning: only the first {MAX_GROUPS} groups are shown; the total is of all")


# --- forms ---


def _object(
    by: Sequence[str], since: float, until: float | None, found: Sequence[Totals], total: Totals
) -> dict[str, object]:
    return {
        "since": int(since),
        "until": int(time.time() if until is None else until),
        "by": list(by),
        "groups": [{**dict(zip(by, one.group, strict=True)), **_numbers(one)} for one in found],
        "total": _numbers(total),
    }


def _numbers(one: Totals) -> dict[str, object]:
    tokens = {name: {"known": _sum(one, name).known, "unknown": _sum(one, name).unknown} for name in _TOKENS}
    named: dict[str, object] = {} if one.name is None else {"name": one.name}
    cost = {"dollars": dollars(one.cost.known), "unknown": one.cost.unknown}
    return {**named, "requests": one.requests, "errors": one.errors, "refused": one.refused, **tokens, "cost": cost}


def _sum(one: Totals, name: str) -> Sum:
    found: Sum = getattr(one, name)
    return found


def _csv(by: Sequence[str], found: Sequence[Totals]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    heads = [head for name in _TOKENS for head in (name, f"{name}_unknown_requests")]
    named = ["key_name"] if "key" in by else []
    writer.writerow([*by, *named, "requests", "errors", "refused", *heads, "cost_dollars", "cost_unknown_requests"])
    for one in found:
        sums = [number for name in _TOKENS for number in (_sum(one, name).known, _sum(one, name).unknown)]
        names = [_cell(text) for text in (*one.group, *([one.name or ""] if named else []))]
        cost = [dollars(one.cost.known), one.cost.unknown]
        writer.writerow([*names, one.requests, one.errors, one.refused, *sums, *cost])
    return out.getvalue()


def _cell(text: str) -> str:
    """Models' names come from clients, and spreadsheets calculate what begins like a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def _print(by: Sequence[str], found: Sequence[Totals], total: Totals) -> None:
    from .tables import print_table

    head = [*by, "requests", "errors", "refused", *_HEADS.values(), "cost"]
    rows = [_row(by, one) for one in found]
    rows.append([*(["total"] + [""] * (len(by) - 1) if by else []), *_cells(total)])
    print_table(head, rows, right=range(len(by), len(head)))
    notes = [name for name in (*_HEADS, "cost") if _sum(total, name).unknown]
    if notes:
        counts = ", ".join(f"{_HEADS.get(name, name)} of {_sum(total, name).unknown:,}" for name in notes)
        say(f"+ and more: {counts} requests unknown")


def _row(by: Sequence[str], one: Totals) -> list[str]:
    names = [text or "-" for text in one.group]
    if one.name and "key" in by:
        names[by.index("key")] += f" ({one.name})"
    return [*names, *_cells(one)]


def _cells(one: Totals) -> list[str]:
    tokens = [_known(_sum(one, name), f"{_sum(one, name).known:,}") for name in _HEADS]
    counts = [f"{count:,}" for count in (one.requests, one.errors, one.refused)]
    return [*counts, *tokens, _known(one.cost, short_dollars(one.cost.known))]


def _known(found: Sum, text: str) -> str:
    if not found.unknown:
        return text
    return f"{text}+" if found.known else "unknown"


# --- the ledger ---


def _check_key(config: str | None, key: str) -> None:
    """End the program where nobody knows ``key``, which made no request."""
    from .usage_key import is_known

    if not is_known(config, key):
        what = f"no key has the name or id {key[:100]!r}, and no request was made with one"
        say(f"error: {what}: see `ferryllm keys list`")
        raise SystemExit(exit_codes.FAILURE)


def _with_ledger(config: str | None, work: Callable[[Ledger], Awaitable[T]]) -> T:
    """What ``work`` returns of the ledger of the configuration. Faults end the program with a sentence."""
    import anyio

    from ferryllm_net.ledger import LedgerError, open_ledger
    from ferryllm_net.postgres import PostgresError, open_database

    settings, postgres = _configured(config)

    async def run() -> T:
        if settings.store != "postgres" or postgres is None:
            return await worked(await open_ledger(settings, writing=False))
        async with open_database(postgres) as database:
            return await worked(await open_ledger(settings, database, writing=False))

    async def worked(ledger: Ledger | None) -> T:
        if ledger is None:
            raise LedgerError("no ledger is kept: add [ledger] to the configuration, with store = sqlite or postgres")
        try:
            return await work(ledger)
        finally:
            await ledger.aclose()

    try:
        return anyio.run(run)
    except (LedgerError, PostgresError) as exc:
        say(f"error: {exc}")
        raise SystemExit(exit_codes.FAILURE) from None


def _configured(config: str | None) -> tuple[LedgerSettings, PostgresSettings | None]:
    from ferryllm_net.config import ConfigError, find_config
    from ferryllm_net.config.ledger import resolve_ledger
    from ferryllm_net.config.parts import load_parts
    from ferryllm_net.config.postgres import resolve_postgres

    try:
        path = find_config(config, os.environ, Path.cwd())
        parts = load_parts(path, os.environ, ("ledger", "postgres"))
        found = parts.config
        postgres = resolve_postgres(found.postgres, os.environ, parts.base, parts.report)
        # Without a table there is one where keys have quotas, and those may be in the store of keys.
        settings = resolve_ledger(
            found.ledger,
            os.environ,
            parts.base,
            parts.report,
            postgres=postgres is not None,
            quotas=found.ledger is None,
        )
        parts.report.raise_errors()
    except ConfigError as fault:
        print_problems(fault.problems)
        raise SystemExit(exit_codes.CONFIG_INVALID) from None
    if found.ledger is None and not (settings.path and Path(settings.path).is_file()):
        return msgspec.structs.replace(settings, store="off"), None
    return settings, postgres
