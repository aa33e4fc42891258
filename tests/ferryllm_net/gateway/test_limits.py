"""Limits, quotas, the queue and the ledger end to end, in memory: who is turned away, how, and what is given back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

from ferryllm_net.admission import MemoryDoor
from ferryllm_net.ledger.ledger import LedgerError
from ferryllm_net.ledger.row import Row
from support.answers import DONE, ROLE, WHOLE, chunk
from support.planted import CLIENT_KEY
from support.streams import MemoryTransport
from support.wired import SSE_HEAD, Wired, answer, ask, chunked, whole, wired

pytestmark = pytest.mark.anyio

PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")
KEY = (("x-api-key", CLIENT_KEY),)
OTHER = (("x-api-key", "other-key-0123"),)
AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"\n'


def door(w: Wired) -> MemoryDoor:
    assert isinstance(w.app.door, MemoryDoor)
    return w.app.door


@asynccontextmanager
async def limited(more: str) -> AsyncIterator[Wired]:
    """A gateway with ``more`` in its file; nobody is left inside, nothing stays set aside."""
    async with wired(more=more) as w:
        yield w
        await w.settle()
        assert (door(w).inside, door(w).waiting) == (0, 0)
        assert w.rig.errors == []


async def good(w: Wired, *, headers: tuple[tuple[str, str], ...] = ()) -> dict[str, str]:
    """One request that is answered; the fields of its answer."""
    near = await w.begin("/v1/chat/completions", ask(stream=False), headers=headers)
    far, _, _ = await w.provider()
    await far.send(whole(WHOLE["openai"], 200, "connection: close"))
    status, fields, _ = await answer(near)
    assert status == 200
    await near.aclose()
    await w.settle()
    return fields


async def begun(w: Wired, *, headers: tuple[tuple[str, str], ...] = ()) -> tuple[MemoryTransport, MemoryTransport]:
    """A stream that is under way: the client's end and the provider's."""
    near = await w.begin("/v1/chat/completions", ask(), headers=headers)
    far, _, _ = await w.provider()
    await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
    await near.receive_until(b"pong")
    return near, far


async def finished(near: MemoryTransport, far: MemoryTransport) -> None:
    """The stream ends well, and its provider's connection with it."""
    await far.send(chunked(STOP, DONE))
    await near.receive_until(b"0\r\n\r\n")
    await far.aclose()


async def refused(w: Wired, path: str = "/v1/chat/completions", **how: Any) -> tuple[int, dict[str, str], Any]:
    status, fields, body = await answer(await w.begin(path, ask(stream=False), **how))
    return status, fields, json.loads(body)["error"]


async def test_beyond_the_limit_of_requests_a_client_is_told_when_to_come_back() -> None:
    async with limited("[limits]\nrequests_per_minute = 2") as w:
        fields = await good(w)
        assert (fields["x-ratelimit-limit-requests"], fields["x-ratelimit-remaining-requests"]) == ("2", "1")
        await good(w)
        status, fields, error = await refused(w)
        assert (status, error["code"]) == (429, "rate_limit_exceeded")
        assert 0 < int(fields["retry-after"]) <= 60
        assert fields["x-ratelimit-remaining-requests"] == "0"
        status, fields, error = await refused(w, "/v1/messages")
        assert (status, error["type"]) == (429, "rate_limit_error")
        assert "anthropic-ratelimit-requests-reset" in fields
        await w.settle()
        assert w.upstream.dialled == 2


async def test_each_key_has_its_own_limit() -> None:
    async with limited(AUTH + "[limits.key]\nrequests_per_minute = 1") as w:
        await good(w, headers=KEY)
        assert (await refused(w, headers=KEY))[0] == 429
        await good(w, headers=OTHER)


async def test_without_limits_an_answer_says_nothing_of_any() -> None:
    async with limited("") as w:
        assert [name for name in await good(w) if "ratelimit" in name] == []
        assert b"\nferryllm_estimated_prompt_tokens_total" not in (await w.app.metrics.scrape())[0], "nobody counts"


