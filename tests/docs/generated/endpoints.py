"""The reference of the endpoints, from the table that the gateway itself reads."""

from __future__ import annotations

import textwrap

from ferryllm_proto import entries, relay
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.entries import Entry, Operation

_HEAD = """\
# Endpoints

Every path may be written with `/v1` in front, without it, or with it twice: clients disagree about whether a base URL
ends in `/v1`. A query string is allowed everywhere. `HEAD` works wherever `GET` does.

This page is made from the code by `python docs/generate.py`.

| method | path | dialect | needs a key | what it does |
| --- | --- | --- | --- | --- |
"""

_WORDS = {
    Operation.GENERATE: "One answer of a model, whole or streamed.",
    Operation.COUNT_TOKENS: (
        "Input tokens of a Messages request. Asked of the provider where it speaks Messages; else estimated here, and "
        "the answer has the header `x-ferryllm-estimate: input_tokens`."
    ),
    Operation.COMPACT: (
        "A shorter list of items to go on with. Asked of the provider where it keeps responses; else the model writes "
        "a summary, and the answer has the header `x-ferryllm-emulated: compact`."
    ),
    Operation.RESPONSE: "A kept response, read again or deleted: [Responses state](../howto/responses-state.md).",
    Operation.CANCEL: "Ends a response that a provider makes in background; 400 for one that the gateway keeps.",
    Operation.INPUT_ITEMS: "What a kept response answers, in pages (`limit`, `order`, `after`).",
    Operation.MODELS: "What the routes serve: exact names as they are, prefixes with a `*` behind them.",
    Operation.MODEL: "One entry of that list; 404 when no route matches the name.",
    Operation.SOCKET: "426: the Responses API is answered over HTTP, not over WebSocket. Codex falls back at once.",
    Operation.HEALTH: "200 `ok` while the process runs.",
    Operation.READY: (
        "200 `ready` when providers are configured, the listener is active and the gateway is not draining; else 503 "
        "with the reasons. With `server.check_providers` every provider must also answer `GET /v1/models` within 3 "
        "seconds, whatever it answers."
    ),
    Operation.ROOT: "200, the program's name.",
}

_TAIL = """\
The models list has the shape of the client that asks: Anthropic's for a request with the header `anthropic-version`,
OpenAI's otherwise. An error has the dialect of the path; on paths without one it follows the same rule.

A path that is not in the table is answered 404, another method on a path of the table 405 with `Allow`.

## What a client may send

- Bodies are JSON. They may come compressed with `zstd`, `gzip` or `deflate` (`Content-Encoding`); the limit
  (`server.body_limit_mb`) counts what they hold after decompression.
- The request id in `x-request-id` is kept when it is printable ASCII of at most 128 characters without spaces.
  Without one the gateway makes one.
- With `[auth]` enabled: one of the accepted keys, as `x-api-key: KEY` or as `Authorization: Bearer KEY`. The client's
  key never reaches a provider.
- With `[auth]` off a web page must not be able to use the gateway: requests with a foreign `Origin` or with
  `Sec-Fetch-Site` of another site are answered 403, a `POST` with a type other than JSON 415, and on a loopback
  listener a `Host` that is not this machine 403.

## What a client gets back

- `x-request-id`: the id of the log lines of this request. On the Messages path also `request-id`, unless the provider
  sent one of its own.
- `x-ferryllm-loss`: what the translation had to degrade or drop, as `disposition path` pairs, where there is something
  to tell before the answer begins. The reasons are in the log at level `debug`.
- `x-upstream-request-id`: what the provider sent as `x-request-id`.
- Of the provider's other headers these alone:
@HEADERS@.
- The client's own name of the model, whatever `rewrite_model` says.

## What a provider gets

Where the client and the provider speak the same dialect the body is the client's, byte for byte, except for the value
of `model` when the route rewrites it. Destination and key come from the configuration alone. These headers of the
client go along, to a provider of the same dialect only; its `user-agent` goes to every provider:

@FORWARDED@
"""


def page() -> str:
    """The page as Markdown."""
    rows = [_row("POST", f"/v1{path}", entry) for path, entry in entries._POSTS.items()]
    for path, entry in entries._GETS.items():
        rows.append(_row("GET", path if entry.public else f"/v1{path}", entry))
        if entry.operation is Operation.MODELS:
            rows.append(_row("GET", "/v1/models/{id}", Entry(Operation.MODEL, "openai")))
    names = [*sorted(relay._FORWARDED), *(f"{prefix}*" for prefix in relay._FORWARDED_PREFIXES)]
    forwarded = [
        f"- `{name}`: " + (", ".join(f"`{header}`" for header in sorted(dialect.forwarded_headers)) or "none")
        for name, dialect in DIALECTS.items()
    ]
    listed = textwrap.fill(
        ", ".join(f"`{name}`" for name in names),
        118,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
    tail = _TAIL.replace("@HEADERS@", listed)
    return _HEAD + "\n".join(rows) + "\n\n" + tail.replace("@FORWARDED@", "\n".join(forwarded))


def _row(method: str, path: str, entry: Entry) -> str:
    shaped = entry.operation in (Operation.MODELS, Operation.MODEL)
    dialect = "the asking client's" if shaped else "" if entry.public else f"`{entry.dialect}`"
    key = "no" if entry.public else "yes"
    return f"| {method} | `{path}` | {dialect} | {key} | {_WORDS[entry.operation]} |"
