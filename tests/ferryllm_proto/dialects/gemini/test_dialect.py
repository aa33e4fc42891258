from __future__ import annotations

import json

import pytest

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.dialect import Dialect
from ferryllm_proto.dialects.gemini import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.translate import Translator

from .build import ARRAY_PATH, CHUNKS, NEW, SSE_PATH, array, stream

BODY = b'{ "contents":[{"parts":[{"text":"hi"}]}] , "x":1e3}'


def test_it_says_who_it_is() -> None:
    assert isinstance(DIALECT, Dialect)
    assert DIALECTS["gemini"] is DIALECT
    assert (DIALECT.name, DIALECT.provider, DIALECT.model_in_body, DIALECT.sse) == ("gemini", "gemini", False, False)


def test_n4_what_a_path_asks_for() -> None:
    assert DIALECT.peek(BODY, SSE_PATH) == (NEW, True)
    assert DIALECT.peek(b'{"model":"models/m"}') == ("m", False)
    with pytest.raises(RemoteProtocolError, match="model: this field is required"):
        DIALECT.peek(BODY)
    assert DIALECT.stream_type(SSE_PATH).startswith("text/event-stream")
    assert DIALECT.stream_type(ARRAY_PATH).startswith("application/json")
    assert DIALECT.stream_type(None).startswith("text/event-stream")
    assert [DIALECT.is_whole(data, stream=True, headers=()) for data in (b"{", b"[", b"data:")] == [True, False, False]


@pytest.mark.parametrize(
    ("path", "model", "sent", "query"),
    [
        (SSE_PATH + "&key=secret", None, f"/v1beta/models/{NEW}:streamGenerateContent", "alt=sse"),
        (ARRAY_PATH + "?key=secret", "x/y", "/v1beta/models/x/y:streamGenerateContent", ""),
        ("/v1/models/m:generateContent?$alt=json", None, "/v1/models/m:generateContent", "$alt=json"),
        ("/v1beta/tunedModels/m:generateContent", None, "/v1beta/tunedModels/m:generateContent", ""),
    ],
)
def test_g1_n5_the_path_is_rewritten_and_the_body_is_not(path: str, model: str | None, sent: str, query: str) -> None:
    upstream = DIALECT.pass_request(BODY, stream=":stream" in path, model=model, path=path)
    assert (upstream.path, upstream.query, upstream.body) == (sent, query, BODY)


def test_g2_a_model_in_the_body_is_spliced() -> None:
    body = b'{"generateContentRequest":{"model":"models/a", "contents":[]}}'
    path = "/v1beta/models/a:countTokens"
    upstream = DIALECT.pass_request(body, stream=False, model="b", path=path, target=DIALECT.count_path)
    assert upstream.path == "/v1beta/models/b:countTokens"
    assert upstream.body == body.replace(b"models/a", b"models/b")
    assert DIALECT.pass_request(b'{"model":"m"}', stream=True).query == "alt=sse"


def test_counting() -> None:
    assert DIALECT.encode_count(7) == b'{"totalTokens":7}'
    assert DIALECT.decode_count_answer(b'{"totalTokens":7,"promptTokensDetails":[]}') == 7
    assert DIALECT.decode_count_answer(b'{"total_tokens":7}') == 7
    for body in (b"{}", b"[]", b'{"totalTokens":"x"}'):
        with pytest.raises(RemoteProtocolError):
            DIALECT.decode_count_answer(body)


# --- pass-through, whole ---------------------------------------------------------------------------------


def _through(path: str, data: bytes, size: int, *, model: str | None = None) -> tuple[bytes, Translator]:
    translator = Translator(entry="gemini", backend="gemini", model=model)
    assert translator.receive_request(BODY, path=path) is not None
    translator.receive_response_head(200, ())
    out = b"".join(translator.receive_data(data[at : at + size]) for at in range(0, len(data), size))
    return out + translator.receive_eof(), translator


@pytest.mark.parametrize("size", [1, 10, 10_000])
def test_g1_streams_pass_byte_for_byte(size: int) -> None:
    for path, data in ((SSE_PATH, stream(*CHUNKS)), (ARRAY_PATH, array(*CHUNKS))):
        out, translator = _through(path, data, size)
        assert out == data
        assert translator.error is None
        assert translator.finish_reason is ir.FinishReason.TOOL_USE


@pytest.mark.parametrize("size", [1, 10_000])
def test_t1_a_cut_array_is_valid_and_ends_in_an_error(size: int) -> None:
    data = array(*CHUNKS)
    begun = data.index(b"Gr")
    for end in range(begun, data.rindex(b'"finishReason"'), 11):
        out, translator = _through(ARRAY_PATH, data[:end], size)
        assert translator.error is not None
        value = json.loads(out)
        found = value[-1] if isinstance(value, list) else value  # before the head it is an answer of its own
        assert found["error"]["status"] == "INTERNAL"


def test_s13_elements_of_an_array_leave_when_they_are_whole() -> None:
    translator = Translator(entry="gemini", backend="gemini")
    translator.receive_request(BODY, path=ARRAY_PATH)
    translator.receive_response_head(200, ())
    data = array(*CHUNKS)
    first = data.index(b"\n,\r\n", data.index(b"hm")) + 4
    assert translator.receive_data(data[:first]) == data[:first]
