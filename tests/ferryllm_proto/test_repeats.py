"""What a decoder takes from an event by its neighbours is what it reads in it: any chunking, any odd event between."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import Translator
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.dialects.anthropic.stream_decoder import StreamDecoder
from ferryllm_proto.events import Event, ReasoningDelta, TextDelta
from ferryllm_proto.repeats import Repeats
from ferryllm_proto.sse import Frame

_HEAD = (("content-type", "text/event-stream"),)


def _chat(delta: object, **more: object) -> bytes:
    fields = {"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "real", **more}
    fields["choices"] = [{"index": 0, "delta": delta, "finish_reason": None}]
    return b"data: %b\n\n" % json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def _messages(kind: str, text: str, index: int = 0) -> bytes:
    name = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}[kind]
    fields = {"type": "content_block_delta", "index": index, "delta": {"type": kind, name: text}}
    return b"event: content_block_delta\ndata: %b\n\n" % json.dumps(fields, ensure_ascii=False).encode()


def _opened(index: int, block: bytes) -> bytes:
    return b'data: {"type":"content_block_start","index":%d,"content_block":{%b}}\n\n' % (index, block)


def _gemini(text: str, tokens: int, **more: object) -> bytes:
    part = {"text": text, **more}
    fields = {
        "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": tokens, "totalTokenCount": 3 + tokens},
        "modelVersion": "real",
        "responseId": "r",
    }
    return b"data: %b\r\n\r\n" % json.dumps(fields, ensure_ascii=False).encode()


_WORDS = st.one_of(
    st.sampled_from(
        ["a", " tok", "é", "", "\n", '"', "\\", "\x7f", "\u2028", "\ud83d", "{}", "}}\n\n", "content", ":"]
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=4),
)

_CHAT_EVENTS = st.one_of(
    _WORDS.map(lambda text: _chat({"content": text.replace("\ud83d", "")})),
    _WORDS.map(lambda text: _chat({"reasoning_content": text.replace("\ud83d", "")})),
    _WORDS.map(lambda text: _chat({"content": text.replace("\ud83d", "")}, usage={"completion_tokens": len(text)})),
    _WORDS.map(lambda text: _chat({"content": text.replace("\ud83d", ""), "reasoning_content": "b"})),
    st.sampled_from(
        [
            _chat({"content": "x"}).replace(b'"x"', b'"\xff"'),
            _chat({"content": "x"}).replace(b'"x"', b'"\\ud83d"'),
            _chat({"content": "x"}).replace(b'"x"', b'"\x01"'),
            _chat({"content": "x"}).replace(b"\n", b"\r\n"),
            _chat({"refusal": "no"}),
            b": comment\n\n",
            b"event: odd\n",
            b"data: prose\n\n",
            _chat({"tool_calls": [{"index": 0, "id": "i", "function": {"name": "f", "arguments": "{}"}}]}),
        ]
    ),
)
_START = b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"real","content":[]}}\n\n'
_MESSAGES_EVENTS = st.one_of(
    st.tuples(st.sampled_from(["text_delta", "thinking_delta", "input_json_delta"]), _WORDS, st.integers(0, 1)).map(
        lambda found: _messages(found[0], found[1].replace("\ud83d", ""), found[2])
    ),
    st.sampled_from(
        [
            _opened(0, b'"type":"text"'),
            _opened(1, b'"type":"thinking"'),
            _opened(1, b'"type":"tool_use","id":"t","name":"f"'),
            b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
            b'event: ping\ndata: {"type":"ping"}\n\n',
        ]
    ),
)
_GEMINI_EVENTS = st.one_of(
    st.tuples(_WORDS, st.integers(0, 3)).map(lambda found: _gemini(found[0].replace("\ud83d", ""), found[1])),
    st.tuples(_WORDS, st.integers(0, 3)).map(
        lambda found: _gemini(found[0].replace("\ud83d", ""), found[1], thought=True)
    ),
    st.tuples(_WORDS, st.integers(0, 3)).map(
        lambda found: _gemini(found[0].replace("\ud83d", ""), found[1], thoughtSignature="c2ln")
    ),
    st.sampled_from(
        [
            _gemini("x", 1).replace(b'"x"', b'"\xff"'),
            _gemini("x", 1).replace(b"\r\n\r\n", b"\n\n"),
            _gemini("x", 1).replace(b'"totalTokenCount": 4}', b'"totalTokenCount": 4},"error":{"code":400}'),
            _gemini("x", 1).replace(b'"role"', b'"role":"model","role"'),
            b"data: {}\r\n\r\n",
        ]
    ),
)
_STREAMS = {
    "openai": st.lists(_CHAT_EVENTS, max_size=12).map(lambda found: b"".join([_chat({"role": "assistant"}), *found])),
    "anthropic": st.lists(_MESSAGES_EVENTS, max_size=12).map(lambda found: b"".join([_START, *found])),
    "gemini": st.lists(_GEMINI_EVENTS, max_size=12).map(b"".join),
}


def _forget(machine: Any) -> None:
    """Make it read every event whole."""
    reader = getattr(machine, "_reader", machine)
    if reader._repeats is None:
        reader._repeats = Repeats()
    reader._repeats._misses = 1 << 20  # with the next the one thing that differs between the two ways
    if hasattr(reader, "_odd"):  # chunks are read at a glance, too
        reader._odd = 1 << 20


def _events(dialect: str, reads: list[bytes], *, whole: bool = False) -> list[Event]:
    decoder = DIALECTS[dialect].stream_decoder()
    if whole:
        _forget(decoder)
    return [event for data in reads for event in decoder.receive_data(data)] + decoder.receive_eof()


def _cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(stream) + 1) for place in places})
    return [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True) if a < b]


@pytest.mark.parametrize("dialect", _STREAMS)
def test_a_stream_is_the_same_however_it_is_cut(dialect: str) -> None:
    @given(_STREAMS[dialect], st.lists(st.integers(0, 1 << 16), max_size=8))
    def check(stream: bytes, places: list[int]) -> None:
        slow = _events(dialect, [stream[n : n + 1] for n in range(len(stream))], whole=True)
        assert _events(dialect, [stream]) == slow
        assert _events(dialect, _cut(stream, places)) == slow
        assert _events(dialect, [stream[n : n + 1] for n in range(len(stream))]) == slow

    check()


@pytest.mark.parametrize("dialect", _STREAMS)
def test_a_stream_read_event_by_event_is_the_same(dialect: str) -> None:
    events = {"openai": _CHAT_EVENTS, "anthropic": _MESSAGES_EVENTS, "gemini": _GEMINI_EVENTS}[dialect]
    first = {"openai": [_chat({"role": "assistant"})], "anthropic": [_START], "gemini": []}[dialect]

    @given(st.lists(events, max_size=12))
    def check(found: list[bytes]) -> None:
        stream = b"".join([*first, *found])
        slow = _events(dialect, [stream], whole=True)
        assert _events(dialect, [*first, *found]) == slow

    check()


@pytest.mark.parametrize("model", [None, "shown"])
@given(found=st.lists(_GEMINI_EVENTS, max_size=12), places=st.lists(st.integers(0, 1 << 16), max_size=8))
def test_a_gemini_stream_that_passes_is_the_same_however_it_is_cut(
    model: str | None, found: list[bytes], places: list[int]
) -> None:
    stream = b"".join(found)

    def scanned(reads: list[bytes], *, whole: bool = False) -> tuple[object, ...]:
        scanner = DIALECTS["gemini"].scanner(stream=True, model=model)
        if whole:
            _forget(scanner)
        out = b"".join(scanner.receive_data(data) for data in reads) + scanner.receive_eof()
        return out, scanner.usage, scanner.finish, scanner.error, scanner.complete

    slow = scanned([stream[n : n + 1] for n in range(len(stream))], whole=True)
    assert scanned([stream] if stream else []) == slow
    assert scanned(_cut(stream, places)) == slow
    assert scanned(found) == slow


def test_a_long_first_read_of_short_events_shows_that_they_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = _START + _opened(0, b'"type":"text"')
    stream += b"".join(_messages("text_delta", f" {n}") for n in range(100))
    read = []
    whole = StreamDecoder._read

    def watched(decoder: StreamDecoder, data: bytes, out: list[Event]) -> None:
        read.append(data)
        whole(decoder, data, out)

    monkeypatch.setattr(StreamDecoder, "_read", watched)
    assert len(StreamDecoder().receive_data(stream)) == 102
    assert len(b"".join(read)) < len(stream) / 4


def test_the_shortcut_is_taken() -> None:
    repeats, taken = Repeats(), []
    frame = Frame("", b'{"a":{"content":"x"},"b":1}')
    assert repeats.learn(frame, b"content", TextDelta(4, "x"))
    out: list[Event] = []
    repeats.receive(
        b'data: {"a":{"content":"y"},"b":1}\n\ndata: {"a":{"content":"z"},"b":1}\n\n',
        out,
        lambda data, _: taken.append(data),
        lambda: True,
    )
    assert out == [TextDelta(4, "y"), TextDelta(4, "z")]
    assert taken == []


@pytest.mark.parametrize(
    "data",
    [
        b'{"content":"x","more":{"content":"x"}}',
        b'{"content":"\\u0078","b":"x"}',
        b'{"b":"content","content":"x"}',
        b'{"content" : "x"}',
    ],
)
def test_nothing_is_learnt_where_the_text_could_be_elsewhere(data: bytes) -> None:
    assert not Repeats().learn(Frame("", data), b"content", TextDelta(0, "x"))


def test_a_stream_that_never_repeats_is_left_alone_after_a_while() -> None:
    repeats = Repeats()
    learnt = [
        repeats.learn(Frame("", b'{"n":%d,"content":"x"}' % n), b"content", ReasoningDelta(0, "x")) for n in range(20)
    ]
    assert learnt[0]
    assert not learnt[-1]


def test_what_a_translator_writes_does_not_depend_on_the_reads() -> None:
    body = b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}'
    texts = ["a", "b\n", "c", 'd"', "é", "f"]
    events = [_chat({"role": "assistant"}), *(_chat({"content": text}) for text in texts)]
    stream = b"".join(events) + b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

    def written(reads: list[bytes]) -> bytes:
        talk = Translator(entry="anthropic", backend="openai")
        talk.receive_request(body)
        talk.receive_response_head(200, _HEAD)
        return b"".join(talk.receive_data(data) for data in reads) + talk.receive_eof()

    slow = written([stream[n : n + 1] for n in range(len(stream))])
    assert b"\\n" in slow
    for size in (7, 64, 300, len(stream)):
        assert written([stream[n : n + size] for n in range(0, len(stream), size)]) == slow
