"""``GET /admin/usage``: sums over the ledger, in the form that ``ferryllm usage --json`` has too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ferryllm_net.keys.bounds import dollars
from ferryllm_net.keys.issuing import RefusedError
from ferryllm_net.keys.times import parse_date, parse_span
from ferryllm_net.ledger.ledger import MAX_GROUPS, By, Filter, Ledger, Sum, Totals
from ferryllm_proto.routing.quota import Period, Quota, Unit, bounds

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_FILTERS = ("key", "user", "project", "model", "provider", "outcome")
_NAMES = (*_FILTERS, "by", "since", "until")
_WHEN = "expected a time ago as in 7d, or a date as in 2027-01-31 or 2027-01-31T12:00:00Z"


async def usage_view(ledger: Ledger, query: Mapping[str, str], now: float) -> dict[str, object]:
    """The answer to ``query``. Raises `RefusedError`, `LedgerError`."""
    for name in query:
        if name not in _NAMES:
            raise RefusedError(name[:40], f"expected {', '.join(_NAMES)}")
    by = _groups(query.get("by", ""))
    this_month = float(bounds(Quota(Unit.REQUESTS, Period.MONTH, 0), now)[0])
    since = _moment("since", query["since"], now) if "since" in query else this_month
    until = _moment("until", query["until"], now) if "until" in query else None
    where = Filter(since, until, **{name: query[name] for name in _FILTERS if name in query})
    (total,) = await ledger.totals(where)
    found = (await ledger.totals(where, by)) if by else []
    return {
        "since": int(since),
        "until": int(now if until is None else until),
        "by": [one.value for one in by],
        "groups": [
            {**dict(zip((name.value for name in by), one.group, strict=True)), **_numbers(one)} for one in found
        ],
        "more": len(found) >= MAX_GROUPS,
        "total": _numbers(total),
    }


def _groups(text: str) -> Sequence[By]:
    names = [name for name in text.split(",") if name]
    known = [one.value for one in By]
    if len(set(names)) < len(names) or any(name not in known for name in names):
        raise RefusedError("by", f"expected some of {', '.join(known)}, with commas between them")
    return [By(name) for name in names]


def _moment(name: str, text: str, now: float) -> float:
    try:
        return now - parse_span(text)
    except ValueError:
        pass
    try:
        return parse_date(text)
    except ValueError:
        raise RefusedError(name, _WHEN) from None


def _numbers(one: Totals) -> dict[str, object]:
    sums: dict[str, Sum] = {name: getattr(one, name) for name in TOKENS}
    named: dict[str, object] = {} if one.name is None else {"name": one.name}
    return {
        **named,
        "requests": one.requests,
        "errors": one.errors,
        "refused": one.refused,
        **{name: {"known": found.known, "unknown": found.unknown} for name, found in sums.items()},
        "cost": {"dollars": dollars(one.cost.known), "unknown": one.cost.unknown},
    }
