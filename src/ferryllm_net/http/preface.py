"""How a connection begins: with the preface of HTTP/2, with HTTP/1.1, or with neither.

Apart from the connections, so that h2 is loaded for those alone that ask for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a connection of HTTP/2 begins with (RFC 9113 section 3.4)."""


async def look(data: bytes, receive: Callable[[], Awaitable[bytes]]) -> tuple[bytes | None, bytes]:
    """Tell by the first bytes of a connection, ``data`` and what ``receive`` brings, for whom they are: those for
    HTTP/2 or None, those for HTTP/1.1 or b"" when they are nothing for it. Raises what ``receive`` raises."""
    while len(data) < len(PREFACE) and PREFACE.startswith(data):
        more = await receive()
        if not more:
            return None, b""
        data += more
    if data.startswith(PREFACE):
        return data, b""
    # A request line in form alone may be a broken preface, and an answer in HTTP/1.1 would be read as frames.
    words = data.partition(b"\r\n")[0].split(b" ")
    broken = len(words) == 3 and (words[0] == b"PRI" or not words[2].startswith(b"HTTP/"))
    return None, b"" if broken and b"\r\n" in data else data
