"""WebSockets over a wire in memory, on both backends: handshake, messages, limits, deadlines, close."""

from __future__ import annotations

import contextlib
import random
import zlib

import anyio
import pytest
from wsproto.events import CloseConnection, Ping, Pong, TextMessage

from ferryllm_net.http import ClientLeft, Limits, Request, RequestError, Responder, TransportError
from ferryllm_net.http.websocket import GOING_AWAY, State, WebSocket, upgrade, wants_websocket
from support.rig import Rig, Serving
from support.sockets import ACCEPT, BINARY, CLOSE, CONTINUATION, PING, TEXT, SocketClient, frame, handshake
from support.streams import MemoryTransport

pytestmark = pytest.mark.anyio

SMALL = Limits(body_bytes=1000, linger_secs=0.02)


async def echo(request: Request, respond: Responder) -> None:
    """Sends back what comes, until it ends."""
    if not wants_websocket(request):
        raise RequestError(426, "no upgrade")
    socket = await upgrade(request, respond, SMALL, [("x-own", "1")])
    while (message := await socket.receive()) is not None:
        await socket.send([message])


def named(**fields: str | None) -> dict[str, str | None]:
    """Fields whose names have underscores for their hyphens."""
    return {name.replace("_", "-"): value for name, value in fields.items()}


async def connect(rig: Rig, **changed: str | None) -> SocketClient:
    return await SocketClient(rig.connect()).open("/", named(**changed))


# --- handshake -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"Connection": "keep-alive, UPGRADE"},
        {"Upgrade": "h2c, WebSocket"},
        {"Content_Length": "0"},
        {"Sec_WebSocket_Protocol": "a, b"},
        {"Origin": "http://elsewhere"},
    ],
)
async def test_a_good_handshake_is_answered_101(serving: Serving, changed: dict[str, str]) -> None:
    async with serving(echo) as rig:
        client = await connect(rig, **changed)
        fields = dict(line.split(": ", 1) for line in client.head.lower().split("\r\n")[1:])
        assert fields == {
            "upgrade": "websocket",
            "connection": "upgrade",
            "sec-websocket-accept": ACCEPT.lower(),
            "x-own": "1",
        }
        await client.send("hällo")
        assert await client.text() == "hällo"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (handshake("/", named(Upgrade=None)), 426),
        (handshake("/", named(Upgrade="h2c")), 426),
        (handshake("/", named(Connection=None)), 426),
        (handshake("/", named(Connection="keep-alive")), 426),
        (handshake().replace(b"HTTP/1.1", b"HTTP/1.0"), 426),
        (handshake().replace(b"GET", b"POST"), 426),
        (handshake().replace(b"GET", b"HEAD"), 426),
        (handshake("/", named(Sec_WebSocket_Version=None)), 426),
        (handshake("/", named(Sec_WebSocket_Version="8")), 426),
        (handshake("/", named(Sec_WebSocket_Version="13, 8")), 426),
        (handshake(more=[("Sec-WebSocket-Version", "13")]), 426),
        (handshake("/", named(Sec_WebSocket_Key=None)), 400),
        (handshake("/", named(Sec_WebSocket_Key="")), 400),
        (handshake("/", named(Sec_WebSocket_Key="c2hvcnQ=")), 400),
        (handshake("/", named(Sec_WebSocket_Key="!" * 24)), 400),
        (handshake("/", named(Sec_WebSocket_Key="é" * 24)), 400),
        (handshake(more=[("Sec-WebSocket-Key", "c2l4dGVlbiBieXRlcyAuLg==")]), 400),
        (handshake("/", named(Content_Length="1")) + b"x", 400),
        (handshake("/", named(Transfer_Encoding="chunked")) + b"0\r\n\r\n", 400),
        (handshake("/", named(Host=None)), 400),
    ],
)
async def test_a_bad_handshake_is_an_ordinary_answer(serving: Serving, request_: bytes, status: int) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(request_)
        head = (await wire.receive_until(b"\r\n\r\n")).decode("latin-1").lower()
        assert head.startswith(f"http/1.1 {status} ")
    assert rig.errors == []


