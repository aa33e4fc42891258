"""W2, D4 and the rows of wire.md 7.7 to 7.9 that are Ollama's: as entry and as backend."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.grammar import Seen
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    DIALECTS,
    Told,
    ask,
    block,
    call_item,
    chat,
    fragment,
    message_item,
    messages,
    responses,
    tell,
    text_block,
    thinking_block,
    through,
    tool_block,
)
from support.native import (
    gemini,
    gemini_call,
    ollama,
    ollama_call,
    ollama_end,
    ollama_line,
)

ENTRIES = [name for name in DIALECTS if name != "ollama"]
GENERATE = "/api/generate"
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in "fg"]


def well(entry: str, told: Told) -> Seen:
    assert told.state is State.DONE, told.error
    seen = grammar.validate(entry, told.body)
    assert seen.ended
    return seen


def lines(told: Told) -> list[dict[str, Any]]:
    assert told.state is State.DONE, told.error
    assert told.body.endswith(b"\n")
    return [json.loads(line) for line in told.body.splitlines()]


# --- clients of Ollama -----------------------------------------------------------------------------------

USAGE = {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}
CALLS: dict[str, bytes] = {
    "openai": chat(
        {"reasoning_content": "hm"},
        {"content": "a"},
        {"tool_calls": [fragment(0, "c0", "f", ""), fragment(1, "c1", "g", "")]},
        {"tool_calls": [fragment(1, args='{"b"')]},
        {"tool_calls": [fragment(0, args='{"a":1}')]},
        {"tool_calls": [fragment(1, args=":2}")]},
        finish="tool_calls",
        usage=USAGE,
    ),
    "anthropic": messages(
        thinking_block(0, "hm"),
        text_block(1, "a"),
        tool_block(2, "c0", "f", '{"a"', ":1}"),
        tool_block(3, "c1", "g", '{"b":', "2}"),
        stop="tool_use",
    ),
    "openai_responses": responses(
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        message_item("a"),
        call_item("fc_0", "c0", "f", '{"a":1}'),
        call_item("fc_1", "c1", "g", '{"b":2}'),
    ),
    "gemini": gemini(
        {"text": "hm", "thought": True},
        {"text": "a"},
        gemini_call("f", {"a": 1}, id="c0"),
        gemini_call("g", {"b": 2}, id="c1"),
    ),
}


@pytest.mark.parametrize("backend", CALLS)
def test_w2_lines_then_the_last_one_with_its_counts(backend: str) -> None:
    told = through("ollama", backend, CALLS[backend], tools=TOOLS)
    assert told.headers["content-type"] == "application/x-ndjson"
    *before, last = lines(told)
    assert all(line["done"] is False and "eval_count" not in line for line in before)
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert (last["prompt_eval_count"], last["eval_count"]) == (10, 7)
    assert all(isinstance(last[name], int) for name in ("total_duration", "eval_duration", "prompt_eval_duration"))
    assert {line["model"] for line in (*before, last)} == {"asked"}
    answer = oracles.stream("ollama", told.body).message
    assert (answer.thinking, answer.content) == ("hm", "a")
    assert answer.tool_calls is not None
    found = [(call.function.name, call.function.arguments) for call in answer.tool_calls]
    assert found == [("f", {"a": 1}), ("g", {"b": 2})]
    ids = [call["id"] for line in before for call in line["message"].get("tool_calls", ())]
    assert ids == ["c0", "c1"]


@pytest.mark.parametrize("backend", CALLS)
def test_w2_a_whole_answer_is_the_fold_of_the_stream(backend: str) -> None:
    stream = oracles.stream("ollama", through("ollama", backend, CALLS[backend], tools=TOOLS).body).message
    whole = through("ollama", backend, CALLS[backend], stream=False, tools=TOOLS)
    assert oracles.whole("ollama", whole.body).message == stream
    assert whole.json()["eval_count"] == 7


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("backend", CALLS)
def test_w2_the_thin_form_says_text_alone(backend: str, stream: bool) -> None:
    translator = ask("ollama", backend, stream=stream, path=GENERATE, messages=None, prompt="hi")
    told = tell(translator, CALLS[backend])
    found = lines(told) if stream else [told.json()]
    assert "".join(line["response"] for line in found) == "a"
    assert "".join(line.get("thinking", "") for line in found) == "hm"
    assert all("message" not in line for line in found)
    assert "tool_calls" in told.lost
    if stream:
        assert not grammar.judge("ollama", told.body, path=GENERATE)[0]


REASONS: list[tuple[str, bytes, str, bool]] = [
    ("openai", chat({"content": "a"}), "stop", False),
    ("openai", chat({"content": "a"}, finish="length"), "length", False),
    ("openai", chat({"content": "a"}, finish="content_filter"), "stop", True),
    ("anthropic", messages(text_block(0, "a")), "stop", False),
    ("anthropic", messages(text_block(0, "a"), stop="max_tokens"), "length", False),
    ("anthropic", messages(text_block(0, "a"), stop="model_context_window_exceeded"), "length", False),
    ("anthropic", messages(text_block(0, "a"), stop="stop_sequence", stop_sequence="END"), "stop", True),
    ("anthropic", messages(text_block(0, "a"), stop="refusal"), "stop", True),
    ("anthropic", messages(text_block(0, "a"), stop="pause_turn"), "stop", True),
    ("openai_responses", responses(message_item("a")), "stop", False),
    (
        "openai_responses",
        responses(message_item("a"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        "length",
        False,
    ),
    ("gemini", gemini({"text": "a"}), "stop", False),
    ("gemini", gemini({"text": "a"}, finish="MAX_TOKENS"), "length", False),
    ("gemini", gemini({"text": "a"}, finish="SAFETY"), "stop", True),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("backend", "data", "wanted", "lossy"), REASONS)
def test_7_8_every_reason_has_its_word(backend: str, data: bytes, wanted: str, lossy: bool, stream: bool) -> None:
    told = through("ollama", backend, data, stream=stream)
    assert (well("ollama", told).finish if stream else told.json()["done_reason"]) == wanted
    assert lossy is any(path.startswith("stop") for path in told.lost)


@pytest.mark.parametrize("stream", [True, False])
def test_x17_x16_what_has_no_place_is_reported(stream: bool) -> None:
    page = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "c"}
    cited = {"type": "citations_delta", "citation": {**page, "encrypted_index": "e"}}
    use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    text = block(2, {"type": "text", "text": "", "citations": []}, cited, {"type": "text_delta", "text": "so"})
    told = through("ollama", "anthropic", messages(block(0, use), block(1, result), text), stream=stream)
    assert told.state is State.DONE
    assert {"server_tool_use", "web_search_tool_result", "content.citations"} <= set(told.lost)


def test_s16_g4_nothing_but_lines_is_ever_written() -> None:
    translator = ask("ollama", "anthropic")
    translator.receive_response_head(200, [])
    data = messages(text_block(0, "a"), stop="pause_turn")
    out = translator.receive_data(data[:-200])
    assert out
    assert translator.ping() == b""
    out += translator.receive_data(data[-200:]) + translator.receive_eof()
    assert grammar.validate("ollama", out).ended
    assert b"x-ferryllm-loss" not in out
    assert "stop_reason" in [loss.path for loss in translator.losses]


# --- providers of Ollama ---------------------------------------------------------------------------------

FULL = ollama(
    {"thinking": "hm "},
    {"thinking": "hm"},
    {"content": "a"},
    {"content": "b"},
    {"tool_calls": [ollama_call("f", {"a": 1}), ollama_call("g", {}, "call_9")]},
)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
def test_d4_thinking_text_and_whole_calls(entry: str, stream: bool) -> None:
    told = through(entry, "ollama", FULL, stream=stream)
    assert told.usage == ir.Usage(input=10, output=7)
    assert told.finish is ir.FinishReason.TOOL_USE
    if not stream:
        oracles.whole(entry, told.body)
        return
    seen = well(entry, told)
    assert (seen.reasoning, seen.text) == ("hm hm", "ab")
    assert [(name, json.loads(args or "{}")) for name, args in seen.tools] == [("f", {"a": 1}), ("g", {})]
    wanted = {"openai": "tool_calls", "anthropic": "tool_use", "openai_responses": "completed", "gemini": "STOP"}
    assert seen.finish == wanted[entry]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
def test_d4_x6_calls_without_ids_get_ids_that_differ_and_stay(entry: str, stream: bool) -> None:
    data = ollama({"tool_calls": [ollama_call("f", {"a": 1}), ollama_call("f", {"a": 1})]})
    one, two = (through(entry, "ollama", data, stream=stream) for _ in range(2))
    assert one.body == two.body
    if stream:
        return
    value = one.json()
    ids = {
        "openai": lambda: [call["id"] for call in value["choices"][0]["message"]["tool_calls"]],
        "anthropic": lambda: [item["id"] for item in value["content"]],
        "openai_responses": lambda: [item["call_id"] for item in value["output"]],
        "gemini": lambda: [part["functionCall"]["id"] for part in value["candidates"][0]["content"]["parts"]],
    }[entry]()
    assert len(set(ids)) == 2
    assert all(ids)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(("reason", "finish"), [("stop", "END"), ("length", "LENGTH"), (None, "END"), ("load", "END")])
def test_7_8_words_of_ollama(entry: str, reason: str | None, finish: str) -> None:
    told = through(entry, "ollama", ollama({"content": "a"}, reason=reason))
    assert told.finish is ir.FinishReason[finish]
    well(entry, told)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
def test_7_7_u11_a_count_that_is_missing_is_unknown(entry: str, stream: bool) -> None:
    told = through(entry, "ollama", ollama({"content": "a"}, prompt=None), stream=stream)
    assert told.state is State.DONE
    assert told.usage == ir.Usage(input=None, output=7)
    (oracles.stream if stream else oracles.whole)(entry, told.body)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("noise", [b"\n", b"   \r\n", b"{}\n", b'{"status":"loading model"}\n'])
def test_s8_lines_that_tell_nothing_are_nothing(entry: str, noise: bytes) -> None:
    data = b"".join(line + b"\n" + noise for line in FULL.splitlines())
    assert through(entry, "ollama", noise + data).body == through(entry, "ollama", FULL).body


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("line", [b"prose\n", b"data: {}\n", b"null\n", b"[]\n", b"1\n"])
def test_s8_a_line_that_is_no_object_is_an_error(entry: str, stream: bool, line: bytes) -> None:
    told = through(entry, "ollama", ollama_line({"content": "a"}) + line + ollama_line(**ollama_end()), stream=stream)
    assert told.state is State.FAILED
    if stream:
        assert grammar.validate(entry, told.body).failed
    else:
        assert told.status == 502


# --- errors ----------------------------------------------------------------------------------------------

ERRORS: list[tuple[int, bytes, ir.ErrorKind]] = [
    (404, b'{"error":"model \'x\' not found"}', ir.ErrorKind.NOT_FOUND),
    (400, b'{"error":"\\"x\\" does not support tools"}', ir.ErrorKind.BAD_REQUEST),
    (400, b'{"error":"\\"x\\" does not support thinking"}', ir.ErrorKind.BAD_REQUEST),
    (401, b'{"error":"unauthorized","signin_url":"https://ollama.example/x"}', ir.ErrorKind.AUTHENTICATION),
    (403, b'{"error":"this model is not for you"}', ir.ErrorKind.PERMISSION),
    (429, b'{"error":"too many requests"}', ir.ErrorKind.RATE_LIMIT),
    (500, b'{"error":"llama runner process has terminated"}', ir.ErrorKind.SERVER),
    (503, b'{"error":"server busy, please try again.  maximum pending requests exceeded"}', ir.ErrorKind.OVERLOADED),
    (400, b'{"error":"the prompt is too long; prompt is too long"}', ir.ErrorKind.CONTEXT_LENGTH),
    (500, b'{"error":"input length exceeds the context length"}', ir.ErrorKind.CONTEXT_LENGTH),
]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("status", "body", "kind"), ERRORS)
def test_7_9_e5_errors_of_ollama(entry: str, stream: bool, status: int, body: bytes, kind: ir.ErrorKind) -> None:
    told = tell(ask(entry, "ollama", stream=stream), body, status=status)
    assert told.error is not None
    assert told.error.kind is kind
    oracles.error(entry, told.status, told.headers, told.body)
    error = told.json()["error"]
    if kind is ir.ErrorKind.CONTEXT_LENGTH:
        if entry == "anthropic":
            assert "prompt is too long" in error["message"]
            assert error["type"] == "invalid_request_error"
        elif entry == "gemini":
            assert error["status"] == "INVALID_ARGUMENT"
        else:
            assert error["code"] == "context_length_exceeded"
    assert b"signin_url" not in told.body


@pytest.mark.parametrize("backend", ENTRIES)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503, 504, 529])
def test_7_9_errors_for_a_client_of_ollama(backend: str, status: int) -> None:
    body = b'{"type":"error","error":{"type":"some_error","message":"words"}}'
    told = tell(ask("ollama", backend), body, status=status, headers=[("retry-after", "7")])
    assert told.json() == {"error": "words"}
    assert told.status == (503 if status == 529 else status)
    assert told.headers["retry-after"] == "7"


@pytest.mark.parametrize("rename", [True, False])
@pytest.mark.parametrize("first", [b"", ollama_line(), b'{"status":"loading model"}\n'])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_t7_e12_an_error_first_is_a_true_status_on_pass_through(rename: bool, first: bytes, end: bytes) -> None:
    told = tell(ask("ollama", "ollama", rename=rename), first + b'{"error":"server busy, please try again"}' + end)
    assert told.state is State.FAILED
    assert told.status == 503
    assert told.json() == {"error": "server busy, please try again"}


@pytest.mark.parametrize("rename", [True, False])
def test_t6_an_error_line_behind_content_passes_and_is_counted(rename: bool) -> None:
    data = ollama_line({"content": "a"}) + b'{"error":"server busy"}\n'
    told = tell(ask("ollama", "ollama", rename=rename), data)
    assert told.state is State.FAILED
    assert told.status == 200
    assert told.error is not None
    assert told.error.kind is ir.ErrorKind.OVERLOADED
    assert told.body == (data.replace(b'"real"', b'"asked"') if rename else data)
