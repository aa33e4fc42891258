"""How much a model may think, whatever its clients ask for: kept, filled in, capped or forced.

One decision on `ir.ReasoningParams` for every path; what it means for bytes that pass through is in
`reasoning_fields`. The table that every number and word comes from (wire.md 7.4 and the seed's own table, reconciled):

========= ==== ============== =======================
effort    rank said as tokens tokens that read as it
========= ==== ============== =======================
none      0    0              0
minimal   1    1024           1 to 2047
low       2    4096           2048 to 6143
medium    3    8192           6144 to 14335
high      4    16384          14336 to 28671
xhigh     5    32768          28672 and more
max       6    65536          never: it has to be asked for
ultracode 7    65536          never; said as ``max``
========= ==== ============== =======================

The seed's numbers were half of these below ``xhigh`` and began at 512, which Anthropic refuses. A budget that a client
wrote is compared with a cap as a number, not by the word that it reads as.
"""

from __future__ import annotations

import enum

import msgspec

from .. import ir
from ..capabilities import EFFORTS, UNKNOWN, Capabilities, Thinking, budget_of, clamp, effort_of

ULTRACODE = "ultracode"
"""More than any provider has a word for: known to the policy and to clients, said as ``max``."""
RANKS: tuple[str, ...] = (*EFFORTS, ULTRACODE)
"""Every effort, in rising order."""

_OPEN = (ir.ThinkingMode.ON, ir.ThinkingMode.ADAPTIVE, ir.ThinkingMode.BETWEEN_TOOLS)
"""To think, without a word about how much."""


class ReasoningMode(enum.Enum):
    PRESERVE = "preserve"
    """What the client asks for is what the provider gets."""
    FILL_MISSING = "fill_missing"
    """Clients that say nothing get the default."""
    CAP = "cap"
    """The same, and nobody gets more than the maximum."""
    FORCE = "force"
    """Everybody gets the default; without one the maximum; without both nobody's wish is sent."""


class ReasoningPolicy(msgspec.Struct, frozen=True):
    """The policy of one route. Without efforts nothing but `ReasoningMode.FORCE` does anything."""

    mode: ReasoningMode = ReasoningMode.PRESERVE
    default: str | None = None
    """An effort of `RANKS`."""
    maximum: str | None = None
    """An effort of `RANKS`."""

    @property
    def idle(self) -> bool:
        """Whether it changes no request at all, so that none has to be read for it."""
        if self.mode is ReasoningMode.FORCE:
            return False
        return self.mode is ReasoningMode.PRESERVE or (
            self.default is None and (self.maximum is None or self.mode is ReasoningMode.FILL_MISSING)
        )


PRESERVE = ReasoningPolicy()


class Applied(msgspec.Struct, frozen=True):
    """What became of one request's wish, for the log."""

    requested: str | None = None
    """The client's effort in a word of `RANKS`, or as it wrote it; None: it said nothing of how much."""
    applied: str | None = None
    """The same of what the provider gets."""
    changed: bool = False


def rank(effort: str) -> int:
    """How much ``effort`` is; a word nobody knows counts as ``high``, which is what models make of none."""
    return RANKS.index(effort if effort in RANKS else "high")


def word_of(params: ir.ReasoningParams | None) -> str | None:
    """The effort that ``params`` asks for, in a word; None where it leaves it to the model."""
    if params is None:
        return None
    if params.mode is ir.ThinkingMode.OFF:
        return "none"
    if params.effort is not None:
        return params.effort
    return None if params.budget is None else effort_of(params.budget)


def apply(policy: ReasoningPolicy, request: ir.Request, can: Capabilities = UNKNOWN) -> tuple[ir.Request, Applied]:
    """``request`` under ``policy``; ``can`` is the model that will answer, as its provider has it."""
    new = decide(policy, request.reasoning, can)
    told = Applied(word_of(request.reasoning), word_of(new), new != request.reasoning)
    return (msgspec.structs.replace(request, reasoning=new) if told.changed else request), told


def decide(
    policy: ReasoningPolicy, params: ir.ReasoningParams | None, can: Capabilities = UNKNOWN
) -> ir.ReasoningParams | None:
    """What a provider is asked for instead of ``params``, which a client asked for.

    A model that is known not to think gets nothing added: its provider would refuse the field.
    """
    mode, default, maximum = policy.mode, policy.default, policy.maximum
    if mode is ReasoningMode.PRESERVE:
        return params
    if mode is ReasoningMode.FORCE:
        forced = default or maximum
        if forced is None:
            return None
        return _with(params, forced, can)
    # A client that wants thoughts and does not say how many is not told that it gets none.
    if _says_nothing(params) and default is not None and not (default == "none" and _is_open(params)):
        params = _with(params, default, can)
    if mode is ReasoningMode.CAP and maximum is not None:
        params = _capped(params, maximum, can)
    return params


def _says_nothing(params: ir.ReasoningParams | None) -> bool:
    return word_of(params) is None


def _is_open(params: ir.ReasoningParams | None) -> bool:
    return params is not None and params.mode in _OPEN


def _capped(params: ir.ReasoningParams | None, maximum: str, can: Capabilities) -> ir.ReasoningParams | None:
    if params is None:
        return None
    if _says_nothing(params):
        # Nothing bounds an open wish, so the bound is said; nothing at all is the model's own idea of enough.
        return _with(params, maximum, can) if _is_open(params) else params
    most = rank(maximum)
    effort, budget = params.effort, params.budget
    too_much = effort is not None and rank(effort) > most
    too_many = budget is not None and budget > budget_of(said(maximum))
    if params.mode is ir.ThinkingMode.OFF or not (too_much or too_many):
        return params
    if maximum == "none":
        return _with(params, maximum, can)
    if too_much and effort is not None:
        fitted = _fitted(maximum, can)
        effort = fitted if rank(fitted) <= rank(effort) else effort
    if too_many:
        budget = budget_of(said(maximum))
    return msgspec.structs.replace(params, effort=effort, budget=budget)


def _with(params: ir.ReasoningParams | None, effort: str, can: Capabilities) -> ir.ReasoningParams | None:
    """``params`` with ``effort`` for what was said of how much; in tokens where it was said in tokens."""
    if can.thinking is Thinking.NONE and params is None:
        return None
    old = params or ir.ReasoningParams()
    if effort == "none":
        return ir.ReasoningParams(ir.ThinkingMode.OFF, effort=effort)
    word = _fitted(effort, can)
    mode = None if old.mode is ir.ThinkingMode.OFF else old.mode
    counted = bool(old.budget)
    # Tokens read as at most xhigh; more has to be said in a word beside them.
    told = word if not counted or old.effort is not None or rank(word) > rank("xhigh") else None
    return msgspec.structs.replace(old, mode=mode, effort=told, budget=budget_of(word) if counted else None)


def said(effort: str) -> str:
    """The word that can be sent for ``effort``."""
    return "max" if effort == ULTRACODE else effort


def _fitted(effort: str, can: Capabilities) -> str:
    """``effort`` as the model has it: what the policy writes shall not be reported as a loss of the client's."""
    word = said(effort)
    return (clamp(word, can.efforts) or word) if can.efforts else word
