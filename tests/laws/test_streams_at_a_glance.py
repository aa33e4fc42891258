"""Streams of the usual form are read and written in fewer steps; what comes of it is what all the steps give.

The long way is taken by switching the short one off. `test_repeats` does the same for events that repeat.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, Translator, ir
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.anthropic import stream_encoder as messages_encoder
from ferryllm_proto.dialects.openai.calls import Calls
from ferryllm_proto.dialects.openai.stream_decoder import StreamDecoder
from ferryllm_proto.dialects.openai_responses import output_items
from ferryllm_proto.errors import LocalProtocolError, RemoteProtocolError
from ferryllm_proto.events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    End,
    Event,
    Finish,
    Logprobs,
    OpaqueDelta,
    Ping,
    Raw,
    ReasoningDelta,
    RefusalDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from ferryllm_proto.opening import EVENTS, Form, Opening
from ferryllm_proto.sequence import Sequencer
from ferryllm_proto.sse import Frame, FrameDecoder, objects

MANY = settings(max_examples=settings().max_examples * 4)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True) if a < b]


SEEDS = st.integers(0, 1 << 32)
STREAMS = 15
"""Streams of one seed: to make them is cheap."""


# --- events of a stream ----------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        *(
            b"data: ",
            b"data: {",
            b"{",
            b'{"a":1}',
            b"}",
            b"[1",
            b"]",
            b"\n",
            b"\n\n",
            b"\r\n",
            b"\r",
            b"data:{}",
            b": c",
        ),
        *(b"event: e\n", b"\xff", "é".encode(), b"\xef\xbb\xbf", b"data: [DONE]\n\n", b'data: {"a":1}\n\n', b" "),
        *(b'data: {"a":1}\n\n', b'data: {"a":2}\n\n', b'data: {"a":\r1}\n\n', b'data: {"a":3}\n\n'),
    ]
)


@MANY
@given(st.lists(_PIECES, max_size=8).map(b"".join), st.booleans())
def test_events_that_are_objects_are_what_a_decoder_of_frames_finds(data: bytes, begun: bool) -> None:
    decoder = FrameDecoder()
    if begun:
        decoder.go_on()
    lines = objects(data)
    if lines is not None:
        assert decoder.receive_data(data) == [Frame("", line) for line in lines.split(b"\n")]
        assert decoder.idle


# --- chunks of Chat --------------------------------------------------------------------------------------


def chunk(delta: Any, finish: Any = None, choice: dict[str, Any] | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish, **(choice or {})}]
    return event({"id": "i", "model": "m", "created": 5, "choices": choices, **more})


def event(value: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def call(**fields: Any) -> bytes:
    return chunk({"tool_calls": [fields]})


_COUNTED = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
_LOGPROBS = {"content": [{"token": "x"}]}
CALLS = [
    call(index=0, id="c1", function={"name": "f", "arguments": ""}),
    *[call(index=0, function={"arguments": text}) for text in ("{", "}", '{"a":1}', '{"a"', ":1", '{"a":1}}')],
    *[call(index=1, id=id_, function={"name": "g"}) for id_ in ("c2", "c4")],
    *[call(index=1, function={"arguments": text}) for text in ("{", "x")],
    *[call(function={"arguments": "}"}), call(function={"name": "h", "arguments": "{}"})],
]
WHOLE_CALL = [CALLS[0], *[call(index=0, function={"arguments": text}) for text in ("{", '"a"', ":1", "}")]]
USUAL = [
    chunk({"role": "assistant", "content": ""}),
    *[chunk({"content": text}) for text in ("x", "yé", "\n", '"', "\u2028", "data: z\n\n")],
    *[chunk({"content": "x", "role": "assistant"}), chunk({"content": None, "tool_calls": []}), chunk(None)],
    *[chunk({"reasoning_content": text, "content": None}) for text in ("t", "u")],
    *[chunk({"reasoning": "t"}), chunk({"reasoning": "u", "reasoning_content": "v"})],
    *[chunk({"reasoning_content": "t", "content": text}) for text in ("x", "y")],
    *[chunk({"content": text}, usage=_COUNTED) for text in ("x", "y")],
    *CALLS,
    chunk({"content": "x", "tool_calls": [{"id": "c3", "function": {"name": "f", "arguments": {}}}]}),
    event({"id": "i", "choices": [], "usage": _COUNTED}),
    event({"id": "i", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2.0}}),
    event({"id": "i", "model": "m", "choices": []}),
]
ODD = [
    chunk({"refusal": "no"}),
    chunk({"function_call": {"name": "old", "arguments": "{}"}}),
    chunk({"function_call": {}, "content": "x"}),
    chunk({"reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "s"}]}),
    chunk({"annotations": [{"type": "url_citation"}]}),
    chunk({"images": [{"image_url": {"url": "u"}}]}),
    chunk({"audio": {"id": "a"}}),
    chunk({"executed_tools": [{"type": "search"}]}),
    chunk({"content": [{"type": "text", "text": "l"}]}),
    chunk({"reasoning": {"a": 1}, "content": "x"}),
    chunk({"content": 5}),
    chunk({"content": "x"}, choice={"logprobs": _LOGPROBS}),
    chunk({"content": "x"}, choice={"usage": _COUNTED}),
    chunk({"content": "x"}, choice={"index": 1}),
    chunk({"content": "x"}, error={"message": "bad"}),
    chunk({"content": "x"}, error={}),
    chunk({"content": "x"}, id=5, created=5.5),
    chunk({"content": "x"}, x_groq={"id": "g"}),
    event({"id": "i", "choices": [], "x_groq": {"usage": _COUNTED}}),
    event({"id": "i", "choices": [], "usage": {"prompt_tokens": "3"}}),
    event({"id": "i", "choices": None}),
    event({"detail": "x", "error": "y", "message": "z"}),
    call(index=0, function={"arguments": "nameless"}),
    b": comment\n\n",
    b"event: error\n",
    b"event: odd\n",
    b"data: prose\n\n",
    b'data: {"choices":[],"a":\n\n',
    b'data: {"b":1}}\n\n',
    b'data: {"choices":[]}{"choices":[]}\n\n',
    b'data: {"choices":[]}\n{"choices":[{"delta":{"content":"x"}}]}\n\n',
    b'data: {"id":"i","choices":[{"delta":{"content":"x"}}],\rdata: "model":"m"}\n\n',
    chunk({"content": "x"}).replace(b'"x"', b'"\xff"'),
    chunk({"content": "x"}).replace(b'"x"', b'"\\ud83d"'),
    chunk({"content": "x"}).replace(b"\n", b"\r\n"),
    chunk({"content": "x"}).replace(b"data: ", b"data:"),
    b"\xef\xbb\xbf" + chunk({"content": "x"}),
    b"data: [DONE]\n\n",
    b"\n",
]
FINISHES = [
    *[chunk({}, reason) for reason in ("stop", "stop", "length", "tool_calls", "content_filter", "error", "Stop")],
    *[chunk({}, "stop", {"stop_reason": stop}) for stop in (3, "END")],
    chunk({"content": "x"}, "stop", usage=_COUNTED),
]


def pieces(chance: random.Random) -> list[bytes]:
    """The events of a stream: of the usual form nearly all, in some streams."""
    odd = chance.choice([0.0, 0.05, 0.3])
    few = chance.choice([chance.sample(USUAL, chance.randint(1, len(USUAL))), USUAL, USUAL[1:3], CALLS, CALLS])
    begun = chance.choice([CALLS[:1], WHOLE_CALL]) if few is CALLS else []
    out = [*begun, *(chance.choice(ODD if chance.random() < odd else few) for _ in range(chance.randint(0, 12)))]
    if chance.random() < 0.8:
        out.append(chance.choice(FINISHES))
        out += [chance.choice(USUAL) for _ in range(chance.randint(0, 2))]
    if chance.random() < 0.8:
        out.append(b"data: [DONE]\n\n")
    return out


def grouped(chance: random.Random, items: list[Any]) -> list[list[Any]]:
    ends = sorted(chance.randint(0, len(items)) for _ in range(chance.randint(0, len(items))))
    return [items[a:b] for a, b in zip([0, *ends], [*ends, len(items)], strict=True) if a < b]


def decoded(reads: list[bytes], *, glance: bool = True) -> list[list[Event]]:
    decoder = StreamDecoder()
    with pytest.MonkeyPatch.context() as patch:
        if not glance:
            patch.setattr(Calls, "_goes_on", lambda *_: None)
            decoder._odd = 1 << 20  # as many unusual chunks as nobody looks behind
        out = [decoder.receive_data(data) for data in reads]
        return [*out, decoder.receive_eof()]


@given(SEEDS)
def test_a_chat_stream_is_the_same_at_a_glance_and_chunk_by_chunk(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(STREAMS):
        found = pieces(chance)
        stream = b"".join(found)
        slow = decoded([stream], glance=False)
        events = [one for read in slow for one in read]
        places = [chance.randint(0, len(stream)) for _ in range(chance.randint(0, 4))]
        for reads in ([stream], found, [b"".join(some) for some in grouped(chance, found)], cut(stream, places)):
            fast = decoded(reads)
            assert fast == decoded(reads, glance=False), reads
            assert [one for read in fast for one in read] == events, reads


def test_a_usual_chat_stream_is_read_at_a_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(StreamDecoder, "_receive")
    stream = [USUAL[0], chunk({"content": "hi"}), chunk({}, "stop"), event({"id": "i", "choices": []})]
    stream.append(b"data: [DONE]\n\n")
    decoder = StreamDecoder()
    assert [type(found) for found in decoder.receive_data(b"".join(stream))] == [
        Start,
        BlockStart,
        TextDelta,
        BlockEnd,
        Finish,
        End,
    ]
    assert decoder._frames is None


# --- streams of Messages ---------------------------------------------------------------------------------

_PROOF = ir.Opaque("anthropic", "m", ir.OpaqueKind.SIGNATURE, "c2ln")
_REDACTED = ir.Opaque("anthropic", "m", ir.OpaqueKind.REDACTED, "cmVk")
_BESIDE: list[Event] = [
    UsageUpdate(ir.Usage(3, output=2)),
    UsageUpdate(ir.Usage(output=9, reasoning=1)),
    UsageUpdate(ir.Usage()),
    Ping(),
    Raw("anthropic", "x", b'{"type":"x"}'),
    Raw("openai", "choices", b"{}"),
]
_STARTS = [Start("msg_1", "m"), Start("i", "m", 5, ir.Usage(7, 1, 2)), Start("", "", None, ir.Usage())]
_SAID: dict[BlockKind, tuple[Callable[[int, str], Event], tuple[str, ...]]] = {
    BlockKind.TEXT: (TextDelta, ("x", "yy", "")),
    BlockKind.REFUSAL: (RefusalDelta, ("no", "")),
    BlockKind.REASONING: (ReasoningDelta, ("t", "uu", "")),
    BlockKind.TOOL: (ArgsDelta, ("{}", "{}", '{"a":', "1}", "")),
}
_HOSTED = [
    None,
    ir.Hosted(
        "anthropic", "server_tool_use", b'{"type":"server_tool_use","id":"s","name":"web_search","input":{"a":1}}'
    ),
    ir.Hosted(
        "openai_responses",
        "web_search_call",
        b'{"type":"web_search_call","id":"w","status":"completed","action":{"type":"search","query":"q"}}',
    ),
    ir.Hosted("openai", "images", b"[]"),
]


def deltas(chance: random.Random, ix: int, kind: BlockKind) -> list[Event]:
    out: list[Event] = []
    for _ in range(chance.randint(0, 3)):
        if kind in _SAID:
            make, texts = _SAID[kind]
            one: Event = make(ix, chance.choice(texts))
            out.append(one)
        more: list[Event] = []
        if kind is BlockKind.REASONING and chance.random() < 0.4:
            more = [OpaqueDelta(ix, _PROOF), OpaqueDelta(ix, _REDACTED), ReasoningDelta(ix, "s", 1)]
        elif kind is BlockKind.TEXT and chance.random() < 0.1:
            more = [Citation(ix, "anthropic", b"{}"), Logprobs(ix, b"[]"), ReasoningDelta(ix, "t")]
        out += chance.sample(more, min(1, len(more)))
    return out


def said(chance: random.Random) -> list[Event]:
    """The events of a stream: blocks in a row for the most part, in words many, some as no decoder says them."""
    odd = chance.choice([0.0, 0.0, 0.2])
    kinds = [BlockKind.TEXT, BlockKind.REASONING]
    kinds += chance.choice([[], [BlockKind.REFUSAL], [BlockKind.TOOL, BlockKind.HOSTED]])
    out: list[Event] = [chance.choice(_STARTS)]
    for ix in range(chance.randint(0, 3)):
        kind = chance.choice(kinds)
        tool = chance.choice(["f", "f", "f", None]) if kind is BlockKind.TOOL else None
        custom = ir.ToolKind.CUSTOM if tool and chance.random() < 0.2 else ir.ToolKind.FUNCTION
        hosted = chance.choice(_HOSTED) if kind is BlockKind.HOSTED else None
        out += [BlockStart(ix, kind, "c", tool, tool_kind=custom, hosted=hosted), *deltas(chance, ix, kind)]
        out += [chance.choice(_BESIDE) for _ in range(chance.choice([0, 0, 0, 1, 2]))]
        if chance.random() >= odd * 2:
            out.append(BlockEnd(ix))
        if chance.random() < odd:  # of a block that is over
            out += deltas(chance, max(0, ix - chance.randint(0, 1)), kind)
    reasons = [ir.FinishReason.END, ir.FinishReason.TOOL_USE, *ir.FinishReason]
    details = chance.choice([None, b'{"type":"refusal"}'])
    out.append(Finish(chance.choice(reasons), chance.choice([None, None, "END"]), details))
    out += [chance.choice(_BESIDE) for _ in range(chance.choice([0, 1, 1, 2]))]
    out.append(End() if chance.random() < 0.9 else StreamFailed(ir.Error(ir.ErrorKind.SERVER, "x")))
    if chance.random() < odd:
        chance.shuffle(out)
    return out


def written(events: list[Event], *, in_order: bool = True) -> list[Any]:
    """What comes of each event, and the losses."""
    encoder = messages_encoder.StreamEncoder(Answer("shown", 5, 7, None, 42))
    if not in_order:
        encoder._sequencer, encoder._then, encoder._writers = Sequencer(), encoder._writers, messages_encoder._NOTHING
    out: list[Any] = []
    for one in events:
        try:
            out.append(encoder.send(one))
        except LocalProtocolError as exc:
            out.append(str(exc))
            break  # nobody goes on behind it
        except RemoteProtocolError as exc:
            out += [exc.error, encoder.send(StreamFailed(exc.error))]
            break
    return [*out, encoder.losses]


@given(SEEDS)
def test_blocks_in_a_row_are_written_as_by_a_sequencer(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(STREAMS):
        events = said(chance)
        assert written(events) == written(events, in_order=False), events


_REACHED: dict[messages_encoder.State, list[Event]] = {
    messages_encoder.State.START: [],
    messages_encoder.State.BETWEEN: [Start("i", "m")],
    messages_encoder.State.BLOCK: [Start("i", "m"), BlockStart(0, BlockKind.REASONING)],
    messages_encoder.State.FINISHED: [Start("i", "m"), Finish(ir.FinishReason.END)],
}
_SAMPLES: list[Event] = [
    *(Start("i", "m"), BlockStart(0, BlockKind.TEXT), BlockEnd(0), Finish(ir.FinishReason.END), End(), *_BESIDE),
    *(TextDelta(0, "x"), RefusalDelta(0, "x"), ReasoningDelta(0, "x"), ArgsDelta(0, "x"), OpaqueDelta(0, _PROOF)),
    *(Citation(0, "x", b"{}"), Logprobs(0, b"[]"), StreamFailed(ir.Error(ir.ErrorKind.SERVER, "x"))),
]


@pytest.mark.parametrize("state", list(_REACHED))
def test_every_event_leads_where_the_table_says(state: messages_encoder.State) -> None:
    for sample in _SAMPLES:
        after = messages_encoder.TRANSITIONS.get((state, type(sample)))
        if after is not None:
            encoder = messages_encoder.StreamEncoder(Answer())
            for one in [*_REACHED[state], sample]:
                encoder.send(one)
            assert encoder._writers is messages_encoder._BY_STATE[after], sample


# --- from one to the other -------------------------------------------------------------------------------

_ASK: dict[str, tuple[dict[str, Any], str | None]] = {
    "anthropic": ({"model": "a", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}, None),
    "openai": ({"model": "a", "messages": [{"role": "user", "content": "hi"}]}, None),
    "openai_responses": ({"model": "a", "input": "hi"}, None),
    "ollama": ({"model": "a", "messages": [{"role": "user", "content": "hi"}]}, "/api/chat"),
    "gemini": ({"contents": [{"parts": [{"text": "hi"}]}]}, "/v1beta/models/a:streamGenerateContent?alt=sse"),
}


class _Fed:
    """A decoder that says what it is told."""

    def __init__(self, reads: list[list[Event]]) -> None:
        self._reads = iter(reads)

    def receive_data(self, data: bytes) -> list[Event]:
        return next(self._reads, [])

    def receive_eof(self) -> list[Event]:
        return []


class _Stepwise(Translator):
    """Every event on its own, with what may be needed made at once."""

    __slots__ = ()

    def _translated(self, events: list[Event]) -> bytes:
        if self._raiser is None and not self._same:
            assert self.request is not None
            self._raiser = self._raise_tools(self.request)
        return super()._translated(events)

    def _passes_calls(self) -> bool:
        return False


def translated(kind: type[Translator], entry: str, reads: list[list[Event]]) -> list[Any]:
    """What a client gets of each read, and all that is known at the end."""
    backend = "openai" if entry != "openai" else "anthropic"
    translator = kind(entry, backend, model="real", now=5.0, seed=7)
    body, path = _ASK[entry]
    asked = body if entry == "gemini" else {**body, "stream": True}
    assert translator.receive_request(json.dumps(asked).encode(), path=path) is not None
    translator.receive_response_head(200, [("x-request-id", "r")])
    out: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(DIALECTS[backend]), "stream_decoder", lambda _: _Fed(reads))
        if kind is _Stepwise:
            patch.setattr("ferryllm_proto.translate._DELTAS", ())
        try:
            for _ in reads:
                out.append(translator.receive_data(b"data: x"))
            out.append(translator.receive_eof())
        except LocalProtocolError as exc:
            return [*out, str(exc)]  # events that no decoder says
    seen = translator._seen
    out += [translator.state, translator.head, translator.error, translator.losses, translator.cut]
    return [*out, seen.usage, seen.finish, seen.id, seen.model, seen.empty, seen.ended, seen.error]


@pytest.mark.parametrize("entry", list(_ASK))
def test_words_are_translated_as_event_by_event(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_items, "MAX_ANSWER", 8)  # so that some events can not be written

    @settings(max_examples=settings().max_examples // 2)
    @given(SEEDS)
    def check(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(STREAMS):
            reads = grouped(chance, said(chance))
            assert translated(Translator, entry, reads) == translated(_Stepwise, entry, reads), reads

    check()


@pytest.mark.parametrize("dialect", list(DIALECTS))
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("beginning", EVENTS)
def test_an_answer_that_begins_with_an_event_is_a_stream_everywhere(
    dialect: str, stream: bool, beginning: bytes
) -> None:
    opening = Opening(DIALECTS[dialect], 200, (), stream=stream)
    assert opening.receive_data(beginning + b" x") is Form.STREAM
    error = ir.Error(ir.ErrorKind.UPSTREAM, "broken")
    assert opening.explain(error) is error, "an `Opening` has nothing to say that a translator would miss"
