"""Compression of WebSocket messages (RFC 7692, permessage-deflate), of clients' messages only.

wsproto brings an extension that decompresses without a bound, so this one stands in its place. We send uncompressed,
which the extension allows for every message: events of an answer are small, and a compressor costs 256 KiB a
connection.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

_PLAIN = RsvBits(False, False, False)
_COMPRESSED = RsvBits(True, False, False)
# RFC 7692 section 7.2.2: what the sender took away from the end of each message.
_TAIL = b"\x00\x00\xff\xff"
_BITS = re.compile(r"8|9|1[0-5]")
_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_OFFERS = 8
"""Offers of one handshake that are looked at; browsers make one or two."""


class _Offer(NamedTuple):
    server_bits: str | None
    flags: tuple[str, ...]


def negotiate(values: Sequence[str], limit: int) -> Deflate | None:
    """The first offer of ``Sec-WebSocket-Extensions`` that can be taken; None without one: the connection then goes
    on uncompressed. ``limit`` is the bytes of a message."""
    for text in ",".join(values).split(",")[:_OFFERS]:
        offer = _read(text)
        if offer is not None:
            parts = ["permessage-deflate", *offer.flags]
            if offer.server_bits is not None:
                parts.append(f"server_max_window_bits={offer.server_bits}")
            return Deflate(limit, "; ".join(parts), fresh="client_no_context_takeover" in offer.flags)
    return None


def _read(text: str) -> _Offer | None:
    """One offer, None when it is another extension's or says what RFC 7692 section 7.1 does not know."""
    name, *params = [part.strip() for part in text.split(";")]
    if name.lower() != "permessage-deflate":
        return None
    found: dict[str, str | None] = {}
    for param in params:
        key, equals, value = (part.strip() for part in param.partition("="))
        if key in found:
            return None
        found[key] = value.strip('"') if equals else None
    server_bits = found.pop("server_max_window_bits", None) if "server_max_window_bits" in found else ""
    if server_bits is None or (server_bits and not _BITS.fullmatch(server_bits)):
        return None
    client_bits = found.pop("client_max_window_bits", None)
    if client_bits is not None and not _BITS.fullmatch(client_bits):
        return None
    if any(key not in _FLAGS or value is not None for key, value in found.items()):
        return None
    return _Offer(server_bits or None, tuple(flag for flag in _FLAGS if flag in found))


class Deflate(Extension):
    """Decompresses messages up to ``limit`` bytes. ``answer`` is the field of the handshake; ``fresh``: the client
    compresses each message on its own."""

    name = "permessage-deflate"

    def __init__(self, limit: int, answer: str, *, fresh: bool) -> None:
        self.answer = answer
        self._limit = limit
        self._fresh = fresh
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._compressed = False
        self._active = False
        """The frame that is read belongs to a compressed message."""
        self._left = limit

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool | str:
        return False  # a server's side answers offers

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        if opcode.iscontrol():
            self._active = False
            return _PLAIN
        if opcode is Opcode.CONTINUATION:
            if rsv.rsv1:
                return CloseReason.PROTOCOL_ERROR
        else:
            self._compressed, self._left = rsv.rsv1, self._limit
        self._active = self._compressed
        return _COMPRESSED

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes | CloseReason:
        return self._inflate(data) if self._active else data

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> bytes | CloseReason | None:
        if not self._active or not fin:
            return None
        out = self._inflate(_TAIL)
        if self._fresh or self._inflater.eof:
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._active = self._compressed = False
        return out

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        if self._inflater.eof:
            return b""  # behind the last block there is nothing but its padding
        try:
            out = self._inflater.decompress(data, self._left + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._left -= len(out)
        return out if self._left >= 0 else CloseReason.MESSAGE_TOO_BIG
