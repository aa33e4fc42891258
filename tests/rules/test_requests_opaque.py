"""translation.md A25 to A28, B7, B9, C5, R8: what only its provider can read goes back to it, and to nobody else.

Two turns of every client with every provider: the first answer is full of such material, the second request brings it
back as the client's SDK kept it, or as a client keeps it that drops every field its protocol had not at first.
"""

from __future__ import annotations

from typing import Any

import pytest

from support import turns
from support.sent import NAMES, PAIRS, spoken

KEPT = ("all", "chunks", "known")
"""How a client keeps an answer: all of it, each chunk by itself, only the fields it knows."""

CASES = [
    (entry, backend, stream, kept)
    for entry, backend in PAIRS
    for stream in (False, True)
    for kept in KEPT
    if kept != "chunks" or (entry == "gemini" and stream)
]


def second(entry: str, backend: str, stream: bool, kept: str) -> dict[str, Any]:
    body = turns.second(entry, backend, stream, chunks=kept == "chunks")
    return turns.forgetful(entry, body) if kept == "known" else body


def check_anthropic(conversation: list[Any]) -> None:
    # What was thought before the text and what was thought behind it stand where they stood.
    assert conversation[1]["content"][:4] == turns.ANSWERS["anthropic"]["content"][:4]
    assert [block["type"] for block in conversation[1]["content"][4:]] == ["tool_use", "tool_use"]
    assert [result["content"] for result in conversation[2]["content"]] == ["sunny", "rainy"]


def check_responses(conversation: list[Any]) -> None:
    kinds = [item.get("type", "message") for item in conversation[1:]]
    calls = ["function_call", "function_call", "function_call_output", "function_call_output"]
    assert kinds == ["reasoning", "message", "reasoning", *calls]
    assert conversation[1]["encrypted_content"] == "ENCRYPTED-1"
    assert [one["text"] for one in conversation[1]["summary"]] in ([], ["first thought"])
    assert (conversation[3]["encrypted_content"], conversation[3]["summary"]) == ("ENCRYPTED-2", [])
    assert [item["output"] for item in conversation[-2:]] == ["sunny", "rainy"]


def check_chat(conversation: list[Any]) -> None:
    message = turns.ANSWERS["openai"]["choices"][0]["message"]
    assert conversation[1]["reasoning_details"] == message["reasoning_details"]
    assert [result["content"] for result in conversation[2:]] == ["sunny", "rainy"]


def check_gemini(conversation: list[Any]) -> None:
    assert [content["role"] for content in conversation] == ["user", "model", "user"]
    shown = [part for part in conversation[1]["parts"] if not part.get("thought")]
    assert [part.get("thoughtSignature") for part in shown] == [*turns.SECRETS["gemini"], None]
    assert shown[0]["text"] == "I call two."
    assert [part["functionCall"]["name"] for part in shown[1:]] == ["weather", "weather"]
    results = [part["functionResponse"] for part in conversation[2]["parts"]]
    assert [result["response"] for result in results] == [{"output": "sunny"}, {"output": "rainy"}]
    assert [result["id"] for result in results] == [part["functionCall"]["id"] for part in shown[1:]]


def check_ollama(conversation: list[Any]) -> None:
    assert conversation[1]["content"] == "I call two."
    assert [call["function"]["name"] for call in conversation[1]["tool_calls"]] == ["weather", "weather"]
    assert [message["content"] for message in conversation[2:]] == ["sunny", "rainy"]


CHECKS = {
    "anthropic": check_anthropic,
    "openai_responses": check_responses,
    "openai": check_chat,
    "gemini": check_gemini,
    "ollama": check_ollama,
}


def words(entry: str, backend: str, kept: str) -> int:
    """How often the provider gets the words of its thought: Gemini gets only signatures back, and where a Chat client
    has forgotten them the ids of calls bring those that Anthropic has signed."""
    forgotten = (entry, kept) == ("openai", "known") and backend != "anthropic"
    return 0 if backend == "gemini" or forgotten else 1


@pytest.mark.parametrize(("entry", "backend", "stream", "kept"), CASES)
def test_b9_opaque_material_goes_back_to_who_minted_it(entry: str, backend: str, stream: bool, kept: str) -> None:
    sent = turns.send(entry, backend, second(entry, backend, stream, kept))
    raw = sent.raw.decode()
    assert [raw.count(f'"{secret}"') for secret in turns.SECRETS[backend]] == [1] * len(turns.SECRETS[backend])
    assert "ferry1." not in raw
    assert "ZmVycnkx" not in raw
    assert raw.count("first thought") == words(entry, backend, kept)
    assert "12345678901234567890" in raw
    CHECKS[backend](spoken(sent.body))


def place(entry: str) -> str:
    return {"openai_responses": "input[1", "gemini": "contents[1"}.get(entry, "messages[1]")


def elsewhere(backend: str) -> list[tuple[str, str]]:
    """Providers and models that have not minted what ``backend`` has."""
    models = [(name, model) for name in NAMES for model in (turns.MODELS[name], turns.OTHER_FAMILY[name])]
    return [one for one in models if one != (backend, turns.MODELS[backend])]


@pytest.mark.parametrize(("entry", "backend", "stream", "kept"), CASES)
def test_a26_a28_nobody_else_gets_it_and_the_loss_is_reported(
    entry: str, backend: str, stream: bool, kept: str
) -> None:
    body = second(entry, backend, stream, kept)
    for target, model in elsewhere(backend):
        sent = turns.send(entry, target, body, model)
        assert sent.refused == "", (target, model)
        raw = sent.raw.decode()
        assert [secret for secret in turns.SECRETS[backend] if secret in raw] == [], (target, model)
        assert "ferry1." not in raw
        assert "ZmVycnkx" not in raw
        if turns.SECRETS[backend]:
            assert any(loss.partition(" ")[2].startswith(place(entry)) for loss in sent.losses), (target, sent.losses)