async def test_tokens_are_charged_as_estimated_and_corrected_at_the_end() -> None:
    async with limited("[limits]\ntokens_per_minute = 1000") as w:
        await good(w)  # asks for 50 at most, and its answer says what it took
        fields = await good(w)
        left = int(fields["x-ratelimit-remaining-tokens"])
        usage = json.loads(WHOLE["openai"])["usage"]["total_tokens"]
        assert left >= 1000 - 100 - usage
        text, _ = await w.app.metrics.scrape()
        assert sum(line.startswith(b"ferryllm_estimated_prompt_tokens_total ") for line in text.splitlines()) == 1
        near = await w.begin("/v1/chat/completions", {**ask(stream=False), "max_tokens": 5000})
        assert (await answer(near))[0] == 413, "it would never get through"


async def test_a_stream_has_its_place_until_its_last_byte() -> None:
    async with limited("[limits]\nmax_concurrency = 1") as w:
        near, far = await begun(w)
        status, fields, error = await refused(w)
        assert (status, error["code"], "retry-after" in fields) == (429, "concurrency_limit_exceeded", True)
        await finished(near, far)
        await w.settle()
        await good(w)


async def test_who_waits_comes_in_when_another_one_leaves() -> None:
    async with limited("[limits]\nmax_concurrency = 1\nqueue = 1") as w:
        near, far = await begun(w)
        second = await w.begin("/v1/chat/completions", ask(stream=False))
        await anyio.wait_all_tasks_blocked()
        assert door(w).waiting == 1
        assert (await refused(w))[0] == 429, "the queue is full"
        await finished(near, far)
        await near.aclose()
        far, _, _ = await w.provider()
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(second))[0] == 200


async def test_who_waits_too_long_is_turned_away() -> None:
    async with limited("[limits]\nmax_concurrency = 1\nqueue = 5\nqueue_wait_secs = 0.001") as w:
        near, far = await begun(w)
        second = await w.begin("/v1/chat/completions", ask(stream=False))
        await anyio.wait_all_tasks_blocked()
        door(w).sweep(anyio.current_time() + 1)
        status, _, body = await answer(second)
        assert (status, b"while this one waited" in body) == (429, True)
        await far.send(chunked(STOP, DONE))
        await near.receive_until(b"0\r\n\r\n")


async def test_a_client_that_leaves_the_queue_gives_its_place_and_its_charge_back() -> None:
    async with limited("[limits]\nmax_concurrency = 1\nqueue = 5\nrequests_per_minute = 100") as w:
        near, far = await begun(w)
        second = await w.begin("/v1/chat/completions", ask(stream=False))
        await anyio.wait_all_tasks_blocked()
        await second.aclose()
        await anyio.wait_all_tasks_blocked()
        assert (door(w).inside, door(w).waiting) == (1, 0)
        await finished(near, far)
        await w.settle()
        assert sorted(w.outcomes) == ["cancelled", "ok"]
        assert (await good(w))["x-ratelimit-remaining-requests"] == "98"


async def test_a_client_that_leaves_its_stream_gives_its_place_back() -> None:
    async with limited("[limits]\nmax_concurrency = 1") as w:
        near, _ = await begun(w)
        await near.aclose()
        await w.settle()
        await good(w)


async def test_the_end_of_the_gateway_ends_the_queue() -> None:
    async with limited("[limits]\nmax_concurrency = 1\nqueue = 5") as w:
        near, _ = await begun(w)
        second = await w.begin("/v1/chat/completions", ask(stream=False))
        await anyio.wait_all_tasks_blocked()
        w.rig.server.start_drain(0)
        assert (await answer(second))[0] >= 500
        await near.receive_all()


