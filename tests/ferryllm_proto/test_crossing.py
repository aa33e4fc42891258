"""The shortest way of small requests and answers gives what a `Translator` gives, or leaves them to one."""

from __future__ import annotations

import copy
import json as stdjson
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, Translator
from ferryllm_proto.crossing import Passed, Passing, Worded, WordedStream, Words, cross
from ferryllm_proto.dialect import Headers
from ferryllm_proto.policy.headers import HeaderMode, HeaderPolicy
from ferryllm_proto.policy.prompt_cache import PromptCachePolicy
from ferryllm_proto.policy.reasoning import ReasoningMode, ReasoningPolicy
from ferryllm_proto.policy.route import NO_POLICIES, RoutePolicies
from ferryllm_proto.progress import State
from ferryllm_proto.rules import ModelRule, ProviderRules, Quirks
from support import spoilt
from support.answers import STREAM, WHOLE

MANY = settings(max_examples=settings().max_examples * 2)
NAMES = tuple(DIALECTS)
PASSING = ("anthropic", "openai")
HEADERS: Headers = (("host", "h"), ("content-type", "application/json"), ("anthropic-beta", "a"), ("openai-beta", "b"))
PATHS = {"anthropic": "/v1/messages?beta=true", "openai": "/v1/chat/completions"}
TEXT = st.sampled_from(["", "a", " ", "héé — ☂ 😀", '"quoted" \\ "model"', "line\nline", "100% %d %b", "\U0010f8ab"])
SYSTEM = st.sampled_from(["", "be brief", "be brief", "be\nbrief", "%s é", "x-anthropic-billing-header: a\nb"])


@st.composite
def asked(draw: st.DrawFn) -> bytes:
    """A body of words for Messages; a third of them has something else in it, or is wrong."""
    roles = draw(
        st.sampled_from([("user",), ("user",), ("user", "assistant", "user"), ("user", "user"), ("assistant",)])
    )
    texts = TEXT.filter(bool) | st.just("a")
    said: list[Any] = [{"role": role, "content": draw(texts)} for role in roles]
    for message in said:
        if not draw(st.integers(0, 3)):
            message["content"] = [{"type": "text", "text": message["content"]}]
    body: dict[str, Any] = {
        "model": draw(st.sampled_from(["asked", "claude %d", "é"])),
        "max_tokens": draw(st.sampled_from([1, 64, 64, 200_000])),
        "messages": said,
    }
    if draw(st.booleans()):
        body["stream"] = draw(st.sampled_from([False, True, None]))
    if draw(st.booleans()):
        body["system"] = draw(SYSTEM)
    if not draw(st.integers(0, 2)):
        body["temperature"] = draw(st.sampled_from([1, 1.0, 0, 0.25, None]))
    if not draw(st.integers(0, 2)):
        place: Any = draw(st.sampled_from([body, *said]))
        name = draw(st.sampled_from([*place, "new", "top_p", "tools", "cache_control"]))
        odd: Any = [None, 3, -1, 0, 1.5, True, "", "user", "system", [], {}, "\ud800", [{"type": "text", "text": "é"}]]
        place[name] = copy.deepcopy(draw(st.sampled_from(odd)))
    data = stdjson.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    wrong = draw(st.integers(0, 20))
    if wrong == 0:
        return data.replace("é".encode(), b"\xe9", 1)
    return (
        data + b" x" if wrong == 1 else data.replace(b'{"role"', b'{"role":"system","role"', 1) if wrong == 2 else data
    )


RULES = st.sampled_from(
    [
        *[ProviderRules()] * 3,
        *(ProviderRules(vendor=name) for name in ("openai", "mistral", "deepseek", "openrouter", "perplexity")),
        ProviderRules(models=(ModelRule("", max_output_tokens=100, temperature=False),)),
        ProviderRules(quirks=Quirks(stream_options=False, system_role="developer")),
    ]
)
MODELS = st.sampled_from([None, "gpt-4.1-mini", "gpt-5.4", "o3", "mistral-large", 'odd "%d" é'])
CACHES = st.sampled_from(
    [
        *[PromptCachePolicy()] * 2,
        PromptCachePolicy(breakpoints=True, key="mine"),
        PromptCachePolicy(key="%s é"),
        PromptCachePolicy(key="mine", retention="24h"),
        PromptCachePolicy(retention="24h"),
        PromptCachePolicy(key="mine", strip_prefixes=("be",)),
        PromptCachePolicy(key="mine", same_dialect=True),
    ]
)


