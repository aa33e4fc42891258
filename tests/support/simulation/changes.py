"""A whole gateway whose configuration is changed under traffic, and whose ledger's database has troubles.

Providers answer well and clients stay or leave, so that of every answer it is known what it has to be. Each generation
of the configuration has its own provider, key, and model: what a provider gets says which one a request belongs to.
"""

from __future__ import annotations

import functools
import io
import json
import pathlib
import random
import re
import tempfile
from collections import Counter
from typing import Literal

import anyio
import anyio.abc
import msgspec

from ferryllm_net.admission import MemoryDoor
from ferryllm_net.config import Settings, load_settings
from ferryllm_net.config.ledger_settings import LedgerSettings
from ferryllm_net.gateway import App, building
from ferryllm_net.gateway.parts import Parts
from ferryllm_net.gateway.recording import UNWRITTEN
from ferryllm_net.http import Limits, Origin, Pool, Request, Server, Transport, TransportError
from ferryllm_net.telemetry import Log
from ferryllm_proto.actions import Record
from ferryllm_proto.routing.quota import Period, Quota, Unit
from support.streams import MemoryTransport, wire

from . import fake_database
from .worlds import is_over

GENERATIONS = 6
LAPTOP, GUEST = "fk-laptop-0123456789", "fk-guest-0123456789"
PLACES, QUEUE, WAIT_SECS = 2, 1, 2.0
DEADLINE_SECS = 1.0
MARGIN_SECS = 0.5
"""For sweeps and wires."""
LONGEST_SECS = 5.0
"""Of an answer."""
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_KEY = re.compile(rb"authorization: bearer (\S+)", re.IGNORECASE)


