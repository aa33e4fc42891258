"""The words in which a connection breaks, and what is asked of sockets."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl

import anyio
import pytest

from ferryllm_net.http.transport import cut_on_close, describe, peer_of, readable
from support.pairs import socket_pair


def raised(exc: BaseException, cause: BaseException) -> BaseException:
    exc.__cause__ = cause
    return exc


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)), "connection reset by peer"),
        (raised(anyio.BrokenResourceError(), BrokenPipeError(errno.EPIPE, "Broken pipe")), "broken pipe"),
        (anyio.ClosedResourceError(), "the connection is closed"),
        (OSError(), "the connection is closed"),
        (ssl.SSLEOFError(), "TLS failed (SSLEOFError)"),
    ],
)
def test_an_exception_in_words(exc: BaseException, words: str) -> None:
    assert describe(exc) == words


def test_the_peer_of_a_socket() -> None:
    near, far = socket_pair()
    with near, far:
        assert peer_of(near) == far.getsockname()
    assert peer_of(near) == ("", 0), "closed"
    near, far = socket_pair(socket.AF_UNIX)
    with near, far:
        assert peer_of(near) == ("", 0)


def test_a_cut_is_a_reset() -> None:
    near, far = socket_pair()
    with far:
        cut_on_close(near)
        near.close()
        with pytest.raises(ConnectionResetError):
            far.recv(1)


def test_select_stands_in_where_there_is_no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = socket.socketpair()
    with near, far:
        for _ in range(2):
            assert not readable(near)
            far.send(b"x")
            assert readable(near)
            near.recv(1)
            monkeypatch.delattr(select, "poll", raising=False)
