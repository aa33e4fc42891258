"""Content parts, kind by kind."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir, json
from ferryllm_proto.dialects.openai_responses.decode_content import decode_content, decode_output, url_source
from ferryllm_proto.errors import RemoteProtocolError

S = ir.SourceKind


def part(value: Any) -> ir.Part:
    (only,) = decode_content(json.raw(json.encode([value])), "c")
    return only


def own(**fields: bytes) -> ir.Ext:
    return ir.Ext("openai_responses", fields)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bare", ir.Text("bare", path="c[0]")),
        ({"type": "text", "text": "a"}, ir.Text("a", path="c[0]")),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
            ir.Text("a", cache=ir.CacheMark("30m"), path="c[0]"),
        ),
        (
            {"type": "output_text", "text": "a", "annotations": [{"x": 1}], "logprobs": []},
            ir.Text(
                "a",
                citations=(b'{"x":1}',),
                citations_dialect="openai_responses",
                path="c[0]",
                ext=own(logprobs=b"[]"),
            ),
        ),
        ({"type": "refusal", "refusal": "no"}, ir.Refusal("no", "c[0]")),
        (
            {"type": "refusal", "refusal": "no", "odd": 1},
            ir.Hosted("openai_responses", "refusal", b'{"type":"refusal","refusal":"no","odd":1}', "c[0]"),
        ),
        ({"type": "input_image", "file_id": "f"}, ir.Image(ir.Source(S.FILE_ID, "f"), path="c[0]")),
        (
            {"type": "input_image", "image_url": "https://x", "detail": "low"},
            ir.Image(ir.Source(S.URL, "https://x"), "low", path="c[0]"),
        ),
        ({"type": "input_file", "file_url": "u"}, ir.Document(ir.Source(S.URL, "u"), path="c[0]")),
        ({"type": "input_file", "file_id": "f"}, ir.Document(ir.Source(S.FILE_ID, "f"), path="c[0]")),
        (
            {
                "type": "input_file",
                "file_data": "data:application/pdf;base64,AA",
                "filename": "a.pdf",
                "detail": "high",
            },
            ir.Document(
                ir.Source(S.BASE64, "AA", "application/pdf"), name="a.pdf", path="c[0]", ext=own(detail=b'"high"')
            ),
        ),
        ({"type": "input_file", "file_data": "AA"}, ir.Document(ir.Source(S.BASE64, "AA"), path="c[0]")),
        (
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            ir.Audio(ir.Source(S.BASE64, "AA"), "wav", "c[0]"),
        ),
        ({"type": "new_kind", "x": 1}, ir.Hosted("openai_responses", "new_kind", b'{"type":"new_kind","x":1}', "c[0]")),
    ],
)
def test_every_kind_of_part(value: Any, expected: ir.Part) -> None:
    assert part(value) == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("3", "c: expected a string or a list of parts, found number"),
        ("[{}]", r"c\[0\].type"),
        ('[{"type":"input_file"}]', r"c\[0\]: expected file_data"),
        ("[3]", r"c\[0\]"),
    ],
)
def test_what_is_no_content_is_refused(content: str, words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        decode_content(json.raw(content.encode()), "c")


def test_absent_content_is_no_part() -> None:
    assert decode_content(json.raw(b"null"), "c") == ()
    assert decode_output(json.raw(b"null"), "c") == ()


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("data:image/png;base64,AA", ir.Source(S.BASE64, "AA", "image/png")),
        ("data:;base64,AA", ir.Source(S.BASE64, "AA")),
        ("data:text/plain,hello", ir.Source(S.URL, "data:text/plain,hello")),
        ("https://x/,y", ir.Source(S.URL, "https://x/,y")),
    ],
)
def test_a23_data_urls_are_opened(url: str, source: ir.Source) -> None:
    assert url_source(url) == source