async def test_another_version_is_told_the_right_one(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(handshake("/", named(Sec_WebSocket_Version="7")))
        head = (await wire.receive_until(b"\r\n\r\n")).decode().lower()
        assert "sec-websocket-version: 13\r\n" in head
        assert "upgrade: websocket\r\n" in head


async def test_a_refused_upgrade_leaves_the_connection_to_http(serving: Serving) -> None:
    async with serving(echo) as rig:
        wire = rig.connect()
        await wire.send(handshake("/", named(Upgrade="other")) + handshake("/", named(Upgrade="other")))
        for _ in range(2):
            assert (await wire.receive_until(b'no upgrade"}}')).startswith(b"HTTP/1.1 426 ")


async def test_frames_that_come_with_the_upgrade_are_read(serving: Serving) -> None:
    async with serving(echo) as rig:
        client = SocketClient(rig.connect())
        data = handshake() + frame(TEXT, b"early")
        await client.transport.send(data[:40])
        await client.transport.send(data[40:])
        await client.accepted()
        assert await client.text() == "early"


async def test_head_in_single_bytes(serving: Serving) -> None:
    async with serving(echo) as rig:
        client = SocketClient(rig.connect())
        for byte in handshake():
            await client.transport.send(bytes([byte]))
        await client.accepted()
        await client.send("x")
        assert await client.text() == "x"


# --- messages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3, 10_000])
async def test_a_message_in_fragments_with_a_ping_between(serving: Serving, step: int) -> None:
    data = (
        frame(TEXT, b"gr" + "ü".encode()[:1], fin=False)
        + frame(PING, b"p")
        + frame(CONTINUATION, b"", fin=False)
        + frame(CONTINUATION, "ü".encode()[1:] + b"n")
        + frame(TEXT, b"next")
    )
    async with serving(echo) as rig:
        client = await connect(rig)
        for start in range(0, len(data), step):
            await client.transport.send(data[start : start + step])
        assert await client.event() == Pong(payload=b"p")
        assert await client.text() == "grün"
        assert await client.text() == "next"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(BINARY, b"x"), 1003),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xc3"), 1007),
        (frame(TEXT, b"\xed\xa0\x80"), 1007),
        (frame(TEXT, b"a" * 1001), 1009),
        (frame(TEXT, b"a" * 999, fin=False) + frame(CONTINUATION, b"aa"), 1009),
        (frame(TEXT, "é".encode() * 501), 1009),
        (frame(TEXT, b"x", mask=False), 1002),
        (frame(TEXT, b"x", rsv=4), 1002),
        (frame(TEXT, b"x", rsv=1), 1002),
        (frame(3, b"x"), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CLOSE, b"x"), 1002),
        (frame(CLOSE, b"\x00\x01"), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (b"\x81\xfe\x00\x05" + bytes(4) + b"short", 1002),
        (b"\x81\xff" + b"\xff" * 8 + bytes(4), 1002),
    ],
)
async def test_what_breaks_the_protocol_closes_with_its_code(serving: Serving, data: bytes, code: int) -> None:
    async with serving(echo, SMALL) as rig:
        client = await connect(rig)
        await client.transport.send(data + frame(TEXT, b"not looked at"))
        assert (await client.closed())[0] == code
        await rig.server.wait_closed()
    assert rig.errors == []


async def test_a_length_beyond_the_limit_is_refused_before_it_has_come(serving: Serving) -> None:
    async with serving(echo, SMALL) as rig:
        client = await connect(rig)
        await client.transport.send(b"\x81\xff" + (1 << 40).to_bytes(8, "big") + bytes(4) + b"a" * 1001)
        assert (await client.closed())[0] == 1009


async def test_the_largest_message_is_taken(serving: Serving) -> None:
    async with serving(echo, SMALL) as rig:
        client = await connect(rig)
        await client.send("a" * 1000)
        assert await client.text() == "a" * 1000


# --- compression -----------------------------------------------------------------------------------------


def deflated(data: bytes, compressor: zlib._Compress | None = None) -> bytes:
    compressor = compressor or zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


