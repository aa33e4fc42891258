"""What is true of a gateway at the moment, for whoever reads its metrics. Looked at then, and at no other time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import anyio

from ferryllm_net.telemetry import families
from ferryllm_proto import MatchType

if TYPE_CHECKING:
    from ferryllm_net.http import Server

    from .app import App


def watch(app: App, server: Server) -> None:
    """Let the metrics of ``app`` show it and ``server``."""
    show, pool = app.metrics.watch, app.pool
    show(families.OPEN_CONNECTIONS, lambda: server.connections)
    show(families.EXCHANGES, lambda: len(app.running))
    show(families.UPSTREAM_CONNECTIONS, lambda: {"active": pool.used, "idle": pool.idle})
    show(families.TASKS, lambda: len(anyio.get_running_tasks()))
    show(families.STREAMS, lambda: sum(run.answering for run in app.running))
    show(families.QUEUED, lambda: app.door.waiting)
    show(families.BREAKERS, lambda: broken(app))
    ledger = app.ledger
    if ledger is not None:
        show(families.LEDGER_ROWS, lambda: {"waiting": ledger.waiting, "lost": ledger.lost})


OTHER = "other"
"""In place of a model that a client named: such names have no end."""


def broken(app: App) -> dict[tuple[str, ...], float]:
    """Breakers that are not closed, by provider, model and state."""
    routes = app.gateway.routes.routes
    named = {target.model for route in routes for target in (*route.targets, *route.fallbacks)}
    named |= {route.rewrite_model for route in routes}
    named |= {route.match for route in routes if route.match_type is MatchType.EXACT}
    found: Counter[tuple[str, ...]] = Counter()
    for change in app.routing.health.troubles(app.clock()):
        model = "" if change.model is None else change.model if change.model in named else OTHER
        found[change.provider, model, change.state.value] += 1
    return dict(found)


async def tell_workers(app: App) -> None:
    """Tell the other workers what is true of this one, where there are any; runs until cancelled."""
    if not app.metrics.shared:
        return
    try:
        await app.metrics.tell_others()
    except OSError as exc:  # a folder for temporary files whose name is too long for a socket
        app.log.warn("other workers do not show the gauges of this one", reason=exc.strerror or type(exc).__name__)
