"""`ferryllm bench`: what a gateway costs, measured beside its provider and beside others."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import TYPE_CHECKING, Literal

import click

from . import exit_codes
from .bench_progress import Progress
from .output import say

if TYPE_CHECKING:
    from ferryllm_net.bench.figures import Report
    from ferryllm_net.bench.run import Options, Remote

DIALECTS = ("openai", "responses", "anthropic", "gemini", "ollama")
"""As presets and --entry name them; the full names of the configuration are understood too."""
PRESETS = {f"mock-{name}": f"{name}>{name}" for name in DIALECTS}

_EPILOG = """\b
Presets, each with a mock provider and a gateway of their own, on free ports of 127.0.0.1:
  mock-openai, mock-responses, mock-anthropic, mock-gemini, mock-ollama
  "anthropic>openai"      asked in one dialect, provider of another; any two of them (anthropic:openai is the same)

\b
Examples:
  ferryllm bench                                         streams of Chat Completions
  ferryllm bench mock-anthropic --no-stream --requests 2000 --concurrency 16
  ferryllm bench "anthropic>openai" --chunks 200 --chunk-delay-ms 5
  ferryllm bench mock-openai --rate 100 --duration 10 --backend trio
  ferryllm bench mock-openai --mock-listen 127.0.0.1:4010 --compare http://127.0.0.1:4000
  ferryllm bench --target http://127.0.0.1:3000 --entry openai --model demo

\b
With --rate latency counts from the time at which a request was due, so waiting is not left out (open loop); without it
a connection asks again when it has its answer (closed loop), and percentiles leave out who would have waited.
CPU is user and system time of the target's processes, children included; it needs Linux, and the same machine.