async def test_a_compressed_message_in_fragments_shares_its_window_with_the_next(serving: Serving) -> None:
    async with serving(echo) as rig:
        client = await connect(rig, Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
        assert "sec-websocket-extensions: permessage-deflate" in client.head.lower().split("\r\n")
        compressor = zlib.compressobj(wbits=-15)
        first, second = deflated(b"hello hello", compressor), deflated(b"hello hello", compressor)
        await client.transport.send(
            frame(TEXT, first[:3], fin=False, rsv=4) + frame(PING) + frame(CONTINUATION, first[3:])
        )
        assert await client.event() == Pong(payload=b"")
        assert await client.text() == "hello hello"
        await client.transport.send(frame(TEXT, b"plain") + frame(TEXT, second, rsv=4))
        assert [await client.text(), await client.text()] == ["plain", "hello hello"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (deflated(b"a" * 1001), 1009),
        (deflated(bytes(10_000_000)), 1009),
        (b"\xff\xff\xff", 1007),
        (deflated(b"\xff"), 1007),
    ],
)
async def test_a_compressed_message_that_is_too_much_or_broken(serving: Serving, payload: bytes, code: int) -> None:
    async with serving(echo, SMALL) as rig:
        client = await connect(rig, Sec_WebSocket_Extensions="permessage-deflate")
        await client.transport.send(frame(TEXT, payload, rsv=4))
        assert (await client.closed())[0] == code


# --- the close -------------------------------------------------------------------------------------------


async def test_a_close_of_the_client_is_answered_and_ends_the_connection(serving: Serving) -> None:
    async with serving(echo) as rig:
        client = await connect(rig)
        await client.say(CloseConnection(4001, "done"))
        event = await client.event()
        assert isinstance(event, CloseConnection)
        assert int(event.code) == 4001
        assert await client.transport.receive() == b""
        await rig.server.wait_closed()
    assert rig.errors == []


async def test_a_client_that_is_gone_cancels_the_handler(serving: Serving) -> None:
    cancelled = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, SMALL, [])
        try:
            await socket.receive()
            await anyio.sleep_forever()
        finally:
            assert request.client_left
            cancelled.set()

    async with serving(handler) as rig:
        client = await connect(rig)
        await client.send("go")
        await anyio.wait_all_tasks_blocked()
        await client.transport.aclose()
        await cancelled.wait()


async def test_a_client_that_resets_the_connection_is_gone_and_no_fault_of_the_handler(serving: Serving) -> None:
    seen: list[bytes | None] = []

    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, SMALL, [])
        with anyio.CancelScope(shield=True):
            seen.extend([await socket.receive(), await socket.receive()])

    async with serving(handler) as rig:
        client = await connect(rig)
        await client.send("go")
        await anyio.wait_all_tasks_blocked()
        assert isinstance(client.transport, MemoryTransport)
        client.transport.reset()
        await rig.server.wait_closed()
    assert seen == [b"go", None]
    assert rig.errors == []


async def test_a_client_that_does_not_answer_the_close_is_waited_for_a_moment(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, Limits(linger_secs=0), [])
        await socket.close(GOING_AWAY, "bye")
        assert socket.state is State.CLOSING
        with pytest.raises(ClientLeft):
            await socket.send([b"x"])
        await socket.close()  # once is enough
        assert await socket.receive() is None
        assert (socket.closed, socket.code) == (True, GOING_AWAY)

    async with serving(handler) as rig:
        client = await connect(rig)
        assert await client.closed(answer=False) == (GOING_AWAY, "bye")
        assert await client.transport.receive() == b""
        await rig.server.wait_closed()
    assert rig.errors == []


async def test_what_comes_after_our_close_is_thrown_away(serving: Serving) -> None:
    got: list[bytes | None] = []

    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, SMALL, [])
        await socket.close()
        got.append(await socket.receive())

    async with serving(handler) as rig:
        client = await connect(rig)
        await client.transport.send(frame(TEXT, b"late") + frame(PING))
        assert (await client.closed())[0] == 1000
        await rig.server.wait_closed()
    assert got == [None]
    assert rig.errors == []


