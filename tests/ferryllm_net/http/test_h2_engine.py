"""The HTTP/2 engine: what is a request and what is none, and that nothing a peer sends raises."""

from __future__ import annotations

import random

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder

from ferryllm_net.http import Limits, Misuse
from ferryllm_net.http.h2_engine import ConnectionLost, H2ServerEngine, StreamEvent, StreamOpened
from ferryllm_net.http.preface import PREFACE
from support.h2_client import frame

GOOD = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/v1/x?y=z"), (b":authority", b"a.example:80")]
START = PREFACE + frame(0x4)


def opened(fields: list[tuple[bytes, bytes]], *, end: bool = True) -> tuple[H2ServerEngine, list[StreamEvent]]:
    engine = H2ServerEngine(Limits())
    engine.receive_data(START, 0)
    engine.take()
    block = Encoder().encode(fields)
    return engine, engine.receive_data(frame(0x1, 0x5 if end else 0x4, 1, block), 0)


def test_a_request_has_the_form_of_http1() -> None:
    _, events = opened([*GOOD, (b"x-a", b"1"), (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"te", b"trailers")])
    event = events[0]
    assert isinstance(event, StreamOpened)
    assert event.fault is None
    assert event.ended
    assert (event.head.method, event.head.target, event.head.http_version) == ("POST", "/v1/x?y=z", "2")
    assert event.head.headers == [
        ("host", "a.example:80"),
        ("x-a", "1"),
        ("te", "trailers"),
        ("cookie", "a=1; b=2"),
    ]


def changed(name: bytes, value: bytes | None) -> list[tuple[bytes, bytes]]:
    fields = [pair for pair in GOOD if pair[0] != name]
    return fields if value is None else [(name, value), *fields] if name[:1] == b":" else [*fields, (name, value)]


MALFORMED = [
    changed(b":path", b"no-slash"),
    changed(b":path", b"/a#b"),
    changed(b":path", b"/a b"),
    changed(b":path", b""),
    changed(b":path", b"http://other/"),
    changed(b":path", None),
    changed(b":scheme", None),
    changed(b":authority", None),
    changed(b":method", None),
    changed(b":method", b"G T"),
    changed(b":odd", b"x"),
    changed(b":status", b"200"),
    [*GOOD, (b":path", b"/again")],
    [*GOOD, (b"host", b"other")],
    [*GOOD, (b"host", b"a.example:80"), (b"host", b"a.example:80")],
    [*GOOD, (b"Upper", b"x")],
    [*GOOD, (b"with space", b"x")],
    [*GOOD, (b"x", b"a\rb")],
    [*GOOD, (b"x", b"a\nb")],
    [*GOOD, (b"x", b"a\x00b")],
    [*GOOD, (b"x", b"a\x7fb")],
    [*GOOD, (b"connection", b"close")],
    [*GOOD, (b"transfer-encoding", b"chunked")],
    [*GOOD, (b"upgrade", b"websocket")],
    [*GOOD, (b"keep-alive", b"1")],
    [*GOOD, (b"te", b"gzip")],
    [*GOOD, (b"content-length", b"5")],  # and no body
    [*GOOD, (b"content-length", b"+0")],
    [*GOOD, (b"content-length", b"0"), (b"content-length", b"0")],
    [*GOOD, (b"content-length", b"0x0")],
]


@pytest.mark.parametrize("fields", MALFORMED, ids=lambda fields: repr(fields[-1]))
def test_a_malformed_request_reaches_nobody(fields: list[tuple[bytes, bytes]]) -> None:
    engine, events = opened(fields)
    assert not any(isinstance(event, StreamOpened) for event in events)
    out = engine.take()
    reset = frame(0x3, 0, 1, int(ErrorCodes.PROTOCOL_ERROR).to_bytes(4, "big"))
    assert reset in out or out[3] == 0x7, "a reset of the stream or the end of the connection"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (changed(b":path", b"/" + b"a" * 17_000), 414),
        (changed(b":authority", b"a, b"), 400),
        (changed(b":authority", b"user@a"), 400),
        (changed(b":scheme", b"ftp"), 400),
        (changed(b":method", b"TRACE"), 501),
        ([(b":method", b"CONNECT"), (b":authority", b"a:443")], 501),
        ([*GOOD, *[(b"a", b"b")] * 101], 431),
    ],
)
def test_a_request_that_is_not_served_has_its_status(fields: list[tuple[bytes, bytes]], status: int) -> None:
    _, events = opened(fields)
    event = events[0]
    assert isinstance(event, StreamOpened)
    assert event.fault is not None
    assert event.fault.status == status


def test_host_alone_is_enough() -> None:
    _, events = opened([*changed(b":authority", None), (b"host", b"a")])
    assert isinstance(events[0], StreamOpened)
    assert events[0].head.headers == [("host", "a")]


