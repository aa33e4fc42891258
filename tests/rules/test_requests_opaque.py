"""translation.md A25 to A28, B7, B9, C5, R8: what only its provider can read goes back to it, and to nobody else.

Two turns of every client with every provider: the first answer is full of such material, the second request brings it
back as the client's SDK kept it, or as a client keeps it that drops every field its protocol had not at first.
"""

from __future__ import annotations

from typing import Any

import pytest

from support import judges, turns
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


def second(entry: str, backend: str, stream: bool, kept: str, wire: bool = False) -> dict[str, Any]:
    body = turns.second(entry, backend, stream, chunks=kept == "chunks", wire=wire)
    return turns.forgetful(entry, body) if kept == "known" else body


@pytest.fixture(params=[False, True], ids=["replayed", "wire"])
def wire(request: pytest.FixtureRequest) -> bool:
    """Whether the provider streamed its answer itself."""
    found: bool = request.param
    return found


def check_anthropic(conversation: list[Any]) -> None:
    blocks: list[dict[str, Any]] = []
    for block in conversation[1]["content"]:
        if blocks and blocks[-1]["type"] == block["type"] == "text":  # a Gemini client keeps a stream's pieces
            blocks[-1] = {**block, "text": blocks[-1]["text"] + block["text"]}
        else:
            blocks.append(block)
    # What was thought before the text and what was thought behind it stand where they stood.
    assert blocks[:4] == turns.ANSWERS["anthropic"]["content"][:4]
    assert [block["type"] for block in blocks[4:]] == ["tool_use", "tool_use"]
    assert [result["content"] for result in conversation[2]["content"]] == ["sunny", "rainy"]


def check_responses(conversation: list[Any]) -> None:
    kinds = [item.get("type", "message") for item in conversation[1:]]
    calls = ["function_call", "function_call", "function_call_output", "function_call_output"]
    assert kinds == ["reasoning", "message", "reasoning", *calls]
    sealed = [item["encrypted_content"] for item in conversation if item.get("type") == "reasoning"]
    assert sealed == list(turns.SECRETS["openai_responses"])
    assert [one["text"] for one in conversation[1]["summary"]] in ([], ["first thought"])
    assert conversation[3]["summary"] == []
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
def test_b9_opaque_material_goes_back_to_who_minted_it(
    entry: str, backend: str, stream: bool, kept: str, wire: bool
) -> None:
    sent = turns.send(entry, backend, second(entry, backend, stream, kept, wire))
    raw = sent.raw.decode()
    assert [raw.count(f'"{secret}"') for secret in turns.SECRETS[backend]] == [1] * len(turns.SECRETS[backend])
    assert "ferry1." not in raw
    assert "ZmVycnkx" not in raw
    assert raw.count("first thought") == words(entry, backend, kept)
    assert "12345678901234567890" in raw
    CHECKS[backend](spoken(sent.body))
    assert judges.rules(backend, turns.MODELS[backend], sent.body) == []


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
        assert judges.rules(target, model, sent.body) == [], (target, model)
        raw = sent.raw.decode()
        assert [secret for secret in turns.SECRETS[backend] if secret in raw] == [], (target, model)
        assert "ferry1." not in raw
        assert "ZmVycnkx" not in raw
        if turns.SECRETS[backend]:
            assert any(loss.partition(" ")[2].startswith(place(entry)) for loss in sent.losses), (target, sent.losses)


