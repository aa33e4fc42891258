"""What a message can hold, and what is refused."""

from __future__ import annotations

import base64

import pytest

from ferryllm_proto import ir
from ferryllm_proto.errors import RemoteProtocolError

from .build import messages, user


def source(kind: ir.SourceKind, data: str = "x", media_type: str | None = None) -> ir.Source:
    return ir.Source(kind, data, media_type)


PDF = source(ir.SourceKind.BASE64, "JVBERg==", "application/pdf")
REFUSED: dict[str, tuple[ir.Part, str]] = {
    "image by URL": (ir.Image(source(ir.SourceKind.URL, "https://x/a.png")), "base64 data, not by URL"),
    "image by id": (ir.Image(source(ir.SourceKind.FILE_ID)), "base64 data, not by file id"),
    "pdf": (ir.Document(PDF), "not application/pdf"),
    "pdf by URL": (ir.Document(source(ir.SourceKind.URL, "https://x/a.pdf")), "not a file by url"),
    "bytes": (ir.Document(source(ir.SourceKind.BASE64)), "not a file"),
    "text that is none": (ir.Document(source(ir.SourceKind.BASE64, "/w==", "text/plain")), "not text/plain"),
    "sound": (ir.Audio(source(ir.SourceKind.BASE64)), "does not take sound"),
    "film": (ir.Hosted("openai", "video_url", b"{}"), "video_url"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_said_is_refused(name: str) -> None:
    part, words = REFUSED[name]
    with pytest.raises(RemoteProtocolError, match=words) as caught:
        messages(user("hi", part))
    assert caught.value.status_hint == 400
    assert "https://" not in str(caught.value)


def test_a_text_document_is_text_with_its_title() -> None:
    plain = ir.Document(source(ir.SourceKind.TEXT, "words"), name="a.txt", context="of me", citations=True, path="p")
    found, losses = messages(user(plain))
    assert found[0]["content"] == "a.txt\nof me\nwords"
    assert losses == [("dropped", "p.citations"), ("degraded", "p.name"), ("degraded", "p.context")]
    packed = ir.Document(source(ir.SourceKind.BASE64, base64.b64encode("wörds".encode()).decode(), "text/markdown"))
    assert messages(user(packed))[0][0]["content"] == "wörds"


def test_a_refusal_and_a_foreign_block_are_text() -> None:
    block = ir.Hosted("anthropic", "search_result", b'{"type":"search_result","title":"t"}', path="q")
    found, losses = messages(user(ir.Refusal("no", path="p"), block))
    assert found[0]["content"] == 'no[search_result] {"title":"t"}'
    assert losses == [("degraded", "p"), ("degraded", "q"), ("degraded", "q")]


def test_what_is_known_of_a_text_beyond_its_words_is_reported() -> None:
    text = ir.Text(
        "a",
        citations=(b"{}",),
        phase="final_answer",
        cache=ir.CacheMark(),
        path="messages[0].content[0]",
        ext=ir.Ext("openai", {"x": b"1"}),
    )
    assert messages(user(text))[1] == [
        ("dropped", "messages[0].content[0].citations"),
        ("dropped", "messages[0].phase"),
        ("dropped", "messages[0].content[0].cache_control"),
        ("dropped", "messages[0].content[0].x"),
    ]


def test_the_detail_of_an_image_is_reported() -> None:
    image = ir.Image(source(ir.SourceKind.BASE64), detail="high", path="p")
    assert messages(user(image))[1] == [("dropped", "p.detail")]
    assert messages(user(ir.Image(source(ir.SourceKind.BASE64), detail="auto")))[1] == []


def test_a_part_without_a_place_is_reported() -> None:
    found, losses = messages(user("a", ir.Reasoning("t", path="p")))
    assert found[0]["content"] == "a"
    assert losses == [("dropped", "p")]