def test_broken_compression_is_said_to_be_that() -> None:
    engine = H2ServerEngine(Limits())
    engine.receive_data(START, 0)
    engine.take()
    events = engine.receive_data(frame(0x1, 0x5, 1, b"\xff\xff\xff"), 0)
    assert isinstance(events[-1], ConnectionLost)
    assert engine.take()[-4:] == int(ErrorCodes.COMPRESSION_ERROR).to_bytes(4, "big")
    assert engine.receive_data(frame(0x6, payload=bytes(8)), 0) == []
    assert engine.take() == b"", "nothing after GOAWAY"


def test_what_came_before_a_fault_is_kept() -> None:
    engine = H2ServerEngine(Limits())
    block = Encoder().encode(GOOD)
    events = engine.receive_data(START + frame(0x1, 0x5, 1, block) + frame(0x6, payload=b"short"), 0)
    assert any(isinstance(event, StreamOpened) for event in events)
    assert isinstance(events[-1], ConnectionLost)


def test_the_clients_table_does_not_grow_ours() -> None:
    engine = H2ServerEngine(Limits())
    settings = b"\x00\x01" + (1 << 30).to_bytes(4, "big")
    engine.receive_data(PREFACE + frame(0x4, payload=settings), 0)
    assert engine._h2.encoder.header_table_size == Limits().h2_table_bytes


@pytest.mark.parametrize("seed", range(60))
def test_no_bytes_of_a_peer_raise(seed: int) -> None:
    dice = random.Random(seed)
    encoder = Encoder()
    engine = H2ServerEngine(Limits(h2_flood_frames=10**6, h2_resets=10**6))
    engine.receive_data(START, 0)
    for turn in range(60):
        kind = dice.choice([0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 12, 0xBA])
        block = (
            encoder.encode([*GOOD, (b"x-%d" % turn, b"v")])
            if kind == 1
            else dice.randbytes(dice.choice([0, 4, 5, 6, 8]))
        )
        if dice.random() < 0.2:
            block = bytes(byte ^ (dice.random() < 0.1) for byte in block)
        flags = dice.choice([0, 1, 4, 5, 8, 0x20, 0x2D])
        events = engine.receive_data(frame(kind, flags, dice.choice([0, 1, 2, 3, 2 * turn + 1]), block), float(turn))
        if events and isinstance(events[-1], ConnectionLost):
            assert engine.failed
            break
        for event in events:
            if isinstance(event, StreamOpened) and dice.random() < 0.5 and engine.writable(event.stream):
                engine.send_head(event.stream, 200, [], end=dice.random() < 0.5)
        engine.take()


def windowed() -> tuple[H2ServerEngine, list[StreamEvent]]:
    engine, events = opened(GOOD)
    engine.send_head(1, 200, [])
    engine.take()
    return engine, events


@pytest.mark.parametrize("size", [1, 255, 256, 16_384])
def test_a_piece_within_a_body_is_one_frame_and_takes_both_windows(size: int) -> None:
    engine, _ = windowed()
    block = Encoder().encode(GOOD)
    engine.receive_data(frame(0x1, 0x5, 3, block), 0)
    engine.send_head(3, 200, [])
    engine.take()
    data = b"x" * size
    engine.send_data(1, memoryview(data))
    assert engine.take() == frame(0, 0, 1, data)
    room = 65_535 - size
    assert [engine.window(1), engine.window(3)] == [min(room, 16_384)] * 2
    while engine.window(1):
        engine.send_data(1, b"y" * engine.window(1))
    assert engine.window(3) == 0, "the connection's"
    engine.receive_data(frame(8, 0, 0, (500).to_bytes(4, "big")), 0)
    assert [engine.window(1), engine.window(3)] == [0, 500]
    engine.receive_data(frame(8, 0, 1, (100).to_bytes(4, "big")), 0)
    assert engine.window(1) == 100


def test_what_may_not_be_sent_is_misuse_and_takes_no_window() -> None:
    engine, _ = windowed()
    for data in (b"x" * 16_385, b"x" * 70_000):
        with pytest.raises(Misuse):
            engine.send_data(1, data)
    with pytest.raises(Misuse):
        engine.send_data(5, b"x")
    engine.send_data(1, b"end", end=True)
    with pytest.raises(Misuse):
        engine.send_data(1, b"more")
    assert engine.take() == frame(0, 1, 1, b"end")


def test_data_stands_behind_what_was_said_before() -> None:
    engine, _ = opened(GOOD)
    engine.send_head(1, 200, [])
    engine.send_data(1, b"first")
    engine.send_data(1, b"last", end=True)
    out = engine.take()
    kinds = []
    while out:
        size = int.from_bytes(out[:3], "big")
        kinds.append((out[3], out[4], out[9 : 9 + size]))
        out = out[9 + size :]
    assert [kind for kind, _, _ in kinds[-3:]] == [1, 0, 0]
    assert [data for _, _, data in kinds[-2:]] == [b"first", b"last"]
