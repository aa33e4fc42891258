"""The reference of the endpoints, from the table that the gateway itself reads."""

from __future__ import annotations

import textwrap

from ferryllm_proto import entries, relay
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.dialects.openai_responses.memory import MAX_RESPONSES
from ferryllm_proto.dialects.openai_responses.turns import MAX_WAITING
from ferryllm_proto.entries import Entry, Operation

_HEAD = """\
# Endpoints

Every path may be written with `/v1` in front, without it, or with it twice: clients disagree about whether a base URL
ends in `/v1`. `/v1beta` and `/v1alpha` count like it, and tell that the client is Gemini's. A query string is allowed
everywhere. `HEAD` works wherever `GET` does, except for a stored response.

This page is made from the code by `python docs/generate.py`.

| method | path | dialect | needs a key | what it does |
| --- | --- | --- | --- | --- |
"""

_WORDS = {
    Operation.GENERATE: "One answer of a model, whole or streamed.",
    Operation.COUNT_TOKENS: (
        "Input tokens of a request. Asked of the provider where it counts; else estimated here, and the answer has the "
        "header `x-ferryllm-estimate: input_tokens`: [how](../explanation/token-counts.md)."
    ),
    Operation.EMBED: "Vectors of texts: [embeddings](../howto/embeddings.md).",
    Operation.COMPLETE: "The completion of a text, of before Chat: [how](../howto/embeddings.md#text-completions).",
    Operation.COMPACT: "A conversation made shorter, as items to go on from.",
    Operation.MODELS: "What the routes serve: exact names as they are, prefixes with a `*` behind them.",
    Operation.MODEL: "One entry of that list; 404 when no route matches the name.",
    Operation.SHOW: "What is known of one model; 404 when no route matches the name.",
    Operation.PS: "The models that are loaded.",
    Operation.VERSION: "The version, as Ollama's clients ask for it.",
    Operation.RESPONSE: "A stored response: read it, or forget it.",
    Operation.CANCEL: "Stops a response that a provider makes in the background.",
    Operation.INPUT_ITEMS: "What a stored response was asked with.",
    Operation.SOCKET: "A WebSocket: see [below](#websocket-of-v1responses). 426 without an upgrade.",
    Operation.HEALTH: "200 `ok` while the process runs.",
    Operation.READY: (
        "200 `ready` when providers are configured, the listener is active and the gateway is not draining; else 503 "
        "with the reasons. With `server.check_providers` every provider must also answer `GET /v1/models` within 3 "
        "seconds, whatever it answers. With `[breaker]`, providers that refuse the"
        " gateway's key are named, and it is 503 when all do."
    ),
    Operation.METRICS: (
        "[Numbers](metrics.md) in the text format of Prometheus, without a key where `metrics.public` is set; 404 "
        "unless `metrics.enabled` is."
    ),
    Operation.ROOT: "200, the program's name.",
    Operation.ADMIN: ("Keys and projects, under the [admin key](admin.md) alone; 404 unless `admin.enabled` is set."),
}

