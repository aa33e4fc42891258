"""`ferryllm serve`: run the gateway in the foreground."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import exit_codes
from .output import UNWRITABLE, give_up, print_problems

if TYPE_CHECKING:
    from ferryllm_net.config import Settings

LEVELS = ["trace", "debug", "info", "warn", "error"]

_EPILOG = """\b
Examples:
  ferryllm serve                                  what the environment's keys offer, or a demo
  ferryllm serve -c ferryllm.toml --backend trio
  OPENAI_API_KEY=sk-... ferryllm serve --listen 127.0.0.1:8080
  ferryllm serve -c ferryllm.toml --tls-cert server.pem --tls-key server.key

\b
SIGTERM and SIGINT drain: no new connections, running answers finish (server.drain_timeout_secs); a second signal
stops at once. SIGHUP reads the TLS certificate again. Exit status: 0 stopped, 1 failed, 2 wrong usage,
3 configuration invalid, 5 address in use.
"""


@click.command(epilog=_EPILOG)
@click.option("-c", "--config", metavar="FILE", help="TOML file; else FERRYLLM_CONFIG, ./ferryllm.toml, your own.")
@click.option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True)
@click.option("--listen", metavar="HOST:PORT", help="Instead of server.listen; port 0 takes a free one.")
@click.option("--tls-cert", metavar="FILE", help="Instead of server.tls_cert: speak TLS with this certificate.")
@click.option("--tls-key", metavar="FILE", help="Instead of server.tls_key: the certificate's key.")
@click.option("--log-level", type=click.Choice(LEVELS), help="Instead of logging.level.")
@click.option("--quiet", is_flag=True, help="No banner; the log goes on.")
def command(
    config: str | None,
    backend: str,
    listen: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    log_level: str | None,
    quiet: bool,
) -> None:
    """Run the gateway.

    Without a file, providers come from OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY and OLLAMA_HOST; without any,
    a demo provider answers, and the commands to try it are printed.
    """
    from ferryllm_net.config import ConfigError, default_settings, find_config, load_settings

    try:
        path = find_config(config, os.environ, Path.cwd())
        if path is None:
            settings = default_settings(
                os.environ, listen=listen, log_level=log_level, tls_cert=tls_cert, tls_key=tls_key
            )
        else:
            settings = load_settings(
                path, os.environ, listen=listen, log_level=log_level, tls_cert=tls_cert, tls_key=tls_key
            )
    except ConfigError as fault:
        print_problems(fault.problems)
        raise SystemExit(exit_codes.CONFIG_INVALID) from None
    print_problems(settings.warnings)
    raise SystemExit(_run(settings, backend, quiet))


def _run(settings: Settings, backend: str, quiet: bool) -> int:
    import anyio

    from ferryllm_net.stores import StoreError
    from ferryllm_net.telemetry import Log

    secrets = [provider.api_key for provider in settings.providers if provider.api_key is not None]
    secrets.extend(settings.auth.keys)
    proxies = [provider.proxy for provider in settings.providers if provider.proxy is not None]
    secrets.extend(proxy.password for proxy in proxies if proxy.password is not None and proxy.password.reveal())
    log = Log.from_settings(settings.logging, sys.stderr, os.environ, now=time.time, secrets=secrets)
    try:
        anyio.run(_serve, settings, log, backend, quiet, backend=backend)
    except OSError as exc:
        where = settings.server.listen
        if exc.errno == errno.EADDRINUSE:
            click.echo(f"error: {where} is in use by another process: choose another one with --listen", err=True)
            return exit_codes.ADDRESS_IN_USE
        click.echo(f"error: cannot listen on {where}: {exc.strerror or exc}", err=True)
        return exit_codes.FAILURE
    except StoreError as exc:
        click.echo(f"error: {exc}", err=True)
        return exit_codes.FAILURE
    except KeyboardInterrupt:
        return 130
    return exit_codes.OK


async def _serve(settings: Settings, log: object, backend: str, quiet: bool) -> None:
    from ferryllm_net.config import with_demo
    from ferryllm_net.gateway import serve
    from ferryllm_net.telemetry import Log

    from .banner import banner

    assert isinstance(log, Log)

    def started(host: str, port: int) -> None:
        if quiet:
            return
        try:
            click.echo(banner(settings, host, port, backend))
        except OSError as exc:  # a gateway serves also without a word
            if exc.errno not in UNWRITABLE:
                raise
            give_up(exc)

    if settings.demo:
        from ferryllm_net.mock import serve_mock

        async with serve_mock() as base_url:
            await serve(with_demo(settings, base_url), log, started=started)
    else:
        await serve(settings, log, started=started)
