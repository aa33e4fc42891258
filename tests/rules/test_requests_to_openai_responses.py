"""translation.md B20 to B22, A19: requests to Responses providers."""

from __future__ import annotations

import json
from typing import Any

from support.rich_requests import PDF, PNG
from support.sent import Sent

USER = {"role": "user", "content": "hi"}


def messages(*conversation: Any, **fields: Any) -> Sent:
    body = {"model": "m", "max_tokens": 4000, "messages": list(conversation) or [USER], **fields}
    return Sent("anthropic", "openai_responses", body)


def test_b20_nothing_is_stored_and_ids_depend_on_the_place_alone() -> None:
    spoken = [USER, {"role": "assistant", "content": "a"}, USER]
    short, longer = messages(*spoken), messages(*spoken, {"role": "assistant", "content": "b"}, USER)
    assert short.body["store"] is False
    assert longer.body["input"][:3] == short.body["input"]
    long_id = "toolu_" + "y" * 80
    used = messages(
        USER,
        {"role": "assistant", "content": [{"type": "tool_use", "id": long_id, "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": long_id, "content": "x"}]},
    )
    called, answered = used.body["input"][1:]
    assert called["call_id"] == answered["call_id"]
    assert len(called["call_id"]) <= 64
    assert "id" not in called


def test_b21_texts_images_and_files_have_the_names_of_their_side() -> None:
    sent = messages(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
        USER,
    )
    first, second, _ = sent.body["input"]
    assert [part["type"] for part in first["content"]] == ["input_text", "input_image", "input_file"]
    assert first["content"][2]["filename"] == "document.pdf"
    assert [part["type"] for part in second["content"]] == ["output_text"]


def test_b22_reasoning_is_asked_for_with_what_can_be_sent_back() -> None:
    sent = messages(thinking={"type": "enabled", "budget_tokens": 3000})
    assert sent.body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert sent.body["include"] == ["reasoning.encrypted_content"]


def test_a19_every_call_is_answered_and_no_output_is_without_its_call() -> None:
    sent = messages(
        USER,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_9", "content": "lost"}]},
    )
    items = sent.body["input"]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output", "message"]
    assert items[2]["call_id"] == "toolu_1"
    assert "lost" in json.dumps(items[3])


def test_r8_bare_reasoning_of_another_provider_does_not_reach_this_one() -> None:
    """The conversation began elsewhere (an envelope is in it); nothing is stored, so the id means nothing here."""
    body = {
        "model": "mine",
        "store": False,
        "input": [
            USER,
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "ferry1.x"},
            {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": "native"},
            {"role": "assistant", "content": "a"},
            USER,
        ],
    }
    sent = Sent("openai_responses", "openai_responses", body)
    assert [item.get("id") for item in sent.body["input"] if item.get("type") == "reasoning"] == ["rs_3"]
    assert sent.lost("input[1]")
    assert sent.lost("input[2]")
