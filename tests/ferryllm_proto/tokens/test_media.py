"""Sizes of pictures, lengths of sounds, pages of PDFs: right where they can be seen, quiet where they can not."""

from __future__ import annotations

import base64
import struct

import pytest

from ferryllm_proto.tokens import media


def _b64(data: bytes) -> str:
    return base64.b64encode(data + bytes(60)).decode()


JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", 300, 500)


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(8) + struct.pack(">II", 500, 300),
        b"GIF89a" + struct.pack("<HH", 500, 300),
        b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 500, 300),
        b"RIFF\0\0\0\0WEBPVP8L" + bytes(5) + struct.pack("<I", 499 | 299 << 14),
        b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (499).to_bytes(3, "little") + (299).to_bytes(3, "little"),
        JPEG,
    ],
)
def test_every_format_tells_its_size(data: bytes) -> None:
    assert media.size_of(_b64(data)) == (500, 300)


@pytest.mark.parametrize(
    "data", ["", "?", "abc", "iVBORw0KGgo=", _b64(b"BM"), _b64(b"\xff\xd8\xff\xe0\0\0"), _b64(b"RIFF\0\0\0\0WEBPVP8?")]
)
def test_what_is_broken_has_no_size(data: str) -> None:
    assert media.size_of(data) is None


def test_pages_are_counted_where_they_can_be_seen_and_guessed_where_not() -> None:
    assert media.page_count(_b64(b"%PDF /Type /Pages /Type /Page /Type/Page\n")) == 2
    assert media.page_count(_b64(b"%PDF packed")) == 1
    assert media.page_count("?") == 1
    assert media.page_count("x" * 5_000_000) == 1 + 5_000_000 // media.BYTES_PER_PAGE


def test_sounds_have_a_length() -> None:
    header = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 24_000, 48_000, 2, 16) + b"data\0\0\0\0"
    wav = base64.b64encode(header + bytes(96_000)).decode()
    assert media.seconds(wav, "wav") == pytest.approx(2, abs=0.01)
    assert media.seconds(wav, "") == media.seconds(wav, "audio/wav")
    assert media.seconds("x" * 64_000, "pcm16") == pytest.approx(1)
    assert media.seconds("x" * 24_000, "mp3") == pytest.approx(2)
    assert media.seconds("?", "wav") >= 0
    assert media.seconds("", "") == 0