@MANY
@given(body=asked(), rules=RULES, model=MODELS, cache=CACHES)
@example(
    body=b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}],"stream":true}',
    rules=ProviderRules(vendor="openai"),
    model="gpt-4.1",
    cache=PromptCachePolicy(key="k"),
)
def test_a_question_is_asked_as_a_translator_asks_it(
    body: bytes, rules: ProviderRules, model: str | None, cache: PromptCachePolicy
) -> None:
    question = DIALECTS["anthropic"].question(body)
    if question is None:
        return
    policies = RoutePolicies(prompt_cache=cache)
    stream = question.stream is True
    way = cross("anthropic", "openai", question.model, model, rules, policies, stream=stream)
    upstream = way.ask(question) if isinstance(way, Words) else None
    if upstream is None:
        return
    long = Translator("anthropic", "openai", model, rules, policies=policies, seed=5)
    assert long.receive_request(body, HEADERS, PATHS["anthropic"]) == upstream
    assert long.losses == []
    assert long.request == question.request()
    short = Translator("anthropic", "openai", model, rules, policies=policies, seed=5)
    short.receive_question(question, upstream, body, HEADERS, PATHS["anthropic"])
    assert (short.model, short.stream, short.state) == (long.model, long.stream, long.state)
    # The request before the policies, as the answer's half reads it.
    assert (short.prepared, long.prepared) != (None, None)
    for name in ("upstream", "model", "stream", "request", "losses", "quiet"):
        assert getattr(short.prepared, name) == getattr(long.prepared, name)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("system", [{}, {"system": "be brief"}])
@pytest.mark.parametrize("heat", [{}, {"temperature": 0.5}])
@pytest.mark.parametrize("content", ["a", [{"type": "text", "text": "a"}]], ids=["string", "list"])
def test_small_requests_go_the_shortest_way(
    stream: bool, system: dict[str, Any], heat: dict[str, Any], content: Any
) -> None:
    said = [{"role": role, "content": content} for role in ("user", "assistant", "user")]
    body = stdjson.dumps({"model": "m", "max_tokens": 9, "messages": said, "stream": stream, **system, **heat}).encode()
    question = DIALECTS["anthropic"].question(body)
    way = cross("anthropic", "openai", "m", "gpt-4.1-mini", policies=POLICIES, stream=stream)
    assert question is not None
    assert isinstance(way, Words)
    assert way.ask(question) is not None
    if not stream:
        worded = way.begin(question, 5)
        assert worded is not None
        assert worded.receive_whole(200, HEADS[0], WHOLE["openai"]) != b""


POLICIES = RoutePolicies(prompt_cache=PromptCachePolicy(breakpoints=True, key="mine"))
HEADS: tuple[Headers, ...] = ((("date", "now"), ("content-type", "application/json"), ("content-length", "9")),)
BODIES = {
    "anthropic": b'{"model":"asked","max_tokens":9,"messages":[{"role":"user","content":"a"}]}',
    "openai": b'{"model":"asked","max_tokens":9,"messages":[{"role":"user","content":"a"}]}',
}
ANSWERS: list[dict[str, Any]] = [
    {"id": "chatcmpl-1"},
    {"id": "msg_é"},
    {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11,
               "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
               "completion_tokens_details": {"reasoning_tokens": 0}}},
    {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11,
               "completion_tokens_details": {"reasoning_tokens": 2}}},
    {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 12}},
    {"usage": None}, {"service_tier": "flex"}, {"system_fingerprint": None}, {"new": 1}, {"error": {"message": "no"}},
]  # fmt: skip


@st.composite
def words_of_chat(draw: st.DrawFn) -> bytes:
    """A Chat provider's answer of words, more or less."""
    message = {"role": "assistant", "content": draw(TEXT), **draw(st.sampled_from([{}, {"refusal": None}]))}
    choice = {"index": 0, "message": message, "finish_reason": draw(st.sampled_from(["stop", "length", "tool_calls"]))}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "real", "choices": [choice], "usage": usage}
    body |= draw(st.sampled_from(ANSWERS))
    return stdjson.dumps(body, ensure_ascii=draw(st.booleans())).encode()


@MANY
@given(data=st.data(), status=spoilt.STATUSES, shown=st.sampled_from(["asked", 'é "%d"']))
def test_an_answer_of_words_is_translated_as_any_other(data: st.DataObject, status: int, shown: str) -> None:
    body = stdjson.dumps({**stdjson.loads(BODIES["anthropic"]), "model": shown}).encode()
    question, way = DIALECTS["anthropic"].question(body), cross("anthropic", "openai", shown, "real")
    assert question is not None
    assert isinstance(way, Words)
    seed = data.draw(st.integers(0, (1 << 128) - 1))
    # The first head is remembered, the second meets that.
    for _ in range(2):
        headers = data.draw(spoilt.HEADS)
        answer = data.draw(st.one_of(words_of_chat(), words_of_chat(), spoilt.bodies("openai")))
        worded = way.begin(question, seed)
        assert worded is not None
        long = Translator("anthropic", "openai", "real", seed=seed)
        assert worded.request == long.receive_request(body)
        compare(worded, long, status, headers, answer)


