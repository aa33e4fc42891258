"""The entry point: the group `ferryllm`. Commands live in modules of their own and are imported when they run."""

from __future__ import annotations

import click

from .lazy import LazyCommand, LazyGroup

COMMANDS = {
    "serve": LazyCommand("ferryllm_cli.serve", "Run the gateway."),
    "check-config": LazyCommand("ferryllm_cli.check_config", "Check a configuration file and the secrets it names."),
    "translate": LazyCommand("ferryllm_cli.translate", "Translate a request, a response or a stream."),
    "explain": LazyCommand("ferryllm_cli.explain", "Show what a provider would get of a request."),
    "lint-stream": LazyCommand("ferryllm_cli.lint_stream", "Check a stream's grammar."),
    "mock": LazyCommand("ferryllm_cli.mock", "Run a provider that answers from a script."),
    "keys": LazyCommand("ferryllm_cli.keys", "Make, list, change and take back the keys of clients."),
    "bench": LazyCommand("ferryllm_cli.bench", "Measure a gateway under load."),
    "usage": LazyCommand("ferryllm_cli.usage", "Show what was used: requests, tokens and cost."),
    "prices": LazyCommand("ferryllm_cli.prices", "Show what a model costs, and by which list."),
    "version": LazyCommand("ferryllm_cli.version", "Print the version."),
}


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from .version import version_text

        click.echo(version_text())
        context.exit()


_EPILOG = """\b
Examples:
  ferryllm serve                               providers from the environment's keys, or a demo
  ferryllm serve --config ferryllm.toml        providers and routes from a file
  ferryllm check-config --config ferryllm.toml
  ferryllm translate request --from anthropic --to openai < request.json

\b
A client needs nothing but the gateway's address:
  ANTHROPIC_BASE_URL=http://127.0.0.1:3000 ANTHROPIC_API_KEY=any claude
  OPENAI_BASE_URL=http://127.0.0.1:3000/v1 OPENAI_API_KEY=any python app.py

\b
Exit status: 0 done, 1 failed, 2 wrong usage, 3 configuration invalid, 4 something would be lost, 5 address in use.
"""


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    epilog=_EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.pass_context
def main(context: click.Context) -> None:
    """A gateway between LLM clients and LLM providers of any protocol.

    Clients that speak OpenAI Chat Completions or Responses, Anthropic Messages, Gemini or Ollama reach any provider
    that speaks one of these; requests, answers, streams and errors are translated on the way.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