class Changes:
    """One seed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.quota = rng.choice((8, 10_000))
        self.refuses = rng.random() < 0.5
        self.most = rng.choice((3, 10_000))
        self.ends: Counter[str] = Counter()
        self.records: list[Record] = []
        self.errors: list[Exception] = []
        self.generation = 0
        self.spans: list[list[float]] = []
        """When each generation began and ended."""
        self.well_since: float | None = 0.0
        self.at_work: set[str] = set()
        """Ids of requests that a provider has not answered to their end."""
        self.gone: set[str] = set()
        """Of those whose client has left: a provider hears of it at its next write."""
        self.sent: dict[str, float] = {}
        """When each request was sent, by its id."""
        self.reached: Counter[str] = Counter()
        """Times that a request came to a provider."""
        self._tasks: anyio.abc.TaskGroup

    async def live(self) -> None:
        failure: Literal["refuse", "continue"] = "refuse" if self.refuses else "continue"
        ledger = LedgerSettings("postgres", on_failure=failure, deadline_secs=DEADLINE_SECS, max_waiting=self.most)
        found = [_settings(number, self.quota) for number in range(GENERATIONS)]
        self.settings = [msgspec.structs.replace(one, ledger=ledger) for one in found]
        keys = [one.api_key for settings in found for one in settings.providers if one.api_key is not None]
        self.database = fake_database.FakeDatabase(self.rng)
        parts = Parts()
        parts.ledger = self.ledger = fake_database.ledger(self.database, self.most)
        limits = Limits()
        log = Log(io.StringIO(), "info", now=lambda: 0.0, secrets=keys)
        self.app = app = App(self.settings[0], log, limits=limits, parts=parts)
        app.observers.append(self.records.append)
        server = Server(app.handle, limits=limits, on_error=self._note)
        self.begun = anyio.current_time()
        self.spans.append([self.begun, float("inf")])
        async with anyio.create_task_group() as self._tasks:
            async with Pool(limits=limits, dial=self._dial) as app.pool, anyio.create_task_group() as tasks:
                await tasks.start(server.serve)
                tasks.start_soon(app.sweep)
                tasks.start_soon(self.ledger.run)
                async with anyio.create_task_group() as traffic:
                    traffic.start_soon(self._change)
                    traffic.start_soon(self._troubles)
                    for number in range(self.rng.choice((15, 40))):
                        traffic.start_soon(self._client, server, tasks, f"r-{number}")
                await anyio.sleep(12.0)
                assert not app.running, "requests that never end"
                self._judge_end()
                tasks.cancel_scope.cancel()
            await app.aclose()
            self._tasks.cancel_scope.cancel()

    def _note(self, request: Request, exc: Exception) -> None:
        self.errors.append(exc)

    # --- what happens ---

    async def _change(self) -> None:
        app = self.app
        for number in range(1, GENERATIONS):
            await anyio.sleep(self.rng.uniform(0.5, 8.0))
            now = anyio.current_time()
            self.spans[-1][1] = now
            self.spans.append([now, float("inf")])
            self.generation = number
            kept = app.change(self.settings[number])
            assert not kept, f"kept: {kept}"
            if self.rng.random() < 0.5:
                app.change_keys(building.key_book(app.settings))

    async def _troubles(self) -> None:
        for _ in range(3):
            await anyio.sleep(self.rng.uniform(0.5, 8.0))
            self.well_since, self.database.mode = None, self.rng.choice(fake_database.TROUBLES)
            await anyio.sleep(self.rng.choice((0.5, 3.0, 15.0)))
            self.well_since, self.database.mode = anyio.current_time(), "well"

    # --- clients ---

    async def _client(self, server: Server, tasks: anyio.abc.TaskGroup, id_: str) -> None:
        rng = self.rng
        await anyio.sleep(rng.random() * 35.0)
        near, far = wire(rng.choice((1000, 1 << 20)))
        tasks.start_soon(server.serve_connection, far)
        key = LAPTOP if rng.random() < 0.8 else GUEST
        body = json.dumps(
            {"model": "m-1", "stream": rng.random() < 0.5, "messages": [{"role": "user", "content": f"<{id_}>"}]}
        ).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        head += f"x-request-id: {id_}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        begun = self.sent[id_] = anyio.current_time()
        well_since = self.well_since if self._well() else None
        data, left = bytearray(), rng.random() < 0.2
        try:
            with anyio.move_on_after(rng.choice((0.0, 0.1, 1.0, 4.0)) if left else 1000.0):
                await near.send(head.encode() + body)
                while not is_over(bytes(data)):
                    piece = await near.receive(1 << 16)
                    if not piece:
                        break
                    data += piece
                left = False
        except TransportError:
            pass
        if left:
            self.gone.add(id_)
        else:
            well = well_since is not None and well_since == self.well_since
            self._judge(id_, key, bytes(data), anyio.current_time() - begun, well)
        await near.aclose()

    def _well(self) -> bool:
        """Whether the database has been well long enough for rows to be written as they come."""
        return self.well_since is not None and anyio.current_time() - self.well_since > 6.0

    def _judge(self, id_: str, key: str, data: bytes, secs: float, well: bool) -> None:
        """What a client that stayed got."""
        status = int(data[9:12] or b"0")
        whole = is_over(data)
        longest = WAIT_SECS + LONGEST_SECS + DEADLINE_SECS + MARGIN_SECS
        assert secs <= longest, f"an answer took {secs:.1f} s: the ledger holds it up"
        if status == 200 and whole:
            assert id_.encode() in data, "the answer is another one's"
            if self.refuses or well:
                assert id_ in self.database.ids, "an answer went out before its row was written"
            self.ends["ok"] += 1
        elif status == 401:
            assert key == GUEST, "a key is gone that was never taken away"
            assert any(number % 2 for number in self._generations(id_)), "a key is gone before its time"
            self.ends["key"] += 1
        elif b"concurrency_limit_exceeded" in data:
            # Who was let wait had found it full, and made room for a key with fewer requests or waited too long; what
            # the door owes to those in its queue is judged in `doors`.
            assert secs > 0.0 or len(self.app.running) >= PLACES, "turned away for nothing"
            self.ends["busy"] += 1
        elif status in (402, 429):
            assert b"quota" in data, f"an answer that nobody expects: {data!r}"
            assert key == LAPTOP
            self.ends["quota"] += 1
        else:
            unwritten = (b"ledger_unavailable" in data or not whole) and self.refuses and not well
            assert unwritten, f"a request is lost: {data[:300]!r}"
            self.ends["unwritten"] += 1

    def _generations(self, id_: str) -> list[int]:
        """Those that were in force when it was sent: two at the very moment of a change."""
        sent = self.sent[id_]
        return [number for number, (begin, end) in enumerate(self.spans) if begin <= sent <= end]

    # --- providers ---

    async def _dial(self, origin: Origin) -> Transport:
        await anyio.sleep(self.rng.choice((0.0, 0.01)))
        near, far = wire(1 << 20)
        self._tasks.start_soon(self._provider, far, origin.host)
        return near

    async def _provider(self, far: MemoryTransport, host: str) -> None:
        try:
            while await self._serve(far, host):
                pass
        except TransportError:
            pass
        await far.aclose()

    async def _serve(self, far: MemoryTransport, host: str) -> bool:
        rng, data = self.rng, b""
        while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < _number(data):
            piece = await far.receive()
            if not piece:
                return False
            data += piece
        body = json.loads(data.partition(b"\r\n\r\n")[2])
        id_, key = body["messages"][0]["content"].strip("<>"), _KEY.search(data)
        assert key is not None
        told = (body["model"], host, key[1].decode())
        number = int(told[0].partition("-")[2])
        assert told == (f"real-{number}", f"p{number}.test", f"pk-{number}-0123456789"), (
            f"of two configurations: {told}"
        )
        assert number in self._generations(id_), "a request does not keep the configuration it began with"
        self.reached[id_] += 1
        self.at_work.add(id_)
        try:
            assert len(self.at_work - self.gone) <= PLACES, "more requests than places"
            await self._answer(far, id_, rng.choice((0.0, 0.1, 0.5, LONGEST_SECS / 3)), stream=bool(body.get("stream")))
        finally:
            self.at_work.discard(id_)
        return True

    async def _answer(self, far: MemoryTransport, id_: str, pause: float, *, stream: bool) -> None:
        await anyio.sleep(pause)
        common = {"id": "c1", "object": "chat.completion", "created": 1, "model": "real"}
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        if not stream:
            message = {"role": "assistant", "content": id_}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            body = json.dumps({**common, "choices": [choice], "usage": usage}).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            await far.send(head.encode() + body)
            return
        await far.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        common["object"] = "chat.completion.chunk"
        for delta, finish in (({"role": "assistant", "content": id_}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            event = b"data: %b\n\n" % json.dumps({**common, "choices": [choice]}).encode()
            await far.send(b"%x\r\n%b\r\n" % (len(event), event))
            await anyio.sleep(pause)
        event = b"data: %b\n\ndata: [DONE]\n\n" % json.dumps({**common, "choices": [], "usage": usage}).encode()
        await far.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event))

    # --- the end ---

    def _judge_end(self) -> None:
        assert not self.errors, f"faults of the gateway: {self.errors}"
        assert isinstance(self.app.door, MemoryDoor)
        assert (self.app.door.inside, self.app.door.waiting) == (0, 0), "somebody is still there"
        assert self.ledger.waiting == 0, "rows that were never written"
        ids, known = Counter(self.database.ids), Counter(record.id for record in self.records)
        assert max(known.values(), default=0) <= 1, "a request with two records"
        assert max(ids.values(), default=0) <= 1, "a row was written twice"
        assert set(ids) <= set(known), "rows of nobody"
        # Who is turned away because rows can not be written leaves none.
        away = sum(not one.attempts and one.error is not None and one.error.code == UNWRITTEN for one in self.records)
        assert self.refuses or not away
        missing, lost = len(known) - len(ids) - away, self.ledger.lost
        # A row that was given up may have been written by a commit that nobody heard of.
        assert missing <= lost <= missing + self.database.unheard, f"{missing} rows are missing, {lost} were given up"
        assert self.ledger.lost == 0 or self.most < 100, "a row was given up while there was room"
        assert max(self.reached.values(), default=0) <= 1, "a provider was asked twice"
        records = {record.id: record for record in self.records}
        asked = sum(one.attempts > 0 for one in self.records if one.key is not None and one.key.name == "laptop")
        (key,) = (key for key in self.app.book if key.name == "laptop")
        used = self.app.door.desk.accounts.used(f"key/{key.id}", Quota(Unit.REQUESTS, Period.EVER, self.quota), 1.0)
        assert used == asked <= self.quota, f"{used} requests counted, {asked} asked a provider, {self.quota} allowed"
        assert all(records[id_].attempts > 0 for id_ in self.reached)
        self.ends["lost"] += self.ledger.lost


@functools.lru_cache(maxsize=2 * GENERATIONS)
def _settings(number: int, quota: int) -> Settings:
    """The configuration of a generation; guests have a key in every other one."""
    guest = '[[auth.keys]]\nname = "guest"\nkey_env = "GUEST"\n'
    text = (
        '[server]\nlisten = "127.0.0.1:0"\n[logging]\nlevel = "info"\n'
        '[responses]\nstore = "off"\n[ledger]\nstore = "off"\n'
        f"[limits]\nmax_concurrency = {PLACES}\nqueue = {QUEUE + number}\nqueue_wait_secs = {WAIT_SECS}\n"
        '[auth]\nenabled = true\n[[auth.keys]]\nname = "laptop"\nkey_env = "LAPTOP"\n'
        f"total_requests = {quota}\n{'' if number % 2 else guest}"
        f'[[providers]]\nname = "p{number % 2}"\ntype = "openai"\nbase_url = "http://p{number}.test"\n'
        f'api_key_env = "KEY{number}"\n[[routes]]\nmatch = "m-"\nprovider = "p{number % 2}"\n'
        f'rewrite_model = "real-{number}"\n'
    )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "ferryllm.toml"
        path.write_text(text)
        return load_settings(path, {"LAPTOP": LAPTOP, "GUEST": GUEST, f"KEY{number}": f"pk-{number}-0123456789"})


def _number(data: bytes) -> int:
    found = _LENGTH.search(data)
    return 0 if found is None else int(found[1])
