"""What comes after a failed attempt: the same target again, another one, or the end, and after how long.

Nothing here knows a target or a connection. The exchange reports a failure and what it still has; the answer is one
step and its reason, which goes into the log.
"""

from __future__ import annotations

import datetime
import enum
import re
from collections.abc import Mapping, Sequence

import msgspec

from .. import statuses


class RetryRules(msgspec.Struct, frozen=True):
    """How often and how long. Times are seconds."""

    retries: int = 0
    """Further attempts at one target."""
    total: int = 8
    """Attempts of one request at all targets together."""
    backoff: float = 0.1
    """The wait before the first further attempt; it doubles with each."""
    max_backoff: float = 10.0
    jitter: float = 0.5
    """Which part of a wait is left to chance, 0 to 1: so that those who failed together do not come back together."""
    statuses: frozenset[int] = frozenset({429, 500, 502, 503, 504, 529})
    """HTTP statuses that another attempt may mend."""
    max_retry_after: float = 20.0
    """The longest wait a provider may ask for; who wants more is not asked again by this request. The SDKs of OpenAI
    and Anthropic stop at 60, but their users wait with them."""


class BudgetRules(msgspec.Struct, frozen=True):
    """How many further attempts all requests may make together, so that a sick provider is not asked more, but less."""

    percent: int = 20
    """Of the requests; Finagle's and Linkerd's number."""
    floor: int = 10
    """Saved up for times of few requests: this many may be made at once."""
    per_minute: int = 60
    """Further attempts that are always free, so that a gateway of a single user retries at all."""


class Fault(enum.Enum):
    """What kind of failure it was, as far as the next step goes."""

    STATUS = "status"
    """An HTTP status other than those below."""
    TRANSPORT = "transport"
    """No connection, or a broken one, or an answer that is not of the protocol."""
    TIMEOUT = "timeout"
    """The provider was silent for too long."""
    KEY = "key"
    """The provider refuses our key (401, 403)."""
    CONTEXT = "context"
    """The request is too long for the model."""
    BLOCKED = "blocked"
    """It was not asked: its breaker is open, its limit or its concurrency reached."""


class Failure(msgspec.Struct, frozen=True):
    fault: Fault
    status: int | None = None
    retry_after: float | None = None
    """Seconds that the provider asked for."""


class Next(enum.Enum):
    SAME = "same"
    OTHER = "other"
    GIVE_UP = "give_up"


class Step(msgspec.Struct, frozen=True):
    next: Next
    wait: float
    """Seconds."""
    reason: str


class Left(msgspec.Struct, frozen=True):
    """What the request still has."""

    others: bool = False
    """A target that was not tried and is healthy."""
    larger: bool = False
    """One of them takes longer prompts than the one that failed."""
    begun: bool = False
    """The client has got content: nothing can be taken back."""
    until: float | None = None
    """When its time is up, on the clock of ``now``."""


class RetryBudget:
    """Counts in hundredths of an attempt. `request` for every request, `take` for every further attempt."""

    def __init__(self, rules: BudgetRules) -> None:
        self.rules = rules
        self._most = max(rules.floor, 1) * 100
        self._saved = float(self._most)
        self._at: float | None = None
        self._requests = 0
        """Since the last look: most requests need no further attempt, so they are only counted."""

    def request(self) -> None:
        self._requests += 1

    def take(self, now: float) -> bool:
        """Whether one further attempt may be made; it is then paid for."""
        self._refill(now)
        if self._saved < 100:
            return False
        self._saved -= 100
        return True

    def _refill(self, now: float) -> None:
        self._saved = min(self._saved + self._requests * self.rules.percent, self._most)
        self._requests = 0
        if self._at is not None and now > self._at:
            self._saved = min(self._saved + (now - self._at) * self.rules.per_minute * 100 / 60, self._most)
        self._at = now


