"""The transport seam: what connection code knows of a connection, and the words in which one breaks.

Apart from those who keep the promise: ``backends`` (sockets of asyncio and trio), ``tls_transport`` over any other,
`StreamTransport` over a byte stream of anyio.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Protocol, TypeAlias

from .limits import KIB

RECEIVE_BYTES = 64 * KIB
"""Of one read of an anyio stream: what TLS (4 records) and loopback bring at once; a larger buffer costs an mmap."""

READ_AHEAD_BYTES = 64 * KIB
"""What is kept unread; from there on reading pauses, so that with the read that passes it at most one more is kept.
asyncio's own streams pause at 128 KiB (twice their limit), Go's server reads 4 KiB ahead."""


class TransportError(Exception):
    """The connection is broken or closed; says in one sentence how, without content."""


class Interrupted(Exception):
    """`Transport.interrupt` ended the wait: somebody watches the clock."""


Feed: TypeAlias = Callable[[bytes], bool]
"""Takes what one read brought, without awaiting; True ends the pump it was given to."""


class Transport(Protocol):
    """One connection. One reader and one writer at a time, which may be two tasks.

    Reading is by `receive`, or by `pump` for a stream that is relayed; writing by `send`, or by `write` and `drain`
    where no await is wanted. A transport of a backend calls `pump`'s function where the bytes arrive, so that a chunk
    costs no switch of tasks.
    """

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of the other side; ("", 0) when unknown or a unix socket."""
        ...

    @property
    def secure(self) -> bool:
        """Over TLS."""
        ...

    @property
    def protocol(self) -> str | None:
        """What the TLS handshake agreed on (ALPN)."""
        ...

    @property
    def ragged_end(self) -> bool:
        """The peer ended a TLS connection without the alert that says so (RFC 8446 section 6.1): what only the end
        delimits may be cut. False in clear text, where nobody can tell."""
        ...

    async def receive(self) -> bytes:
        """All that arrived, at least one byte, or b"" at the end. A cancelled or interrupted call has taken nothing.
        Raises `TransportError` for a connection that broke, `Interrupted`."""
        ...

    async def pump(self, feed: Feed) -> bool:
        """Call ``feed`` with what each read brings until it answers True (then True is returned) or the end comes
        (False). Bytes that arrive after that wait for the next `receive` or `pump`; reading ahead is bounded. What
        ``feed`` raises is raised here. A cancelled or interrupted pump has lost no byte. Raises like `receive`."""
        ...

    def interrupt(self) -> None:
        """End the wait of `receive`, `pump` or `drain` that is under way, or else of the next `receive` or `pump` that
        has to wait, with `Interrupted`."""
        ...

    def watch(self, on_end: Callable[[], None]) -> bool:
        """Call ``on_end`` once, when the peer ends its direction or the connection breaks, also while nobody reads (but
        not behind bytes that fill the read-ahead); at once, when it already has. Not for our own `aclose`.

        Whether `attend` has to run for it, in a task of the connection's owner.
        """
        ...

    async def attend(self) -> None:
        """Read ahead until cancelled or until the end; a task of the connection's owner runs it where `watch` is used.
        Returns at once where the backend reads without a task."""
        ...

    def write(self, data: bytes) -> bool:
        """Hand over bytes without waiting; what the system does not take now is kept. True: all of it is taken, go on.
        False: `drain` before the next write. Raises `TransportError`."""
        ...

    async def drain(self) -> None:
        """Returns when the system has taken all that was written: this is the backpressure. Raises `TransportError`,
        `Interrupted`. After a cancellation an unknown part is gone and only `aclose` makes sense (over a stream of
        anyio after an interruption too)."""
        ...

    async def send(self, data: bytes) -> None:
        """`write` and, where needed, `drain`."""
        ...

    async def send_eof(self) -> None:
        """End our direction where the transport can; never raises."""
        ...

    def reset_on_close(self) -> None:
        """Make the close visible as a cut (RST), for messages whose end is the close itself."""
        ...

    def is_quiet(self) -> bool:
        """Open, with nothing to read, not even in the system as far as it can be asked: fit for another request. Looks
        without waiting."""
        ...

    async def aclose(self) -> None:
        """Close now, waiting for nobody (TLS says its farewell where it can be written at once, unless the close is to
        be a cut); idempotent, never raises. Nothing else frees the socket. Whoever waits in another task gets
        `TransportError`."""
        ...


def describe(exc: BaseException) -> str:
    """What a `TransportError` says of the exception of a system call, of TLS or of anyio."""
    cause = exc.__cause__ if isinstance(exc.__cause__, OSError) else exc
    if isinstance(cause, ssl.SSLError):
        # Only those that OpenSSL raised have a reason.
        return f"TLS failed ({getattr(cause, 'reason', None) or type(cause).__name__})"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return CLOSED


CLOSED = "the connection is closed"


def peer_of(sock: socket.socket) -> tuple[str, int]:
    """`Transport.peer` of a socket."""
    try:
        address = sock.getpeername()
    except OSError:  # reset before we looked
        return "", 0
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else ("", 0)


def cut_on_close(sock: socket.socket) -> None:
    """Let the close of a socket send RST: l_onoff=1, l_linger=0."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def readable(sock: socket.socket) -> bool:
    """Bytes, an end or an error wait on the socket."""
    if hasattr(select, "poll"):
        # select() refuses descriptors above 1023, which a busy gateway reaches.
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])