_TAIL = """\
Everything is served over HTTP/1.1 and HTTP/2 alike, but the WebSocket, which needs HTTP/1.1: [how](../howto/tls.md).

The models list has the shape of the client that asks: Anthropic's for a request with the header `anthropic-version`,
Gemini's on `/v1beta` and `/v1alpha` and for the header `x-goog-api-key`, Ollama's on `/api/tags`, OpenAI's otherwise.
An error has the dialect of the path; on paths without one it follows the same rule.

Further paths go to a provider as they are where the configuration says so:
[`[[passthrough]]`](../howto/passthrough.md). A path that is neither there nor in the table is answered 404, another
method on a path of the table 405 with `Allow`.

## WebSocket of `/v1/responses`

An upgrade (RFC 6455, version 13, `permessage-deflate` for the client's messages) of `GET /v1/responses` is answered 101
after the same checks as a `POST`: 401 for a wrong key, 403 for a foreign `Origin`. Then:

- A text message `{"type": "response.create", ...}` is one request, its other members those of a `POST`. They may also
  stand in a member `response`. `stream` is implied, `background` refused. Routes, limits, log lines and losses are the
  ones of a `POST`; the request's id is the connection's with the turn's number behind it.
- Each event of the answer is one text message, with the `stream_id` of the request when it had one. What the
  translation lost stands in a member `ferryllm_loss` of the next event.
- Requests run one after the other; at most @WAITING@ wait, and together at most `server.body_limit_mb`. One too many is
  an error 429 in band.
- `previous_response_id` may name one of the last @RESPONSES@ responses of the connection, also after `"store": false`.
  The provider then gets the whole conversation. Any other id is looked up as for a `POST`; one that nobody knows is an
  error with the code `previous_response_not_found`.
- `"generate": false` is answered without a provider; the next request can go on from it.
- An error is a message `{"type": "error", "status": 429, "error": {...}, "headers": {...}}`, and the connection stays.
  An answer that breaks off ends with `response.failed`. `response.steer` is answered `response.steer.failed`.
- A client that closes cancels its running request. The gateway closes with 1001 when it drains (after the running
  request) and after an hour without a message; with 1003 for a binary message, 1007 for broken UTF-8 or compression,
  1008 for a message that does not arrive in time, 1009 for one larger than `server.body_limit_mb`, 1002 for any other
  breach of RFC 6455, and 1011 for a fault of its own.

## What a client may send

- Bodies are JSON. They may come compressed with `zstd`, `gzip` or `deflate` (`Content-Encoding`); the limit
  (`server.body_limit_mb`) counts what they hold after decompression.
- The request id in `x-request-id` is kept when it is printable ASCII of at most 128 characters without spaces.
  Without one the gateway makes one.
- With `[auth]` enabled: one of the accepted keys, as `Authorization: Bearer KEY`, as `x-api-key: KEY`,
  `x-goog-api-key: KEY` or `api-key: KEY`, or as `?key=KEY`. The client's key never reaches a provider.
- With `[auth]` off a web page must not be able to use the gateway: requests with a foreign `Origin` or with
  `Sec-Fetch-Site` of another site are answered 403, a `POST` with a type other than JSON 415 (on a path of
  `[[passthrough]]` 403, unless it carries some key header, which no page can send unasked), and on a loopback listener
  a `Host` that is not this machine 403.

## What a client gets back

- `x-request-id`: the id of the log lines of this request. On the Messages path also `request-id`, unless the provider
  sent one of its own.
- `x-ferryllm-loss`: what the translation had to degrade or drop, as `disposition path` pairs, where there is something
  to tell before the answer begins; a trailer of this name behind a stream that lost something on its way
  ([losses](../explanation/losses.md#where-it-is-told)). The reasons are in the log at level `debug`.
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
    rows: list[str] = []
    for path, methods in entries._EXACT.items():
        for names_, entry in methods.items():
            shown = path if entry.public or path.startswith("/api/") or path == "/metrics" else f"/v1{path}"
            rows.append(_row(names_, shown, entry))
        if path == "/models":
            rows.append(_row(("GET",), "/v1/models/{id}", Entry(Operation.MODEL, "openai")))
            rows.extend(
                _row(("POST",), f"/v1beta/models/{{id}}:{action}", entry) for action, entry in entries._GEMINI.items()
            )
        if path == "/responses":
            rows.extend(_row(names_, "/v1/responses/{id}", entry) for names_, entry in entries._RESPONSE.items())
            for action, methods_ in entries._STORED.items():
                rows.extend(_row(names_, f"/v1/responses/{{id}}/{action}", entry) for names_, entry in methods_.items())
    rows.extend(_row(names_, "/admin/...", entry) for names_, entry in entries._ADMIN.items())
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
    tail = tail.replace("@WAITING@", str(MAX_WAITING)).replace("@RESPONSES@", str(MAX_RESPONSES))
    return _HEAD + "\n".join(rows) + "\n\n" + tail.replace("@FORWARDED@", "\n".join(forwarded))


def _row(methods: tuple[str, ...], path: str, entry: Entry) -> str:
    shaped = path.startswith("/v1/models")
    dialect = "the asking client's" if shaped else "" if entry.public or path == "/metrics" else f"`{entry.dialect}`"
    key = "its own" if entry.operation is Operation.ADMIN else "no" if entry.public else "yes"
    method = ", ".join(method for method in methods if method != "HEAD")
    return f"| {method} | `{path}` | {dialect} | {key} | {_WORDS[entry.operation]} |"
