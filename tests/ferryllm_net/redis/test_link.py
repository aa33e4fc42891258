"""The connection comes back by itself, and nobody waits for one that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import msgspec
import pytest

from ferryllm_net.config import Secret
from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.redis.link import LATE, Link, RedisAwayError, RedisError
from ferryllm_net.redis.names import Names
from ferryllm_net.redis.responses import RedisResponses
from ferryllm_net.redis.scripts import script
from ferryllm_net.stores import Bounds
from ferryllm_proto.inputs import Refused
from ferryllm_proto.responses.kept import KeptResponse
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import KeyBook, KeyLimits
from ferryllm_proto.routing.quota import Period, Quota, Unit
from support import certificates
from support.admissions import admit, end, enter, entered, key_of
from support.processes import free_port
from support.redis_server import RedisServer, doored, linked, told, until

pytestmark = pytest.mark.anyio

PROBE = script("hints")


@pytest.fixture(scope="module")
def frail(redis: RedisServer) -> Iterator[RedisServer]:
    """A server with a password that tests may stop."""
    server = RedisServer("--requirepass", "hunter2")
    yield server
    server.close()


async def test_it_connects_by_tcp_and_by_a_socket_file_to_the_database_that_was_named(redis: RedisServer) -> None:
    settings = redis.settings()
    for one in (
        msgspec.structs.replace(settings, db=3),
        msgspec.structs.replace(settings, host="", socket=redis.socket),
    ):
        async with linked(one) as link:
            await link.command(b"SET", f"{settings.prefix}:x", one.place)
            assert await link.command(b"GET", f"{settings.prefix}:x") == one.place.encode()
    async with linked(settings) as link:
        assert await link.command(b"GET", f"{settings.prefix}:x") == f"unix:{redis.socket}".encode()


async def test_it_says_when_the_server_goes_and_comes_back(frail: RedisServer) -> None:
    said: list[tuple[bool, str]] = []
    settings = msgspec.structs.replace(frail.settings(), password=Secret("hunter2"))
    link = Link(settings, lambda up, why: said.append((up, why)))
    async with anyio.create_task_group() as tasks:
        await tasks.start(link.run)
        assert said == [(True, "")]
        frail.stop()
        await until(lambda: len(said) == 2)
        with pytest.raises(RedisAwayError, match="is away") as caught:
            await link.call(PROBE, ["x"], [])
        assert not caught.value.sent
        frail.start()
        await until(lambda: link.up)
        assert await link.call(PROBE, ["x"], []) == []
        assert [up for up, _ in said] == [True, False, True]
        tasks.cancel_scope.cancel()


async def test_a_wrong_password_is_named_and_not_shown(frail: RedisServer) -> None:
    said: list[tuple[bool, str]] = []
    settings = msgspec.structs.replace(frail.settings(), password=Secret("hunter3"))
    link = Link(settings, lambda up, why: said.append((up, why)))
    async with anyio.create_task_group() as tasks:
        await tasks.start(link.run)
        assert said == [(False, "it refuses the name or the password")]
        tasks.cancel_scope.cancel()


async def test_a_server_that_is_not_there_keeps_nobody(caplog: pytest.LogCaptureFixture) -> None:
    said: list[tuple[bool, str]] = []
    link = Link(RedisSettings("127.0.0.1", 1), lambda up, why: said.append((up, why)))
    async with anyio.create_task_group() as tasks:
        await tasks.start(link.run)
        assert said == [(False, "connection refused")]
        with pytest.raises(RedisAwayError, match=r"Redis at 127\.0\.0\.1:1 is away: connection refused"):
            await link.command(b"PING")
        tasks.cancel_scope.cancel()


async def test_answers_that_come_too_late_end_the_connection_after_a_few(frail: RedisServer) -> None:
    settings = msgspec.structs.replace(frail.settings(deadline=0.02), password=Secret("hunter2"))
    async with linked(settings) as link:
        frail.pause()
        try:
            for _ in range(LATE):
                with pytest.raises(RedisAwayError, match="did not answer within 20 ms") as caught:
                    await link.command(b"PING")
                assert caught.value.sent
            with pytest.raises(RedisAwayError, match="no answer within 20 ms") as caught:
                await link.command(b"PING")
            assert not caught.value.sent
        finally:
            frail.resume()
        await until(lambda: link.up)
        assert await link.command(b"PING", deadline=5.0) == b"PONG"


async def test_a_script_that_the_server_has_forgotten_is_taught_again(redis: RedisServer) -> None:
    async with linked(redis.settings()) as link:
        await link.command(b"SCRIPT", b"FLUSH")
        assert await link.call(PROBE, ["x"], []) == []
        assert await link.call(PROBE, ["x"], []) == []


async def test_what_the_server_refuses_is_told_without_keys(redis: RedisServer) -> None:
    settings = redis.settings()
    async with linked(settings) as link:
        await link.command(b"SET", f"{settings.prefix}:secret", "x")
        with pytest.raises(RedisError, match="refuses a command: WrongTypeError") as caught:
            await link.command(b"HGETALL", f"{settings.prefix}:secret")
        assert "secret" not in str(caught.value)


async def test_who_leaves_takes_nobody_elses_answer(redis: RedisServer) -> None:
    settings = redis.settings()
    async with linked(settings) as link:
        for number in range(20):
            await link.command(b"SET", f"{settings.prefix}:{number}", number)
        got: dict[int, object] = {}

        async def ask(number: int) -> None:
            got[number] = await link.command(b"GET", f"{settings.prefix}:{number}")

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                if number % 3:
                    tasks.start_soon(ask, number)
                else:
                    with anyio.CancelScope() as scope:
                        scope.cancel()
                        await ask(number)
        assert got == {number: str(number).encode() for number in range(20) if number % 3}


async def test_over_tls_the_certificate_is_checked(redis: RedisServer, tmp_path: Path) -> None:
    files = certificates.write(tmp_path)
    port = free_port()
    arguments = ["--tls-port", str(port), "--tls-auth-clients", "no"]
    arguments += ("--tls-cert-file", files.cert, "--tls-key-file", files.key, "--tls-ca-cert-file", files.ca)
    server = RedisServer(*arguments)
    try:
        settings = msgspec.structs.replace(server.settings(), port=port, tls=True, ca_file=files.ca)
        async with linked(settings) as link:
            assert await link.command(b"PING") == b"PONG"
        said: list[str] = []
        stranger = Link(msgspec.structs.replace(settings, ca_file=None), lambda up, why: said.append(why))
        async with anyio.create_task_group() as tasks:
            await tasks.start(stranger.run)
            tasks.cancel_scope.cancel()
        assert said == ["its certificate is not trusted: certificate verify failed"]
    finally:
        server.close()


@pytest.mark.deep
async def test_in_a_cluster_it_goes_to_the_node_that_has_its_keys(redis: RedisServer) -> None:
    buses = [free_port(), free_port()]
    nodes = [RedisServer("--cluster-enabled", "yes", "--cluster-port", str(bus)) for bus in buses]
    try:
        async with linked(nodes[0].settings()) as one, linked(nodes[1].settings()) as other:
            await one.command(b"CLUSTER", b"ADDSLOTSRANGE", 0, 8191)
            await other.command(b"CLUSTER", b"ADDSLOTSRANGE", 8192, 16383)
            await one.command(b"CLUSTER", b"MEET", "127.0.0.1", nodes[1].port, buses[1])
            for link in (one, other):
                with anyio.fail_after(20):
                    while b"cluster_state:ok" not in bytes(await link.command(b"CLUSTER", b"INFO")):  # type: ignore[call-overload]
                        await anyio.lowlevel.checkpoint()
        key = key_of(limits=KeyLimits(5, 500, 3), quotas=(Quota(Unit.TOKENS, Period.DAY, 1000),))
        moved = 0
        for number in range(8):  # some prefix is at home at either node
            settings = nodes[0].settings(prefix=f"p{number}")
            async with doored(settings, KeyBook([key]), KeyLimits(100), GateRules(limit=5)) as door:
                if isinstance(await enter(door, admit(key, 10, session=b"s")), Refused):
                    raise AssertionError("nothing is full")
                moved += door.uncounted
                await until(lambda: door.link.up)
                found = await entered(door, admit(key, 10, session=b"s"))
                assert door.uncounted <= 1
                end(door, found, tokens=5)
                await told(door)
                store = RedisResponses(door.link, Names(settings.prefix), Bounds(1000_000))
                await store.put(KeptResponse("r", "me", 1.0, "p", response=b"{}"), 1.0, ["i"])
                assert await store.known("r", 1.0)
        assert 0 < moved < 8
    finally:
        for node in nodes:
            node.close()
