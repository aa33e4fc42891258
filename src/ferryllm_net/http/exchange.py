"""One request in the hands of its handler, and what the client gets when the handler fails.

Apart from the connections, because it is the same for HTTP/1.1 and HTTP/2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from .engine import Headers
from .request import ClientLeft, Request, RequestError, Responder, Stage

Handler: TypeAlias = Callable[[Request, Responder], Awaitable[None]]


async def run_handler(
    handler: Handler, request: Request, responder: Responder, report: Callable[[Request, Exception], None]
) -> None:
    """Run ``handler`` until it returns; an exception of it is told to ``report`` and answered with 500 where nothing
    was said yet, else with a cut. Does not raise but for cancellation."""
    try:
        check_expectation(request)
        await handler(request, responder)
        check_answered(responder)
    except Exception as exc:
        await answer_failure(exc, request, responder, report)


def check_expectation(request: Request) -> None:
    """Raises `RequestError` for a request that expects what nobody here can do."""
    expected = request.header("expect")
    if expected is not None and expected.lower() != "100-continue":
        raise RequestError(417, "the only expectation that can be met is 100-continue")


def check_answered(responder: Responder) -> None:
    """Raises RuntimeError where a handler has returned without an end of its answer."""
    if not responder.ended and responder.stage is not Stage.SWITCHED:
        raise RuntimeError(f"the handler returned with its answer {responder.stage.value}")


async def answer_failure(
    exc: Exception, request: Request, responder: Responder, report: Callable[[Request, Exception], None]
) -> None:
    """What the client gets where a handler has raised ``exc``."""
    if isinstance(exc, ClientLeft):
        return
    if isinstance(exc, RequestError):
        await last_resort(responder, exc.status, exc.message, exc.headers)
    else:
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


def own_fields(headers: Headers, date: str, *, closing: bool) -> Headers:
    """``headers`` of an answer in HTTP/1.1 with those of the server: when it was made, whether the connection ends."""
    dated = connected = False
    for name, _ in headers:
        # Most names are of other lengths; to fold their case is what would cost.
        if len(name) == 4:
            dated = dated or name.lower() == "date"
        elif len(name) == 10:
            connected = connected or name.lower() == "connection"
    fields = [*headers]
    if not dated:
        fields.append(("date", date))
    if closing and not connected:
        fields.append(("connection", "close"))
    return fields


def error_body(status: int, message: str) -> bytes:
    """JSON that every client of a model's API can show."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return msgspec.json.encode({"error": {"type": kind, "message": message}})


def bare_refusal(status: int, reason: str, message: str) -> bytes:
    """An answer in HTTP/1.1 to what is no request: the last one of its connection."""
    body = error_body(status, message)
    head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode("ascii") + b"connection: close\r\n\r\n" + body
