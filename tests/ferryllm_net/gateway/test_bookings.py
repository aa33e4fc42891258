"""Places at providers end to end, in memory, as where many processes count: each is taken, and each is given back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from ferryllm_net.admission import MemoryDoor
from ferryllm_net.gateway import building
from ferryllm_proto.actions import Book, GiveBack
from ferryllm_proto.inputs import Booked, BookedUp
from ferryllm_proto.routing.choice import ProviderBounds
from ferryllm_proto.routing.gate import GateRules
from support.answers import DONE, ROLE, WHOLE, chunk
from support.gateways import settings
from support.streams import MemoryTransport
from support.wired import SSE_HEAD, Wired, answer, ask, chunked, gone, whole, wired

pytestmark = pytest.mark.anyio

PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")
SPARED = '[[routes]]\nmatch = "spared"\nprovider = "chat"\nfallback_providers = ["msg"]\n'


class SharingDoor(MemoryDoor):
    """Says that it counts for many, and does so alone."""

    shares = True

    def __init__(self, w: Wired) -> None:
        super().__init__(w.app.desk, GateRules())
        self.asked = 0
        self.backs: list[GiveBack] = []
        self.hung: anyio.Event | None = None
        """It answers behind this."""

    async def book(self, book: Book, now: float) -> Booked | BookedUp:
        self.asked += 1
        if self.hung is not None:
            await self.hung.wait()
        return await super().book(book, now)

    def give_back(self, back: GiveBack, now: float) -> None:
        self.backs.append(back)
        super().give_back(back, now)


@asynccontextmanager
async def shared(faults: int = 0, **bounds: int) -> AsyncIterator[tuple[Wired, SharingDoor]]:
    """A gateway whose provider ``chat`` has ``bounds``; in the end nothing stays taken."""
    async with wired(more=SPARED) as w:
        w.app.door = door = SharingDoor(w)
        w.app.routing.bounds = {"chat": ProviderBounds(**bounds)}
        w.change(shares_bounds=True)
        yield w, door
        await w.settle()
        assert door.bookings._inside == {}
        assert len({id(back.booking) for back in door.backs}) == len(door.backs), "given back twice"
        assert len(w.rig.errors) == faults


async def begun(w: Wired) -> tuple[MemoryTransport, MemoryTransport]:
    near = await w.begin("/v1/chat/completions", ask())
    far, _, _ = await w.provider()
    await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
    await near.receive_until(b"pong")
    return near, far


async def test_a_provider_at_its_bound_is_asked_by_nobody_until_there_is_room() -> None:
    async with shared(concurrency=1) as (w, door):
        near, far = await begun(w)
        status, fields, body = await answer(await w.begin("/v1/chat/completions", ask()))
        assert (status, json.loads(body)["error"]["code"]) == (429, "concurrency_limit_exceeded")
        assert fields["retry-after"] == "1"
        await far.send(chunked(STOP, DONE))
        await near.receive_until(b"0\r\n\r\n")
        await far.aclose()
        await w.settle()
        near, far = await begun(w)
        await near.aclose()
        await gone(far)
        await w.settle()
        assert (door.asked, len(door.backs), w.upstream.dialled) == (3, 2, 2)


async def test_another_provider_answers_instead() -> None:
    async with shared(requests_per_minute=1) as (w, door):
        for provider, body in (("chat", WHOLE["openai"]), ("msg", WHOLE["anthropic"])):
            near = await w.begin("/v1/chat/completions", ask("spared", stream=False))
            far, _, _ = await w.provider()
            await far.send(whole(body, 200, "connection: close"))
            assert (await answer(near))[0] == 200
            await w.settle()
            assert f'provider="{provider}"' in w.log
        assert door.asked == 2
        assert "provider passed over at its bound" in w.log
        assert [back.took_place for back in door.backs] == [True]


async def test_who_leaves_before_the_answer_takes_nothing_along() -> None:
    async with shared(concurrency=1) as (w, door):
        door.hung = anyio.Event()
        near = await w.begin("/v1/chat/completions", ask())
        await anyio.wait_all_tasks_blocked()
        assert door.asked == 1
        await near.aclose()
        await w.settle()
        assert (door.backs, w.outcomes, w.upstream.dialled) == ([], ["cancelled"], 0)


async def test_a_gateway_that_stops_waits_for_no_place() -> None:
    async with shared(concurrency=1) as (w, door):
        door.hung = anyio.Event()
        near = await w.begin("/v1/chat/completions", ask(stream=False))
        await anyio.wait_all_tasks_blocked()
        w.interpreter._stop()
        assert (await answer(near))[0] == 503
        assert door.backs == []


async def test_a_question_that_is_broken_off_is_asked_again() -> None:
    async with shared(concurrency=1) as (w, door):
        door.hung = anyio.Event()
        near = await w.begin("/v1/chat/completions", ask(stream=False))
        await anyio.wait_all_tasks_blocked()
        run = w.interpreter
        assert run.waits is not None
        run.waits.interrupt()  # as the sweeper does, for a deadline that is none any more
        await anyio.wait_all_tasks_blocked()
        door.hung.set()
        far, _, _ = await w.provider()
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
        assert door.asked == 2


async def test_who_leaves_before_any_content_took_no_tokens() -> None:
    async with shared(concurrency=1, tokens_per_minute=1000) as (w, door):
        near = await w.begin("/v1/chat/completions", ask())
        far, _, _ = await w.provider()
        await near.aclose()
        await gone(far)
        await w.settle()
        assert [(back.tokens, back.took_place) for back in door.backs] == [(0, True)]


async def test_a_fault_of_ours_gives_the_place_back_and_counts_what_was_estimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with shared(faults=1, concurrency=1, tokens_per_minute=1000) as (w, door):
        near, far = await begun(w)
        run = w.interpreter
        monkeypatch.setattr(type(run._exchange), "receive", lambda self, event, now: 1 / 0)
        await far.send(chunked(PONG, end=False))
        await near.receive_all()
        await w.settle()
        assert [(back.tokens, back.took_place) for back in door.backs] == [(None, True)]


async def test_a_provider_that_is_lost_has_its_place_back_and_took_no_tokens() -> None:
    async with shared(concurrency=1, tokens_per_minute=1000) as (w, door):
        near = await w.begin("/v1/chat/completions", ask(stream=False))
        far, _, _ = await w.provider()
        await far.aclose()
        assert (await answer(near))[0] == 502
        await w.settle()
        assert [(back.tokens, back.took_place) for back in door.backs] == [(0, True)]


def test_a_snapshot_asks_where_the_door_counts_for_many_and_somebody_has_bounds() -> None:
    plain = settings(1)
    bounded = settings(
        1, more='[[providers]]\nname = "x"\ntype = "openai"\nmax_concurrency = 1\nbase_url = "http://x"\n'
    )
    found = [building.gateway(one, shares=shares).shares_bounds for one in (plain, bounded) for shares in (False, True)]
    assert found == [False, False, False, True]
