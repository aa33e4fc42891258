"""Parts of any dialect as content."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir, json
from ferryllm_proto.dialects.openai_responses.encode_content import ContentWriter
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Report

S = ir.SourceKind


def write(part: ir.Part, dialect: str = "anthropic") -> tuple[Any, list[str]]:
    report = Report()
    wired = ContentWriter(ir.Request(dialect, "m"), report).input_part(part)
    return json.loads(json.encode(wired)), [loss.path for loss in report.losses]


@pytest.mark.parametrize(
    ("part", "wired"),
    [
        (ir.Refusal("no"), {"type": "input_text", "text": "no"}),
        (
            ir.Audio(ir.Source(S.BASE64, "AA"), "wav"),
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        ),
        (
            ir.Image(ir.Source(S.URL, "https://x"), "low"),
            {"type": "input_image", "image_url": "https://x", "detail": "low"},
        ),
        (
            ir.Document(ir.Source(S.BASE64, "AA", "text/csv")),
            {"type": "input_file", "file_data": "data:text/csv;base64,AA", "filename": "document.csv"},
        ),
    ],
)
def test_what_has_a_place_is_carried_without_a_loss(part: ir.Part, wired: Any) -> None:
    assert write(part) == (wired, [])


def test_what_files_can_not_say_is_reported() -> None:
    part = ir.Document(ir.Source(S.TEXT, "words"), name="n", context="c", citations=True, path="p")
    wired, paths = write(part)
    assert wired == {"type": "input_text", "text": "n\nc\nwords"}
    assert paths == ["p.citations", "p.name", "p.context"]


def test_what_has_no_place_is_dropped() -> None:
    assert write(ir.Reasoning("hm", path="p")) == (None, ["p"])
    unreadable = ir.Hosted("anthropic", "redacted", b'{"type":"redacted","data":"zz"}', "p")
    assert write(unreadable) == (None, ["p"])


@pytest.mark.parametrize(
    "part",
    [
        ir.Image(ir.Source(S.TEXT, "x"), path="p"),
        ir.Image(ir.Source(S.FILE_ID, "x"), path="p"),
        ir.Audio(ir.Source(S.URL, "x"), path="p"),
    ],
)
def test_g5_what_the_model_would_miss_is_refused(part: ir.Part) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^p"):
        write(part)


def test_file_ids_of_the_same_provider_are_kept() -> None:
    assert write(ir.Document(ir.Source(S.FILE_ID, "f")), "openai")[0] == {"type": "input_file", "file_id": "f"}


def test_foreign_sources_of_an_answer_are_reported() -> None:
    report = Report()
    writer = ContentWriter(ir.Request("anthropic", "m"), report)
    writer.output_part(ir.Text("a", citations=(b"{}",), citations_dialect="anthropic", path="p"))
    assert [loss.path for loss in report.losses] == ["p.citations"]
