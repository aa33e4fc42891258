"""Attempts at one provider by the doors of several processes over one Redis that has troubles.

The world of `doors.SharedDoors`, with its ups and downs; its clients are attempts, and they take places at a provider.
"""

from __future__ import annotations

import random

import anyio

from ferryllm_net.admission import Door
from ferryllm_net.redis.bookings import RedisBooking
from ferryllm_net.redis.door import RedisDoor
from ferryllm_proto.actions import Book, GiveBack
from ferryllm_proto.inputs import Booked, BookedUp
from ferryllm_proto.routing.choice import ProviderBounds, Why, demands

from .doors import SharedDoors

PROVIDER = "p"
LATE_SECS = 0.2
"""Between the server's decision and the door's answer, at most: longer ones are taken for none."""


class SharedPlaces(SharedDoors):
    """Each attempt comes at any time, stays, and may be given up before the door has answered."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.bounds = ProviderBounds(rng.choice((None, 6, 40)), rng.choice((None, 5_000)), rng.choice((1, 2, 5)))
        self.stays: dict[int, tuple[Door, RedisBooking]] = {}
        self.through: list[tuple[float, int]] = []
        """When attempts began that Redis counted and that took place, and how often it had forgotten everything."""
        self.lost = 0
        forget = self.server.forget

        def forgetting() -> None:
            self.lost += 1
            forget()

        self.server.forget = forgetting  # type: ignore[method-assign] # to know when

    def book(self) -> Book:
        tokens = self.rng.choice((10, 10, 500))
        return Book(PROVIDER, tuple(demands(PROVIDER, self.bounds, tokens)), self.bounds.concurrency)

    async def _client(self, door: Door, after: float) -> None:
        rng = self.rng
        await anyio.sleep(after)
        begun, lost, found = anyio.current_time(), self.lost, None
        patience = rng.choice((0.0, 0.0005, 0.002, 0.051)) if rng.random() < 0.3 else 1000.0
        with anyio.move_on_after(patience):
            found = await door.book(self.book(), begun)
        if found is None:
            self.ends["left"] += 1
            return
        now = anyio.current_time()
        assert now - begun < 1.0, f"an answer of the door took {now - begun:.1f} s"
        if isinstance(found, BookedUp):
            self._judge_refusal(found.closed.why)
            return
        booking = self._judge_booking(found)
        took = rng.random() < 0.8
        self.stays[id(booking)] = door, booking
        try:
            await anyio.sleep(rng.choice((0.0, 0.01, 0.5, 3.0, 10.0, 30.0)) if rng.random() < 0.95 else 90.0)
        finally:
            if took and booking.held.recorded and lost == self.lost:
                self.through.append((now, lost))
            del self.stays[id(booking)]
            door.give_back(GiveBack(booking, rng.choice((None, 0, 700)) if took else 0, took), anyio.current_time())

    def _judge_refusal(self, why: Why) -> None:
        self.ends[why.value] += 1
        if why is Why.STORE:
            mode = self.settings.on_failure
            assert mode == "closed", f"{mode}: nobody is asked without Redis"
            assert not self.well, "Redis is there, and nobody is asked without it"

    def _judge_booking(self, found: Booked) -> RedisBooking:
        booking, mode = found.booking, self.settings.on_failure
        assert type(booking) is RedisBooking
        counted = bool(booking.held.leases)
        assert counted or mode != "closed", "closed: somebody came through uncounted"
        assert counted or (booking.local is None) == (mode == "open"), f"{mode}: counted in the wrong place"
        assert counted or not self.well, "Redis is there, and somebody came through uncounted"
        self.ends["counted" if counted else "uncounted"] += 1
        return booking

    def look(self, doors: list[Door]) -> None:
        server, most = self.server, self.bounds.concurrency
        assert most is not None
        there, local = 0, dict.fromkeys(map(id, doors), 0)
        for door, booking in self.stays.values():
            held = booking.held
            assert held.id not in server.expired, "the lease of an attempt under way ended"
            local[id(door)] += booking.local is not None
            if held.id not in server.forgotten:
                for key in held.leases:
                    assert server.leases[key].get(held.id, 0.0) > self.unix(), "the lease of an attempt ended"
                there += bool(held.leases)
        assert there <= most, f"{there} requests in {most} places at a provider"
        assert max(local.values()) <= max(most // self.count, 1), "more than this process's share"

    def _judge_end(self, doors: list[RedisDoor]) -> None:
        super()._judge_end(doors)
        limit = self.bounds.requests_per_minute
        if limit is None:
            return
        self.through.sort()
        for first, (begin, lost) in enumerate(self.through):
            same = [at for at, other in self.through[first:] if other == lost]
            for count, at in enumerate(same, 1):
                room = limit + (at - begin + LATE_SECS) * limit / 60
                assert count <= room, f"{count} requests in {at - begin:.1f} s through a limit of {limit}"

    async def _judge_recovery(self, doors: list[RedisDoor]) -> None:
        for door in doors:
            found = await door.book(Book("other", (), 1), anyio.current_time())
            assert isinstance(found, Booked)
            assert isinstance(found.booking, RedisBooking)
            assert found.booking.held.leases, "Redis is back, and is not asked"
            door.give_back(GiveBack(found.booking, 0, took_place=True), anyio.current_time())
            await anyio.sleep(1.0)  # until the others hear of it
