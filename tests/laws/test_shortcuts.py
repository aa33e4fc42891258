"""What is done in a shorter way where nothing unusual is there gives what the long way gives.

The long way is taken by switching the short one off; what is compared is everything a caller can see.
"""

from __future__ import annotations

import copy
import json as stdjson
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, Translator, ids, ir, json, opaque, prepare, schemas, tools, toolsets
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.anthropic import decode_request as messages_request
from ferryllm_proto.dialects.anthropic import response as messages_response
from ferryllm_proto.dialects.openai import encode_messages, plain, response, scan, vendors
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Report
from ferryllm_proto.raising import RAISED_PARTS, Raiser
from ferryllm_proto.rules import ProviderRules
from support import strategies

MANY = settings(max_examples=settings().max_examples * 3)

TEXT = st.sampled_from(["", "a", "héé — ☂", '"quoted" \\ "model"', "line\nline"])
CACHE = {"type": "ephemeral"}


def outcome(work: Callable[[], Any]) -> Any:
    """What came of it, an error included."""
    try:
        return work()
    except RemoteProtocolError as exc:
        return exc.error


ODD_NAMES = st.sampled_from(
    [
        "type",
        "text",
        "content",
        "cache_control",
        "citations",
        "source",
        "input",
        "role",
        "images",
        "refusal",
        "new",
        "é",
    ]
)
_ODD = {"ttl": "1h", "é": "é", "type": "server_tool_use"}
ODD_VALUES = st.sampled_from(
    [None, "é", "\ud800", "ephemeral", 3, -1, 1.5, True, [], {}, [{"type": "text", "text": "é"}], _ODD, {"ttl": "1h"}]
)


