"""TLS as a transport over a transport: the records pass through memory, in the call that brings or takes the bytes.

No task and no switch: a pump decrypts where the bytes arrive. Written once for all backends and for wires of tests.
"""

from __future__ import annotations

import contextlib
import ssl
from collections import deque
from collections.abc import Callable

from .limits import KIB
from .transport import CLOSED, Feed, Transport, TransportError, describe

# The most that one record carries (RFC 8446 section 5.1), so that a read never leaves a part of one inside.
_RECORD_BYTES = 16 * KIB
# Encrypted at once: what the system does not take then is kept as it was given, without a copy.
_WRITE_BYTES = 64 * KIB
# What the machine says by itself (answers to KeyUpdate) and the peer does not take: far above any honest use, and a
# peer that asks for keys without reading has no other bound.
_REPLY_BYTES = 64 * KIB


async def secure_client(transport: Transport, context: ssl.SSLContext, hostname: str) -> TLSTransport:
    """Shake hands as the client; ``hostname`` (or address) is what the certificate has to be for.

    The caller sets the deadline. Raises `TransportError`; its cause is the ssl.SSLError
    (ssl.SSLCertVerificationError for a certificate that is not trusted), None where the connection ended. ``transport``
    stays the caller's until this returns.
    """
    return await _shake_hands(transport, context, hostname)


async def secure_server(transport: Transport, context: ssl.SSLContext) -> TLSTransport:
    """Shake hands as the server. Deadline, errors and ``transport`` as for `secure_client`."""
    return await _shake_hands(transport, context, None)


def is_plain_http(failure: BaseException | None) -> bool:
    """Whether a handshake failed because the client speaks HTTP in clear text, as far as OpenSSL knows its methods:
    an answer in clear text is read by it then."""
    return isinstance(failure, ssl.SSLError) and failure.reason == "HTTP_REQUEST"


async def _shake_hands(transport: Transport, context: ssl.SSLContext, hostname: str | None) -> TLSTransport:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    machine = context.wrap_bio(incoming, outgoing, server_side=hostname is None, server_hostname=hostname)
    while True:
        try:
            machine.do_handshake()
            break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            if not is_plain_http(exc):
                with contextlib.suppress(TransportError):
                    transport.write(outgoing.read())  # the alert that says why
            raise TransportError(describe(exc)) from exc
        if outgoing.pending:
            await transport.send(outgoing.read())
        data = await transport.receive()
        if not data:
            raise TransportError("the connection ended within the TLS handshake")
        incoming.write(data)
    if outgoing.pending:
        await transport.send(outgoing.read())
    return TLSTransport(transport, machine, incoming, outgoing)


