"""What a worker takes from its parent, and what it tells it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import anyio
import msgspec
import pytest

from ferryllm_net.gateway.listening import Given
from ferryllm_net.gateway.worker import READY, VARIABLE, Birth, Worker

GIVEN = (Given(port=3000), Given(descriptors=(7, 8)))


def born(control: socket.socket) -> tuple[Worker, dict[str, str]]:
    birth = Birth(2, os.dup(control.fileno()), GIVEN)
    environ = {VARIABLE: msgspec.json.encode(birth).decode(), "OTHER": "1"}
    worker = Worker.from_environment(environ)
    assert worker is not None
    return worker, environ


def test_without_the_variable_a_process_is_no_worker() -> None:
    assert Worker.from_environment({}) is None


def test_the_variable_is_read_once_and_not_handed_on() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker, environ = born(theirs)
        assert (worker.number, worker.given) == (2, GIVEN)
        assert environ == {"OTHER": "1"}
        assert not worker._control.get_inheritable()
        worker._control.close()


def test_the_text_of_the_configuration_is_read_from_its_descriptor(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    (tmp_path / "f").write_text("[server]\n")
    with ours, theirs:
        descriptor = os.open(tmp_path / "f", os.O_RDONLY)
        birth = Birth(1, os.dup(theirs.fileno()), GIVEN, "ferryllm.toml", descriptor)
        worker = Worker(birth)
        assert (worker.source, worker.text) == ("ferryllm.toml", "[server]\n")
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
        worker._control.close()


@pytest.mark.anyio
async def test_the_words_of_the_parent_are_handed_on() -> None:
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []
    with anyio.fail_after(10):
        with theirs:
            worker, _ = born(theirs)
        worker.heard = heard.append
        ours.send(b"\x01\x02")
        ours.close()
        await worker.wait_orphaned()
        worker._control.close()
    assert heard == [b"\x01\x02"]


@pytest.mark.anyio
async def test_the_parent_hears_that_it_is_ready_and_its_end_is_heard() -> None:
    ours, theirs = socket.socketpair()
    with anyio.fail_after(10):
        with theirs:
            worker, _ = born(theirs)
        worker.say_ready()
        assert ours.recv(10) == READY
        ours.send(b"what a later parent may say")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.wait_orphaned)
            await anyio.wait_all_tasks_blocked()
            ours.close()
        worker.say_ready()  # to nobody
        worker._control.close()
