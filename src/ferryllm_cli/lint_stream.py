"""`ferryllm lint-stream`: whether a stream follows its protocol, as a strict client would read it."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import click

from . import exit_codes
from .output import say
from .translate import NAMES, READ

if TYPE_CHECKING:
    from ferryllm_proto.grammar import Problem, Seen

PROMISE = "promise"
"""The rule of what ferryllm promises beyond the protocols; a test keeps it equal to `ferryllm_proto.judge.PROMISE`."""

_EPILOG = """\b
Examples:
  curl -sN $URL/v1/chat/completions -d @stream.json | ferryllm lint-stream --dialect openai
  ferryllm lint-stream --dialect anthropic recorded.sse
  ferryllm lint-stream --dialect gemini --path '/v1beta/models/m:streamGenerateContent' answer.json

\b
Problems are on standard output, a line each: FILE: event NUMBER: rule: message. Events count from 0. The summary is on
standard error. Exit status: 0 no problem, 1 problems, 2 wrong usage. A stream that ends with a well-formed error of
its protocol has no problem.
"""


@click.command(epilog=_EPILOG)
@click.argument("file", type=click.File("rb"), default="-", metavar="[FILE|-]")
@click.option("--dialect", type=click.Choice(NAMES), required=True, help="The protocol the stream has to follow.")
@click.option("--path", help="What the client asked for, where the answer's form depends on it (Gemini, Ollama).")
@click.option("--strict", is_flag=True, help="Also report what ferryllm's own streams keep beyond the protocol.")
@click.option("--json", "as_json", is_flag=True, help="Problems and summary as JSON lines.")
def command(file: IO[bytes], dialect: str, path: str | None, strict: bool, as_json: bool) -> None:
    """Check a stream's grammar.

    Reads the stream in pieces, from a file or, as - or without one, from standard input, and reports what a strict
    client of the protocol could not live with.
    """
    from ferryllm_proto import DIALECTS

    grammar = DIALECTS[dialect].grammar(path)
    name = getattr(file, "name", "-")
    name = "-" if name == "<stdin>" else str(name)
    looked = found = 0

    def tell() -> None:
        nonlocal looked, found
        for problem in grammar.problems[looked:]:
            looked += 1
            if strict or problem.rule != PROMISE:
                found += 1
                _print(name, problem, as_json)

    read = getattr(file, "read1", file.read)  # what each read brings, at once: the input may be a pipe that flows
    while data := read(READ):
        grammar.receive_data(data)
        tell()
    grammar.receive_eof()
    tell()
    _summarise(name, grammar.seen, found, as_json)
    if found:
        raise SystemExit(exit_codes.FAILURE)


def _print(name: str, problem: Problem, as_json: bool) -> None:
    if as_json:
        fields = {"file": name, "event": problem.event, "rule": problem.rule, "message": problem.message}
        click.echo(_json(fields))
    else:
        click.echo(f"{name}: {problem}")


def _summarise(name: str, seen: Seen, found: int, as_json: bool) -> None:
    end = "end" if seen.ended else "error" if seen.failed else "cut"
    if as_json:
        click.echo(_json({"file": name, "problems": found, "ends_with": end}), err=True)
        return
    words = {"end": "the stream is complete", "error": "the stream ends with an error", "cut": "the stream is cut"}
    say(f"{name}: {found or 'no'} problem{'' if found == 1 else 's'}; {words[end]}")


def _json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
