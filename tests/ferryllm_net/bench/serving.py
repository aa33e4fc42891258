"""Servers for the load tester's tests: its provider in a thread, and one that says what the test wants."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ferryllm_net.bench.provider import Behaviour, Provider


@contextmanager
def provider(behaviour: Behaviour | None = None) -> Iterator[str]:
    """The provider; gives its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    near, far = socket.socketpair()
    server = Provider(listener, behaviour or Behaviour(chunks=3))
    server.stop_with(near)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield url
    finally:
        far.close()
        thread.join()
        near.close()


@contextmanager
def scripted(
    *answers: bytes, close: bool = True, context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """Answers each connection with the next of ``answers``, after a whole request without reading its body apart.

    Gives the base URL and the requests it got. ``close`` ends the connection behind the answer; with ``context`` it
    speaks TLS.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []
    kept: list[socket.socket] = []

    def run() -> None:
        for answer in answers:
            try:
                sock = listener.accept()[0]
                if context is not None:
                    sock = context.wrap_socket(sock, server_side=True)
            except OSError:
                return
            seen.append(_request(sock.recv))
            if answer:
                sock.sendall(answer)
            if close:
                sock.close()
            else:
                kept.append(sock)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        # The thread may still wait for a connection that no test makes.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
        for sock in kept:
            sock.close()


def _request(receive: Callable[[int], bytes]) -> bytes:
    """A whole request; what is none, such as the greeting of TLS, as far as it came at once."""
    data = receive(65536)
    while data.startswith(b"POST") and not _is_whole(data) and (more := receive(65536)):
        data += more
    return data


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(lengths[0])
