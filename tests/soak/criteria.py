"""What has to be flat at the end of a soak, and how that is told from noise.

Memory is compared as the median of the last third of the samples with the median of the middle third: in the first
third caches fill (prepared heads, kept responses up to their bound, arenas of the allocator), and a median does not see
the moment at which a large body passes. Python's allocator gives memory back in arenas of 1 MiB and glibc's in pages at
the top of the heap, so a few MiB come and go with the chance of what was alive at once.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from .process import Sample

FLAT_KIB = 4096
"""Growth that is noise in a run of minutes."""
SHORT_KIB = 24 * 1024
"""And in a short one, in which the caches are still filling."""
SHORT_SECS = 90.0
SPARE_FILES = 2
"""The socket of the scrape itself, and one that is being closed."""
SPARE_TASKS = 2
"""Its connection's tasks."""


class Memory(msgspec.Struct):
    """Resident memory over a run, in KiB."""

    start: int
    peak: int
    end: int
    middle: float
    """Median of the middle third of the time under load."""
    last: float
    """Of the last third."""
    per_thousand: float
    """KiB more for 1,000 requests, between the middles of these thirds."""
    limit: int
    """Of ``last - middle``."""

    @property
    def flat(self) -> bool:
        return self.last - self.middle <= self.limit


def memory(loaded: Sequence[Sample], end: Sample) -> Memory:
    """From the samples under load, at least three, and the one after it."""
    third = len(loaded) // 3
    middle, last = loaded[third : 2 * third], loaded[2 * third :]
    mean = [statistics.median(one.rss_kib for one in part) for part in (middle, last)]
    requests = [statistics.median(one.requests for one in part) for part in (middle, last)]
    between = max(1.0, requests[1] - requests[0])
    return Memory(
        start=loaded[0].rss_kib,
        peak=max(one.rss_kib for one in loaded),
        end=end.rss_kib,
        middle=mean[0],
        last=mean[1],
        per_thousand=(mean[1] - mean[0]) / between * 1000,
        limit=SHORT_KIB if loaded[-1].secs < SHORT_SECS else FLAT_KIB,
    )


def leftovers(before: Sample, after: Sample) -> list[str]:
    """What is more after the run than before its load; the scrape's own connection is one."""
    found = []
    for name, value, bound in (
        ("open connections", after.connections, 1),
        ("running exchanges", after.exchanges, 0),
        ("upstream connections in use", after.active, 0),
        ("idle upstream connections", after.idle, 0),
        ("open files", after.files, before.files + SPARE_FILES),
        ("tasks", after.tasks, before.tasks + SPARE_TASKS),
        ("threads", after.threads, before.threads),
    ):
        if value > bound:
            found.append(f"{value} {name}, expected at most {bound}")
    return found
