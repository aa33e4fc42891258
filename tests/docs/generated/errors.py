"""The reference of errors, from what each dialect's encoder makes of every kind."""

from __future__ import annotations

import inspect
import json
import re

from ferryllm_proto import DIALECTS, Answer, ir
from ferryllm_proto.events import Start, StreamFailed

_HEAD = """\
# Errors

An error has one of these kinds, whoever found it: the gateway, the network or the provider. The kind is in the log as
`error_kind`; the client reads it in the words of the protocol it speaks. This page is made from the code by
`python docs/generate.py`.

| kind | meaning |
| --- | --- |
"""

_MEANING = {
    ir.ErrorKind.BAD_REQUEST: "The request is wrong; the message names the field.",
    ir.ErrorKind.CONTEXT_LENGTH: "The prompt is longer than the model's context window.",
    ir.ErrorKind.AUTHENTICATION: "No key, or one that is not accepted, here or at the provider.",
    ir.ErrorKind.BILLING: "The provider's account has no credit left, or a quota or budget of the client's key.",
    ir.ErrorKind.PERMISSION: "The key may not do this, or a browser's request was refused.",
    ir.ErrorKind.NOT_FOUND: "No such path, no route for the model, or the provider does not know it.",
    ir.ErrorKind.METHOD: "The path has no such method.",
    ir.ErrorKind.CONFLICT: "The provider says that something else is under way.",
    ir.ErrorKind.TOO_LARGE: "The body is above `server.body_limit_mb`, or above the provider's limit.",
    ir.ErrorKind.MEDIA_TYPE: "The body's type or compression is not one that is read.",
    ir.ErrorKind.RATE_LIMIT: "The provider or a limit here asks to slow down; `retry-after` says for how long.",
    ir.ErrorKind.SERVER: "The provider reports a fault of its own.",
    ir.ErrorKind.UPSTREAM: "The provider cannot be reached, or its answer breaks its protocol.",
    ir.ErrorKind.TRUNCATED: "The provider's answer ended before its end.",
    ir.ErrorKind.OVERLOADED: "The provider is overloaded or left alone for a while, or the gateway is shutting down.",
    ir.ErrorKind.TIMEOUT: "A time limit passed, or the client's body came too slowly.",
}

_STATUS = """
## Before the answer: status, type and code

Nothing has been sent to the client yet, so the error is an HTTP status and a JSON body. A provider's own status is kept
where it sent one; the statuses below are those of errors that bring none. Where client and provider speak the same
dialect the provider's body is passed on as it came.

"""

_STREAM = """
## Inside a stream

The status 200 is out already, so the error is the last event of the stream. Nothing that looks like a normal end
follows it: no `[DONE]`, no `message_stop`, no `response.completed`. A stream of the provider that stops without its
end is `truncated` and ends in the same way.
"""

_TAIL = """
A whole answer that breaks after its head was sent cannot be mended in words: the gateway cuts the connection, so that
half an answer is not taken for a whole one.
"""


def page() -> str:
    """The page as Markdown."""
    lines = [f"| `{kind.value}` | {_MEANING[kind]} |" for kind in ir.ErrorKind]
    parts = [_HEAD + "\n".join(lines) + "\n", _STATUS + "\n".join(_table()) + "\n", _STREAM]
    for name in DIALECTS:
        parts.append(f"\n`{name}`:\n\n```text\n{_in_stream(name)}\n```\n")
    return "".join(parts) + _TAIL


def _table() -> list[str]:
    names = list(DIALECTS)
    lines = ["| kind | " + " | ".join(f"`{name}`" for name in names) + " |", "| --- " * (len(names) + 1) + "|"]
    for kind in ir.ErrorKind:
        cells = []
        for name in names:
            head, body = DIALECTS[name].encode_error(ir.Error(kind, "message"))
            error = json.loads(body)["error"]
            words = [str(head.status)]
            if isinstance(error, dict):  # Ollama's is a text alone
                told = [error.get(name) for name in ("type", "status", "code")]
                words += [f"`{word}`" for word in told if isinstance(word, str)]
            cells.append(" ".join(words))
        lines.append(f"| `{kind.value}` | " + " | ".join(cells) + " |")
    return lines


def _in_stream(name: str) -> str:
    encoder = DIALECTS[name].stream_encoder(Answer(model="demo", created=1, seed=1))
    encoder.send(Start("id", "demo"))
    text = encoder.send(StreamFailed(ir.Error(ir.ErrorKind.TRUNCATED, "the provider's stream ended"))).decode()
    text = text.replace("\r\n", "\n")  # Gemini's line ends
    # The answer so far is in the Responses event; what it repeats of the request is not the point here.
    text = re.sub(r'("error":\{[^{}]*\}),.*\}\}\n', r"\1, ...}}\n", text)
    return inspect.cleandoc(text)
