"""What can go wrong on the way to an upstream and back, and the clock that finds out when nothing comes.

Apart from the connections of HTTP/1.1 and HTTP/2, which share both.
"""

from __future__ import annotations

import enum
import math

NEVER = math.inf
"""A deadline that does not exist."""


class UpstreamFault(enum.Enum):
    """What went wrong on the way to or from an upstream."""

    CONNECT = "connect"
    TLS = "tls"
    FULL = "full"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_HEAD = "timeout_head"
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_TOTAL = "timeout_total"
    CLOSED = "closed"
    PROTOCOL = "protocol"


class UpstreamError(Exception):
    """An upstream exchange failed. ``message`` names host and cause, never a header, a key or a body."""

    def __init__(self, kind: UpstreamFault, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


_IDLE = UpstreamFault.TIMEOUT_IDLE


class Clock:
    """The deadlines of one exchange. Whoever waits sets ``waiting``, whoever gets bytes sets ``stirred``; the sweeper
    calls `passed` and ends the wait of what is late."""

    __slots__ = ("due", "idle_secs", "kind", "late", "secs", "stirred", "total_at", "waiting")

    def __init__(self) -> None:
        self.waiting = False
        self.stirred = False
        """Bytes came since the last look, or a wait began: the silence is counted anew."""
        self.late = False
        self.due = NEVER
        self.total_at = NEVER
        self.idle_secs = NEVER
        """How long a silence may be; only while ``kind`` is the idle one."""
        self.kind = UpstreamFault.TIMEOUT_HEAD
        self.secs = 0.0

    def start(self, kind: UpstreamFault, secs: float, now: float) -> None:
        """From here on ``secs`` are allowed."""
        self.kind, self.secs, self.due = kind, secs, now + secs
        self.late = self.stirred = False

    def listen(self, secs: float) -> None:
        """The answer's body begins: only silences are counted, from the sweeper's next look on."""
        self.kind, self.secs = _IDLE, secs
        self.late, self.stirred = False, True

    def passed(self, now: float) -> bool:
        """Whether the wait has to end."""
        if not self.waiting:
            return False
        if self.stirred:
            self.stirred = False
            self.due = now + self.secs
        self.late = self.late or now >= min(self.due, self.total_at)
        return self.late

    def fault(self, authority: str, *, sending: bool) -> UpstreamError:
        """What a wait that was late raises."""
        if self.total_at < self.due:
            return UpstreamError(
                UpstreamFault.TIMEOUT_TOTAL, f"upstream {authority} did not finish within the total time"
            )
        if sending:
            what = "did not take the request"
        elif self.kind is UpstreamFault.TIMEOUT_HEAD:
            what = "sent no answer"
        else:
            what = "sent no byte of its answer"
        return UpstreamError(self.kind, f"upstream {authority} {what} for {self.secs:g} s")
