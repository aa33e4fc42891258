"""The audit log: who was turned away and why, what was done to keys and configuration, start and stop.

One JSON object a line. Ids and names of keys, addresses of clients, words of the code and names of the configuration
stand in it; no secret, no content, no text that a client wrote.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import msgspec

from ferryllm_net.config.telemetry_settings import FileSettings
from ferryllm_proto import ir
from ferryllm_proto.actions import Record
from ferryllm_proto.routing.keys import Refusal

from .format import json_line_of, timestamp
from .line_file import LineFile, Lost


class AuditEvent(msgspec.Struct, frozen=True):
    """Something happened that somebody may have to answer for. Nothing of it is secret: keys are named by their ids."""

    unix: float
    """Unix seconds."""
    action: str
    """``request.refused``; ``key.create``, ``key.rotate``, ``key.change``, ``key.revoke``, ``project.create``,
    ``project.change``, ``project.remove``; ``admin.refused`` for a wrong admin key or a page of another site;
    ``config.reload``; ``gateway.start``, ``gateway.stop``; ``audit.lost``."""
    outcome: str
    """``done``, or why it was not: for requests the word of `Refusal.reason`, else the type of the error."""
    subject: str = ""
    """Id of the key, or name of the project; for what failed what was asked for, up to 100 characters."""
    name: str = ""
    """Name of the key."""
    peer: str = ""
    """Address it came from; "" for a socket file, and for what nobody asked for."""
    request_id: str = ""
    changed: tuple[str, ...] = ()
    """Names of the fields or tables that are different now."""
    entry: str = ""
    """For requests: the dialect of the client."""
    status: int | None = None
    """For requests: what the client got."""
    route: str = ""
    """For requests: the route of the configuration, where one was found."""
    actor: str = ""
    """``cli`` for what `ferryllm keys` did; "" is a gateway."""
    os_user: str = ""
    """The account of the machine that ran the command."""


_FIELDS = ("subject", "name", "peer", "request_id", "entry", "route", "actor", "os_user")

_LINE = 300
"""Bytes of a line, about."""


class Audit:
    """Writes events to the file of ``settings``. Raises OSError where it can not be opened.

    ``lost`` hears of events that are not in the file.
    """

    def __init__(self, settings: FileSettings, lost: Lost, *, now: Callable[[], float] = time.time) -> None:
        self._file = LineFile(settings, self._tell_lost)
        self.settings = settings
        self._closed = False
        self._lost = lost
        self._now = now

    def __call__(self, event: AuditEvent) -> None:
        """Write ``event`` soon; never waits."""
        self._file.put(lambda: line(event), _LINE)

    def tell(self, action: str, outcome: str = "done", *, changed: tuple[str, ...] = ()) -> None:
        """Write what the gateway itself did."""
        self(AuditEvent(self._now(), action, outcome, changed=changed))

    def refused(self, record: Record, peer: str) -> None:
        """Write it down where ``record`` is of a request that was turned away before a provider was asked."""
        reason, key = record.refused, record.key
        if reason is None:
            return
        self(
            AuditEvent(
                self._now(),
                "request.refused",
                reason,
                "" if key is None else key.id,
                "" if key is None else key.name,
                peer,
                record.id,
                entry=record.entry,
                status=record.status,
                route=record.route or "",
            )
        )

    def turned_away(self, entry: str, refusal: Refusal, peer: str, request_id: str) -> None:
        """Write down who was turned away where no exchange began: from lists of models, metrics, WebSockets."""
        self(
            AuditEvent(
                self._now(),
                "request.refused",
                refusal.reason,
                peer=peer,
                request_id=request_id,
                entry=entry,
                status=ir.STATUS[refusal.error.kind],
            )
        )

    def move(self, settings: FileSettings) -> LineFile:
        """Write what comes to the file of ``settings``; the one so far is to be closed. Raises OSError where the other
        one can not be opened: then nothing changes."""
        fresh = LineFile(settings, self._tell_lost)
        old, self._file, self.settings = self._file, fresh, settings
        return old

    async def leave(self) -> None:
        """Write what waits: the gateway goes on without an audit log."""
        self._closed = True
        await self._file.aclose()

    async def aclose(self) -> None:
        """Write what waits, and that this was the end."""
        if not self._closed:
            self._closed = True
            self.tell("gateway.stop")
        await self._file.aclose()

    def _tell_lost(self, count: int, reason: str) -> None:
        self._lost(count, reason)
        self.tell("audit.lost", f"{count} events: {reason}")


def line(event: AuditEvent) -> bytes:
    """The event as it stands in the file: what is empty is left out."""
    shown: dict[str, object] = {
        "time": timestamp(event.unix),
        "action": event.action,
        "outcome": event.outcome,
        "pid": os.getpid(),
    }
    shown.update((name, getattr(event, name)) for name in _FIELDS if getattr(event, name))
    if event.status is not None:
        shown["status"] = event.status
    if event.changed:
        shown["changed"] = list(event.changed)
    return json_line_of(shown)
