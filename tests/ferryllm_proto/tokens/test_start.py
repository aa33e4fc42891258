from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.whole import history
from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.tokens import start
from ferryllm_proto.tokens.estimate import estimate_input
from ferryllm_proto.tokens.start import estimate_start
from ferryllm_proto.written import Written

ERROR = 0.15
"""How far the sample may be from reading everything, as a part of it."""


def asked(*texts: str) -> ir.Request:
    turns = tuple(ir.Turn(ir.Role.USER, (ir.Text(text),)) for text in texts)
    return ir.Request("anthropic", "claude-sonnet-4-5", turns, system=(ir.Text("Be brief."),))


@pytest.mark.parametrize("size", [100_000, 300_000, 1_000_000])
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gpt-5.4", "gemini-2.5-pro", "nobody"])
def test_a_long_history_is_estimated_from_a_sample(size: int, model: str) -> None:
    request = DIALECTS["anthropic"].decode_request(json.dumps(history(size)).encode())
    whole = estimate_input(request, model)
    for _ in range(2):  # the tools' part is kept
        assert abs(estimate_start(request, model) - whole) <= ERROR * whole


@pytest.mark.parametrize("ascii_", [False, True])
@pytest.mark.parametrize("size", [20_000, 200_000])
@pytest.mark.parametrize("words", ["", "日本語のテキスト。", 'a \\ "b"\n'])
def test_a_history_that_is_passed_on_unread_is_estimated_too(size: int, words: str, ascii_: bool) -> None:
    body: Any = history(size)
    for message in body["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] == "text":
                block["text"] += words * 40
    data = json.dumps(body, ensure_ascii=ascii_).encode()
    request = DIALECTS["anthropic"].decode_written(data)
    written = Written.of(request.turns)
    assert written is not None
    found = estimate_start(request)
    assert written._turns is None, "no turn was made for it"
    whole = estimate_input(DIALECTS["anthropic"].decode_request(data))
    assert abs(found - whole) <= ERROR * whole


@pytest.mark.parametrize("text", ["naïve café — ", "日本語のテキスト。", "def f(x):\n    return x + 1\n", "🙂 ok "])
def test_the_script_of_a_long_text_counts(text: str) -> None:
    request = asked(text * 4_000)
    whole = estimate_input(request)
    assert abs(estimate_start(request) - whole) <= ERROR * whole


@pytest.mark.parametrize("texts", [["hello"], [""], ["a" * 2000, "b c " * 400], ["x" * (start.EXACT - 9)]])
def test_a_short_conversation_is_read_whole(texts: list[str]) -> None:
    assert estimate_start(asked(*texts)) == estimate_input(asked(*texts))


def test_a_long_text_of_every_length_has_its_probes() -> None:
    for length in (start.EXACT + 1, start.EXACT + 17, 5000, 65_537):
        sample, stands_for = start._sample(["a" * (length - 3), "bcd"])
        assert stands_for == length
        assert start.PROBES - 1 <= -(-len(sample) // start.PROBE) <= start.PROBES + 1


def test_images_and_thoughts_cost_what_they_do() -> None:
    image = ir.Image(ir.Source(ir.SourceKind.URL, "https://a.b/c.png"))
    parts = (ir.Text("word " * 2_000), ir.Reasoning("hm " * 100), image)
    request = ir.Request("anthropic", "claude-sonnet-4-5", (ir.Turn(ir.Role.USER, parts),))
    assert abs(estimate_start(request) - estimate_input(request)) <= ERROR * estimate_input(request)


@given(st.text(max_size=300), st.sampled_from(["claude-sonnet-4-5", "gpt-5", "nobody"]))
def test_a_short_text_alone_is_estimated_as_any(text: str, model: str) -> None:
    turns = (ir.Turn(ir.Role.USER, (ir.Text(text),)),)
    request = ir.Request("anthropic", model, turns)
    assert estimate_start(request, model, "openai") == estimate_input(request, model, "openai")
