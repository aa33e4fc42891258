"""Laws of one dialect alone (G6, G1): what it has read it writes and reads the same; stream and whole answer agree."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, Translator, ir
from ferryllm_proto.accumulate import Accumulator, play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.opaque import MARKS
from ferryllm_proto.translate import State
from support import strategies
from support.wires import trial

NAMES = tuple(DIALECTS)
FEWER = settings(max_examples=settings().max_examples // 3)
"""Each example is a whole conversation, five times over."""
PATHS = {name: path for name, (_, path) in trial.ASK.items()}
WHOLE_PATHS = {**PATHS, "gemini": "/v1beta/models/m:generateContent"}


def canonical(value: Any) -> Any:
    """A value of the representation without where its parts were written."""
    if isinstance(value, msgspec.Struct):
        fields = {name: canonical(getattr(value, name)) for name in value.__struct_fields__}
        for name in ("path", "names"):
            fields.pop(name, None)
        return (type(value).__name__, fields)
    if isinstance(value, (tuple, list)):
        return [canonical(item) for item in value]
    if isinstance(value, bytes):
        return json.loads(value)
    return value


def written(name: str, request: ir.Request) -> tuple[bytes, str]:
    upstream, _ = DIALECTS[name].encode_request(request, model="m")
    return upstream.body, f"{upstream.path}?{upstream.query}"


@pytest.mark.parametrize("name", NAMES)
@FEWER
@given(data=st.data())
def test_g6_what_a_dialect_has_read_it_writes_and_reads_the_same(name: str, data: st.DataObject) -> None:
    body, path = written(name, data.draw(strategies.requests(name)))
    first = DIALECTS[name].decode_request(body, path=path)
    again, path = written(name, first)
    second = DIALECTS[name].decode_request(again, path=path)
    assert canonical(second) == canonical(first)
    assert written(name, second) == (again, path), "the same request, other bytes (G10)"


@pytest.mark.parametrize("name", NAMES)
@FEWER
@given(data=st.data())
def test_g6_a_conversation_survives_its_own_dialect(name: str, data: st.DataObject) -> None:
    """Texts, calls and results come back in order, whatever messages they were put into."""
    request = data.draw(strategies.requests(name))
    body, path = written(name, request)
    back = DIALECTS[name].decode_request(body, path=path)
    assert _said(back, apart=name == "ollama") == _said(request, apart=name == "ollama")
    assert [tool.name for tool in back.tools if not isinstance(tool, ir.HostedTool)] == ["f", "g", "get_weather"]


def _said(request: ir.Request, *, apart: bool) -> list[tuple[str, Any]]:
    """``apart``: images have a place of their own, so that their order among texts is not said."""
    out: list[tuple[str, Any]] = []
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, ir.Text):
                out.append((turn.role.value, part.text))
            elif isinstance(part, ir.ToolCall):
                out.append((part.name, json.loads(part.arguments or "{}")))
            elif isinstance(part, ir.ToolResult):
                text = "".join(inner.text for inner in part.parts if isinstance(inner, ir.Text))
                out.append(("result", _unwrapped(text)))
            elif isinstance(part, ir.Image):
                out.append(("image", part.source.data))
    return sorted(out, key=lambda said: said[0] == "image") if apart else out


def _unwrapped(text: str) -> str:
    """Gemini's results are objects: a text stands under one key of one."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict) and set(value) in ({"result"}, {"output"}):
        return str(next(iter(value.values())))
    return text


@pytest.mark.parametrize("name", NAMES)
@FEWER
@given(response=strategies.responses())
def test_g6_an_answer_that_was_read_is_written_and_read_the_same(name: str, response: ir.Response) -> None:
    answer = Answer(created=5, seed=3, path=WHOLE_PATHS[name])
    dialect = DIALECTS[name]
    first = dialect.decode_response(dialect.encode_response(response, answer))
    second = dialect.decode_response(dialect.encode_response(first, answer))
    assert canonical(second) == canonical(first)


@pytest.mark.parametrize("name", NAMES)
@FEWER
@given(response=strategies.responses())
def test_a_stream_folds_to_the_answer_that_is_not_streamed(name: str, response: ir.Response) -> None:
    dialect = DIALECTS[name]
    whole = dialect.decode_response(
        dialect.encode_response(response, Answer(created=5, seed=3, path=WHOLE_PATHS[name]))
    )
    encoder = dialect.stream_encoder(Answer(created=5, seed=3, path=PATHS[name]))
    stream = b"".join([encoder.send(event) for event in play(response)])
    decoder, accumulator = dialect.stream_decoder(), Accumulator()
    for event in (*decoder.receive_data(stream), *decoder.receive_eof()):
        accumulator.send(event)
    assert accumulator.failed is None
    folded = accumulator.response()
    assert _content(folded) == _content(whole)
    assert folded.finish is whole.finish
    assert folded.usage == whole.usage


def _content(response: ir.Response) -> dict[str, Any]:
    """Texts, thoughts and calls; where one text ends and the next begins no dialect promises."""
    return {
        "text": "".join(part.text for part in response.parts if isinstance(part, ir.Text)),
        "thoughts": "".join(
            part.text + "".join(part.summary) for part in response.parts if isinstance(part, ir.Reasoning)
        ),
        "calls": [
            (part.name, json.loads(part.arguments or "{}")) for part in response.parts if isinstance(part, ir.ToolCall)
        ],
    }


# --- equal dialects: bytes -------------------------------------------------------------------------------

SPACES = st.sampled_from([None, 1, "\t"])


@pytest.mark.parametrize("name", NAMES)
@FEWER
@given(data=st.data(), indent=SPACES, keys=st.booleans())
def test_g1_equal_dialects_change_no_byte_of_a_request(name: str, data: st.DataObject, indent: Any, keys: bool) -> None:
    body, path = written(name, data.draw(strategies.requests(name)))
    value = json.loads(body)
    value["unknown"] = {"x": 1.0}
    sent = json.dumps(value, indent=indent, sort_keys=keys, ensure_ascii=keys).encode()
    # What another provider minted is taken out on the way: the one exception.
    assume(not any(mark in sent for mark in (*MARKS, *DIALECTS[name].foreign_marks)))
    upstream = Translator(entry=name, backend=name).receive_request(sent, path=path)
    assert upstream is not None
    assert upstream.body == sent


@pytest.mark.parametrize("name", NAMES)
@FEWER
@given(response=strategies.responses(), indent=SPACES)
def test_g1_equal_dialects_change_no_byte_of_an_answer(name: str, response: ir.Response, indent: Any) -> None:
    body, _ = trial.ASK[name]
    asked = {**body, "stream": False} if "stream" in body else body
    asked.pop("stream_options", None)
    translator = Translator(entry=name, backend=name)
    assert translator.receive_request(json.dumps(asked).encode(), path=WHOLE_PATHS[name]) is not None
    translator.receive_response_head(200, [("content-type", "application/json")])
    data = DIALECTS[name].encode_response(response, Answer(model="m", created=5, path=WHOLE_PATHS[name]))
    data = json.dumps(json.loads(data), indent=indent).encode() if indent is not None else data
    assert translator.receive_data(data) + translator.receive_eof() == data
    assert translator.state is State.DONE
