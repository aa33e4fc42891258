"""Parts to content."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Loss

B64, URL, FILE, TEXT = ir.SourceKind.BASE64, ir.SourceKind.URL, ir.SourceKind.FILE_ID, ir.SourceKind.TEXT


def encode(*parts: ir.Part, dialect: str = "anthropic", model: str = "llama") -> tuple[Any, list[Loss]]:
    request = ir.Request(dialect, "m", (ir.Turn(ir.Role.USER, parts),))
    upstream, losses = DIALECT.encode_request(request, model=model)
    return json.loads(upstream.body)["messages"][0]["content"], losses


def test_one_text_is_a_string_several_are_parts() -> None:
    assert encode(ir.Text("a"))[0] == "a"
    assert encode(ir.Text("a"), ir.Text("b"))[0] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


@pytest.mark.parametrize(
    ("part", "wire"),
    [
        (
            ir.Image(ir.Source(B64, "AA", "image/webp"), "high"),
            {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AA", "detail": "high"}},
        ),
        (ir.Image(ir.Source(URL, "https://x")), {"type": "image_url", "image_url": {"url": "https://x"}}),
        (
            ir.Audio(ir.Source(B64, "AA", "audio/wav")),
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        ),
        (
            ir.Document(ir.Source(B64, "AA", "application/pdf"), "a.pdf"),
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}},
        ),
        (
            ir.Document(ir.Source(B64, "AA")),
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "document.pdf"}},
        ),
        (ir.Document(ir.Source(TEXT, "body")), {"type": "text", "text": "body"}),
    ],
)
def test_a23_a24_media_keep_type_and_data(part: ir.Part, wire: object) -> None:
    content, losses = encode(ir.Text("t"), part)
    assert content[1] == wire
    assert losses == []


def test_a24_a_text_document_brings_its_title_along_and_says_so() -> None:
    content, losses = encode(ir.Document(ir.Source(TEXT, "body"), "title", "context", True, path="d"))
    assert content == [{"type": "text", "text": "title\ncontext\nbody"}]
    assert [str(loss).split(":")[0] for loss in losses] == [
        "dropped d.citations",
        "degraded d.name",
        "degraded d.context",
    ]


@pytest.mark.parametrize(
    "part",
    [
        ir.Image(ir.Source(FILE, "f"), path="p"),
        ir.Document(ir.Source(URL, "https://x"), path="p"),
        ir.Document(ir.Source(FILE, "f"), path="p"),
        ir.Audio(ir.Source(URL, "https://x"), path="p"),
    ],
)
def test_c12_what_the_model_would_not_see_is_refused(part: ir.Part) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        encode(part)
    assert caught.value.error.param == "p"


def test_a_file_id_of_openai_stays_one() -> None:
    content, _ = encode(ir.Document(ir.Source(FILE, "f")), dialect="openai_responses")
    assert content == [{"type": "file", "file": {"file_id": "f"}}]


def test_a41_cache_marks_go_to_models_that_know_them_and_are_reported_elsewhere() -> None:
    content, losses = encode(ir.Text("a", cache=ir.CacheMark(), path="p"), model="gpt-5.6")
    assert content == [{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}]
    assert losses == []
    content, losses = encode(ir.Text("a", cache=ir.CacheMark("1h"), path="p"))
    assert content == "a"
    assert [loss.path for loss in losses] == ["p.cache_control"]


def test_citations_and_foreign_fields_of_a_text_are_reported() -> None:
    text = ir.Text("a", (b"{}",), "anthropic", path="p", ext=ir.Ext("anthropic", {"x": b"1"}))
    assert [loss.path for loss in encode(text)[1]] == ["p.citations", "p.x"]
