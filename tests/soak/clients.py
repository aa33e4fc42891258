"""Clients of the soak: HTTP/1.1 and HTTP/2, in clear text, over TLS, over a socket file; connections are kept."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Sequence

import anyio
import msgspec
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from support.faults.rig import Reply
from support.h2_client import H2Client

from .marks import Question

WAYS = ("h1", "h1-tls", "h1-unix", "h2", "h2-tls")
GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError, ssl.SSLError)


class Places(msgspec.Struct, frozen=True):
    """Where the gateway listens."""

    plain: int
    secure: int
    file: str
    authority: str
    """PEM file."""


class Slow(msgspec.Struct, frozen=True):
    """A client that reads slowly."""

    bytes: int
    secs: float
    """Between two reads."""
    total_secs: float
    """Then as fast as others."""


class Cut(Exception):
    """The connection ended before the answer did."""


async def connect(places: Places, way: str) -> ByteStream:
    """A bare connection."""
    if way == "h1-unix":
        return await anyio.connect_unix(places.file)
    if not way.endswith("-tls"):
        return await anyio.connect_tcp("127.0.0.1", places.plain)
    stream = await anyio.connect_tcp("127.0.0.1", places.secure)
    context = ssl.create_default_context(cafile=places.authority)
    context.set_alpn_protocols(["h2" if way == "h2-tls" else "http/1.1"])
    try:
        return await TLSStream.wrap(
            stream, hostname="127.0.0.1", ssl_context=context, server_side=False, standard_compatible=False
        )
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise


async def leave(stream: ByteStream, *, hard: bool) -> None:
    """Close now; ``hard`` is a reset."""
    if hard:
        with contextlib.suppress(anyio.TypedAttributeLookupError, OSError):
            raw = stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await anyio.aclose_forcefully(stream)


class Http1:
    """One connection; ``kept`` tells whether another request may follow."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.kept = True
        self.used_at = anyio.current_time()
        self._buffer = bytearray()

    async def ask(self, question: Question, slow: Slow | None = None) -> Reply:
        begun = anyio.current_time()
        self.kept = False
        try:
            await self.stream.send(question.head() + question.body)
        except GONE as exc:
            raise Cut("while the request was sent") from exc
        reply = await self.read(slow)
        reply.secs = anyio.current_time() - begun
        return reply

    async def read(self, slow: Slow | None = None) -> Reply:
        """One answer."""
        head = (await self._until(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
        fields = dict(headers)
        body, whole = bytearray(), True
        calm_at = anyio.current_time() + slow.total_secs if slow else 0.0
        try:
            if fields.get("transfer-encoding") == "chunked":
                while size := int((await self._until(b"\r\n")), 16):
                    body += await self._exactly(size)
                    assert await self._exactly(2) == b"\r\n", "a chunk without its end"
                    if slow is not None and anyio.current_time() < calm_at:
                        await anyio.sleep(slow.secs)
                while await self._until(b"\r\n"):
                    pass
            else:
                body += await self._exactly(int(fields.get("content-length", "0")))
        except Cut:
            whole = False
        self.kept = whole and fields.get("connection") != "close"
        self.used_at = anyio.current_time()
        return Reply(int(status), headers, bytes(body), whole, 0.0)

    async def aclose(self) -> None:
        await anyio.aclose_forcefully(self.stream)

    async def _until(self, mark: bytes) -> bytes:
        while (at := self._buffer.find(mark)) < 0:
            await self._more()
        data = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return data

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _more(self) -> None:
        try:
            self._buffer += await self.stream.receive()
        except GONE as exc:
            raise Cut("within an answer") from exc


class _Wire:
    """A stream of anyio's as the client for HTTP/2 wants it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.aclose = stream.aclose

    async def send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except GONE as exc:
            raise Cut("while frames were sent") from exc

    async def receive(self) -> bytes:
        try:
            return await self._stream.receive()
        except GONE:
            return b""


class Http2:
    """One connection; used by one task."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.client = H2Client(_Wire(stream))
        self.client.authority = "127.0.0.1"
        self.used_at = anyio.current_time()

    @property
    def kept(self) -> bool:
        return not self.client.ended and not self.client.goaways

    async def start(self) -> Http2:
        await self.client.start()
        return self

    async def begin(self, question: Question) -> int:
        fields = (("content-type", "application/json"),)
        stream = self.client.open(question.path, *fields, method="POST", ended=False)
        await self.client.upload(stream, question.body)
        return stream

    async def finish(self, stream: int) -> Reply:
        try:
            answer = await self.client.answer(stream)
        except AssertionError as exc:
            raise Cut(str(exc)[:300]) from exc
        self.client.answers.pop(stream)
        self.used_at = anyio.current_time()
        headers = [pair for pair in answer.fields.items() if not pair[0].startswith(":")]
        return Reply(answer.status, headers, answer.body, answer.ended and answer.reset is None, 0.0)

    async def ask(self, question: Question) -> Reply:
        return (await self.ask_all([question]))[0]

    async def ask_all(self, questions: Sequence[Question]) -> list[Reply]:
        """All at once."""
        begun = anyio.current_time()
        streams = [await self.begin(question) for question in questions]
        replies = [await self.finish(stream) for stream in streams]
        for reply in replies:
            reply.secs = anyio.current_time() - begun
        return replies

    async def aclose(self) -> None:
        await anyio.aclose_forcefully(self.stream)


async def open_http1(places: Places, way: str) -> Http1:
    return Http1(await connect(places, way))


async def open_http2(places: Places, way: str) -> Http2:
    return await Http2(await connect(places, way)).start()
