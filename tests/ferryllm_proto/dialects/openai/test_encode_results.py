"""Results of tools: what a tool message holds, what follows it, and what says that a call failed."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai.encode_results import ERROR_PREFIX

from .vendor_case import ASSISTANT, TURNS, USER, Sent

PNG = ir.Image(ir.Source(ir.SourceKind.BASE64, "AA==", "image/png"), path="p.image")
PDF = ir.Document(ir.Source(ir.SourceKind.BASE64, "AA==", "application/pdf"), path="p.file")
TEXT = ir.Document(ir.Source(ir.SourceKind.TEXT, "body"), path="p.text")


def answered(vendor: str, *parts: ir.Part, failed: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """The messages from the result on, and what was lost."""
    result = ir.ToolResult("call_1", parts, is_error=failed, path="p")
    turns = (*TURNS, ir.Turn(ASSISTANT, (ir.ToolCall("call_1", "f", "{}"),)), ir.Turn(USER, (result,)))
    sent = Sent(vendor, turns=turns, tools=(ir.Function("f"),))
    return sent.messages[2:], sent.lost


def content(vendor: str, *parts: ir.Part, failed: bool = False) -> object:
    return answered(vendor, *parts, failed=failed)[0][0]["content"]


@pytest.mark.parametrize("vendor", ["generic", "mistral", "openrouter"])
def test_one_text_is_a_string_everywhere_and_nothing_is_an_empty_one(vendor: str) -> None:
    assert content(vendor, ir.Text("a")) == "a"
    assert content(vendor, TEXT) == "body"
    assert content(vendor) == ""


def test_a20_a_failed_call_is_told_by_its_text() -> None:
    assert content("generic", ir.Text("a"), failed=True) == f"{ERROR_PREFIX}a"
    assert content("generic", failed=True) == ERROR_PREFIX
    two = content("generic", ir.Text("a"), ir.Text("b"), failed=True)
    assert two == [{"type": "text", "text": f"{ERROR_PREFIX}a"}, {"type": "text", "text": "b"}]
    assert content("mistral", ir.Text("a"), ir.Text("b"), failed=True) == f"{ERROR_PREFIX}ab"
    shown = content("openrouter", PNG, failed=True)
    assert isinstance(shown, list)
    assert [part["type"] for part in shown] == ["text", "image_url"]
    assert answered("generic", failed=True)[1] == ["degraded p.is_error"]


def test_a22_what_has_no_place_follows_the_result_and_leaves_a_note() -> None:
    messages, lost = answered("openrouter", ir.Text("a"), PNG, PDF)
    assert [part["type"] for part in messages[0]["content"]] == ["text", "image_url", "text"]
    assert messages[0]["content"][2]["text"] == "[document of tool result call_1: see the next user message]"
    assert [part["type"] for part in messages[1]["content"]] == ["text", "file"]
    assert lost == ["degraded p.file"]
    messages, lost = answered("generic", PNG)
    assert messages[0]["content"] == "[image of tool result call_1: see the next user message]"
    assert [part["type"] for part in messages[1]["content"]] == ["text", "image_url"]
    assert lost == ["degraded p.image"]


def test_parts_that_are_no_content_are_reported() -> None:
    messages, lost = answered("generic", ir.Text("a"), ir.Refusal("no", path="p.refusal"))
    assert messages[0]["content"] == "a"
    assert lost == ["dropped p.refusal"]
