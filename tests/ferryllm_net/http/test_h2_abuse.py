"""Attacks on HTTP/2 servers: each one is cut off, and nobody else notices."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from h2.errors import ErrorCodes
from hpack import Encoder

from ferryllm_net.http import Limits, Request, Responder
from support.h2_client import CALM, H2Client, frame
from support.rig import Serving

pytestmark = pytest.mark.anyio

# One window of counting for the whole test.
SMALL = Limits(h2_flood_secs=1000, h2_flood_frames=20, h2_resets=20, h2_late_frames=50, h2_window_updates=200)


async def echo(request: Request, respond: Responder) -> None:
    await respond.complete(200, [], await request.read())


async def forever(request: Request, respond: Responder) -> None:
    await anyio.sleep_forever()


async def refused(client: H2Client) -> None:
    """Read to the end; the server has asked for calm."""
    await client.until_closed()
    assert [code for code, _ in client.goaways] == [CALM]


async def test_rapid_reset_cve_2023_44487_ends_the_connection(serving: Serving) -> None:
    async with serving(forever, SMALL) as rig:
        client = await H2Client(rig.connect()).start()
        for _ in range(21):
            stream = client.open()
            client.h2.reset_stream(stream)
        await client.flush()
        await refused(client)
        await rig.server.wait_closed()
        assert rig.server.active == 0


async def test_few_resets_among_many_requests_are_no_attack(serving: Serving) -> None:
    async with serving(echo, SMALL) as rig:
        client = await H2Client(rig.connect()).start()
        for turn in range(240):
            stream = client.open()
            await client.flush()
            await client.answer(stream)
            if turn % 8 == 0:
                client.h2.reset_stream(client.open())
        await client.flush()
        assert (await client.get()).status == 200
        assert client.goaways == []


async def test_stream_that_was_reset_counts_until_its_work_has_ended(serving: Serving) -> None:
    may_end = anyio.Event()
    begun: list[str] = []

    async def handler(request: Request, respond: Responder) -> None:
        begun.append(request.path)
        with anyio.CancelScope(shield=True):
            await may_end.wait()
        await respond.complete(200, [], b"")

    async with serving(handler, Limits(h2_streams=2)) as rig:
        client = await H2Client(rig.connect()).start()
        for path in ("/1", "/2"):
            client.h2.reset_stream(client.open(path))
        await client.flush()
        await anyio.wait_all_tasks_blocked()
        # Both are gone for the client, and their work goes on.
        assert (await client.get("/3")).reset == int(ErrorCodes.REFUSED_STREAM)
        assert rig.server.active == 2
        may_end.set()
        while rig.server.active:
            await anyio.lowlevel.checkpoint()
        assert (await client.get("/4")).status == 200
        assert sorted(begun) == ["/1", "/2", "/4"]


async def test_more_streams_than_allowed_are_refused_one_by_one(serving: Serving) -> None:
    may_end = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        await may_end.wait()
        await respond.complete(200, [], b"")

    async with serving(handler, Limits(h2_streams=3)) as rig:
        client = await H2Client(rig.connect()).start()  # does not know the limit yet
        streams = [client.open() for _ in range(5)]
        await client.flush()
        for refused_one in streams[3:]:
            assert (await client.answer(refused_one)).reset == int(ErrorCodes.REFUSED_STREAM)
        assert client.h2.remote_settings.max_concurrent_streams == 3
        may_end.set()
        for served in streams[:3]:
            assert (await client.answer(served)).status == 200


@pytest.mark.parametrize("way", ["window overflow", "data after the end", "malformed requests"])
async def test_made_you_reset_cve_2025_8671_ends_the_connection(serving: Serving, way: str) -> None:
    cancelled: list[bool] = []

    async def handler(request: Request, respond: Responder) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(request.client_left)

    async with serving(handler, SMALL) as rig:
        client = await H2Client(rig.connect()).start()
        for _ in range(21):
            stream = client.open(":" if way == "malformed requests" else "/")
            if way == "window overflow":
                client.h2._data_to_send += frame(0x8, 0, stream, b"\x7f\xff\xff\xff")
            elif way == "data after the end":
                client.h2._data_to_send += frame(0x0, 0, stream, b"more")
        await client.flush()
        await client.until_closed()
        # A server may also take the second for an error of the connection (RFC 9113 section 5.1).
        assert client.goaways[0][0] in (CALM, int(ErrorCodes.STREAM_CLOSED))
        await rig.server.wait_closed()
        assert rig.server.active == 0
        assert all(cancelled)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ping, CVE-2019-9512", frame(0x6, payload=bytes(8))),
        ("settings, CVE-2019-9515", frame(0x4)),
        ("priority, CVE-2019-9513", frame(0x2, 0, 3, bytes(4) + b"\x10")),
        ("unknown", frame(0xBA, 0, 0, b"x")),
        ("goaway", frame(0x7, payload=bytes(8))),
        ("empty data, CVE-2019-9518", frame(0x0, 0, 1)),
        ("padding alone", frame(0x0, 0x8, 1, b"\x03" + bytes(3))),
    ],
)
async def test_flood_of_frames_that_cost_nothing_ends_the_connection(serving: Serving, name: str, data: bytes) -> None:
    async with serving(echo, SMALL) as rig:
        client = await H2Client(rig.connect()).start()
        client.open(method="POST", ended=False)
        await client.flush()
        await client.wire.send(data * 21)
        await refused(client)
        await rig.server.wait_closed()


async def test_flood_of_window_updates_ends_the_connection(serving: Serving) -> None:
    async with serving(forever, SMALL) as rig:
        client = await H2Client(rig.connect()).start()
        client.open()
        await client.flush()
        await client.wire.send(frame(0x8, 0, 1, bytes(3) + b"\x01") * 201)
        await refused(client)


async def test_continuation_flood_cve_2024_27316_ends_the_connection(serving: Serving) -> None:
    async with serving(echo) as rig:
        client = await (await H2Client(rig.connect()).start()).settle()
        await client.wire.send(frame(0x1, 0x1, 1, b"\x82"))
        await client.wire.send(frame(0x9, 0, 1) * 17)  # empty ones, which add nothing to any size
        await refused(client)


async def test_header_block_above_the_limit_is_not_kept(serving: Serving) -> None:
    async with serving(echo) as rig:
        client = await (await H2Client(rig.connect()).start()).settle()
        await client.wire.send(frame(0x1, 0x1, 1, b"\x82"))
        for _ in range(4):
            await client.wire.send(frame(0x9, 0, 1, bytes(16384)))
        await refused(client)


async def test_hpack_bomb_cve_2016_6581_is_not_decoded(serving: Serving) -> None:
    encoder = Encoder()
    block = encoder.encode([(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "a")])
    block += encoder.encode([("bomb", "x" * 4000)], huffman=False)
    block += encoder.encode([("bomb", "x" * 4000)]) * 8000  # one byte each
    async with serving(echo) as rig:
        client = await (await H2Client(rig.connect()).start()).settle()
        await client.wire.send(frame(0x1, 0x5, 1, block))
        await refused(client)


async def test_thousands_of_tiny_fields_cve_2026_49975_are_431(serving: Serving) -> None:
    async with serving(echo) as rig:
        client = await H2Client(rig.connect()).start()
        many = await client.get("/", *[("a", "b")] * 101)
        assert many.status == 431
        crumbs = await client.get("/", *[("cookie", "a=b")] * 101)
        assert crumbs.status == 431
        assert (await client.get("/", *[("a", "b")] * 100)).status == 200


async def test_client_that_never_reads_is_not_read_either(serving: Serving) -> None:
    """Answers to control frames have no window (CVE-2019-9512): what waits for the client is bounded."""
    limits = Limits(h2_flood_frames=10**9, h2_backlog_bytes=2000)
    async with serving(echo, limits) as rig:
        wire = rig.connect(capacity=1000)
        client = await H2Client(wire).start()
        sent = 0
        with anyio.move_on_after(0.3):
            while True:
                await client.wire.send(frame(0x6, payload=bytes(8)) * 10)
                sent += 1
        assert sent * 170 < 70_000
        assert sum(map(len, rig.served[0].writes)) < 10_000


async def test_extended_connect_is_not_announced_and_not_taken(serving: Serving) -> None:
    async with serving(echo) as rig:
        client = await (await H2Client(rig.connect()).start()).settle()
        assert client.h2.remote_settings.enable_connect_protocol == 0
        block = Encoder().encode(
            [
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
            ]
        )
        await client.wire.send(frame(0x1, 0x5, 1, block))
        data = b""
        while b"\x00\x00\x04\x03" not in data and (piece := await client.wire.receive()):
            data += piece
        assert b"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x01" in data or data[3:4] == b"\x07"
