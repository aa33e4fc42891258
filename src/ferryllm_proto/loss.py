"""What a translation could not carry.

A field the target cannot express has exactly one fate: degraded (said in another way), dropped (left out and
reported) or refused (the request is not sent). What is carried whole is not reported (translation.md G3 to G5).
"""

from __future__ import annotations

import enum

import msgspec

from . import ir
from .errors import RemoteProtocolError


class Disposition(enum.Enum):
    DEGRADED = "degraded"
    DROPPED = "dropped"
    REFUSED = "refused"


class Loss(msgspec.Struct, frozen=True, gc=False):
    """One thing that did not get across whole."""

    path: str
    """Where the client wrote it: ``messages[2].content[0].is_error``; for answers, the upstream's field."""
    disposition: Disposition
    reason: str

    def __str__(self) -> str:
        return f"{self.disposition.value} {self.path}: {self.reason}"


class Report:
    """Collects the losses of one translation; the same loss is kept once."""

    def __init__(self) -> None:
        self.losses: list[Loss] = []
        self._seen: set[Loss] = set()

    def add(self, loss: Loss) -> None:
        if loss not in self._seen:
            self._seen.add(loss)
            self.losses.append(loss)

    def dropped(self, path: str, reason: str) -> None:
        self.add(Loss(path, Disposition.DROPPED, reason))

    def degraded(self, path: str, reason: str) -> None:
        self.add(Loss(path, Disposition.DEGRADED, reason))

    def refuse(self, path: str, reason: str) -> RemoteProtocolError:
        """Record the refusal and return the error to raise: ``raise report.refuse(...)``."""
        self.add(Loss(path, Disposition.REFUSED, reason))
        return RemoteProtocolError(f"{path}: {reason}", param=path, code="unsupported_parameter")

    def ext(self, ext: ir.Ext | None, target: str, path: str = "") -> None:
        """Report the fields of ``ext`` as dropped unless ``target`` is the dialect they belong to.

        Names that begin with a dot only reproduce a spelling (an item's id, a null): nothing is lost with them.
        """
        if ext is not None and ext.dialect != target:
            for name in ext.fields:
                if not name.startswith("."):
                    self.dropped(f"{path}.{name}" if path else name, f"{target} has no such field")