ENDS: list[list[dict[str, Any]]] = [
    [{"delta": {}, "finish_reason": "stop"}],
    [{"delta": {}, "finish_reason": "stop"}],
    [{"delta": {"content": "end"}, "finish_reason": "length"}],
    [{"delta": None, "finish_reason": "stop", "stop_reason": None}],
    [{"delta": {}, "finish_reason": "stop", "matched_stop": "x"}],
    [{"delta": {}, "finish_reason": "tool_calls"}],
    [{"delta": {}, "finish_reason": "content_filter"}],
    [{"delta": {}, "finish_reason": "stop"}, {"delta": {}, "finish_reason": "stop"}],
    [{"delta": {}, "finish_reason": "stop"}, {"delta": {"content": "late"}}],
    [],
]
DELTAS: list[dict[str, Any]] = [
    {"reasoning_content": "think"}, {"reasoning": None}, {"refusal": "no"}, {"refusal": None}, {"tool_calls": []},
    {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}, {"annotations": [{}]},
]  # fmt: skip
USAGES: list[Any] = [
    {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "prompt_tokens_details": {"cached_tokens": 4}},
    {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 15},
    {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11,
     "completion_tokens_details": {"reasoning_tokens": 1}},
    {"completion_tokens": 2}, {"prompt_tokens": "9"}, {}, None,
]  # fmt: skip
COUNTED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


ODD = ("", "", "", "base", "delta", "index", "usage", "when", "error", "line", "end", "crlf")


@st.composite
def stream_of_chat(draw: st.DrawFn) -> bytes:
    """A Chat provider's stream of words, with at most one thing about it that is not usual."""
    odd = draw(st.sampled_from(ODD))
    base: dict[str, Any] = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "real"}
    if odd == "base":
        base |= draw(st.sampled_from([{"id": "msg_é"}, {"id": None}, {"model": None}, {"created": None}, {"new": 1}]))
    said: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": draw(st.sampled_from(["", None, "a"]))}}]
    said += [{"delta": {"content": text}} for text in draw(st.lists(TEXT, max_size=3))]
    said += draw(st.sampled_from(ENDS if odd == "end" else ENDS[:3]))
    if odd == "delta":
        said[draw(st.integers(0, len(said) - 1))]["delta"] = draw(st.sampled_from(DELTAS))
    chunks = [{**base, "choices": [{"index": 0, **one}]} for one in said]
    if odd == "index":
        chunks[draw(st.integers(0, len(chunks) - 1))]["choices"][0]["index"] = 1
    usage = draw(st.sampled_from(USAGES)) if odd == "usage" else COUNTED
    own: dict[str, Any] = {**base, "choices": [], "usage": usage}
    match draw(st.sampled_from(["last", "each", "first", "twice", "none"])) if odd == "when" else "own":
        case "own":
            chunks.append(own)
        case "last":
            chunks[-1]["usage"] = usage
        case "each":
            for chunk in chunks:
                chunk["usage"] = usage
        case "first":
            chunks.insert(0, own)
        case "twice":
            chunks += [own, {**own, "usage": draw(st.sampled_from(USAGES))}]
    if odd == "error":
        chunks.insert(draw(st.integers(0, len(chunks))), {"error": {"message": "no"}})
    ascii_ = draw(st.booleans())
    lines = [b"data: " + stdjson.dumps(chunk, ensure_ascii=ascii_).encode() + b"\n\n" for chunk in chunks]
    if odd == "line":
        more = [b": ping\n\n", b"event: x\n", b"data: [DONE]\n\n", b"\n", b"data: {\n\n", b"\xff"]
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(more)))
    done = b"data: [DONE]\n\n"
    data = b"".join(lines) + (draw(st.sampled_from([b"", done[:-1], done + b"\n", done])) if odd == "end" else done)
    return data.replace(b"\n", b"\r\n") if odd == "crlf" else data


@MANY
@given(data=st.data(), status=spoilt.STATUSES, shown=st.sampled_from(["asked", 'é "%d"']))
def test_a_stream_of_words_is_translated_as_any_other(data: st.DataObject, status: int, shown: str) -> None:
    asked = {**stdjson.loads(BODIES["anthropic"]), "model": shown, "stream": True}
    asked |= data.draw(
        st.sampled_from([{}, {"system": "be brief"}, {"messages": [{"role": "user", "content": "é" * 5000}]}])
    )
    body = stdjson.dumps(asked).encode()
    model = data.draw(st.sampled_from(["real", "gpt-4.1-mini", None]))
    question, way = DIALECTS["anthropic"].question(body), cross("anthropic", "openai", shown, model, stream=True)
    assert question is not None
    assert isinstance(way, Words)
    seed = data.draw(st.integers(0, (1 << 128) - 1))
    # The first head is remembered, the second meets that.
    for _ in range(2):
        headers = data.draw(spoilt.HEADS)
        answer = data.draw(st.one_of(stream_of_chat(), stream_of_chat(), stream_of_chat(), spoilt.bodies("openai")))
        worded = way.begin(question, seed)
        assert isinstance(worded, WordedStream)
        long = Translator("anthropic", "openai", model, seed=seed)
        assert worded.request == long.receive_request(body)
        compare(worded, long, status, headers, answer)


