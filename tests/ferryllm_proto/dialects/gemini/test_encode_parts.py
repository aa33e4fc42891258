from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.errors import RemoteProtocolError

from .build import NEW, OLD, assistant, encoded, foreign, paths, user

K = ir.SourceKind
PNG = ir.Source(K.BASE64, "iVBORw0KGgo=", "image/png")


def _parts(*parts: ir.Part, model: str = OLD) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    body, losses = encoded(foreign(user(*parts), model=model))
    return body["contents"][0]["parts"], paths(losses)


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (ir.Image(PNG), {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
        (ir.Image(ir.Source(K.BASE64, "/9j/AA")), {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/AA"}}),
        (
            ir.Document(ir.Source(K.BASE64, "JVBERi0x", "application/pdf")),
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x"}},
        ),
        (
            ir.Document(ir.Source(K.BASE64, "JVBERi0x")),
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0x"}},
        ),
        (ir.Document(ir.Source(K.TEXT, "words")), {"text": "words"}),
        (
            ir.Audio(ir.Source(K.BASE64, "AA=="), format="wav"),
            {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
        ),
        (
            ir.Document(ir.Source(K.URL, "gs://b/x.pdf", "application/pdf")),
            {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/x.pdf"}},
        ),
    ],
)
def test_a24_media(part: ir.Part, written: object) -> None:
    assert _parts(part) == ([written], [])


@pytest.mark.parametrize(
    "part",
    [
        ir.Image(ir.Source(K.URL, "https://x/y.png"), path="p"),
        ir.Image(ir.Source(K.FILE_ID, "file-1"), path="p"),
        ir.Image(ir.Source(K.BASE64, "AAAA"), path="p"),
        ir.Image(ir.Source(K.TEXT, "x"), path="p"),
        ir.Document(ir.Source(K.URL, "https://x/y.pdf"), path="p"),
        ir.Document(ir.Source(K.BASE64, "AAECAw=="), path="p"),
        ir.Audio(ir.Source(K.BASE64, "AA=="), path="p"),
    ],
)
def test_a23_what_the_provider_cannot_read_is_refused(part: ir.Part) -> None:
    with pytest.raises(RemoteProtocolError, match=r"^p: "):
        _parts(part)


def test_what_documents_have_besides_is_reported() -> None:
    pdf = ir.Source(K.BASE64, "JVBERi0x", "application/pdf")
    _, losses = _parts(ir.Document(pdf, name="n", context="c", citations=True, cache=ir.CacheMark(), path="p"))
    assert losses == [
        ("dropped", "p.cache_control"),
        ("dropped", "p.citations"),
        ("dropped", "p.name"),
        ("dropped", "p.context"),
    ]
    parts, losses = _parts(ir.Document(ir.Source(K.TEXT, "words"), name="n", path="p"))
    assert (parts, losses) == ([{"text": "n\n\nwords"}], [("degraded", "p.name")])


def test_texts() -> None:
    parts, losses = _parts(ir.Text("a", citations=(b"{}",), phase="final_answer", path="p"), ir.Refusal("no", path="q"))
    assert parts == [{"text": "a"}, {"text": "no"}]
    assert losses == [("dropped", "p.citations"), ("dropped", "p.phase"), ("degraded", "q")]


def test_a29_another_dialects_blocks_are_text() -> None:
    block = ir.Hosted("anthropic", "web_search_tool_result", b'{"type":"x","content":[{"title":"t"}]}', path="p")
    parts, losses = _parts(block)
    assert "t" in parts[0]["text"]
    assert losses == [("degraded", "p")]
    with pytest.raises(RemoteProtocolError, match="does not take video content"):
        _parts(ir.Hosted("openai", "video", b"{}", path="p"))


# --- calls and results -----------------------------------------------------------------------------------


def _loop(
    arguments: str, *results: ir.Part, model: str = OLD, **fields: Any
) -> tuple[list[Any], list[tuple[str, str]]]:
    call = ir.ToolCall("call_1", "f", arguments, path="c")
    result = ir.ToolResult("call_1", results, path="r", **fields)
    body, losses = encoded(foreign(user("go"), assistant(call), user(result), model=model))
    return body["contents"], paths(losses)


@pytest.mark.parametrize(
    ("arguments", "args", "lost"),
    [
        ('{"a":1.0}', {"a": 1.0}, []),
        ("", {}, []),
        ('{"a":', {"_raw": '{"a":'}, ["c.arguments"]),
        ("7", {"_raw": "7"}, ["c.arguments"]),
    ],
)
def test_c4_arguments_are_an_object(arguments: str, args: object, lost: list[str]) -> None:
    found, losses = _loop(arguments, ir.Text("x"))
    assert found[1]["parts"][0]["functionCall"] == {"id": "call_1", "name": "f", "args": args}
    assert [path for _, path in losses] == lost


@pytest.mark.parametrize(
    ("parts", "fields", "response"),
    [
        ((ir.Text("x"),), {}, {"output": "x"}),
        ((ir.Text("x"), ir.Text("y")), {}, {"output": ["x", "y"]}),
        ((), {}, {}),
        ((ir.Text("x"),), {"is_error": True}, {"error": "x"}),
        ((ir.Text('{"$ref":"#/x"}'),), {}, {"output": '{"$ref":"#/x"}'}),
    ],
)
def test_a20_b5_b6_results_are_an_object_of_text(
    parts: tuple[ir.Part, ...], fields: dict[str, Any], response: object
) -> None:
    found, losses = _loop("{}", *parts, **fields)
    assert found[2]["parts"] == [{"functionResponse": {"id": "call_1", "name": "f", "response": response}}]
    assert losses == []


def test_a22_images_of_results_reach_the_model() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    found, losses = _loop("{}", ir.Text("x"), ir.Image(PNG, path="i"), model=NEW)
    assert found[2]["parts"][0]["functionResponse"]["parts"] == [image]
    assert [path for _, path in losses] == ["c"]  # the missing signature
    found, losses = _loop("{}", ir.Text("x"), ir.Image(PNG, path="i"))
    assert [len(content["parts"]) for content in found] == [1, 1, 1, 2]
    assert found[3]["parts"][1] == image
    assert losses == [("degraded", "i")]
