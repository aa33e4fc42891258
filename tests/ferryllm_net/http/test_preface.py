"""The first bytes of a connection: for HTTP/2, for HTTP/1.1, or for nobody, however they were cut."""

from __future__ import annotations

import pytest

from ferryllm_net.http.preface import PREFACE, look

_GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (PREFACE, (PREFACE, b"")),
        (PREFACE + b"frames", (PREFACE + b"frames", b"")),
        (_GET, (None, _GET)),
        (b"PROPFIND / HTTP/1.1\r\n", (None, b"PROPFIND / HTTP/1.1\r\n")),
        (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", (None, b"")),
        (b"GET / GARBAGE\r\n", (None, b"")),
        (PREFACE[:5], (None, b"")),
    ],
)
async def test_whose_the_first_bytes_are(data: bytes, found: tuple[bytes | None, bytes]) -> None:
    assert await look(data, _none) == found


@pytest.mark.anyio
@pytest.mark.parametrize("at", range(1, len(PREFACE)))
async def test_a_preface_that_was_cut_is_waited_for(at: int) -> None:
    async def rest() -> bytes:
        return PREFACE[at:] + b"x"

    assert await look(PREFACE[:at], rest) == (PREFACE + b"x", b"")


async def _none() -> bytes:
    return b""
