"""The optional parts of a process: opened as the settings ask, closed in reverse whatever becomes of them."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import msgspec
import pytest

from ferryllm_net.config import ResponsesSettings
from ferryllm_net.gateway.parts import Parts
from ferryllm_net.telemetry import Log
from support.gateways import settings

pytestmark = pytest.mark.anyio


def logging() -> tuple[Log, io.StringIO]:
    out = io.StringIO()
    return Log(out, now=lambda: 0.0), out


async def test_the_store_of_responses_is_opened_where_there_is_one() -> None:
    log, _ = logging()
    parts = Parts()
    await parts.open(settings(1), log)
    assert parts.responses is not None
    await parts.aclose(log)
    without = Parts()
    await without.open(msgspec.structs.replace(settings(1), responses=ResponsesSettings(store="off")), log)
    assert without.responses is None


async def test_the_last_that_was_opened_is_closed_first_and_each_once() -> None:
    closed: list[str] = []

    def closing(name: str) -> Callable[[], Awaitable[None]]:
        async def aclose() -> None:
            closed.append(name)

        return aclose

    parts = Parts()
    for name in ("connection", "store", "hook"):
        parts.keep(name, closing(name))
    await parts.aclose()
    await parts.aclose()
    assert closed == ["hook", "store", "connection"]


async def test_one_that_fails_or_hangs_keeps_no_other_from_closing() -> None:
    closed: list[str] = []

    async def well() -> None:
        closed.append("first")

    async def fails() -> None:
        raise ConnectionError("redis://user:secret@host")

    log, out = logging()
    parts = Parts()
    parts.keep("first", well)
    parts.keep("redis", fails)
    parts.keep("ledger", anyio.sleep_forever, 0.01)
    with anyio.fail_after(10):
        await parts.aclose(log)
    assert closed == ["first"]
    assert 'not closed part="ledger" after_secs=0.01' in out.getvalue()
    assert 'not closed part="redis" error="ConnectionError"' in out.getvalue()
    assert "secret" not in out.getvalue()


async def test_a_cancellation_does_not_keep_them_from_closing() -> None:
    closed: list[str] = []

    async def slowly() -> None:
        await anyio.lowlevel.checkpoint()
        closed.append("it")

    parts = Parts()
    parts.keep("it", slowly)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await parts.aclose()
    assert closed == ["it"]
