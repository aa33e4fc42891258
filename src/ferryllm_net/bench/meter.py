"""Meter: what is counted of the requests to one target; and `Judge`, which looks at one answer while it comes. Pure."""

from __future__ import annotations

from .answers import STAMP, STAMP_BYTES
from .doors import LONGEST_MARK, Door
from .histogram import Histogram
from .reader import BrokenAnswerError


class Meter:
    """Counters and histograms of one target; times in nanoseconds."""

    def __init__(self) -> None:
        self.sent = 0
        self.ok = 0
        self.errors: dict[str, int] = {}
        """By kind."""
        self.bytes = 0
        """Of the bodies of all answers."""
        self.chunks = 0
        self.connections = 0
        self.wall = 0
        """While requests ran."""
        self.latency = Histogram()
        """To the end of the answer; of good answers only, as the following."""
        self.first_byte = Histogram()
        """To the first byte of the body."""
        self.way = Histogram()
        """From the sending of a delta to its arrival."""
        self.gap = Histogram()
        """Between two reads that brought some of a stream."""

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    def fail(self, kind: str) -> None:
        self.errors[kind] = self.errors.get(kind, 0) + 1


class Judge:
    """Watches the body of one answer and says at its end whether it was whole.

    ``stamped``: the deltas carry the time of their sending by a clock of this machine. ``expected`` is how many deltas
    there must be (None: not known).
    """

    def __init__(self, door: Door, *, stamped: bool, expected: int | None) -> None:
        self.chunks = 0
        self.bytes = 0
        self.ways: list[int] = []
        self.arrivals: list[int] = []
        """Of the reads, in nanoseconds of the load's clock."""
        self._door = door
        self._stamped = stamped
        self._expected = expected
        self._missing = list(door.marks)
        self._carried = b""
        self._newest = 0

    def receive(self, body: bytes, now: int, unix: int) -> None:
        """A piece of the body that came at ``now``; ``unix`` is the same moment in nanoseconds of Unix time."""
        self.bytes += len(body)
        self.arrivals.append(now)
        joined = self._carried + body
        if self._missing:
            self._missing = [mark for mark in self._missing if mark.search(joined) is None]
        if self._door.stream:
            if self._stamped:
                self._read_stamps(joined, unix)
            else:
                self.chunks += body.count(self._door.event)
        self._carried = joined[-LONGEST_MARK:]

    def _read_stamps(self, joined: bytes, unix: int) -> None:
        # A stamp that is in what was carried over is older than the newest and so not counted twice.
        assert STAMP_BYTES <= LONGEST_MARK
        for found in STAMP.finditer(joined):
            sent = int(found[1])
            if sent > self._newest:
                self._newest = sent
                self.chunks += 1
                self.ways.append(unix - sent)

    def verdict(self, status: int) -> None:
        """Raises `BrokenAnswerError`, with the kind of error as its message, unless the answer was whole."""
        if status != 200:
            raise BrokenAnswerError(f"status {status}")
        if self._missing:
            raise BrokenAnswerError("unfinished stream" if self._door.stream else "not an answer of its dialect")
        if self._door.stream and self._expected is not None and self.chunks != self._expected:
            raise BrokenAnswerError("chunks missing")

    def report(self, meter: Meter) -> None:
        """Count what was seen; of a good answer."""
        meter.chunks += self.chunks
        meter.bytes += self.bytes
        for way in self.ways:
            meter.way.record(way)
        if self._door.stream:
            for before, after in zip(self.arrivals, self.arrivals[1:], strict=False):
                meter.gap.record(after - before)
