"""What is true of the other workers right now: each says it on a socket of the shared folder, and the one that is asked
for metrics asks the rest.

Counters need none of this, they stand in shared files. A gauge is a look at something alive, so a worker that is dead
has none, and nobody has to sweep up after it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.abc
import msgspec

from .cells import MAX_FILES, Numbers, Series, add

SUFFIX = ".gauges"
ANSWER_SECS = 0.5
"""How long another worker may take. It needs a millisecond; one that hangs must not take the metrics of all with it,
and Prometheus waits for 10 s by default."""
MAX_ANSWER = 1 << 20
"""Bytes of one answer: a thousand times the usual one."""

_Wire = list[tuple[Series, list[float]]]


async def answer(
    path: Path,
    read: Callable[[], Numbers],
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Tell everybody who connects to the socket at ``path`` what ``read`` finds; runs until cancelled.

    Raises OSError where the socket can not be made.
    """
    path.unlink(missing_ok=True)  # noqa: ASYNC240 - memory, in effect; of one that died; nobody else may use the name, which belongs to a locked file
    listener = await anyio.create_unix_listener(path, mode=0o600)

    async def tell(stream: anyio.abc.SocketStream) -> None:
        with anyio.move_on_after(ANSWER_SECS):
            try:
                async with stream:
                    await stream.send(msgspec.json.encode(list(read().items())))
            except (OSError, anyio.BrokenResourceError):
                return  # who asked has gone

    async with listener:
        task_status.started()
        await listener.serve(tell)


async def ask(folder: Path, own: Path) -> tuple[Numbers, int]:
    """The sum of what the others say, and how many did. ``own`` is the socket of who asks."""
    total: Numbers = {}
    answers: list[Numbers] = []

    async def one(path: str) -> None:
        with anyio.move_on_after(ANSWER_SECS):
            found = await _ask(path)
            if found is not None:
                answers.append(found)

    async with anyio.create_task_group() as tasks:
        for path in _sockets(folder):
            if path != own:
                tasks.start_soon(one, os.fspath(path))
    for found in answers:
        add(total, found)
    return total, len(answers)


def _sockets(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))[:MAX_FILES]


async def _ask(path: str) -> Numbers | None:
    data = b""
    try:
        async with await anyio.connect_unix(path) as stream:
            while len(data) <= MAX_ANSWER:
                try:
                    data += await stream.receive()
                except anyio.EndOfStream:
                    return dict(msgspec.json.decode(data, type=_Wire))
    except (OSError, anyio.BrokenResourceError, msgspec.DecodeError):
        return None  # it has died, and its socket stayed
    return None
