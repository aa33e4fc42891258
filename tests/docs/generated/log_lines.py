"""The reference of log lines: each one written by the log itself with the values of an example."""

from __future__ import annotations

import io

from ferryllm_net.telemetry import Log
from ferryllm_net.telemetry.logs import RequestDone

_HEAD = """\
# Log lines

One entry is one line on standard error. `[logging]` chooses the least level, the form (`text` or `json`) and colours.
Both forms have the same messages and keys; keys without a value are left out. Prompts, answers, tool content and keys
are in no entry; secrets of the configuration that are at least 6 characters long are replaced by `***` wherever they
would appear. What a provider says in an error is not logged either, because it may quote the prompt. A value is cut
after 1,024 characters, and what is not printable is escaped, so nothing from outside can begin a line of its own.

This page is made from the code by `python docs/generate.py`.

## One request

"""

_MIDDLE = """
The same as JSON (`logging.format = "json"`):

"""

_TAIL = """
| message | level | when |
| --- | --- | --- |
| `incoming request` | info | The body was read: the client's dialect, its model, whether it wants a stream. |
| `resolved route` | info | A route was found: the client's name of the model, the provider's, the provider. |
| `sending chat request` | info | The request leaves for the provider. |
| `backend response ok` | info | The provider began a good answer; milliseconds since the request was sent. |
| `request completed` | info, warn, error | The request is over. Not for models, health and readiness. |
| `translation losses` | debug | What the translation degraded or dropped, with the reasons. |
| `request failed` | debug | Kind and code of the error; its message where the gateway made it. |
| `websocket opened` | info | A WebSocket of `/v1/responses` was accepted. Its requests have its id and their number. |
| `websocket closed` | info | It ended: how many requests it had, and the code of the close where one was said. |
| `ferryllm server started` | info | The listener accepts. |
| `tls certificate renewed` | info | SIGHUP, or the files have changed: new connections get the new certificate. |
| `tls certificate not renewed` | warn | The files can not be used, and why; the old certificate stays. |
| `configuration reloaded` | info | The file has changed, or SIGHUP came, and all of it counts from now on. |
| `configuration needs a restart` | warn | It counts but for these keys. |
| `configuration not reloaded` | warn | It can not be used, and everything stays as it was. |
| `keys not reloaded` | warn | So a file with a provider's key. |
| `configuration problem` | warn | What is wrong with it, one line for each finding, with place and remedy. |
| `api key reloaded from file` | info | The file of `api_key_file` has another key. |
| `api key reloaded from watched file` | info | So a file of `key_watch`. |
| `base url reloaded from watched file` | info | It names another base URL. |
| `reload failed` | error | A fault of the gateway itself: the type of the exception. |
| `draining` | info | The first signal came: running requests may finish. |
| `stopping now` | warn | The second signal came. |
| `request handler failed` | error | A fault of the gateway itself: the type of the exception and its place. |

## Keys of `request completed`

| key | meaning |
| --- | --- |
| `entry` | The client's dialect. |
| `outcome` | `ok`; `error`: refused, failed; `truncated`: cut by the provider; `cancelled`: the client left. |
| `status` | What the client got; absent when it left before. |
| `latency_ms` | From the request's arrival to the last byte of its answer. |
| `ttfb_ms` | From the request's arrival to the first byte of its answer. |
| `display_model`, `backend_model` | The client's name of the model and the provider's. |
| `provider`, `stream` | Who answered; whether the client asked for a stream. |
| `input_tokens`, `output_tokens` | As the provider counted them; the input with what a cache read or wrote. |
| `cache_read_tokens`, `cache_write_tokens`, `reasoning_tokens` | Parts of them, where the provider says so. |
| `sent_bytes` | Of the answer's body, on [paths that pass as they are](../howto/passthrough.md). |
| `losses` | How many fields the translation degraded or dropped. |
| `error_kind` | See [errors](errors.md). |
| `request_id` | What the client sent as `x-request-id`, else one made here; it goes back to the client. |

The level of `request completed` is `error` for a truncated answer and for a status of 500 or above, `warn` for an error
with a lower status, else `info`.
"""

_NOW = 1_767_268_800.0


def page() -> str:
    """The page as Markdown."""
    return f"{_HEAD}```text\n{example('text')}```\n{_MIDDLE}```text\n{example('json')}```\n{_TAIL}"


def example(form: str) -> str:
    """The entries of one request, in one of the two forms."""
    stream = io.StringIO()
    log = Log(stream, "info", "json" if form == "json" else "text", now=lambda: _NOW)
    log.incoming_request(entry="anthropic", model="claude-opus-4-8", stream=True, request_id="req_1")
    log.resolved_route(
        entry="anthropic",
        display_model="claude-opus-4-8",
        backend_model="gpt-5.5",
        provider="openai",
        request_id="req_1",
    )
    log.sending_chat_request(provider="openai", model="gpt-5.5", stream=True, request_id="req_1")
    log.backend_response_ok(provider="openai", status=200, latency_ms=412, request_id="req_1")
    log.request_completed(
        RequestDone(
            request_id="req_1",
            entry="anthropic",
            outcome="ok",
            status=200,
            latency_ms=2210,
            ttfb_ms=640,
            display_model="claude-opus-4-8",
            backend_model="gpt-5.5",
            provider="openai",
            stream=True,
            input_tokens=1204,
            output_tokens=87,
            cache_read_tokens=1024,
            losses=1,
        )
    )
    return stream.getvalue()
