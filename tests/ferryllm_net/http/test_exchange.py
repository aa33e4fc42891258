"""What a client gets from a handler that fails, whatever version of HTTP carries it."""

from __future__ import annotations

import json

import pytest

from ferryllm_net.http import ClientLeft, Headers, Request, RequestError, RequestHead, Responder
from ferryllm_net.http.engine import Event, ResponseHead
from ferryllm_net.http.exchange import Handler, run_handler

pytestmark = pytest.mark.anyio


class Recorder:
    """A channel that keeps what is sent."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.body = b""
        self.was_cut = False

    def whole_body(self, limit: int) -> bytes | None:
        return None

    async def body_data(self, received: int) -> bytes | None:
        return None

    def put(self, data: bytes) -> bool:
        return True

    async def drain(self) -> None: ...

    def encode(self, event: Event) -> bytes:
        if isinstance(event, ResponseHead):
            self.status, self.headers = event.status, event.headers
        return b"."

    def frame(self, data: bytes) -> bytes:
        self.body += data
        return b"."

    def finish_head(self, headers: Headers) -> Headers:
        return headers

    async def cut(self) -> None:
        self.was_cut = True


async def ran(handler: Handler, *fields: tuple[str, str]) -> tuple[Recorder, list[Exception]]:
    channel, reported = Recorder(), list[Exception]()
    head = RequestHead("GET", "/", list(fields))
    request = Request(head, channel, peer=("", 0), scheme="http", body_limit=10)
    await run_handler(handler, request, Responder(channel, "GET"), lambda _, exc: reported.append(exc))
    return channel, reported


async def test_a_request_error_is_answered_in_its_words_and_is_nobodys_fault() -> None:
    async def handler(request: Request, respond: Responder) -> None:
        raise RequestError(415, "which coding?", [("accept-encoding", "gzip")])

    channel, reported = await ran(handler)
    assert (channel.status, reported) == (415, [])
    assert ("accept-encoding", "gzip") in channel.headers
    assert json.loads(channel.body)["error"] == {"type": "invalid_request_error", "message": "which coding?"}


async def test_an_exception_is_reported_and_its_words_stay_here() -> None:
    async def handler(request: Request, respond: Responder) -> None:
        raise ValueError("a secret")

    channel, reported = await ran(handler)
    assert channel.status == 500
    assert b"secret" not in channel.body
    assert [type(exc) for exc in reported] == [ValueError]


async def test_an_exception_within_an_answer_cuts_it() -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"half")
        raise RequestError(400, "too late")

    channel, reported = await ran(handler)
    assert (channel.status, channel.body, channel.was_cut, reported) == (200, b"half", True, [])


async def test_a_handler_without_an_answer_is_a_fault() -> None:
    async def handler(request: Request, respond: Responder) -> None: ...

    channel, reported = await ran(handler)
    assert channel.status == 500
    assert "the handler returned with its answer empty" in str(reported[0])


async def test_an_expectation_that_is_not_known_reaches_no_handler() -> None:
    async def handler(request: Request, respond: Responder) -> None:
        raise AssertionError

    channel, reported = await ran(handler, ("expect", "tea"))
    assert (channel.status, reported) == (417, [])


async def test_a_client_that_left_is_no_fault_of_the_handler() -> None:
    async def handler(request: Request, respond: Responder) -> None:
        raise ClientLeft

    channel, reported = await ran(handler)
    assert (channel.status, reported) == (0, [])