async def test_a_fault_of_ours_gives_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wired(more="[limits]\nmax_concurrency = 1\ntokens_per_minute = 100000") as w:
        near, far = await begun(w)
        run = w.interpreter
        monkeypatch.setattr(type(run._exchange), "receive", lambda self, event, now: 1 / 0)
        await far.send(chunked(PONG, end=False))
        await near.receive_all()
        await w.settle()
        assert (door(w).inside, door(w).waiting) == (0, 0)
        monkeypatch.undo()
        await good(w)


async def test_health_readiness_and_metrics_pass_no_door() -> None:
    async with limited("[limits]\nmax_concurrency = 1\nrequests_per_minute = 1") as w:
        near, far = await begun(w)
        for path in ("/health", "/readyz", "/metrics"):
            probe = w.rig.connect()
            await probe.send(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
            assert (await answer(probe))[0] == 200, path
        await far.send(chunked(STOP, DONE))
        await near.receive_until(b"0\r\n\r\n")


async def test_limits_that_change_hold_at_once_and_for_what_was_used() -> None:
    async with limited("[limits]\nrequests_per_minute = 10") as w:
        await good(w)
        limits = msgspec.structs.replace(
            w.app.settings.limits, own=msgspec.structs.replace(w.app.settings.limits.own, requests_per_minute=1)
        )
        assert w.app.change(msgspec.structs.replace(w.app.settings, limits=limits)) == ()
        assert (await refused(w))[0] == 429


# --- the ledger --------------------------------------------------------------------------------------------


class Book:
    """A ledger that keeps rows when it is let, or never."""

    def __init__(self, *, broken: bool = False) -> None:
        self.rows: list[Row] = []
        self.posted: list[Row] = []
        self.open = anyio.Event()
        self._broken = broken

    @property
    def failing(self) -> bool:
        return False  # each answer finds out anew

    async def put(self, row: Row) -> None:
        if self._broken:
            raise LedgerError("the disk is full")
        await self.open.wait()
        self.rows.append(row)

    def post(self, row: Row) -> None:
        self.posted.append(row)


async def test_the_row_is_kept_before_the_answer_ends() -> None:
    async with limited("") as w:
        book = w.app.ledger = Book()  # type: ignore[assignment]  # what an exchange needs of one
        w.app.usual.none = True  # as it is with a ledger in the configuration
        near, far = await begun(w)
        await far.send(chunked(STOP, DONE))
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0) as scope:
            await near.receive_until(b"0\r\n\r\n")
        assert scope.cancelled_caught, "the end waits for the row"
        assert w.outcomes == []
        book.open.set()
        await near.receive_until(b"0\r\n\r\n")
        await w.settle()
        rows = book.rows
        assert [(row.outcome, row.provider) for row in rows] == [("ok", "chat")]


async def test_a_ledger_that_fails_lets_the_answer_go_or_cuts_it_as_it_is_told() -> None:
    async with limited("") as w:
        w.app.ledger = Book(broken=True)  # type: ignore[assignment]  # as above
        w.app.usual.none = True
        await good(w)
        assert "the disk is full" in w.log
        assert w.app.recording.unwritten == 1
        w.app.recording.refuses = True
        near = await w.begin("/v1/chat/completions", ask(stream=False))
        far, _, _ = await w.provider()
        await far.send(whole(WHOLE["openai"], 200, "connection: close"))
        status, _, body = await answer(near)
        assert (status, json.loads(body)["error"]["code"]) == (500, "ledger_unavailable")
        near, far = await begun(w)
        await far.send(chunked(STOP, DONE))
        data = await near.receive_all()
        assert not data.endswith(b"0\r\n\r\n"), "half an answer does not look whole"
        await w.settle()
        assert w.outcomes == ["ok", "error", "error"]


async def test_the_row_of_a_client_that_left_is_kept_too() -> None:
    async with limited("") as w:
        book = Book()
        w.app.ledger = book  # type: ignore[assignment]  # as above
        near, _ = await begun(w)
        await near.aclose()
        await w.settle()
        assert [row.outcome for row in book.posted] == ["cancelled"]
