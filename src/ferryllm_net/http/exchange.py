"""One request in the hands of its handler, and what the client gets when the handler fails.

Apart from the connections, because it is the same for HTTP/1.1 and HTTP/2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from .engine import Headers
from .request import ClientLeft, Request, RequestError, Responder, Stage

_ENDED = Stage.ENDED

Handler: TypeAlias = Callable[[Request, Responder], Awaitable[None]]


async def run_handler(
    handler: Handler, request: Request, responder: Responder, report: Callable[[Request, Exception], None]
) -> None:
    """Run ``handler`` until it returns; an exception of it is told to ``report`` and answered with 500 where nothing
    was said yet, else with a cut. Does not raise but for cancellation."""
    expected = request.header("expect")
    if expected is not None and expected.lower() != "100-continue":
        await last_resort(responder, 417, "the only expectation that can be met is 100-continue", [])
    else:
        await run_plain(handler, request, responder, report)


async def run_plain(
    handler: Handler, request: Request, responder: Responder, report: Callable[[Request, Exception], None]
) -> None:
    """`run_handler` for a request that expects nothing."""
    try:
        await handler(request, responder)
        if responder.stage is not _ENDED and not responder.ended and responder.stage is not Stage.SWITCHED:
            raise RuntimeError(f"the handler returned with its answer {responder.stage.value}")
    except ClientLeft:
        return
    except RequestError as exc:
        await last_resort(responder, exc.status, exc.message, exc.headers)
    except Exception as exc:
        report(request, exc)
        await last_resort(responder, 500, "internal error of the gateway", [])


async def last_resort(responder: Responder, status: int, message: str, headers: Headers) -> None:
    """An error in plain words, or a cut when the answer has begun."""
    if responder.ended:
        return
    if responder.started:
        await responder.abort()
        return
    fields = [("content-type", "application/json"), *headers]
    await responder.complete(status, fields, error_body(status, message))


def error_body(status: int, message: str) -> bytes:
    """JSON that every client of a model's API can show."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return msgspec.json.encode({"error": {"type": kind, "message": message}})
