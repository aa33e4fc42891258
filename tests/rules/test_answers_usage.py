"""U1 to U15: tokens, counted once and told to everybody in their own way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import Translator, ir
from ferryllm_proto.policy.route import NO_POLICIES, RoutePolicies
from ferryllm_proto.translate import State
from support import grammar
from support.answers import (
    ASK,
    DIALECTS,
    DONE,
    RESPONSES_USAGE,
    ROLE,
    Told,
    chat,
    chat_usage,
    chat_whole,
    chunk,
    message_delta,
    message_item,
    message_start,
    messages,
    messages_whole,
    responses,
    responses_whole,
    tell,
    text_block,
    through,
)
from support.native import gemini, gemini_whole, ollama, ollama_whole

PAIRS = [(entry, backend) for entry in DIALECTS for backend in DIALECTS if entry != backend]
DETAILED = {
    "openai": chat_usage(
        100,
        30,
        prompt_tokens_details={"cached_tokens": 40, "cache_write_tokens": 20},
        completion_tokens_details={"reasoning_tokens": 11},
    ),
    "anthropic": {
        "input_tokens": 40,
        "cache_read_input_tokens": 40,
        "cache_creation_input_tokens": 20,
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 11},
    },
    "openai_responses": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 20},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 11},
        "total_tokens": 130,
    },
    "gemini": {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 19,
        "thoughtsTokenCount": 11,
        "totalTokenCount": 130,
    },
    "ollama": {"prompt_eval_count": 100, "eval_count": 30},
}
"""One usage in five dialects: 40 new, 40 from the cache, 20 into it, 30 out of which 11 were thought."""
IR = ir.Usage(input=40, cache_read=40, cache_write=20, output=30, reasoning=11)
COUNTED = {
    "gemini": ir.Usage(input=60, cache_read=40, output=30, reasoning=11),
    "ollama": ir.Usage(input=100, output=30),
}
"""What of it those tell who do not tell everything."""
UNTOLD: dict[str, dict[str, dict[str, Any]]] = {
    "gemini": {
        "anthropic": {"input_tokens": 60, "cache_creation_input_tokens": 0},
        "openai": {"prompt_tokens_details": {"cached_tokens": 40}},
        "openai_responses": {"input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0}},
    },
    "ollama": {
        "anthropic": {"input_tokens": 100, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
        "openai": {},
        "openai_responses": {
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
        "gemini": {"candidatesTokenCount": 30},
    },
}
"""How a client sees that, by provider and client: where it is not as in `DETAILED`."""


def answer(backend: str, usage: dict[str, Any], *, stream: bool) -> bytes:
    if backend == "openai":
        return chat({"content": "a"}, usage=usage) if stream else chat_whole({"content": "a"}, usage=usage)
    if backend == "anthropic":
        text = {"type": "text", "text": "a"}
        return messages(text_block(0, "a"), usage=usage) if stream else messages_whole(text, usage=usage)
    if backend == "gemini":
        part = {"text": "a"}
        return gemini(part, usage=usage) if stream else gemini_whole(part, usage=usage)
    if backend == "ollama":
        counts = {"prompt": usage["prompt_eval_count"], "output": usage["eval_count"]}
        return (ollama if stream else ollama_whole)({"content": "a"}, **counts)
    return (responses if stream else responses_whole)(message_item("a"), usage=usage)


def shown(entry: str, told: Told, *, stream: bool) -> dict[str, Any]:
    assert told.state is State.DONE, told.error
    if not stream:
        value = told.json()
        return dict(value if entry == "ollama" else value["usageMetadata" if entry == "gemini" else "usage"])
    usage = grammar.validate(entry, told.body).usage
    assert usage is not None
    return usage


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("came", [True, False])
@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_u1_u2_u8_u9_one_usage_in_the_words_of_every_dialect(
    entry: str, backend: str, stream: bool, came: bool
) -> None:
    told = through(entry, backend, answer(backend, DETAILED[backend], stream=came), stream=stream)
    assert told.usage == COUNTED.get(backend, IR)
    got = shown(entry, told, stream=stream)
    wanted = {**DETAILED[entry], **UNTOLD.get(backend, {}).get(entry, {})}
    if backend == "ollama":  # counts neither what was cached nor what was thought
        absent = {"prompt_tokens_details", "completion_tokens_details", "output_tokens_details"}
        absent |= {"cachedContentTokenCount", "thoughtsTokenCount"}
        wanted = {key: value for key, value in wanted.items() if key not in absent or entry == "openai_responses"}
    assert {key: got[key] for key in wanted} == wanted


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", ["openai_responses", "anthropic"])
@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        (
            {
                "prompt_tokens": 31,
                "completion_tokens": 5,
                "total_tokens": 36,
                "prompt_tokens_details": {"cached_tokens": 161},
            },
            (0, 161, 5),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 35,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            (10, 0, 25),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 25,
                "total_tokens": 35,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            (10, 0, 25),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "prompt_cache_hit_tokens": 4,
                "prompt_cache_miss_tokens": 6,
            },
            (6, 4, 5),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cached_tokens": 4}, (6, 4, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5}, (10, 0, 5)),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": None, "prompt_tokens_details": None},
            (10, 0, 5),
        ),
        ({"prompt_tokens": 10.0, "completion_tokens": 5.0, "total_tokens": 15.0}, (10, 0, 5)),
    ],
)
def test_u2_u13_u15_what_servers_of_chat_count(
    entry: str, stream: bool, usage: dict[str, Any], wanted: tuple[int, int, int]
) -> None:
    told = through(entry, "openai", answer("openai", usage, stream=True), stream=stream)
    assert told.usage is not None
    assert (told.usage.input, told.usage.cache_read or 0, told.usage.output) == wanted
    got = shown(entry, told, stream=stream)
    if entry == "anthropic":
        assert (got["input_tokens"], got["cache_read_input_tokens"], got["output_tokens"]) == wanted
    else:
        assert got["input_tokens"] == wanted[0] + wanted[1]
        assert got["total_tokens"] == sum(wanted)


@pytest.mark.parametrize("entry", ["openai", "openai_responses"])
def test_u4_counters_of_messages_are_replaced_and_never_added(entry: str) -> None:
    start = message_start(
        {"input_tokens": 100, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 0, "output_tokens": 1}
    )
    data = (
        start
        + text_block(0, "a")
        + message_delta(None, {"output_tokens": 5})
        + message_delta("end_turn", {"output_tokens": 9, "input_tokens": 60})
    )
    told = through(entry, "anthropic", data)
    assert told.usage == ir.Usage(input=60, cache_read=40, cache_write=0, output=9)
    got = shown(entry, told, stream=True)
    assert got["prompt_tokens" if entry == "openai" else "input_tokens"] == 100
    assert got["completion_tokens" if entry == "openai" else "output_tokens"] == 9


LATE = chat_usage(10, 7, prompt_tokens_details={"cached_tokens": 4})
EARLY = chat_usage(10, 1)
PLACES = {
    "behind the finish, no choices": chunk({"content": "a"}) + chunk({}, "stop") + chunk(choices=[], usage=LATE),
    "behind the finish, an empty delta": chunk({"content": "a"}) + chunk({}, "stop") + chunk({}, usage=LATE),
    "in the finish": chunk({"content": "a"}) + chunk({}, "stop", usage=LATE),
    "in every chunk": chunk({"content": "a"}, usage=EARLY) + chunk({}, "stop", usage=LATE),
    "a preview": chunk({}, usage=EARLY) + chunk({"content": "a"}) + chunk({}, "stop") + chunk(choices=[], usage=LATE),
    "a preview that knows the cache": chunk({}, usage=chat_usage(10, 1, prompt_tokens_details={"cached_tokens": 4}))
    + chunk({"content": "a"})
    + chunk({}, "stop", usage=chat_usage(10, 7)),
    "twice": chunk({"content": "a"}) + chunk({}, "stop", usage=LATE) + chunk(choices=[], usage=LATE),
    "on a delta": chunk({"content": "a"}, usage=LATE) + chunk({}, "stop", usage=None),
    "in the choice": chunk({"content": "a"})
    + chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": LATE}]),
    "in x_groq": chunk({"content": "a"}) + chunk({}, "stop", x_groq={"id": "r", "usage": LATE}),
}


@pytest.mark.parametrize("entry", ["openai_responses", "anthropic"])
@pytest.mark.parametrize("body", PLACES.values(), ids=PLACES)
def test_u5_u15_usage_is_found_wherever_it_is_and_the_last_one_counts(entry: str, body: bytes) -> None:
    told = through(entry, "openai", ROLE + body + DONE)
    assert grammar.validate(entry, told.body).text == "a"
    assert told.usage is not None
    assert (told.usage.input, told.usage.cache_read, told.usage.output) == (6, 4, 7)


@pytest.mark.parametrize("backend", ["anthropic", "openai_responses"])
def test_u6_u7_the_usage_chunk_is_for_who_asked(backend: str) -> None:
    data = answer(backend, DETAILED[backend], stream=True)
    told = through("openai", backend, data)
    *_, finish, usage, done = grammar.frames(told.body)
    assert done == ("", "[DONE]")
    assert json.loads(usage[1])["choices"] == []
    assert json.loads(usage[1])["usage"] is not None
    assert json.loads(finish[1])["choices"][0]["finish_reason"] == "stop"
    for options in ({"include_usage": False}, {}):
        silent = through("openai", backend, data, stream_options=options)
        assert grammar.validate("openai", silent.body).usage is None
        assert silent.usage == IR


@pytest.mark.parametrize("backend", ["openai", "openai_responses"])
def test_u8_a_message_begins_with_an_estimate_and_ends_with_the_truth(backend: str) -> None:
    told = through("anthropic", backend, answer(backend, DETAILED[backend], stream=True))
    start = json.loads(grammar.frames(told.body)[0][1])["message"]["usage"]
    assert start["input_tokens"] > 0
    assert shown("anthropic", told, stream=True) == {**DETAILED["anthropic"]}
    assert "usage" not in told.lost


@pytest.mark.parametrize("stream", [True, False])
def test_u8_u11_usage_nobody_told_is_an_estimate_and_says_so(stream: bool) -> None:
    told = through("anthropic", "openai", chat({"content": "a"}), stream=stream)
    got = shown("anthropic", told, stream=stream)
    assert got["input_tokens"] > 0
    assert (got["cache_read_input_tokens"], got["cache_creation_input_tokens"]) == (0, 0)
    assert told.usage is None
    assert "usage" in told.lost


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_u9_responses_always_have_their_details(backend: str) -> None:
    usage = {"openai": chat_usage(10, 7), "anthropic": {"output_tokens": 7}}[backend]
    for stream in (True, False):
        told = through("openai_responses", backend, answer(backend, usage, stream=True), stream=stream)
        got = shown("openai_responses", told, stream=stream)
        assert got == {**RESPONSES_USAGE}


@pytest.mark.parametrize("entry", ["openai", "anthropic"])
@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_u10_usage_of_answers_that_did_not_go_well(entry: str, status: str) -> None:
    error = {"code": "server_error", "message": "x"} if status == "failed" else None
    told = through(
        entry,
        "openai_responses",
        responses(message_item("a"), status=status, usage=DETAILED["openai_responses"], error=error),
    )
    assert told.usage == IR


def test_u12_cache_writes_keep_their_time_to_live() -> None:
    usage = {
        **DETAILED["anthropic"],
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15},
    }
    for stream in (True, False):
        told = through("openai", "anthropic", answer("anthropic", usage, stream=stream), stream=stream)
        assert told.usage is not None
        assert (told.usage.cache_write, told.usage.cache_write_1h) == (20, 15)


@pytest.mark.parametrize("backend", DIALECTS)
def test_what_passes_through_is_counted_alike(backend: str) -> None:
    for stream in (True, False):
        told = through(backend, backend, answer(backend, DETAILED[backend], stream=stream), stream=stream, rename=True)
        assert told.state is State.DONE
        assert told.usage == COUNTED.get(backend, IR)
        assert told.finish is ir.FinishReason.END


def passed(body: dict[str, Any], pieces: list[bytes], *, usage: bool) -> tuple[bytes, Told]:
    """A Chat request that passes through, as its provider gets it, and the answer; ``usage``: the route asks for it."""
    policies = RoutePolicies(usage=True) if usage else NO_POLICIES
    translator = Translator("openai", "openai", policies=policies)
    upstream = translator.receive_request(json.dumps({"model": "m", "stream": True, **ASK["openai"], **body}).encode())
    assert upstream is not None
    return upstream.body, tell(translator, *pieces)


COUNTED_CHUNK = chunk(choices=[], usage=chat_usage())
GIVEN = ROLE + chunk({"content": "a"}, usage=None) + chunk({}, "stop")


def test_u6_a_stream_that_passes_through_is_asked_for_usage_only_where_the_route_says_so() -> None:
    sent, told = passed({}, [GIVEN + DONE], usage=False)
    assert b"stream_options" not in sent
    assert (told.body, told.usage) == (GIVEN + DONE, None)


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_u6_what_the_gateway_asked_for_is_taken_out_again(size: int) -> None:
    data = GIVEN + COUNTED_CHUNK + DONE
    sent, told = passed({}, [data[at : at + size] for at in range(0, len(data), size)], usage=True)
    assert json.loads(sent)["stream_options"] == {"include_usage": True}
    assert told.body == GIVEN + DONE
    assert told.usage == ir.Usage(10, output=7)
    assert told.state is State.DONE


def test_u6_a_client_that_asked_itself_gets_what_it_asked_for() -> None:
    body = {"stream_options": {"include_usage": True}}
    sent, told = passed(body, [GIVEN + COUNTED_CHUNK + DONE], usage=True)
    assert json.loads(sent)["stream_options"] == body["stream_options"]
    assert told.body == GIVEN + COUNTED_CHUNK + DONE


def test_u6_a_request_of_the_same_dialect_that_is_written_anew_shows_no_usage_either() -> None:
    # Another provider's thoughts were in it: it is decoded and encoded, and encoders always ask.
    body = {"messages": [{"role": "user", "content": "ferry1.WyJ"}]}
    sent, told = passed(body, [GIVEN + COUNTED_CHUNK + DONE], usage=False)
    assert json.loads(sent)["stream_options"] == {"include_usage": True}
    assert (told.body, told.usage) == (GIVEN + DONE, ir.Usage(10, output=7))


def test_u6_a_whole_answer_to_a_stream_is_no_stream_with_usage() -> None:
    answered = {"id": "i", "object": "chat.completion", "created": 1, "model": "m", "usage": chat_usage()}
    answered["choices"] = [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]
    _, told = passed({}, [json.dumps(answered).encode()], usage=True)
    assert grammar.validate("openai", told.body).usage is None
    assert told.usage == ir.Usage(10, output=7)
