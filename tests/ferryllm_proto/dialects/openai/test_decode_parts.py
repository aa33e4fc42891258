"""Content parts."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import decode_parts
from ferryllm_proto.json import raw


def part(value: object) -> ir.Part:
    return decode_parts.part(raw(json.dumps(value).encode()), "p")


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (
            {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
            ir.Text("x", cache=ir.CacheMark("30m"), path="p"),
        ),
        ({"type": "refusal", "refusal": "no"}, ir.Refusal("no", "p")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
            ir.Image(ir.Source(ir.SourceKind.BASE64, "AA==", "image/png"), "low", path="p"),
        ),
        (
            {"type": "image_url", "image_url": "https://x"},
            ir.Image(ir.Source(ir.SourceKind.URL, "https://x"), path="p.image_url"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            ir.Audio(ir.Source(ir.SourceKind.BASE64, "AA"), "wav", "p"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}},
            ir.Document(ir.Source(ir.SourceKind.BASE64, "AA", "application/pdf"), "a.pdf", path="p"),
        ),
        ({"type": "file", "file": {"file_data": "AA"}}, ir.Document(ir.Source(ir.SourceKind.BASE64, "AA"), path="p")),
        (
            {"type": "file", "file": {"file_data": "https://x"}},
            ir.Document(ir.Source(ir.SourceKind.URL, "https://x"), path="p"),
        ),
        ({"type": "file", "file": {"file_id": "f"}}, ir.Document(ir.Source(ir.SourceKind.FILE_ID, "f"), path="p")),
    ],
)
def test_c12_parts(wire: object, expected: ir.Part) -> None:
    assert part(wire) == expected


def test_a23_an_unusual_data_url_stays_as_written() -> None:
    url = "data:text/plain;charset=utf-8,hello"
    assert decode_parts.source(url) == ir.Source(ir.SourceKind.URL, url)


def test_unknown_parts_and_unknown_fields_are_kept() -> None:
    video = {"type": "video_url", "video_url": {"url": "u"}}
    hosted = part(video)
    assert isinstance(hosted, ir.Hosted)
    assert json.loads(hosted.raw) == video
    image = part({"type": "image_url", "image_url": {"url": "u", "x": 1}, "y": None, "z": 2})
    assert isinstance(image, ir.Image)
    assert image.ext == ir.Ext("openai", {"z": b"2", "image_url.x": b"1"})
    odd = part({"type": "thinking", "thinking": [{"type": "reference"}]})
    assert isinstance(odd, ir.Hosted)
