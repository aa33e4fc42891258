"""`ferryllm translate`: one request, answer or stream from one dialect into another, on files or pipes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING

import click

from . import exit_codes
from .output import say

if TYPE_CHECKING:
    from ferryllm_proto import Answer, Dialect, Loss

NAMES = ["openai", "openai_responses", "anthropic", "gemini", "ollama"]
"""The dialects; a test keeps it equal to `ferryllm_proto.DIALECTS`, which is too slow to import for a help text."""
MAX_INPUT = 64 << 20
"""Bytes of a request or an answer: what the machines take of one answer, twice what a provider takes of a request."""
READ = 64 << 10

_EPILOG = """\b
Examples:
  ferryllm translate request --from anthropic --to openai request.json > upstream.json
  curl -s $URL/v1/chat/completions -d @upstream.json | ferryllm translate response --from openai --to anthropic
  curl -sN $URL/v1/messages -d @stream.json | ferryllm translate stream --from anthropic --to openai_responses

\b
Standard output has the translation alone. What could not be carried is on standard error, a line each; with --json as
JSON lines. Exit status: 0 translated (maybe with losses), 1 refused or broken, 2 wrong usage.
"""


@click.group(epilog=_EPILOG)
def command() -> None:
    """Translate a request, a response or a stream.

    --from is the dialect of the input, --to that of the output. The input is a file or, as - or without one, standard
    input.
    """


def _options(what: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.argument("file", type=click.File("rb"), default="-", metavar="[FILE|-]"),
        click.option("--json", "as_json", is_flag=True, help="Losses and errors as JSON lines on standard error."),
        click.option("--path", help="What the client asks for, with its query: Gemini and Ollama answer by it."),
        click.option("--to", "target", type=click.Choice(NAMES), required=True, help="Dialect of the output."),
        click.option("--from", "source", type=click.Choice(NAMES), required=True, help="Dialect of the input."),
    ):
        what = option(what)
    return what


@command.command(
    epilog="""\b
Example:
  echo '{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}' |
    ferryllm translate request --from anthropic --to openai --model gpt-5.4
"""
)
@_options
@click.option("--model", help="The provider's name of the model; else the client's.")
def request(source: str, target: str, path: str | None, as_json: bool, file: IO[bytes], model: str | None) -> None:
    """Translate a client's request body for a provider."""
    from ferryllm_proto import DIALECTS, RemoteProtocolError
    from ferryllm_proto.prepare import Target, prepare

    try:
        prepared = prepare(DIALECTS[source], Target(DIALECTS[target], model), _whole(file), path=path)
    except RemoteProtocolError as exc:
        raise SystemExit(_fail(exc.error.message, as_json, exc.error.param, exc.error.code)) from None
    _write(prepared.upstream.body + b"\n")
    _report(prepared.losses, as_json)


@command.command(
    epilog="""\b
Example:
  ferryllm translate response --from openai --to anthropic --model claude-sonnet-4-5 answer.json
"""
)
@_options
@click.option("--model", default="", help="The client's name of the model; else the provider's.")
def response(source: str, target: str, path: str | None, as_json: bool, file: IO[bytes], model: str) -> None:
    """Translate a provider's answer for a client."""
    from ferryllm_proto import DIALECTS, Answer, RemoteProtocolError
    from ferryllm_proto.loss import Report

    report = Report()
    try:
        decoded = DIALECTS[source].decode_response(_whole(file))
        answer = Answer(model=model, created=int(time.time()), path=path)
        body = DIALECTS[target].encode_response(decoded, answer, report)
    except RemoteProtocolError as exc:
        raise SystemExit(_fail(exc.error.message, as_json, exc.error.param, exc.error.code)) from None
    _write(body + b"\n")
    _report(report.losses, as_json)


@command.command(
    epilog="""\b
Example:
  curl -sN $URL/v1/chat/completions -d '{"model":"m","stream":true,"messages":[...]}' |
    ferryllm translate stream --from openai --to anthropic
"""
)
@_options
@click.option("--model", default="", help="The client's name of the model; else the provider's.")
def stream(source: str, target: str, path: str | None, as_json: bool, file: IO[bytes], model: str) -> None:
    """Translate a provider's stream for a client, as it comes."""
    from ferryllm_proto import DIALECTS, Answer

    answer = Answer(model=model, created=int(time.time()), path=path)
    error = _translate_stream(DIALECTS[source], DIALECTS[target], _pieces(file), answer, as_json)
    if error is not None:
        raise SystemExit(_fail(error, as_json))


def _translate_stream(
    source: Dialect, target: Dialect, pieces: Iterable[bytes], answer: Answer, as_json: bool
) -> str | None:
    """Write the translation piece by piece; returns the sentence of the error the stream ended with."""
    from ferryllm_proto.events import StreamFailed

    decoder = source.stream_decoder()
    encoder = target.stream_encoder(answer)
    failed: str | None = None

    def write(events: Iterable[object]) -> None:
        nonlocal failed
        out = b""
        for event in events:
            if isinstance(event, StreamFailed):
                failed = event.error.message
            out += encoder.send(event)  # type: ignore[arg-type]  # the decoder's events are events
        if out:
            _write(out)

    for piece in pieces:
        write(decoder.receive_data(piece))
    write(decoder.receive_eof())
    _report(encoder.losses, as_json)
    return failed


# --- input and output ------------------------------------------------------------------------------------


def _whole(file: IO[bytes]) -> bytes:
    data = file.read(MAX_INPUT + 1)
    if len(data) > MAX_INPUT:
        raise SystemExit(_fail(f"the input is larger than {MAX_INPUT} bytes", as_json=False))
    return data


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """What each read brings, at once: `read` would wait until its buffer is full."""
    read: Callable[[int], bytes] = getattr(file, "read1", file.read)
    while data := read(READ):
        yield data


def _write(data: bytes) -> None:
    out = sys.stdout.buffer
    try:
        out.write(data)
        out.flush()
    except BrokenPipeError:
        # Whoever read us has enough. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(exit_codes.OK) from None


def _report(losses: Iterable[Loss], as_json: bool) -> None:
    for loss in losses:
        if as_json:
            fields = {"loss": loss.disposition.value, "path": loss.path, "reason": loss.reason}
            click.echo(_json(fields), err=True)
        else:
            say(str(loss))


def _fail(message: str, as_json: bool, param: str | None = None, code: str | None = None) -> int:
    if as_json:
        click.echo(_json({"error": message, "param": param, "code": code}), err=True)
    else:
        say(f"error: {message}")
    return exit_codes.FAILURE


def _json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
