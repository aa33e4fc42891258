"""What counts and embeddings share: nothing leaves before all is understood, and every failure has a status."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryllm_proto import DIALECTS, LocalProtocolError, Translator, ir
from ferryllm_proto.conversation import Conversation
from ferryllm_proto.questions.completions import Completions
from ferryllm_proto.questions.count import CountTokens
from ferryllm_proto.questions.embeddings import Embeddings
from ferryllm_proto.questions.forward import Forwarding
from ferryllm_proto.questions.oneshot import OneShot
from ferryllm_proto.translate import MAX_ERROR_BODY, State

KEYS = (
    "model", "input", "prompt", "messages", "contents", "content", "role", "parts", "text", "requests", "data", "error",
    "embedding", "embeddings", "values", "index", "usage", "input_tokens", "totalTokens", "choices", "stream",
)  # fmt: skip
BODY = b'{"model":"m","input":"hi"}'


def shot() -> OneShot:
    one = Embeddings(entry="openai", backend="openai", request_id="req_1")
    assert one.receive_request(BODY) is not None
    return one


def refusal(one: OneShot, out: bytes) -> tuple[int, str]:
    assert one.head is not None
    assert one.state is State.FAILED
    return one.head.status, json.loads(out)["error"]["message"]


def test_every_machine_has_the_shape_an_exchange_runs() -> None:
    machines = (
        Translator(entry="openai", backend="openai"),
        CountTokens(entry="anthropic", backend="openai"),
        Embeddings(entry="openai", backend="openai"),
        Completions(backend="openai"),
        Forwarding(entry="openai", backend="openai", method="GET", target="/v1/files"),
    )
    members = [name for name, _ in inspect.getmembers(Conversation) if not name.startswith("_")]
    assert len(members) > 15
    for machine in machines:
        assert [name for name in members if not hasattr(machine, name)] == []


def test_the_order_of_calls_is_kept() -> None:
    one = Embeddings(entry="openai", backend="openai")
    with pytest.raises(LocalProtocolError):
        one.receive_response_head(200, ())
    one.receive_request(BODY)
    with pytest.raises(LocalProtocolError):
        one.receive_request(BODY)


def test_the_head_waits_for_the_whole_answer() -> None:
    one = shot()
    assert one.receive_response_head(200, ()) is None
    assert one.receive_data(b'{"data":[{"embedding":[1.0]}]}') == b""
    assert (one.head, one.commit(), one.ping(), one.stream, one.complete) == (None, b"", b"", False, False)
    assert one.receive_eof() == b'{"data":[{"embedding":[1.0]}]}'
    assert one.complete


def test_an_endless_refusal_is_held_within_a_bound() -> None:
    one = shot()
    one.receive_response_head(500, ())
    for _ in range(40):
        assert one.receive_data(b"x" * (MAX_ERROR_BODY // 10)) == b""
    assert sum(map(len, one._buffer)) <= MAX_ERROR_BODY
    assert refusal(one, one.receive_eof())[0] == 500


def test_an_answer_beyond_the_limit_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Embeddings, "max_body", 100)
    one = shot()
    one.receive_response_head(200, ())
    one.receive_data(b"x" * 60)
    one.receive_data(b"x" * 60)
    assert one.state is State.FAILED
    assert one.receive_data(b"more") == b""
    status, message = refusal(one, one.receive_eof())
    assert status == 502
    assert "larger than 100 bytes" in message


@pytest.mark.parametrize("status", [302, 404, 503])
def test_any_other_status_is_an_error_of_the_dialect(status: int) -> None:
    one = shot()
    one.receive_response_head(status, (("location", "http://evil.example"),))
    code, message = refusal(one, one.receive_eof())
    assert code >= 400
    assert "evil" not in message


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b"[]", b"{}", b'{"data":5}', b"\xff", b'{"data":[' + b"[" * 100_000, b'{"data":[{}]}']
)
def test_s10_an_answer_that_is_none_is_the_providers_fault(answer: bytes) -> None:
    one = shot()
    one.receive_response_head(200, ())
    one.receive_data(answer)
    assert refusal(one, one.receive_eof())[0] == 502


def test_e8_an_error_inside_a_200_is_an_error() -> None:
    one = shot()
    one.receive_response_head(200, ())
    one.receive_data(b'{"error":{"message":"busy","type":"rate_limit_error","code":"rate_limit_exceeded"}}')
    assert refusal(one, one.receive_eof()) == (429, "busy")


def test_a_null_error_is_no_error() -> None:
    one = shot()
    one.receive_response_head(200, ())
    one.receive_data(b'{"error":null,"data":[{"embedding":[1]}]}')
    one.receive_eof()
    assert one.state is State.DONE


def test_a_byte_order_mark_is_no_part_of_an_answer() -> None:
    one = shot()
    one.receive_response_head(200, ())
    one.receive_data(b'\xef\xbb\xbf{"data":[{"embedding":[1]}]}')
    assert one.receive_eof() == b'{"data":[{"embedding":[1]}]}'


def test_a_loss_of_the_provider_is_told_once() -> None:
    one = shot()
    out = one.fail(ir.Error(ir.ErrorKind.TIMEOUT, "too slow"))
    assert refusal(one, out) == (504, "too slow")
    assert one.fail(ir.Error(ir.ErrorKind.UPSTREAM, "again")) == b""
    assert not one.cut


NAMES = st.sampled_from(sorted(DIALECTS))
BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=400)
@given(
    entry=NAMES, backend=NAMES, body=BODIES, answer=BODIES, status=st.sampled_from([200, 201, 301, 400, 404, 429, 500])
)
def test_whatever_both_sides_send_there_is_one_decided_answer(
    entry: str, backend: str, body: bytes, answer: bytes, status: int
) -> None:
    machines: list[Any] = [Completions(backend=backend)]
    if DIALECTS[entry].embedder is not None:
        machines.append(Embeddings(entry=entry, backend=backend))
    if entry in ("anthropic", "openai_responses", "gemini"):
        machines.append(CountTokens(entry=entry, backend=backend))
    for one in machines:
        path = (
            f"/v1beta/models/m:{'embedContent' if isinstance(one, Embeddings) else 'countTokens'}"
            if entry == "gemini"
            else None
        )
        sent = one.receive_request(body, (), path)
        out = b""
        if sent is not None:
            one.receive_response_head(status, ())
            out = one.receive_data(answer[:20]) + one.receive_data(answer[20:])
        out += one.receive_eof()
        assert one.state in (State.DONE, State.FAILED)
        assert one.head is not None
        assert out
        if one.state is State.FAILED and not one.stream:
            assert one.head.status >= 400
