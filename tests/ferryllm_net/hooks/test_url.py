"""Rows posted to a server of the test's own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from ferryllm_net.config.usage_settings import HookSettings
from ferryllm_net.hooks.fault import HookError
from ferryllm_net.hooks.form import signature
from ferryllm_net.hooks.url import UrlSink, hook_pool
from ferryllm_net.http import Request, Responder
from support.gateways import upstream
from support.hooks import SECRET, url_hook
from support.ledgers import BARE, FULL

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(settings: HookSettings) -> AsyncIterator[UrlSink]:
    async with hook_pool() as pool:
        yield UrlSink(settings, pool, lambda: 1_700_000_000.9)


async def test_a_batch_is_one_signed_post() -> None:
    seen: list[tuple[Request, bytes]] = []

    async def handler(request: Request, respond: Responder) -> None:
        seen.append((request, await request.read()))
        await respond.complete(204, [], b"")

    async with upstream(handler) as port, opened(url_hook(port)) as sink:
        await sink.deliver([FULL, BARE])
        await sink.deliver([FULL, BARE])
    (request, data), (again, _) = seen
    assert (request.method, request.target) == ("POST", "/in?key=k-1")
    assert request.header("content-type") == "application/json"
    assert [row["id"] for row in json.loads(data)["rows"]] == ["req_1", "req_2"]
    assert request.header("ferryllm-signature") == signature(SECRET, 1_700_000_000, data)
    assert request.header("ferryllm-delivery") == again.header("ferryllm-delivery")


async def test_without_a_secret_nothing_is_signed() -> None:
    seen: list[Request] = []

    async def handler(request: Request, respond: Responder) -> None:
        seen.append(request)
        await respond.complete(200, [], b"thanks")

    async with upstream(handler) as port, opened(url_hook(port, secret=None)) as sink:
        await sink.deliver([FULL])
    assert seen[0].header("ferryllm-signature") is None


@pytest.mark.parametrize(("status", "refused"), [(500, False), (302, False), (401, False), (400, True), (422, True)])
async def test_a_status_says_whether_the_batch_is_at_fault(status: int, refused: bool) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.complete(status, [], b"no")

    async with upstream(handler) as port, opened(url_hook(port)) as sink:
        with pytest.raises(HookError, match=f"answered {status}") as caught:
            await sink.deliver([FULL])
    assert caught.value.refused is refused
    assert "key=" not in str(caught.value)


async def test_a_receiver_that_is_not_there_is_an_error_without_the_path() -> None:
    async with opened(url_hook(9)) as sink:
        with pytest.raises(HookError) as caught:
            await sink.deliver([FULL])
    assert not caught.value.refused
    assert "/in" not in str(caught.value)


async def test_a_receiver_that_does_not_answer_is_not_waited_for() -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await anyio.sleep_forever()

    async with upstream(handler) as port, opened(url_hook(port, timeout_secs=0.05)) as sink:
        with anyio.fail_after(10), pytest.raises(HookError):
            await sink.deliver([FULL])
