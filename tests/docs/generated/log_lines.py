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
| `upstream request attempt failed` | info, warn | No content came: why, and in `next` what comes now. |
| `retrying upstream request` | info | The same provider is asked once more, after `wait_ms`. |
| `trying fallback provider` | info | Another provider or model is asked, and why. |
| `provider passed over at its bound` | info | Redis, which counts for all replicas, says why. |
| `provider circuit opened` | warn | Nobody asks this provider, model or key for so many seconds. |
| `provider circuit half-open after cooldown` | info | One request tries it. |
| `provider circuit closed` | warn | It answered: everybody may ask again. |
| `provider failed` | warn | It was not reached, or its answer broke; where and why. |
| `applied reasoning policy` | info | The effort that the client asked for, and the one that was sent. |
| `dropped stripped system line prefixes` | info | How many lines of the system prompt a policy left out. |
| `relocated dynamic system prefix context` | info | How many bytes of the system prompt a policy moved to the end. |
| `prompt cache observation` | info | What the provider's prompt cache did: tokens, and the part of them that it had. |
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
| `api key fetched anew` | info | `api_key_url` of a provider gave another key. |
| `api key not fetched, the last one stays` | warn | `api_key_url` gave none at a reload: why. |
| `base url reloaded from watched file` | info | It names another base URL. |
| `reload failed` | error | A fault of the gateway itself: the type of the exception. |
| `prices found` | info | Which list of prices holds, and how many the configuration has of its own. |
| `no price list, so only own prices are known` | warn | There is none, or not readable: why, and what to do. |
| `usage hook failed` | warn | A delivery was not taken, and why; it is tried again. One line for an outage. |
| `usage hook delivers again` | info | It is over. |
| `usage not delivered` | warn | So many rows were dropped now, and so many in all. |
| `responses store failed` | warn | Responses could not be kept or found, and why. |
| `ledger row not written yet` | warn | An answer goes out before its row is durable, and why. |
| `ledger is away, rows wait for it` | warn | PostgreSQL cannot be reached at the start, and why. |
| `ledger not pruned` | warn | Old rows stay for now, and why. |
| `key store failed` | warn | The admin API could not use the keys' store. |
| `key store failed: keys stay as they were read last` | warn | Changes elsewhere are not seen until it is back. |
| `key store is back` | info | They are. |
| `provider left alone, as another process does` | info | Its breaker opened there; Redis told of it. |
| `keys read again` | debug | The keys' store has changed. |
| `keys not read again` | warn | A change of the admin API counts here later than it should. |
| `ledger not read` | warn | The admin API was asked what was used, and why it could not tell. |
| `new quotas begin at nothing` | warn | The ledger could not be asked what was used before a key got a quota. |
| `redis is away` | warn | What its loss means is in `[redis] on_failure`. |
| `redis is back` | info | Limits are shared again. |
| `log entries lost` | warn | So many could not be [written](../howto/audit.md), and why. |
| `log file not changed` | warn | The file that is named now cannot be opened; the one of before goes on. |
| `other workers do not show the gauges of this one` | warn | [Metrics](../howto/metrics.md) lack them, and why. |
| `not closed` | warn | At the end a part took too long, or failed. |
| `everyone who reaches the gateway can use the providers' keys` | warn | Other machines reach it, without `[auth]`. |
| `ferryllm workers started` | info | All workers accept. |
| `worker started` | info | One of them does. |
| `worker ended` | error | It was not told to: it is started again after so many seconds. |
| `stopping workers` | info | The parent passes a signal on. |
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
| `attempts` | How often providers were asked, where it was not once. |
| `key` | Id of the client's key. |
| `cost_usd` | Dollars, where prices are known. |
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
            attempts=2,
            key="key_0123456789ab",
            cost=1_957_500,
        )
    )
    return stream.getvalue()
