"""The log of requests: whole requests and answers, in a file, for those that look for a fault.

Off unless the configuration names a file. Which requests are written is decided at their begin, by chance; they are
held in memory up to a bound, and redacted, put into JSON and written by the thread of the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from ferryllm_net.config.telemetry_settings import RequestLogSettings
from ferryllm_proto import Exchange
from ferryllm_proto.actions import Outcome, Record

from .capture import Attempt, Body, Capture, Watched
from .format import json_line_of, timestamp
from .line_file import LineFile, Lost
from .redaction import Redaction

_LINE = 2048
"""Bytes of a line without its bodies, about."""

Chance = Callable[[], float]
"""A number from 0 to 1, 1 not included."""


class RequestLog:
    """Writes requests to the file of ``settings``. Raises OSError where it can not be opened.

    ``secrets`` gives texts that stand nowhere in it; ``lost`` hears of lines that are not in the file.
    """

    def __init__(
        self,
        settings: RequestLogSettings,
        lost: Lost,
        *,
        chance: Chance,
        secrets: Callable[[], Iterable[str]] = tuple,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._redaction = Redaction(settings, secrets)
        self._secrets = secrets
        self._chance = chance
        self._now = now
        self._lost = lost
        self._file: LineFile | None = LineFile(settings.file, lost)
        """None: given up."""

    def move(self, settings: RequestLogSettings) -> LineFile | None:
        """Go on with ``settings``, also for requests under way; the file so far is to be closed. Raises OSError where
        the other one can not be opened: then nothing changes."""
        fresh = LineFile(settings.file, self._lost)
        old, self._file, self.settings = self._file, fresh, settings
        self._redaction = Redaction(settings, self._secrets)
        return old

    def watched(self, exchange: Exchange) -> Exchange:
        """``exchange`` itself, or where it is one that is to be written one that stands before it."""
        settings = self.settings
        if settings.sample < 1 and self._chance() >= settings.sample:
            return exchange
        return Watched(exchange, Capture(settings.parts, settings.max_body), self._done)

    def _done(self, capture: Capture) -> None:
        record = capture.record
        assert record is not None
        if self._file is None or (self.settings.errors_only and record.outcome is Outcome.OK):
            return
        now = self._now()
        self._file.put(lambda: json_line_of(self._entry(capture, record, now)), capture.size + _LINE)

    async def aclose(self) -> None:
        """Write what waits. Requests that are still under way are not written any more."""
        file, self._file = self._file, None
        if file is not None:
            await file.aclose()

    # --- in the thread of the file ---

    def _entry(self, capture: Capture, record: Record, now: float) -> dict[str, object]:
        hide, parts = self._redaction, self.settings.parts
        entry: dict[str, object] = {
            "time": timestamp(now),
            "request_id": hide.text(record.id),
            "entry": record.entry,
            "operation": record.operation,
            "outcome": record.outcome.value,
            "status": record.status,
            "latency_ms": round(record.latency * 1000),
            "first_byte_ms": None if record.first_byte is None else round(record.first_byte * 1000),
            "model": None if record.model is None else hide.text(record.model),
            "route": record.route,
            "provider": record.provider,
            "key": None if record.key is None else record.key.id,
            "refused": record.refused,
            "error_kind": None if record.error is None else record.error.kind.value,
        }
        request, head = capture.request, capture.head
        if request is not None:
            entry["client_request"] = {
                "method": request.method,
                "target": hide.target(request.target),
                "headers": hide.headers(request.headers),
                **self._body(capture.body),
            }
        if capture.fault is not None:
            entry["client_fault"] = {"status": capture.fault.status, "reason": capture.fault.message}
        if capture.attempts and ("upstream_request" in parts or "upstream_answer" in parts):
            entry["upstream"] = [self._attempt(one) for one in capture.attempts]
        if head is not None:
            entry["client_answer"] = {
                "status": head.status,
                "headers": hide.headers(head.headers),
                **self._body(capture.sent),
            }
        return {name: value for name, value in entry.items() if value is not None}

    def _attempt(self, one: Attempt) -> dict[str, object]:
        hide, parts = self._redaction, self.settings.parts
        shown: dict[str, object] = {"provider": one.provider}
        if "upstream_request" in parts:
            shown["request"] = {
                "method": one.method,
                "target": hide.target(one.target),
                "headers": hide.headers(one.headers),
                **self._body(one.body),
            }
        if one.head is not None:
            shown["answer"] = {
                "status": one.head.status,
                "headers": hide.headers(one.head.headers),
                **self._body(one.answer),
            }
        if one.lost is not None:
            shown["lost"] = hide.text(one.lost)
        return shown

    def _body(self, body: Body) -> dict[str, object]:
        shown: dict[str, object] = {"bytes": body.total}
        if body.kept:
            shown["body"] = self._redaction.body(body.content, whole=body.whole)
        if not body.whole:
            shown["cut"] = True
        return shown