\b
Exit status: 0 measured, 1 more errors than --max-error-rate or nothing to measure, 2 wrong usage.
"""


@click.command(epilog=_EPILOG)
@click.argument("preset", required=False)
@click.option("--target", metavar="BASE_URL", help="Ask what runs there instead of starting something.")
@click.option("--entry", metavar="DIALECT", help="Dialect to ask --target in.")
@click.option("--model", metavar="NAME", help="Model to ask for; with --target it has to be given.")
@click.option("--key-env", metavar="VAR", help="Variable with the key for --target and --compare; else none is sent.")
@click.option("--compare", metavar="BASE_URL", multiple=True, help="Ask this one too, in turn; several are allowed.")
@click.option("--direct/--no-direct", default=True, show_default=True, help="Also ask the mock without a gateway.")
@click.option("--requests", type=click.IntRange(1), help="Of each target in all.  [default: 200 without --duration]")
@click.option("--duration", type=click.FloatRange(0, min_open=True), metavar="SECS", help="Of each target in all.")
@click.option("--concurrency", type=click.IntRange(1, 10_000), default=8, show_default=True, help="Connections.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), metavar="PER_SEC", help="Open loop: requests a second."
)
@click.option(
    "--arrivals", type=click.Choice(["even", "poisson"]), default="even", show_default=True, help="Of --rate."
)
@click.option("--ramp-ms", type=click.FloatRange(0), default=0.0, help="Spread the start of the connections over this.")
@click.option("--warmup", type=click.IntRange(0), default=20, show_default=True, help="Requests that do not count.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=3, show_default=True, help="Turns of each target.")
@click.option("--stream/--no-stream", default=True, show_default=True, help="Streams, or whole answers.")
@click.option("--chunks", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="Of a mock's stream.")
@click.option("--chunk-delay-ms", type=click.FloatRange(0), default=0.0, help="Between the mock's chunks.")
@click.option("--delay-ms", type=click.FloatRange(0), default=0.0, help="Before the mock's answer.")
@click.option("--body-kb", type=click.FloatRange(0, 30_000), default=0.0, help="Size of the request's history.")
@click.option("--prompt", default="", help="The question at its end.")
@click.option("--keep-alive/--no-keep-alive", default=True, show_default=True, help="Or a connection for each request.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, help="Seconds.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of --arrivals poisson and of the history's words."
)
@click.option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True)
@click.option("--load-backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["info", "warn"]), default="warn", show_default=True, help="Its gateway's."
)
@click.option("--mock-listen", metavar="HOST:PORT", default="127.0.0.1:0", help="The mock's, for --compare to know it.")
@click.option("--max-error-rate", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Of any target.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output instead of the table.")
@click.option("--output", type=click.Path(dir_okay=False), metavar="FILE", help="The JSON to this file as well.")
def command(
    preset: str | None,
    target: str | None,
    entry: str | None,
    model: str | None,
    key_env: str | None,
    compare: tuple[str, ...],
    direct: bool,
    requests: int | None,
    duration: float | None,
    concurrency: int,
    rate: float | None,
    arrivals: Literal["even", "poisson"],
    ramp_ms: float,
    warmup: int,
    rounds: int,
    stream: bool,
    chunks: int,
    chunk_delay_ms: float,
    delay_ms: float,
    body_kb: float,
    prompt: str,
    keep_alive: bool,
    timeout: float,
    seed: int,
    backend: Literal["asyncio", "trio"],
    load_backend: str,
    log_level: str,
    mock_listen: str,
    max_error_rate: float,
    as_json: bool,
    output: str | None,
) -> None:
    """Measure a gateway under load.

    A preset starts a mock provider and a gateway, and measures both in turn: requests a second, latency, time to the
    first byte, what the gateway adds to each chunk, CPU and memory. --target measures something that runs.
    """
    from ferryllm_net.bench.provider import Behaviour
    from ferryllm_net.bench.run import MODEL, Options

    if target is not None:
        if preset is not None:
            raise click.UsageError("PRESET starts a gateway and --target asks one that runs: give one of the two")
        if entry is None or model is None:
            raise click.UsageError("--target needs --entry (the dialect to ask in) and --model")
        asked, behind = _dialect(entry, "--entry"), None
    else:
        if entry is not None:
            raise click.UsageError("--entry goes with --target; a preset names both dialects, such as anthropic>openai")
        asked, behind = _pair(preset or "mock-openai")
    options = Options(
        entry=asked,
        backend=behind,
        serve=(sys.executable, "-m", "ferryllm_cli", "serve"),
        engine=backend,
        level=log_level,
        mock_port=_port(mock_listen),
        behaviour=Behaviour(chunks=chunks, gap_ms=chunk_delay_ms, delay_ms=delay_ms),
        remotes=_remotes(target, compare, stamped=target is None),
        direct=direct,
        model=model or MODEL,
        key=_key(key_env),
        stream=stream,
        body_kb=body_kb,
        prompt=prompt,
        requests=200 if requests is None and duration is None else requests,
        seconds=duration,
        rate=rate,
        arrivals=arrivals,
        concurrency=concurrency,
        ramp=ramp_ms / 1000,
        warmup=warmup,
        rounds=rounds,
        keep_alive=keep_alive,
        timeout=timeout,
        seed=seed,
    )
    raise SystemExit(_run(options, load_backend, max_error_rate, as_json, output))


def _pair(preset: str) -> tuple[str, str]:
    entry, arrow, behind = PRESETS.get(preset, preset).replace(":", ">").partition(">")
    if not arrow:
        known = ", ".join(PRESETS)
        raise click.BadParameter(f'{preset!r} is not one of {known}, nor two dialects such as "anthropic>openai"')
    return _dialect(entry, "PRESET"), _dialect(behind, "PRESET")


def _dialect(name: str, where: str) -> str:
    from ferryllm_net.bench.doors import resolve

    try:
        return resolve(name)
    except KeyError:
        raise click.BadParameter(f"{name!r} is none of {', '.join(DIALECTS)}", param_hint=where) from None


def _port(address: str) -> int:
    from ferryllm_net.config.listen import ListenFault, parse_listen

    try:
        host, port = parse_listen(address)
    except ListenFault as fault:
        raise click.BadParameter(f"{fault} ({fault.mend})", param_hint="--mock-listen") from None
    if host != "127.0.0.1":
        raise click.BadParameter("the mock of a measurement listens on 127.0.0.1 alone", param_hint="--mock-listen")
    return port


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    found = os.environ.get(variable)
    if not found:
        raise click.BadParameter(f"{variable} is not set in the environment", param_hint="--key-env")
    return found


def _remotes(target: str | None, compare: tuple[str, ...], *, stamped: bool) -> tuple[Remote, ...]:
    from ferryllm_net.bench.run import Remote
    from ferryllm_net.http import parse_url

    found = []
    for url, hint in ([] if target is None else [(target, "--target")]) + [(url, "--compare") for url in compare]:
        try:
            origin, _ = parse_url(url)
        except ValueError as fault:
            raise click.BadParameter(str(fault), param_hint=hint) from None
        found.append(Remote(url, origin.authority, stamped))
    return tuple(found)


def _run(options: Options, load_backend: str, max_error_rate: float, as_json: bool, output: str | None) -> int:
    import anyio

    from ferryllm_net.bench.figures import table, to_json
    from ferryllm_net.bench.processes import StartError
    from ferryllm_net.bench.run import run_bench

    progress = Progress.to(sys.stderr, quiet=as_json and not sys.stdout.isatty())
    try:
        report = anyio.run(run_bench, options, progress, backend=load_backend)
    except (StartError, ValueError) as fault:
        progress.close()
        say(f"error: {fault}")
        return exit_codes.FAILURE
    except KeyboardInterrupt:
        progress.close()
        return 130
    progress.close()
    if output is not None:
        try:
            pathlib.Path(output).write_bytes(to_json(report))
        except OSError as exc:
            say(f"error: cannot write {output}: {exc.strerror or exc}")
            return exit_codes.FAILURE
    if as_json:
        click.echo(to_json(report), nl=False)
    else:
        click.echo(_title(options))
        click.echo(table(report))
    for warning in report.warnings:
        say(click.style(f"note: {warning}", fg="yellow"))
    return _verdict(report, max_error_rate)


def _title(options: Options) -> str:
    """What was measured, in one line."""
    what = f"{options.entry} over {options.backend}" if options.backend else f"{options.entry} of {options.model}"
    parts = [what, "whole answers"]
    if options.stream:
        behaviour = options.behaviour
        paced = f"{behaviour.gap_ms:g} ms apart" if behaviour.gap_ms else "at once"
        parts[1] = f"streams of {behaviour.chunks} chunks {paced}" if options.backend else "streams"
    if options.body_kb:
        parts.append(f"{options.body_kb:g} kB of history")
    parts.append(f"{options.concurrency} connections{'' if options.keep_alive else ', one request each'}")
    loop = f"open loop, {options.rate:g} requests/s, {options.arrivals}" if options.rate else "closed loop"
    parts.append(loop)
    if options.backend:
        parts.append(f"gateway on {options.engine}, log level {options.level}")
    return "; ".join(parts)


def _verdict(report: Report, max_error_rate: float) -> int:
    bad = [column for column in report.columns if column.error_rate > max_error_rate or not column.requests]
    for column in bad:
        say(f"error: {column.name}: {sum(column.errors.values())} of {column.requests} requests failed")
    return exit_codes.FAILURE if bad else exit_codes.OK
