"""Keys and projects as programs and people see them: the same names in the admin API, in ``--json`` and in tables."""

from __future__ import annotations

from .bounds import NAMES, QUOTAS, RATES, Bounds, as_given, dollars, is_cost
from .stored import StoredKey, StoredProject
from .times import written


def key_view(key: StoredKey, now: float) -> dict[str, object]:
    """``key`` as JSON: all of it but its texts, of which only their beginnings are known."""
    terms = key.terms
    return {
        "id": key.id,
        "name": key.name,
        "state": key.state(now).value,
        "user": terms.user,
        "project": terms.project,
        "models": list(terms.models),
        "providers": list(terms.providers),
        "limits": as_given(terms.bounds),
        "unpriced": terms.unpriced,
        "created": written(key.created),
        "expires": _time(key.expires),
        "revoked": _time(key.revoked),
        "texts": [
            {"shown": text.shown, "created": written(text.created), "ends": _time(text.ends)}
            for text in key.texts
            if text.ends is None or text.ends > now
        ],
    }


def project_view(project: StoredProject) -> dict[str, object]:
    """``project`` as JSON."""
    return {"name": project.name, "limits": as_given(project.bounds), "created": written(project.created)}


def bounds_text(bounds: Bounds) -> str:
    """All bounds in one line, "" for none."""
    return ", ".join(bound_text(name, most) for name in NAMES if (most := getattr(bounds, name)) is not None)


_SPANS = {"daily": "a day", "monthly": "a month", "total": "in all"}
_RATES = dict(zip(RATES, ("requests a minute", "tokens a minute", "at once"), strict=True))


def amount_text(amount: int, *, cost: bool) -> str:
    """A number, or nano-dollars, for people; of used dollars no more than a hundredth of a cent is shown."""
    if not cost:
        return f"{amount:,}"
    return f"${dollars(amount if amount < 100_000 else amount - amount % 100_000)}"


def bound_text(name: str, most: int) -> str:
    """One bound for people."""
    if name in QUOTAS:
        word, _, unit = name.partition("_")
        amount = f"${dollars(most)}" if is_cost(name) else f"{most:,} {unit}"
        return f"{amount} {_SPANS[word]}"
    return f"{most:,} {_RATES[name]}"


def _time(unix: float | None) -> str | None:
    return None if unix is None else written(unix)
