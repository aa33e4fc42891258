"""Requests at a door, as tests of several doors make them."""

from __future__ import annotations

import time

import anyio
import msgspec

from ferryllm_net.admission import Door
from ferryllm_proto.actions import Admit, Settle
from ferryllm_proto.inputs import Admitted, Refused
from ferryllm_proto.routing.keys import Ask, ClientKey


def key_of(name: str = "a", **fields: object) -> ClientKey:
    return msgspec.structs.replace(ClientKey(name, name.encode() * 32), **fields)


def admit(key: ClientKey | None = None, tokens: int = 0, cost: int | None = 0, session: bytes | None = None) -> Admit:
    concurrency = None if key is None else key.limits.concurrency
    return Admit(key, Ask("m", tokens, 0, cost), "" if key is None else key.id, session, concurrency)


async def enter(door: Door, asked: Admit) -> Admitted | Refused:
    return await door.enter(asked, anyio.current_time(), time.time())


async def entered(door: Door, asked: Admit) -> Admitted:
    found = await enter(door, asked)
    assert isinstance(found, Admitted), found
    return found


async def refused(door: Door, asked: Admit) -> Refused:
    found = await enter(door, asked)
    assert isinstance(found, Refused), found
    return found


def end(door: Door, found: Admitted, tokens: int | None = 0, cost: int | None = 0, took_place: bool = True) -> None:
    now = anyio.current_time()
    door.settle(Settle(found.admission, tokens, cost, took_place), now, time.time())
    door.leave(found.admission, now)
