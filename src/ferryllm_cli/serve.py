"""`ferryllm serve`: run the gateway in the foreground."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import exit_codes
from .output import UNWRITABLE, give_up, print_problems

if TYPE_CHECKING:
    from ferryllm_net.config import Settings
    from ferryllm_net.config.configuration import Configuration
    from ferryllm_net.gateway import Doors
    from ferryllm_net.gateway.worker import Worker
    from ferryllm_net.reload import Reload
    from ferryllm_net.telemetry import Log

LEVELS = ["trace", "debug", "info", "warn", "error"]

_EPILOG = """\b
Examples:
  ferryllm serve                                  what the environment's keys offer, or a demo
  ferryllm serve -c ferryllm.toml --backend trio
  OPENAI_API_KEY=sk-... ferryllm serve --listen 127.0.0.1:8080
  ferryllm serve -c ferryllm.toml --tls-cert server.pem --tls-key server.key
  ferryllm serve -c ferryllm.toml --listen 0.0.0.0:3000 --listen unix:/run/ferryllm/ferryllm.sock

\b
SIGTERM and SIGINT drain: no new connections, running answers finish (server.drain_timeout_secs); a second signal
stops at once. SIGHUP reads configuration, keys and TLS certificate again, as a change of their files does.
Exit status: 0 stopped, 1 failed, 2 wrong usage, 3 configuration invalid, 5 address in use.
"""


@click.command(epilog=_EPILOG)
@click.option("-c", "--config", metavar="FILE", help="TOML file; else FERRYLLM_CONFIG, ./ferryllm.toml, your own.")
@click.option("--backend", type=click.Choice(["asyncio", "trio", "uvloop"]), help="Instead of server.backend.")
@click.option(
    "--listen",
    multiple=True,
    metavar="ADDRESS",
    help="Instead of server.listen: HOST:PORT (port 0 takes a free one), unix:/PATH or systemd; may be repeated.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Instead of server.workers: that many processes (not with responses kept in memory).",
)
@click.option("--tls-cert", metavar="FILE", help="Instead of server.tls_cert: speak TLS with this certificate.")
@click.option("--tls-key", metavar="FILE", help="Instead of server.tls_key: the certificate's key.")
@click.option("--log-level", type=click.Choice(LEVELS), help="Instead of logging.level.")
@click.option("--quiet", is_flag=True, help="No banner; the log goes on.")
def command(
    config: str | None,
    backend: str | None,
    listen: tuple[str, ...],
    workers: int | None,
    tls_cert: str | None,
    tls_key: str | None,
    log_level: str | None,
    quiet: bool,
) -> None:
    """Run the gateway.

    Without a file, providers come from OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY and OLLAMA_HOST; without any,
    a demo provider answers, and the commands to try it are printed.
    """
    from ferryllm_net.config import ConfigError, find_config
    from ferryllm_net.config.configuration import Configuration

    worker = _worker()
    flags: dict[str, Any] = {
        "listen": listen or None,
        "log_level": log_level,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "workers": workers,
        "backend": backend,
    }
    try:
        if worker is not None and worker.source is not None:
            configuration = Configuration(Path(worker.source), os.environ, text=worker.text, **flags)
        else:
            configuration = Configuration(find_config(config, os.environ, Path.cwd()), os.environ, **flags)
        settings = configuration.load()
    except ConfigError as fault:
        print_problems(fault.problems)
        raise SystemExit(exit_codes.CONFIG_INVALID) from None
    if worker is None:  # of workers, the parent has said it
        print_problems(settings.warnings)
    raise SystemExit(_run(configuration, settings, worker, quiet))


def _worker() -> Worker | None:
    """What this process is as a worker; None where it is none."""
    if os.environ.get("FERRYLLM_WORKER") is None:
        return None
    from ferryllm_net.gateway.worker import Worker

    return Worker.from_environment(os.environ)


def _unheard(number: int, frame: object) -> None:
    """A signal that nobody listens to yet."""


def _run(configuration: Configuration, settings: Settings, worker: Worker | None, quiet: bool) -> int:
    import anyio

    from ferryllm_net.config import ConfigError
    from ferryllm_net.config.secret import secrets_in
    from ferryllm_net.stores import StoreError
    from ferryllm_net.telemetry import Log

    secrets = secrets_in(settings)
    log = Log.from_settings(settings.logging, sys.stderr, os.environ, now=time.time, secrets=secrets)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # Until somebody listens to it. It would end a gateway that is starting, which reads everything anyway.
        # A worker's parent listens for it. Ignored by whoever started us, as by nohup, it stays ignored.
        signal.signal(signal.SIGHUP, _unheard if worker is None else signal.SIG_IGN)
    backend, options = settings.server.backend, {}
    if backend == "uvloop":
        if not _has_uvloop():
            click.echo("error: uvloop is not installed: pip install 'ferryllm[uvloop]', or choose asyncio", err=True)
            return exit_codes.FAILURE
        backend, options = "asyncio", {"use_uvloop": True}
    try:
        status: int = anyio.run(
            _serve, configuration, settings, log, worker, quiet, backend=backend, backend_options=options
        )
    except OSError as exc:
        where = getattr(exc, "address", None) or settings.server.listen
        if exc.errno == errno.EADDRINUSE:
            click.echo(f"error: {where} is in use by another process: choose another one with --listen", err=True)
            return exit_codes.ADDRESS_IN_USE
        mend = getattr(exc, "mend", "")
        click.echo(f"error: cannot listen on {where}: {exc.strerror or exc}{mend and ': '}{mend}", err=True)
        return exit_codes.FAILURE
    except ConfigError as exc:
        print_problems(exc.problems)
        return exit_codes.FAILURE
    except StoreError as exc:
        click.echo(f"error: {exc}", err=True)
        return exit_codes.FAILURE
    except KeyboardInterrupt:
        return 130
    return status


def _has_uvloop() -> bool:
    import importlib.util

    return importlib.util.find_spec("uvloop") is not None


def _settle() -> None:
    """What is there after the start stays: passes of the collector need not look at it, and come more rarely.

    A full pass over it takes 56 ms (measured), in which every stream waits. Without it the passes are short, and they
    may not be too rare: connections and failed exchanges leave cycles, and those that outlived one pass wait for the
    next longer one. With 50,000, 20, 20 a soak saw none of these in 40,000 requests, and memory crept.
    """
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 5, 5)


async def _serve(configuration: Configuration, settings: Settings, log: Log, worker: Worker | None, quiet: bool) -> int:
    from ferryllm_net.reload import Reload, orders

    reload = Reload(configuration, settings, log, watch=worker is None)
    if worker is None and settings.server.workers > 1:
        return await _supervise(settings, log, quiet, reload)

    def started(doors: Doors) -> None:
        _settle()
        if worker is None:
            _show(settings, doors, quiet)
        else:
            worker.say_ready()

    if worker is not None:
        worker.heard = lambda words: reload.ask(orders(words))
    await _serve_one(settings, log, started, worker, reload)
    return exit_codes.OK


async def _supervise(settings: Settings, log: Log, quiet: bool, reload: Reload) -> int:
    from ferryllm_net.gateway.workers import supervise

    command, show = [sys.executable, *sys.orig_argv[1:]], functools.partial(_show, settings, quiet=quiet)
    return await supervise(settings, log, command, os.environ, started=show, reload=reload)


async def _serve_one(
    settings: Settings, log: Log, started: Callable[[Doors], None], worker: Worker | None, reload: Reload
) -> None:
    from ferryllm_net.config import with_demo
    from ferryllm_net.gateway import serve

    given, ended = (None, None) if worker is None else (worker.given, worker.wait_orphaned)
    if settings.demo:
        from ferryllm_net.mock import serve_mock

        async with serve_mock() as base_url:
            settings = with_demo(settings, base_url)
            await serve(settings, log, started=started, given=given, ended=ended, reload=reload)
    else:
        await serve(settings, log, started=started, given=given, ended=ended, reload=reload)


def _show(settings: Settings, doors: Doors, quiet: bool) -> None:
    """The banner."""
    if quiet:
        return
    from .banner import banner

    try:
        click.echo(banner(settings, doors))
    except OSError as exc:  # a gateway serves also without a word
        if exc.errno not in UNWRITABLE:
            raise
        give_up(exc)