def test_a_usual_stream_that_is_there_at_once_goes_the_shortest_way() -> None:
    question = DIALECTS["anthropic"].question(BODIES["anthropic"][:-1] + b',"stream":true}')
    way = cross("anthropic", "openai", "asked", "real", stream=True)
    assert question is not None
    assert isinstance(way, Words)
    worded = way.begin(question, 5)
    assert isinstance(worded, WordedStream)
    assert worded.receive_whole(200, HEADS[0], STREAM["openai"]) != b""


def compare(
    short: Worded | WordedStream | Passed, long: Translator, status: int, headers: Headers, answer: bytes
) -> None:
    out = short.receive_whole(status, headers, answer)
    if short.state is State.HEAD:
        assert (out, short.head, short.usage) == (b"", None, None)
        return
    assert out == long.receive_whole(status, headers, answer)
    assert short.state is long.state is State.DONE
    assert (short.head, short.usage, short.losses) == (long.head, long.usage, long.losses)
    assert (short.error, short.cut) == (long.error, long.cut)


@st.composite
def passing(draw: st.DrawFn, dialect: str) -> bytes:
    """A body that may pass; some of them want to be looked at."""
    body = BODIES[dialect]
    odd = [b"", b"", b"", b',"a":"\xe9"', b',"model":"b"', b',"m\\u006fdel":"b"', b',"a":"\\n"', b',"a":{"model":1}']
    odd += [b',"signature":""', b',"a":"ferry1.W"', b',"a":"ZmVycnkxL"', ',"a":"Zé"'.encode()]
    return body[:-1] + draw(st.sampled_from(odd)) + b"}"


@MANY
@given(data=st.data(), dialect=st.sampled_from(PASSING), status=spoilt.STATUSES, cache=CACHES)
def test_what_passes_passes_as_a_translator_lets_it(
    data: st.DataObject, dialect: str, status: int, cache: PromptCachePolicy
) -> None:
    model = data.draw(st.sampled_from([None, "asked", 'other "é"']))
    policies = RoutePolicies(prompt_cache=cache)
    way = cross(dialect, dialect, "asked", model, policies=policies)
    assert isinstance(way, Passing) is not cache.same_dialect
    if not isinstance(way, Passing):
        return
    for _ in range(2):
        body, headers = data.draw(passing(dialect)), data.draw(spoilt.HEADS)
        answer = data.draw(st.one_of(st.just(WHOLE[dialect]), words_of_chat(), spoilt.bodies(dialect)))
        passed = way.begin(body, HEADERS, PATHS[dialect])
        if passed is None:
            assert body != BODIES[dialect]
            return
        long = Translator(dialect, dialect, model, policies=policies)
        try:
            peeked = DIALECTS[dialect].peek(body)
        except Exception:  # such bodies do not come so far
            return
        assert passed.request == long.receive_request(body, HEADERS, PATHS[dialect], peeked)
        compare(passed, long, status, headers, answer)


@pytest.mark.parametrize("entry", NAMES)
@pytest.mark.parametrize("backend", NAMES)
def test_only_what_is_known_has_a_short_way(entry: str, backend: str) -> None:
    way = cross(entry, backend, "asked", "real")
    if (entry, backend) == ("anthropic", "openai"):
        assert isinstance(way, Words)
    elif entry == backend and DIALECTS[backend].objects_are_whole:
        assert isinstance(way, Passing)
    else:
        assert way is None


@pytest.mark.parametrize(
    "policies",
    [
        RoutePolicies(reasoning=ReasoningPolicy(ReasoningMode.FORCE, "low")),
        RoutePolicies(headers=HeaderPolicy(HeaderMode.NONE, add=(("x-team", "a"),))),
        RoutePolicies(prompt_cache=PromptCachePolicy(key="k", relocate=(0, 9))),
    ],
    ids=["reasoning", "headers", "lines"],
)
def test_policies_that_change_more_have_none(policies: RoutePolicies) -> None:
    assert cross("anthropic", "openai", "asked", "real", policies=policies) is None
    assert cross("anthropic", "openai", "asked", "real", policies=NO_POLICIES) is not None
