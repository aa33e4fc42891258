"""What is asked of the tables, in SQL: the same questions for SQLite and PostgreSQL, which differ in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ferryllm_proto.routing.quota import Unit

from .ledger import MAX_GROUPS, MAX_PAGE, By, Filter, LedgerError, Page, Sum, Totals, Used
from .row import COLUMNS, Row

_ASKED = "attempts > 0"
_FAILED = "outcome IN ('error', 'truncated')"
_UNKNOWN = (
    "attempts > 0 AND (outcome <> 'error' OR coalesce(status, 0) < 400) "
    "AND operation IN ('generate', 'embed', 'complete', 'compact', 'forward') AND {} IS NULL"
)
"""A failure within an answer is told in its stream; one with a status of its own came before any of it. Questions of
other kinds (how many tokens, what is kept) use nothing."""
_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_ALL_TOKENS = " + ".join(f"coalesce({name}, 0)" for name in _TOKENS[:4])
_COST = "coalesce(cost, cost_known)"
USED = {
    Unit.REQUESTS: "1",
    Unit.TOKENS: f"coalesce(counted_tokens, {_ALL_TOKENS})",
    Unit.COST: f"coalesce(counted_cost, {_COST})",
}
"""What a row has used of each unit: what was counted while the gateway ran, where that was done, so that what nobody
knows is no less after a start."""


class Words(msgspec.Struct, frozen=True):
    """What one database says in its own way."""

    table: str
    place: Callable[[int], str]
    """How the parameter of a number, from 1 on, is written."""
    day: str
    """The text of the day of ``time``, moved by ``{offset}`` seconds."""
    month: str
    number: str
    """What tells rows of one time apart."""


class Question(msgspec.Struct, frozen=True):
    query: str
    values: tuple[object, ...]


def _where(where: Filter, words: Words, values: list[object]) -> str:
    def place(value: object) -> str:
        values.append(value)
        return words.place(len(values))

    parts = []
    if where.since is not None:
        parts.append(f"time >= {place(where.since)}")
    if where.until is not None:
        parts.append(f"time < {place(where.until)}")
    for column, value in (
        ('"user"', where.user),
        ("project", where.project),
        ("provider", where.provider),
        ("outcome", where.outcome),
    ):
        if value == "":
            parts.append(f"{column} IS NULL")
        elif value is not None:
            parts.append(f"{column} = {place(value)}")
    if where.key == "":
        parts.append("key IS NULL")
    elif where.key is not None:
        parts.append(f"(key = {place(where.key)} OR key_name = {place(where.key)})")
    if where.model == "":
        parts.append("model_asked IS NULL AND model_resolved IS NULL AND model_reported IS NULL")
    elif where.model is not None:
        names = (f"{column} = {place(where.model)}" for column in ("model_asked", "model_resolved", "model_reported"))
        parts.append(f"({' OR '.join(names)})")
    return " AND ".join(parts) if parts else "1 = 1"


# --- totals ---


def totals(where: Filter, by: Sequence[By], offset: int, limit: int, words: Words) -> Question:
    """One line for each group: its texts, then the numbers that `read_totals` expects."""
    values: list[object] = []
    condition = _where(where, words, values)
    groups = [_group(one, words, offset) for one in by]
    sums = ["count(*)", _count(f"{_FAILED} AND {_ASKED}"), _count(f"{_FAILED} AND NOT ({_ASKED})")]
    for name in _TOKENS:
        sums += [f"coalesce(sum({name}), 0)", _count(_UNKNOWN.format(name))]
    sums += [f"coalesce(sum({_COST}), 0)", _count(_UNKNOWN.format("cost"))]
    columns = [f"{group} AS g{n}" for n, group in enumerate(groups)] + [f"{one} AS s{n}" for n, one in enumerate(sums)]
    query = f"SELECT {', '.join(columns)} FROM {words.table} WHERE {condition}"
    if groups:
        numbers = ", ".join(str(n) for n in range(1, len(groups) + 1))
        query += f" GROUP BY {numbers} ORDER BY {numbers} LIMIT {min(limit, MAX_GROUPS):d}"
    return Question(query, tuple(values))


def _group(by: By, words: Words, offset: int) -> str:
    if by is By.DAY or by is By.MONTH:
        return (words.day if by is By.DAY else words.month).format(offset=int(offset))
    column = {By.USER: '"user"', By.MODEL: "coalesce(model_resolved, model_asked)"}.get(by, by.value)
    return f"coalesce({column}, '')"


def _count(condition: str) -> str:
    return f"coalesce(sum(CASE WHEN {condition} THEN 1 ELSE 0 END), 0)"


def read_totals(lines: Sequence[Sequence[Any]], by: Sequence[By], names: Mapping[str, str]) -> list[Totals]:
    """What the answer to `totals` says; ``names`` is that to `names`, where keys are among the groups."""
    found = []
    for line in lines:
        group = tuple(str(text) for text in line[: len(by)])
        numbers = [int(number) for number in line[len(by) :]]
        sums = [Sum(known, unknown) for known, unknown in zip(numbers[3::2], numbers[4::2], strict=True)]
        name = names.get(group[by.index(By.KEY)]) if By.KEY in by else None
        requests, errors, refused = numbers[:3]
        given, made, read, written, thought, cost = sums
        found.append(Totals(group, requests, errors, refused, given, made, read, written, thought, cost, name))
    return found


def names(where: Filter, words: Words) -> Question:
    """What each key was called in the newest of its rows."""
    values: list[object] = []
    condition = _where(where, words, values)
    named = f"{condition} AND key_name IS NOT NULL"
    newest = f"SELECT key AS k, max(time) AS t FROM {words.table} WHERE {named} GROUP BY key"
    return Question(
        f"SELECT key, max(key_name) FROM {words.table} JOIN ({newest}) AS n ON key = n.k AND time = n.t "
        "WHERE key_name IS NOT NULL GROUP BY key",
        tuple(values),
    )


# --- rows ---


def rows(where: Filter, after: str | None, limit: int, newest: bool, words: Words) -> Question:
    """`COLUMNS`, and behind them what tells rows of one time apart."""
    values: list[object] = []
    condition = _where(where, words, values)
    if after is not None:
        time, number = _read_after(after)
        values += [time, number]
        places = f"({words.place(len(values) - 1)}, {words.place(len(values))})"
        condition += f" AND (time, {words.number}) {'<' if newest else '>'} {places}"
    order = f"time {_way(newest)}, {words.number} {_way(newest)}"
    # One more than wanted tells whether there is another page.
    return Question(
        f"SELECT {NAMES}, {words.number} FROM {words.table} WHERE {condition} ORDER BY {order} "
        f"LIMIT {min(max(limit, 1), MAX_PAGE) + 1:d}",
        tuple(values),
    )


def _way(newest: bool) -> str:
    return "DESC" if newest else "ASC"


def _read_after(after: str) -> tuple[float, int]:
    try:
        time, _, number = after.partition("/")
        return float.fromhex(time), int(number)
    except ValueError:
        raise LedgerError("after is not what a page before has said") from None


def written(after: int, limit: int, words: Words) -> Question:
    """`COLUMNS` and the number of the rows behind a number, in the order in which they were written."""
    return Question(
        f"SELECT {NAMES}, {words.number} FROM {words.table} WHERE {words.number} > {words.place(1)} "
        f"ORDER BY {words.number} LIMIT {min(max(limit, 1), MAX_PAGE):d}",
        (after,),
    )


def read_written(lines: Sequence[Sequence[Any]]) -> list[tuple[int, Row]]:
    """The rows of the answer to `written`."""
    return [(int(line[len(COLUMNS)]), _read_row(line)) for line in lines]


def read_page(lines: Sequence[Sequence[Any]], limit: int) -> Page:
    """The rows of the answer to `rows`."""
    limit = min(max(limit, 1), MAX_PAGE)
    found = tuple(_read_row(line) for line in lines[:limit])
    after = None
    if len(lines) > limit:
        after = f"{found[-1].time.hex()}/{lines[limit - 1][len(COLUMNS)]}"
    return Page(found, after)


def _read_row(line: Sequence[Any]) -> Row:
    row = Row(*line[: len(COLUMNS)])
    if row.stream in (0, 1):  # SQLite has no truth values
        row = msgspec.structs.replace(row, stream=bool(row.stream))
    return row


NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
"""All columns, in quotes: `user` is a word of SQL."""


# --- what quotas count ---


def used(owner: str, unit: Unit, since: float, words: Words) -> list[Question]:
    """The answers are to be added up."""
    column, value = _owner(owner)
    asked = [
        Question(
            f"SELECT coalesce(sum({USED[unit]}), 0) FROM {words.table} "
            f"WHERE {column} = {words.place(1)} AND time >= {words.place(2)} AND {_ASKED}",
            (value, since),
        )
    ]
    if since <= 0:
        query = f"SELECT coalesce(sum({unit.value}), 0) FROM {words.table}_forgotten WHERE {column} = {words.place(1)}"
        asked.append(Question(query, (value,)))
    return asked


def used_by_all(since: float, words: Words) -> list[Question]:
    """The answers are for `read_used_by_all`."""
    sums = ", ".join(f"coalesce(sum({USED[unit]}), 0)" for unit in Unit)
    asked = [
        Question(
            f"SELECT coalesce(key, ''), coalesce(project, ''), {sums} FROM {words.table} "
            f"WHERE time >= {words.place(1)} AND {_ASKED} AND (key IS NOT NULL OR project IS NOT NULL) GROUP BY 1, 2",
            (since,),
        )
    ]
    if since <= 0:
        asked.append(Question(f"SELECT key, project, requests, tokens, cost FROM {words.table}_forgotten", ()))
    return asked


def read_used_by_all(answers: Sequence[Sequence[Sequence[Any]]]) -> dict[str, Used]:
    """By owner."""
    found: dict[str, Used] = {}
    for key, project, *numbers in (line for lines in answers for line in lines):
        for owner in (f"key/{key}" if key else "", f"project/{project}" if project else ""):
            if owner:
                so_far = found.get(owner, Used(0, 0, 0))
                requests, tokens, cost = map(int, numbers)
                found[owner] = Used(so_far.requests + requests, so_far.tokens + tokens, so_far.cost + cost)
    return found


def _owner(owner: str) -> tuple[str, str]:
    """The column that names an owner, and what stands in it. Raises `LedgerError`."""
    kind, _, value = owner.partition("/")
    if kind not in ("key", "project") or not value:
        raise LedgerError(f"expected key/ID or project/NAME as an owner, not {owner[:40]!r}")
    return kind, value


def carry(words: Words, rows: str) -> str:
    """A statement that adds up what ``rows`` (a table and a condition) have used, for quotas without an end."""
    into = f"{words.table}_forgotten"
    added = ", ".join(f"{name} = {into}.{name} + excluded.{name}" for name in ("requests", "tokens", "cost"))
    return (
        f"INSERT INTO {into} (key, project, requests, tokens, cost) "
        f"SELECT coalesce(key, ''), coalesce(project, ''), count(*), sum({USED[Unit.TOKENS]}), sum({USED[Unit.COST]}) "
        f"FROM {rows} AND {_ASKED} AND (key IS NOT NULL OR project IS NOT NULL) GROUP BY 1, 2 "
        f"ON CONFLICT (key, project) DO UPDATE SET {added}"
    )
