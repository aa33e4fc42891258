"""What workers tell each other: what one that is dead, mute or mad does to who asks."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import pytest

from ferryllm_net.telemetry import siblings
from ferryllm_net.telemetry.cells import Numbers
from ferryllm_net.telemetry.siblings import answer, ask

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no workers"),
]


@asynccontextmanager
async def saying(path: Path, content: bytes, *, end: bool = True) -> AsyncIterator[None]:
    """Somebody at ``path`` who answers with ``content``, and goes on or not."""

    async def tell(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(content)
            if not end:
                await anyio.sleep_forever()

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, tell)
        yield
        tasks.cancel_scope.cancel()


async def test_all_but_oneself_are_asked(tmp_path: Path) -> None:
    numbers: Numbers = {("a",): [1.0], ("b", "x"): [2.0]}
    async with anyio.create_task_group() as tasks:
        for name in ("1", "2", "3"):
            await tasks.start(answer, tmp_path / f"{name}.gauges", lambda: numbers)
        assert await ask(tmp_path, tmp_path / "2.gauges") == ({("a",): [2.0], ("b", "x"): [4.0]}, 2)
        assert os.stat(tmp_path / "1.gauges").st_mode & 0o777 == 0o600
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("content", [b"", b"{", b'[["a",1]]', b"null", b'[[["a"],["x"]]]'])
async def test_nonsense_is_no_answer(tmp_path: Path, content: bytes) -> None:
    async with saying(tmp_path / "1.gauges", content):
        assert await ask(tmp_path, tmp_path / "2.gauges") == ({}, 0)


async def test_one_that_has_died_is_no_answer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.fspath(tmp_path / "1.gauges"))
    assert await ask(tmp_path, tmp_path / "2.gauges") == ({}, 0)


async def test_one_that_hangs_does_not_hold_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "ANSWER_SECS", 0.05)
    async with saying(tmp_path / "1.gauges", b"[", end=False), saying(tmp_path / "3.gauges", b'[[["a"],[1.0]]]'):
        assert await ask(tmp_path, tmp_path / "2.gauges") == ({("a",): [1.0]}, 1)


async def test_an_answer_without_end_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "MAX_ANSWER", 100)
    async with saying(tmp_path / "1.gauges", b"[" + b" " * 200 + b"]"):
        assert await ask(tmp_path, tmp_path / "2.gauges") == ({}, 0)
