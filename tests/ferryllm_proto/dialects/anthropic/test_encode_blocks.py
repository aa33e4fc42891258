"""Parts become blocks; what Messages can not say is dropped, degraded or refused by name."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialects.anthropic import DIALECT
from ferryllm_proto.errors import RemoteProtocolError

from .build import assistant, encoded, foreign, paths, user

PDF = base64.b64encode(b"%PDF-1.7 ...").decode()


def block(part: ir.Part, **fields: Any) -> tuple[Any, list[tuple[str, str]]]:
    body, losses = encoded(foreign(user(part, "z"), **fields))
    content = body["messages"][0]["content"]
    return (content[0] if len(content) == 2 else None), paths(losses)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (
            ir.Source(ir.SourceKind.BASE64, "AAA", "image/jpg"),
            {"type": "base64", "media_type": "image/jpeg", "data": "AAA"},
        ),
        (
            ir.Source(ir.SourceKind.BASE64, "iVBORw0KGgoAAA"),
            {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgoAAA"},
        ),
        (ir.Source(ir.SourceKind.URL, "https://x"), {"type": "url", "url": "https://x"}),
    ],
)
def test_a23_images(source: ir.Source, wanted: dict[str, str]) -> None:
    assert block(ir.Image(source, detail="auto", path="p")) == ({"type": "image", "source": wanted}, [])


def test_c12_detail_is_reported() -> None:
    image = ir.Image(ir.Source(ir.SourceKind.URL, "https://x"), detail="high", path="p")
    assert block(image)[1] == [("dropped", "p.detail")]


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        (
            ir.Document(ir.Source(ir.SourceKind.BASE64, PDF), name="a.pdf", path="p"),
            {"source": {"type": "base64", "media_type": "application/pdf", "data": PDF}, "title": "a.pdf"},
        ),
        (
            ir.Document(ir.Source(ir.SourceKind.BASE64, "aGk=", "text/markdown"), path="p"),
            {"source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
        ),
        (
            ir.Document(ir.Source(ir.SourceKind.TEXT, "hi"), context="c", citations=True, path="p"),
            {
                "source": {"type": "text", "media_type": "text/plain", "data": "hi"},
                "context": "c",
                "citations": {"enabled": True},
            },
        ),
        (
            ir.Document(ir.Source(ir.SourceKind.URL, "https://x"), path="p"),
            {"source": {"type": "url", "url": "https://x"}},
        ),
    ],
)
def test_a24_documents(part: ir.Document, wanted: dict[str, Any]) -> None:
    assert block(part) == ({"type": "document", **wanted}, [])


@pytest.mark.parametrize(
    "part",
    [
        ir.Image(ir.Source(ir.SourceKind.BASE64, "Qk0=", "image/bmp"), path="p"),
        ir.Image(ir.Source(ir.SourceKind.BASE64, "????"), path="p"),
        ir.Image(ir.Source(ir.SourceKind.FILE_ID, "file-1"), path="p"),
        ir.Image(ir.Source(ir.SourceKind.TEXT, "x"), path="p"),
        ir.Document(ir.Source(ir.SourceKind.FILE_ID, "file-1"), path="p"),
        ir.Document(ir.Source(ir.SourceKind.BASE64, "UEs=", "application/zip"), path="p"),
        ir.Document(ir.Source(ir.SourceKind.BASE64, "/w==", "text/plain"), path="p"),
        ir.Document(ir.Source(ir.SourceKind.BASE64, "x", "image/png"), path="p"),
        ir.Audio(ir.Source(ir.SourceKind.BASE64, "x"), path="p"),
    ],
)
def test_media_that_can_not_be_read_are_refused(part: ir.Part) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        block(part)
    assert caught.value.error.param == "p"


def thoughts(part: ir.Reasoning, model: str = "claude-opus-4-8") -> tuple[list[Any], list[tuple[str, str]]]:
    body, losses = encoded(foreign(user("a"), assistant(part, "b"), user("c"), model=model))
    return body["messages"][1]["content"][:-1], paths(losses)


def test_a26_only_the_minting_model_gets_its_proofs() -> None:
    mine = ir.Opaque("anthropic", "claude-opus-4-8", ir.OpaqueKind.SIGNATURE, "sig")
    sealed = ir.Opaque("anthropic", "claude-opus-4-8", ir.OpaqueKind.REDACTED, "data")
    part = ir.Reasoning("hm", opaque=(mine, sealed), path="p")
    assert thoughts(part) == (
        [{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "redacted_thinking", "data": "data"}],
        [],
    )
    assert thoughts(part, "claude-opus-5") == ([], [("dropped", "p")])


def test_a26_foreign_proofs_are_never_sent() -> None:
    foreign_ = ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "blob")
    for model in ("claude-opus-4-8", "qwen3"):
        assert thoughts(ir.Reasoning("hm", opaque=(foreign_,), path="p"), model) == ([], [("dropped", "p")])


def test_a28_unsigned_thoughts_are_dropped_for_claude_only() -> None:
    part = ir.Reasoning("hm", path="p")
    assert thoughts(part) == ([], [("dropped", "p")])
    assert thoughts(part, "qwen3") == ([{"type": "thinking", "thinking": "hm", "signature": ""}], [])


def test_a_foreign_envelope_does_not_leave_even_from_our_own_client() -> None:
    token = opaque.wrap(ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "blob"))
    data = (
        b'{"model":"claude-x","max_tokens":1,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":'
        b'[{"type":"thinking","thinking":"t","signature":"%b"},{"type":"text","text":"b"}]},'
        b'{"role":"user","content":"c"}]}' % token.encode()
    )
    upstream, losses = DIALECT.encode_request(DIALECT.decode_request(data))
    assert b"ferry1." not in upstream.body
    assert paths(losses) == [("dropped", "messages[1].content[0]")]


def test_a25_an_alias_keeps_its_proofs() -> None:
    data = (
        b'{"model":"alias","max_tokens":1,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":'
        b'[{"type":"thinking","thinking":"t","signature":"sig"},{"type":"text","text":"b"}]},'
        b'{"role":"user","content":"c"}]}'
    )
    body, losses = encoded(DIALECT.decode_request(data), model="claude-opus-5")
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "t", "signature": "sig"}
    assert losses == []


def tool_use(arguments: str, **fields: Any) -> tuple[Any, list[tuple[str, str]]]:
    part = ir.ToolCall("t", "f", arguments, path="p", **fields)
    result = ir.ToolResult("t", (ir.Text("r", path="m.content"),))
    body, losses = encoded(foreign(user("a"), assistant(part), user(result)))
    return body["messages"][1]["content"][0], paths(losses)


@pytest.mark.parametrize(
    ("arguments", "wanted", "losses"),
    [
        ("", {}, []),
        ("  ", {}, []),
        ('{"a":1}', {"a": 1}, []),
        ('{"a":', {"_raw": '{"a":'}, [("degraded", "p.arguments")]),
        ("[1]", {"_raw": "[1]"}, [("degraded", "p.arguments")]),
    ],
)
def test_b11_c4_input_is_always_an_object(arguments: str, wanted: Any, losses: list[Any]) -> None:
    assert tool_use(arguments) == ({"type": "tool_use", "id": "t", "name": "f", "input": wanted}, losses)


def test_a14_ids_are_fitted_alike_in_call_and_result() -> None:
    part = ir.ToolCall("functions.f:0", "f", "{}")
    result = ir.ToolResult("functions.f:0", (ir.Text("r", path="m.content"),))
    messages = encoded(foreign(user("a"), assistant(part), user(result)))[0]["messages"]
    id_ = messages[1]["content"][0]["id"]
    assert id_.startswith("toolu_")
    assert messages[2]["content"][0]["tool_use_id"] == id_


def test_a20_errors_of_tools_are_said() -> None:
    result = ir.ToolResult("t", (ir.Text("r", path="m.content"),), is_error=True)
    body, _ = encoded(foreign(user("a"), assistant(ir.ToolCall("t", "f", "{}")), user(result)))
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "t", "content": "r", "is_error": True}
    ]


def test_a22_images_stay_in_their_result() -> None:
    image = ir.Image(ir.Source(ir.SourceKind.URL, "https://x"), path="m.content[0]")
    body, losses = encoded(
        foreign(user("a"), assistant(ir.ToolCall("t", "f", "{}")), user(ir.ToolResult("t", (image,))))
    )
    assert body["messages"][2]["content"][0]["content"] == [
        {"type": "image", "source": {"type": "url", "url": "https://x"}}
    ]
    assert losses == []


def test_cache_lifetimes_of_others_become_an_hour() -> None:
    text, losses = block(ir.Text("a", cache=ir.CacheMark("30m"), path="p"))
    assert text["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert losses == [("degraded", "p.cache_control.ttl")]


def test_what_only_others_have_is_reported() -> None:
    part = ir.Text(
        "a",
        citations=(b"{}",),
        citations_dialect="openai",
        phase="commentary",
        path="p",
        ext=ir.Ext("openai", {"x": b"1"}),
    )
    assert block(part) == (
        {"type": "text", "text": "a"},
        [("dropped", "p.citations"), ("dropped", "p.phase"), ("dropped", "p.x")],
    )
    assert block(ir.Hosted("openai_responses", "web_search_call", b"{}", path="p")) == (None, [("dropped", "p")])
    assert block(ir.Refusal("no", path="p")) == ({"type": "text", "text": "no"}, [("degraded", "p")])


def test_g9_material_on_a_call_is_reported() -> None:
    material = ir.Opaque("gemini", "g", ir.OpaqueKind.THOUGHT_SIGNATURE, "x")
    assert tool_use("{}", opaque=(material,))[1] == [("dropped", "p")]
