"""What the h2 library lets through and a gateway must not: a filter of frames in front of it.

Sans-IO, like `guard` for HTTP/1.1: bytes in, whole frames out one at a time, or a fault. It looks at the nine bytes
before each frame alone; what is in a frame is the library's to judge. Everything that costs a peer little and us a lot
is counted here, because h2 limits sizes and never rates.
"""

from __future__ import annotations

from h2.errors import ErrorCodes

from .limits import Limits
from .preface import PREFACE

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

_HEAD = 9
_LENGTHS = {RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_ACK = 0x1
_END_STREAM = 0x1
_END_HEADERS = 0x4
_PADDED = 0x8


class FrameFault(Exception):
    """The peer broke a rule of the connection, or a limit of ours; the connection ends with ``code``."""

    def __init__(self, code: ErrorCodes, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Budget:
    """How often something may happen: ``limit`` times in ``window`` seconds, counted from the first time on."""

    def __init__(self, limit: int, window: float) -> None:
        self.spent = 0
        self._limit = limit
        self._window = window
        self._since = 0.0

    def spend(self, now: float) -> bool:
        """Count one; whether it is still within the limit."""
        if now - self._since >= self._window:
            self._since = now
            self.spent = 0
        self.spent += 1
        return self.spent <= self._limit


class FrameGuard:
    """Cuts the bytes of one peer into frames and counts them. Iterate with `next_frame` until it answers None."""

    def __init__(self, limits: Limits, preface: bytes = PREFACE) -> None:
        self.passed = 0
        """Frames that came out and left no header block open: what was waited for has come."""
        self._buffer = bytearray()
        self._preface = preface
        self._limits = limits
        self._block_bytes = 0
        self._block_frames = 0
        self._block = False
        window = limits.h2_flood_secs
        # Precedents: CVE-2019-9512 (ping), -9515 (settings), -9518 (empty frames), -9513 (priority); nghttp2, Go and
        # Envoy count each of them since. Types beyond the table are extensions, which are ignored and so are free too.
        self._budgets = {
            kind: Budget(limits.h2_flood_frames, window) for kind in (PRIORITY, SETTINGS, PING, CONTINUATION, GOAWAY)
        }
        self._empty = Budget(limits.h2_flood_frames, window)
        self._unknown = Budget(limits.h2_flood_frames, window)
        self._updates = Budget(limits.h2_window_updates, window)

    @property
    def begun(self) -> bool:
        """The preface is complete."""
        return not self._preface

    @property
    def within_block(self) -> bool:
        """Nothing but CONTINUATION may come now."""
        return self._block

    @property
    def within_head(self) -> bool:
        """A header block or a frame other than DATA has begun and is not complete: somebody keeps us waiting."""
        return self._block or (len(self._buffer) > 3 and self._buffer[3] != DATA) or 0 < len(self._buffer) <= 3

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the peer. At most one unfinished frame stays behind `next_frame`."""
        self._buffer += data

    def next_frame(self, now: float) -> bytes | None:
        """The next whole frame (the first one with the preface before it), None when more bytes are needed.

        ``now`` in seconds, of any clock that does not go back. Raises `FrameFault`.
        """
        buffer, start = self._buffer, len(self._preface)
        if start and buffer[:start] != self._preface[: len(buffer)]:
            raise FrameFault(ErrorCodes.PROTOCOL_ERROR, "the connection does not begin with the preface")
        if len(buffer) < start + _HEAD:
            return None
        length = int.from_bytes(buffer[start : start + 3], "big")
        kind, flags = buffer[start + 3], buffer[start + 4]
        if length > self._limits.h2_frame_bytes:
            raise FrameFault(ErrorCodes.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
        if length != _LENGTHS.get(kind, length) or (kind == SETTINGS and (length % 6 or (flags & _ACK and length))):
            # h2 calls some of these protocol errors.
            raise FrameFault(ErrorCodes.FRAME_SIZE_ERROR, f"a frame of type {kind} with {length} bytes")
        stop = start + _HEAD + length
        if len(buffer) < stop:
            return None
        if start and kind != SETTINGS:
            # RFC 9113 section 3.4: SETTINGS are the first frame. h2 does not ask for it.
            raise FrameFault(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        frame = bytes(buffer[:stop])
        # CVE-2019-9518: empty or all padding, without an end.
        padded = kind == DATA and flags & _PADDED and length and frame[start + _HEAD] + 1 == length
        self._count(kind, flags, 0 if padded else length, now)
        del buffer[:stop]
        self._preface = b""
        self.passed += not self._block
        return frame

    def _count(self, kind: int, flags: int, length: int, now: float) -> None:
        if kind == DATA:
            if length == 0 and not flags & _END_STREAM:
                self._spend(self._empty, now, "empty DATA")
        elif kind in (HEADERS, CONTINUATION):
            self._count_block(kind, flags, length, now)
        elif kind == WINDOW_UPDATE:
            self._spend(self._updates, now, "WINDOW_UPDATE")
        elif kind in self._budgets:
            self._spend(self._budgets[kind], now, f"type {kind}")
        elif kind > CONTINUATION:
            self._spend(self._unknown, now, "unknown")

    def _count_block(self, kind: int, flags: int, length: int, now: float) -> None:
        """CONTINUATION flood (CVE-2024-27316, CVE-2024-28182, CVE-2023-45288): a header block that never ends, decoded
        or kept by the receiver, with nothing in a log because no request is ever complete."""
        if kind == HEADERS:
            self._block_bytes = self._block_frames = 0
        else:
            self._block_frames += 1
            self._spend(self._budgets[CONTINUATION], now, "CONTINUATION")
        self._block_bytes += length
        self._block = not flags & _END_HEADERS
        limits = self._limits
        if self._block_bytes > limits.head_bytes or self._block_frames > limits.h2_continuations:
            raise FrameFault(ErrorCodes.ENHANCE_YOUR_CALM, "a header block without an end")

    def _spend(self, budget: Budget, now: float, what: str) -> None:
        if not budget.spend(now):
            raise FrameFault(ErrorCodes.ENHANCE_YOUR_CALM, f"too many {what} frames")
