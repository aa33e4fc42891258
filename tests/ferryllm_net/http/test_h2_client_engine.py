"""The machine of HTTP/2 clients against h2's server, without a wire."""

from __future__ import annotations

import h2.events
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from ferryllm_net.http import Limits, Misuse, Origin, RequestHead, prepare
from ferryllm_net.http.h2_client_engine import (
    AnswerBegun,
    AnswerData,
    AnswerEnded,
    AnswerEvent,
    H2ClientEngine,
    LinkLost,
    RoomMade,
    ServerLeaves,
    StreamGone,
)
from support.h2_server import OK, frame

ORIGIN = Origin("http", "a.example", 80)
POST = prepare(ORIGIN, RequestHead("POST", "/x", [("authorization", "Bearer secret")]))


class Pair:
    """The engine and a server of h2, joined."""

    def __init__(self, limits: Limits | None = None, **settings: int) -> None:
        self.engine = H2ClientEngine(limits or Limits())
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        for name, value in settings.items():
            self.server.local_settings[SettingCodes[name]] = value
        self.server.local_settings.acknowledge()
        self.server.initiate_connection()
        self.seen: list[h2.events.Event] = []
        self.settle()

    def settle(self) -> list[AnswerEvent]:
        """Pass bytes on until nobody has any; the engine's events."""
        events: list[AnswerEvent] = []
        while True:
            there, back = self.engine.take(), self.server.data_to_send()
            if not there and not back:
                return events
            if there:
                self.seen.extend(self.server.receive_data(there))
            if back:
                events.extend(self.engine.receive_data(back, 0.0))

    def open(self, length: int | None = None) -> int:
        return self.engine.open(POST, "a.example", "http", length)


def test_an_exchange_event_by_event() -> None:
    pair = Pair()
    stream = pair.open(4)
    pair.engine.send_data(stream, b"body", end=True)
    pair.settle()
    pair.server.send_headers(stream, OK)
    pair.server.send_data(stream, b"ok", pad_length=3)
    pair.server.send_headers(stream, [("x-sum", "1")], end_stream=True)
    begun, data, ended = [event for event in pair.settle() if not isinstance(event, RoomMade)]
    assert isinstance(begun, AnswerBegun)
    assert begun.head.headers == [("content-type", "text/plain")]
    assert data == AnswerData(stream, b"ok", 6)
    assert ended == AnswerEnded(stream, [("x-sum", "1")])


def test_any_cut_of_the_servers_bytes_gives_the_same_events() -> None:
    pair = Pair()
    stream = pair.open()
    pair.settle()
    pair.server.send_headers(stream, OK)
    pair.server.send_data(stream, b"ok" * 100, end_stream=True)
    data = pair.server.data_to_send()
    events = [event for n in range(len(data)) for event in pair.engine.receive_data(data[n : n + 1], 0.0)]
    assert [type(event) for event in events] == [AnswerBegun, AnswerData, AnswerEnded]


def test_keys_are_never_in_a_compression_table() -> None:
    pair = Pair()
    first = pair.open()
    data = pair.engine.take()
    assert first == 1
    # RFC 7541 section 6.2.3: 0001 and an index of the static table; authorization is 23.
    assert b"\x1f\x08" in data


def test_room_is_the_smaller_of_both_limits() -> None:
    assert Pair(Limits(h2_streams=3)).engine.room == 3
    pair = Pair(MAX_CONCURRENT_STREAMS=2)
    assert pair.engine.room == 2
    pair.open()
    stream = pair.open()
    assert pair.engine.room == 0
    with pytest.raises(Misuse):
        pair.open()
    pair.engine.reset(stream)
    assert pair.engine.room == 1


def test_goaway_ends_what_the_server_has_not_seen_and_nothing_else() -> None:
    pair = Pair()
    streams = [pair.open() for _ in range(3)]
    pair.settle()
    events = pair.engine.receive_data(frame(7, payload=(3).to_bytes(4, "big") + bytes(4)), 0.0)
    gone, leaves = events
    assert isinstance(gone, StreamGone)
    assert (gone.stream, gone.untouched) == (streams[2], True)
    assert isinstance(leaves, ServerLeaves)
    assert pair.engine.room == 0
    pair.server.send_headers(1, OK, end_stream=True)
    assert [type(event) for event in pair.settle()] == [AnswerBegun, AnswerEnded]


@pytest.mark.parametrize(
    ("code", "untouched"), [(ErrorCodes.REFUSED_STREAM, True), (ErrorCodes.CANCEL, False), (0x99, False)]
)
def test_a_reset_says_whether_the_request_was_touched(code: int, untouched: bool) -> None:
    pair = Pair()
    stream = pair.open()
    pair.settle()
    (event,) = pair.engine.receive_data(frame(3, stream=stream, payload=int(code).to_bytes(4, "big")), 0.0)
    assert isinstance(event, StreamGone)
    assert event.untouched is untouched


def test_what_comes_for_a_stream_that_was_given_up_is_dropped_and_costs_no_window() -> None:
    pair = Pair()
    stream = pair.open()
    pair.settle()
    pair.server.send_headers(stream, OK)
    for _ in range(3):
        pair.server.send_data(stream, b"x" * 16_000)
    late = pair.server.data_to_send()
    pair.engine.reset(stream)
    assert pair.engine.receive_data(late, 0.0) == []
    assert not pair.engine.failed


def test_the_window_of_the_connection_is_given_back_while_nobody_reads() -> None:
    limits = Limits(h2_answers_window_bytes=100_000, h2_answer_window_bytes=90_000)
    pair = Pair(limits)
    stream = pair.open()
    pair.settle()
    pair.server.send_headers(stream, OK)
    for _ in range(4):
        pair.server.send_data(stream, b"x" * 16_000)
    pair.settle()
    assert pair.server.outbound_flow_control_window == 100_000
    assert pair.server.local_flow_control_window(stream) == limits.h2_answer_window_bytes - 64_000
    pair.engine.give_back(stream, 64_000)
    pair.settle()
    assert pair.server.local_flow_control_window(stream) == limits.h2_answer_window_bytes


def test_nothing_is_read_behind_a_fault_and_goaway_says_why() -> None:
    pair = Pair()
    (event,) = pair.engine.receive_data(frame(6, payload=b"short"), 0.0)
    assert isinstance(event, LinkLost)
    out = pair.engine.take()
    assert out[3] == 7
    assert int.from_bytes(out[13:17], "big") == ErrorCodes.FRAME_SIZE_ERROR
    assert pair.engine.receive_data(frame(4), 0.0) == []
    assert pair.engine.room == 0


@pytest.mark.parametrize("size", [100, 70_000])
def test_heads_beyond_the_limits_are_errors_of_one_kind_or_the_other(size: int) -> None:
    pair = Pair()
    stream = pair.open()
    pair.settle()
    pair.server.send_headers(stream, [*OK, *((f"x-{n}", "v" * size) for n in range(150 if size == 100 else 1))])
    kinds = [type(event) for event in pair.settle()]
    assert kinds in ([StreamGone], [LinkLost])
