"""The Translator's own ways: pass-through, splice, sniffing, holding the head, failing."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import LocalProtocolError, Translator, ir
from ferryllm_proto.opaque import wrap
from ferryllm_proto.translate import State
from support import answers, grammar, oracles

JSON = [("content-type", "application/json")]
SSE = [("content-type", "text/event-stream")]
CHAT_WHOLE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "real",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "pong"}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }
).encode()


def chunk(delta: dict[str, object], finish: str | None = None, model: str = "real") -> bytes:
    value = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(value).encode() + b"\n\n"


CHAT_STREAM = (
    chunk({"role": "assistant", "content": ""}) + chunk({"content": "pong"}) + chunk({}, "stop") + b"data: [DONE]\n\n"
)


def body(entry: str, *, stream: bool = False, **more: object) -> bytes:
    asked: dict[str, object] = {"model": "asked", "stream": stream}
    if entry == "openai_responses":
        asked["input"] = "hi"
    else:
        asked["messages"] = [{"role": "user", "content": "hi"}]
    if entry == "anthropic":
        asked["max_tokens"] = 9
    return json.dumps({**asked, **more}).encode()


def make(entry: str, backend: str, *, stream: bool = False, model: str | None = "real", **more: object) -> Translator:
    translator = Translator(entry=entry, backend=backend, model=model, now=5.0, seed=1)
    assert translator.receive_request(body(entry, stream=stream, **more)) is not None
    return translator


# --- pass-through ----------------------------------------------------------------------------------------


def test_g1_g2_a_request_of_the_same_dialect_changes_in_its_model_alone() -> None:
    data = b'{ "temperature": 0.70, "n": 1e3,\n "model" : "asked" , "x": 12345678901234567890123, '
    data += b'"messages":[], "y":[{"model":"a"}]}'
    upstream = Translator(entry="openai", backend="openai", model="real").receive_request(data)
    assert upstream is not None
    assert upstream.body == data.replace(b'"asked"', b'"real"')
    untouched = Translator(entry="openai", backend="openai").receive_request(data)
    assert untouched is not None
    assert untouched.body == data


def test_e15_the_query_goes_along_to_the_same_dialect_only() -> None:
    upstream = Translator(entry="anthropic", backend="anthropic").receive_request(
        body("anthropic"), (), "/v1/messages?beta=true"
    )
    assert upstream is not None
    assert (upstream.path, upstream.query) == ("/v1/messages", "beta=true")
    upstream = Translator(entry="anthropic", backend="openai").receive_request(
        body("anthropic"), (), "/v1/messages?beta=true"
    )
    assert upstream is not None
    assert (upstream.path, upstream.query) == ("/v1/chat/completions", "")


def test_e13_beta_flags_are_forwarded_to_the_same_dialect_only() -> None:
    headers = [
        ("Anthropic-Beta", "a,b"),
        ("anthropic-version", "2026-10-21"),
        ("authorization", "Bearer x"),
        ("cookie", "c"),
    ]
    upstream = Translator(entry="anthropic", backend="anthropic").receive_request(body("anthropic"), headers)
    assert upstream is not None
    assert dict(upstream.headers) == {
        "content-type": "application/json",
        "anthropic-beta": "a,b",
        "anthropic-version": "2026-10-21",
    }
    upstream = Translator(entry="anthropic", backend="openai").receive_request(body("anthropic"), headers)
    assert upstream is not None
    assert not [name for name, _ in upstream.headers if name.startswith(("anthropic", "auth", "cookie"))]


def test_m1_a_renamed_pass_through_stream_shows_the_clients_name_and_changes_nothing_else() -> None:
    translator = make("openai", "openai", stream=True)
    translator.receive_response_head(200, SSE)
    out = b"".join(translator.receive_data(CHAT_STREAM[n : n + 11]) for n in range(0, len(CHAT_STREAM), 11))
    out += translator.receive_eof()
    assert out == CHAT_STREAM.replace(b'"real"', b'"asked"')
    assert translator.state is State.DONE
    assert translator.finish_reason is ir.FinishReason.END


def test_g1_pass_through_still_learns_usage_and_finish() -> None:
    translator = make("openai", "openai", model=None)
    translator.receive_response_head(200, JSON)
    assert translator.receive_data(CHAT_WHOLE) + translator.receive_eof() == CHAT_WHOLE
    assert translator.usage is not None
    assert (translator.usage.input, translator.usage.output) == (12, 3)
    assert translator.request is None


def test_a26_a_foreign_envelope_does_not_pass_through() -> None:
    token = wrap(ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "secret-reasoning"))
    messages = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm", "signature": token}, {"type": "text", "text": "yes"}],
        },
        {"role": "user", "content": "go on"},
    ]
    translator = Translator(entry="anthropic", backend="anthropic")
    upstream = translator.receive_request(body("anthropic", messages=messages))
    assert upstream is not None
    assert b"ferry1." not in upstream.body
    assert translator.losses


@pytest.mark.parametrize("mark", [b'"signature":""', b'"signature": ""'])
def test_a28_unsigned_thoughts_do_not_pass_through_to_anthropic(mark: bytes) -> None:
    thought = b'{"type":"thinking","thinking":"hm",' + mark + b"}"
    data = (
        b'{"model":"claude-opus-4-8","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant",'
        b'"content":[' + thought + b',{"type":"text","text":"yes"}]},{"role":"user","content":"on"}]}'
    )
    translator = Translator(entry="anthropic", backend="anthropic")
    upstream = translator.receive_request(data)
    assert upstream is not None
    assert b"thinking" not in upstream.body
    assert b"yes" in upstream.body
    assert translator.losses


def test_g1_blank_lines_and_comments_before_an_answer_pass_through() -> None:
    for before in (b"\n\n", b"\r\n", b": hello\n\n"):
        translator = make("openai", "openai", stream=True, model=None)
        translator.receive_response_head(200, SSE)
        out = translator.receive_data(before) + translator.receive_data(CHAT_STREAM) + translator.receive_eof()
        assert out == before + CHAT_STREAM


# --- the form of the answer ------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ["openai", "openai_responses", "anthropic"])
@pytest.mark.parametrize("label", [JSON, SSE, []])
def test_s10_a_stream_was_asked_and_a_whole_answer_came(entry: str, label: list[tuple[str, str]]) -> None:
    translator = make(entry, "openai", stream=True)
    translator.receive_response_head(200, label)
    out = translator.receive_data(CHAT_WHOLE) + translator.receive_eof()
    seen = grammar.validate(entry, out)
    assert (seen.text, seen.ended) == ("pong", True)
    assert translator.head is not None
    assert dict(translator.head.headers)["content-type"].startswith("text/event-stream")
    assert translator.state is State.DONE


@pytest.mark.parametrize("entry", ["openai", "openai_responses", "anthropic"])
@pytest.mark.parametrize("label", [JSON, SSE, []])
def test_s10_a_whole_answer_was_asked_and_a_stream_came(entry: str, label: list[tuple[str, str]]) -> None:
    translator = make(entry, "openai")
    translator.receive_response_head(200, label)
    out = translator.receive_data(b"\n" + CHAT_STREAM[:100]) + translator.receive_data(CHAT_STREAM[100:])
    out += translator.receive_eof()
    assert oracles.whole(entry, out).model == "asked"
    assert b"pong" in out


@pytest.mark.parametrize("entry", ["openai", "openai_responses", "anthropic"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("answer", [b"", b"  \n"])
def test_t4_an_empty_answer_is_a_502(entry: str, stream: bool, answer: bytes) -> None:
    for backend in ("openai", "anthropic"):
        translator = make(entry, backend, stream=stream)
        translator.receive_response_head(200, SSE)
        out = translator.receive_data(answer) + translator.receive_eof()
        assert translator.head is not None
        assert translator.head.status == 502
        assert json.loads(out)["error"]["message"]


@pytest.mark.parametrize("answer", [b"{", b'{"choices":5}', b"[1]", b'{"choices":[{}]', b"\xff{}", b"<html>"])
@pytest.mark.parametrize("stream", [True, False])
def test_g12_an_answer_that_can_not_be_read_is_a_502(stream: bool, answer: bytes) -> None:
    translator = make("anthropic", "openai", stream=stream)
    translator.receive_response_head(200, JSON)
    out = translator.receive_data(answer) + translator.receive_eof()
    assert translator.head is not None
    assert translator.head.status == 502
    assert json.loads(out)["type"] == "error"


# --- the head --------------------------------------------------------------------------------------------


def test_t7_the_head_waits_for_content_and_commit_ends_the_wait() -> None:
    translator = make("anthropic", "openai", stream=True)
    assert translator.receive_response_head(200, SSE) is None
    assert translator.receive_data(chunk({"role": "assistant", "content": ""})) == b""
    assert translator.head is None
    assert b"message_start" in translator.commit()
    assert translator.head is not None
    assert translator.commit() == b""
    assert translator.receive_data(chunk({"content": "pong"})).startswith(b"event: content_block_start")


def test_s16_a_ping_is_the_dialects_own_and_only_in_a_stream_that_has_begun() -> None:
    for entry, sign in (("anthropic", b"event: ping"), ("openai", b":"), ("openai_responses", b":")):
        translator = make(entry, "openai" if entry != "openai" else "anthropic", stream=True)
        assert translator.ping() == b""
        translator.receive_response_head(200, SSE)
        assert translator.ping() == b""
        if entry == "openai":
            continue
        translator.receive_data(CHAT_STREAM[:-16])
        assert translator.ping().startswith(sign)
    passing = make("openai", "openai", stream=True)
    passing.receive_response_head(200, SSE)
    passing.receive_data(CHAT_STREAM[:-16])
    assert passing.ping() == b""


def test_g4_losses_are_in_a_header() -> None:
    translator = make("anthropic", "openai", top_k=5)
    translator.receive_response_head(200, JSON)
    translator.receive_data(CHAT_WHOLE)
    translator.receive_eof()
    assert translator.head is not None
    assert "dropped top_k" in dict(translator.head.headers)["x-ferryllm-loss"]
    clean = make("anthropic", "openai")
    clean.receive_response_head(200, JSON)
    clean.receive_data(CHAT_WHOLE)
    clean.receive_eof()
    assert clean.head is not None
    assert "x-ferryllm-loss" not in dict(clean.head.headers)


# --- refusals and misuse ---------------------------------------------------------------------------------


def test_g5_what_must_not_be_lost_is_refused_with_its_name() -> None:
    translator = Translator(entry="openai", backend="anthropic")
    assert translator.receive_request(body("openai", n=3)) is None
    assert translator.state is State.FAILED
    assert translator.head is not None
    assert translator.head.status == 400
    assert json.loads(translator.receive_eof())["error"]["param"] == "n"
    assert [loss.disposition.value for loss in translator.losses] == ["refused"]
    assert translator.receive_eof() == b""


def test_calls_out_of_order_are_misuse() -> None:
    translator = Translator(entry="openai", backend="anthropic")
    with pytest.raises(LocalProtocolError, match="receive_response_head"):
        translator.receive_response_head(200, [])
    with pytest.raises(LocalProtocolError, match="receive_data"):
        translator.receive_data(b"x")
    with pytest.raises(LocalProtocolError, match="receive_eof"):
        translator.receive_eof()
    translator.receive_request(body("openai"))
    with pytest.raises(LocalProtocolError, match="receive_request"):
        translator.receive_request(body("openai"))


def test_nothing_comes_after_the_end() -> None:
    translator = make("anthropic", "openai", stream=True)
    translator.receive_response_head(200, SSE)
    translator.receive_data(CHAT_STREAM)
    assert translator.state is State.DONE
    assert translator.receive_data(CHAT_STREAM) == b""
    assert translator.receive_eof() == b""
    assert translator.fail(ir.Error(ir.ErrorKind.SERVER, "late")) == b""


def test_e1_an_error_of_the_same_dialect_is_relayed_verbatim() -> None:
    raw = b'{"error":{"message":"no","type":"weird","param":null,"code":"odd","extra":[1]}}'
    translator = make("openai", "openai")
    translator.receive_response_head(418, JSON)
    assert translator.receive_data(raw) + translator.receive_eof() == raw
    assert translator.head is not None
    assert translator.head.status == 418


@pytest.mark.parametrize("entry", ["openai", "openai_responses"])
def test_g12_an_unknown_event_at_any_place_hurts_no_client(entry: str) -> None:
    contents: list[dict[str, object]] = [
        {"type": "message_start", "message": {"id": "msg_1", "model": "real", "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    events = [f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode() for value in contents]
    news = b'event: news\ndata: {"type":"news"}\n\n'
    for at in range(len(events) + 1):
        translator = make(entry, "anthropic", stream=True)
        translator.receive_response_head(200, SSE)
        out = translator.receive_data(b"".join([*events[:at], news, *events[at:]])) + translator.receive_eof()
        assert grammar.validate(entry, out).text == "hi"
        assert translator.state is State.DONE


# --- what the first hostile review found -----------------------------------------------------------------


def test_g12_a_call_without_a_name_before_done_is_a_failure_not_an_exception() -> None:
    call = chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    for entry in ("openai_responses", "anthropic"):
        translator = make(entry, "openai", stream=True)
        translator.receive_response_head(200, SSE)
        translator.receive_data(call + b"data: [DONE]\n\n")
        translator.receive_eof()
        assert translator.state is State.FAILED


@pytest.mark.parametrize("logprobs", ['{"a":1}', '"x"', "5"])
def test_g12_logprobs_of_a_wrong_type_are_left_out(logprobs: str) -> None:
    part = '{"type":"output_text","text":"x","annotations":[],"logprobs":' + logprobs + "}"
    item = '{"type":"message","id":"i","role":"assistant","status":"completed","content":[' + part + "]}"
    answer = '{"id":"r","object":"response","status":"completed","model":"m","output":[' + item + "]}"
    for stream in (True, False):
        translator = make("openai", "openai_responses", stream=stream)
        translator.receive_response_head(200, JSON)
        out = translator.receive_data(answer.encode()) + translator.receive_eof()
        if stream:
            assert grammar.validate("openai", out).text == "x"
        else:
            assert json.loads(out)["choices"][0]["message"]["content"] == "x"


def test_s14_carried_bytes_that_are_no_utf8_are_mended_at_the_edge() -> None:
    delta = b'{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"hi",'
    delta += b'"logprobs":[{"token":"\xad"}],"sequence_number":2}'
    end = b'{"type":"response.completed","response":{"id":"r","status":"completed","output":[]}}'
    translator = make("openai", "openai_responses", stream=True)
    translator.receive_response_head(200, SSE)
    out = translator.receive_data(b"data: " + delta + b"\n\ndata: " + end + b"\n\n") + translator.receive_eof()
    assert grammar.validate("openai", out).text == "hi"


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "bad",
    [b'{"model":"a","messages":[{"role":"user","content":"hi"}],"zz":"\xff"}', b'{"model":"","messages":[]}'],
    ids=["utf8", "no model"],
)
def test_bad_requests_are_refused_on_every_way(backend: str, bad: bytes) -> None:
    translator = Translator(entry="openai", backend=backend, model="real")
    assert translator.receive_request(bad) is None
    assert translator.head is not None
    assert translator.head.status == 400


@pytest.mark.parametrize("second", [b'"model":"b"', b'"mod\\u0065l":"b"'])
def test_g7_a_model_written_twice_is_refused_on_pass_through(second: bytes) -> None:
    data = b'{"model":"a",' + second + b',"messages":[{"role":"user","content":"hi"}]}'
    translator = Translator(entry="openai", backend="openai", model="real")
    assert translator.receive_request(data) is None
    nested = b'{"model":"a","metadata":{"model":"c"},"messages":[]}'
    assert Translator(entry="openai", backend="openai", model="real").receive_request(nested) is not None


def test_only_known_query_parameters_reach_the_provider() -> None:
    translator = Translator(entry="anthropic", backend="anthropic")
    upstream = translator.receive_request(body("anthropic"), (), "/v1/messages?beta=true&key=1&api-version=2")
    assert upstream is not None
    assert upstream.query == "beta=true"


@pytest.mark.parametrize("status", [201, 204, 206])
def test_every_success_of_a_provider_is_a_200_when_translated(status: int) -> None:
    translator = make("anthropic", "openai")
    translator.receive_response_head(status, JSON)
    translator.receive_data(CHAT_WHOLE)
    translator.receive_eof()
    assert translator.head is not None
    assert translator.head.status == 200


def test_a_responses_request_needs_an_input() -> None:
    translator = Translator(entry="openai_responses", backend="openai")
    assert translator.receive_request(b'{"model":"x"}') is None
    assert translator.error is not None
    assert translator.error.param == "input"


@pytest.mark.parametrize("name", ["Real-1", "é😀", "", None, "x" * 100_000], ids=lambda name: repr(name)[:9])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", answers.DIALECTS)
def test_the_providers_word_for_the_model_is_known_of_bytes_that_pass(
    dialect: str, stream: bool, name: str | None
) -> None:
    usual = (answers.STREAM if stream else answers.WHOLE)[dialect]
    data = usual.replace(b'"real"', json.dumps(name).encode())
    translator = answers.ask(dialect, dialect, stream=stream)
    assert answers.tell(translator, data).body == data
    assert translator.upstream_model == (name or None)


@pytest.mark.parametrize("name", [b"5", b"true", b'{"a":"b"}', b'["real"]'])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", answers.DIALECTS)
def test_what_is_no_string_is_no_name_of_a_model(dialect: str, stream: bool, name: bytes) -> None:
    translator = answers.ask(dialect, dialect, stream=stream)
    answers.tell(translator, (answers.STREAM if stream else answers.WHOLE)[dialect].replace(b'"real"', name))
    assert translator.upstream_model is None


@pytest.mark.parametrize("rename", [True, False])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", answers.DIALECTS)
def test_the_providers_word_for_the_model_is_known_at_every_split(dialect: str, stream: bool, rename: bool) -> None:
    data = (answers.STREAM if stream else answers.WHOLE)[dialect].replace(b'"real"', b'"Real-1"')
    for at in range(1, len(data), 1 if len(data) < 700 else 7):
        translator = answers.ask(dialect, dialect, stream=stream, rename=rename)
        answers.tell(translator, data[:at], data[at:])
        assert translator.upstream_model == "Real-1", at
    translator = answers.ask(dialect, dialect, stream=stream, rename=rename)
    answers.tell(translator, *[data[at : at + 1] for at in range(len(data))])
    assert translator.upstream_model == "Real-1"


@pytest.mark.parametrize(("entry", "backend"), [("anthropic", "openai"), ("openai", "openai"), ("ollama", "openai")])
def test_behind_the_head_of_a_stream_nothing_is_kept_of_its_request(entry: str, backend: str) -> None:
    history = "a long history " * 40_000
    translator = Translator(entry=entry, backend=backend, model="real", now=5.0, seed=1)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        asked = body(entry, stream=True, messages=[{"role": "user", "content": history}])
        assert translator.receive_request(asked) is not None
        del asked
        translator.receive_response_head(200, SSE)
        assert tracemalloc.get_traced_memory()[0] - before > len(history)
        assert translator.receive_data(CHAT_STREAM[: CHAT_STREAM.index(b"pong") + 100])
        assert translator.head is not None
        assert tracemalloc.get_traced_memory()[0] - before < len(history) // 4
    finally:
        tracemalloc.stop()


TEXTS = st.lists(st.one_of(st.sampled_from(["", '"', "\\", "\n", "é", "\x7f"]), st.text(max_size=5)), max_size=8)


@pytest.mark.parametrize("entry", ["anthropic", "openai_responses", "gemini", "ollama"])
@given(texts=TEXTS)
def test_a_stream_that_comes_event_by_event_is_written_as_one_that_comes_at_once(entry: str, texts: list[str]) -> None:
    pieces = [chunk({"role": "assistant", "content": "a"}), *(chunk({"content": text}) for text in texts)]
    pieces += [chunk({}, "stop"), b"data: [DONE]\n\n"]

    def written(reads: list[bytes]) -> tuple[object, ...]:
        asked = (
            {"contents": [{"parts": [{"text": "hi"}]}]} if entry == "gemini" else json.loads(body(entry, stream=True))
        )
        path = "/v1beta/models/asked:streamGenerateContent?alt=sse" if entry == "gemini" else None
        translator = Translator(entry=entry, backend="openai", model="real", now=5.0, seed=1)
        assert translator.receive_request(json.dumps(asked).encode(), path=path) is not None
        translator.receive_response_head(200, SSE)
        out = b"".join(translator.receive_data(data) for data in reads) + translator.receive_eof()
        return out, translator.state, translator.error, translator.finish_reason

    assert written(pieces) == written([b"".join(pieces)])
