"""Runs an App behind its listener until it is told to stop, then drains."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import anyio
import anyio.abc

from ferryllm_net.config import Settings
from ferryllm_net.http import Certificates, Server, ServerTLS, TrustedProxies
from ferryllm_net.telemetry import Log

from .app import App
from .listening import Doors, Given, open_doors

CERTIFICATE_SECS = 30.0
"""How often the files of the certificate are looked at: three calls of stat. Certificates are renewed days before they
end."""


class Serving(NamedTuple):
    """A gateway that accepts connections."""

    app: App
    server: Server
    port: int
    """Of the first listener on TCP; 0 where there is none."""
    doors: Doors


async def serve(
    settings: Settings,
    log: Log,
    *,
    started: Callable[[Doors], None] | None = None,
    handle_signals: bool = True,
    given: Sequence[Given] | None = None,
    ended: Callable[[], Awaitable[None]] | None = None,
    task_status: anyio.abc.TaskStatus[Serving] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``settings`` until SIGTERM or SIGINT (or cancellation), then finish what is running.

    ``started`` is told where it listens once connections are accepted (ports matter where 0 was asked for). A worker is
    ``given`` its sockets by its parent, and drains when ``ended`` returns. Raises `ListenError` (an OSError) where an
    address can not be bound, StoreError for the store of responses, OSError for the files of the certificate.
    """
    tls = settings.server.tls
    # Before anything that has to be closed again: the files may have gone since the settings were read.
    certificates = (
        Certificates(ServerTLS(tls.cert, tls.key, tls.client_ca), http2=settings.server.http2) if tls else None
    )
    doors = open_doors(settings.server, os.environ, given)
    try:
        settings = doors.settled(settings)
        app = App(settings, log)
    except BaseException:
        doors.close()
        raise
    server = Server(
        app.handle,
        limits=app.limits,
        ssl_context=certificates.context if certificates else None,
        http2=settings.server.http2,
        trusted=TrustedProxies(settings.server.trusted_proxies),
        on_error=lambda request, exc: _report(log, exc),
    )
    app.draining = lambda: server.draining
    _watch(app, server)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.sweep)
            tasks.start_soon(app.pool.sweep)
            tasks.start_soon(app.sweep_responses)
            if certificates is not None:
                tasks.start_soon(watch_certificates, certificates, server, log)

            async def run(*, task_status: anyio.abc.TaskStatus[None]) -> None:
                await server.serve(doors.listeners(), task_status=task_status)
                tasks.cancel_scope.cancel()  # drained: nothing is left to sweep or to wait for

            if handle_signals:
                # Before anybody is told that we listen: who is told may send a signal at once.
                await tasks.start(_watch_signals, server, settings.server.drain_timeout_secs, log)
                if certificates is not None and hasattr(signal, "SIGHUP"):
                    await tasks.start(_watch_hangups, certificates, server, log)
            await tasks.start(run)
            app.listening = True
            _warn_exposed(settings, log)
            log.info("ferryllm server started", listen=doors.addresses, providers=len(settings.providers))
            if ended is not None:
                tasks.start_soon(_drain_after, ended, server, settings.server.drain_timeout_secs, log)
            if started is not None:
                started(doors)
            task_status.started(Serving(app, server, doors.port, doors))
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(2):
            await app.aclose()
        doors.close()


def _watch(app: App, server: Server) -> None:
    """What is alive, for whoever looks for what stays."""
    watch, pool = app.metrics.watch, app.pool
    watch(
        "ferryllm_open_connections", "Connections of clients, that of the scrape included.", lambda: server.connections
    )
    watch("ferryllm_exchanges_running", "Requests that are being answered.", lambda: len(app.running))
    watch(
        "ferryllm_upstream_connections",
        "Connections to providers, in use or kept for reuse.",
        lambda: {"active": pool.used, "idle": pool.idle},
        label="state",
    )
    watch("ferryllm_tasks", "Tasks of the event loop.", lambda: len(anyio.get_running_tasks()))


def _warn_exposed(settings: Settings, log: Log) -> None:
    """Of systemd's sockets the settings could not know; the others they have warned of."""
    for one in settings.server.listeners:
        if not one.address.loopback and one.address.systemd is not None and not settings.auth.enabled:
            log.warn("everyone who reaches the gateway can use the providers' keys", listen=str(one.address))


async def _drain_after(ended: Callable[[], Awaitable[None]], server: Server, grace: float, log: Log) -> None:
    await ended()
    log.info("draining", reason="the parent has ended", active=server.active, deadline_secs=grace)
    server.start_drain(grace)


async def _watch_signals(
    server: Server, grace: float, log: Log, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            if server.draining:
                log.warn("stopping now", signal=number.name)
                server.start_drain(0)
            else:
                log.info("draining", signal=number.name, active=server.active, deadline_secs=grace)
                server.start_drain(grace)


async def watch_certificates(
    certificates: Certificates, server: Server, log: Log, *, every: float = CERTIFICATE_SECS
) -> None:
    """Renew the certificate when its files change; runs until cancelled."""
    while True:
        await anyio.sleep(every)
        if certificates.changed():
            _renew(certificates, server, log)


async def _watch_hangups(
    certificates: Certificates,
    server: Server,
    log: Log,
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    with anyio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            _renew(certificates, server, log)


def _renew(certificates: Certificates, server: Server, log: Log) -> None:
    """New connections get the new certificate; a file that can not be used leaves the old one in its place."""
    try:
        server.ssl_context = certificates.load()
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        reason = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or type(exc).__name__
        log.warn("tls certificate not renewed", reason=str(reason))
    else:
        log.info("tls certificate renewed")


def _report(log: Log, exc: Exception) -> None:
    # The type and the place, never the message: it may quote what a client wrote.
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace is not None else "?"
    log.error("request handler failed", error=type(exc).__name__, where=where)
