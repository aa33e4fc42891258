"""What the mock was asked, kept for tests and for ``GET /__mock/requests``."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

import anyio

from ferryllm_net.http import Request
from ferryllm_proto import RemoteProtocolError, json

MAX_REQUESTS = 256
"""Requests that are kept; older ones are forgotten."""
MAX_BYTES = 64 << 20
"""Of all kept bodies together: two of the largest a provider takes."""


_KEY = re.compile(r"([?&]key=)[^&]*")
"""Gemini's clients may put their key into the query."""


class Received:
    """One request, and how far its answer came."""

    def __init__(self, request: Request, dialect: str | None) -> None:
        self.method = request.method
        self.target = request.target
        self.path = request.path
        self.headers = list(request.headers)
        """Names in lower case."""
        self.dialect = dialect
        self.body = b""
        self.status: int | None = None
        """What it was answered with; None while there is no head, and when there never was one."""
        self.writes = 0
        """Writes of the answer's body so far."""
        self.left = False
        """The client was gone before the end."""
        self.ending = False
        """The last write of the answer has begun: a client that is gone now has had it all, or will not say."""
        self._done = anyio.Event()

    def json(self) -> Any:
        """The body's JSON. Raises `RemoteProtocolError`."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first value of a header, by its name in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    async def wait_done(self) -> None:
        """Until it is answered, or its client has left."""
        await self._done.wait()

    def done(self) -> None:
        """The mock's side of `wait_done`."""
        self._done.set()

    def shown(self) -> dict[str, object]:
        """As an entry of ``GET /__mock/requests``; keys of clients are not shown."""
        try:
            body = self.json()
        except RemoteProtocolError:
            body = self.body.decode("utf-8", "replace")
        secret = ("authorization", "x-api-key", "x-goog-api-key", "cookie")
        return {
            "method": self.method,
            "target": _KEY.sub(r"\1***", self.target),
            "headers": [[name, "***" if name in secret else value] for name, value in self.headers],
            "dialect": self.dialect,
            "body": body,
            "status": self.status,
            "writes": self.writes,
            "left": self.left,
        }


class Journal:
    """The newest requests within the limits."""

    def __init__(self) -> None:
        self.total = 0
        """How many there have been in all."""
        self.requests: deque[Received] = deque()
        self._bytes = 0
        self._grown = anyio.Event()

    def add(self, received: Received) -> None:
        """Note a request whose body is read."""
        self.total += 1
        self.requests.append(received)
        self._bytes += len(received.body)
        while len(self.requests) > MAX_REQUESTS or (self._bytes > MAX_BYTES and len(self.requests) > 1):
            self._bytes -= len(self.requests.popleft().body)
        grown, self._grown = self._grown, anyio.Event()
        grown.set()

    def clear(self) -> None:
        """Forget them; `total` begins again."""
        self.requests.clear()
        self.total = self._bytes = 0

    async def wait_for(self, number: int) -> Received:
        """Until ``number`` requests have come; returns that one. Raises LookupError when it is forgotten already."""
        while self.total < number:
            await self._grown.wait()
        place = number - 1 - (self.total - len(self.requests))
        if place < 0:
            raise LookupError(f"request {number} is not kept any more: the newest {MAX_REQUESTS} are")
        return self.requests[place]
