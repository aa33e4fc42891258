"""What one request wants of limits, quotas and budgets, and what it took of them in the end.

Apart from the `Exchange`, because without limits nobody asks: estimating costs more than all of its other decisions.
"""

from __future__ import annotations

import msgspec

from . import ir, json
from .actions import Settle
from .dialect import Headers
from .dialects import DIALECTS
from .entries import Entry, Operation
from .errors import RemoteProtocolError
from .prepare import understand
from .routing.affinity import AffinityRules, Marks, marks_of, session_of
from .routing.balance import Balance, Target
from .routing.keys import Admission, Ask, ClientKey, Desk
from .routing.pricing import Cost, estimate
from .routing.table import Plan
from .snapshot import Gateway
from .tokens.estimate import json_cost
from .tokens.start import estimate_start


class _Bound(msgspec.Struct, frozen=True):
    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    """So many are written, and the best of them are answered."""


_bound = json.decoder(_Bound)


def tokens_of(gateway: Gateway, entry: Entry, plan: Plan, body: bytes, headers: Headers, path: str) -> tuple[int, int]:
    """Input and output tokens that a request may take; 0 where it takes none."""
    operation = entry.operation
    if operation is Operation.COUNT_TOKENS:
        return 0, 0
    if operation is Operation.FORWARD:
        return (1 if body else 0), 0  # nobody can say, but with nothing left nothing is to be made of a body
    try:
        if operation is Operation.GENERATE:
            target = plan.targets[0]
            request = understand(DIALECTS[entry.dialect], body, headers=headers, path=path, named=True)
            backend = gateway.providers[target.provider].dialect
            most = request.max_output if request.max_output is not None else gateway.assumed_output
            return estimate_start(request, target.model, backend), max(most, 0) * max(request.n or 1, 1)
        if operation is Operation.EMBED:
            return _read(body), 0
        bound = json.decode(body, _bound) if operation is Operation.COMPLETE else _Bound()
        most = bound.max_tokens if bound.max_tokens is not None else gateway.assumed_output
        return _read(body), max(most, 0) * max(bound.n or 1, bound.best_of or 1, 1)
    except RemoteProtocolError:
        # The conversation will refuse it, in better words; or it passes as it is, to a provider that understands it.
        return _read(body), max(gateway.assumed_output, 0)


def _read(body: bytes) -> int:
    """Tokens of a body of which nobody knows more."""
    return max(1, round(json_cost(body)))


def ask_of(
    gateway: Gateway, desk: Desk | None, key: ClientKey | None, model: str, plan: Plan, tokens: tuple[int, int] | None
) -> Ask:
    """What the request wants of the desk. ``tokens`` are `tokens_of` it, None where nobody counts them."""
    if tokens is None:
        return Ask(model, 0, 0, 0)
    wanted = (True, True) if desk is None else desk.counts(key)
    cost: int | None = None
    if wanted[1]:
        found = costs_of(gateway, plan, model, tokens)
        # The dearest of those that may answer: a budget is not to be overdrawn by a fallback.
        cost = max(found.values()) if len(found) == len({*plan.targets, *plan.fallbacks}) else None
    return Ask(model, tokens[0], tokens[1], cost)


def costs_of(gateway: Gateway, plan: Plan, model: str, tokens: tuple[int, int]) -> dict[Target, int]:
    """Nano-dollars that the request may cost at each target; those whose price is unknown are not in it."""
    out: dict[Target, int] = {}
    if gateway.prices is None:
        return out
    for target in (*plan.targets, *plan.fallbacks):
        sellers = gateway.providers[target.provider].sellers or (target.provider,)
        cost = estimate(gateway.prices.find(target.model or model, sellers), *tokens)
        if cost is not None:
            out[target] = cost
    return out


def counts_tokens(gateway: Gateway, desk: Desk | None, key: ClientKey | None, plan: Plan) -> bool:
    """Whether anybody wants to know how many tokens the request may take."""
    if plan.route.balance is Balance.COST and len(plan.targets) > 1:
        return True
    return gateway.admits and (desk is None or desk.counts(key)[0])


def session(rules: AffinityRules, owner: str, headers: Headers, body: bytes) -> bytes | None:
    """What stands for the session of a request; the body is read only where no header tells it."""
    told = session_of(rules, owner, headers, Marks())
    return told if told is not None else session_of(rules, owner, headers, marks_of(body))


def settle(
    admission: Admission,
    operation: Operation,
    usage: ir.Usage | None,
    cost: Cost | None,
    *,
    asked: bool,
    answered: bool,
    session: bytes | None = None,
    target: Target | None = None,
) -> Settle:
    """What the request took. ``asked``: a provider was; ``answered``: content came, or its client did not wait."""
    tokens, nanos = total(usage), None if cost is None else cost.total
    if operation is Operation.COUNT_TOKENS or (usage is None and not answered):
        tokens = nanos = 0  # a failed attempt is nobody's bill
    if nanos is not None and nanos > _MOST:
        nanos = None
    return Settle(admission, tokens, nanos, asked, session, target)


def counted(settle: Settle, ask: Ask | None) -> tuple[int | None, int | None]:
    """Tokens and nano-dollars that limits and quotas count for a request; None is: nobody does. ``ask`` is what was
    estimated, None where nothing was."""
    if not settle.took_place:
        return None, None
    if ask is None:
        return settle.tokens, settle.cost
    tokens, cost = settle.tokens, settle.cost
    return ask.tokens if tokens is None else tokens, ask.cost if cost is None else cost


_MOST = 10**15
"""Tokens and nano-dollars of one request that are believed: a million dollars; and doubles, in which Redis counts, are
exact up to nine times that."""


def total(usage: ir.Usage | None) -> int | None:
    """All tokens of an answer; None is unknown."""
    if usage is None or usage.input_total is None or usage.output is None:
        return None
    tokens = usage.input_total + usage.output
    return tokens if tokens <= _MOST else None
