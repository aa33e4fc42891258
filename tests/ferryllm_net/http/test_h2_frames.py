"""The filter of frames: cutting, sizes, counting."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes

from ferryllm_net.http import Limits
from ferryllm_net.http.h2_frames import Budget, FrameFault, FrameGuard
from ferryllm_net.http.preface import PREFACE
from support.h2_client import frame

SETTINGS = frame(0x4)
PING = frame(0x6, payload=bytes(8))


def begun(limits: Limits | None = None) -> FrameGuard:
    guard = FrameGuard(limits or Limits())
    guard.receive_data(PREFACE + SETTINGS)
    assert guard.next_frame(0) == PREFACE + SETTINGS
    return guard


def test_frames_come_out_one_by_one_however_they_arrive() -> None:
    data = PREFACE + SETTINGS + PING + frame(0x0, 0x1, 1, b"body")
    expected = [PREFACE + SETTINGS, PING, frame(0x0, 0x1, 1, b"body")]
    for step in (1, 5, len(data)):
        guard, found = FrameGuard(Limits()), []
        for start in range(0, len(data), step):
            guard.receive_data(data[start : start + step])
            while (one := guard.next_frame(0)) is not None:
                found.append(one)
        assert found == expected


@pytest.mark.parametrize("data", [b"GET", b"PRI * HTTP/2.0\r\n\r\nXX", PREFACE + PING])
def test_another_beginning_is_a_fault(data: bytes) -> None:
    guard = FrameGuard(Limits())
    guard.receive_data(data)
    with pytest.raises(FrameFault) as fault:
        guard.next_frame(0)
    assert fault.value.code is ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "data",
    [
        frame(0x0, 0, 1, bytes(16385))[:9],  # told by its head alone
        frame(0x6, payload=bytes(7)),
        frame(0x3, 0, 1, bytes(5)),
        frame(0x8, 0, 1, bytes(3)),
        frame(0x4, payload=bytes(5)),
        frame(0x4, 0x1, payload=bytes(6)),
    ],
)
def test_frame_of_a_wrong_size_is_a_fault(data: bytes) -> None:
    guard = begun()
    guard.receive_data(data)
    with pytest.raises(FrameFault) as fault:
        guard.next_frame(0)
    assert fault.value.code is ErrorCodes.FRAME_SIZE_ERROR


def test_what_is_spread_over_time_is_no_flood() -> None:
    guard = begun(Limits(h2_flood_frames=10, h2_flood_secs=10))
    for second in range(0, 100, 2):
        guard.receive_data(PING)
        assert guard.next_frame(float(second)) == PING


def test_within_head_tells_who_keeps_us_waiting() -> None:
    guard = begun()
    assert not guard.within_head
    guard.receive_data(frame(0x1, 0x1, 1, b"\x82"))
    assert guard.next_frame(0) is not None
    assert guard.within_head
    assert guard.within_block
    guard.receive_data(frame(0x9, 0x4, 1, b""))
    assert guard.next_frame(0) is not None
    assert not guard.within_head
    guard.receive_data(frame(0x0, 0, 1, b"body")[:11])
    assert guard.next_frame(0) is None
    assert not guard.within_head, "a body has deadlines of its own"
    guard = begun()
    guard.receive_data(b"\x00\x00")
    assert guard.within_head


def test_budget_counts_from_the_first_of_its_window() -> None:
    budget = Budget(2, 10)
    assert [budget.spend(now) for now in (100, 101, 102, 109.9, 110, 111, 112)] == [
        True, True, False, False, True, True, False,
    ]  # fmt: skip