class TLSTransport:
    """`Transport` over another one, after the handshake; made by `secure_client` and `secure_server`.

    There is no half-close: `send_eof` does nothing. A new handshake within the connection (TLS 1.2) breaks it, as
    HTTP/2 asks for (RFC 9113 section 9.2.1).
    """

    secure = True

    def __init__(
        self, transport: Transport, machine: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self.peer = transport.peer
        self.protocol = machine.selected_alpn_protocol()
        self.ragged_end = False
        self._transport = transport
        self._machine = machine
        self._incoming = incoming
        self._outgoing = outgoing
        self._unsent: deque[memoryview] = deque()
        """Not encrypted yet."""
        self._replied = 0
        self._ended = False
        self._closed = False
        self._cut = False
        self._failure: str | None = None
        """What broke the machine; told when the bytes before it are taken."""
        self._cause: Exception | None = None
        self._feed: Feed | None = None
        self._fed = False
        """The pump's function has said that it is done."""
        self._on_end: Callable[[], None] | None = None

    async def receive(self) -> bytes:
        while not (data := self._decrypt()):
            if self._is_over():
                return b""
            encrypted = await self._transport.receive()
            if encrypted:
                self._incoming.write(encrypted)
            else:
                self._end(ragged=True)
        return data

    async def pump(self, feed: Feed) -> bool:
        data = self._decrypt()
        if data and feed(data):
            return True
        if self._is_over():
            return False
        self._feed, self._fed = feed, False
        try:
            if not await self._transport.pump(self._pass_on):
                self._end(ragged=True)
        finally:
            self._feed = None
        return self._fed or not self._is_over()

    def interrupt(self) -> None:
        self._transport.interrupt()

    def watch(self, on_end: Callable[[], None]) -> bool:
        self._on_end = on_end
        if self._ended:
            self._tell()
            return False
        return self._transport.watch(self._tell)

    async def attend(self) -> None:
        await self._transport.attend()

    def write(self, data: bytes) -> bool:
        self._check_write()
        if self._unsent:
            self._unsent.append(memoryview(data))
            return False
        if len(data) <= _WRITE_BYTES:
            return self._transport.write(self._encrypt(data))
        self._unsent.append(memoryview(data))
        while self._unsent:
            if not self._transport.write(self._encrypt(self._next_piece())):
                return False
        return True

    async def drain(self) -> None:
        await self._transport.drain()
        while self._unsent:
            if not self._transport.write(self._encrypt(self._next_piece())):
                await self._transport.drain()
        self._replied = 0

    async def send(self, data: bytes) -> None:
        if self._unsent or len(data) > _WRITE_BYTES:
            if not self.write(data):
                await self.drain()
            return
        self._check_write()
        await self._transport.send(self._encrypt(data))
        self._replied = 0

    async def send_eof(self) -> None:
        return

    def reset_on_close(self) -> None:
        self._cut = True
        self._transport.reset_on_close()

    def is_quiet(self) -> bool:
        if self._ended or self._closed or self._failure is not None or self._incoming.pending:
            return False
        return self._transport.is_quiet()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            if not self._cut and not self._unsent and self._failure is None:
                self._part()
        await self._transport.aclose()

    # Inside.

    def _pass_on(self, encrypted: bytes) -> bool:
        self._incoming.write(encrypted)
        data = self._decrypt()
        if data:
            assert self._feed is not None
            self._fed = self._feed(data)
        return self._fed or self._ended or self._failure is not None

    def _decrypt(self) -> bytes:
        """All that the records which have come hold; what breaks them is told by the next call of the reader."""
        incoming = self._incoming
        if not incoming.pending:
            return b""
        pieces: list[bytes] = []
        try:
            # Asked first: a read in vain costs an exception for every chunk.
            while incoming.pending:
                data = self._machine.read(_RECORD_BYTES)
                if not data:
                    self._end(ragged=False)
                    break
                pieces.append(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self._fail(describe(exc), exc)
        if self._outgoing.pending:
            self._reply()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _reply(self) -> None:
        """Send what the machine says by itself, without a wait: this is the reader's task."""
        data = self._outgoing.read()
        try:
            taken = self._transport.write(data)
        except TransportError:
            return  # the reader will hear of it
        self._replied = 0 if taken else self._replied + len(data)
        if self._replied > _REPLY_BYTES:
            self._fail("the peer asks for new keys and does not read the answers")

    def _encrypt(self, data: bytes | memoryview) -> bytes:
        if data:
            try:
                self._machine.write(data)
            except ssl.SSLWantReadError as exc:
                self._fail("the peer wants a new TLS handshake")
                raise TransportError("the peer wants a new TLS handshake") from exc
            except ssl.SSLError as exc:
                raise TransportError(describe(exc)) from exc
        return self._outgoing.read()

    def _next_piece(self) -> memoryview:
        view = self._unsent.popleft()
        if len(view) > _WRITE_BYTES:
            self._unsent.appendleft(view[_WRITE_BYTES:])
        return view[:_WRITE_BYTES]

    def _check_write(self) -> None:
        if self._closed:
            raise TransportError(CLOSED)
        if self._failure is not None:
            raise TransportError(self._failure)

    def _is_over(self) -> bool:
        """Nothing comes any more. Raises `TransportError` where that is no end."""
        if self._closed:
            raise TransportError(CLOSED)
        if self._failure is not None:
            raise TransportError(self._failure) from self._cause
        return self._ended

    def _end(self, *, ragged: bool) -> None:
        if not self._ended:
            self._ended = True
            self.ragged_end = ragged
            self._tell()

    def _fail(self, failure: str, cause: Exception | None = None) -> None:
        if self._failure is None:
            self._failure, self._cause = failure, cause
            self._tell()

    def _tell(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None and not self._closed:
            on_end()

    def _part(self) -> None:
        """Say close_notify where that needs no wait: RFC 8446 section 6.1 asks for it, and a client of HTTP/1.0 takes
        an answer that only the close delimits for cut without it."""
        # The answer to it is not waited for (SSLWantReadError).
        with contextlib.suppress(OSError):
            self._machine.unwrap()
        with contextlib.suppress(TransportError):
            self._transport.write(self._outgoing.read())
