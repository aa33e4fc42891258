"""Whatever comes in, nothing but `RemoteProtocolError` comes out, and nothing broken becomes a success."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryllm_proto.dialects.gemini import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.events import End, StreamFailed

from .build import CHUNKS, PATH, SSE_PATH, array, call, contents, events, stream

_WORDS = st.sampled_from(
    [
        *("contents", "parts", "role", "text", "functionCall", "functionResponse", "name", "args", "id", "response"),
        *("thought", "thoughtSignature", "inlineData", "fileData", "data", "mimeType", "fileUri", "tools", "mode"),
        *("functionDeclarations", "parameters", "parametersJsonSchema", "toolConfig", "functionCallingConfig"),
        *("allowedFunctionNames", "generationConfig", "thinkingConfig", "thinkingBudget", "thinkingLevel"),
        *("responseSchema", "responseMimeType", "systemInstruction", "candidates", "content", "finishReason"),
        *("usageMetadata", "promptTokenCount", "error", "message", "status", "partialArgs", "jsonPath", "stringValue"),
        *("willContinue", "promptFeedback", "blockReason", "user", "model", "STOP", "ANY", "generation_config"),
        *("function_call", "type", "OBJECT", "properties", "items", "anyOf", "nullable", "$ref", "$defs"),
    ]
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | _WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS, inner, max_size=5),
    max_leaves=20,
)
_BODY: dict[str, Any] = {
    **contents({"text": "a", "thought": True}, call("f", {"a": 1}, thoughtSignature="c2ln"), role="model"),
    "systemInstruction": {"parts": [{"text": "be"}]},
    "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}, {"googleSearch": {}}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {"topK": 1, "thinkingConfig": {"thinkingBudget": 1}, "responseSchema": {"type": "STRING"}},
}
_BODY["contents"].append({"parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}}}]})


def _places(value: Any) -> list[tuple[Any, Any]]:
    out: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        out += [(value, key), *_places(inner)]
    return out


def _encode_all(body: bytes) -> None:
    """Understand a body; what is understood can be written for every provider, or is refused."""
    for decode in (DIALECT.decode_request, DIALECT.decode_count):
        with contextlib.suppress(RemoteProtocolError):
            request = decode(body, path=PATH)
            for model in (None, "gemini-3-x", "gemini-1.5-pro"):
                with contextlib.suppress(RemoteProtocolError):
                    DIALECT.encode_request(request, model=model)


@given(st.integers(0, 200), _VALUES)
def test_a_wrong_value_at_any_place(place: int, value: Any) -> None:
    body = json.loads(json.dumps(_BODY))
    places = _places(body)
    holder, key = places[place % len(places)]
    holder[key] = value
    _encode_all(json.dumps(body).encode())


@given(_VALUES)
def test_any_json(value: Any) -> None:
    data = json.dumps(value).encode()
    _encode_all(data)
    for framed in (stream(value), array(value), data):
        last = events(framed)[-1]
        assert isinstance(last, (End, StreamFailed))
        with contextlib.suppress(RemoteProtocolError):
            DIALECT.decode_response(framed)
        DIALECT.decode_error(400, (), framed)
        for is_stream in (True, False):
            scanner = DIALECT.scanner(stream=is_stream, model="x")
            scanner.receive_data(framed)
            scanner.receive_eof()
        grammar = DIALECT.grammar(SSE_PATH)
        grammar.receive_data(framed)
        grammar.receive_eof()


@given(st.binary(max_size=200), st.integers(1, 9))
def test_any_bytes(data: bytes, size: int) -> None:
    _encode_all(data)
    for framed in (data, b"data: " + data, b"[" + data, b"{" + data):
        last = events(framed, size)[-1]
        assert isinstance(last, (End, StreamFailed))
        DIALECT.decode_error(500, (), framed)
        with contextlib.suppress(RemoteProtocolError):
            DIALECT.decode_count_answer(framed)


@settings(max_examples=50)
@given(st.integers(0, 2000), st.integers(0, 255), st.booleans())
def test_a_changed_byte(place: int, byte: int, sse: bool) -> None:
    data = bytearray(stream(*CHUNKS) if sse else array(*CHUNKS))
    data[place % len(data)] = byte
    last = events(bytes(data))[-1]
    assert isinstance(last, (End, StreamFailed))


@pytest.mark.parametrize(
    "opening", [b"[", b'{"contents":', b'{"contents":[{"parts":[{"functionCall":{"name":"f","args":']
)
def test_deep_nesting(opening: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        DIALECT.decode_request(opening * 5000, path=PATH)
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    body = b'{"contents":[{"parts":[{"text":"a"}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":%b}]}]}'
    _encode_all(body % deep)
    assert isinstance(events(b"data: " + deep + b"\n\n")[-1], StreamFailed)
