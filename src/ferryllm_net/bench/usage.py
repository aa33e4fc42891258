"""What a tree of processes uses: CPU time and memory, from Linux's /proc; None elsewhere.

psutil knows the same for more systems; it is a compiled dependency that nothing else here needs, so the others are told
"not measured".
"""

from __future__ import annotations

import os
import pathlib

import msgspec

PROC = pathlib.Path("/proc")
LOOPBACK = {"127.0.0.1": "0100007F", "localhost": "0100007F", "::1": "00000000000000000000000001000000"}
"""Addresses as /proc/net/tcp and tcp6 write them on machines that count from the small end."""
_LISTEN = "0A"


class Usage(msgspec.Struct, frozen=True):
    """Of all processes of a tree together."""

    cpu: float
    """Seconds, user and system."""
    rss: int
    """Bytes; pages that several processes share count for each."""


def measure(root: int, proc: pathlib.Path = PROC) -> Usage | None:
    """What the process ``root`` and its descendants use; None where it cannot be known or it is gone."""
    total = Usage(0.0, 0)
    found = False
    for pid in tree(root, proc):
        usage = _one(pid, proc)
        if usage is not None:
            found = True
            total = Usage(total.cpu + usage.cpu, total.rss + usage.rss)
    return total if found else None


def tree(root: int, proc: pathlib.Path = PROC) -> list[int]:
    """``root`` and its descendants."""
    children: dict[int, list[int]] = {}
    for name in _numbers(proc):
        try:
            stat = (proc / name / "stat").read_text()
        except OSError:
            continue  # it has ended meanwhile
        children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    found = [root]
    for pid in found:  # grows while it is gone through
        found += children.get(pid, [])
    return found


def _numbers(folder: pathlib.Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.isdigit()]
    except OSError:
        return []


def _one(pid: int, proc: pathlib.Path) -> Usage | None:
    folder = proc / str(pid)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        rss = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        # The scheduler counts nanoseconds, but only of threads that live.
        fine = sum(int((folder / "task" / thread / "schedstat").read_text().split()[0]) for thread in _threads(folder))
    except (OSError, ValueError, IndexError):
        return None
    exact = fine / 1e9
    return Usage(exact if abs(exact - ticks) < 0.05 + 0.02 * ticks else ticks, rss)


def _threads(folder: pathlib.Path) -> list[str]:
    return _numbers(folder / "task")


def listening(host: str, port: int, proc: pathlib.Path = PROC) -> int | None:
    """The process of this machine that listens there; None for other machines and where it cannot be known.

    Of a server with several workers it is the oldest that holds the socket, so `measure` has them all.
    """
    if host not in LOOPBACK:
        return None
    inodes = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if fields[3] == _LISTEN and int(number, 16) == port and _reaches(address, host):
                inodes.add(f"socket:[{fields[9]}]")
    holders = [int(pid) for pid in _numbers(proc) if _holds(proc / pid / "fd", inodes)]
    return min(holders, default=None)


def _reaches(address: str, host: str) -> bool:
    return not address.strip("0") or address.endswith(LOOPBACK[host])


def _holds(folder: pathlib.Path, inodes: set[str]) -> bool:
    try:
        return any(os.readlink(folder / name) in inodes for name in os.listdir(folder))
    except OSError:
        return False  # another user's, or gone
