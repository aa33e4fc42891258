"""The connection to Redis: one for all requests of a process, made anew by itself, never waited for when it is away.

What coredis raises is known here alone. Commands of many tasks go over one connection in their order; each waits for
its own answer and no longer than its deadline. Whether the server is there is found out behind the scenes: a request
that comes while it is away is told so at once.
"""

from __future__ import annotations

import os
import random
import ssl
from collections.abc import Callable, Sequence
from typing import Union

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from coredis.connection import BaseConnection, TCPConnection, TCPLocation, UnixDomainSocketConnection
from coredis.connection import UnixDomainSocketLocation as SocketLocation
from coredis.exceptions import AuthenticationError, AuthorizationError, MovedError, NoScriptError, ResponseError
from coredis.exceptions import ConnectionError as Lost

from ferryllm_net.config.redis_settings import RedisSettings

from .scripts import Script

CONNECT_SECS = 2.0
"""For a connection and its greeting: behind a request nobody waits for it."""
LATE = 3
"""Answers in a row that came too late, after which the connection is given up: one may be the server's pause for a
snapshot, three in a row are a server that hangs."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two attempts to connect, growing; each a little by chance, so that replicas do not come together."""

Value = Union[str, bytes, int, float]  # noqa: UP007 - a plain alias


class RedisError(Exception):
    """Redis could not do it. The message says why, and holds neither keys nor values."""


