"""Target: one address that is asked, over connections that are kept; every answer goes through a `Judge`."""

from __future__ import annotations

import socket
import ssl
import time

import anyio

from ferryllm_net.http import parse_url

from .doors import Door
from .meter import Judge, Meter
from .reader import BrokenAnswerError, ResponseReader
from .wire import Dialler, Wire


class Target:
    """Sends the request of ``door`` to ``base_url``.

    ``stamped`` and ``expected`` are `Judge`'s. ``timeout`` is in seconds, of one exchange. Raises ValueError for a URL
    that cannot be asked.
    """

    def __init__(
        self,
        base_url: str,
        door: Door,
        *,
        keep_alive: bool = True,
        timeout: float = 60.0,
        stamped: bool = True,
        expected: int | None = None,
    ) -> None:
        origin, path = parse_url(base_url)
        if path.endswith("/v1") and door.path.startswith("/v1/"):
            path = path.removesuffix("/v1")  # as SDKs of OpenAI are given it
        self.host, self.port = origin.host, origin.port
        self.meter = Meter()
        context = ssl.create_default_context() if origin.scheme == "https" else None
        self._dialler = Dialler(self.host, self.port, context)
        self._door = door
        self._keep_alive = keep_alive
        self._timeout = timeout
        self._stamped = stamped
        self._expected = expected if door.stream else None
        self._wires: dict[int, Wire] = {}
        lines = [f"POST {path}{door.path} HTTP/1.1", f"host: {origin.authority}"]
        lines += [f"{name}: {value}" for name, value in door.headers]
        lines += ["accept: */*", "user-agent: ferryllm-bench", f"content-length: {len(door.body)}"]
        if not keep_alive:
            lines.append("connection: close")
        self._request = "\r\n".join([*lines, "", ""]).encode() + door.body

    async def send(self, connection: int, since: int) -> None:
        """One exchange on the connection of that number; ``since`` is when its latency begins (`time.perf_counter_ns`).

        Never raises for what the target does: it is counted.
        """
        meter = self.meter
        meter.sent += 1
        kept = False
        with anyio.move_on_after(self._timeout) as scope:
            try:
                kept = await self._exchange(connection, since)
            except BrokenAnswerError as exc:
                meter.fail(str(exc))
            except ssl.SSLError:
                meter.fail("tls")
            except socket.gaierror:
                meter.fail("name not found")
            except ConnectionRefusedError:
                meter.fail("connection refused")
            except OSError:
                meter.fail("connection reset")
        if scope.cancelled_caught:
            meter.fail("timeout")
        if not kept:
            await self._drop(connection)

    async def _exchange(self, connection: int, since: int) -> bool:
        wire = self._wires.get(connection)
        if wire is None:
            wire = await self._dialler.connect()
            self._wires[connection] = wire
            self.meter.connections += 1
        await wire.send(self._request)
        reader = ResponseReader()
        judge = Judge(self._door, stamped=self._stamped, expected=self._expected)
        while not reader.done:
            data = await wire.receive()
            now = time.perf_counter_ns()
            if not data:
                reader.receive_eof()
            elif body := reader.receive_data(data):
                judge.receive(body, now, time.time_ns())
        judge.verdict(reader.status)
        self._count(judge, since, time.perf_counter_ns())
        return reader.keep_alive and self._keep_alive

    def _count(self, judge: Judge, since: int, now: int) -> None:
        meter = self.meter
        meter.ok += 1
        meter.latency.record(now - since)
        if judge.arrivals:
            meter.first_byte.record(judge.arrivals[0] - since)
        judge.report(meter)

    async def _drop(self, connection: int) -> None:
        wire = self._wires.pop(connection, None)
        if wire is not None:
            await wire.close()

    async def aclose(self) -> None:
        """Close all connections."""
        for connection in list(self._wires):
            await self._drop(connection)
