"""Content blocks become parts; what only this dialect knows is kept whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialects.anthropic import decode_blocks
from ferryllm_proto.errors import RemoteProtocolError


def decode(*blocks: Any) -> tuple[ir.Part, ...]:
    return decode_blocks.content(json.dumps(blocks).encode(), "c", "claude-x")


def test_a_string_is_one_text_whose_path_is_the_field() -> None:
    assert decode_blocks.content(b'"hi"', "messages[0].content", "m") == (ir.Text("hi", path="messages[0].content"),)


def test_g8_order_is_kept() -> None:
    parts = decode(
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        {"type": "text", "text": "b"},
    )
    assert [type(part).__name__ for part in parts] == ["Text", "ToolCall", "Text"]
    assert [getattr(part, "path", "") for part in parts] == ["c[0]", "c[1]", "c[2]"]


def test_citations_are_raw() -> None:
    (part,) = decode({"type": "text", "text": "a", "citations": [{"type": "char_location", "z": 1}]})
    assert isinstance(part, ir.Text)
    assert part.citations == (b'{"type": "char_location", "z": 1}',)
    assert part.citations_dialect == "anthropic"


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (
            {"type": "base64", "media_type": "image/png", "data": "AAA="},
            ir.Source(ir.SourceKind.BASE64, "AAA=", "image/png"),
        ),
        ({"type": "url", "url": "https://x/y.png"}, ir.Source(ir.SourceKind.URL, "https://x/y.png")),
        ({"type": "file", "file_id": "file_1"}, ir.Source(ir.SourceKind.FILE_ID, "file_1")),
    ],
)
def test_a23_image_sources(source: dict[str, str], wanted: ir.Source) -> None:
    (part,) = decode({"type": "image", "source": source, "cache_control": {"type": "ephemeral"}})
    assert part == ir.Image(wanted, cache=ir.CacheMark(), path="c[0]")


def test_a24_documents() -> None:
    (part,) = decode(
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "words"},
            "title": "t",
            "context": "c",
            "citations": {"enabled": True},
        }
    )
    assert part == ir.Document(
        ir.Source(ir.SourceKind.TEXT, "words", "text/plain"), name="t", context="c", citations=True, path="c[0]"
    )


def test_a24_document_of_text_blocks_keeps_its_source() -> None:
    source = {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    (part,) = decode({"type": "document", "source": source})
    assert isinstance(part, ir.Document)
    assert part.source == ir.Source(ir.SourceKind.TEXT, "a\nb")
    assert part.ext is not None
    assert json.loads(part.ext.fields[".source"]) == source


def test_document_with_images_inside_is_kept_whole() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "u"}}
    (part,) = decode({"type": "document", "source": {"type": "content", "content": [image]}})
    assert isinstance(part, ir.Hosted)


def test_a25_thinking_keeps_text_and_proof() -> None:
    thought, sealed = decode(
        {"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "redacted_thinking", "data": "xyz"}
    )
    assert thought == ir.Reasoning(
        "hm", opaque=(ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.SIGNATURE, "sig"),), path="c[0]"
    )
    assert sealed == ir.Reasoning(
        opaque=(ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.REDACTED, "xyz"),), path="c[1]"
    )


def test_a26_an_envelope_becomes_the_other_providers_material() -> None:
    material = ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "blob", "rs_1")
    (part,) = decode({"type": "thinking", "thinking": "sum", "signature": opaque.wrap(material)})
    assert part == ir.Reasoning(summary=("sum",), opaque=(material,), id="rs_1", path="c[0]")


def test_a_damaged_envelope_is_no_material() -> None:
    token = opaque.wrap(ir.Opaque("openai", "m", ir.OpaqueKind.ENCRYPTED, "blob"))
    (part,) = decode({"type": "thinking", "thinking": "t", "signature": token[:-2]})
    assert part == ir.Reasoning("t", path="c[0]")


def test_a30_unknown_blocks_are_kept_whole() -> None:
    (part,) = decode({"type": "from_the_future", "a": [1.50]})
    assert part == ir.Hosted("anthropic", "from_the_future", b'{"type": "from_the_future", "a": [1.5]}', path="c[0]")


@pytest.mark.parametrize("value", ['"text"', "[1, 2]", "12345678901234567890123", "null", ""])
def test_a31_inputs_that_are_no_objects_are_kept_as_json(value: str) -> None:
    member = f', "input": {value}' if value else ""
    data = b'[{"type": "tool_use", "id": "t", "name": "f"%b}]' % member.encode()
    (part,) = decode_blocks.content(data, "c", "m")
    assert isinstance(part, ir.ToolCall)
    assert part.arguments == ("" if value in ("", "null") else value)


def test_g7_tool_input_keeps_its_spelling() -> None:
    data = b'[{"type": "tool_use", "id": "t", "name": "f", "input": {"b": 0.70, "a": 1e3, "b": 2}}]'
    (part,) = decode_blocks.content(data, "c", "m")
    assert isinstance(part, ir.ToolCall)
    assert part.arguments == '{"b": 0.70, "a": 1e3, "b": 2}'


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ({}, ()),
        ({"content": ""}, (ir.Text("", path="c[0].content"),)),
        ({"content": "out"}, (ir.Text("out", path="c[0].content"),)),
        ({"content": []}, ()),
        ({"content": [{"type": "text", "text": "x"}]}, (ir.Text("x", path="c[0].content[0]"),)),
        ({"content": {"k": 1}}, (ir.Text('{"k": 1}', path="c[0].content"),)),
    ],
)
def test_a21_tool_result_content(content: dict[str, Any], parts: tuple[ir.Part, ...]) -> None:
    (part,) = decode({"type": "tool_result", "tool_use_id": "t", "is_error": False, **content})
    assert isinstance(part, ir.ToolResult)
    assert part.parts == parts
    assert part.is_error is False


def test_a22_images_inside_tool_results() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}}
    (part,) = decode({"type": "tool_result", "tool_use_id": "t", "content": [image]})
    assert isinstance(part, ir.ToolResult)
    assert isinstance(part.parts[0], ir.Image)
    assert part.parts[0].path == "c[0].content[0]"


def test_cache_control_with_more_in_it_is_kept() -> None:
    control = {"type": "ephemeral", "ttl": "1h", "scope": "global"}
    (part,) = decode({"type": "text", "text": "x", "cache_control": control})
    assert isinstance(part, ir.Text)
    assert part.cache == ir.CacheMark("1h")
    assert part.ext is not None
    assert json.loads(part.ext.fields["cache_control"]) == control


@pytest.mark.parametrize(
    ("block", "where"),
    [
        ({"text": "x"}, "c[0].type"),
        ({"type": 3}, "c[0].type"),
        ({"type": "text"}, "c[0].text"),
        ({"type": "text", "text": "x", "citations": {}}, "c[0].citations"),
        ({"type": "text", "text": "x", "cache_control": "yes"}, "c[0].cache_control"),
        ({"type": "image"}, "c[0].source"),
        ({"type": "image", "source": {"type": "base64"}}, "c[0].source.data"),
        ({"type": "image", "source": {"type": "url"}}, "c[0].source.url"),
        ({"type": "document", "source": {"type": "file"}}, "c[0].source.file_id"),
        ({"type": "thinking", "signature": "x"}, "c[0].thinking"),
        ({"type": "redacted_thinking"}, "c[0].data"),
        ({"type": "tool_use", "name": "f"}, "c[0].id"),
        ({"type": "tool_use", "id": "i"}, "c[0].name"),
        ({"type": "tool_result"}, "c[0].tool_use_id"),
        ({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text"}]}, "c[0].content[0].text"),
    ],
)
def test_hostile_blocks_are_named(block: dict[str, Any], where: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode(block)
    assert caught.value.error.param == where
