"""The head of an upstream request, encoded and checked once and sent many times.

Apart from the engines: what a provider gets is the same for request after request but for its length, so a gateway
keeps the bytes. Line breaks and other characters that would make two messages of one are refused here, for both
versions.
"""

from __future__ import annotations

import re

import msgspec

from .engine import Headers, Misuse, RequestHead
from .origin import Origin

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_NOT_IN_TARGET = re.compile(r"[^\x21-\x7e]")

# Set here for every request; a caller's own would contradict the framing or the destination.
_OURS = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
        "te",
        "trailer",
        "expect",
    }
)
_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})


class PreparedHead(msgspec.Struct, frozen=True):
    """What `prepare` made. Holds keys: it is for a connection, never for a log."""

    method: str
    target: str
    """As HTTP/1.1 to the origin itself says it."""
    fields: Headers
    """Names in lower case; without host and content-length."""
    data: bytes
    """The head as HTTP/1.1 writes it, up to the place of content-length."""
    plain: RequestHead
    """What an engine has to know of it: a request without a body is all it is told."""

    def __repr__(self) -> str:
        return f"PreparedHead({self.method})"

    def head_bytes(self, length: int) -> bytes:
        """The whole head for a body of ``length`` bytes."""
        if length or self.method in _WITH_LENGTH:
            return b"%bcontent-length: %d\r\n\r\n" % (self.data, length)
        return self.data + b"\r\n"


def prepare(origin: Origin, head: RequestHead) -> PreparedHead:
    """``head`` as ``origin`` gets it: host, content-length and connection are set here (those of ``head`` are dropped),
    accept-encoding is identity unless given.

    A request that goes to an HTTP proxy in clear text names its URL whole (RFC 9112 section 3.2.2). Raises `Misuse` for
    what would not be one well-formed head.
    """
    if _NAME.fullmatch(head.method) is None:
        raise Misuse("the method is not a token")
    if not head.target or _NOT_IN_TARGET.search(head.target) is not None:
        raise Misuse("the request target holds a character that is not visible ASCII")
    fields: Headers = []
    coded = False
    for name, value in head.headers:
        if _NAME.fullmatch(name) is None:
            raise Misuse(f"{name!r} is not a header name")
        if _NOT_IN_VALUE.search(value) is not None:
            raise Misuse(f"the value of header {name!r} holds a control or non-latin-1 character")
        lower = name.lower()
        if lower not in _OURS:
            coded = coded or lower == "accept-encoding"
            fields.append((lower, value.strip(" \t")))
    if not coded:
        fields.append(("accept-encoding", "identity"))
    target = head.target
    lines = [f"host: {origin.authority}"]
    proxy = origin.proxy
    if proxy is not None and origin.scheme == "http" and proxy.forwards:
        target = f"http://{origin.authority}{target}"
        if proxy.auth is not None:
            lines.append(f"proxy-authorization: {proxy.auth.basic()}")
    plain = RequestHead(head.method, "/", [("host", origin.authority)])
    lines = [f"{head.method} {target} HTTP/1.1", *lines, *(f"{name}: {value}" for name, value in fields), ""]
    return PreparedHead(head.method, head.target, fields, "\r\n".join(lines).encode("latin-1"), plain)
