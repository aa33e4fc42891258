"""Recording: what becomes of the notes and the record that every exchange leaves. Log, metrics, ledger.

Apart from the interpreter, which only knows that there is one, and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
import msgspec

from ferryllm_net.telemetry import RequestDone
from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.actions import Action, Cut, Finish, Note, Outcome, Record, SendBody, SendHead
from ferryllm_proto.loss import Loss

if TYPE_CHECKING:
    from .app import App


class Recording:
    """Of all exchanges of ``app``."""

    def __init__(self, app: App) -> None:
        self._app = app
        ledger = app.settings.ledger
        self.deadline = ledger.deadline_secs
        """How long the end of an answer waits for its row, in seconds."""
        self.refuses = ledger.on_failure == "refuse"
        """Whether an answer whose row can not be written is cut; else the row is written when it can be."""
        self.unwritten = 0
        """Answers that went out before their rows were durable."""

    def record(self, record: Record, *, written: bool, peer: str = "") -> None:
        """The exchange is over. ``written``: the ledger knows of it. ``peer`` is the client's address."""
        app = self._app
        app.metrics.observe(record)
        if app.ledger is not None and not written and not _turned_away(record):
            from ferryllm_net.ledger.row import row_of

            app.ledger.post(row_of(record))
        for observe in app.observers:
            observe(record)
        if app.parts.audit is not None:
            app.parts.audit.refused(record, peer)
        usage, cost = record.usage, record.cost
        # By position: by name costs several times as much.
        app.log.request_completed(
            RequestDone(
                record.id,
                record.entry,
                record.outcome._value_,
                round(record.latency * 1000),
                record.status,
                None if record.first_byte is None else round(record.first_byte * 1000),
                record.model,
                record.backend_model,
                record.provider,
                record.stream,
                None if usage is None else usage.input_total,
                None if usage is None else usage.output,
                None if usage is None else usage.cache_read,
                None if usage is None else usage.cache_write,
                None if usage is None else usage.reasoning,
                record.sent if record.operation == "forward" else None,
                len(record.losses),
                record.attempts if record.attempts > 1 else None,
                None if record.key is None else record.key.id,
                None if cost is None else cost.total,
                None if record.error is None else record.error.kind.value,
            )
        )
        if record.losses:
            self.tell_losses(record.losses, record.id)
        error = record.error
        if error is not None and record.outcome is not Outcome.OK:
            # A provider's own words may quote the prompt, so only the gateway's are shown.
            words = error.message if error.dialect is None else None
            app.log.debug("request failed", kind=error.kind.value, code=error.code, error=words, request_id=record.id)

    def tell_losses(self, losses: Sequence[Loss], request_id: str) -> None:
        """What a translation has lost, for who wants to know everything."""
        self._app.log.debug("translation losses", losses="; ".join(map(str, losses)), request_id=request_id)

    def notes(self, actions: Sequence[Action], start: int, request_id: str) -> int:
        """Log the notes that stand in a row from ``start`` on; where they end."""
        log = self._app.log
        end, plain = start, []
        while end < len(actions):
            action = actions[end]
            if type(action) is not Note:
                break
            end += 1
            if action.level == "info":
                plain.append((action.name, action.fields))
            else:
                log.warn(action.name, **action.fields, request_id=request_id)
        if plain:
            log.notes(plain, request_id)
        return end

    @property
    def closed(self) -> bool:
        """Whether no provider is to be asked: no answer may go without its row, and rows can not be written now."""
        ledger = self._app.ledger
        return self.refuses and ledger is not None and ledger.failing

    async def write(self, record: Record) -> bool:
        """Give ``record`` to the ledger and wait until it has it; whether the answer may end."""
        from ferryllm_net.ledger.ledger import LedgerError
        from ferryllm_net.ledger.row import row_of

        ledger = self._app.ledger
        assert ledger is not None
        if _turned_away(record):
            return True
        try:
            with anyio.fail_after(self.deadline):
                await ledger.put(row_of(record))
        except (LedgerError, TimeoutError) as exc:
            self.unwritten += 1
            self._app.metrics.count("ledger_failures", kind="late" if isinstance(exc, TimeoutError) else "failed")
            reason = str(exc) or f"it took longer than {self.deadline:g} s"
            self._app.log.warn("ledger row not written yet", reason=reason, request_id=record.id)
            # An answer that failed anyway, or that nobody reads, is not made worse.
            return not self.refuses or record.outcome is not Outcome.OK
        return True

    def refused(self, record: Record, actions: Sequence[Action], *, begun: bool) -> Sequence[Action]:
        """``actions``, an exchange's last ones, when its answer may not end. ``begun``: the client has some of it."""
        error = ir.Error(ir.ErrorKind.SERVER, NO_LEDGER, code=UNWRITTEN)
        kept = [action for action in actions[:-1] if type(action) not in (SendHead, SendBody, Finish, Cut)]
        record = msgspec.structs.replace(record, outcome=Outcome.ERROR, error=error)
        if begun:
            return [Cut(), *kept, record]
        head, body = DIALECTS[record.entry].encode_error(error, request_id=record.id)
        answer: list[Action] = [SendHead(head.status, head.headers), SendBody(body), Finish()]
        return [*answer, *kept, msgspec.structs.replace(record, status=head.status)]


def _turned_away(record: Record) -> bool:
    """Whether it asked nobody because rows can not be written: then it takes no place from those that wait."""
    return not record.attempts and record.error is not None and record.error.code == UNWRITTEN


UNWRITTEN = "ledger_unavailable"
NO_LEDGER = "the gateway can not write its ledger, and answers nobody without"
