"""What can be told of pictures, sounds and PDFs from their first bytes: size, length, number of pages.

Every answer is a guess for an estimate: nothing here raises for broken files.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct

_HEAD = 65536
"""Base64 characters that are decoded to find an image's size: JPEGs keep it behind their thumbnails."""


def size_of(data: str) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, WebP or JPEG in base64; None for anything else."""
    try:
        head = base64.b64decode(data[:64])
        if head.startswith(b"\x89PNG"):
            return struct.unpack(">II", head[16:24])
        if head.startswith(b"GIF8"):
            return struct.unpack("<HH", head[6:10])
        if head[8:15] == b"WEBPVP8":
            return _webp(head)
        if head.startswith(b"\xff\xd8"):
            return _jpeg(base64.b64decode(data[:_HEAD]))
    except (binascii.Error, ValueError, struct.error):
        return None
    return None


def _webp(head: bytes) -> tuple[int, int] | None:
    if head[15:16] == b" ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if head[15:16] == b"L":
        (bits,) = struct.unpack("<I", head[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[15:16] == b"X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + max(length, 2)
    return None


_PAGE = re.compile(rb"/Type\s*/Page\b(?!s)")
_SEARCHED = 1 << 20
"""Base64 characters of a PDF in which its pages are looked for: a millisecond."""
BYTES_PER_PAGE = 50_000
"""Base64 characters a page of a PDF takes, scanned or not, very roughly: where its pages can not be seen."""


def page_count(data: str) -> int:
    """About how many pages the PDF in base64 has, at least 1."""
    pages = 0
    if len(data) <= _SEARCHED:
        try:
            pages = len(_PAGE.findall(base64.b64decode(data)))
        except (binascii.Error, ValueError):
            pages = 0
    return pages or 1 + len(data) // BYTES_PER_PAGE


_PACKED = 12_000
"""Base64 characters of a second of MP3, AAC, Ogg or FLAC of speech, roughly."""


def seconds(data: str, kind: str) -> float:
    """About how long the sound in base64 is; ``kind`` is its format or media type."""
    if "wav" in kind or data.startswith("UklGR"):
        try:
            head = base64.b64decode(data[:64])
            (rate,) = struct.unpack("<I", head[28:32])
            if rate:
                return len(data) * 0.75 / float(rate)
        except (binascii.Error, ValueError, struct.error):
            pass
    if "pcm" in kind:
        return len(data) * 0.75 / 48_000
    return len(data) / _PACKED
