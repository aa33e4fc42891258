"""Runs an App behind its listener until it is told to stop, then drains."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import anyio
import anyio.abc
import msgspec

from ferryllm_net.config import ConfigError, ListenerSettings, Problem, Settings
from ferryllm_net.config.secret import secrets_in
from ferryllm_net.http import Certificates, Server, ServerTLS, TrustedProxies
from ferryllm_net.reload import EVERYTHING, Count, Reload
from ferryllm_net.telemetry import Log

from . import gauges
from .app import App
from .changing import differing
from .hangups import watch_hangups
from .listening import Doors, Given, open_doors
from .parts import Parts

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
    reload: Reload | None = None,
    task_status: anyio.abc.TaskStatus[Serving] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve ``settings`` until SIGTERM or SIGINT (or cancellation), then finish what is running.

    ``started`` is told where it listens once connections are accepted (ports matter where 0 was asked for). A worker is
    ``given`` its sockets by its parent, and drains when ``ended`` returns. ``reload`` reads the configuration again, by
    itself and at SIGHUP; without it the settings stay what they are. Raises `ListenError` (an OSError) where an
    address can not be bound, ConfigError where a provider's key can not be
    fetched, StoreError for the store of responses, OSError for the files of the certificate.
    """
    tls = settings.server.tls
    # Before anything that has to be closed again: the files may have gone since the settings were read.
    certificates = (
        Certificates(ServerTLS(tls.cert, tls.key, tls.client_ca), http2=settings.server.http2) if tls else None
    )
    asked = settings.server.listeners
    doors = open_doors(settings.server, os.environ, given)
    parts = Parts()
    try:
        settings = await _with_fetched_keys(settings, log, reload)
        settings = doors.settled(settings)
        await parts.open(settings, log)
        app = App(settings, log, parts=parts)
        await parts.restore(app)
    except BaseException:
        await parts.aclose(log)
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
    gauges.watch(app, server)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.sweep)
            tasks.start_soon(app.pool.sweep)
            parts.start(app, tasks)
            count = functools.partial(_count, app)
            if certificates is not None:
                tasks.start_soon(watch_certificates, certificates, server, log, count)

            def renew() -> None:
                if certificates is not None:
                    _renew(certificates, server, log, count)

            if reload is not None:
                reload.apply, reload.renew, reload.count = functools.partial(_take, app, asked), renew, count
                tasks.start_soon(reload.run)

            async def run(*, task_status: anyio.abc.TaskStatus[None]) -> None:
                await server.serve(doors.listeners(), task_status=task_status)
                tasks.cancel_scope.cancel()  # drained: nothing is left to sweep or to wait for

            if handle_signals:
                # Before anybody is told that we listen: who is told may send a signal at once.
                grace = settings.server.drain_timeout_secs
                await tasks.start(_watch_signals, server, grace, log)
                again = renew if reload is None else functools.partial(reload.ask, EVERYTHING)
                end = functools.partial(_drain, server, grace, log, "the terminal has gone")
                await tasks.start(watch_hangups, again, end)
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
        await parts.aclose(log)
        doors.close()


async def _with_fetched_keys(settings: Settings, log: Log, reload: Reload | None) -> Settings:
    if not any(one.key_url is not None for one in settings.providers):
        fetched = settings
    else:
        from .key_urls import fetch_keys

        fetched, problems = await fetch_keys(settings)
        if problems:
            raise ConfigError(problems)
        log.change(settings.logging, secrets_in(fetched))
    if reload is not None:
        if fetched is not settings:
            reload.settings = msgspec.structs.replace(reload.settings, providers=fetched.providers)
        reload.complete = functools.partial(_complete, log)
    return fetched


async def _complete(log: Log, settings: Settings, before: Settings) -> tuple[Settings, tuple[Problem, ...]]:
    if not any(one.key_url is not None for one in settings.providers):
        return settings, ()
    from .key_urls import fetch_keys

    return await fetch_keys(settings, before, log)


def _count(app: App, what: str, ok: bool) -> None:
    app.metrics.count("reloads", what=what, outcome="ok" if ok else "failed")
    if not ok and app.parts.audit is not None:
        app.parts.audit.tell("config.reload", f"{what} not used")


def _take(app: App, asked: tuple[ListenerSettings, ...], settings: Settings) -> tuple[str, ...]:
    """Let ``app`` go on with ``settings``, on the listeners that it has; ``asked`` is how they were written. Names what
    needs a restart."""
    needs = [] if settings.server.listeners == asked else ["server.listen"]
    server = msgspec.structs.replace(settings.server, listeners=app.settings.server.listeners)
    before, book = app.settings, app.book
    needs += app.change(msgspec.structs.replace(settings, server=server))
    app.parts.remember(app, book)
    app.parts.reloaded(app.settings, app.log, differing(before, app.settings))
    if app.parts.keys is None and settings.auth.enabled and settings.keys.store != "off":
        needs.append("keys.store")  # its keys were of no use so far, and nobody has read them
    return tuple(needs)


def _warn_exposed(settings: Settings, log: Log) -> None:
    """Of systemd's sockets the settings could not know; the others they have warned of."""
    for one in settings.server.listeners:
        if not one.address.loopback and one.address.systemd is not None and not settings.auth.enabled:
            log.warn("everyone who reaches the gateway can use the providers' keys", listen=str(one.address))


async def _drain_after(ended: Callable[[], Awaitable[None]], server: Server, grace: float, log: Log) -> None:
    await ended()
    _drain(server, grace, log, "the parent has ended")


def _drain(server: Server, grace: float, log: Log, reason: str) -> None:
    log.info("draining", reason=reason, active=server.active, deadline_secs=grace)
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
    certificates: Certificates, server: Server, log: Log, count: Count | None = None, *, every: float = CERTIFICATE_SECS
) -> None:
    """Renew the certificate when its files change; runs until cancelled."""
    while True:
        await anyio.sleep(every)
        if certificates.changed():
            _renew(certificates, server, log, count)


def _renew(certificates: Certificates, server: Server, log: Log, count: Count | None) -> None:
    """New connections get the new certificate; a file that can not be used leaves the old one in its place."""
    renewed = False
    try:
        server.ssl_context = certificates.load()
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        reason = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or type(exc).__name__
        log.warn("tls certificate not renewed", reason=str(reason))
    else:
        log.info("tls certificate renewed")
        renewed = True
    if count is not None:
        count("certificates", renewed)


def _report(log: Log, exc: Exception) -> None:
    # The type and the place, never the message: it may quote what a client wrote.
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace is not None else "?"
    log.error("request handler failed", error=type(exc).__name__, where=where)