class RedisAwayError(RedisError):
    """It cannot be reached, or did not answer in time. Of what was ``sent`` nobody knows whether it was done."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Link:
    """Run `run` in a task; `call` meanwhile. ``told`` gets every change: whether it is there, and why not."""

    def __init__(self, settings: RedisSettings, told: Callable[[bool, str], None] | None = None) -> None:
        self._settings = settings
        self._told = told
        self._connection: BaseConnection | None = None
        self._moved: tuple[str, int] | None = None
        """The node of a cluster that has our keys, where it is not the one that was named."""
        self._moving = False
        self._late = 0
        self._reason = "not connected yet"
        self._said: bool | None = None
        self._tried = anyio.Event()
        """Set when the first attempt is over, whatever came of it."""
        self.failures = 0
        """Calls that were not answered."""

    @property
    def up(self) -> bool:
        """Whether it is there, as far as known."""
        return self._connection is not None and self._connection.usable

    def break_off(self) -> None:
        """Give up the connection that there is; `run` makes another one."""
        if self._connection is not None:
            self._connection.invalidate("given up")

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep a connection until cancelled. It has started when the first attempt is over, whatever came of it."""
        pause = FIRST_PAUSE
        if self._tried.is_set():  # it ran before
            self._tried = anyio.Event()

        def begun() -> None:
            if not self._tried.is_set():
                self._tried.set()
                task_status.started()

        while True:
            if await self._live(begun):
                pause = FIRST_PAUSE
            self._connection = None
            begun()
            if self._moving:  # to the node that was named
                self._moving = False
                continue
            self._say(False)
            await anyio.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def call(
        self, script: Script, keys: Sequence[Value], arguments: Sequence[Value], deadline: float | None = None
    ) -> object:
        """What ``script`` answers, in at most ``deadline`` seconds. Raises RedisError."""
        secs = self._settings.deadline_secs if deadline is None else deadline
        try:
            return await self._send(secs, b"EVALSHA", script.digest, len(keys), *keys, *arguments)
        except NoScriptError:  # somebody told it to forget them; this one teaches it again
            return await self.command(b"EVAL", script.text, len(keys), *keys, *arguments, deadline=secs)

    async def command(self, name: bytes, *arguments: Value, deadline: float | None = None) -> object:
        """What the command answers. Raises RedisError."""
        try:
            return await self._send(self._settings.deadline_secs if deadline is None else deadline, name, *arguments)
        except NoScriptError as exc:
            raise RedisError(str(exc)) from None

    async def _send(self, secs: float, name: bytes, *arguments: Value) -> object:
        """Raises coredis' NoScriptError beside RedisError."""
        if not self._tried.is_set():
            with anyio.move_on_after(secs):  # the gateway has only just begun
                await self._tried.wait()
        connection = self._connection
        if connection is None or not connection.usable:
            self.failures += 1
            raise RedisAwayError(f"Redis at {self._settings.place} is away: {self._reason}", sent=False)
        try:
            with anyio.move_on_after(secs):
                found = await connection.create_request(name, *arguments, decode=False)
                self._late = 0
                return found
        except NoScriptError:
            raise
        except MovedError as exc:
            # A node of a cluster names the one that has our slot; all our keys are in one, so it is asked from now on.
            self._moved, self._moving = (exc.host or self._settings.host, exc.port), True
            self._reason = "the cluster has moved its keys"
            connection.invalidate("moved")
            self.failures += 1
            raise RedisAwayError(f"Redis at {self._settings.place} is away: {self._reason}", sent=False) from None
        except ResponseError as exc:
            # The type alone, or a word such as OOM: the text may quote a key.
            word = str(exc).split(" ")[0]
            shown = word if word.isupper() and len(word) < 20 else type(exc).__name__
            raise RedisError(f"Redis at {self._settings.place} refuses a command: {shown}") from None
        except (Lost, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self.failures += 1
            raise RedisAwayError(f"Redis at {self._settings.place} is away: the connection broke", sent=True) from None
        except Exception as exc:
            self.failures += 1
            raise RedisError(f"Redis at {self._settings.place}: {type(exc).__name__}") from None
        self.failures += 1
        self._late += 1
        if self._late >= LATE and self._connection is connection:
            self._reason = f"no answer within {self._settings.deadline_secs * 1000:g} ms"
            connection.invalidate("it does not answer")
        raise RedisAwayError(f"Redis at {self._settings.place} did not answer within {secs * 1000:g} ms", sent=True)

    async def _live(self, begun: Callable[[], None]) -> bool:
        """One connection from its beginning to its end; whether it was of use."""
        self._late = 0
        try:
            connection = self._made()
        except (OSError, ValueError) as exc:  # the file of authorities has gone
            self._reason = f"{type(exc).__name__}"
            return False
        useful = False
        async with anyio.create_task_group() as tasks:
            fault = await tasks.start(_hold, connection)
            if fault is None:
                try:
                    # It greets; does it also answer in time?
                    with anyio.fail_after(self._settings.deadline_secs):
                        await connection.create_request(b"PING")
                except Exception as exc:
                    fault = exc if not isinstance(exc, TimeoutError) else TimeoutError("it answers too slowly")
                    connection.invalidate("it does not answer")
                else:
                    useful = True
                    self._connection = connection
                    self._reason = "the connection broke"
                    self._say(True)
                    begun()
            if fault is not None:
                self._reason = _words(fault)
                self._moved = None
        return useful

    def _made(self) -> BaseConnection:
        settings = self._settings
        password = settings.password.reveal() if settings.password is not None else None
        if settings.socket is not None:
            return UnixDomainSocketConnection(
                SocketLocation(settings.socket),
                username=settings.username,
                password=password,
                connect_timeout=CONNECT_SECS,
                stream_timeout=CONNECT_SECS,
                client_name="ferryllm",
            )
        context = ssl.create_default_context(cafile=settings.ca_file) if settings.tls else None
        return TCPConnection(
            TCPLocation(*(self._moved or (settings.host, settings.port))),
            db=settings.db,
            username=settings.username,
            password=password,
            ssl_context=context,
            connect_timeout=CONNECT_SECS,
            stream_timeout=CONNECT_SECS,
            client_name="ferryllm",
        )

    def _say(self, up: bool) -> None:
        if up is self._said:
            return
        self._said = up
        if self._told is not None:
            self._told(up, "" if up else self._reason)


async def _hold(
    connection: BaseConnection, *, task_status: anyio.abc.TaskStatus[Exception | None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Let ``connection`` work until it ends. Its own errors, which come in groups, end here."""
    started = _Started(task_status)
    try:
        await connection.run(task_status=started)
    except Exception as exc:
        if not started.told:
            task_status.started(exc)
    finally:
        # It closes its streams only where it got as far as to use them.
        for value in vars(connection).values():
            if isinstance(value, (MemoryObjectReceiveStream, MemoryObjectSendStream)):
                value.close()


class _Started(anyio.abc.TaskStatus[None]):
    """Hands on that a connection stands, and remembers it."""

    def __init__(self, status: anyio.abc.TaskStatus[Exception | None]) -> None:
        self._status = status
        self.told = False

    def started(self, value: None = None) -> None:
        self.told = True
        self._status.started(None)


def _words(fault: Exception) -> str:
    """What is wrong, without what somebody wrote: passwords stand in some messages of others."""
    while fault.__cause__ is not None and isinstance(fault.__cause__, Exception):
        fault = fault.__cause__
    if isinstance(fault, (AuthenticationError, AuthorizationError)):
        return "it refuses the name or the password"
    inner = getattr(fault, "exceptions", None)
    if inner:
        return _words(inner[0])
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {(fault.reason or 'no reason').lower().replace('_', ' ')}"
    if isinstance(fault, ssl.SSLError):
        return f"no TLS: {(fault.reason or 'no reason').lower().replace('_', ' ')}"
    if isinstance(fault, OSError) and fault.errno:
        return os.strerror(fault.errno).lower()  # asyncio writes the address into its own words
    return "it does not answer" if isinstance(fault, TimeoutError) else type(fault).__name__