def objects(value: Any) -> list[dict[str, Any]]:
    """Every object in ``value``."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) else []), *(found for one in inner for found in objects(one))]


@st.composite
def damaged(draw: st.DrawFn, bodies: st.SearchStrategy[dict[str, Any]]) -> bytes:
    """A body as it is sent. Half of them have an odd member or two; some a byte that is wrong, or a key twice."""
    body = copy.deepcopy(draw(bodies))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.sampled_from(objects(body)))
        name = draw(st.one_of(ODD_NAMES, st.sampled_from(sorted(place) or ["new"])))
        if draw(st.integers(0, 3)):
            place[name] = copy.deepcopy(draw(ODD_VALUES))
        else:
            place.pop(name, None)
    data = stdjson.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    kind = draw(st.integers(0, 15))
    if kind == 0:
        at = draw(st.integers(0, len(data) - 1))
        return data[:at] + draw(st.sampled_from([b"\xff", b"\xc3", b'"', b""])) + data[at + 1 :]
    if kind == 1:
        return data.replace(b'"type":', b'"type": "text", "type":', 1)
    if kind in (2, 3):  # one of the letters in Latin-1, wherever it is carried
        pieces = data.split("é".encode())
        at = draw(st.integers(1, len(pieces)))
        return b"\xe9".join(filter(None, ["é".encode().join(pieces[:at]), "é".encode().join(pieces[at:])]))
    return data


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * 3 + list(others))


IMAGE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
TEXTS = st.fixed_dictionaries(
    {"type": st.just("text"), "text": TEXT},
    optional={"cache_control": st.just(CACHE), "citations": st.sampled_from([[], [{"cited_text": "é"}]])},
)
IMAGES = st.fixed_dictionaries(
    {"type": st.just("image"), "source": mostly(IMAGE, {"type": "url", "url": "u"}, {"type": "new", "é": "é"})}
)
BLOCKS = st.one_of(
    TEXTS,
    IMAGES,
    st.fixed_dictionaries(
        {
            "type": st.just("tool_use"),
            "id": st.sampled_from(["a", "b"]),
            "name": st.sampled_from("fg"),
            "input": st.sampled_from([{}, {"a": "é"}]),
        },
        optional={"cache_control": st.just(CACHE)},
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("tool_result"),
            "tool_use_id": st.sampled_from(["a", "b"]),
            "content": st.one_of(TEXT, st.lists(st.one_of(TEXTS, IMAGES), max_size=2)),
        },
        optional={"cache_control": st.just(CACHE), "is_error": st.booleans()},
    ),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": TEXT, "signature": st.sampled_from(["", "sig"])}),
    st.just({"type": "redacted_thinking", "data": "x"}),
)
MESSAGES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant"]),
        "content": st.one_of(TEXT, st.lists(BLOCKS, max_size=3)),
    },
)
TOOLS = st.fixed_dictionaries(
    {"name": st.sampled_from(["f", "g"]), "input_schema": st.sampled_from([{"type": "object"}, {"description": "é"}])},
    optional={"description": TEXT, "type": st.just("custom"), "strict": st.booleans(), "cache_control": st.just(CACHE)},
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("m"), "max_tokens": st.just(64), "messages": st.lists(MESSAGES, min_size=1, max_size=3)},
    optional={
        "system": st.one_of(TEXT, st.lists(TEXTS, max_size=2)),
        "tools": st.lists(TOOLS, max_size=2),
        "tool_choice": st.sampled_from([{"type": "auto"}, {"type": "tool", "name": "f"}]),
        "thinking": st.sampled_from([{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 9}]),
        "metadata": st.sampled_from([{"user_id": "é"}, {"user_id": "a", "more": "é"}]),
        "stream": st.booleans(),
    },
)


def _sent(content: bytes, more: bytes = b"") -> bytes:
    return b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":%b}]%b}' % (content, more)


@MANY
@given(body=damaged(BODIES), counting=st.booleans())
@example(body=_sent(b'"a"', b',"system":[{"text":"no type"}]'), counting=False)
@example(body=_sent(b'"a"', b',"tools":[{"name":"f","input_schema":{"\xe9":1}}]'), counting=False)
@example(body=_sent(b'"a"', b',"output_config":{"format":{"type":"json_schema","schema":{"\xe9":1}}}'), counting=False)
@example(body=_sent(b'[{"type":"text","text":"a","citations":[{"a":"\xe9"}]}]'), counting=False)
@example(body=_sent(b'[{"type":"tool_use","id":"a","name":"f","input":{"a":"\xe9"}}]'), counting=False)
def test_a_body_read_in_one_pass_is_what_it_is_level_by_level(body: bytes, counting: bool) -> None:
    short = messages_request._whole(body, counting=counting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages_request, "_whole", lambda body, counting: None)
        long = outcome(lambda: messages_request.decode(body, counting=counting))
    assert short is None or short == long


@given(request=strategies.requests("anthropic"))
def test_what_agents_send_is_read_in_one_pass(request: ir.Request) -> None:
    body = DIALECTS["anthropic"].encode_request(request, model="m")[0].body
    assert messages_request._whole(body, counting=False) is not None


# --- members of objects ----------------------------------------------------------------------------------

KEYS = st.sampled_from(["model", "mode", "models", "stream", '"model"', "mod\u0065l", "ü"])
VALUES = st.recursive(
    st.one_of(KEYS, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def written_objects(draw: st.DrawFn) -> bytes:
    """An object, with blanks or without, one of its keys perhaps with an escape."""
    value = draw(st.dictionaries(KEYS, VALUES, max_size=4))
    body = stdjson.dumps(value, separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : ")]))).encode()
    return body.replace(b"model", b"m\\u006Fdel", 1) if draw(st.booleans()) else body


@MANY
@given(body=written_objects())
@example(body=b'{"m\\u006fdel":1,"x":{"model":1}}')
def test_a_member_is_found_where_it_is(body: bytes) -> None:
    short = json._only(body, "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json, "_only", lambda data, name: None)
        assert short is None or short == json.find(body, ("model",))


@MANY
@given(body=written_objects())
@example(body=b'{"m\\u006fdel":1,"model":2}')
@example(body=b'{"model":1,"model":2}')
def test_a_body_that_is_not_looked_through_names_its_model_once(body: bytes) -> None:
    if prepare._BACKSLASH not in body and body.count(prepare._MODEL) <= 1:
        assert json.count(body, "model") <= 1


@given(body=st.lists(st.sampled_from([b"a", b'"', b"ferry1.", b"W", b"WyJ", b"W1tb", b"ZmVycnkxL"]), max_size=5))
def test_envelopes_are_looked_for_by_what_all_marks_have(body: list[bytes]) -> None:
    data = b"".join(body)
    assert opaque.is_marked(data) == any(mark in data for mark in opaque.MARKS)


# --- requests for Chat -----------------------------------------------------------------------------------

RULES = st.sampled_from(
    [ProviderRules(), *(ProviderRules(vendor=name) for name in ("mistral", "deepseek", "openrouter", "perplexity"))]
)
TURNS = st.lists(
    st.builds(
        ir.Turn,
        st.sampled_from(ir.Role),
        st.lists(
            st.builds(
                ir.Text,
                st.sampled_from(["", "a", "b"]),
                cache=st.sampled_from([None, None, None, ir.CacheMark()]),
                path=st.sampled_from(["messages[0].content", "messages[1].content[0]"]),
                ext=st.sampled_from([None, None, None, ir.Ext("anthropic", {"new": b"1"})]),
            ),
            max_size=2,
        ).map(tuple),
        name=st.sampled_from([None, None, "ann"]),
    ),
    min_size=1,
    max_size=4,
).map(tuple)


_ASKED = ir.Turn(ir.Role.USER, (ir.Text("a", path="messages[0].content[0]"),))


@MANY
@given(
    request=st.one_of(
        strategies.requests("anthropic"),
        st.builds(lambda turns: ir.Request("anthropic", "m", turns, max_output=9), TURNS),
        st.builds(lambda turns: ir.Request("openai", "m", turns, max_output=9), TURNS),
        st.builds(
            lambda turns, key: ir.Request("anthropic", "m", turns, max_output=9, cache_key=key),
            TURNS,
            st.sampled_from(["", "k:1", "é"]),
        ),
    ),
    rules=RULES,
    model=st.sampled_from(["gpt-5.4", "mistral-large", "deepseek-reasoner"]),
)
@example(request=ir.Request("anthropic", "m", (_ASKED, _ASKED)), rules=ProviderRules(vendor="perplexity"), model="m")
@example(request=ir.Request("openai", "m", (_ASKED,)), rules=ProviderRules(), model="m")
def test_a_chat_request_of_words_alone_is_what_the_writers_write(
    request: ir.Request, rules: ProviderRules, model: str
) -> None:
    def encode() -> Any:
        return DIALECTS["openai"].encode_request(request, model=model, rules=rules)

    short = outcome(encode)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "request_body", lambda request, model, profile: None)
        patch.setattr(encode_messages, "words", lambda turn: None)
        patch.setattr(tools, "_is_paired", lambda turns: False)
        patch.setattr(tools.Lowered, "call", _replaced_call)
        patch.setattr(tools.Lowered, "result", _replaced_result)
        patch.setattr(schemas, "_kept", schemas._propertied)
        patch.setattr(vendors, "_kept", vendors._profile)
        assert outcome(encode) == short


@MANY
@given(body=damaged(BODIES), rules=RULES, model=st.sampled_from(["gpt-5.4", "mistral-large"]))
def test_tools_that_come_again_become_what_they_became(body: bytes, rules: ProviderRules, model: str) -> None:
    def lowered() -> Any:
        request = DIALECTS["anthropic"].decode_request(body)
        return request, DIALECTS["openai"].encode_request(request, model=model, rules=rules)

    first = outcome(lowered)
    assert outcome(lowered) == first
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolsets.ToolSets, "read", lambda sets, data, read: read(data))
        patch.setattr(toolsets.ToolSets, "derived", lambda sets, tools: None)
        assert outcome(lowered) == first


def _replaced_call(lowered: tools.Lowered, call: ir.ToolCall) -> ir.ToolCall:
    name = lowered.table.wire_name(call.namespace, call.name)
    return ir.ToolCall(
        ids.fit(call.id, lowered._ids), name, call.arguments, call.kind, opaque=call.opaque, path=call.path
    )


def _replaced_result(lowered: tools.Lowered, result: ir.ToolResult) -> ir.ToolResult:
    id_ = ids.fit(result.id, lowered._ids)
    return ir.ToolResult(id_, result.parts, result.name, result.is_error, path=result.path)


# --- answers ---------------------------------------------------------------------------------------------

MESSAGE = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.one_of(TEXT, st.none())},
    optional={
        "refusal": st.sampled_from([None, "", "no"]),
        "reasoning_content": st.sampled_from([None, "", "hm"]),
        "tool_calls": st.sampled_from([None, [], [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]]),
        "annotations": st.sampled_from([None, [], [{"type": "url_citation", "url_citation": {"url": "u"}}]]),
        "images": st.sampled_from([None, [], [{"image_url": {"url": "data:image/png;base64,AA=="}}]]),
    },
)
CHOICES = st.fixed_dictionaries(
    {"message": MESSAGE, "finish_reason": st.sampled_from(["stop", "length", "tool_calls", None, "odd"])},
    optional={"index": st.integers(0, 1), "stop_reason": st.sampled_from([None, "END", 7])},
)
ANSWERS = st.fixed_dictionaries(
    {
        "id": st.just("chatcmpl-1"),
        "created": st.sampled_from([1, 1.5]),
        "model": st.just("real"),
        "choices": st.lists(CHOICES, min_size=1, max_size=2),
        "usage": mostly(
            {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}, "new": 1},
            {},
            None,
        ),
    },
    optional={
        "object": st.just("chat.completion"),
        "service_tier": st.sampled_from([None, "flex"]),
        "system_fingerprint": st.sampled_from([None, "fp"]),
        "success": st.sampled_from([None, True, False]),
        "error": st.sampled_from([None, {"message": "no"}]),
    },
)


@MANY
@given(body=damaged(ANSWERS))
@example(
    body=b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1},"success":true}'
)
@example(body=b'{"choices":[{"message":{"content":"a","refusal":"no"},"finish_reason":"stop"}],"usage":{}}')
def test_an_ordinary_answer_is_read_as_any_other(body: bytes) -> None:
    def read() -> Any:
        return response.decode(json.mend_utf8(body))

    short = outcome(read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "answer", lambda body: None)
        patch.setattr(response, "_is_text", lambda message: False)
        patch.setattr(response, "_usual", json.decoder(_Never))
        assert outcome(read) == short


class _Never(msgspec.Struct):
    """No answer is one."""

    never: int


@MANY
@given(body=damaged(ANSWERS), name=st.sampled_from([None, "asked"]))
def test_an_ordinary_answer_that_passes_through_is_seen_as_any_other(body: bytes, name: str | None) -> None:
    def watched() -> Any:
        watcher = scan.BodyScanner(name)
        out = watcher.receive_data(body) + watcher.receive_eof()
        return out, watcher.usage, watcher.finish, watcher.complete, watcher.error

    short = watched()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "answer", lambda body: None)
        patch.setattr(plain, "told", lambda body: None)
        assert watched() == short


@MANY
@given(
    found=st.one_of(
        strategies.responses(),
        st.builds(
            ir.Response,
            st.sampled_from(["", "msg_1", "é"]),
            st.just("real"),
            st.lists(st.builds(ir.Text, TEXT), min_size=1, max_size=2).map(tuple),
            st.sampled_from(ir.FinishReason),
            usage=st.sampled_from([None, ir.Usage(3, output=2), ir.Usage(3, 4, 5, 1, 2, 0), ir.Usage(output=1)]),
        ),
    ),
    model=st.sampled_from(["", "é"]),
)
def test_an_answer_of_one_text_is_written_as_any_other(found: ir.Response, model: str) -> None:
    def written() -> Any:
        report = Report()
        body = DIALECTS["anthropic"].encode_response(found, Answer(model=model, seed=7, input_estimate=3), report)
        return body, report.losses

    short = outcome(written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages_response, "plain", lambda response, model, seed: None)
        assert outcome(written) == short


@given(found=strategies.responses())
def test_parts_that_need_no_raising_are_left_alone_by_it(found: ir.Response) -> None:
    request = ir.Request("anthropic", "m", tools=(ir.Function("f"),))
    rules = DIALECTS["openai"].tool_rules
    raised = Raiser(request, rules, DIALECTS["anthropic"].tool_rules, 1, model="m").response(found)
    assert raised == found or not RAISED_PARTS.isdisjoint(map(type, found.parts))


# --- what is left out because nobody asks ----------------------------------------------------------------


@pytest.mark.parametrize("counted", [True, False])
def test_input_is_estimated_only_where_the_provider_has_not_counted_it(
    counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def estimate(request: ir.Request, model: str | None, backend: str) -> int:
        asked.append(request.model)
        return 41

    monkeypatch.setattr("ferryllm_proto.streamed.estimate_input", estimate)
    translator = Translator(entry="anthropic", backend="openai", model="real")
    translator.receive_request(b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}')
    translator.receive_response_head(200, [("content-type", "application/json")])
    usage = b',"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}' if counted else b""
    translator.receive_data(b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]%b}' % usage)
    answer = stdjson.loads(translator.receive_eof())
    assert (answer["usage"]["input_tokens"], asked) == ((3, []) if counted else (41, ["m"]))


def test_an_exchange_leaves_nothing_for_the_garbage_collector() -> None:
    """No cycles in what a whole exchange makes: it is gone when its last reference is."""
    import gc

    def run() -> None:
        for backend in ("openai", "anthropic"):
            translator = Translator(entry="anthropic", backend=backend, model="real")
            translator.receive_request(b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}')
            translator.receive_response_head(200, [("content-type", "application/json")])
            translator.receive_data(b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"content":[]}')
            translator.receive_eof()

    run()
    gc.collect()
    gc.disable()
    try:
        run()
        assert gc.collect() == 0
    finally:
        gc.enable()
