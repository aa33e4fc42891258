"""`ferryllm mock`: a provider without a model, on loopback."""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

import click

from . import exit_codes
from .output import say

if TYPE_CHECKING:
    from ferryllm_net.mock import MockProvider, Received

DEFAULT_LISTEN = "127.0.0.1:4010"

_EPILOG = """\b
Examples:
  ferryllm mock                                          say what the prompt asks for
  ferryllm mock --text "hello world" --chunks 2 --delay-ms 300
  ferryllm mock -d "error=429 retry_after=3"             refuse everything
  ferryllm mock -d "cut=5" --listen 127.0.0.1:0          break every answer, on a free port

\b
In a prompt, on lines of their own:
  mock: text=hello world
  mock: chunks=20 delay_ms=50
  mock: tool=get_weather {"city":"Paris"}
  mock: reasoning=let me think
  mock: stream_error=overloaded after=3
  mock: write hello.txt Hello there
Every directive with its meaning: ferryllm mock --directives

\b
Without directives: "pong" to who asks for pong, the tool that tool_choice forces, JSON to who wants it, the tool's
words after a tool, else an echo. GET /__mock/requests shows what was asked, DELETE forgets it.

\b
SIGINT and SIGTERM stop it. Exit status: 0 stopped, 1 failed, 2 wrong usage, 5 address in use.
"""


def _print_directives(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from ferryllm_net.mock.directives import reference

    for example, what in reference():
        click.echo(example)
        click.echo(click.wrap_text(what, width=100, initial_indent="    ", subsequent_indent="    "))
    context.exit()


@click.command(epilog=_EPILOG)
@click.option("--listen", metavar="HOST:PORT", default=DEFAULT_LISTEN, show_default=True, help="Port 0: a free one.")
@click.option("--text", help="Say this.")
@click.option("--reasoning", help="Think this first.")
@click.option("--chunks", type=click.IntRange(1, 1_000_000), help="Send the text in so many pieces.")
@click.option("--delay-ms", type=click.IntRange(0, 1_000_000), help="Wait so long before each piece.")
@click.option("-d", "--directive", "lines", multiple=True, metavar="TEXT", help="As in a prompt, without `mock:`.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Know only these models; else any.")
@click.option("--key", help="Want this API key; else none.")
@click.option("--no-check", is_flag=True, help="Take requests the real APIs would refuse.")
@click.option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True)
@click.option("--quiet", is_flag=True, help="No lines about requests.")
@click.option(
    "--directives",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_directives,
    help="Print all directives and exit.",
)
def command(
    listen: str,
    text: str | None,
    reasoning: str | None,
    chunks: int | None,
    delay_ms: int | None,
    lines: tuple[str, ...],
    models: tuple[str, ...],
    key: str | None,
    no_check: bool,
    backend: str,
    quiet: bool,
) -> None:
    """Run a provider that answers from a script.

    It speaks all five dialects, streamed or whole, with text, tools, reasoning, delays and faults as the prompt or the
    options ask, and refuses what the real APIs refuse.
    """
    from ferryllm_net.config.listen import ListenFault, is_loopback, parse_listen
    from ferryllm_net.mock import DirectiveError, Directives, MockProvider, parse

    try:
        host, port = parse_listen(listen)
    except ListenFault as fault:
        raise click.BadParameter(f"{fault} ({fault.mend})", param_hint="--listen") from None
    if not is_loopback(host):
        say(f"warning: {listen} can be reached from other machines; the mock answers anybody")
    try:
        asked = parse(*lines)
    except DirectiveError as fault:
        raise click.BadParameter(str(fault), param_hint="--directive") from None
    options = Directives(text=text, reasoning=reasoning, chunks=chunks, delay_ms=delay_ms)
    mock = MockProvider(
        options.over(asked), models=models, key=key, strict=not no_check, heard=None if quiet else _report
    )
    raise SystemExit(_run(mock, host, port, backend))


def _run(mock: MockProvider, host: str, port: int, backend: str) -> int:
    import anyio

    from ferryllm_net.mock import run_mock

    try:
        anyio.run(run_mock, mock, host, port, _started, backend=backend)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            say(f"error: {host}:{port} is in use by another process: choose another one with --listen")
            return exit_codes.ADDRESS_IN_USE
        say(f"error: cannot listen on {host}:{port}: {exc.strerror or exc}")
        return exit_codes.FAILURE
    except KeyboardInterrupt:
        return 130
    return exit_codes.OK


def _started(base: str) -> None:
    click.echo(f"""\
ferryllm mock listens on {base}

curl -s {base}/v1/chat/completions -H 'content-type: application/json' \\
  -d '{{"model":"demo","messages":[{{"role":"user","content":"mock: text=hello world"}}]}}'

As a provider of the gateway:
  [[providers]]
  name = "mock"
  type = "openai"            # or "openai_responses", "anthropic"
  base_url = "{base}"
""")
    sys.stdout.flush()


def _report(received: Received) -> None:
    outcome = "client left" if received.left else str(received.status or "cut")
    say(f"{received.method} {received.path} {outcome} ({received.writes} writes)")