async def test_a_fault_of_the_handler_cuts_and_is_reported(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await upgrade(request, respond, SMALL, [])
        raise ValueError("a bug")

    async with serving(handler) as rig:
        client = await connect(rig)
        assert await client.transport.receive() == b""
        assert [str(error) for error in rig.errors] == ["a bug"]


async def test_draining_is_told_at_once_and_when_it_begins(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, SMALL, [])
        begun = anyio.Event()
        socket.watch_drain(begun.set)
        await begun.wait()
        await socket.close(GOING_AWAY)
        assert await socket.receive() is None

    async with serving(handler) as rig:
        early, late = await connect(rig), SocketClient(rig.connect())
        await late.transport.send(handshake()[:-2])  # its head has begun: it is not idle
        await anyio.wait_all_tasks_blocked()
        rig.server.start_drain()
        assert (await early.closed())[0] == GOING_AWAY
        await late.transport.send(b"\r\n")
        await late.accepted()
        assert (await late.closed())[0] == GOING_AWAY
        await rig.server.wait_closed()


# --- deadlines -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "sent", "code"),
    [
        (Limits(socket_idle_secs=0, linger_secs=0.02), b"", 1001),
        (Limits(body_idle_secs=0, body_floor_after_secs=0, linger_secs=0.02), frame(TEXT, b"begun", fin=False), 1008),
        (Limits(body_idle_secs=0, body_floor_after_secs=0, linger_secs=0.02), frame(TEXT, b"whole")[:-1], 1008),
    ],
)
async def test_who_is_silent_for_too_long_is_closed(serving: Serving, limits: Limits, sent: bytes, code: int) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, limits, [])
        assert await socket.receive() is None

    async with serving(handler) as rig:
        client = SocketClient(rig.connect())
        await client.transport.send(handshake() + sent)
        await client.accepted()
        assert (await client.closed())[0] == code
    assert rig.errors == []


async def test_silence_while_an_answer_is_under_way_is_no_idleness(serving: Serving) -> None:
    limits = Limits(socket_idle_secs=0, socket_ping_secs=0)
    busy: list[WebSocket] = []

    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, limits, [])
        socket.busy = True
        busy.append(socket)
        assert await socket.receive() is None

    async with serving(handler) as rig:
        client = await connect(rig)
        for _ in range(3):
            assert await client.event() == Ping(payload=b"")
        busy[0].rest()
        assert (await client.closed())[0] == 1001


async def test_a_client_that_does_not_read_holds_the_sender(serving: Serving) -> None:
    sent: list[int] = []

    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, SMALL, [])
        for n in range(3):
            await socket.send([b"a" * 600])
            sent.append(n)
        await socket.close()
        await socket.receive()

    async with serving(handler) as rig:
        client = await SocketClient(rig.connect(700)).open()
        await anyio.wait_all_tasks_blocked()
        assert len(sent) < 3
        assert [await client.event() for _ in range(3)] == [TextMessage("a" * 600)] * 3
        assert (await client.closed())[0] == 1000


async def test_a_client_that_never_reads_is_cut(serving: Serving) -> None:
    gone = anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, SMALL, [])
        try:
            await socket.send([b"a" * 600] * 3)
        finally:
            gone.set()

    async with serving(handler, Limits(write_stall_secs=0, sweep_secs=0.01)) as rig:
        wire = rig.connect(600)
        await wire.send(handshake())
        await gone.wait()
        await rig.server.wait_closed()


async def test_several_messages_are_one_write(serving: Serving) -> None:
    async def handler(request: Request, respond: Responder) -> None:
        socket = await upgrade(request, respond, SMALL, [])
        await socket.send([])
        await socket.send([b"a", b"b"])
        await socket.close()
        await socket.receive()

    async with serving(handler) as rig:
        client = await connect(rig)
        assert [await client.text(), await client.text()] == ["a", "b"]
        assert rig.served[0].writes[1] == b"\x81\x01a\x81\x01b"
        await client.closed()


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_bytes_come_nothing_is_raised(serving: Serving, seed: int) -> None:
    rand = random.Random(seed)
    async with serving(echo, SMALL) as rig:
        for _ in range(10):
            client = await connect(rig, Sec_WebSocket_Extensions="permessage-deflate")
            for _ in range(rand.randrange(1, 6)):
                payload = rand.randbytes(rand.choice([0, 1, 2, 20, 130]))
                data = rand.choice([payload, b"{}", deflated(b"a" * 50), b"\x03\xe8"])
                opcode = rand.choice([TEXT, TEXT, CONTINUATION, BINARY, CLOSE, PING, 10, 3])
                piece = frame(opcode, data, fin=rand.random() < 0.7, rsv=rand.choice([0, 0, 4, 2]))
                piece = rand.choice([piece, piece, piece[:-1], payload])
                with contextlib.suppress(TransportError):
                    await client.transport.send(piece)
            await client.transport.aclose()
        await rig.server.wait_closed()
    assert rig.errors == []
