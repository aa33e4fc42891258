"""The judge of streams finds what is wrong, and nothing where nothing is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.dialects.ollama import grammar as module

from .build import call, judged, line

GOOD = line("a", thinking="t") + line(tool_calls=[call()]) + line(tool_calls=[call("g", index=1)]) + line(done=True)
THIN = (
    b'{"model":"m","created_at":"2026-11-21T06:39:02Z","response":"a","done":false}\n'
    b'{"model":"m","created_at":"2026-11-21T06:39:02Z","response":"","done":true,"done_reason":"stop"}\n'
)


def test_a_good_stream_in_any_cut() -> None:
    for cut in (1, 3, 1000):
        grammar = DIALECT.grammar()
        for at in range(0, len(GOOD), cut):
            grammar.receive_data(GOOD[at : at + cut])
        grammar.receive_eof()
        assert grammar.problems == []
        seen = grammar.seen
        assert (seen.ended, seen.failed, seen.text, seen.reasoning, seen.finish) == (True, False, "a", "t", "stop")
        assert seen.tools == [("f", "{}"), ("g", "{}")]
        assert seen.usage == {"prompt_eval_count": 3, "eval_count": 4}


def test_the_thin_form() -> None:
    assert judged(THIN, "/api/generate") == []
    assert any("message" in problem for problem in judged(THIN))
    assert any("response" in problem for problem in judged(GOOD, "/api/generate"))


def test_an_error_ends_a_stream() -> None:
    assert judged(line("a") + b'{"error":"x"}\n') == []
    assert judged(b'{"error":{}}\n') == ["event 0: field: error: expected a text"]
    assert judged(b'{"error":"x","done":true}\n') == ["event 0: terminal: a line is an error and a normal end"]
    assert judged(b'{"error":"x"}\n' + line(done=True)) == ["event 1: terminal: found a line behind the last one"]


def changed(**fields: Any) -> bytes:
    value = json.loads(line(done=True))
    return json.dumps({**value, **fields}).encode() + b"\n"


PROBLEMS: list[tuple[bytes, str]] = [
    (b"", "event 0: cut: "),
    (line("a"), "event 1: cut: "),
    (line(done=True)[:-1], "event 0: framing: the last line has no line feed"),
    (b"\n" + line(done=True), "event 0: framing: a line is no JSON"),
    (b": ping\n" + line(done=True), "event 0: framing: a line is no JSON"),
    (b"[]\n" + line(done=True), "event 0: framing: a line is no JSON object"),
    (line(done=True) * 2, "event 1: terminal: found a line behind"),
    (line("a") + changed(model="other"), "event 1: identity: model"),
    (changed(model=None), "event 0: field: model"),
    (changed(created_at="now"), "event 0: field: created_at"),
    (changed(done_reason="tool_calls"), "event 0: field: done_reason"),
    (changed(eval_count=-1), "event 0: field: eval_count"),
    (changed(total_duration=1.5), "event 0: field: total_duration"),
    (changed(message={"role": "user", "content": ""}), "event 0: field: message.role"),
    (changed(message={"role": "assistant"}), "event 0: field: message.content"),
    (changed(message={"role": "assistant", "content": "", "thinking": 1}), "event 0: field: message.thinking"),
    (changed(message={"role": "assistant", "content": "", "tool_calls": []}), "event 0: field: message.tool_calls"),
    (line(tool_calls=[{}]), "event 0: field: message.tool_calls"),
    (line(tool_calls=[call(index=1)]), "event 0: index: "),
    (line(tool_calls=[{"function": {"name": "", "arguments": {}}}]), "event 0: field: function.name"),
    (line(tool_calls=[{"function": {"name": "f", "arguments": "{}"}}]), "event 0: field: function.arguments"),
    (line(tool_calls=[{"id": 1, "function": {"name": "f", "arguments": {}}}]), "event 0: field: message.tool_calls.id"),
    (line("a", eval_count=1), "event 0: order: eval_count"),
    (line("a", done_reason="stop"), "event 0: order: done_reason"),
    (line("a").replace(b"false", b"null"), "event 0: field: done"),
]


@pytest.mark.parametrize(("data", "problem"), PROBLEMS)
def test_t10_what_is_wrong_is_found(data: bytes, problem: str) -> None:
    assert any(found.startswith(problem) for found in judged(data)), judged(data)


def test_g11_a_line_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_TAIL", 10)
    assert judged(b"x" * 11)[0] == "event 0: framing: a line without an end"