class Retry:
    """The attempts of one request. ``budget`` is shared; None is without bounds. ``own`` are rules of single
    providers, but for the total, which is the request's."""

    def __init__(
        self, rules: RetryRules, budget: RetryBudget | None = None, own: Mapping[str, RetryRules] | None = None
    ) -> None:
        self.rules = self._common = rules
        """Those of the provider that is being asked."""
        self._own = own or {}
        self.budget = budget
        self.attempts = 0
        """Begun so far, at all targets."""
        self._here = 0

    def begin(self, provider: str = "") -> None:
        """An attempt begins, at ``provider``."""
        self.rules = self._own.get(provider, self._common)
        self.attempts += 1
        self._here += 1

    def withdraw(self) -> None:
        """The attempt that was begun last does not take place."""
        self.attempts -= 1
        self._here -= 1

    def after(self, failure: Failure, left: Left, now: float, chance: float) -> Step:
        """The step after ``failure``. ``chance`` is a random number in [0, 1)."""
        if left.begun:
            return _give_up("the answer has begun")
        if self.attempts >= self._common.total:
            return _give_up(f"{self.attempts} attempts were made")
        if failure.fault is Fault.CONTEXT:
            return self._other("too long for the model") if left.larger else _give_up("too long for the model")
        if failure.fault in (Fault.KEY, Fault.BLOCKED):
            reason = "its key is refused" if failure.fault is Fault.KEY else "it is not to be asked now"
            return self._other(reason) if left.others else _give_up(reason)
        if failure.fault is Fault.STATUS and failure.status not in self.rules.statuses:
            return _give_up(f"status {failure.status} is no fault that another attempt mends")
        again, why_not = self._again(failure, left, now, chance)
        # One short attempt more is cheaper than a cold cache elsewhere, but nobody waits for what another has now.
        if again is not None and not (left.others and failure.retry_after):
            if self.budget is None or self.budget.take(now):
                return again
            why_not = "the retry budget is used up"
        return self._other(why_not or "another has room now") if left.others else _give_up(why_not or "no target left")

    def _other(self, reason: str) -> Step:
        self._here = 0
        return Step(Next.OTHER, 0.0, reason)

    def _again(self, failure: Failure, left: Left, now: float, chance: float) -> tuple[Step | None, str]:
        if self._here > self.rules.retries:
            return None, "its attempts are used up"
        wait = self.backoff(self._here, chance)
        reason = "backoff"
        asked = failure.retry_after
        if asked is not None:
            if asked > self.rules.max_retry_after:
                return None, f"it asks to wait {asked:g} s, more than {self.rules.max_retry_after:g}"
            # Never before the time asked for; chance only adds, so that not everybody comes back at once.
            wait = max(wait, asked + min(asked * 0.1, 1.0) * chance)
            reason = "it asked to wait"
        if left.until is not None and now + wait >= left.until:
            return None, "the request's time would be up"
        return Step(Next.SAME, wait, reason), ""

    def backoff(self, failures: int, chance: float) -> float:
        """Seconds to wait after so many failures at one target, at least one."""
        rules = self.rules
        # Two to the power of 30 is more than any bound, and stays a float.
        whole = min(rules.backoff * 2.0 ** min(max(failures, 1) - 1, 30), rules.max_backoff)
        return whole * (1.0 - rules.jitter * chance)


def _give_up(reason: str) -> Step:
    return Step(Next.GIVE_UP, 0.0, reason)


_DATE = re.compile(r"[A-Z][a-z]{2}, (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def retry_after(headers: Sequence[tuple[str, str]], unix: float) -> float | None:
    """Seconds that an answer asks to wait, at ``unix`` seconds; also where it gives a date (RFC 9110 section 10.2.3).

    A date in the past is 0; what cannot be read is None.
    """
    secs = statuses.retry_after(headers)
    if secs is not None:
        return secs
    for name, value in headers:
        if name.lower() != "retry-after":
            continue
        found = _DATE.fullmatch(value.strip())
        if found is None or found[2] not in _MONTHS:
            return None
        day, year, hour, minute, second = (int(found[at]) for at in (1, 3, 4, 5, 6))
        try:
            # 60 is a leap second: RFC 9110 section 5.6.7 allows it, datetime does not.
            date = datetime.datetime(
                year, _MONTHS.index(found[2]) + 1, day, hour, minute, min(second, 59), tzinfo=datetime.timezone.utc
            )
        except ValueError:
            return None
        return max(date.timestamp() - unix, 0.0)
    return None
