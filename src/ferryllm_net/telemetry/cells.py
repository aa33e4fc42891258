"""Where the numbers are: cells of floats, by series, in this process's memory or in a file that its siblings read.

Counting is the same in both: a cell is something whose items can be added to. In a file the cells are the mapped bytes
themselves, so that nothing is written, copied or flushed for a request, and what a process counted survives it however
it ends. A file belongs to one process at a time; who comes later goes on with it, so that a worker that dies over and
over leaves one file and no counter falls.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from .families import EVENTS, MAX_SERIES, OBSERVED, Family, Kind

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder of shared counters, as other programs call it; the parent of workers sets it."""

MAX_FILE = 8 << 20
"""Bytes of one file: 20,000 series of 400 bytes, three times those of a histogram. Sparse: what is not used takes
neither memory nor disk where the system knows holes."""
MAX_FILES = 512
"""Files in one folder: as many as workers, whose number the configuration bounds by 256."""

_MAGIC = zlib.crc32(repr((OBSERVED, EVENTS)).encode()).to_bytes(8, "little")
"""Of these families and no others: what another version has left in a folder is none of ours."""
_HEAD = struct.Struct("=8sQ")
"""Magic and the bytes in use, these included."""
_RECORD = struct.Struct("=II")
"""Bytes of the series' name, and how many floats follow it; the name is filled up to whole floats."""


class Cell(Protocol):
    """The floats of one series."""

    def __getitem__(self, index: int, /) -> float: ...

    def __setitem__(self, index: int, value: float, /) -> None: ...

    def __len__(self) -> int: ...


Series = tuple[str, ...]
"""Name of the family and the values of its labels."""
Numbers = dict[Series, list[float]]


def width(family: Family) -> int:
    """Floats in a cell: one, or of a histogram the sum and the buckets, that of infinity last."""
    return len(family.buckets) + 2 if family.kind is Kind.HISTOGRAM else 1


class Cells:
    """In memory."""

    def __init__(self) -> None:
        self._cells: dict[Series, list[float]] = {}
        self._spare: list[float] | None = None

    def cell(self, family: Family, *values: str) -> Cell:
        """The cell of a series, made where it is not there. Keep it: this look costs more than counting."""
        series = (family.name, *values)
        found = self._cells.get(series)
        if found is None:
            if len(self._cells) >= MAX_SERIES:
                return [0.0] * width(family)  # counted for nobody
            found = self._cells[series] = [0.0] * width(family)
        return found

    def numbers(self) -> Numbers:
        """All of them as they are now."""
        return {series: [*cell] for series, cell in self._cells.items()}

    def close(self) -> None:
        """Nothing to do."""


class SharedCells:
    """In a file of ``folder`` that no other process has. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        import mmap  # of several workers alone

        self._folder = folder
        self._cells: dict[Series, memoryview[float]] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # the variable may be somebody else's
        self._descriptor, self.path = _claim(folder)
        try:
            os.ftruncate(self._descriptor, MAX_FILE)
            self._map = mmap.mmap(self._descriptor, MAX_FILE)
        except (OSError, ValueError):
            os.close(self._descriptor)
            raise
        self._floats = memoryview(self._map).cast("d")
        self._used = _HEAD.size
        for series, at, count in _records(memoryview(self._map)):
            self._cells[series] = self._floats[at // 8 : at // 8 + count]
            self._used = at + 8 * count
        self._publish()

    def cell(self, family: Family, *values: str) -> Cell:
        """As `Cells.cell`."""
        series = (family.name, *values)
        found = self._cells.get(series)
        if found is None:
            return self._make(series, width(family))
        return found

    def _make(self, series: Series, count: int) -> Cell:
        name = msgspec.json.encode(series)
        name = name.ljust(-(-len(name) // 8) * 8)
        start = self._used + _RECORD.size
        at = start + len(name)
        end = at + 8 * count
        if end > MAX_FILE or len(self._cells) >= MAX_SERIES:
            return [0.0] * count  # counted for nobody
        self._map[start:at] = name
        _RECORD.pack_into(self._map, self._used, len(name), count)
        cell = self._cells[series] = self._floats[at // 8 : end // 8]
        for n in range(count):
            cell[n] = 0.0
        self._used = end
        self._publish()  # last: who reads meanwhile sees whole records
        return cell

    def _publish(self) -> None:
        _HEAD.pack_into(self._map, 0, _MAGIC, self._used)

    def numbers(self) -> Numbers:
        """Those of all processes, dead ones included, added up."""
        total: Numbers = {}
        for path in sorted(self._folder.glob(f"*{SUFFIX}"))[:MAX_FILES]:
            with suppress(OSError):
                add(total, _read(path))
        return total

    def close(self) -> None:
        """Leave the file to whoever comes next."""
        for cell in self._cells.values():
            cell.release()
        self._cells.clear()
        self._floats.release()
        with suppress(BufferError):  # somebody kept a cell: the map goes with it
            self._map.close()
        os.close(self._descriptor)


SUFFIX = ".counts"


def _claim(folder: Path) -> tuple[int, Path]:
    """A file of the folder that nobody has locked; locks end with their process."""
    import fcntl  # shared counters are for several workers, which Windows has not

    for number in range(1, MAX_FILES + 1):
        path = folder / f"{number}{SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
        else:
            return descriptor, path
    raise OSError(f"no free file for counters in {folder}")


def _read(path: Path) -> Numbers:
    with path.open("rb") as stream:
        head = stream.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return {}
        used = min(_HEAD.unpack(head)[1], MAX_FILE)
        content = memoryview(bytearray(head + stream.read(max(used - _HEAD.size, 0))))
    if len(content) % 8:
        return {}
    floats = content.cast("d")
    return {series: [*floats[at // 8 : at // 8 + count]] for series, at, count in _records(content)}


def _records(content: memoryview) -> Iterator[tuple[Series, int, int]]:
    """Series, place of its floats and their number; nothing of what is no such file."""
    magic, used = _HEAD.unpack_from(content)
    if magic != _MAGIC:
        return
    at, used = _HEAD.size, min(used, len(content))
    while at + _RECORD.size <= used:
        length, count = _RECORD.unpack_from(content, at)
        start = at + _RECORD.size
        at = start + length + 8 * count
        if at > used:
            return
        yield msgspec.json.decode(bytes(content[start : start + length]), type=Series), start + length, count


def add(total: Numbers, more: Numbers) -> None:
    """Add ``more`` to ``total``. Cells of another version's width are left out."""
    for series, numbers in more.items():
        there = total.get(series)
        if there is None:
            total[series] = [*numbers]
        elif len(there) == len(numbers):
            for n, number in enumerate(numbers):
                there[n] += number
