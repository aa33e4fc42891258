"""What is true of a gateway at the moment, for whoever reads its metrics. Looked at then, and at no other time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from ferryllm_net.telemetry import families

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


async def tell_workers(app: App) -> None:
    """Tell the other workers what is true of this one, where there are any; runs until cancelled."""
    if not app.metrics.shared:
        return
    try:
        await app.metrics.tell_others()
    except OSError as exc:  # a folder for temporary files whose name is too long for a socket
        app.log.warn("other workers do not show the gauges of this one", reason=exc.strerror or type(exc).__name__)