@pytest.mark.parametrize(("entry", "backend", "stream", "kept"), CASES)
def test_b9_material_of_several_answers_stands_in_each_of_them(
    entry: str, backend: str, stream: bool, kept: str
) -> None:
    body = turns.third(entry, backend, stream, chunks=kept == "chunks")
    sent = turns.send(entry, backend, turns.forgetful(entry, body) if kept == "known" else body)
    raw = sent.raw.decode()
    assert sent.refused == ""
    assert "ferry1." not in raw
    assert judges.rules(backend, turns.MODELS[backend], sent.body) == []
    places = [raw.find(f'"{secret}"') for secret in turns.SECRETS[backend]]
    later = [raw.find(f'"{secret}"') for secret in turns.LATER[backend]]
    results = [raw.find(f'"{result}"') for result in ("sunny", "rainy", "cloudy", "foggy")]
    order = [*places, *results[:2], *later, *results[2:]]
    assert -1 not in order
    assert order == sorted(order)
    for secret in (*turns.SECRETS[backend], *turns.LATER[backend]):
        assert raw.count(f'"{secret}"') == 1


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("entry", [name for name in NAMES if turns.SECRETS[name]])
def test_a26_what_a_client_got_from_a_provider_of_its_own_dialect_is_for_no_other(entry: str, target: str) -> None:
    body = turns.native(entry)
    for model in (turns.MODELS[target], turns.OTHER_FAMILY[target]):
        sent = turns.send(entry, target, body, model)
        raw = sent.raw.decode()
        assert sent.refused == ""
        assert judges.rules(target, model, sent.body) == []
        if target == entry:
            assert all(secret in raw for secret in turns.SECRETS[entry])
            assert sent.losses == []
        else:
            assert [secret for secret in turns.SECRETS[entry] if secret in raw] == []
            assert any(loss.partition(" ")[2].startswith(place(entry)) for loss in sent.losses), sent.losses


MINTERS = [name for name in NAMES if turns.SECRETS[name]]


@pytest.mark.parametrize(("first", "then"), [(a, b) for a in MINTERS for b in MINTERS if a != b])
@pytest.mark.parametrize("entry", NAMES)
def test_a26_who_comes_back_to_a_provider_brings_what_was_its_own(entry: str, first: str, then: str) -> None:
    """The conversation began with one provider and went on with another: each gets its own, and only its own."""
    body = turns.second(entry, first)
    body = turns.echo(entry, body, turns.answer(entry, then, body, turns.again(then)), ("cloudy", "foggy"))
    for backend, secrets in (
        (first, turns.SECRETS[first]),
        (then, turns.LATER[then]),
    ):
        sent = turns.send(entry, backend, body)
        raw = sent.raw.decode()
        assert sent.refused == ""
        assert judges.rules(backend, turns.MODELS[backend], sent.body) == []
        assert [raw.count(f'"{secret}"') for secret in secrets] == [1] * len(secrets)
        others = [*turns.SECRETS[first], *turns.LATER[then]]
        assert [secret for secret in others if secret not in secrets and f'"{secret}"' in raw] == []
        assert "ferry1." not in raw
        assert sent.losses != []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_a26_material_of_an_answer_without_calls_comes_back_too(entry: str, backend: str, stream: bool) -> None:
    body = turns.went_on(entry, backend, stream)
    sent = turns.send(entry, backend, body)
    raw = sent.raw.decode()
    assert sent.refused == ""
    assert "ferry1." not in raw
    assert raw.count("I call two.") == 1
    found = [secret for secret in turns.SECRETS[backend] if f'"{secret}"' in raw]
    if entry == "ollama":  # without a call a message has nothing that brings it
        assert found == []
        return
    before_calls = {"openai": 2, "anthropic": 2}.get(backend, 1)
    assert found == list(turns.SECRETS[backend][:before_calls])
    conversation = spoken(sent.body)
    if backend == "anthropic":
        assert conversation[1]["content"] == turns.talking("anthropic")["content"]
    elif backend == "gemini":
        assert [p for p in conversation[1]["parts"] if not p.get("thought")] == [
            {"text": "I call two.", "thoughtSignature": turns.SECRETS["gemini"][0]}
        ]
    elif backend == "openai_responses":
        kinds = [item.get("type", "message") for item in conversation[1:]]
        assert kinds[:2] == ["reasoning", "message"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_a26_names_of_deployments_and_aliases_are_the_models_they_stand_for(
    entry: str, backend: str, stream: bool
) -> None:
    """The provider is asked for a name of its own, and its answer tells what is behind it."""
    body = {**turns.FIRST[entry], "stream": True} if stream else turns.FIRST[entry]
    answered = turns.answer(entry, backend, body, turns.ANSWERS[backend], "prod-deployment")
    sent = turns.send(entry, backend, turns.echo(entry, body, answered), "prod-deployment")
    assert [secret for secret in turns.SECRETS[backend] if f'"{secret}"' not in sent.raw.decode()] == []
