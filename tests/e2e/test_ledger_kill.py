"""kill -9 under load: every answer that a client has completely is in the ledger."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import anyio
import anyio.abc
import anyio.to_thread
import h11
import pytest

from ferryllm_net.ledger import Ledger
from ferryllm_net.ledger.postgres import PostgresLedger
from ferryllm_net.ledger.sqlite import SqliteLedger
from ferryllm_net.mock import serve_mock
from ferryllm_net.postgres import open_database
from support import postgres_server
from support.ledgers import until
from support.processes import Gateway, gateway

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX"),
]

CLIENTS = 8
BEFORE = 60
"""Answers before the kill: each process has some under way and some behind it."""
SERVER = """
[responses]
store = "off"
[logging]
level = "info"
[prices]
file = "prices.json"
[ledger]
{ledger}
[[providers]]
name = "mock"
type = "openai"
base_url = "{url}/v1"
"""


class Load:
    """Clients that ask one thing after the other, whole answers and streams, translated and not."""

    def __init__(self, bases: list[str]) -> None:
        self._bases = bases
        self.complete: set[str] = set()
        """The requests whose answers came to their end."""
        self._asked = 0
        self.enough = anyio.Event()

    async def run(self, number: int) -> None:
        """One client, until its gateway is gone."""
        where = urlsplit(self._bases[number % len(self._bases)])
        assert where.hostname is not None
        assert where.port is not None
        with contextlib.suppress(OSError, anyio.BrokenResourceError, anyio.EndOfStream, h11.RemoteProtocolError):
            async with await anyio.connect_tcp(where.hostname, where.port) as stream:
                connection = h11.Connection(h11.CLIENT)
                while True:
                    await self._ask(stream, connection)
                    connection.start_next_cycle()

    async def _ask(self, stream: anyio.abc.SocketStream, connection: h11.Connection) -> None:
        self._asked += 1
        name, streamed = f"ask-{self._asked}", self._asked % 2 == 0
        path = ("/v1/chat/completions", "/v1/messages")[self._asked % 4 // 2]
        message = {"role": "user", "content": "mock: text=ferry"}
        body = json.dumps({"model": "demo", "max_tokens": 100, "stream": streamed, "messages": [message]}).encode()
        fields = [("host", "127.0.0.1"), ("content-type", "application/json"), ("content-length", str(len(body)))]
        head = connection.send(h11.Request(method="POST", target=path, headers=[*fields, ("x-request-id", name)]))
        assert head is not None
        await stream.send(head + (connection.send(h11.Data(data=body)) or b""))
        connection.send(h11.EndOfMessage())
        said = b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive())
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.Data):
                said += bytes(event.data)
                if b"[DONE]" in said or b"message_stop" in said:
                    self.complete.add(name)  # a client need not wait for HTTP's own end behind it
            elif isinstance(event, h11.Response):
                assert event.status_code == 200
        self.complete.add(name)
        if len(self.complete) >= BEFORE:
            self.enough.set()


async def _ids(ledger: Ledger) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        page = await ledger.rows(after=after)
        found += [row.id for row in page.rows if row.outcome == "ok"]
        after = page.after
        if after is None:
            return found


@contextlib.asynccontextmanager
async def _serving(
    folder: pathlib.Path, ledger: str, backend: str, *arguments: str, gateways: int = 1, more: str = ""
) -> AsyncIterator[list[Gateway]]:
    config = folder / "ferryllm.toml"
    async with serve_mock() as url:
        await anyio.Path(config).write_text(SERVER.format(ledger=ledger, url=url) + more)
        await anyio.Path(folder / "prices.json").write_text("{}")  # the real list takes a third of a second
        with contextlib.ExitStack() as stack:
            yield [
                await anyio.to_thread.run_sync(stack.enter_context, gateway(config, *arguments, backend=backend))
                for _ in range(gateways)
            ]


async def _kill_under_load(running: list[Gateway], pids: list[int]) -> Load:
    """Load all of ``running``, kill the processes with these ``pids``, stop the load; what came to its end before."""
    load = Load([one.base_url for one in running])
    async with anyio.create_task_group() as tasks:
        for number in range(CLIENTS):
            tasks.start_soon(load.run, number)
        with anyio.fail_after(60):
            await load.enough.wait()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for one in running:
            if one.process.pid in pids:
                await anyio.to_thread.run_sync(one.process.wait)
        await anyio.sleep(0.05)  # what the kernel still has for the clients
        tasks.cancel_scope.cancel()
    return load


def _check(load: Load, rows: list[str]) -> None:
    assert len(load.complete) >= BEFORE
    assert load.complete <= set(rows), f"lost: {sorted(load.complete - set(rows))}"
    assert len(rows) == len(set(rows))


def _workers(one: Gateway) -> list[int]:
    """Process ids, by its log."""
    return [int(pid) for pid in re.findall(r"worker started worker=\d+ pid=(\d+)", one.log)]


async def _sqlite_round(folder: pathlib.Path, backend: str, *, workers: int) -> None:
    async with _serving(folder, 'path = "ledger.db"', backend, "--workers", str(workers)) as running:
        (one,) = running
        pids = [one.process.pid]
        if workers > 1:
            # Their lines come by another way than the address.
            await until(lambda: len(_workers(one)) == workers)
            pids = _workers(one)
        load = await _kill_under_load(running, pids[:1])
    ledger = SqliteLedger.open(folder / "ledger.db", writing=False)
    rows = await _ids(ledger)
    await ledger.aclose()
    _check(load, rows)


async def _postgres_round(folder: pathlib.Path, backend: str) -> None:
    url = postgres_server.shared().place()
    more = f'[postgres]\nurl = "{url}"\n'
    async with _serving(folder, 'store = "postgres"', backend, gateways=2, more=more) as running:
        load = await _kill_under_load(running, [running[0].process.pid])
    async with open_database(postgres_server.shared().settings(url)) as database:
        _check(load, await _ids(await PostgresLedger.open(database, writing=False)))


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_gateway(tmp_path: pathlib.Path, anyio_backend_name: str) -> None:
    await _sqlite_round(tmp_path, anyio_backend_name, workers=1)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_one_of_two_workers(tmp_path: pathlib.Path, anyio_backend_name: str) -> None:
    await _sqlite_round(tmp_path, anyio_backend_name, workers=2)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_one_of_two_replicas(tmp_path: pathlib.Path, anyio_backend_name: str) -> None:
    await _postgres_round(tmp_path, anyio_backend_name)


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["one", "workers", "replicas"])
async def test_many_rounds(tmp_path: pathlib.Path, anyio_backend_name: str, kind: str) -> None:
    for number in range(5):
        folder = tmp_path / str(number)
        await anyio.Path(folder).mkdir()
        if kind == "replicas":
            await _postgres_round(folder, anyio_backend_name)
        else:
            await _sqlite_round(folder, anyio_backend_name, workers=1 if kind == "one" else 2)
